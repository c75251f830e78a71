//! The parameters of an impairment, printed as `tc qdisc show` prints them.
//!
//! Two things are more than tc prints, so that the text can be given back to `tcplab netem`: the
//! distribution, and the seed. Times are exact, where tc rounds to three digits.

use core::fmt;

use super::distribution::Distribution;
use super::loss::Loss;
use crate::link::limits::DEFAULT_LIMIT;
use crate::link::random::Chance;
use crate::link::words::{Printed, Share};
use crate::time::Duration;

/// `delay TIME [JITTER [CORRELATION]] [distribution NAME]`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Delay {
    pub(super) mean: Duration,
    pub(super) jitter: Duration,
    pub(super) correlation: Share,
    pub(super) distribution: Option<Distribution>,
}

/// `reorder PERCENT [CORRELATION] [gap DISTANCE]`
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Reorder {
    pub(super) chance: Chance,
    /// 0: nothing is reordered.
    pub(super) gap: u32,
}

/// `rate RATE [PACKETOVERHEAD [CELLSIZE [CELLOVERHEAD]]]`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rate {
    /// Octets a second, never 0.
    pub(super) octets: u64,
    pub(super) packet_overhead: i32,
    pub(super) cell_size: u32,
    pub(super) cell_overhead: i32,
}

impl Rate {
    /// How long a packet of so many octets takes.
    pub(super) fn time_of(self, packet_len: usize) -> Duration {
        let mut octets = packet_len as i128 + i128::from(self.packet_overhead);
        if self.cell_size > 0 {
            let cells = octets.max(0).cast_unsigned().div_ceil(self.cell_size.into());
            let cell = i128::from(self.cell_size) + i128::from(self.cell_overhead);
            octets = cells.cast_signed() * cell;
        }
        let nanos = octets.max(0) * 1_000_000_000 / i128::from(self.octets);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// When a slot begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Opening {
    /// `slot MIN [MAX]`
    Between(Duration, Duration),
    /// `slot distribution NAME DELAY JITTER`
    Drawn(Distribution, Duration, Duration),
}

/// `slot ... [packets N] [bytes N]`; 0: as many as there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot {
    pub(super) opening: Opening,
    pub(super) packets: u32,
    pub(super) octets: u32,
}

/// Everything that follows the word `netem`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::link) struct Spec {
    pub(super) limit: u32,
    pub(super) delay: Delay,
    pub(super) loss: Loss,
    pub(super) duplicate: Chance,
    pub(super) reorder: Reorder,
    pub(super) corrupt: Chance,
    pub(super) rate: Option<Rate>,
    pub(super) slot: Option<Slot>,
    pub(super) seed: Option<u64>,
}

impl Default for Spec {
    fn default() -> Spec {
        Spec {
            limit: DEFAULT_LIMIT,
            delay: Delay::default(),
            loss: Loss::None,
            duplicate: Chance::default(),
            reorder: Reorder::default(),
            corrupt: Chance::default(),
            rate: None,
            slot: None,
            seed: None,
        }
    }
}

fn chance(f: &mut fmt::Formatter<'_>, name: &str, chance: Chance) -> fmt::Result {
    if chance.share == Share::NONE {
        return Ok(());
    }
    write!(f, " {name} {}", chance.share)?;
    match chance.correlation {
        Share::NONE => Ok(()),
        correlation => write!(f, " {correlation}"),
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mean.is_zero() && self.jitter.is_zero() {
            return Ok(());
        }
        write!(f, " delay {}", Printed(self.mean))?;
        if !self.jitter.is_zero() {
            write!(f, "  {}", Printed(self.jitter))?;
            if self.correlation != Share::NONE {
                write!(f, " {}", self.correlation)?;
            }
        }
        match self.distribution {
            Some(distribution) => write!(f, " distribution {}", distribution.name()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Loss::None => Ok(()),
            Loss::Random(random) => chance(f, "loss", random),
            Loss::States { p13, p31, p32, p23, p14 } => {
                write!(f, " loss state p13 {p13} p31 {p31} p32 {p32} p23 {p23} p14 {p14}")
            }
            Loss::Gilbert { p, r, bad, good } => {
                write!(f, " loss gemodel p {p} r {r} 1-h {bad} 1-k {good}")
            }
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bits = self.octets.saturating_mul(8);
        let mut units = ["", "K", "M", "G", "T"].into_iter();
        let mut unit = units.next().unwrap_or_default();
        while bits >= 1000 && (bits.is_multiple_of(1000) || bits >= 1_000_000) {
            let Some(next) = units.next() else { break };
            (bits, unit) = (bits / 1000, next);
        }
        write!(f, " rate {bits}{unit}bit")?;
        if self.packet_overhead != 0 {
            write!(f, " packetoverhead {}", self.packet_overhead)?;
        }
        if self.cell_size != 0 {
            write!(f, " cellsize {}", self.cell_size)?;
        }
        match self.cell_overhead {
            0 => Ok(()),
            overhead => write!(f, " celloverhead {overhead}"),
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.opening {
            Opening::Between(min, max) => write!(f, " slot {} {}", Printed(min), Printed(max))?,
            Opening::Drawn(distribution, delay, jitter) => {
                let name = distribution.name();
                let (delay, jitter) = (Printed(delay), Printed(jitter));
                write!(f, " slot distribution {name} {delay} {jitter}")?;
            }
        }
        if self.packets != 0 {
            write!(f, " packets {}", self.packets)?;
        }
        match self.octets {
            0 => Ok(()),
            octets => write!(f, " bytes {octets}"),
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit {}{}{}", self.limit, self.delay, self.loss)?;
        chance(f, "duplicate", self.duplicate)?;
        chance(f, "reorder", self.reorder.chance)?;
        chance(f, "corrupt", self.corrupt)?;
        if let Some(rate) = self.rate {
            write!(f, "{rate}")?;
        }
        if let Some(slot) = self.slot {
            write!(f, "{slot}")?;
        }
        if self.reorder.gap != 0 {
            write!(f, " gap {}", self.reorder.gap)?;
        }
        match self.seed {
            Some(seed) => write!(f, " seed {seed}"),
            None => Ok(()),
        }
    }
}
