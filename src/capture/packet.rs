//! An IP header for a segment that travelled without one: RFC 791, RFC 8200.
//!
//! What a host of today would have written: no fragments, 64 hops. It deliberately does not touch
//! the segment, whose own checksum covers the addresses already.

use core::net::IpAddr;

use crate::wire::Checksum;

/// Octets of the longest header that is put before a segment.
pub const HEADER_ROOM: usize = IPV6_LEN;
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
/// IANA protocol number of TCP.
const TCP: u8 = 6;
const HOPS: u8 = 64;
/// "Don't fragment", no offset.
const DONT_FRAGMENT: u16 = 0x4000;
const IPV4_CHECKSUM_AT: usize = 10;

/// The packet of a segment of `segment_len` octets of which `captured` are known: header and
/// these octets. Returns the packet and the length that the whole one has.
pub fn ip_packet(
    from: IpAddr,
    to: IpAddr,
    segment_len: usize,
    captured: &[u8],
) -> (Vec<u8>, usize) {
    let mut packet = Vec::with_capacity(HEADER_ROOM + captured.len());
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = (IPV4_LEN + segment_len).min(usize::from(u16::MAX)) as u16;
            packet.extend_from_slice(&[0x45, 0]);
            packet.extend_from_slice(&total.to_be_bytes());
            // RFC 6864: of a packet that is never fragmented the identification means nothing.
            packet.extend_from_slice(&[0, 0]);
            packet.extend_from_slice(&DONT_FRAGMENT.to_be_bytes());
            packet.extend_from_slice(&[HOPS, TCP, 0, 0]);
            packet.extend_from_slice(&from.octets());
            packet.extend_from_slice(&to.octets());
            let mut checksum = Checksum::default();
            checksum.add(&packet);
            let value = checksum.finish().to_be_bytes();
            packet[IPV4_CHECKSUM_AT..IPV4_CHECKSUM_AT + 2].copy_from_slice(&value);
        }
        (from, to) => {
            let v6 = |ip| match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            let len = segment_len.min(usize::from(u16::MAX)) as u16;
            packet.extend_from_slice(&[0x60, 0, 0, 0]);
            packet.extend_from_slice(&len.to_be_bytes());
            packet.extend_from_slice(&[TCP, HOPS]);
            packet.extend_from_slice(&v6(from).octets());
            packet.extend_from_slice(&v6(to).octets());
        }
    }
    let whole = packet.len() + segment_len;
    packet.extend_from_slice(captured);
    (packet, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_header_has_its_length_and_its_checksum() {
        let (from, to) = ("127.0.0.1".parse().unwrap(), "127.0.0.7".parse().unwrap());
        let (packet, whole) = ip_packet(from, to, 1000, &[7; 24]);
        assert_eq!((packet.len(), whole), (44, 1020));
        assert_eq!(packet[..4], [0x45, 0, 3, 252]);
        assert_eq!(packet[8..10], [64, 6]);
        assert_eq!(packet[12..20], [127, 0, 0, 1, 127, 0, 0, 7]);
        let mut checksum = Checksum::default();
        checksum.add(&packet[..20]);
        assert_eq!(checksum.finish(), 0);
    }

    #[test]
    fn an_ipv6_header_has_the_length_of_its_payload() {
        let ip = "::1".parse().unwrap();
        let (packet, whole) = ip_packet(ip, ip, 20, &[9; 20]);
        assert_eq!((packet.len(), whole), (60, 60));
        assert_eq!(packet[..8], [0x60, 0, 0, 0, 0, 20, 6, 64]);
        assert_eq!(packet[40..], [9; 20]);
    }
}
