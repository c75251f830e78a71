//! A datagram's way to its TCB (RFC 9293 3.10.7, before the TCB): parse, find, deliver; and the
//! answers to segments that are nobody's.

use core::net::{IpAddr, SocketAddr};

use super::address::{is_many, unmap};
use super::counters::{Counter, octets_with_ip};
use super::listener::Gate;
use super::notes::Noted;
use super::ports::Owner;
use super::sockets::{Place, Socket};
use super::sysctl::Key;
use super::time_wait::TimeWaitId;
use super::{Host, SocketKey};
use crate::tcp::{
    Cause, Dropped, FourTuple, ListenVerdict, Release, ResetReason, TimeWaitVerdict,
    arrives_in_listen, reset_for,
};
use crate::time::Instant;
use crate::wire::{self, Flags, Segment, SeqNum, WireError};

impl Host {
    /// A datagram's payload; the addresses are those of the TCP connection, its ports are inside.
    pub fn handle_datagram(&mut self, now: Instant, from: IpAddr, to: IpAddr, payload: &[u8]) {
        let (from, to) = (unmap(from), unmap(to));
        self.counters.count(Counter::InSegs);
        self.counters.add(Counter::InOctets, octets_with_ip(from, payload.len()));
        let segment = match wire::parse(from, to, payload) {
            Ok(segment) => segment,
            Err(error) => return self.malformed(from, to, payload, error),
        };
        let tuple = FourTuple {
            local: SocketAddr::new(to, segment.header.destination_port),
            remote: SocketAddr::new(from, segment.header.source_port),
        };
        if is_many(from) || from.is_unspecified() || !self.addresses.is_local(to) {
            self.counters.count(Counter::InErrs);
            return self.note_drop(&tuple, &segment, Dropped::NotLocal);
        }
        match self.demux.find(&tuple) {
            Some(Owner::Socket(key)) => self.deliver(now, key, &segment),
            Some(Owner::TimeWait(id)) => self.arrives_in_time_wait(now, id, &tuple, &segment),
            None => self.arrives_unknown(now, &tuple, &segment),
        }
    }

    fn malformed(&mut self, from: IpAddr, to: IpAddr, payload: &[u8], error: WireError) {
        self.counters.count(Counter::InErrs);
        let why = match error {
            WireError::BadChecksum => Dropped::BadChecksum,
            _ => Dropped::Malformed,
        };
        if why == Dropped::BadChecksum {
            self.counters.count(Counter::InCsumErrors);
        }
        // Whose it would have been is for people only: the octets that say so may be the wrong ones.
        let segment = wire::read(payload);
        let (from_port, to_port) = segment.map_or((0, 0), |segment| {
            (segment.header.source_port, segment.header.destination_port)
        });
        let tuple = FourTuple { local: (to, to_port).into(), remote: (from, from_port).into() };
        match segment {
            Some(segment) => self.note_drop(&tuple, &segment, why),
            None => {
                let (flags, seq, text_len) = (Flags::NONE, 0, 0);
                self.note_of_tuple(&tuple, Noted::Dropped { flags, seq, text_len, why });
            }
        }
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
            Gate::Drop => {
                let tuple = connection.tcb.tuple();
                return self.note_drop(&tuple, segment, Dropped::AcceptQueueFull);
            }
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
                self.note_drop(tuple, segment, Dropped::InTimeWait);
                self.reply(tuple.local.ip(), tuple.remote.ip(), header);
            }
            Some(TimeWaitVerdict::Delete) => {
                self.remove_time_wait(id, Cause::Segment(segment.header.flags));
            }
            Some(TimeWaitVerdict::NewConnection { iss_floor }) => {
                match self.demux.find_listener(&self.sockets, tuple, &self.random) {
                    Some(listener) => {
                        self.remove_time_wait(id, Cause::TakenOver);
                        self.counters.count(Counter::TimeWaitRecycled);
                        self.arrives_in_listener(now, listener, tuple, segment, Some(iss_floor));
                    }
                    // Linux: as any other SYN in TIME-WAIT
                    None => self.acknowledge_in_time_wait(now, id, tuple, segment),
                }
            }
        }
    }

    fn acknowledge_in_time_wait(
        &mut self,
        now: Instant,
        id: TimeWaitId,
        tuple: &FourTuple,
        segment: &Segment<'_>,
    ) {
        self.note_drop(tuple, segment, Dropped::InTimeWait);
        if let Some(entry) = self.time_waits.get(id) {
            let header = entry.time_wait.acknowledgment(now);
            self.reply(tuple.local.ip(), tuple.remote.ip(), header);
        }
    }

    fn arrives_unknown(&mut self, now: Instant, tuple: &FourTuple, segment: &Segment<'_>) {
        match self.demux.find_listener(&self.sockets, tuple, &self.random) {
            Some(listener) => self.arrives_in_listener(now, listener, tuple, segment, None),
            None => {
                let (reason, why) = match segment.header.flags.syn() {
                    true => (ResetReason::NoListener, Dropped::NoListener),
                    false => (ResetReason::NoConnection, Dropped::NoConnection),
                };
                self.note_drop(tuple, segment, why);
                if let Some(header) = reset_for(segment) {
                    self.reply_reset(tuple.local.ip(), tuple.remote.ip(), header, reason);
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
            ListenVerdict::Drop => self.note_drop(tuple, segment, Dropped::NotForListener),
            ListenVerdict::Reset(header) => {
                self.note_drop(tuple, segment, Dropped::NotForListener);
                let reason = ResetReason::NoConnection;
                self.reply_reset(tuple.local.ip(), tuple.remote.ip(), header, reason);
            }
            ListenVerdict::Open => self.open_child(now, listener, *tuple, segment, iss_floor),
        }
    }
}
