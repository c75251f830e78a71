//! The pcapng file format (draft-ietf-opsawg-pcapng): section, interfaces, packets, statistics.
//!
//! Blocks are built whole and handed out as octets, so that a file may end after any of them. A
//! writer of our own, because the crate for it writes the words of the times in statistics in the
//! wrong order. Little-endian, times in nanoseconds. It deliberately reads nothing.

use super::Direction;

/// `LINKTYPE_RAW`: the packet begins with its IP header, whose first half octet tells the version.
const LINKTYPE_RAW: u16 = 101;
/// Longest packet that readers take (`MAXIMUM_SNAPLEN` of libpcap).
pub const MAX_PACKET: u32 = 262_144;
/// Longest comment written; options have lengths of 16 bits.
const MAX_COMMENT: usize = 16 * 1024;
/// `if_tsresol`: 10^-9 s.
const NANOSECONDS: u8 = 9;

const SECTION: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;

const COMMENT: u16 = 1;
const SECTION_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_DESCRIPTION: u16 = 3;
const INTERFACE_RESOLUTION: u16 = 9;
const PACKET_FLAGS: u16 = 2;
const STATISTICS_BEGIN: u16 = 2;
const STATISTICS_END: u16 = 3;
const STATISTICS_RECEIVED: u16 = 4;
const STATISTICS_DROPPED: u16 = 5;

/// One packet.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Packet<'a> {
    /// Number of the interface, in the order in which they were written.
    pub interface: u32,
    /// Nanoseconds since 1970.
    pub at_ns: u64,
    /// Octets, from the IP header on.
    pub octets: &'a [u8],
    /// Octets that the whole packet has.
    pub len: usize,
    /// Its way.
    pub direction: Direction,
    /// What is known beside the octets.
    pub comments: &'a [String],
}

/// What happened at an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// When the capture began, nanoseconds since 1970.
    pub begin_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// Packets that passed.
    pub received: u64,
    /// Of these, not captured.
    pub dropped: u64,
}

/// The section header: the first block of a file.
pub fn section(application: &str) -> Vec<u8> {
    let mut block = Block::new(SECTION);
    block.u32(BYTE_ORDER);
    block.u16(1);
    block.u16(0);
    // Length of the section: not known.
    block.octets(&[0xff; 8]);
    block.option(SECTION_APPLICATION, application.as_bytes());
    block.finish()
}

/// An interface; packets name it by its place among them.
pub fn interface(name: &str, description: &str, snap_len: u32) -> Vec<u8> {
    let mut block = Block::new(INTERFACE);
    block.u16(LINKTYPE_RAW);
    block.u16(0);
    block.u32(snap_len);
    block.option(INTERFACE_NAME, name.as_bytes());
    block.option(INTERFACE_DESCRIPTION, description.as_bytes());
    block.option(INTERFACE_RESOLUTION, &[NANOSECONDS]);
    block.finish()
}

/// A packet with its comments.
pub fn packet(packet: &Packet<'_>) -> Vec<u8> {
    let mut block = Block::new(PACKET);
    block.u32(packet.interface);
    block.time(packet.at_ns);
    block.u32(packet.octets.len() as u32);
    block.u32(packet.len as u32);
    block.octets(packet.octets);
    block.pad();
    let direction: u32 = match packet.direction {
        Direction::In => 0b01,
        Direction::Out => 0b10,
    };
    block.option(PACKET_FLAGS, &direction.to_le_bytes());
    for comment in packet.comments {
        block.option(COMMENT, cut(comment, MAX_COMMENT).as_bytes());
    }
    block.finish()
}

/// What happened at an interface until the end.
pub fn statistics(interface: u32, statistics: &Statistics) -> Vec<u8> {
    let mut block = Block::new(STATISTICS);
    block.u32(interface);
    block.time(statistics.end_ns);
    for (code, at) in [(STATISTICS_BEGIN, statistics.begin_ns), (STATISTICS_END, statistics.end_ns)]
    {
        block.option(code, &time(at));
    }
    block.option(STATISTICS_RECEIVED, &statistics.received.to_le_bytes());
    block.option(STATISTICS_DROPPED, &statistics.dropped.to_le_bytes());
    block.finish()
}

/// As much of `text` as fits in `most` octets.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

/// A time as two words, the upper one first.
fn time(at_ns: u64) -> [u8; 8] {
    at_ns.rotate_left(32).to_le_bytes()
}

/// A block being built: type, length, body, length again, everything in words of 32 bits.
struct Block(Vec<u8>);

impl Block {
    fn new(kind: u32) -> Block {
        let mut block = Block(Vec::with_capacity(128));
        block.u32(kind);
        block.u32(0);
        block
    }

    fn u16(&mut self, value: u16) {
        self.octets(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.octets(&value.to_le_bytes());
    }

    fn time(&mut self, at_ns: u64) {
        self.octets(&time(at_ns));
    }

    fn octets(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.u16(code);
        self.u16(value.len() as u16);
        self.octets(value);
        self.pad();
    }

    fn finish(mut self) -> Vec<u8> {
        // End of options.
        self.u32(0);
        let len = (self.0.len() + 4) as u32;
        self.u32(len);
        self.0[4..8].copy_from_slice(&len.to_le_bytes());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_tells_its_byte_order_and_who_wrote_it() {
        let block = section("tcplab 0.1.0");
        let expected = [
            &[0x0a, 0x0d, 0x0d, 0x0a, 48, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..],
            &[0xff; 8],
            &[4, 0, 12, 0],
            b"tcplab 0.1.0",
            &[0, 0, 0, 0, 48, 0, 0, 0],
        ];
        assert_eq!(block, expected.concat());
    }

    #[test]
    fn an_interface_has_a_name_a_description_and_nanoseconds() {
        let block = interface("lo:out", "sent", MAX_PACKET);
        let expected = [
            &[1, 0, 0, 0, 52, 0, 0, 0, 101, 0, 0, 0, 0, 0, 4, 0][..],
            &[2, 0, 6, 0],
            b"lo:out\0\0",
            &[3, 0, 4, 0],
            b"sent",
            &[9, 0, 1, 0, 9, 0, 0, 0],
            &[0, 0, 0, 0, 52, 0, 0, 0],
        ];
        assert_eq!(block, expected.concat());
    }

    #[test]
    fn a_packet_has_its_time_direction_and_comments_and_ends_on_words() {
        let comments = ["five!".to_owned()];
        let block = packet(&Packet {
            interface: 1,
            at_ns: 0x0102_0304_0506_0708,
            octets: &[0xaa, 0xbb, 0xcc],
            len: 70_000,
            direction: Direction::Out,
            comments: &comments,
        });
        let expected = [
            &[6, 0, 0, 0, 60, 0, 0, 0, 1, 0, 0, 0][..],
            &[4, 3, 2, 1, 8, 7, 6, 5],
            &[3, 0, 0, 0, 0x70, 0x11, 1, 0],
            &[0xaa, 0xbb, 0xcc, 0],
            &[2, 0, 4, 0, 2, 0, 0, 0],
            &[1, 0, 5, 0],
            b"five!\0\0\0",
            &[0, 0, 0, 0, 60, 0, 0, 0],
        ];
        assert_eq!(block, expected.concat());
    }

    #[test]
    fn a_comment_that_is_too_long_is_cut_between_characters() {
        let comments = ["ä".repeat(MAX_COMMENT)];
        let direction = Direction::In;
        let block = packet(&Packet {
            interface: 0,
            at_ns: 0,
            octets: &[],
            len: 0,
            direction,
            comments: &comments,
        });
        assert!(block.len() < MAX_COMMENT + 100 && block.len().is_multiple_of(4));
    }

    #[test]
    fn statistics_have_times_as_packets_have_them() {
        let block = statistics(
            0,
            &Statistics { begin_ns: 1 << 32, end_ns: 2 << 32 | 5, received: 7, dropped: 1 },
        );
        let expected = [
            &[5, 0, 0, 0, 76, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0][..],
            &[2, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0],
            &[3, 0, 8, 0, 2, 0, 0, 0, 5, 0, 0, 0],
            &[4, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0],
            &[5, 0, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 76, 0, 0, 0],
        ];
        assert_eq!(block, expected.concat());
    }
}
