//! The Internet checksum (RFC 1071), fast enough for 64 KiB of text in every segment.
//!
//! One's complement addition of 16-bit words gives the same sum, whatever the width and the byte
//! order it is done in; only a final fold and swap differ. So text is added in 64-bit words with
//! the carries gathered in 128-bit accumulators (an add and an add-with-carry each), four of them
//! so that they do not wait for one another.

use core::net::IpAddr;

/// Octets copied, then summed while still in the first-level cache.
const COPY_BLOCK: usize = 8 * 1024;
/// Octets per round of the inner loop.
const STRIDE: usize = 32;
/// IANA protocol number of TCP, part of the pseudo header.
const PROTOCOL_TCP: u16 = 6;

/// A running checksum over pieces of any length.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checksum {
    /// one's complement sum so far, words in network order, not folded
    sum: u64,
    /// an odd number of octets was added: the next piece is shifted by one octet
    odd: bool,
}

impl Checksum {
    /// The pseudo header of RFC 9293 3.1 (IPv4) or RFC 8200 8.1 (IPv6). Addresses of two families
    /// give the sum over both as they are: such a segment cannot be sent by any host.
    pub fn pseudo_header(src: IpAddr, dst: IpAddr, tcp_len: usize) -> Checksum {
        let mut checksum = Checksum::default();
        for address in [src, dst] {
            match address {
                IpAddr::V4(ip) => checksum.add(&ip.octets()),
                IpAddr::V6(ip) => checksum.add(&ip.octets()),
            }
        }
        let len = u32::try_from(tcp_len).unwrap_or(u32::MAX);
        checksum.add(&len.to_be_bytes());
        checksum.add(&PROTOCOL_TCP.to_be_bytes());
        checksum
    }

    /// Adds the next octets.
    pub fn add(&mut self, octets: &[u8]) {
        let piece = sum_16(octets);
        let piece = if self.odd { piece.swap_bytes() } else { piece };
        self.sum += u64::from(piece);
        self.odd ^= octets.len() % 2 == 1;
    }

    /// Appends `octets` to `out` and adds them, in one pass over memory.
    pub fn add_copy(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        for block in octets.chunks(COPY_BLOCK) {
            out.extend_from_slice(block);
            self.add(block);
        }
    }

    /// The one's complement of the sum, as it stands in the header. 0 over a segment that
    /// includes its own right checksum.
    pub fn finish(self) -> u16 {
        !fold(u128::from(self.sum))
    }
}

/// One's complement sum of big-endian 16-bit words; an odd last octet is padded with zero.
fn sum_16(octets: &[u8]) -> u16 {
    let mut lanes = [0u128; 4];
    let mut rounds = octets.chunks_exact(STRIDE);
    for round in &mut rounds {
        for (lane, word) in lanes.iter_mut().zip(round.chunks_exact(8)) {
            *lane += u128::from(word_64(word));
        }
    }
    let mut total: u128 = lanes.iter().map(|&lane| u128::from(fold(lane))).sum();
    let mut words = rounds.remainder().chunks_exact(8);
    for word in &mut words {
        total += u128::from(word_64(word));
    }
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    total += u128::from(u64::from_ne_bytes(last));
    // summed in the machine's order; a swap of the folded sum gives network order (RFC 1071 2.B)
    u16::from_be_bytes(fold(total).to_ne_bytes())
}

fn word_64(octets: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(octets);
    u64::from_ne_bytes(word)
}

/// End-around carry down to 16 bits.
fn fold(sum: u128) -> u16 {
    let sum = (sum >> 64) + (sum & u128::from(u64::MAX));
    let sum = (sum >> 64) as u64 + (sum as u64 >> 32) + (sum as u64 & 0xffff_ffff);
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let mut sum = (sum >> 16) + (sum & 0xffff);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}
