//! One impairment at work: what sch_netem does to the packets of an interface (tc-netem(8)).
//!
//! A packet is, in this order: duplicated or lost; corrupted; refused where `limit` are queued;
//! sent at once as one out of `gap` (reorder) or given a due time (delay, rate); and, with `slot`,
//! kept until a slot opens. Packets leave in the order of their due times, so jitter reorders them.
//!
//! The length of a packet, for `rate`, `slot` and the statistics, is that of TCP segment and IP
//! header; `packetoverhead 14` adds an Ethernet header. `change` sets every parameter anew, and
//! packets that are queued keep their due times. Not here: ECN marks, child qdiscs.

mod distribution;
mod loss;
mod parse;
mod spec;

use self::distribution::Distribution;
use self::loss::Losing;
use self::spec::{Opening, Slot};
use super::forge;
use super::queue::{Parcel, Queue, Store};
use super::random::{Dice, Drawn};
use super::sight::{Datagram, Sight};
use super::{Verdict, Way};
use crate::inspect::NetemRow;
use crate::time::Instant;
use crate::trace::{Agent, Fate};

pub use self::parse::GRAMMAR;

pub(super) use self::parse::Impairment;

/// Octets of an IPv4 and of an IPv6 header.
const IP_HEADER: (usize, usize) = (20, 40);

fn packet_len(to: core::net::IpAddr, segment_len: usize) -> usize {
    segment_len + if to.is_ipv4() { IP_HEADER.0 } else { IP_HEADER.1 }
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    sent_octets: u64,
    sent_packets: u64,
    overflowed: u64,
    lost: u64,
    duplicated: u64,
    corrupted: u64,
    reordered: u64,
}

/// The slot that is open, or opens next.
#[derive(Clone, Copy, Debug)]
struct OpenSlot {
    opens: Instant,
    packets_left: u32,
    octets_left: i64,
}

/// Numbers drawn last, each for the correlation of its own parameter.
#[derive(Clone, Debug)]
struct Memory {
    delay: Drawn,
    duplicate: Drawn,
    corrupt: Drawn,
    reorder: Drawn,
    losing: Losing,
}

/// An impairment.
#[derive(Debug)]
pub(super) struct Netem {
    pub(super) handle: u32,
    pub(super) impairment: Impairment,
    seed: u64,
    dice: Dice,
    memory: Memory,
    /// Packets since the last that was reordered.
    since_reordered: u32,
    queue: Queue,
    slot: Option<OpenSlot>,
    counts: Counts,
}

/// Whether a packet may be duplicated: a duplicate is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Original,
    Duplicate,
}

impl Netem {
    pub(super) fn new(now: Instant, handle: u32, impairment: Impairment, seed: u64) -> Netem {
        let mut dice = Dice::new(seed);
        let mut netem = Netem {
            handle,
            memory: Memory::new(&mut dice),
            impairment: Impairment::default(),
            seed,
            dice,
            since_reordered: 0,
            queue: Queue::default(),
            slot: None,
            counts: Counts::default(),
        };
        netem.change(now, impairment);
        netem
    }

    /// Sets every parameter anew; the random numbers begin again where a seed is given.
    pub(super) fn change(&mut self, now: Instant, impairment: Impairment) {
        if let Some(seed) = impairment.spec.seed {
            self.seed = seed;
            self.dice = Dice::new(seed);
            self.memory = Memory::new(&mut self.dice);
        }
        self.since_reordered = 0;
        self.slot = impairment.spec.slot.map(|slot| OpenSlot::at(now, slot));
        self.impairment = impairment;
    }

    pub(super) fn fits(&self, sight: Option<&Sight<'_>>) -> bool {
        let scope = &self.impairment.scope;
        scope.is_empty() || sight.is_some_and(|sight| scope.iter().all(|s| s.fits(sight)))
    }

    /// Of several that fit the one with most conditions is the one that counts.
    pub(super) fn precision(&self) -> usize {
        self.impairment.scope.len()
    }

    /// A packet comes.
    pub(super) fn offer(
        &mut self,
        now: Instant,
        datagram: &Datagram<'_>,
        store: &mut Store,
    ) -> Verdict {
        self.enqueue(now, datagram, Kind::Original, store)
    }

    fn enqueue(
        &mut self,
        now: Instant,
        datagram: &Datagram<'_>,
        kind: Kind,
        store: &mut Store,
    ) -> Verdict {
        let Netem { impairment, memory, dice, counts, .. } = self;
        let spec = &impairment.spec;
        let doubled = kind == Kind::Original && memory.duplicate.happens(spec.duplicate, dice);
        let lost = memory.losing.loses(spec.loss, dice);
        if lost && !doubled {
            counts.lost += 1;
            return Verdict { way: Way::Kept, fate: Fate::Lost(Agent::Netem) };
        }
        let corrupted = memory.corrupt.happens(spec.corrupt, dice);
        if self.queue.len() >= spec.limit as usize {
            counts.overflowed += 1;
            return Verdict { way: Way::Kept, fate: Fate::Lost(Agent::Queue) };
        }
        let doubled = doubled && !lost;
        if doubled {
            counts.duplicated += 1;
            self.enqueue(now, datagram, Kind::Duplicate, store);
        }
        let due = self.due_time(now, datagram);
        let straight = kind == Kind::Original && !corrupted;
        if straight && due.is_none_or(|due| due <= now && self.is_free(now)) {
            self.count_sent(packet_len(datagram.to, datagram.octets.len()));
            let fate = if doubled { Fate::Copied(Agent::Netem, 1) } else { Fate::Passed };
            return Verdict { way: Way::Now, fate };
        }
        let due = due.unwrap_or(now);
        if !store.reserve(datagram.octets.len()) {
            self.counts.overflowed += 1;
            return Verdict { way: Way::Kept, fate: Fate::Lost(Agent::Queue) };
        }
        let mut octets: Box<[u8]> = datagram.octets.into();
        if corrupted {
            self.counts.corrupted += 1;
            forge::flip_bit(&mut octets, &mut self.dice);
        }
        let Datagram { from, to, serial, .. } = *datagram;
        self.queue.push(due, Parcel { from, to, octets, serial: Some(serial) });
        self.look_at_slot(now);
        let fate = match (corrupted, doubled) {
            (true, _) => Fate::Corrupted(Agent::Netem),
            (_, true) => Fate::Copied(Agent::Netem, 1),
            _ => Fate::Delayed(Agent::Netem, due.as_nanos()),
        };
        Verdict { way: Way::Kept, fate }
    }

    /// When the packet may leave; `None`: at once, before all others.
    fn due_time(&mut self, now: Instant, datagram: &Datagram<'_>) -> Option<Instant> {
        let Netem { impairment, memory, dice, .. } = self;
        let spec = &impairment.spec;
        let reorder = spec.reorder;
        let jumps = reorder.gap > 0
            && self.since_reordered >= reorder.gap - 1
            && reorder.chance.share.0 >= memory.reorder.next(reorder.chance.correlation, dice);
        if jumps {
            self.since_reordered = 0;
            self.counts.reordered += 1;
            return None;
        }
        self.since_reordered = self.since_reordered.saturating_add(1);
        let delay = spec.delay;
        let mut due = now;
        if delay.jitter.is_zero() {
            due = due + delay.mean;
        } else {
            let number = memory.delay.next(delay.correlation, dice);
            let distribution = delay.distribution.unwrap_or_default();
            due = due + distribution.spread(delay.mean, delay.jitter, number);
        }
        if let Some(rate) = spec.rate {
            // The packet begins when the one before it has left.
            let free = self.queue.last_due().map_or(due, |last| last.max(due));
            due = free + rate.time_of(packet_len(datagram.to, datagram.octets.len()));
        }
        Some(due)
    }

    /// Nothing that waits here would have to go before a packet that goes now.
    fn is_free(&self, now: Instant) -> bool {
        self.slot.is_none() && self.queue.first_due().is_none_or(|due| due > now)
    }

    /// When the first packet leaves.
    pub(super) fn first_due(&self) -> Option<Instant> {
        let due = self.queue.first_due()?;
        Some(self.slot.map_or(due, |slot| slot.opens.max(due)))
    }

    /// The first packet leaves, now.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Parcel> {
        let parcel = self.queue.pop()?;
        let len = packet_len(parcel.to, parcel.octets.len());
        self.count_sent(len);
        if let Some(slot) = &mut self.slot {
            slot.packets_left = slot.packets_left.saturating_sub(1);
            slot.octets_left -= len as i64;
            if slot.packets_left == 0 || slot.octets_left <= 0 {
                self.open_slot(now);
            }
            self.look_at_slot(now);
        }
        Some(parcel)
    }

    /// A slot that was open before the first packet could leave is over.
    fn look_at_slot(&mut self, now: Instant) {
        let first = self.queue.first_due();
        if self.slot.is_some_and(|slot| first.is_some_and(|due| slot.opens < due)) {
            self.open_slot(now);
        }
    }

    fn open_slot(&mut self, now: Instant) {
        let Some(slot) = self.impairment.spec.slot else { return };
        let number = self.dice.next_u32();
        let wait = match slot.opening {
            Opening::Between(min, max) => {
                let half = (max - min) / 2;
                Distribution::Uniform.spread(min + half, half, number)
            }
            Opening::Drawn(distribution, delay, jitter) => {
                distribution.spread(delay, jitter, number)
            }
        };
        self.slot = Some(OpenSlot::at(now + wait, slot));
    }

    fn count_sent(&mut self, len: usize) {
        self.counts.sent_packets += 1;
        self.counts.sent_octets += len as u64;
    }

    /// Everything that waits, in its order: the impairment is being deleted.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Parcel> {
        self.queue.drain()
    }

    pub(super) fn row(&self) -> NetemRow {
        let Counts { sent_octets, sent_packets, overflowed, lost, .. } = self.counts;
        let Counts { duplicated, corrupted, reordered, .. } = self.counts;
        let mut spec = self.impairment.spec.clone();
        spec.seed = Some(self.seed);
        let headers = self.queue.len() * IP_HEADER.0;
        NetemRow {
            handle: format!("{:x}:", self.handle),
            scope: scope_text(&self.impairment.scope),
            parameters: spec.to_string(),
            sent_octets,
            sent_packets,
            dropped: lost + overflowed,
            overflowed,
            lost,
            duplicated,
            corrupted,
            reordered,
            queued_octets: (self.queue.octets() + headers) as u64,
            queued_packets: self.queue.len() as u64,
        }
    }
}

/// The conditions in one line, each with a space before it.
fn scope_text(scope: &[super::scope::Scope]) -> String {
    scope.iter().map(|scope| format!(" {scope}")).collect()
}

impl Memory {
    fn new(dice: &mut Dice) -> Memory {
        Memory {
            delay: Drawn::new(dice),
            duplicate: Drawn::new(dice),
            corrupt: Drawn::new(dice),
            reorder: Drawn::new(dice),
            losing: Losing::new(dice),
        }
    }
}

impl OpenSlot {
    fn at(opens: Instant, slot: Slot) -> OpenSlot {
        let or_all = |most: u32| if most == 0 { u32::MAX } else { most };
        OpenSlot {
            opens,
            packets_left: or_all(slot.packets),
            octets_left: or_all(slot.octets).into(),
        }
    }
}
