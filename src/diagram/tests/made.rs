//! Records made by hand, for what takes a link to bring about: held and copied segments, ghosts of
//! older connections.

use core::net::SocketAddr;

use crate::diagram::Side;
use crate::tcp::{Cause, Dropped, ResetReason, State};
use crate::trace::{
    Arrival, End, Fate, Operation, Record, Records, Refusal, Segment, Sending, Transition, What,
};
use crate::wire::{Flags, Options};

/// A stack that tells what the test says.
pub(super) struct Made {
    addresses: [SocketAddr; 2],
    isns: [u32; 2],
    at_ns: u64,
    records: Vec<Record>,
}

impl Made {
    pub(super) fn new() -> Made {
        let addresses = ["127.0.0.1:40000", "127.0.0.1:80"].map(|text| text.parse().unwrap());
        Made { addresses, isns: [1000, 2000], at_ns: 0, records: Vec::new() }
    }

    /// Both ends have the same address and port.
    pub(super) fn alone() -> Made {
        let mut made = Made::new();
        made.addresses[1] = made.addresses[0];
        made
    }

    /// The next connection has other initial sequence numbers.
    pub(super) fn anew(&mut self) {
        self.isns = self.isns.map(|isn| isn + 1_000_000);
    }

    pub(super) fn pass_ms(&mut self, millis: u64) {
        self.at_ns += millis * 1_000_000;
    }

    fn put(&mut self, what: What) {
        let number = self.records.len() as u64 + 1;
        let (at_ns, real_ns) = (self.at_ns, self.at_ns + 1000 * number);
        self.records.push(Record { number, at_ns, real_ns, what });
    }

    pub(super) fn records(&self) -> Records {
        let newest = self.records.last().map_or(0, |record| record.real_ns);
        let records = self.records.clone();
        let (now_ns, real_now_ns) = (self.at_ns, newest);
        Records { records, now_ns, real_now_ns, ..Records::default() }
    }

    fn end(&self, side: Side) -> End {
        let (local, remote) = (self.addresses[side as usize], self.addresses[1 - side as usize]);
        End { socket: None, local: Some(local), remote: Some(remote) }
    }

    pub(super) fn state(&mut self, side: Side, from: State, to: State, cause: Cause) {
        let end = self.end(side);
        self.put(What::State(Transition { end, from, to, cause, reset: None }));
    }

    /// A segment leaves; numbers count from the SYNs.
    pub(super) fn sent(
        &mut self,
        from: Side,
        flags: Flags,
        [seq, ack]: [u32; 2],
        text_len: u32,
        fate: Fate,
    ) -> u64 {
        let serial = self.records.len() as u64 + 1;
        let [isn, peer_isn] = [from, from.other()].map(|side| self.isns[side as usize]);
        let reset = flags.rst().then_some(ResetReason::NoConnection);
        let sending = if flags.rst() { Sending::Reply } else { Sending::First };
        let known = !flags.rst();
        self.put(What::Segment(Segment {
            serial,
            from: self.addresses[from as usize],
            to: self.addresses[from.other() as usize],
            flags,
            seq: isn + seq,
            ack: peer_isn + ack,
            isn: known.then_some(isn),
            peer_isn: (known && flags.ack()).then_some(peer_isn),
            window: 512,
            text_len,
            options: Options { mss: flags.syn().then_some(1460), ..Options::default() },
            sending,
            reset,
            fate,
        }));
        serial
    }

    pub(super) fn arrives(&mut self, serial: u64) {
        let known = self.records.iter().find_map(|record| match record.what {
            What::Segment(segment) if segment.serial == serial => Some(segment),
            _ => None,
        });
        let Segment { from, to, flags, seq, ack, text_len, .. } = known.unwrap();
        let serial = Some(serial);
        self.put(What::Arrival(Arrival { serial, from, to, flags, seq, ack, text_len }));
    }

    /// A segment leaves and arrives.
    pub(super) fn passes(&mut self, from: Side, flags: Flags, numbers: [u32; 2], text_len: u32) {
        let serial = self.sent(from, flags, numbers, text_len, Fate::Passed);
        self.arrives(serial);
    }

    /// A segment of nobody here arrives.
    pub(super) fn stranger(&mut self, from: Side, flags: Flags, [seq, ack]: [u32; 2]) {
        let [isn, peer_isn] = [from, from.other()].map(|side| self.isns[side as usize]);
        self.put(What::Arrival(Arrival {
            serial: None,
            from: self.addresses[from as usize],
            to: self.addresses[from.other() as usize],
            flags,
            seq: isn + seq,
            ack: peer_isn + ack,
            text_len: 0,
        }));
    }

    /// The last segment that arrived is not taken.
    pub(super) fn refused(&mut self, why: Dropped) {
        let last = self.records.iter().rev().find_map(|record| match record.what {
            What::Arrival(arrival) => Some(arrival),
            _ => None,
        });
        let Arrival { from, to, flags, seq, text_len, .. } = last.unwrap();
        let end = End { socket: None, local: Some(to), remote: Some(from) };
        self.put(What::Dropped(Refusal { end, flags, seq, text_len, why }));
    }

    pub(super) fn operator(&mut self, operation: Operation) {
        self.put(What::Operator(operation));
    }

    pub(super) fn handshake(&mut self) {
        use State::{Closed, Established, Listen, SynReceived, SynSent};
        let syn_ack = Flags::SYN | Flags::ACK;
        self.state(Side::Client, Closed, SynSent, Cause::Open);
        self.passes(Side::Client, Flags::SYN, [0, 0], 0);
        self.state(Side::Server, Listen, SynReceived, Cause::Segment(Flags::SYN));
        self.passes(Side::Server, syn_ack, [0, 1], 0);
        self.state(Side::Client, SynSent, Established, Cause::Segment(syn_ack));
        self.passes(Side::Client, Flags::ACK, [1, 1], 0);
        self.state(Side::Server, SynReceived, Established, Cause::Segment(Flags::ACK));
    }

    /// The client closes first; `seq` is the number of its FIN.
    pub(super) fn close(&mut self, seq: u32) {
        use State::{CloseWait, Closed, Established, FinWait1, FinWait2, LastAck, TimeWait};
        let fin = Flags::FIN | Flags::ACK;
        let by = Cause::Segment;
        self.state(Side::Client, Established, FinWait1, Cause::Close);
        self.passes(Side::Client, fin, [seq, 1], 0);
        self.state(Side::Server, Established, CloseWait, by(fin));
        self.passes(Side::Server, Flags::ACK, [1, seq + 1], 0);
        self.state(Side::Client, FinWait1, FinWait2, by(Flags::ACK));
        self.state(Side::Server, CloseWait, LastAck, Cause::Close);
        self.passes(Side::Server, fin, [1, seq + 1], 0);
        self.state(Side::Client, FinWait2, TimeWait, by(fin));
        self.passes(Side::Client, Flags::ACK, [seq + 1, 2], 0);
        self.state(Side::Server, LastAck, Closed, by(Flags::ACK));
    }
}
