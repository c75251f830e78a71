use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::*;

const A: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 7));
const A6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// splitmix64: enough to make many different inputs, the same ones every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn header(&mut self) -> Header {
        let mut options = Options::default();
        if self.below(2) == 0 {
            options.mss = Some(self.next() as u16);
        }
        if self.below(2) == 0 {
            options.window_scale = Some(self.next() as u8);
        }
        options.sack_permitted = self.below(2) == 0;
        if self.below(2) == 0 {
            options.timestamps =
                Some(Timestamps { val: self.next() as u32, ecr: self.next() as u32 });
        }
        let room = (MAX_OPTIONS_LEN - options.encoded_len()).saturating_sub(4) / 8;
        for slot in 0..self.below(room as u64 + 1) as usize {
            options.sack[slot] = Some((SeqNum(self.next() as u32), SeqNum(self.next() as u32)));
        }
        Header {
            source_port: self.next() as u16,
            destination_port: self.next() as u16,
            seq: SeqNum(self.next() as u32),
            ack: SeqNum(self.next() as u32),
            flags: Flags(self.next() as u8),
            window: self.next() as u16,
            urgent: self.next() as u16,
            options,
        }
    }

    fn text(&mut self, limit: u64) -> Vec<u8> {
        (0..self.below(limit)).map(|_| self.next() as u8).collect()
    }
}

/// RFC 1071 word for word, to compare with.
fn plain_checksum(octets: &[u8]) -> u16 {
    let mut sum = 0u64;
    for word in octets.chunks(2) {
        sum += u64::from(word[0]) << 8 | word.get(1).copied().map_or(0, u64::from);
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

#[test]
fn every_header_and_text_survives_the_wire() {
    let mut random = Random(1);
    for round in 0..2000 {
        let (src, dst) = if round % 3 == 0 { (A6, A6) } else { (A, B) };
        let header = random.header();
        let text = random.text(if round % 50 == 0 { 65536 } else { 300 });
        let cut = random.below(text.len() as u64 + 1) as usize;
        let mut out = vec![0xee; round % 5];
        emit(src, dst, &header, text.split_at(cut), &mut out);
        let segment = parse(src, dst, &out[round % 5..]).unwrap();
        assert_eq!(segment.header, header);
        assert_eq!(segment.payload, text);
        assert_eq!(out.len() - round % 5, header.encoded_len() + text.len());
    }
}

#[test]
fn the_wide_checksum_is_the_checksum_of_rfc_1071() {
    let mut random = Random(2);
    for _ in 0..500 {
        let octets = random.text(400);
        let mut whole = Checksum::default();
        whole.add(&octets);
        assert_eq!(whole.finish(), plain_checksum(&octets));
        let mut pieces = Checksum::default();
        let (a, b) = octets.split_at(random.below(octets.len() as u64 + 1) as usize);
        let mut copy = Vec::new();
        pieces.add(a);
        pieces.add_copy(b, &mut copy);
        assert_eq!(pieces.finish(), plain_checksum(&octets));
        assert_eq!(copy, b);
    }
    let mut ones = Checksum::default();
    ones.add(&vec![0xff; 1 << 20]);
    assert_eq!(ones.finish(), plain_checksum(&vec![0xff; 1 << 20]));
}

#[test]
fn a_segment_as_the_kernel_sends_it_is_read() {
    // SYN of a loopback connection 127.0.0.1 -> 127.0.0.7, checksum computed by hand over RFC 1071
    let mut octets = vec![
        0x30, 0x39, 0x00, 0x50, 0x00, 0x00, 0x00, 0x01, 0, 0, 0, 0, 0xa0, 0x02, 0xff, 0xd7, 0, 0,
        0, 0, 2, 4, 0xff, 0xd7, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7,
    ];
    let mut pseudo = vec![127, 0, 0, 1, 127, 0, 0, 7, 0, 6, 0, 40];
    pseudo.extend_from_slice(&octets);
    let sum = plain_checksum(&pseudo);
    octets[16..18].copy_from_slice(&sum.to_be_bytes());
    let segment = parse(A, B, &octets).unwrap();
    assert_eq!(segment.header.options.mss, Some(65495));
    assert_eq!(segment.header.options.window_scale, Some(7));
    assert!(segment.header.options.sack_permitted);
    assert_eq!(segment.header.options.timestamps, Some(Timestamps { val: 9, ecr: 0 }));
    assert_eq!(segment.header.flags, Flags::SYN);
    assert_eq!(segment.sequence_len(), 1);
    let mut again = Vec::new();
    emit(A, B, &segment.header, (&[], &[]), &mut again);
    assert_eq!(again, octets);
}

#[test]
fn a_damaged_segment_is_refused_and_a_checksum_of_zero_is_accepted() {
    let mut out = Vec::new();
    let header = Random(3).header();
    emit(A, B, &header, (b"hello", b"world"), &mut out);
    assert_eq!(parse(A, A, &out), Err(WireError::BadChecksum));
    let last = out.len() - 1;
    out[last] ^= 0x40;
    assert_eq!(parse(A, B, &out), Err(WireError::BadChecksum));
    out[16..18].fill(0);
    assert_eq!(parse(A, B, &out).unwrap().header, header);
}

#[test]
fn the_emitted_checksum_is_never_all_ones_which_decoders_call_wrong() {
    let mut header = Random(4).header();
    let mut out = Vec::new();
    for window in 0..=u16::MAX {
        header.window = window;
        out.clear();
        emit(A, B, &header, (&[], &[]), &mut out);
        assert_ne!(out[16..18], [0xff, 0xff]);
    }
}

#[test]
fn truncated_and_random_input_is_refused_or_read_but_never_panics() {
    let mut random = Random(5);
    let mut out = Vec::new();
    for _ in 0..300 {
        out.clear();
        emit(A, B, &random.header(), (&[1, 2], &[3]), &mut out);
        for len in 0..out.len() {
            let mut cut = out[..len].to_vec();
            assert!(parse(A, B, &cut).is_err() || len >= HEADER_LEN);
            if len >= HEADER_LEN {
                cut[16..18].fill(0);
                let _ = parse(A, B, &cut);
            }
        }
    }
    for _ in 0..20_000 {
        let mut noise = random.text(80);
        if noise.len() >= HEADER_LEN {
            noise[16..18].fill(0);
            noise[12] |= 0x50;
        }
        if let Ok(segment) = parse(A, B, &noise) {
            assert!(segment.payload.len() <= noise.len() - HEADER_LEN);
        }
    }
    assert_eq!(parse(A, B, &[0; 19]), Err(WireError::Truncated));
    assert_eq!(parse(A, B, &[0; 20]), Err(WireError::BadDataOffset));
}

#[test]
fn malformed_options_are_ignored_from_where_they_stop_making_sense() {
    let mss = [2, 4, 5, 180];
    for tail in [&[2u8][..], &[8, 0], &[8, 1], &[8, 11, 0], &[5, 9, 0, 0], &[3, 200]] {
        let octets = [&mss[..], tail].concat();
        assert_eq!(Options::parse(&octets), Options { mss: Some(1460), ..Options::default() });
    }
    // a wrong length of a known option skips that option only
    let octets = [2, 3, 9, 1, 3, 3, 7, 5, 4, 0, 0, 254, 4, 1, 2, 0, 2, 4, 1, 1];
    assert_eq!(Options::parse(&octets), Options { window_scale: Some(7), ..Options::default() });
    // five blocks cannot come in a legal header; the reader keeps what it has room for
    let many: Vec<u8> = [5, 42].into_iter().chain((0..40).map(|_| 1)).collect();
    assert_eq!(Options::parse(&many).sack_blocks().count(), MAX_SACK_BLOCKS);
}

#[test]
fn sack_blocks_that_do_not_fit_beside_timestamps_are_left_out() {
    let mut options = Options {
        timestamps: Some(Timestamps { val: 1, ecr: 2 }),
        sack: [Some((SeqNum(1), SeqNum(2))); 4],
        ..Options::default()
    };
    let mut out = [0; MAX_OPTIONS_LEN];
    assert_eq!(options.emit(&mut out), 40);
    assert_eq!(options.encoded_len(), 40);
    options.sack[3] = None;
    assert_eq!(Options::parse(&out), options);
}

#[test]
fn sequence_numbers_compare_on_a_circle() {
    let near_end = SeqNum(u32::MAX - 1);
    assert!(near_end.before(near_end.add(5)));
    assert!(near_end.add(5).after(near_end));
    assert_eq!(near_end.add(5).diff(near_end), 5);
    assert_eq!(near_end.since(near_end.add(5)), 0);
    assert!(SeqNum(1).within(near_end, SeqNum(2)));
    assert!(!SeqNum(2).within(near_end, SeqNum(2)));
    assert!(!near_end.within(near_end, near_end));
    assert_eq!(near_end.later(SeqNum(0)), SeqNum(0));
    assert_eq!(near_end.earlier(SeqNum(0)), near_end);
}

#[test]
fn control_bits_print_as_the_rfc_writes_them() {
    assert_eq!(format!("{}", Flags::SYN | Flags::ACK), "SYN,ACK");
    assert_eq!(format!("{:?}", Flags::FIN | Flags::ACK), "FIN,ACK");
    assert_eq!(format!("{}", Flags::NONE), "-");
    assert!((Flags::SYN | Flags::ACK).contains(Flags::ACK));
    assert!(!Flags::SYN.contains(Flags::SYN | Flags::ACK));
    assert_eq!((Flags::SYN | Flags::ACK).without(Flags::ACK), Flags::SYN);
}
