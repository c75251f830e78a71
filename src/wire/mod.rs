//! Octets on the wire <-> values: a UDP payload is one complete TCP segment (RFC 9293 3.1).
//! (skeleton: owner "tcp" moves these into seq.rs, flags.rs, header.rs, options.rs, checksum.rs ...)

use core::net::IpAddr;

/// Sequence number: compared modulo 2^32 with `before`/`after`, so it has no `Ord`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct SeqNum(pub u32);

/// Control bits (FIN SYN RST PSH ACK URG ECE CWR), combined with `|`, asked with `contains`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u8);
impl core::fmt::Debug for Flags {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// RFC 7323 timestamps option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timestamps {
    pub val: u32,
    pub ecr: u32,
}

/// Options of one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    pub mss: Option<u16>,
    pub window_scale: Option<u8>,
    pub sack_permitted: bool,
    pub timestamps: Option<Timestamps>,
    /// RFC 2018 blocks, [left, right), at most 4
    pub sack: [Option<(SeqNum, SeqNum)>; 4],
}

/// TCP header without checksum and data offset (computed on emission, verified on parsing).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub source_port: u16,
    pub destination_port: u16,
    pub seq: SeqNum,
    pub ack: SeqNum,
    pub flags: Flags,
    /// as on the wire, not scaled
    pub window: u16,
    pub urgent: u16,
    pub options: Options,
}

/// A received segment: values of the header and a view of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    pub header: Header,
    pub payload: &'a [u8],
}

/// Why a datagram is not a TCP segment (each variant counted and traced by the host).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WireError {
    Truncated,
    BadDataOffset,
    BadChecksum,
}

/// Reads a datagram's payload as a segment. A checksum field of 0 is accepted.
pub fn parse<'a>(src: IpAddr, dst: IpAddr, datagram: &'a [u8]) -> Result<Segment<'a>, WireError> {
    let _ = (src, dst, datagram);
    todo!()
}

/// Appends the segment to `out` with its checksum (copy and sum in one pass where it can).
pub fn emit(src: IpAddr, dst: IpAddr, header: &Header, payload: (&[u8], &[u8]), out: &mut Vec<u8>) {
    let _ = (src, dst, header, payload, out);
    todo!()
}
