//! How delays spread around their mean: uniform, or one of the curves that tc(8) ships as tables.
//!
//! The tables are computed here: value `i` of 4096 is where the curve has passed the share
//! `(i + 1/2) / 4096`, in units of the jitter times 8192, at most four jitters from the mean. They
//! differ from tc's files by rounding.
//!
//! sch_netem takes the low bits of a random number as the index, which undoes its correlation; the
//! high bits are taken here, so that neighbours are neighbours.

use std::sync::LazyLock;

use crate::time::Duration;

/// What one jitter is in a table (Linux: NETEM_DIST_SCALE).
const SCALE: i64 = 8192;
const SIZE: usize = 4096;
/// Steps of a jitter's width in which the normal curve is added up.
const STEPS: usize = 2048;
/// No value is further from the mean, in jitters.
const REACH: f64 = 4.0;
/// Parameter of the Pareto curve, as tc's table has it.
const PARETO_SHAPE: f64 = 3.0;
/// Share of the Pareto curve in `paretonormal`.
const PARETO_PART: f64 = 0.75;

type Table = [i16; SIZE];

/// A curve.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::link) enum Distribution {
    #[default]
    Uniform,
    Normal,
    Pareto,
    ParetoNormal,
}

impl Distribution {
    pub(super) const NAMES: &str = "uniform, normal, pareto or paretonormal";

    pub(super) fn named(name: &str) -> Option<Distribution> {
        Some(match name {
            "uniform" => Distribution::Uniform,
            "normal" => Distribution::Normal,
            "pareto" => Distribution::Pareto,
            "paretonormal" => Distribution::ParetoNormal,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Distribution::Uniform => "uniform",
            Distribution::Normal => "normal",
            Distribution::Pareto => "pareto",
            Distribution::ParetoNormal => "paretonormal",
        }
    }

    fn table(self) -> Option<&'static Table> {
        static NORMAL: LazyLock<Table> = LazyLock::new(|| table(&normal()));
        static PARETO: LazyLock<Table> = LazyLock::new(|| table(&pareto()));
        static PARETO_NORMAL: LazyLock<Table> = LazyLock::new(|| {
            let mix = |(n, p): (f64, f64)| (1.0 - PARETO_PART) * n + PARETO_PART * p;
            table(&normal().into_iter().zip(pareto()).map(mix).collect::<Vec<_>>())
        });
        match self {
            Distribution::Uniform => None,
            Distribution::Normal => Some(&NORMAL),
            Distribution::Pareto => Some(&PARETO),
            Distribution::ParetoNormal => Some(&PARETO_NORMAL),
        }
    }

    /// The time that `number`, random over all of `u32`, stands for; never below zero.
    pub(super) fn spread(self, mean: Duration, jitter: Duration, number: u32) -> Duration {
        // A day in nanoseconds, the longest time there is, times a table value fits.
        let mean = mean.as_nanos() as i64;
        let jitter = jitter.as_nanos() as i64;
        let off = match self.table() {
            None => ((i128::from(number) * 2 * i128::from(jitter)) >> 32) as i64 - jitter,
            Some(table) => {
                let value = i64::from(table[((u64::from(number) * SIZE as u64) >> 32) as usize]);
                (jitter * value + value.signum() * SCALE / 2) / SCALE
            }
        };
        Duration::from_nanos((mean + off).max(0) as u64)
    }
}

fn table(values: &[f64]) -> Table {
    core::array::from_fn(|at| (values[at] * SCALE as f64).round() as i16)
}

fn share_of(at: usize) -> f64 {
    (at as f64 + 0.5) / SIZE as f64
}

/// The normal curve added up from the left (trapezoids), noted wherever a share is reached.
fn normal() -> Vec<f64> {
    let density = |x: f64| (-x * x / 2.0).exp() / core::f64::consts::TAU.sqrt();
    let width = 1.0 / STEPS as f64;
    let mut values = Vec::with_capacity(SIZE);
    let (mut x, mut below) = (-2.0 * REACH, 0.0);
    while values.len() < SIZE {
        while below < share_of(values.len()) && x < REACH {
            below += (density(x) + density(x + width)) / 2.0 * width;
            x += width;
        }
        values.push(x.max(-REACH));
    }
    values
}

/// Pareto's curve of shape 3 from 1 on, moved to the mean 0 and divided by its variance, as the
/// maker of tc's table does.
fn pareto() -> Vec<f64> {
    let mean = PARETO_SHAPE / (PARETO_SHAPE - 1.0);
    let variance = mean / (PARETO_SHAPE - 1.0) / (PARETO_SHAPE - 2.0);
    let value = |at| ((1.0 - share_of(at)).powf(-1.0 / PARETO_SHAPE) - mean) / variance;
    (0..SIZE).map(|at| value(at).min(REACH)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean, standard deviation, quartiles and the 95th percentile of tc's files.
    #[test]
    fn tables_have_the_shape_of_those_that_tc_ships() {
        let seen = [
            (Distribution::Normal, [-0.0008, 1.0000, -0.6752, -0.0006, 0.6738, 1.6423]),
            (Distribution::Pareto, [-0.0335, 0.8197, -0.5326, -0.3204, 0.1158, 1.6122]),
            (Distribution::ParetoNormal, [-0.0253, 0.8339, -0.5682, -0.2405, 0.2553, 1.6196]),
        ];
        for (distribution, expected) in seen {
            let table = distribution.table().unwrap();
            let values: Vec<f64> = table.iter().map(|&v| f64::from(v) / SCALE as f64).collect();
            let mean = values.iter().sum::<f64>() / SIZE as f64;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / SIZE as f64;
            let at = |share: f64| values[(share * SIZE as f64) as usize];
            let found = [mean, variance.sqrt(), at(0.25), at(0.5), at(0.75), at(0.95)];
            for (found, expected) in found.into_iter().zip(expected) {
                assert!((found - expected).abs() < 0.01, "{distribution:?}: {found} {expected}");
            }
            assert!(table.is_sorted());
        }
    }

    #[test]
    fn spreads_stay_in_their_bounds() {
        let (mean, jitter) = (Duration::from_millis(100), Duration::from_millis(10));
        let of = |distribution: Distribution, n| distribution.spread(mean, jitter, n);
        assert_eq!(of(Distribution::Uniform, 0), Duration::from_millis(90));
        assert_eq!(of(Distribution::Uniform, 1 << 31), mean);
        assert!(of(Distribution::Uniform, u32::MAX) < Duration::from_millis(110));
        assert!((60..65).contains(&of(Distribution::Normal, 0).as_millis()));
        let wide = Duration::from_secs(86_400);
        for distribution in [Distribution::Uniform, Distribution::Normal, Distribution::Pareto] {
            for number in [0, 1, u32::MAX] {
                assert!(distribution.spread(wide, wide, number) <= 5 * wide);
                assert!(distribution.spread(Duration::ZERO, wide, number) <= 4 * wide);
            }
        }
    }
}
