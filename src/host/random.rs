//! Randomness from the seed: the only source of it in the host, so that the same seed and the
//! same calls give the same segments. SipHash of a counter; good enough against guessing when the
//! seed is secret, and no clock or operating system is asked.

use core::hash::{BuildHasher, Hash, Hasher};

use siphasher::sip::SipHasher13;

/// Keyed generator and keyed hash.
#[derive(Clone, Debug)]
pub(super) struct Random {
    key: (u64, u64),
    counter: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        let mut start = Random { key: (seed, !seed), counter: 0 };
        let key = (start.next_u64(), start.next_u64());
        Random { key, counter: 0 }
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(1);
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write_u64(self.counter);
        hasher.finish()
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        (((self.next_u64() >> 32) * u64::from(bound)) >> 32) as u32
    }

    /// Sixteen octets nobody outside can guess.
    pub(super) fn secret(&mut self) -> [u8; 16] {
        let (high, low) = (self.next_u64(), self.next_u64());
        (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
    }

    /// A hash of `value` under this host's key.
    pub(super) fn hash(&self, value: &impl Hash) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(!self.key.0, self.key.1);
        value.hash(&mut hasher);
        hasher.finish()
    }

    /// A hasher for tables; its order of iteration must not be used.
    pub(super) fn table_hasher(&mut self) -> TableHasher {
        TableHasher(self.next_u64(), self.next_u64())
    }
}

/// Seeded replacement of `RandomState`.
#[derive(Clone, Copy, Debug)]
pub(super) struct TableHasher(u64, u64);

impl BuildHasher for TableHasher {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }
}
