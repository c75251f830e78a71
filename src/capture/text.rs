//! Segments as one-liners, as tcpdump(8) prints them, and between them what only the stack knows:
//! changes of state, what was dropped and why, timers.

use core::fmt::Write as _;
use core::net::SocketAddr;

use super::{Clock, Point};
use crate::trace::line::time_of_day;
use crate::trace::{Arrival, Fate, Numbers, Record, Segment, What, words};
use crate::wire::{Flags, Options, SeqNum};

/// How numbers are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counting {
    /// From the SYN on, as tcpdump does.
    Relative,
    /// As on the wire, as `tcpdump -S` does.
    Absolute,
}

/// How much is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verbosity {
    /// Segments, states, drops.
    Normal,
    /// Timers and operations on the stack, too.
    Verbose,
}

/// Makes lines of a stream of records.
#[derive(Debug)]
pub struct Text {
    /// Where segments are looked at.
    pub at: Point,
    /// Which time is written.
    pub clock: Clock,
    /// Wall-clock time of the beginning of the stack, nanoseconds since 1970.
    pub epoch_ns: u64,
    /// How sequence numbers are counted.
    pub counting: Counting,
    /// How much is said.
    pub verbosity: Verbosity,
    /// What is known of sequence numbers.
    pub numbers: Numbers,
}

impl Text {
    /// Learns from a record that is not shown.
    pub fn learn(&mut self, record: &Record) {
        if let What::Segment(segment) = &record.what {
            self.numbers.learn(segment);
        }
    }

    /// The line of a record, without its end; none where it is none that is shown.
    pub fn line(&mut self, record: &Record) -> Option<String> {
        self.learn(record);
        let verbose = self.verbosity == Verbosity::Verbose;
        let what = match &record.what {
            What::Segment(segment) if self.at.sees_sent() => self.segment(segment),
            What::Arrival(arrival) if self.at.sees_arrived() || arrival.serial.is_none() => {
                self.arrival(arrival)
            }
            What::State(change) => about(&words::end(&change.end), &words::transition(change)),
            What::Dropped(refusal) => {
                about(&words::end(&refusal.end), &words::refusal(refusal, &self.numbers))
            }
            What::Timer(expiry) if verbose => {
                about(&words::end(&expiry.end), &words::expiry(expiry))
            }
            What::Operator(operation) if verbose => about("tcplab", &words::operation(operation)),
            _ => return None,
        };
        Some(format!("{} {what}", self.time(record)))
    }

    fn time(&self, record: &Record) -> String {
        match self.clock {
            Clock::Wall => time_of_day(self.epoch_ns + record.real_ns),
            Clock::Stack => words::seconds(record.at_ns),
        }
    }

    /// With both points in one text the direction is told, as tcpdump does on `any`.
    fn direction(&self, word: &'static str) -> &'static str {
        if self.at == Point::Both { word } else { "" }
    }

    fn segment(&self, segment: &Segment) -> String {
        let mut text = self.direction("Out ").to_owned();
        text.push_str(&ends(segment.from, segment.to));
        let numbers = [segment.seq, segment.ack];
        text.push_str(&self.header(
            (segment.from, segment.to),
            segment.flags,
            numbers,
            segment.text_len,
        ));
        let _ = write!(text, ", win {}", segment.window);
        text.push_str(&self.options(segment));
        let _ = write!(text, ", length {}", segment.text_len);
        for remark in words::remarks(segment) {
            let _ = write!(text, " ({remark})");
        }
        if segment.fate != Fate::Passed
            && let Some(fate) = words::fate(segment)
        {
            let _ = write!(text, " [{}]", fate.trim_start_matches("x "));
        }
        text
    }

    fn arrival(&self, arrival: &Arrival) -> String {
        let mut text = self.direction("In  ").to_owned();
        text.push_str(&ends(arrival.from, arrival.to));
        let numbers = [arrival.seq, arrival.ack];
        text.push_str(&self.header(
            (arrival.from, arrival.to),
            arrival.flags,
            numbers,
            arrival.text_len,
        ));
        let _ = write!(text, ", length {}", arrival.text_len);
        if arrival.serial.is_none() {
            text.push_str(" [sent by no TCP of this stack]");
        }
        text
    }

    fn header(
        &self,
        (from, to): (SocketAddr, SocketAddr),
        flags: Flags,
        numbers: [u32; 2],
        text_len: u32,
    ) -> String {
        // tcpdump shows where counting begins.
        let absolute = self.counting == Counting::Absolute || flags.syn();
        let relative = self.numbers.relative(from, to, numbers);
        let [seq, ack] = if absolute { numbers } else { relative };
        let mut text = format!(": Flags [{}]", flag_letters(flags));
        let marks = flags.intersects(Flags::SYN | Flags::FIN | Flags::RST);
        if text_len > 0 {
            let _ = write!(text, ", seq {seq}:{}", seq.wrapping_add(text_len));
        } else if marks || !flags.ack() {
            let _ = write!(text, ", seq {seq}");
        }
        if flags.ack() {
            let _ = write!(text, ", ack {ack}");
        }
        text
    }

    fn options(&self, segment: &Segment) -> String {
        let Options { mss, window_scale, sack_permitted, timestamps, .. } = segment.options;
        let mut words = Vec::new();
        words.extend(mss.map(|mss| format!("mss {mss}")));
        words.extend(sack_permitted.then(|| "sackOK".to_owned()));
        words.extend(timestamps.map(|stamp| format!("TS val {} ecr {}", stamp.val, stamp.ecr)));
        words.extend(window_scale.map(|shift| format!("wscale {shift}")));
        let base = match self.counting {
            Counting::Relative => segment.peer_isn.unwrap_or(0),
            Counting::Absolute => 0,
        };
        let block = |(left, right): (SeqNum, SeqNum)| {
            format!("{{{}:{}}}", left.0.wrapping_sub(base), right.0.wrapping_sub(base))
        };
        let blocks: Vec<String> = segment.options.sack_blocks().map(block).collect();
        if !blocks.is_empty() {
            words.push(format!("sack {} {}", blocks.len(), blocks.concat()));
        }
        if words.is_empty() { String::new() } else { format!(", options [{}]", words.join(",")) }
    }
}

/// A line between the segments.
fn about(who: &str, what: &str) -> String {
    format!("   {who}: {what}")
}

/// `IP 127.0.0.1.40000 > 127.0.0.1.8080`
fn ends(from: SocketAddr, to: SocketAddr) -> String {
    let version = if from.is_ipv6() { "IP6" } else { "IP" };
    format!("{version} {}.{} > {}.{}", from.ip(), from.port(), to.ip(), to.port())
}

/// `S.`, `P.`, `.` as tcpdump writes them.
fn flag_letters(flags: Flags) -> String {
    let letters = [
        (Flags::FIN, 'F'),
        (Flags::SYN, 'S'),
        (Flags::RST, 'R'),
        (Flags::PSH, 'P'),
        (Flags::ACK, '.'),
        (Flags::URG, 'U'),
        (Flags::ECE, 'E'),
        (Flags::CWR, 'W'),
    ];
    let text: String = letters
        .iter()
        .filter(|(flag, _)| flags.contains(*flag))
        .map(|(_, letter)| *letter)
        .collect();
    if text.is_empty() { "none".to_owned() } else { text }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
