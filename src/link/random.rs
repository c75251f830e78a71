//! Randomness of impairments and rules: a small seeded generator (SplitMix64), and netem's
//! correlated numbers. The same seed and the same segments have the same fate.

use super::words::Share;

/// A seeded generator.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }
}

/// A chance that may depend on how the last one came out (`PERCENT [CORRELATION]`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Chance {
    pub(super) share: Share,
    pub(super) correlation: Share,
}

/// The number drawn last, for correlation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn(u32);

impl Drawn {
    pub(super) fn new(dice: &mut Dice) -> Drawn {
        Drawn(dice.next_u32())
    }

    /// The next number: `correlation` of it is the last one (sch_netem: get_crandom).
    pub(super) fn next(&mut self, correlation: Share, dice: &mut Dice) -> u32 {
        let fresh = dice.next_u32();
        if correlation == Share::NONE {
            return fresh;
        }
        let old_weight = u64::from(correlation.0) + 1;
        let new_weight = (1 << 32) - old_weight;
        // Weights add up to 2^32: the sum stays below 2^64.
        let mixed = u64::from(fresh) * new_weight + u64::from(self.0) * old_weight;
        self.0 = (mixed >> 32) as u32;
        self.0
    }

    /// Whether it happens.
    pub(super) fn happens(&mut self, chance: Chance, dice: &mut Dice) -> bool {
        chance.share != Share::NONE && chance.share.0 >= self.next(chance.correlation, dice)
    }
}
