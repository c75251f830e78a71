//! A segment as impairments and rules see it: its header, and what is known of the ends it
//! belongs to. That is looked up only when a condition asks for it.

use core::cell::OnceCell;
use core::net::{IpAddr, SocketAddr};

use crate::host::{End, Waiting};
use crate::tcp::{FourTuple, Origin, State};
use crate::trace::Sending;
use crate::wire::{self, Flags, Segment};

/// A segment that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Address it comes from.
    pub from: IpAddr,
    /// Address it goes to.
    pub to: IpAddr,
    /// The whole TCP segment.
    pub octets: &'a [u8],
    /// Whether it was sent before.
    pub sending: Sending,
    /// The caller's number for it: what comes of it later has the same.
    pub serial: u64,
}

/// Tells what is at the local end of a 4-tuple.
pub type Ends<'a> = &'a dyn Fn(&FourTuple) -> Option<End>;

/// Which side of a connection an end is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// The side that did the active OPEN.
    Client,
    /// The side that listened.
    Server,
}

impl Role {
    fn of(origin: Origin) -> Role {
        match origin {
            Origin::Active => Role::Client,
            Origin::Passive => Role::Server,
        }
    }

    pub(super) fn other(self) -> Role {
        match self {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        }
    }
}

/// Both ends of a connection, the same whoever sends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Pair {
    low: SocketAddr,
    high: SocketAddr,
}

/// A datagram that was read.
pub(super) struct Sight<'a> {
    pub(super) datagram: Datagram<'a>,
    pub(super) segment: Segment<'a>,
    /// Seen from the sender.
    pub(super) tuple: FourTuple,
    ends: Ends<'a>,
    sender: OnceCell<Option<End>>,
    receiver: OnceCell<Option<End>>,
}

impl<'a> Sight<'a> {
    /// `None`: it is not a segment.
    pub(super) fn of(datagram: Datagram<'a>, ends: Ends<'a>) -> Option<Sight<'a>> {
        let segment = wire::read(datagram.octets)?;
        let tuple = FourTuple {
            local: SocketAddr::new(datagram.from, segment.header.source_port),
            remote: SocketAddr::new(datagram.to, segment.header.destination_port),
        };
        let (sender, receiver) = (OnceCell::new(), OnceCell::new());
        Some(Sight { datagram, segment, tuple, ends, sender, receiver })
    }

    pub(super) fn flags(&self) -> Flags {
        self.segment.header.flags
    }

    pub(super) fn text_len(&self) -> usize {
        self.segment.payload.len()
    }

    fn sender(&self) -> Option<End> {
        *self.sender.get_or_init(|| (self.ends)(&self.tuple))
    }

    fn receiver(&self) -> Option<End> {
        let FourTuple { local, remote } = self.tuple;
        let reverse = FourTuple { local: remote, remote: local };
        *self.receiver.get_or_init(|| (self.ends)(&reverse))
    }

    /// State of the end that sends; CLOSED where there is none.
    pub(super) fn state(&self) -> State {
        self.sender().map_or(State::Closed, |end| end.state)
    }

    /// State of the end that it goes to.
    pub(super) fn peer_state(&self) -> State {
        self.receiver().map_or(State::Closed, |end| end.state)
    }

    /// Role of the sender. A SYN tells it, else the ends do, or a listener on one of the ports.
    pub(super) fn role(&self) -> Option<Role> {
        let flags = self.flags();
        if flags.syn() {
            return Some(if flags.ack() { Role::Server } else { Role::Client });
        }
        let connected = |end: Option<End>| end.filter(|end| end.state != State::Listen);
        let (own, other) = (self.sender(), self.receiver());
        let role = |end: Option<End>| end.map(|end| Role::of(end.origin));
        role(connected(own))
            .or_else(|| role(connected(other)).map(Role::other))
            .or_else(|| role(own))
            .or_else(|| role(other).map(Role::other))
    }

    /// It acknowledges the FIN of the end that it goes to. Where that end is gone, its sender
    /// tells: one that has got the FIN acknowledges it in everything it sends.
    pub(super) fn acknowledges_fin(&self) -> bool {
        if !self.flags().ack() || self.flags().rst() {
            return false;
        }
        match self.receiver().filter(|end| end.state != State::Listen) {
            Some(end) => end.fin_end.is_some_and(|fin| !self.segment.header.ack.before(fin)),
            None => matches!(
                self.state(),
                State::CloseWait | State::LastAck | State::Closing | State::TimeWait
            ),
        }
    }

    /// The connection that it goes to waits in the accept queue, or will when it is there.
    pub(super) fn is_for_accept_queue(&self) -> bool {
        let flags = self.flags();
        match self.receiver().map(|end| end.waiting) {
            Some(Waiting::AcceptQueue) => !flags.rst(),
            Some(Waiting::SynQueue) => flags.ack() && !flags.syn() && !flags.rst(),
            Some(Waiting::No) | None => false,
        }
    }

    pub(super) fn pair(&self) -> Pair {
        let FourTuple { local, remote } = self.tuple;
        Pair { low: local.min(remote), high: local.max(remote) }
    }

    /// A new connection begins.
    pub(super) fn opens(&self) -> bool {
        let flags = self.flags();
        flags.syn() && !flags.ack() && self.datagram.sending == Sending::First
    }
}
