//! Hosts and the wire between them on a virtual clock: for tests, fuzzing and questions of the
//! kind "what would happen if this segment were lost".
//!
//! One host that talks to itself, or several with an address each. The wire has a delay, a loss
//! rate and a filter that can drop chosen segments; every segment is kept in a log. Nothing here
//! asks a clock or the operating system: the same seed and calls give the same log.
//!
//! Not here: reordering, duplication, rate (see `link`).

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};
use std::collections::BTreeMap;

use crate::host::{Host, HostEvent, Reach};
use crate::time::{Duration, Instant};
use crate::wire::{self, Flags};

#[cfg(test)]
mod tests;

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
    /// Control bits.
    pub flags: Flags,
    /// Octets of text.
    pub text_len: usize,
    /// It never arrived.
    pub lost: bool,
}

impl fmt::Display for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Logged { at, from, to, flags, text_len, .. } = self;
        write!(f, "{at:?} {from} > {to} {flags:?} len {text_len}")?;
        if self.lost { write!(f, " (lost)") } else { Ok(()) }
    }
}

/// A datagram under way.
#[derive(Debug)]
struct Packet {
    /// Number of the host that sent it.
    origin: usize,
    from: IpAddr,
    to: IpAddr,
    octets: Vec<u8>,
}

/// Decides what is lost: `true` drops the segment.
pub type Filter = Box<dyn FnMut(&Logged) -> bool>;

/// Hosts, wire and clock.
pub struct Sim {
    now: Instant,
    hosts: Vec<Host>,
    events: Vec<Vec<HostEvent>>,
    under_way: BTreeMap<(Instant, u64), Packet>,
    sent: u64,
    delay: Duration,
    loss_permille: u32,
    random: u64,
    filter: Option<Filter>,
    log: Vec<Logged>,
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
            hosts,
            under_way: BTreeMap::new(),
            sent: 0,
            delay: Duration::ZERO,
            loss_permille: 0,
            random: seed | 1,
            filter: None,
            log: Vec::new(),
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

    /// One-way delay of segments from now on.
    pub fn set_delay(&mut self, delay: Duration) {
        self.delay = delay;
    }

    /// Share of segments lost from now on, in thousandths.
    pub fn set_loss(&mut self, permille: u32) {
        self.loss_permille = permille;
    }

    /// Drops what `filter` says; `None` drops nothing.
    pub fn set_filter(&mut self, filter: Option<Filter>) {
        self.filter = filter;
    }

    /// Everything that was sent.
    pub fn log(&self) -> &[Logged] {
        &self.log
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
        let packets = self.under_way.keys().next().map(|&(at, _)| at);
        hosts.chain(packets).min()
    }

    /// Everything that takes no time: segments out, segments due in, and what they cause.
    pub fn settle(&mut self) {
        loop {
            self.transmit();
            self.collect();
            let Some(entry) = self.under_way.first_entry() else { return };
            if entry.key().0 > self.now {
                return;
            }
            let packet = entry.remove();
            self.deliver(&packet);
        }
    }

    fn collect(&mut self) {
        for (host, events) in self.hosts.iter_mut().zip(&mut self.events) {
            while let Some(event) = host.poll_event() {
                events.push(event);
            }
        }
    }

    fn transmit(&mut self) {
        for number in 0..self.hosts.len() {
            let mut octets = Vec::new();
            while let Some((from, to)) = self.hosts[number].poll_transmit(self.now, &mut octets) {
                let octets = core::mem::take(&mut octets);
                self.send(Packet { origin: number, from, to, octets });
            }
        }
    }

    fn send(&mut self, packet: Packet) {
        let Packet { from, to, octets, .. } = &packet;
        let Ok(segment) = wire::parse(*from, *to, octets) else {
            panic!("a host sent what is not a segment: {packet:?}");
        };
        let mut logged = Logged {
            at: self.now,
            from: (*from, segment.header.source_port).into(),
            to: (*to, segment.header.destination_port).into(),
            flags: segment.header.flags,
            text_len: segment.payload.len(),
            lost: false,
        };
        logged.lost = self.is_lost() || self.filter.as_mut().is_some_and(|f| f(&logged));
        if !logged.lost {
            self.sent += 1;
            self.under_way.insert((self.now + self.delay, self.sent), packet);
        }
        if self.log.len() < MAX_LOG {
            self.log.push(logged);
        }
    }

    /// A pseudo-random share (xorshift).
    fn is_lost(&mut self) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 1000 < self.loss_permille.into()
    }

    fn deliver(&mut self, packet: &Packet) {
        let Packet { origin, from, to, octets } = packet;
        let several = 0..self.hosts.len();
        let owner = several.into_iter().find(|&number| Sim::address(number) == *to);
        let number = if to.is_loopback() { *origin } else { owner.unwrap_or(*origin) };
        self.hosts[number].handle_datagram(self.now, *from, *to, octets);
    }
}
