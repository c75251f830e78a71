//! The TCP header (RFC 9293 3.1) as a value.

use super::flags::Flags;
use super::options::{MAX_OPTIONS_LEN, Options};
use super::seq::SeqNum;

/// Octets of a header without options.
pub const HEADER_LEN: usize = 20;
/// Octets of the longest header.
pub const MAX_HEADER_LEN: usize = HEADER_LEN + MAX_OPTIONS_LEN;

/// TCP header without checksum and data offset (computed on emission, verified on parsing) and
/// without the reserved bits (ignored on receipt, sent as zero).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number of the first octet of text, or of the SYN.
    pub seq: SeqNum,
    /// Next sequence number expected; significant with ACK only.
    pub ack: SeqNum,
    /// Control bits.
    pub flags: Flags,
    /// As on the wire, not scaled.
    pub window: u16,
    /// Urgent pointer; significant with URG only.
    pub urgent: u16,
    /// Options.
    pub options: Options,
}

impl Header {
    /// Octets of the header on the wire, options and padding included.
    pub fn encoded_len(&self) -> usize {
        HEADER_LEN + self.options.encoded_len()
    }

    /// Octets of sequence space of a segment with this header and `text_len` octets of text:
    /// SYN and FIN count (RFC 9293 3.4, SEG.LEN).
    pub fn sequence_len(&self, text_len: usize) -> u32 {
        text_len as u32 + u32::from(self.flags.syn()) + u32::from(self.flags.fin())
    }

    /// Writes the header with a checksum of zero; returns its octets.
    pub(super) fn emit(&self, out: &mut [u8; MAX_HEADER_LEN]) -> usize {
        let mut options = [0; MAX_OPTIONS_LEN];
        let options_len = self.options.emit(&mut options);
        let len = HEADER_LEN + options_len;
        out[0..2].copy_from_slice(&self.source_port.to_be_bytes());
        out[2..4].copy_from_slice(&self.destination_port.to_be_bytes());
        out[4..8].copy_from_slice(&self.seq.0.to_be_bytes());
        out[8..12].copy_from_slice(&self.ack.0.to_be_bytes());
        out[12] = ((len / 4) as u8) << 4;
        out[13] = self.flags.0;
        out[14..16].copy_from_slice(&self.window.to_be_bytes());
        out[16..18].fill(0);
        out[18..20].copy_from_slice(&self.urgent.to_be_bytes());
        out[HEADER_LEN..len].copy_from_slice(&options[..options_len]);
        len
    }

    /// Reads the fixed part and the options of a header whose length was checked.
    pub(super) fn read(fixed: &[u8; HEADER_LEN], options: &[u8]) -> Header {
        let u16_at = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) << 16 | u32::from(u16_at(at + 2));
        Header {
            source_port: u16_at(0),
            destination_port: u16_at(2),
            seq: SeqNum(u32_at(4)),
            ack: SeqNum(u32_at(8)),
            flags: Flags(fixed[13]),
            window: u16_at(14),
            urgent: u16_at(18),
            options: Options::parse(options),
        }
    }
}
