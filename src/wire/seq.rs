//! Sequence numbers: 32 bits that wrap (RFC 9293 3.4).
//!
//! There is deliberately no `Ord`: "less" has no meaning on a circle. Two numbers are compared
//! with [`SeqNum::before`] and [`SeqNum::after`], right while they are less than 2^31 apart.

use serde::{Deserialize, Serialize};

/// A sequence or acknowledgment number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// The number `octets` further on.
    #[must_use]
    pub const fn add(self, octets: u32) -> SeqNum {
        SeqNum(self.0.wrapping_add(octets))
    }

    /// The number `octets` further back.
    #[must_use]
    pub const fn sub(self, octets: u32) -> SeqNum {
        SeqNum(self.0.wrapping_sub(octets))
    }

    /// Octets from `earlier` to this number, modulo 2^32.
    pub const fn diff(self, earlier: SeqNum) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Octets from `earlier` to this number, 0 where this one is before it.
    pub const fn since(self, earlier: SeqNum) -> u32 {
        if self.before(earlier) { 0 } else { self.diff(earlier) }
    }

    /// This number comes before `other` (`<` in the RFC).
    pub const fn before(self, other: SeqNum) -> bool {
        self.0.wrapping_sub(other.0).cast_signed() < 0
    }

    /// This number comes after `other` (`>` in the RFC).
    pub const fn after(self, other: SeqNum) -> bool {
        other.before(self)
    }

    /// `start <= self < end` (RFC 9293 3.4: "in the window").
    pub const fn within(self, start: SeqNum, end: SeqNum) -> bool {
        self.diff(start) < end.diff(start)
    }

    /// The later of two numbers.
    #[must_use]
    pub const fn later(self, other: SeqNum) -> SeqNum {
        if self.before(other) { other } else { self }
    }

    /// The earlier of two numbers.
    #[must_use]
    pub const fn earlier(self, other: SeqNum) -> SeqNum {
        if self.after(other) { other } else { self }
    }
}
