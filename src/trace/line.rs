//! Records as lines that a person reads at once: time, who, what.
//!
//! ```text
//! 0.001210  server[4711]         listen(3, 1) = 0
//! 0.001234  :40000 > :8080       CLOSED -> SYN-SENT  (connect())
//! 0.001240  :40000 > :8080       > SYN seq 0 win 65495 <mss 65468,sackOK,TS val 1 ecr 0,wscale 7>
//! 0.001261  :8080 > :40000       < SYN seq 0
//! 0.001262  :8080 > :40000       x SYN seq 0 not taken: accept queue full
//! ```
//!
//! Who: the program that makes a call; else the end of a connection at which something happens,
//! from its own address to the other one's, ports only where both are on 127.0.0.1. What begins
//! with `>` for a segment that leaves, `<` for one that arrives, `x` for one that is refused.
//! Arrivals are shown where they say something: not right after the segment left.

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use super::numbers::Numbers;
use super::record::{Arrival, Call, Fate, Record, Segment, What};
use super::words::{self, OptionsShown};

/// Segments with an unusual fate whose arrivals are waited for.
const MAX_AWAITED: usize = 4096;
/// Processes whose names are remembered; with more, all are learned anew.
const MAX_PROGRAMS: usize = 65_536;
/// Width of the second column at first, and what it grows to at most.
const WHO_WIDTH: (usize, usize) = (20, 48);

/// Which time the first column shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Time {
    /// Stack time in seconds since the stack began.
    Stack,
    /// Local time of day; the stack began that many nanoseconds after 1970.
    Wall(u64),
}

/// How much is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// What says something new.
    News,
    /// Every arrival, and every option of segments.
    All,
}

/// Makes lines of a stream of records.
#[derive(Debug)]
pub struct Lines {
    time: Time,
    detail: Detail,
    programs: BTreeMap<u32, String>,
    numbers: Numbers,
    awaited: BTreeSet<u64>,
    width: usize,
    /// Stack time and real time of the last line, in nanoseconds.
    last: Option<(u64, u64)>,
}

impl Lines {
    /// Lines with that time and detail.
    pub fn new(time: Time, detail: Detail) -> Lines {
        Lines {
            time,
            detail,
            programs: BTreeMap::new(),
            numbers: Numbers::default(),
            awaited: BTreeSet::new(),
            width: WHO_WIDTH.0,
            last: None,
        }
    }

    /// Learns the name of the program that a process runs.
    pub fn learn_program(&mut self, pid: u32, name: String) {
        if self.programs.len() >= MAX_PROGRAMS {
            self.programs.clear();
        }
        self.programs.insert(pid, name);
    }

    /// Learns from a record that is not shown.
    pub fn learn(&mut self, record: &Record) {
        if let What::Segment(segment) = &record.what {
            self.numbers.learn(segment);
            if segment.fate != Fate::Passed {
                if self.awaited.len() >= MAX_AWAITED {
                    self.awaited.pop_first();
                }
                self.awaited.insert(segment.serial);
            }
        }
    }

    /// The line of a record, without its end; none where it says nothing new.
    pub fn line(&mut self, record: &Record) -> Option<String> {
        self.learn(record);
        if let What::Arrival(arrival) = &record.what
            && !self.shows(arrival)
        {
            return None;
        }
        let who = self.who(&record.what);
        self.width = self.width.max(who.len().min(WHO_WIDTH.1));
        let mut line = self.time(record);
        let _ = write!(line, "  {who:<width$}  {}", self.what(&record.what), width = self.width);
        Some(line)
    }

    fn shows(&self, arrival: &Arrival) -> bool {
        let unusual = arrival.serial.is_none_or(|serial| self.awaited.contains(&serial));
        unusual || self.detail == Detail::All
    }

    /// The first column.
    fn time(&mut self, record: &Record) -> String {
        // The stack learns of a call when it returns, lines are in the order of real time: the
        // line before this one tells what stack time it was.
        let at_ns = match (&record.what, self.last) {
            (What::Call(_), Some((at_ns, real_ns))) if real_ns <= record.real_ns => {
                record.at_ns.min(at_ns.saturating_add(record.real_ns - real_ns))
            }
            (What::Call(call), _) => record.at_ns.saturating_sub(call.took_ns),
            _ => record.at_ns,
        };
        self.last = Some((at_ns, record.real_ns));
        match self.time {
            Time::Stack => words::seconds(at_ns),
            Time::Wall(epoch_ns) => time_of_day(epoch_ns + record.real_ns),
        }
    }

    fn who(&self, what: &What) -> String {
        match what {
            What::Call(call) => self.caller(call),
            What::Segment(Segment { from, to, .. }) => words::pair(*from, *to),
            What::Arrival(Arrival { from, to, .. }) => words::pair(*to, *from),
            What::State(transition) => words::end(&transition.end),
            What::Timer(expiry) => words::end(&expiry.end),
            What::Dropped(refusal) => words::end(&refusal.end),
            What::Operator(_) => "tcplab".to_owned(),
        }
    }

    fn caller(&self, call: &Call) -> String {
        match (call.pid, self.programs.get(&call.pid)) {
            (0, _) => "?".to_owned(),
            (pid, Some(name)) if !name.is_empty() => format!("{name}[{pid}]"),
            (pid, _) => format!("[{pid}]"),
        }
    }

    fn what(&self, what: &What) -> String {
        let shown = match self.detail {
            Detail::News => OptionsShown::News,
            Detail::All => OptionsShown::All,
        };
        match what {
            What::Call(call) => words::call(call),
            What::Segment(segment) => format!("> {}", words::segment(segment, shown)),
            What::Arrival(arrival) => {
                let foreign =
                    if arrival.serial.is_none() { " (sent by no TCP of this stack)" } else { "" };
                format!("< {}{foreign}", words::arrival(arrival, &self.numbers))
            }
            What::State(transition) => words::transition(transition),
            What::Timer(expiry) => words::expiry(expiry),
            What::Dropped(refusal) => words::refusal(refusal, &self.numbers),
            What::Operator(operation) => words::operation(operation),
        }
    }
}

/// Local time of day with microseconds, as tcpdump prints it.
pub fn time_of_day(since_epoch_ns: u64) -> String {
    let seconds = (since_epoch_ns / 1_000_000_000).cast_signed();
    // SAFETY: localtime_r() reads one number and writes one structure, both ours; all zeros is a
    // valid one.
    let local = unsafe {
        let mut local: libc::tm = core::mem::zeroed();
        libc::localtime_r(&raw const seconds, &raw mut local);
        local
    };
    let micros = since_epoch_ns / 1000 % 1_000_000;
    format!("{:02}:{:02}:{:02}.{micros:06}", local.tm_hour, local.tm_min, local.tm_sec)
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
