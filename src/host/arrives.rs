//! A datagram's way to its TCB (RFC 9293 3.10.7, before the TCB): parse, find, deliver; and the
//! answers to segments that are nobody's.

use core::net::{IpAddr, SocketAddr};

use super::address::{is_many, unmap};
use super::counters::Counter;
use super::listener::Gate;
use super::ports::Owner;
use super::sockets::{Place, Socket};
use super::sysctl::Key;
use super::time_wait::TimeWaitId;
use super::{Host, SocketKey};
use crate::tcp::{
    FourTuple, ListenVerdict, Release, ResetReason, TimeWaitVerdict, arrives_in_listen, reset_for,
};
use crate::time::Instant;
use crate::wire::{self, Segment, SeqNum, WireError};

impl Host {
    /// A datagram's payload; the addresses are those of the TCP connection, its ports are inside.
    pub fn handle_datagram(&mut self, now: Instant, from: IpAddr, to: IpAddr, payload: &[u8]) {
        self.counters.count(Counter::InSegs);
        let (from, to) = (unmap(from), unmap(to));
        if is_many(from) || from.is_unspecified() || !self.addresses.is_local(to) {
            self.counters.count(Counter::InErrs);
            return;
        }
        let segment = match wire::parse(from, to, payload) {
            Ok(segment) => segment,
            Err(error) => return self.malformed(from, error),
        };
        let tuple = FourTuple {
            local: SocketAddr::new(to, segment.header.destination_port),
            remote: SocketAddr::new(from, segment.header.source_port),
        };
        match self.demux.find(&tuple) {
            Some(Owner::Socket(key)) => self.deliver(now, key, &segment),
            Some(Owner::TimeWait(id)) => self.arrives_in_time_wait(now, id, &tuple, &segment),
            None => self.arrives_unknown(now, &tuple, &segment),
        }
    }

    fn malformed(&mut self, from: IpAddr, error: WireError) {
        self.counters.count(Counter::InErrs);
        if error == WireError::BadChecksum {
            self.counters.count(Counter::InCsumErrors);
        }
        tracing::debug!(target: "tcplab::host", %from, ?error, "not a segment");
    }

    fn deliver(&mut self, now: Instant, key: SocketKey, segment: &Segment<'_>) {
        let Some(connection) = self.sockets.find(key).and_then(Socket::connection) else { return };
        let gate = match connection.place {
            Place::SynQueue(listener) => self.gate(now, listener, key, segment),
            _ => Gate::Open,
        };
        let Some(connection) = self.sockets.find_mut(key).and_then(Socket::connection_mut) else {
            return;
        };
        match gate {
            Gate::Open => connection.tcb.handle_segment(now, segment),
            Gate::Drop => return,
            Gate::Reset => {
                let reason = ResetReason::AcceptQueueOverflow;
                connection.tcb.release(now, Release::Abort(reason));
            }
        }
        self.settle(now, key);
    }

    fn arrives_in_time_wait(
        &mut self,
        now: Instant,
        id: TimeWaitId,
        tuple: &FourTuple,
        segment: &Segment<'_>,
    ) {
        let rfc1337 = self.sysctls.is_on(Key::Rfc1337);
        let verdict =
            self.time_waits.change(id, |entry| entry.handle_segment(now, segment, rfc1337));
        match verdict {
            None | Some(TimeWaitVerdict::Drop) => {}
            Some(TimeWaitVerdict::Ack { header, .. }) => {
                self.reply(tuple.local.ip(), tuple.remote.ip(), header);
            }
            Some(TimeWaitVerdict::Delete) => self.remove_time_wait(id),
            Some(TimeWaitVerdict::NewConnection { iss_floor }) => {
                if let Some(listener) = self.demux.find_listener(&self.sockets, tuple, &self.random)
                {
                    self.remove_time_wait(id);
                    self.counters.count(Counter::TimeWaitRecycled);
                    self.arrives_in_listener(now, listener, tuple, segment, Some(iss_floor));
                }
            }
        }
    }

    fn arrives_unknown(&mut self, now: Instant, tuple: &FourTuple, segment: &Segment<'_>) {
        match self.demux.find_listener(&self.sockets, tuple, &self.random) {
            Some(listener) => self.arrives_in_listener(now, listener, tuple, segment, None),
            None => {
                if let Some(header) = reset_for(segment) {
                    let reason = match segment.header.flags.syn() {
                        true => ResetReason::NoListener,
                        false => ResetReason::NoConnection,
                    };
                    tracing::debug!(target: "tcplab::host", ?tuple, %reason, "RST");
                    self.reply(tuple.local.ip(), tuple.remote.ip(), header);
                }
            }
        }
    }

    fn arrives_in_listener(
        &mut self,
        now: Instant,
        listener: SocketKey,
        tuple: &FourTuple,
        segment: &Segment<'_>,
        iss_floor: Option<SeqNum>,
    ) {
        match arrives_in_listen(segment) {
            ListenVerdict::Drop => {}
            ListenVerdict::Reset(header) => {
                self.reply(tuple.local.ip(), tuple.remote.ip(), header);
            }
            ListenVerdict::Open => self.open_child(now, listener, *tuple, segment, iss_floor),
        }
    }
}
