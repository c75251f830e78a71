//! From steps to rows: what shares a row with what, and which way a segment took.
//!
//! A segment that arrives at once is one row, with the states at both its ends; so is a call that
//! returns at once. What a call or a timer makes its TCP send shares the row with the state or the
//! timer.

use std::collections::BTreeMap;

use super::connections::{Connection, Opening, Side};
use super::picture::{Across, Ending, Flight, Kind, Label, Mark, Outcome, Row, Toward};
use super::steps::{Event, Step, is_at_once};
use super::words;
use crate::ipc::record::Api;
use crate::tcp::{Cause, Dropped, State, Timer};
use crate::trace::{
    Arrival, Call, Fate, Operation, Records, Refusal, Segment, Sending, Transition, What,
};
use crate::wire::Flags;

/// A silence that is shorter is not drawn.
const MIN_SILENCE_NS: u64 = 100_000_000;
/// A change of state belongs to a segment that arrived at most so many rows above.
const MAX_ROWS_BACK: usize = 6;

/// Everything that is drawn.
#[derive(Default)]
pub(super) struct Drawn {
    pub(super) rows: Vec<Row>,
    pub(super) flights: Vec<Flight>,
    pub(super) waits: [Vec<(usize, usize)>; 2],
    pub(super) tcb: [bool; 2],
}

/// Makes the rows of what happened to a connection.
pub(super) fn build(connection: &Connection<'_>, records: &Records, steps: &[Event<'_>]) -> Drawn {
    let mut sent = BTreeMap::new();
    for record in &records.records {
        if let What::Segment(segment) = &record.what {
            sent.insert(segment.serial, segment);
        }
    }
    let mut builder = Builder {
        connection,
        sent,
        drawn: Drawn::default(),
        zero_ns: steps.first().map_or(0, |event| event.at_ns),
        expects: None,
        under_way: BTreeMap::new(),
        begun: Vec::new(),
        landings: Vec::new(),
        leap_ns: 0,
    };
    builder.add_initial(steps);
    for event in steps {
        builder.add(event);
    }
    builder.finish(records)
}

/// A segment that arrived.
struct Landing {
    row: usize,
    at_ns: u64,
    side: Side,
    flags: Flags,
    seq: u32,
    flight: usize,
}

struct Builder<'b, 'r> {
    connection: &'b Connection<'r>,
    /// Every sending there is a record of, by its serial number.
    sent: BTreeMap<u64, &'r Segment>,
    drawn: Drawn,
    zero_ns: u64,
    /// The side whose next segment belongs in the last row.
    expects: Option<Side>,
    /// Flights that may arrive, and when they were sent.
    under_way: BTreeMap<u64, (usize, u64)>,
    /// Calls that have not returned, with the row of their beginning.
    begun: Vec<(*const Call, usize)>,
    landings: Vec<Landing>,
    /// How far the user has just moved the clock: that is no silence.
    leap_ns: u64,
}

impl Builder<'_, '_> {
    /// What the ends were before the first change that there is a record of.
    fn add_initial(&mut self, steps: &[Event<'_>]) {
        let first = |side| {
            steps.iter().filter(|event| event.side == side).find_map(|event| match event.step {
                Step::State(transition) => Some(transition.from),
                _ => None,
            })
        };
        let labels = Side::BOTH.map(|side| first(side).filter(|&state| state != State::Closed));
        if labels != [None; 2] {
            let row = self.new_row(self.zero_ns, None);
            self.drawn.rows[row].label = labels.map(|state| state.map(Label::State));
        }
    }

    fn add(&mut self, event: &Event<'_>) {
        match event.step {
            Step::Begin(call) => self.add_begin(event, call),
            Step::Return(call) => self.add_return(event, call),
            // Its name and its error want a line each.
            Step::Whole(call) if call.errno.is_some() => {
                let words = words::call(call, &self.connection.addresses);
                self.add_mark(event, words, Toward::Stack, Outcome::Well);
                self.add_mark(event, words::return_of(call), Toward::Program, Outcome::Failed);
            }
            Step::Whole(call) => {
                let words = words::whole_call(call, &self.connection.addresses);
                self.add_mark(event, words, toward(call), Outcome::Well);
            }
            Step::Repeated(call, count, until_ns) => {
                let words = words::repeated(call, &self.connection.addresses, count);
                let row = self.add_mark(event, words, toward(call), outcome(call));
                let until_ns = until_ns.saturating_sub(self.zero_ns);
                self.drawn.rows[row].until_ns = self.drawn.rows[row].until_ns.max(until_ns);
            }
            Step::Calls(api, count, octets) => {
                let words = words::calls(api, count, octets);
                let toward = if api == Api::Read { Toward::Program } else { Toward::Stack };
                self.add_mark(event, words, toward, Outcome::Well);
            }
            Step::Sent(segment) => self.add_sent(event, segment),
            Step::Arrived(arrival) => self.add_arrived(event, arrival),
            Step::State(transition) => self.add_state(event, transition),
            Step::Expired(expiry) => {
                let row = self.new_row(event.at_ns, Some(words::silence(expiry.timer)));
                self.set_label(
                    row,
                    event.side,
                    Label::Timer(words::timer(expiry.timer, expiry.count)),
                );
                self.expects = Some(event.side);
            }
            Step::Refused(refusal) => self.add_refused(event, refusal),
            Step::Operated(operation) => self.add_operation(event, operation),
            Step::Bulk(count, octets, lost, again) => {
                self.add_bulk(event, Kind::Bulk, words::segments(count, octets, lost, again));
            }
            Step::Unrecorded(octets) => {
                self.add_bulk(event, Kind::Unrecorded, words::unrecorded(octets));
            }
        }
    }

    /// A row for what happens at `at_ns`, and one for the silence before, which `ended` by a timer.
    fn new_row(&mut self, at_ns: u64, ended: Option<&'static str>) -> usize {
        let at_ns = at_ns.saturating_sub(self.zero_ns);
        let before = self.drawn.rows.last().map_or(at_ns, |row| row.until_ns);
        let silence = at_ns.saturating_sub(before).saturating_sub(self.leap_ns);
        let at_ns = at_ns.max(before);
        if silence >= MIN_SILENCE_NS {
            let across = Some(Across::Silence(silence, ended));
            self.push_row(Row { at_ns: before, until_ns: at_ns, across, ..Row::default() });
        }
        self.push_row(Row { at_ns, until_ns: at_ns, ..Row::default() })
    }

    fn push_row(&mut self, row: Row) -> usize {
        self.expects = None;
        self.leap_ns = 0;
        self.drawn.rows.push(row);
        self.drawn.rows.len() - 1
    }

    fn set_label(&mut self, row: usize, side: Side, label: Label) {
        self.drawn.rows[row].label[side as usize] = Some(label);
    }

    fn add_begin(&mut self, event: &Event<'_>, call: &Call) {
        let words = words::call(call, &self.connection.addresses);
        let row = self.add_mark(event, words, Toward::Stack, Outcome::Well);
        self.begun.push((core::ptr::from_ref(call), row));
    }

    fn add_return(&mut self, event: &Event<'_>, call: &Call) {
        let row = self.add_mark(event, words::return_of(call), Toward::Program, outcome(call));
        let begun = self.begun.iter().position(|&(known, _)| core::ptr::eq(known, call));
        if let Some(place) = begun {
            let (_, begin) = self.begun.swap_remove(place);
            self.drawn.waits[event.side as usize].push((begin, row));
        }
    }

    fn add_mark(
        &mut self,
        event: &Event<'_>,
        words: words::Words,
        toward: Toward,
        outcome: Outcome,
    ) -> usize {
        let row = self.new_row(event.at_ns, None);
        self.drawn.rows[row].program[event.side as usize] = Some(Mark { words, toward, outcome });
        row
    }

    fn add_flight(&mut self, flight: Flight) -> usize {
        self.drawn.flights.push(flight);
        self.drawn.flights.len() - 1
    }

    fn add_bulk(&mut self, event: &Event<'_>, kind: Kind, words: words::SegmentWords) {
        let row = self.new_row(event.at_ns, None);
        let end = Ending::Arrives(row);
        self.add_flight(Flight::new(event.side, kind, words, row, end));
    }

    fn isns(&self, sender: Side) -> [Option<u32>; 2] {
        [sender, sender.other()].map(|side| self.connection.isns[side as usize])
    }

    fn add_sent(&mut self, event: &Event<'_>, segment: &Segment) {
        let row = match self.expects == Some(event.side) {
            true => self.drawn.rows.len() - 1,
            false => self.new_row(event.at_ns, None),
        };
        self.expects = None;
        let end = match segment.fate {
            Fate::Lost(agent) => Ending::Lost(agent.to_string()),
            Fate::Reset(agent) => Ending::Lost(format!("{agent}, answered by RST")),
            Fate::Held(_) => Ending::Open("held"),
            Fate::Delayed(..) => Ending::Open("under way"),
            Fate::Passed
            | Fate::Copied(..)
            | Fate::Corrupted(_)
            | Fate::Trimmed(..)
            | Fate::Followed(_) => Ending::Open("not arrived"),
        };
        let open = matches!(end, Ending::Open(_));
        let words = words::segment(segment, self.isns(event.side));
        let flight = Flight::new(event.side, kind(segment), words, row, end);
        let flight = self.add_flight(Flight { flags: segment.flags, ..flight });
        if open {
            self.under_way.insert(segment.serial, (flight, event.at_ns));
        }
    }

    fn add_arrived(&mut self, event: &Event<'_>, arrival: &Arrival) {
        let known = arrival.serial.and_then(|serial| self.under_way.get(&serial).copied());
        let (row, flight) = match known {
            Some((flight, sent_ns)) => {
                let segment = arrival.serial.and_then(|serial| self.sent.get(&serial));
                let at_once = segment.is_some_and(|s| is_at_once(s, sent_ns, event.at_ns));
                self.land(event, flight, at_once)
            }
            None => self.add_stranger(event, arrival),
        };
        let Arrival { flags, seq, .. } = *arrival;
        let (at_ns, side) = (event.at_ns, event.side);
        self.landings.push(Landing { row, at_ns, side, flags, seq, flight });
    }

    /// A segment of this picture has arrived.
    fn land(&mut self, event: &Event<'_>, flight: usize, at_once: bool) -> (usize, usize) {
        let Flight { start, ref end, .. } = self.drawn.flights[flight];
        let again = matches!(end, Ending::Arrives(_));
        let is_last = start + 1 == self.drawn.rows.len();
        let row = match at_once && is_last && !again {
            true => {
                let until_ns = event.at_ns.saturating_sub(self.zero_ns);
                self.drawn.rows[start].until_ns = self.drawn.rows[start].until_ns.max(until_ns);
                start
            }
            false => self.new_row(event.at_ns, None),
        };
        let flight = match again {
            // A copy of it.
            true => {
                let words = words::SegmentWords {
                    head: self.drawn.flights[flight].words.head.clone(),
                    must: vec!["copy".to_owned()],
                    may: Vec::new(),
                };
                let (from, kind) = (self.drawn.flights[flight].from, Kind::Again);
                let end = Ending::Arrives(row);
                self.add_flight(Flight::new(from, kind, words, row, end))
            }
            false => {
                self.drawn.flights[flight].end = Ending::Arrives(row);
                flight
            }
        };
        (row, flight)
    }

    /// A segment has arrived that was sent by an older connection, or by another stack.
    fn add_stranger(&mut self, event: &Event<'_>, arrival: &Arrival) -> (usize, usize) {
        let row = self.new_row(event.at_ns, None);
        let from = event.side.other();
        let sending = arrival.serial.and_then(|serial| self.sent.get(&serial));
        let (kind, words) = match sending {
            Some(segment) => {
                let mut words = words::segment(segment, [None; 2]);
                words.head.insert_str(0, "old ");
                (Kind::Old, words)
            }
            None => {
                let kind = if arrival.flags.rst() { Kind::Reset } else { Kind::First };
                let mut words = words::arrival(arrival, self.isns(from));
                // Its end is here, and it was not that which sent it.
                if self.connection.state(from).is_some() {
                    words.must.push("(forged)".to_owned());
                }
                (kind, words)
            }
        };
        let end = Ending::Arrives(row);
        (row, self.add_flight(Flight::new(from, kind, words, row, end)))
    }

    fn add_state(&mut self, event: &Event<'_>, transition: &Transition) {
        let label = Label::State(transition.to);
        match transition.cause {
            Cause::Segment(flags) => {
                let row = self.landing_row(event, flags);
                let row = row.unwrap_or_else(|| self.new_row(event.at_ns, None));
                self.set_label(row, event.side, label);
            }
            Cause::Timer(timer) => {
                let told = self.drawn.rows.last().is_some_and(|row| {
                    matches!(row.label[event.side as usize], Some(Label::Timer(_)))
                });
                let row = match told {
                    true => self.drawn.rows.len() - 1,
                    false => self.new_row(event.at_ns, Some(words::silence(timer))),
                };
                let text = match timer {
                    Timer::FinWait2 | Timer::TimeWait => words::timer(timer, 1),
                    _ => "(timed out)".to_owned(),
                };
                self.set_label(row, event.side, Label::Timer(text));
                let row = self.new_row(event.at_ns, None);
                self.set_label(row, event.side, label);
                self.expects = Some(event.side);
            }
            cause => {
                let sending = self.sending_row(event.side, cause);
                let row = sending.unwrap_or_else(|| self.new_row(event.at_ns, None));
                self.set_label(row, event.side, label);
                if sending.is_none() {
                    self.expects = Some(event.side);
                }
            }
        }
    }

    /// The row in which the segment arrived that made a side change its state. Of those that
    /// arrived at that very time the first, else the last.
    fn landing_row(&self, event: &Event<'_>, flags: Flags) -> Option<usize> {
        let rows = self.drawn.rows.len();
        let its = |landing: &&Landing| {
            let recent = landing.row + MAX_ROWS_BACK >= rows;
            let same = landing.side == event.side && landing.flags == flags;
            recent && same && self.is_free(landing.row, event.side)
        };
        let now = self.landings.iter().filter(its).find(|landing| landing.at_ns == event.at_ns);
        now.or(self.landings.iter().rev().find(its)).map(|landing| landing.row)
    }

    /// The row of the segment that a change of state made this side send, where that is drawn
    /// already.
    fn sending_row(&self, side: Side, cause: Cause) -> Option<usize> {
        let rows = self.drawn.rows.len();
        let sign = match cause {
            Cause::Open => Flags::SYN,
            Cause::Close | Cause::Shutdown => Flags::FIN,
            Cause::Abort => Flags::RST,
            _ => return None,
        };
        let its = |flight: &&Flight| {
            let recent = flight.start + MAX_ROWS_BACK >= rows;
            let signed = flight.from == side && flight.flags.contains(sign);
            recent && signed && self.is_free(flight.start, side)
        };
        self.drawn.flights.iter().rev().find(its).map(|flight| flight.start)
    }

    /// Nothing stands beside that TCP in the row yet.
    fn is_free(&self, row: usize, side: Side) -> bool {
        let row = &self.drawn.rows[row];
        row.label[side as usize].is_none() && row.program[side as usize].is_none()
    }

    fn add_refused(&mut self, event: &Event<'_>, refusal: &Refusal) {
        let its = self.landings.iter().rposition(|landing| {
            let same = (landing.flags, landing.seq) == (refusal.flags, refusal.seq);
            same && landing.side == event.side
        });
        let mut text = words::refusal(refusal.why);
        // TIME-WAIT answers a FIN sent again, and begins anew: nothing is lost.
        if let (Some(its), Dropped::InTimeWait, true) = (its, refusal.why, refusal.flags.fin()) {
            let (row, side) = (self.landings[its].row, event.side);
            if self.is_free(row, side) {
                self.set_label(row, side, Label::Timer("(2MSL anew)".to_owned()));
            }
            return;
        }
        match its {
            Some(its) => self.drawn.flights[self.landings[its].flight].refused = true,
            None => text = format!("{} {text}", refusal.flags),
        }
        // The RST says it.
        let answered = matches!(
            refusal.why,
            Dropped::NoListener | Dropped::NoConnection | Dropped::NotForListener
        );
        if answered && its.is_some() && !refusal.flags.rst() {
            return;
        }
        let landed = its.map(|its| self.landings[its].row);
        let landed = landed.filter(|&row| self.drawn.rows[row].aside.is_none());
        let row = landed.unwrap_or_else(|| self.new_row(event.at_ns, None));
        self.drawn.rows[row].aside = Some((event.side, text));
    }

    fn add_operation(&mut self, event: &Event<'_>, operation: Operation) {
        let text = match operation {
            Operation::Advanced(nanos) => format!("clock advanced by {}", words::time(nanos)),
            Operation::Scaled(scale) => format!("clock at {scale}"),
            Operation::Paused => "clock paused".to_owned(),
            Operation::Resumed => "clock goes on".to_owned(),
            Operation::Released(0) => "held segments released".to_owned(),
            Operation::Released(rule) => format!("rule {rule} released"),
            Operation::LinkChanged => "rules or impairments changed".to_owned(),
            Operation::SysctlSet => "sysctl set".to_owned(),
            Operation::TracingOn | Operation::TracingOff => return,
        };
        let leap_ns = match operation {
            Operation::Advanced(nanos) => nanos,
            _ => 0,
        };
        self.leap_ns = leap_ns;
        let row = self.new_row(event.at_ns, None);
        self.drawn.rows[row].across = Some(Across::Note(text));
        self.leap_ns = leap_ns;
    }

    /// What has not come to its end: calls, segments, states.
    fn finish(mut self, records: &Records) -> Drawn {
        let connection = self.connection;
        let still = Side::BOTH
            .map(|side| connection.state(side).filter(|&s| s != State::Closed).map(Label::Still));
        let last_ns = self.drawn.rows.last().map_or(0, |row| row.until_ns) + self.zero_ns;
        let silence = records.now_ns.saturating_sub(last_ns);
        // A state that is to be seen near the end need not be told again.
        let is_near = |side: Side| {
            let last = self.drawn.rows.iter().rev().take(MAX_ROWS_BACK);
            last.filter_map(|row| row.label[side as usize].as_ref())
                .any(|label| matches!(label, Label::State(_)))
        };
        let is_told = |side: Side| still[side as usize].is_none() || is_near(side);
        let told = silence < MIN_SILENCE_NS && Side::BOTH.into_iter().all(is_told);
        if still != [None, None] && !told {
            let row = self.new_row(records.now_ns, None);
            self.drawn.rows[row].label = still;
        }
        let landed = Side::BOTH.map(|side| self.landings.iter().any(|l| l.side == side));
        let seen = |side: Side| landed[side as usize] || connection.state(side).is_some();
        let seen = Side::BOTH.map(seen);
        // What arrived here and met no state met nobody, if all of it is known.
        let unknown = connection.opening == Opening::Unseen;
        self.drawn.tcb = landed.map(|landed| unknown || !landed);
        for flight in &mut self.drawn.flights {
            // Of what another stack receives there are no records here.
            if flight.end == Ending::Open("not arrived") && !seen[flight.from.other() as usize] {
                flight.end = Ending::Arrives(flight.start);
            }
        }
        let last = self.drawn.rows.len().saturating_sub(1);
        for side in Side::BOTH {
            self.drawn.waits[side as usize].iter_mut().for_each(|wait| wait.1 = wait.1.min(last));
        }
        self.drawn
    }
}

fn kind(segment: &Segment) -> Kind {
    match segment.sending {
        _ if segment.flags.rst() => Kind::Reset,
        Sending::Again | Sending::Probe => Kind::Again,
        Sending::First | Sending::Reply => Kind::First,
    }
}

fn toward(call: &Call) -> Toward {
    match call.api {
        Api::Accept | Api::Read => Toward::Program,
        _ => Toward::Stack,
    }
}

fn outcome(call: &Call) -> Outcome {
    if call.errno.is_some() { Outcome::Failed } else { Outcome::Well }
}
