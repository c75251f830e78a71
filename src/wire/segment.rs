//! A whole segment: from a datagram's payload and back (RFC 9293 3.1).

use core::net::IpAddr;

use super::checksum::Checksum;
use super::header::{HEADER_LEN, Header, MAX_HEADER_LEN};

/// Where the checksum stands in the header.
const CHECKSUM_AT: usize = 16;

/// A received segment: values of the header and a view of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    /// Header with options.
    pub header: Header,
    /// Text.
    pub payload: &'a [u8],
}

impl Segment<'_> {
    /// SEG.LEN of RFC 9293: octets of text plus one each for SYN and FIN.
    pub fn sequence_len(&self) -> u32 {
        self.header.sequence_len(self.payload.len())
    }
}

/// Why a datagram is not a TCP segment (each variant counted and traced by the host).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WireError {
    /// Shorter than a header, or than its data offset says.
    Truncated,
    /// Data offset below 5.
    BadDataOffset,
    /// The checksum does not fit the octets and the addresses.
    BadChecksum,
}

impl core::fmt::Display for WireError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            WireError::Truncated => "shorter than its header",
            WireError::BadDataOffset => "data offset below 5",
            WireError::BadChecksum => "wrong checksum",
        })
    }
}

impl std::error::Error for WireError {}

/// Reads a datagram's payload as a segment. A checksum field of 0 is accepted: the UDP checksum
/// covered the octets.
///
/// # Errors
/// See [`WireError`].
pub fn parse(src: IpAddr, dst: IpAddr, datagram: &[u8]) -> Result<Segment<'_>, WireError> {
    let fixed = datagram.first_chunk::<HEADER_LEN>().ok_or(WireError::Truncated)?;
    let header_len = usize::from(fixed[12] >> 4) * 4;
    if header_len < HEADER_LEN {
        return Err(WireError::BadDataOffset);
    }
    let options = datagram.get(HEADER_LEN..header_len).ok_or(WireError::Truncated)?;
    if fixed[CHECKSUM_AT..CHECKSUM_AT + 2] != [0, 0] {
        let mut checksum = Checksum::pseudo_header(src, dst, datagram.len());
        checksum.add(datagram);
        if checksum.finish() != 0 {
            return Err(WireError::BadChecksum);
        }
    }
    Ok(Segment { header: Header::read(fixed, options), payload: &datagram[header_len..] })
}

/// Reads a segment whose octets are known to be good, such as one of our own: the checksum is not
/// looked at. `None`: it has not the form of one.
pub fn read(datagram: &[u8]) -> Option<Segment<'_>> {
    let fixed = datagram.first_chunk::<HEADER_LEN>()?;
    let header_len = usize::from(fixed[12] >> 4) * 4;
    let options = datagram.get(HEADER_LEN..header_len)?;
    Some(Segment { header: Header::read(fixed, options), payload: &datagram[header_len..] })
}

/// Appends the segment to `out` with its checksum; the text comes as the two halves of a ring.
pub fn emit(src: IpAddr, dst: IpAddr, header: &Header, payload: (&[u8], &[u8]), out: &mut Vec<u8>) {
    let mut head = [0; MAX_HEADER_LEN];
    let head_len = header.emit(&mut head);
    let total_len = head_len + payload.0.len() + payload.1.len();
    let start = out.len();
    out.reserve(total_len);
    let mut checksum = Checksum::pseudo_header(src, dst, total_len);
    checksum.add_copy(&head[..head_len], out);
    checksum.add_copy(payload.0, out);
    checksum.add_copy(payload.1, out);
    // Also where it is 0, which we would read as "not computed": TCP knows no other form of it,
    // and Wireshark calls 0xffff wrong (RFC 1624).
    let value = checksum.finish().to_be_bytes();
    out[start + CHECKSUM_AT..start + CHECKSUM_AT + 2].copy_from_slice(&value);
}
