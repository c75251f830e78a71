//! Two TCBs with a link between them, on a virtual clock. Everything random comes from a seed.

use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeMap;

use crate::tcp::{Config, Event, FourTuple, ListenVerdict, Release, State, Tcb, arrives_in_listen};
use crate::time::{Duration, Instant};
use crate::wire::{Segment, SeqNum, emit, parse};

const ADDRESS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2))];
const PORT: [u16; 2] = [40_000, 80];

/// splitmix64.
#[derive(Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(super) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// Which end.
pub(super) const A: usize = 0;
pub(super) const B: usize = 1;

/// What the link does to a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Pass,
    Drop,
    Delay(Duration),
}

type Rule = Box<dyn FnMut(usize, &Segment<'_>) -> Fate>;

/// Chances in percent, and delays.
#[derive(Clone, Copy)]
pub(super) struct Link {
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) loss: u64,
    pub(super) duplication: u64,
}

impl Default for Link {
    fn default() -> Link {
        Link { delay: Duration::from_millis(5), jitter: Duration::ZERO, loss: 0, duplication: 0 }
    }
}

/// One end: TCB, what its program has read, what happened.
pub(super) struct End {
    pub(super) tcb: Option<Tcb>,
    pub(super) config: Config,
    pub(super) read: Vec<u8>,
    pub(super) events: Vec<Event>,
    /// The program reads whatever comes.
    pub(super) reads: bool,
}

impl End {
    pub(super) fn tcb(&mut self) -> &mut Tcb {
        self.tcb.as_mut().expect("this end has a connection")
    }

    pub(super) fn state(&self) -> State {
        self.tcb.as_ref().map_or(State::Closed, Tcb::state)
    }

    /// States in the order in which they were entered.
    pub(super) fn states(&self) -> Vec<State> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::State { to, .. } => Some(*to),
                _ => None,
            })
            .collect()
    }
}

/// The two ends. `A` opens actively, `B` listens.
pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) ends: [End; 2],
    pub(super) link: Link,
    pub(super) rule: Rule,
    pub(super) random: Random,
    /// One line a segment sent.
    pub(super) trace: Vec<String>,
    in_flight: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
}

impl Pair {
    pub(super) fn new(seed: u64, config: &Config) -> Pair {
        let end = || End {
            tcb: None,
            config: config.clone(),
            read: Vec::new(),
            events: Vec::new(),
            reads: true,
        };
        Pair {
            now: Instant::from_nanos(1_000_000_000),
            ends: [end(), end()],
            link: Link::default(),
            rule: Box::new(|_, _| Fate::Pass),
            random: Random(seed),
            trace: Vec::new(),
            in_flight: BTreeMap::new(),
            sent: 0,
        }
    }

    /// A pair whose handshake is over.
    pub(super) fn established(seed: u64, config: &Config) -> Pair {
        let mut pair = Pair::new(seed, config);
        pair.connect(A);
        pair.run_for(Duration::from_millis(100));
        assert_eq!(pair.ends[A].state(), State::Established);
        assert_eq!(pair.ends[B].state(), State::Established);
        pair.trace.clear();
        pair
    }

    pub(super) fn tuple(end: usize) -> FourTuple {
        let at = |end: usize| (ADDRESS[end], PORT[end]).into();
        FourTuple { local: at(end), remote: at(1 - end) }
    }

    /// Active OPEN at `end`.
    pub(super) fn connect(&mut self, end: usize) {
        let iss = SeqNum(self.random.next() as u32);
        let offset = self.random.next() as u32;
        let config = self.ends[end].config.clone();
        let tcb = Tcb::connect(self.now, config, Pair::tuple(end), iss, offset);
        self.ends[end].tcb = Some(tcb);
        self.drain();
    }

    /// A call of the program at `end`.
    pub(super) fn call<R>(&mut self, end: usize, call: impl FnOnce(&mut Tcb, Instant) -> R) -> R {
        let now = self.now;
        let result = call(self.ends[end].tcb(), now);
        self.drain();
        result
    }

    pub(super) fn send(&mut self, end: usize, octets: &[u8]) -> usize {
        self.call(end, |tcb, now| tcb.send(now, octets))
    }

    pub(super) fn shutdown(&mut self, end: usize) {
        self.call(end, |tcb, now| tcb.shutdown_write(now));
    }

    pub(super) fn close(&mut self, end: usize) {
        self.call(end, |tcb, now| tcb.release(now, Release::Graceful));
    }

    pub(super) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.run_until(end, |_| false);
        self.now = end;
    }

    /// Runs until `done`, or until `end`; says whether it was done.
    pub(super) fn run_until(
        &mut self,
        end: Instant,
        mut done: impl FnMut(&mut Pair) -> bool,
    ) -> bool {
        loop {
            if done(self) {
                return true;
            }
            let arrival = self.in_flight.keys().next().map(|&(at, _)| at);
            let timers = self.ends.iter().filter_map(|end| end.tcb.as_ref()?.poll_timeout());
            let Some(at) = timers.chain(arrival).min().filter(|&at| at <= end) else {
                return false;
            };
            self.now = self.now.max(at);
            self.step();
        }
    }

    fn step(&mut self) {
        let due = self.in_flight.first_entry().filter(|entry| entry.key().0 <= self.now);
        if let Some(entry) = due {
            let (to, octets) = entry.remove();
            self.deliver(to, &octets);
        } else {
            let now = self.now;
            for end in &mut self.ends {
                if let Some(tcb) = &mut end.tcb {
                    tcb.handle_timeout(now);
                }
            }
        }
        self.drain();
    }

    fn deliver(&mut self, to: usize, octets: &[u8]) {
        let segment = parse(ADDRESS[1 - to], ADDRESS[to], octets).expect("what was sent is right");
        let end = &mut self.ends[to];
        if let Some(tcb) = &mut end.tcb {
            tcb.handle_segment(self.now, &segment);
        } else if arrives_in_listen(&segment) == ListenVerdict::Open {
            let iss = SeqNum(self.random.next() as u32);
            let offset = self.random.next() as u32;
            let config = end.config.clone();
            end.tcb = Some(Tcb::accept(self.now, config, Pair::tuple(to), iss, offset, &segment));
        }
    }

    /// Segments onto the link, octets to the programs, events into the logs.
    pub(super) fn drain(&mut self) {
        for from in [A, B] {
            loop {
                self.transmit(from);
                let end = &mut self.ends[from];
                let Some(tcb) = &mut end.tcb else { break };
                let had = end.events.len();
                end.events.extend(core::iter::from_fn(|| tcb.poll_event()));
                let (first, second) = tcb.received();
                let len = first.len() + second.len();
                if end.reads && len > 0 {
                    end.read.extend_from_slice(first);
                    end.read.extend_from_slice(second);
                    tcb.consume(self.now, len);
                    tcb.set_unread(self.now, 0);
                } else if end.events.len() == had {
                    break;
                }
            }
        }
    }

    fn transmit(&mut self, from: usize) {
        let mut octets = Vec::new();
        while let Some(tcb) = &mut self.ends[from].tcb {
            let Some(out) = tcb.poll_transmit(self.now) else { break };
            octets.clear();
            emit(ADDRESS[from], ADDRESS[1 - from], &out.header, out.payload, &mut octets);
            self.offer(from, &octets);
        }
    }

    fn offer(&mut self, from: usize, octets: &[u8]) {
        let segment = parse(ADDRESS[from], ADDRESS[1 - from], octets).expect("emit makes segments");
        let header = &segment.header;
        self.trace.push(format!(
            "{:?} {from} {} seq={} ack={} len={} win={} {:?}",
            self.now,
            header.flags,
            header.seq.0,
            header.ack.0,
            segment.payload.len(),
            header.window,
            header.options
        ));
        let extra = match (self.rule)(from, &segment) {
            Fate::Drop => return,
            Fate::Delay(extra) => extra,
            Fate::Pass => Duration::ZERO,
        };
        if self.random.percent(self.link.loss) {
            return;
        }
        let copies = 1 + u64::from(self.random.percent(self.link.duplication));
        for _ in 0..copies {
            let jitter_ns = self.random.below(self.link.jitter.as_nanos() as u64 + 1);
            let at = self.now + self.link.delay + extra + Duration::from_nanos(jitter_ns);
            self.sent += 1;
            self.in_flight.insert((at, self.sent), (1 - from, octets.to_vec()));
        }
    }
}

/// Octets that are different everywhere.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    let mut random = Random(len as u64);
    (0..len.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).take(len).collect()
}

/// Sends all of `octets` from `end` as buffers allow; whether the other end has read them by
/// `limit`.
pub(super) fn transfer(pair: &mut Pair, end: usize, octets: &[u8], limit: Duration) -> bool {
    let before = pair.ends[1 - end].read.len();
    let mut given = 0;
    let deadline = pair.now + limit;
    let done = pair.run_until(deadline, |pair| {
        if given < octets.len() && pair.ends[end].tcb().send_space() > 0 {
            given += pair.send(end, &octets[given..]);
        }
        pair.ends[1 - end].read.len() >= before + octets.len()
    });
    done && pair.ends[1 - end].read[before..] == *octets
}
