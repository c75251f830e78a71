//! Octets made anew: a bit turned over, less text, a RST that nobody sent.

use core::net::IpAddr;

use super::random::Dice;
use super::sight::Sight;
use crate::wire::{self, Flags, Header, Options, Segment};

/// Turns one bit over, as netem does; the receiver's checksum finds it.
pub(super) fn flip_bit(octets: &mut [u8], dice: &mut Dice) {
    let at = dice.below(octets.len());
    if let Some(octet) = octets.get_mut(at) {
        *octet ^= 1 << dice.below(8);
    }
}

/// Turns one bit of the text over and makes the checksum right: nobody finds it. A segment without
/// text stays as it is.
pub(super) fn flip_text_bit(sight: &Sight<'_>, dice: &mut Dice) -> Vec<u8> {
    let mut text = sight.segment.payload.to_vec();
    flip_bit(&mut text, dice);
    let (from, to) = (sight.datagram.from, sight.datagram.to);
    write(from, to, &sight.segment.header, &text)
}

/// The segment with its first `len` octets of text, and without what comes after the text.
pub(super) fn trim(sight: &Sight<'_>, len: usize) -> Vec<u8> {
    let Segment { mut header, payload } = sight.segment;
    header.flags = header.flags.without(Flags::FIN | Flags::PSH);
    let text = payload.get(..len).unwrap_or(payload);
    write(sight.datagram.from, sight.datagram.to, &header, text)
}

/// The RST that the sender gets in the receiver's name; `None` for a RST.
pub(super) fn reset_to_sender(sight: &Sight<'_>) -> Option<Vec<u8>> {
    let header = crate::tcp::reset_for(&sight.segment)?;
    Some(write(sight.datagram.to, sight.datagram.from, &header, &[]))
}

/// Whether the receiver of a RST gets the segment before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Before {
    Segment,
    Nothing,
}

/// The RST that the receiver gets in the sender's name, exactly where it expects the next octet
/// (RFC 5961 3.2); `None` for a RST.
pub(super) fn reset_to_receiver(sight: &Sight<'_>, before: Before) -> Option<Vec<u8>> {
    let Header { source_port, destination_port, seq, ack, flags, .. } = sight.segment.header;
    if flags.rst() {
        return None;
    }
    let taken = match before {
        Before::Segment => sight.segment.sequence_len(),
        Before::Nothing => 0,
    };
    let header = Header {
        source_port,
        destination_port,
        seq: seq.add(taken),
        ack,
        flags: if flags.ack() { Flags::RST | Flags::ACK } else { Flags::RST },
        window: 0,
        urgent: 0,
        options: Options::default(),
    };
    Some(write(sight.datagram.from, sight.datagram.to, &header, &[]))
}

fn write(from: IpAddr, to: IpAddr, header: &Header, text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    wire::emit(from, to, header, (text, &[]), &mut octets);
    octets
}
