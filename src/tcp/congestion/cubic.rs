//! CUBIC's window (RFC 9438): after a loss the window follows a cubic of the time since, flat
//! where the loss was, and never less than Reno would have. Linux's default.
//!
//! Numbers are integers: octets, and milliseconds for the cubic, so that the same segments give
//! the same window on every machine. Not here: HyStart++ (RFC 9406), undoing a spurious
//! reduction (RFC 9438 4.9).

use crate::time::{Duration, Instant};

use super::{Congestion, Growth, MAX_WINDOW, Window};

/// C = 0.4 segments a second cubed (RFC 9438 5.1), as a fraction.
const C: (i128, i128) = (4, 10);
/// beta_cubic = 0.7 (RFC 9438 4.6).
const BETA: (u64, u64) = (7, 10);
/// alpha_cubic = 3 (1 - beta) / (1 + beta) = 9/17 (RFC 9438 4.3).
const ALPHA: (u64, u64) = (9, 17);
/// Milliseconds cubed in a second cubed.
const MS3: i128 = 1_000_000_000;
/// Longest time the cubic is asked for: it has reached [`MAX_WINDOW`] long before.
const MAX_TIME_MS: u64 = 1 << 24;

/// A stage of congestion avoidance.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    /// t = 0; moved on by the time in which the program, not the path, was the limit (4.2, 5.8).
    start: Instant,
    /// Time until the cubic is back at `origin`.
    k_ms: u64,
    /// The plateau: W_max, or the window at the start where that is larger.
    origin: u64,
}

/// RFC 9438.
#[derive(Debug)]
pub(in crate::tcp) struct Cubic {
    window: Window,
    /// Window before the last reduction, less where fast convergence says so; 0: no loss yet.
    w_max: u32,
    /// cwnd_prior: window before the last reduction.
    prior: u32,
    /// W_est: what Reno would have.
    reno: u32,
    /// Growth of it that is no whole octet yet, in parts of `ALPHA.1` times the window.
    reno_counted: u64,
    epoch: Option<Epoch>,
    /// Growth of the window that is no whole octet yet, in parts of the window.
    counted: u64,
    last_ack: Option<Instant>,
}

impl Cubic {
    pub(in crate::tcp) fn new(mss: u32, initial_segments: u32) -> Cubic {
        Cubic {
            window: Window::new(mss, initial_segments),
            w_max: 0,
            prior: 0,
            reno: 0,
            reno_counted: 0,
            epoch: None,
            counted: 0,
            last_ack: None,
        }
    }

    /// RFC 9438 4.6 and 4.7: the new threshold, and the plateau to come back to.
    fn reduce(&mut self, flight: u32) {
        self.prior = self.window.size;
        self.w_max = if self.window.size < self.w_max {
            // fast convergence: somebody else has come; leave room
            scale(self.window.size, (BETA.1 + BETA.0, 2 * BETA.1))
        } else {
            self.window.size
        };
        self.window.threshold = scale(flight, BETA).max(self.window.least());
        self.epoch = None;
        self.counted = 0;
    }

    /// The stage begins with the first acknowledgment in it (RFC 9438 4.2, 4.8, 4.10).
    fn begin_epoch(&mut self, now: Instant) -> Epoch {
        self.reno = self.window.size;
        (self.counted, self.reno_counted) = (0, 0);
        let (window, w_max) = (u64::from(self.window.size), u64::from(self.w_max));
        let below = i128::from(w_max.saturating_sub(window));
        let cubed = below * C.1 * MS3 / (C.0 * i128::from(self.window.mss));
        let epoch = Epoch { start: now, k_ms: cube_root(cubed as u128), origin: w_max.max(window) };
        self.epoch = Some(epoch);
        epoch
    }

    /// W_cubic(t), RFC 9438 equation 1.
    fn cubic(&self, epoch: Epoch, time: Duration) -> u64 {
        let time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(MAX_TIME_MS);
        let distance = i128::from(time_ms) - i128::from(epoch.k_ms);
        let grown =
            C.0 * i128::from(self.window.mss) * distance * distance * distance / (C.1 * MS3);
        (i128::from(epoch.origin) + grown).clamp(0, i128::from(MAX_WINDOW)) as u64
    }

    /// RFC 9438 4.3: W_est grows by alpha segments a window, as Reno once it is where it was.
    fn reno_estimate(&mut self, acked: u32) -> u32 {
        let alpha = if self.reno >= self.prior { ALPHA.1 } else { ALPHA.0 };
        self.reno_counted += u64::from(self.window.mss) * u64::from(acked) * alpha;
        let octet = u64::from(self.window.size.max(1)) * ALPHA.1;
        self.reno = self.reno.saturating_add((self.reno_counted / octet) as u32).min(MAX_WINDOW);
        self.reno_counted %= octet;
        self.reno
    }

    /// RFC 9438 4.3 to 4.5.
    fn avoid_congestion(&mut self, growth: Growth) {
        let epoch = match self.epoch {
            Some(epoch) => epoch,
            None => self.begin_epoch(growth.now),
        };
        let time = growth.now.since(epoch.start);
        let reno = self.reno_estimate(growth.acked);
        if self.cubic(epoch, time) < u64::from(reno) {
            self.window.size = self.window.size.max(reno);
            return;
        }
        let window = u64::from(self.window.size);
        let target = self.cubic(epoch, time + growth.rtt).clamp(window, window * 3 / 2);
        // (target - cwnd) / cwnd for each octet acknowledged
        self.counted += (target - window) * u64::from(growth.acked);
        let grown = self.counted / window.max(1);
        self.counted -= grown * window;
        self.window.grow(grown as u32);
    }
}

impl Congestion for Cubic {
    fn name(&self) -> &'static str {
        "cubic"
    }

    fn common(&self) -> &Window {
        &self.window
    }

    fn common_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    fn on_ack(&mut self, growth: Growth) {
        let last = self.last_ack.replace(growth.now).unwrap_or(growth.now);
        if !growth.limited {
            if let Some(epoch) = &mut self.epoch {
                epoch.start = epoch.start + growth.now.since(last);
            }
            return;
        }
        let left = self.window.slow_start(growth.acked);
        if left > 0 {
            self.avoid_congestion(Growth { acked: left, ..growth });
        }
    }

    fn on_loss(&mut self, _now: Instant, flight: u32) {
        self.reduce(flight);
        self.window.size = self.window.threshold;
    }

    fn on_recovered(&mut self, _now: Instant) {
        self.window.size = self.window.threshold;
    }

    fn on_timeout(&mut self, _now: Instant, flight: u32, first: bool) {
        if first {
            self.reduce(flight);
        }
        self.window.size = self.window.mss;
        // RFC 9438 4.8: the next stage has K = 0 and begins at its own plateau
        self.w_max = 0;
        self.epoch = None;
    }

    fn on_idle(&mut self, initial_segments: u32) {
        self.window.restart(initial_segments);
        self.epoch = None;
    }
}

fn scale(octets: u32, (numerator, denominator): (u64, u64)) -> u32 {
    // Both fractions are less than 1.
    (u64::from(octets) * numerator / denominator) as u32
}

/// The largest integer whose cube is not larger.
fn cube_root(number: u128) -> u64 {
    let mut root: u128 = 0;
    for bit in (0..=41).rev() {
        let tried = root | 1 << bit;
        if tried * tried * tried <= number {
            root = tried;
        }
    }
    root as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;
    const RTT: Duration = Duration::from_millis(100);

    /// A window of acknowledgments every round trip, for so many.
    fn rounds(cubic: &mut Cubic, from: Instant, count: u32) -> Instant {
        let mut now = from;
        for _ in 0..count {
            now = now + RTT;
            for _ in 0..cubic.window() / MSS {
                cubic.on_ack(Growth { acked: MSS, limited: true, now, rtt: RTT });
            }
        }
        now
    }

    fn after_a_loss_at(window: u32) -> Cubic {
        let mut cubic = Cubic::new(MSS, window / MSS);
        cubic.on_loss(Instant::ZERO, window);
        cubic.on_recovered(Instant::ZERO);
        cubic
    }

    #[test]
    fn slow_start_doubles_the_window_every_round_trip() {
        let mut cubic = Cubic::new(MSS, 10);
        rounds(&mut cubic, Instant::ZERO, 3);
        assert_eq!((cubic.window(), cubic.threshold()), (80_000, u32::MAX));
    }

    #[test]
    fn a_loss_leaves_seven_tenths_of_the_flight() {
        let cubic = after_a_loss_at(100_000);
        assert_eq!((cubic.window(), cubic.threshold()), (70_000, 70_000));
    }

    #[test]
    fn k_seconds_after_a_loss_the_window_is_where_the_loss_was_and_flat() {
        // K = cbrt(W_max (1 - beta) / C) = cbrt(1000 * 0.3 / 0.4) = 9.086 s
        let mut cubic = after_a_loss_at(1_000_000);
        let mut now = rounds(&mut cubic, Instant::ZERO, 45);
        let half_way = cubic.window();
        assert!((920_000..=970_000).contains(&half_way), "{half_way}");
        now = rounds(&mut cubic, now, 46);
        let plateau = cubic.window();
        assert!((990_000..=1_005_000).contains(&plateau), "{plateau}");
        rounds(&mut cubic, now, 45);
        let beyond = cubic.window() - plateau;
        assert!((25_000..=80_000).contains(&beyond), "{beyond}");
    }

    #[test]
    fn a_short_path_grows_as_reno_would() {
        // 20 segments, 1 ms: the cubic needs K = 2.5 s, Reno is back after some 11 round trips
        let mut cubic = after_a_loss_at(20_000);
        let rtt = Duration::from_millis(1);
        let mut now = Instant::ZERO;
        for _ in 0..20 {
            now = now + rtt;
            for _ in 0..cubic.window() / MSS {
                cubic.on_ack(Growth { acked: MSS, limited: true, now, rtt });
            }
        }
        assert!((23_000..=30_000).contains(&cubic.window()), "{}", cubic.window());
    }

    #[test]
    fn a_second_loss_below_the_first_gives_room_to_others() {
        let mut cubic = after_a_loss_at(100_000);
        cubic.on_loss(Instant::ZERO, 70_000);
        assert_eq!(cubic.w_max, 59_500);
        assert_eq!(cubic.window(), 49_000);
    }

    #[test]
    fn a_timeout_leaves_one_segment_and_a_second_one_leaves_the_threshold() {
        let mut cubic = Cubic::new(MSS, 10);
        cubic.on_timeout(Instant::ZERO, 10_000, true);
        assert_eq!((cubic.window(), cubic.threshold()), (1000, 7000));
        cubic.on_timeout(Instant::ZERO, 1000, false);
        assert_eq!((cubic.window(), cubic.threshold()), (1000, 7000));
    }

    #[test]
    fn slow_start_ends_at_the_threshold_and_what_is_left_counts_for_congestion_avoidance() {
        let mut cubic = Cubic::new(MSS, 10);
        cubic.on_timeout(Instant::ZERO, 10_000, true);
        cubic.on_ack(Growth { acked: 10_000, limited: true, now: Instant::ZERO, rtt: RTT });
        assert!((7001..=7500).contains(&cubic.window()), "{}", cubic.window());
    }

    #[test]
    fn time_in_which_the_program_was_the_limit_does_not_count() {
        let mut waits = after_a_loss_at(1_000_000);
        let mut works = after_a_loss_at(1_000_000);
        let start = rounds(&mut waits, Instant::ZERO, 10);
        rounds(&mut works, Instant::ZERO, 10);
        let later = start + Duration::from_secs(60);
        waits.on_ack(Growth { acked: MSS, limited: false, now: later, rtt: RTT });
        rounds(&mut waits, later, 10);
        rounds(&mut works, start, 10);
        let difference = waits.window().abs_diff(works.window());
        assert!(difference <= 2 * MSS, "{} {}", waits.window(), works.window());
    }

    #[test]
    fn cube_roots_are_rounded_down() {
        assert_eq!([0, 1, 7, 8, 26, 27].map(cube_root), [0, 1, 1, 2, 2, 3]);
        assert_eq!(cube_root(1_000_000_000_000_000), 100_000);
    }
}
