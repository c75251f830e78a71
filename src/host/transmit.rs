//! Segments out: answers without a TCB first, then the connections in turn, a segment each.

use core::net::IpAddr;

use super::counters::Counter;
use super::limits::MAX_REPLIES;
use super::sockets::Socket;
use super::{Host, SocketKey};
use crate::tcp::ResetReason;
use crate::time::Instant;
use crate::wire::{self, Header};

/// A segment without text and without a TCB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reply {
    from: IpAddr,
    to: IpAddr,
    header: Header,
}

impl Host {
    /// Writes the next segment into `out` (cleared first). Gives the addresses, from and to.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<(IpAddr, IpAddr)> {
        out.clear();
        if let Some(Reply { from, to, header }) = self.replies.pop_front() {
            self.counters.count(Counter::OutSegs);
            if header.flags.rst() {
                self.counters.count(Counter::OutRsts);
            }
            wire::emit(from, to, &header, (&[], &[]), out);
            return Some((from, to));
        }
        while let Some(s) = self.ring.pop_front() {
            if let Some(addresses) = self.transmit_of(now, s, out) {
                self.ring.push_back(s);
                return Some(addresses);
            }
            self.quiet(now, s);
        }
        None
    }

    fn transmit_of(
        &mut self,
        now: Instant,
        s: SocketKey,
        out: &mut Vec<u8>,
    ) -> Option<(IpAddr, IpAddr)> {
        let connection = self.sockets.find_mut(s)?.connection_mut().filter(|c| !c.over)?;
        let tuple = connection.tcb.tuple();
        let outgoing = connection.tcb.poll_transmit(now)?;
        let (from, to) = (tuple.local.ip(), tuple.remote.ip());
        wire::emit(from, to, &outgoing.header, outgoing.payload, out);
        self.counters.count(Counter::OutSegs);
        if outgoing.header.flags.rst() {
            self.counters.count(Counter::OutRsts);
        }
        Some((from, to))
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
            let Some(outgoing) = connection.tcb.poll_transmit(now) else { return };
            let (header, reset) = (outgoing.header, outgoing.reset);
            self.reply(tuple.local.ip(), tuple.remote.ip(), header);
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
        if self.replies.len() < MAX_REPLIES {
            self.replies.push_back(Reply { from, to, header });
        }
    }
}
