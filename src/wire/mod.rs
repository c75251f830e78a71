//! Octets on the wire <-> values: a UDP payload is one complete TCP segment (RFC 9293 3.1).
//!
//! [`parse`] makes a [`Segment`] (values of the header, a view of the text) of a datagram's
//! payload, [`emit`] the reverse. Neither keeps state, allocates per segment or panics.
//!
//! It does not judge: a header that can be read is handed on, whatever it says. What a SYN with a
//! FIN, an absurd MSS or a window scale of 200 means is decided in `tcp`.

mod checksum;
mod flags;
mod header;
mod options;
mod segment;
mod seq;

#[cfg(test)]
mod tests;

pub use checksum::Checksum;
pub use flags::Flags;
pub use header::{HEADER_LEN, Header, MAX_HEADER_LEN};
pub use options::{MAX_OPTIONS_LEN, MAX_SACK_BLOCKS, Options, Timestamps};
pub use segment::{Segment, WireError, emit, parse, read};
pub use seq::SeqNum;
