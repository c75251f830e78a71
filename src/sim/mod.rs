//! Hosts and the wire between them on a virtual clock: for tests, fuzzing and questions of the
//! kind "what would happen if this segment were lost".
//!
//! One host that talks to itself, or several with an address each. What a host sends goes through a
//! [`Link`] of its own, so impairments and rules are those of `tcplab netem` and `tcplab rule`;
//! every segment is kept in a log. Nothing here asks a clock or the operating system: the same seed
//! and calls give the same log.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use std::collections::VecDeque;

use crate::host::{End, Host, HostEvent, Reach, Sent, SocketKey};
use crate::inspect::NetemVerb;
use crate::ipc::SocketId;
use crate::link::{Datagram, Link, Way};
use crate::tcp::FourTuple;
use crate::time::{Duration, Instant};
use crate::trace::{Call, Fate, Records};
use crate::wire::{self, Flags, SeqNum};

mod recording;
#[cfg(test)]
mod tests;

pub use self::recording::Begun;
use self::recording::Recording;

/// Deadlines handled in one [`Sim::run_for`]; more means that the machine spins.
const MAX_STEPS: usize = 1_000_000;
/// Segments kept in the log; older ones stay, newer ones are not logged.
const MAX_LOG: usize = 1 << 20;
/// Address of the first host of several; the others follow.
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// A segment as it was put on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logged {
    /// When.
    pub at: Instant,
    /// Address and port it came from.
    pub from: core::net::SocketAddr,
    /// Address and port it went to.
    pub to: core::net::SocketAddr,
    /// Sequence number.
    pub seq: SeqNum,
    /// Control bits.
    pub flags: Flags,
    /// Octets of text.
    pub text_len: usize,
    /// What the link made of it.
    pub fate: Fate,
}

impl Logged {
    /// It never arrives.
    pub fn is_lost(&self) -> bool {
        matches!(self.fate, Fate::Lost(_) | Fate::Reset(_))
    }
}

impl fmt::Display for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Logged { at, from, to, flags, text_len, .. } = self;
        write!(f, "{at:?} {from} > {to} {flags:?} len {text_len}")?;
        if self.is_lost() { write!(f, " (lost)") } else { Ok(()) }
    }
}

/// A datagram that arrives.
#[derive(Debug)]
struct Packet {
    /// Number of the host that sent it.
    origin: usize,
    from: IpAddr,
    to: IpAddr,
    octets: Vec<u8>,
    /// Number among the recorded ones, where it is one.
    serial: Option<u64>,
}

/// Hosts, wire and clock.
pub struct Sim {
    now: Instant,
    hosts: Vec<Host>,
    /// The way out of each host.
    links: Vec<Link>,
    events: Vec<Vec<HostEvent>>,
    arriving: VecDeque<Packet>,
    log: Vec<Logged>,
    recording: Option<Recording>,
}

impl Sim {
    /// One host that talks to itself.
    pub fn alone(seed: u64) -> Sim {
        Sim::with(vec![Host::new(seed)], seed)
    }

    /// Two hosts, 192.0.2.1 and 192.0.2.2.
    pub fn pair(seed: u64) -> Sim {
        let hosts = (0..2_u64).map(|number| {
            let mut host = Host::new(seed.wrapping_add(number));
            host.add_address(Sim::address(number as usize));
            host.set_reach(Reach::Anywhere);
            host
        });
        Sim::with(hosts.collect(), seed)
    }

    fn with(hosts: Vec<Host>, seed: u64) -> Sim {
        Sim {
            now: Instant::ZERO,
            events: hosts.iter().map(|_| Vec::new()).collect(),
            links: (0_u64..).zip(&hosts).map(|(n, _)| Link::new(seed.wrapping_add(n))).collect(),
            hosts,
            arriving: VecDeque::new(),
            log: Vec::new(),
            recording: None,
        }
    }

    /// Address of a host of [`Sim::pair`].
    pub fn address(number: usize) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(u32::from(FIRST_ADDRESS) + number as u32))
    }

    /// Time now.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Impairs what every host sends from now on, as `tcplab netem replace`.
    ///
    /// # Panics
    /// When the text is no impairment.
    pub fn netem(&mut self, text: &str) {
        for link in &mut self.links {
            link.set_netem(self.now, NetemVerb::Replace, text).unwrap_or_else(|e| panic!("{e}"));
        }
    }

    /// Adds a rule to the way out of every host, as `tcplab rule add`.
    ///
    /// # Panics
    /// When the text is no rule.
    pub fn rule(&mut self, text: &str) {
        for link in &mut self.links {
            link.add_rule(text).unwrap_or_else(|e| panic!("{e}"));
        }
    }

    /// Lets go what rules hold, then everything happen that takes no time. Gives how many segments.
    pub fn release(&mut self) -> u64 {
        let released = |link: &mut Link| link.release(self.now, None, None).unwrap_or(0);
        let count = self.links.iter_mut().map(released).sum();
        self.settle();
        count
    }

    /// Deletes all rules and impairments; what they have is lost.
    ///
    /// # Panics
    /// Never: there is always nothing to delete, at least.
    pub fn clear_links(&mut self) {
        for link in &mut self.links {
            let (rules, impairments) = (link.delete_rules(None), link.delete_netem(None));
            debug_assert!(rules.is_ok() && impairments.is_ok());
        }
    }

    /// Everything that was sent.
    pub fn log(&self) -> &[Logged] {
        &self.log
    }

    /// Records everything from now on.
    pub fn record(&mut self) {
        self.recording = Some(Recording::new());
    }

    /// Everything that was recorded, with the names of the programs that calls tell of.
    pub fn records(&self, programs: &[(u32, &str)]) -> Records {
        self.recording
            .as_ref()
            .map_or_else(Records::default, |recording| recording.records(self.now, programs))
    }

    /// The identity that records give a socket, where there are records.
    pub fn id(&mut self, number: usize, key: SocketKey) -> Option<SocketId> {
        self.recording.as_mut().map(|recording| recording.id(number, key))
    }

    /// A program begins a call that may take a while.
    pub fn begin_call(&mut self) -> Option<Begun> {
        self.recording.as_mut().map(Recording::begin)
    }

    /// Records a call: `begun` says when it began, where that was not now.
    pub fn record_call(&mut self, begun: Option<Begun>, call: Call) {
        if let Some(recording) = &mut self.recording {
            recording.call(self.now, begun, call);
        }
    }

    /// A host, to look at.
    pub fn host(&self, number: usize) -> &Host {
        &self.hosts[number]
    }

    /// Makes a call to a host, then lets everything happen that takes no time.
    pub fn call<T>(&mut self, number: usize, call: impl FnOnce(&mut Host, Instant) -> T) -> T {
        let result = call(&mut self.hosts[number], self.now);
        self.settle();
        result
    }

    /// Makes a call without anything else happening: two programs at the same instant.
    pub fn call_only<T>(&mut self, number: usize, call: impl FnOnce(&mut Host, Instant) -> T) -> T {
        call(&mut self.hosts[number], self.now)
    }

    /// Events of a host since the last time.
    pub fn take_events(&mut self, number: usize) -> Vec<HostEvent> {
        self.collect();
        core::mem::take(&mut self.events[number])
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..MAX_STEPS {
            self.settle();
            let Some(next) = self.next_deadline().filter(|&at| at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            for host in &mut self.hosts {
                if host.poll_timeout().is_some_and(|at| at <= self.now) {
                    host.handle_timeout(self.now);
                }
            }
        }
        panic!("more than {MAX_STEPS} deadlines in {duration:?}: the machine spins");
    }

    fn next_deadline(&self) -> Option<Instant> {
        let hosts = self.hosts.iter().filter_map(Host::poll_timeout);
        hosts.chain(self.links.iter().filter_map(Link::poll_timeout)).min()
    }

    /// Everything that takes no time: segments out, segments due in, and what they cause.
    pub fn settle(&mut self) {
        loop {
            for number in 0..self.hosts.len() {
                self.transmit(number);
            }
            self.collect();
            let Some(packet) = self.arriving.pop_front() else { return };
            self.deliver(&packet);
        }
    }

    fn collect(&mut self) {
        for (number, host) in self.hosts.iter_mut().enumerate() {
            while let Some(event) = host.poll_event() {
                self.events[number].push(event);
            }
            while let Some(note) = host.poll_note() {
                if let Some(recording) = &mut self.recording {
                    recording.host_note(self.now, number, &note);
                }
            }
        }
    }

    fn transmit(&mut self, number: usize) {
        let mut octets = Vec::new();
        loop {
            while let Some(due) = self.links[number].take_due(self.now, &mut octets) {
                let octets = core::mem::take(&mut octets);
                self.arriving.push_back(Packet {
                    origin: number,
                    from: due.from,
                    to: due.to,
                    octets,
                    serial: due.serial,
                });
            }
            let Some(sent) = self.hosts[number].poll_transmit(self.now, &mut octets) else {
                return;
            };
            let serial = self.recording.as_mut().map_or(0, Recording::new_serial);
            if self.offer(number, serial, &sent, &octets) == Way::Now {
                let octets = core::mem::take(&mut octets);
                let (from, to) = (sent.from, sent.to);
                let serial = Some(serial);
                self.arriving.push_back(Packet { origin: number, from, to, octets, serial });
            }
        }
    }

    fn offer(&mut self, number: usize, serial: u64, sent: &Sent, octets: &[u8]) -> Way {
        let &Sent { from, to, sending, .. } = sent;
        let datagram = Datagram { from, to, octets, sending, serial };
        let Ok(segment) = wire::parse(from, to, octets) else {
            panic!("a host sent what is not a segment: {datagram:?}");
        };
        let hosts = &self.hosts;
        let end_of = |tuple: &FourTuple| -> Option<End> {
            hosts[owner(hosts.len(), tuple.local.ip(), number)].end_of(tuple)
        };
        let verdict = self.links[number].offer(self.now, datagram, &end_of);
        if let Some(recording) = &mut self.recording {
            recording.sent(self.now, serial, sent, octets, verdict.fate);
        }
        if self.log.len() < MAX_LOG {
            self.log.push(Logged {
                at: self.now,
                from: (from, segment.header.source_port).into(),
                to: (to, segment.header.destination_port).into(),
                seq: segment.header.seq,
                flags: segment.header.flags,
                text_len: segment.payload.len(),
                fate: verdict.fate,
            });
        }
        verdict.way
    }

    fn deliver(&mut self, packet: &Packet) {
        let Packet { origin, from, to, octets, serial } = packet;
        if let Some(recording) = &mut self.recording {
            recording.arrived(self.now, *serial, (*from, *to), octets);
        }
        let number = owner(self.hosts.len(), *to, *origin);
        self.hosts[number].handle_datagram(self.now, *from, *to, octets);
    }
}

/// Which of so many hosts has an address; loopback is always that of the sender.
fn owner(hosts: usize, address: IpAddr, origin: usize) -> usize {
    if address.is_loopback() {
        return origin;
    }
    (0..hosts).find(|&number| Sim::address(number) == address).unwrap_or(origin)
}
