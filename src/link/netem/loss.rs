//! Which segments are lost: independently, by the 4-state Markov chain, or by the Gilbert-Elliot
//! model (S. Salsano, F. Ludovici, A. Ordine, "Definition of a general and intuitive loss model for
//! packet networks and its implementation in the Netem module in the Linux kernel").

use crate::link::random::{Chance, Dice, Drawn};
use crate::link::words::Share;

/// A model and its parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::link) enum Loss {
    #[default]
    None,
    /// `random PERCENT [CORRELATION]`
    Random(Chance),
    /// `state`: probabilities of going from one state to another.
    States { p13: Share, p31: Share, p32: Share, p23: Share, p14: Share },
    /// `gemodel`: good to bad, bad to good, loss while bad, loss while good.
    Gilbert { p: Share, r: Share, bad: Share, good: Share },
}

/// Where the chain is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// State 1, or good.
    Good,
    /// State 2: received within a burst.
    GoodInBurst,
    /// State 3: lost within a burst; or bad.
    Bad,
    /// State 4: lost alone.
    LostAlone,
}

/// A model at work.
#[derive(Clone, Debug)]
pub(super) struct Losing {
    stage: Stage,
    drawn: Drawn,
}

impl Losing {
    pub(super) fn new(dice: &mut Dice) -> Losing {
        Losing { stage: Stage::Good, drawn: Drawn::new(dice) }
    }

    /// Whether the next segment is lost.
    pub(super) fn loses(&mut self, model: Loss, dice: &mut Dice) -> bool {
        match model {
            Loss::None => false,
            Loss::Random(chance) => self.drawn.happens(chance, dice),
            Loss::States { p13, p31, p32, p23, p14 } => {
                let number = u64::from(dice.next_u32());
                let [p13, p31, p32, p23, p14] =
                    [p13, p31, p32, p23, p14].map(|share| u64::from(share.0));
                let (stage, lost) = match self.stage {
                    Stage::Good if number < p14 => (Stage::LostAlone, true),
                    Stage::Good if number < p14 + p13 => (Stage::Bad, true),
                    Stage::Good | Stage::LostAlone => (Stage::Good, false),
                    Stage::GoodInBurst if number < p23 => (Stage::Bad, true),
                    Stage::GoodInBurst => (Stage::GoodInBurst, false),
                    Stage::Bad if number < p32 => (Stage::GoodInBurst, false),
                    Stage::Bad if number < p32 + p31 => (Stage::Good, false),
                    Stage::Bad => (Stage::Bad, true),
                };
                self.stage = stage;
                lost
            }
            Loss::Gilbert { p, r, bad, good } => {
                let (leave, loss) = if self.stage == Stage::Good { (p, good) } else { (r, bad) };
                let leaves = dice.next_u32() < leave.0;
                let lost = loss == Share::ALL || dice.next_u32() < loss.0;
                if leaves {
                    self.stage = if self.stage == Stage::Good { Stage::Bad } else { Stage::Good };
                }
                lost
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUNDS: usize = 200_000;

    fn share(percent: f64) -> Share {
        Share((percent / 100.0 * f64::from(u32::MAX)) as u32)
    }

    /// Percent lost, and the mean length of a run of losses.
    fn run(model: Loss) -> (f64, f64) {
        let mut dice = Dice::new(42);
        let mut losing = Losing::new(&mut dice);
        let lost: Vec<bool> = (0..ROUNDS).map(|_| losing.loses(model, &mut dice)).collect();
        let count = lost.iter().filter(|lost| **lost).count() as f64;
        let runs = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
        (count / ROUNDS as f64 * 100.0, count / runs.max(1.0))
    }

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() <= expected * 0.05 + 0.05, "{found}, not {expected}");
    }

    #[test]
    fn random_loss_is_independent() {
        let chance = Chance { share: share(10.0), correlation: Share::NONE };
        let (lost, run_length) = run(Loss::Random(chance));
        near(lost, 10.0);
        near(run_length, 1.0 / 0.9);
    }

    #[test]
    fn none_and_all_are_exact() {
        assert_eq!(run(Loss::None).0, 0.0);
        let all = Chance { share: Share::ALL, correlation: Share::NONE };
        assert_eq!(run(Loss::Random(all)).0, 100.0);
    }

    /// As in the kernel, correlation also makes losses below half rarer: numbers that depend on
    /// one another gather around the middle.
    #[test]
    fn correlated_loss_comes_in_longer_runs() {
        let model = |correlation| Loss::Random(Chance { share: share(30.0), correlation });
        let (correlated, independent) = (run(model(share(50.0))), run(model(Share::NONE)));
        assert!(correlated.1 > independent.1 * 1.05, "{correlated:?} {independent:?}");
        assert!(correlated.0 < independent.0 / 2.0, "{correlated:?} {independent:?}");
    }

    /// Stationary shares of the two-state chain: p / (p + r) of the time bad.
    #[test]
    fn gilbert_elliot_loses_in_bursts() {
        let (p, r) = (share(1.0), share(10.0));
        let model = Loss::Gilbert { p, r, bad: Share::ALL, good: Share::NONE };
        let (lost, run_length) = run(model);
        near(lost, 100.0 / 11.0);
        near(run_length, 10.0);
        let model = Loss::Gilbert { p, r, bad: share(50.0), good: share(1.0) };
        near(run(model).0, 50.0 / 11.0 + 10.0 / 11.0);
    }

    /// With p13 alone (p31 the rest, p23 all) it is the Bernoulli model.
    #[test]
    fn the_chain_with_one_parameter_is_independent_loss() {
        let p13 = share(5.0);
        let model = Loss::States {
            p13,
            p31: p13.rest(),
            p32: Share::NONE,
            p23: Share::ALL,
            p14: Share::NONE,
        };
        let (lost, run_length) = run(model);
        near(lost, 5.0);
        near(run_length, 1.0 / 0.95);
    }

    #[test]
    fn the_chain_has_bursts_with_good_segments_in_them_and_lone_losses() {
        let none = Share::NONE;
        let bursts = Loss::States {
            p13: share(1.0),
            p31: share(10.0),
            p32: none,
            p23: Share::ALL,
            p14: none,
        };
        let (lost, run_length) = run(bursts);
        near(lost, 100.0 / 11.0);
        near(run_length, 10.0);
        let alone = Loss::States { p13: none, p31: none, p32: none, p23: none, p14: share(10.0) };
        let (lost, run_length) = run(alone);
        near(lost, 10.0 / 1.1);
        near(run_length, 1.0);
    }
}
