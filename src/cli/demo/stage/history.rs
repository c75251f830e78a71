//! What happened on the stage, as the stack has recorded it: segments on their way, states and
//! their causes, refusals.

use std::time::Instant;

use tcplab::client::Error;
use tcplab::diagram::{self, Charset, Connections, Detail, Picture, TextStyle};
use tcplab::inspect::{Answer, Command};
use tcplab::trace::{Fate, Record, Records, Segment, Sending, What};

use super::super::super::Failure;
use super::telling::{Style, WIDTH};
use super::{LOOK_INTERVAL, PATIENCE, SERVER, Stage};

/// Records asked for at a time.
const PAGE: usize = 4096;

/// Which end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Side {
    Client,
    Server,
}

impl Side {
    fn of(port: u16) -> Side {
        if port == SERVER { Side::Server } else { Side::Client }
    }

    fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }
}

/// Records, from some moment on.
pub(in super::super) struct History(Records);

impl History {
    /// Segments in the order they were sent.
    pub(in super::super) fn segments(&self) -> impl Iterator<Item = (&Record, &Segment)> {
        self.0.records.iter().filter_map(|record| match &record.what {
            What::Segment(segment) => Some((record, segment)),
            _ => None,
        })
    }

    /// Each segment in a few words: who sent it, its flags, whether again, what became of it.
    pub(in super::super) fn exchange(&self) -> Vec<String> {
        self.segments().map(|(_, segment)| in_words(segment)).collect()
    }

    /// The states that the end on that side went through, each with its cause.
    pub(in super::super) fn path(&self, side: Side) -> Vec<String> {
        let step = |record: &Record| match &record.what {
            What::State(step)
                if step.end.remote.is_some()
                    && step.end.local.is_some_and(|local| Side::of(local.port()) == side) =>
            {
                Some(format!("{} > {} ({:?})", step.from, step.to, step.cause))
            }
            _ => None,
        };
        self.0.records.iter().filter_map(step).collect()
    }

    /// Why segments were not taken.
    pub(in super::super) fn refusals(&self) -> Vec<&'static str> {
        let why = |record: &Record| match &record.what {
            What::Dropped(refusal) => Some(refusal.why.as_str()),
            _ => None,
        };
        self.0.records.iter().filter_map(why).collect()
    }
}

fn in_words(segment: &Segment) -> String {
    let side = Side::of(segment.from.port()).name();
    let mut words = format!("{side} {}", segment.flags);
    if segment.text_len > 0 {
        words += &format!(" {}", segment.text_len);
    }
    if segment.sending == Sending::Again {
        words += " again";
    }
    words += match segment.fate {
        Fate::Lost(_) => " lost",
        Fate::Held(_) => " held",
        Fate::Delayed(..) => " delayed",
        _ => "",
    };
    words
}

impl Stage<'_> {
    /// Draws what has happened to a connection; they are numbered as they began, from 1 on.
    pub(in super::super) fn picture(&mut self, number: usize) -> Result<(), Failure> {
        let records = self.client()?.records()?;
        let connections = Connections::of(&records);
        let (connection, line) = match connections.all() {
            [only] if number == 1 => (Some(only), "tcplab diagram".to_owned()),
            all => (all.get(number - 1), format!("tcplab diagram --conn {number}")),
        };
        let connection = connection
            .ok_or_else(|| Failure::new(format!("connection {number} has not been recorded")))?;
        let picture = Picture::of(connection, &records, &connections, Detail::Folded);
        let style = TextStyle {
            width: WIDTH,
            charset: Charset::Unicode,
            coloured: self.teller.style() == Style::Coloured,
        };
        self.teller.write("\n")?;
        self.teller.command(&line)?;
        Ok(self.teller.write(&diagram::text(&picture, style))?)
    }

    /// This moment, for [`Stage::since`].
    pub(in super::super) fn mark(&mut self) -> Result<u64, Failure> {
        Ok(self.since(0)?.0.next)
    }

    /// Waits until so many segments have been sent since that moment; the checks say which.
    pub(in super::super) fn await_segments(
        &mut self,
        mark: u64,
        count: usize,
    ) -> Result<(), Failure> {
        let begun = Instant::now();
        while self.since(mark)?.segments().count() < count && begun.elapsed() < PATIENCE {
            std::thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }

    /// What has happened since that moment.
    pub(in super::super) fn since(&mut self, mark: u64) -> Result<History, Failure> {
        let mut all = Records::default();
        let mut since = mark;
        loop {
            let command = Command::Records { since, most: PAGE };
            let page = match self.client()?.ask(&command)? {
                Answer::Records(page) => page,
                other => return Err(Error::Foreign(format!("it answered {other:?}")).into()),
            };
            since = page.next;
            let last = page.records.is_empty();
            all.records.extend(page.records);
            all.programs = page.programs;
            all.lost += page.lost;
            all.next = page.next;
            if last {
                return Ok(History(all));
            }
        }
    }
}
