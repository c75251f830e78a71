//! The picture before it is drawn: lifelines, rows from top to bottom, and the ways of segments
//! from row to row. Every form of drawing is made of this.

use super::connections::{Connection, Connections, Side};
use super::words::{SegmentWords, Words};
use super::{folding, rows, steps};
use crate::tcp::State;
use crate::trace::Records;
use crate::wire::Flags;

/// How much is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// Many segments of text in a row are one arrow; calls that only ask are left out.
    Folded,
    /// Every segment is one, and every call.
    Full,
}

/// What happened to one connection, ready to be drawn.
#[derive(Clone, Debug)]
pub struct Picture {
    pub(super) title: String,
    /// Client's program, client's TCP, server's TCP, server's program.
    pub(super) lifelines: [Lifeline; 4],
    pub(super) rows: Vec<Row>,
    pub(super) flights: Vec<Flight>,
    /// Rows in which each side's program waits in a call.
    pub(super) waits: [Vec<(usize, usize)>; 2],
    /// Whether there is a TCB, or a listener, where no state says so.
    pub(super) tcb: [bool; 2],
    /// What must be known to read the picture.
    pub(super) footnotes: Vec<String>,
}

/// The head of a lifeline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Lifeline {
    pub(super) name: String,
    pub(super) detail: String,
}

/// Things that happened at the same time, or one of them at once after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// Stack time since the first row, of the first and of the last of them.
    pub(super) at_ns: u64,
    pub(super) until_ns: u64,
    /// What the programs do.
    pub(super) program: [Option<Mark>; 2],
    /// What stands beside the TCPs.
    pub(super) label: [Option<Label>; 2],
    /// What stands between the TCPs, nearer to one of them.
    pub(super) aside: Option<(Side, String)>,
    /// What goes across all lifelines; then nothing else is there.
    pub(super) across: Option<Across>,
}

/// A call between a program and its TCP.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) words: Words,
    pub(super) toward: Toward,
    pub(super) outcome: Outcome,
}

/// Where the arrow of a call points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Toward {
    Stack,
    Program,
}

/// Whether a call failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Well,
    Failed,
}

/// What stands beside a TCP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Label {
    /// It has entered the state.
    State(State),
    /// It is still in the state, now.
    Still(State),
    /// A timer ran out.
    Timer(String),
}

impl Label {
    pub(super) fn text(&self) -> String {
        match self {
            Label::State(state) => state.rfc_name().to_owned(),
            Label::Still(state) => format!("still {}", state.rfc_name()),
            Label::Timer(text) => text.clone(),
        }
    }
}

/// What goes across all lifelines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Across {
    /// Nothing happened for so long, in nanoseconds of stack time; what ended it.
    Silence(u64, Option<&'static str>),
    /// The user did something.
    Note(String),
}

/// The way of a segment, or of many.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) from: Side,
    pub(super) kind: Kind,
    pub(super) words: SegmentWords,
    /// Row where it was sent; of one that was sent before this picture begins, where it arrives.
    pub(super) start: usize,
    pub(super) end: Ending,
    /// The receiver did not take it.
    pub(super) refused: bool,
    /// Control bits; none of what is not one segment.
    pub(super) flags: Flags,
}

impl Flight {
    pub(super) fn new(
        from: Side,
        kind: Kind,
        words: SegmentWords,
        start: usize,
        end: Ending,
    ) -> Flight {
        Flight { from, kind, words, start, end, refused: false, flags: Flags::NONE }
    }
}

/// What sort of segment it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Sent for the first time.
    First,
    /// Sent again, or a probe.
    Again,
    /// RST.
    Reset,
    /// Sent before this picture begins.
    Old,
    /// Many.
    Bulk,
    /// Text that there is no record of.
    Unrecorded,
}

/// How the way of a segment ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// It arrives in that row.
    Arrives(usize),
    /// It is lost; by whom.
    Lost(String),
    /// It has not arrived; what is known of it.
    Open(&'static str),
}

impl Picture {
    /// The picture of a connection. `count` is how many there are.
    pub fn of(
        connection: &Connection<'_>,
        records: &Records,
        connections: &Connections<'_>,
        detail: Detail,
    ) -> Picture {
        let steps = steps::of(connection, records, detail);
        let steps = match detail {
            Detail::Folded => folding::fold_calls(folding::fold(steps)),
            Detail::Full => steps,
        };
        let drawn = rows::build(connection, records, &steps);
        let [client, server] = connection.addresses;
        let title = format!(
            "connection {} of {}: {client} to {server}",
            connection.number,
            connections.all().len()
        );
        let mut footnotes = Vec::new();
        if records.lost > 0 {
            let lost = records.lost;
            footnotes.push(format!("{lost} older records are no longer there: see tcplab trace"));
        }
        let program = |side| program(connection, records, side);
        let tcp = |name: &str, address: core::net::SocketAddr| Lifeline {
            name: name.to_owned(),
            detail: address.to_string(),
        };
        Picture {
            title,
            lifelines: [
                program(Side::Client),
                tcp("client's TCP", client),
                tcp("server's TCP", server),
                program(Side::Server),
            ],
            rows: drawn.rows,
            flights: drawn.flights,
            waits: drawn.waits,
            tcb: drawn.tcb,
            footnotes,
        }
    }

    /// Rows in which a side's TCP has a TCB, or listens.
    pub(super) fn presence(&self, side: Side) -> Vec<bool> {
        let label = |row: &Row| row.label[side as usize].clone();
        let states = self.rows.iter().filter_map(label).filter(|l| !matches!(l, Label::Timer(_)));
        let mut present = states.count() == 0 && self.tcb[side as usize];
        let present_after = |row: &Row| {
            match label(row) {
                Some(Label::State(State::Closed)) => present = false,
                Some(Label::State(_) | Label::Still(_)) => present = true,
                _ => {}
            }
            present
        };
        self.rows.iter().map(present_after).collect()
    }
}

fn program(connection: &Connection<'_>, records: &Records, side: Side) -> Lifeline {
    let pids = connection.processes(side);
    let known = pids.first().and_then(|pid| records.programs.iter().find(|(p, _)| p == pid));
    let name = match (known, side) {
        (Some((_, name)), _) if !name.is_empty() => name.clone(),
        (_, Side::Client) => "client".to_owned(),
        (_, Side::Server) if connection.state(side).is_none() => "(nobody)".to_owned(),
        (_, Side::Server) => "server".to_owned(),
    };
    let detail = match pids.as_slice() {
        [] => String::new(),
        [pid] => format!("pid {pid}"),
        [first, others @ ..] => format!("pid {first}, {} more", others.len()),
    };
    Lifeline { name, detail }
}
