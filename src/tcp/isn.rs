//! Initial sequence numbers (RFC 6528) and timestamp offsets (RFC 7323 5.4), keyed by the
//! 4-tuple, so that they cannot be guessed and yet move on with the clock on each 4-tuple.

use core::hash::Hasher;
use core::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher24;

use crate::time::Instant;
use crate::wire::SeqNum;

use super::tcb::FourTuple;

/// Nanoseconds per step of M, as a shift. RFC 6528 says 4 microseconds, made for 2 Mbit/s; Linux
/// takes 64 ns so that the clock stays ahead of a connection of 1 Gbit/s, and so does this.
const CLOCK_SHIFT: u32 = 6;

/// What the hash is for: the same key must not give related numbers.
#[derive(Clone, Copy)]
enum Purpose {
    Sequence = 1,
    Timestamp = 2,
}

/// ISN = M + F(localip, localport, remoteip, remoteport, secretkey).
pub fn initial_sequence_number(now: Instant, tuple: &FourTuple, secret: &[u8; 16]) -> SeqNum {
    let clock = (now.as_nanos() >> CLOCK_SHIFT) as u32;
    SeqNum(clock.wrapping_add(keyed(tuple, secret, Purpose::Sequence)))
}

/// What is added to the timestamp clock of a connection: the same for the same 4-tuple, so that
/// PAWS holds across connections.
pub fn timestamp_offset(tuple: &FourTuple, secret: &[u8; 16]) -> u32 {
    keyed(tuple, secret, Purpose::Timestamp)
}

fn keyed(tuple: &FourTuple, secret: &[u8; 16], purpose: Purpose) -> u32 {
    let mut hasher = SipHasher24::new_with_key(secret);
    hasher.write_u8(purpose as u8);
    for end in [tuple.local, tuple.remote] {
        write_address(&mut hasher, end);
    }
    hasher.finish() as u32
}

/// Octets in a fixed order: the standard `Hash` of addresses promises none.
fn write_address(hasher: &mut SipHasher24, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => hasher.write(&ip.octets()),
        IpAddr::V6(ip) => hasher.write(&ip.octets()),
    }
    hasher.write(&address.port().to_be_bytes());
}
