//! NewReno's window (RFC 5681 3.1, 3.2; RFC 6928 for the initial window; RFC 3465 byte counting).

use crate::time::Instant;

use super::{Congestion, Growth, Window};

/// RFC 5681.
#[derive(Debug)]
pub(in crate::tcp) struct NewReno {
    window: Window,
    /// octets acknowledged since the window last grew in congestion avoidance
    counted: u32,
}

impl NewReno {
    pub(in crate::tcp) fn new(mss: u32, initial_segments: u32) -> NewReno {
        NewReno { window: Window::new(mss, initial_segments), counted: 0 }
    }

    /// RFC 5681 equation 4.
    fn halved(&self, flight: u32) -> u32 {
        (flight / 2).max(self.window.least())
    }
}

impl Congestion for NewReno {
    fn name(&self) -> &'static str {
        "reno"
    }

    fn common(&self) -> &Window {
        &self.window
    }

    fn common_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    fn on_ack(&mut self, growth: Growth) {
        if !growth.limited {
            return;
        }
        let left = self.window.slow_start(growth.acked);
        self.counted = self.counted.saturating_add(left);
        if self.counted >= self.window.size {
            self.counted -= self.window.size;
            self.window.grow(self.window.mss);
        }
    }

    fn on_loss(&mut self, _now: Instant, flight: u32) {
        self.window.threshold = self.halved(flight);
        self.window.size = self.window.threshold;
        self.counted = 0;
    }

    fn on_recovered(&mut self, _now: Instant) {
        self.window.size = self.window.threshold.max(self.window.least());
    }

    fn on_timeout(&mut self, _now: Instant, flight: u32, first: bool) {
        if first {
            self.window.threshold = self.halved(flight);
        }
        self.window.size = self.window.mss;
        self.counted = 0;
    }

    fn on_idle(&mut self, initial_segments: u32) {
        self.window.restart(initial_segments);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    fn ack(acked: u32) -> Growth {
        Growth { acked, limited: true, now: Instant::ZERO, rtt: Duration::ZERO }
    }

    #[test]
    fn slow_start_doubles_and_congestion_avoidance_adds_a_segment_a_window() {
        let mut reno = NewReno::new(1000, 10);
        reno.on_ack(ack(10_000));
        assert_eq!(reno.window(), 20_000);
        reno.on_loss(Instant::ZERO, 20_000);
        assert_eq!((reno.window(), reno.threshold()), (10_000, 10_000));
        for _ in 0..10 {
            reno.on_ack(ack(1000));
        }
        assert_eq!(reno.window(), 11_000);
    }

    #[test]
    fn a_timeout_leaves_one_segment_and_a_second_one_leaves_the_threshold() {
        let mut reno = NewReno::new(1000, 10);
        reno.on_timeout(Instant::ZERO, 10_000, true);
        assert_eq!((reno.window(), reno.threshold()), (1000, 5000));
        reno.on_timeout(Instant::ZERO, 1000, false);
        assert_eq!((reno.window(), reno.threshold()), (1000, 5000));
    }

    #[test]
    fn slow_start_ends_at_the_threshold_and_what_is_left_counts_for_congestion_avoidance() {
        let mut reno = NewReno::new(1000, 10);
        reno.on_timeout(Instant::ZERO, 10_000, true);
        reno.on_ack(ack(6000));
        assert_eq!((reno.window(), reno.threshold()), (5000, 5000));
        reno.on_ack(ack(3000));
        assert_eq!(reno.window(), 6000);
    }

    #[test]
    fn a_flight_that_does_not_fill_the_window_does_not_grow_it() {
        let mut reno = NewReno::new(1000, 10);
        reno.on_ack(Growth { limited: false, ..ack(5000) });
        assert_eq!(reno.window(), 10_000);
    }
}
