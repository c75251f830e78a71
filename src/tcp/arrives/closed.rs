//! SEGMENT ARRIVES in CLOSED (RFC 9293 3.10.7.1): the RST for a segment that nobody waits for.

use crate::wire::{Flags, Header, Options, Segment, SeqNum};

/// The RST that answers a segment for which there is no connection; `None` for a RST.
pub fn reset_for(segment: &Segment<'_>) -> Option<Header> {
    (!segment.header.flags.rst()).then(|| reset_answer(&segment.header, segment.sequence_len()))
}

/// "If the ACK bit is off, sequence number zero is used, <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>;
/// if the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>."
pub(in crate::tcp) fn reset_answer(header: &Header, sequence_len: u32) -> Header {
    let (seq, ack, flags) = if header.flags.ack() {
        (header.ack, SeqNum(0), Flags::RST)
    } else {
        (SeqNum(0), header.seq.add(sequence_len), Flags::RST | Flags::ACK)
    };
    Header {
        source_port: header.destination_port,
        destination_port: header.source_port,
        seq,
        ack,
        flags,
        window: 0,
        urgent: 0,
        options: Options::default(),
    }
}
