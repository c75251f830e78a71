//! TCP options (RFC 9293 3.2; RFC 7323 window scale and timestamps; RFC 2018 SACK).
//!
//! Unknown options are skipped. A malformed list is read as far as it makes sense and the rest
//! ignored, as Linux does: RFC 9293 MUST-6, and MUST-7 lets a TCP reset or ignore.
//! Which options count in which segment (MSS only with SYN ...) is decided in `tcp`.

use serde::{Deserialize, Serialize};

use super::seq::SeqNum;

/// Octets of options that a header can hold.
pub const MAX_OPTIONS_LEN: usize = 40;
/// SACK blocks that fit when no other option is there.
pub const MAX_SACK_BLOCKS: usize = 4;

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// RFC 7323 timestamps option.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Timestamps {
    /// TSval
    pub val: u32,
    /// TSecr
    pub ecr: u32,
}

/// Options of one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Options {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Shift count of RFC 7323 as on the wire (values above 14 are treated as 14 by `tcp`).
    pub window_scale: Option<u8>,
    /// SACK may be used.
    pub sack_permitted: bool,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// RFC 2018 blocks, `[left, right)`, filled from the front.
    pub sack: [Option<(SeqNum, SeqNum)>; MAX_SACK_BLOCKS],
}

impl Options {
    /// Reads an options field.
    pub fn parse(mut octets: &[u8]) -> Options {
        let mut options = Options::default();
        while let [kind, rest @ ..] = octets {
            match *kind {
                END => break,
                NOP => octets = rest,
                kind => {
                    let Some(len) = rest.first().map(|&len| usize::from(len)) else { break };
                    if len < 2 || len > octets.len() {
                        break;
                    }
                    options.read(kind, &octets[2..len]);
                    octets = &octets[len..];
                }
            }
        }
        options
    }

    fn read(&mut self, kind: u8, value: &[u8]) {
        match (kind, value) {
            (MSS, &[a, b]) => self.mss = Some(u16::from_be_bytes([a, b])),
            (WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift),
            (SACK_PERMITTED, &[]) => self.sack_permitted = true,
            (TIMESTAMPS, value) if value.len() == 8 => {
                self.timestamps = Some(Timestamps { val: u32_at(value, 0), ecr: u32_at(value, 4) });
            }
            (SACK, value) if !value.is_empty() && value.len() % 8 == 0 => {
                for (slot, block) in self.sack.iter_mut().zip(value.chunks_exact(8)) {
                    *slot = Some((SeqNum(u32_at(block, 0)), SeqNum(u32_at(block, 4))));
                }
            }
            _ => {}
        }
    }

    /// SACK blocks in order.
    pub fn sack_blocks(&self) -> impl Iterator<Item = (SeqNum, SeqNum)> + '_ {
        self.sack.iter().flatten().copied()
    }

    /// Octets on the wire, padding included: a multiple of 4, at most [`MAX_OPTIONS_LEN`].
    pub fn encoded_len(&self) -> usize {
        self.base_len() + self.sack_len()
    }

    /// Writes the options, in the order and with the padding that Linux uses; returns their
    /// octets. SACK blocks that do not fit are left out.
    pub fn emit(&self, out: &mut [u8; MAX_OPTIONS_LEN]) -> usize {
        let mut w = Writer { out, len: 0 };
        if let Some(mss) = self.mss {
            w.put(&[MSS, 4]);
            w.put(&mss.to_be_bytes());
        }
        match (self.sack_permitted, self.timestamps.is_some()) {
            (true, _) => w.put(&[SACK_PERMITTED, 2]),
            (false, true) => w.put(&[NOP, NOP]),
            (false, false) => {}
        }
        if let Some(Timestamps { val, ecr }) = self.timestamps {
            w.put(&[TIMESTAMPS, 10]);
            w.put(&val.to_be_bytes());
            w.put(&ecr.to_be_bytes());
        } else if self.sack_permitted {
            w.put(&[NOP, NOP]);
        }
        if let Some(shift) = self.window_scale {
            w.put(&[NOP, WINDOW_SCALE, 3, shift]);
        }
        let blocks = self.fitting_blocks();
        if blocks > 0 {
            w.put(&[NOP, NOP, SACK, 2 + 8 * blocks as u8]);
            for (left, right) in self.sack_blocks().take(blocks) {
                w.put(&left.0.to_be_bytes());
                w.put(&right.0.to_be_bytes());
            }
        }
        w.len
    }

    fn base_len(&self) -> usize {
        let mut len = 0;
        len += if self.mss.is_some() { 4 } else { 0 };
        len += if self.timestamps.is_some() {
            12
        } else if self.sack_permitted {
            4
        } else {
            0
        };
        len + if self.window_scale.is_some() { 4 } else { 0 }
    }

    fn fitting_blocks(&self) -> usize {
        let room = (MAX_OPTIONS_LEN - self.base_len()).saturating_sub(4) / 8;
        self.sack_blocks().count().min(room)
    }

    fn sack_len(&self) -> usize {
        match self.fitting_blocks() {
            0 => 0,
            blocks => 4 + 8 * blocks,
        }
    }
}

struct Writer<'a> {
    out: &'a mut [u8; MAX_OPTIONS_LEN],
    len: usize,
}

impl Writer<'_> {
    fn put(&mut self, octets: &[u8]) {
        self.out[self.len..self.len + octets.len()].copy_from_slice(octets);
        self.len += octets.len();
    }
}

fn u32_at(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}
