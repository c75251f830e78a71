//! The link as its users see it: segments are offered, and come out, or not.

mod bounds;
mod netem;
mod rules;
mod words;

use core::net::IpAddr;

use super::{Datagram, Due, Link, Verdict, Way};
use crate::host::{End, Waiting};
use crate::inspect::{NetemRow, NetemVerb, RuleRow};
use crate::tcp::{FourTuple, Origin, State};
use crate::time::{Duration, Instant};
use crate::trace::{Agent, Fate, Sending};
use crate::wire::{self, Flags, Header, Options, Segment, SeqNum};

const MS: Duration = Duration::from_millis(1);
const CLIENT_PORT: u16 = 40_000;
const SERVER_PORT: u16 = 80;

fn loopback() -> IpAddr {
    "127.0.0.1".parse().unwrap()
}

/// A segment to offer.
#[derive(Clone, Copy, Debug)]
struct Sample {
    ports: (u16, u16),
    flags: Flags,
    seq: u32,
    ack: u32,
    text: &'static [u8],
    sending: Sending,
}

const ACK: Flags = Flags::ACK;

/// From the client at port 40000 to the server at port 80.
fn client(flags: Flags, text: &'static [u8]) -> Sample {
    let ports = (CLIENT_PORT, SERVER_PORT);
    Sample { ports, flags, seq: 1000, ack: 5000, text, sending: Sending::First }
}

/// From the server at port 80 to the client at port 40000.
fn server(flags: Flags, text: &'static [u8]) -> Sample {
    let ports = (SERVER_PORT, CLIENT_PORT);
    Sample { ports, flags, seq: 5000, ack: 1000, text, sending: Sending::First }
}

impl Sample {
    fn at(self, seq: u32) -> Sample {
        Sample { seq, ..self }
    }

    fn again(self) -> Sample {
        Sample { sending: Sending::Again, ..self }
    }

    fn client_port(self, port: u16) -> Sample {
        let (from, to) = self.ports;
        let other = |p: u16| if p == CLIENT_PORT { port } else { p };
        Sample { ports: (other(from), other(to)), ..self }
    }

    fn octets(self) -> Vec<u8> {
        let header = Header {
            source_port: self.ports.0,
            destination_port: self.ports.1,
            seq: SeqNum(self.seq),
            ack: SeqNum(self.ack),
            flags: self.flags,
            window: 1000,
            urgent: 0,
            options: Options::default(),
        };
        let mut octets = Vec::new();
        wire::emit(loopback(), loopback(), &header, (self.text, &[]), &mut octets);
        octets
    }
}

/// A link, its time, and what is at the ends.
struct Bench {
    link: Link,
    now: Instant,
    serial: u64,
    client: (State, Waiting),
    server: (State, Waiting),
    /// Of both ends.
    fin_end: Option<SeqNum>,
}

impl Bench {
    fn new() -> Bench {
        let open = (State::Established, Waiting::No);
        Bench {
            link: Link::new(7),
            now: Instant::ZERO,
            serial: 0,
            client: open,
            server: open,
            fin_end: None,
        }
    }

    fn with_rule(rule: &str) -> Bench {
        let mut bench = Bench::new();
        bench.rule(rule);
        bench
    }

    fn with_netem(netem: &str) -> Bench {
        let mut bench = Bench::new();
        bench.netem(netem);
        bench
    }

    fn rule(&mut self, rule: &str) {
        self.link.add_rule(rule).unwrap_or_else(|error| panic!("{error}"));
    }

    fn netem(&mut self, netem: &str) -> NetemRow {
        let set = self.link.set_netem(self.now, NetemVerb::Replace, netem);
        set.unwrap_or_else(|error| panic!("{error}"))
    }

    fn row(&self) -> RuleRow {
        self.link.rule_rows().remove(0)
    }

    fn offer(&mut self, sample: Sample) -> Verdict {
        self.offer_octets(&sample.octets(), sample.sending)
    }

    fn offer_octets(&mut self, octets: &[u8], sending: Sending) -> Verdict {
        self.serial += 1;
        let (client, server, fin_end) = (self.client, self.server, self.fin_end);
        let ends = move |tuple: &FourTuple| {
            let ((state, waiting), origin) = match tuple.local.port() {
                SERVER_PORT => (server, Origin::Passive),
                _ => (client, Origin::Active),
            };
            (state != State::Closed).then_some(End { state, origin, waiting, fin_end })
        };
        let (from, to, serial) = (loopback(), loopback(), self.serial);
        self.link.offer(self.now, Datagram { from, to, octets, sending, serial }, &ends)
    }

    fn fate(&mut self, sample: Sample) -> Fate {
        self.offer(sample).fate
    }

    fn passes(&mut self, sample: Sample) -> bool {
        self.offer(sample) == Verdict { way: Way::Now, fate: Fate::Passed }
    }

    fn is_dropped(&mut self, sample: Sample) -> bool {
        matches!(self.offer(sample), Verdict { way: Way::Kept, fate: Fate::Lost(Agent::Rule(_)) })
    }

    /// Lets time pass to the next due segment; the segment.
    fn next(&mut self) -> Option<(Duration, Due, Vec<u8>)> {
        let due_at = self.link.poll_timeout()?;
        self.now = self.now.max(due_at);
        let mut out = Vec::new();
        let due = self.link.take_due(self.now, &mut out).expect("it said so");
        Some((self.now.since(Instant::ZERO), due, out))
    }

    /// Everything that is due now.
    fn due_now(&mut self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut out = Vec::new();
        while self.link.take_due(self.now, &mut out).is_some() {
            all.push(out.clone());
        }
        all
    }

    /// Serial numbers in the order in which they leave, with the times.
    fn departures(&mut self) -> Vec<(Duration, u64)> {
        core::iter::from_fn(|| self.next())
            .map(|(at, due, _)| (at, due.serial.expect("nothing is forged")))
            .collect()
    }
}

fn parse(octets: &[u8]) -> Segment<'_> {
    wire::parse(loopback(), loopback(), octets).expect("a good segment")
}

#[test]
fn a_link_without_anything_is_transparent() {
    let mut bench = Bench::new();
    assert!(bench.link.is_transparent());
    bench.rule("hold any");
    assert!(!bench.link.is_transparent());
    bench.offer(client(ACK, b"x"));
    bench.link.release(bench.now, None, None).unwrap();
    bench.link.delete_rules(None).unwrap();
    // A segment that was let go is still on its way.
    assert!(!bench.link.is_transparent());
    assert_eq!(bench.due_now().len(), 1);
    assert!(bench.link.is_transparent());
    assert_eq!(bench.link.poll_timeout(), None);
}

#[test]
fn what_passes_the_rules_goes_through_the_impairment() {
    let mut bench = Bench::with_netem("delay 10ms");
    bench.rule("duplicate data");
    let copied = Fate::Copied(Agent::Rule(1), 1);
    assert_eq!(bench.offer(client(ACK, b"x")), Verdict { way: Way::Kept, fate: copied });
    assert_eq!(bench.departures(), [(10 * MS, 1), (10 * MS, 1)]);
}

#[test]
fn a_rst_that_follows_a_segment_stays_behind_it() {
    let mut bench = Bench::with_netem("delay 10ms");
    bench.rule("reset receiver data");
    bench.offer(client(ACK, b"abc"));
    let (at, due, octets) = bench.next().unwrap();
    assert_eq!((at, due.serial, parse(&octets).payload), (10 * MS, Some(1), &b"abc"[..]));
    let (at, due, octets) = bench.next().unwrap();
    assert_eq!((at, due.serial), (10 * MS, None));
    assert!(parse(&octets).header.flags.rst());
}
