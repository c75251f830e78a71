//! Segments out: answers without a TCB first, then the connections in turn, a segment each.

use core::net::IpAddr;

use super::counters::{Counter, octets_with_ip};
use super::limits::MAX_REPLIES;
use super::sockets::Socket;
use super::{Host, SocketKey};
use crate::tcp::{Outgoing, ResetReason, State, Tcb};
use crate::time::Instant;
use crate::trace::{Sending, Weight};
use crate::wire::{self, Flags, Header, SeqNum};

/// A segment without text and without a TCB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    from: IpAddr,
    to: IpAddr,
    header: Header,
    isns: (Option<SeqNum>, Option<SeqNum>),
    sending: Sending,
    reset: Option<ResetReason>,
}

/// A segment that was written for the wire, and what only its sender knows of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sent {
    /// Address it comes from.
    pub from: IpAddr,
    /// Address it goes to.
    pub to: IpAddr,
    /// Initial sequence numbers, of the sender and of the receiver, where it has a connection and
    /// knows them.
    pub isns: (Option<SeqNum>, Option<SeqNum>),
    /// New, again, a probe, or without a connection.
    pub sending: Sending,
    /// Whether it opens, closes or disturbs a connection.
    pub weight: Weight,
    /// Why, where it is a RST.
    pub reset: Option<ResetReason>,
}

impl Host {
    /// Writes the next segment into `out` (cleared first).
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Sent> {
        out.clear();
        if let Some(reply) = self.replies.pop_front() {
            let Reply { from, to, header, isns, sending, reset } = reply;
            wire::emit(from, to, &header, (&[], &[]), out);
            self.count_sent(header.flags, from, out.len());
            return Some(Sent { from, to, isns, sending, weight: Weight::Control, reset });
        }
        while let Some(s) = self.ring.pop_front() {
            if let Some(sent) = self.transmit_of(now, s, out) {
                self.ring.push_back(s);
                return Some(sent);
            }
            self.quiet(now, s);
        }
        None
    }

    fn transmit_of(&mut self, now: Instant, s: SocketKey, out: &mut Vec<u8>) -> Option<Sent> {
        let connection = self.sockets.find_mut(s)?.connection_mut().filter(|c| !c.over)?;
        let tuple = connection.tcb.tuple();
        let isns = isns_of(&connection.tcb);
        let outgoing = connection.tcb.poll_transmit(now)?;
        let (from, to) = (tuple.local.ip(), tuple.remote.ip());
        wire::emit(from, to, &outgoing.header, outgoing.payload, out);
        let Outgoing { sending, weight, reset, header, .. } = outgoing;
        self.count_sent(header.flags, from, out.len());
        Some(Sent { from, to, isns, sending, weight, reset })
    }

    fn count_sent(&mut self, flags: Flags, from: IpAddr, len: usize) {
        self.counters.count(Counter::OutSegs);
        self.counters.add(Counter::OutOctets, octets_with_ip(from, len));
        if flags.rst() {
            self.counters.count(Counter::OutRsts);
        }
    }

    /// The connection has nothing to send now.
    fn quiet(&mut self, now: Instant, s: SocketKey) {
        let Some(connection) = self.sockets.find_mut(s).and_then(Socket::connection_mut) else {
            return;
        };
        if connection.over {
            return;
        }
        self.settle(now, s);
        if let Some(connection) = self.sockets.find_mut(s).and_then(Socket::connection_mut) {
            connection.queued = false;
        }
    }

    /// A connection ends: what it still has to say (an ACK or a RST) goes out without it.
    pub(super) fn flush(&mut self, now: Instant, s: SocketKey) {
        while let Some(connection) = self.sockets.find_mut(s).and_then(Socket::connection_mut) {
            let tuple = connection.tcb.tuple();
            let isns = isns_of(&connection.tcb);
            let Some(outgoing) = connection.tcb.poll_transmit(now) else { return };
            let Outgoing { header, reset, sending, .. } = outgoing;
            let (from, to) = (tuple.local.ip(), tuple.remote.ip());
            self.queue(Reply { from, to, header, isns, sending, reset });
            if let Some(reason) = reset {
                self.note_reset(s, reason);
            }
        }
    }

    /// Counts a RST of our own making, and remembers why.
    fn note_reset(&mut self, s: SocketKey, reason: ResetReason) {
        match reason {
            ResetReason::UnreadData => self.counters.count(Counter::AbortOnClose),
            ResetReason::LingerZero | ResetReason::DataAfterClose => {
                self.counters.count(Counter::AbortOnData);
            }
            ResetReason::NoFinWait2 => self.counters.count(Counter::AbortOnLinger),
            _ => {}
        }
        if let Some(socket) = self.sockets.find_mut(s) {
            socket.reset = Some(reason);
        }
    }

    /// Queues a segment without a TCB; beyond the bound it is lost, as on any wire.
    pub(super) fn reply(&mut self, from: IpAddr, to: IpAddr, header: Header) {
        let (isns, sending) = ((None, None), Sending::Reply);
        self.queue(Reply { from, to, header, isns, sending, reset: None });
    }

    /// The same for a RST, with its reason.
    pub(super) fn reply_reset(
        &mut self,
        from: IpAddr,
        to: IpAddr,
        header: Header,
        reason: ResetReason,
    ) {
        let (isns, sending) = ((None, None), Sending::Reply);
        self.queue(Reply { from, to, header, isns, sending, reset: Some(reason) });
    }

    fn queue(&mut self, reply: Reply) {
        if self.replies.len() < MAX_REPLIES {
            self.replies.push_back(reply);
        }
    }
}

/// Initial sequence numbers of a connection: ours, and the peer's where it is known.
fn isns_of(tcb: &Tcb) -> (Option<SeqNum>, Option<SeqNum>) {
    let (iss, irs) = tcb.initial_sequence_numbers();
    (Some(iss), (tcb.state() != State::SynSent).then_some(irs))
}
