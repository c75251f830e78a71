//! Round-trip time and retransmission timeout (RFC 6298; Linux's `tcp_rtt_estimator` bounds).
//!
//! Linux: the variance term, not the sum, has the 200 ms floor, so RTO = SRTT + max(200 ms,
//! 4 RTTVAR), and G is nothing (`ss` shows rto:204 on a 4 ms path).

use crate::time::Duration;

/// Estimator and back-off.
#[derive(Clone, Debug)]
pub(super) struct RttEstimator {
    smoothed: Option<Duration>,
    variance: Duration,
    least: Option<Duration>,
    /// RTO without back-off before the first sample
    initial: Duration,
    backoff: u32,
}

impl RttEstimator {
    pub(super) fn new(initial: Duration) -> RttEstimator {
        RttEstimator { smoothed: None, variance: Duration::ZERO, least: None, initial, backoff: 0 }
    }

    /// RFC 6298 2.2, 2.3. Ends back-off (section 5, Karn: only a valid sample does).
    pub(super) fn sample(&mut self, rtt: Duration) {
        self.backoff = 0;
        self.least = Some(self.least.map_or(rtt, |least| least.min(rtt)));
        match self.smoothed {
            None => {
                self.smoothed = Some(rtt);
                self.variance = rtt / 2;
            }
            Some(smoothed) => {
                let error = smoothed.abs_diff(rtt);
                self.variance = (self.variance * 3 + error) / 4;
                self.smoothed = Some((smoothed * 7 + rtt) / 8);
            }
        }
    }

    /// SRTT, zero before the first sample.
    pub(super) fn smoothed(&self) -> Duration {
        self.smoothed.unwrap_or_default()
    }

    /// RTTVAR.
    pub(super) fn variance(&self) -> Duration {
        self.variance
    }

    /// The smallest sample.
    pub(super) fn least(&self) -> Option<Duration> {
        self.least
    }

    /// There was a sample.
    pub(super) fn has_sample(&self) -> bool {
        self.smoothed.is_some()
    }

    /// RFC 6298 5.7: the handshake gave no sample because it needed retransmissions.
    pub(super) fn set_initial(&mut self, initial: Duration) {
        self.initial = initial;
    }

    /// RFC 6298 5.5.
    pub(super) fn back_off(&mut self) {
        self.backoff += 1;
    }

    /// Doublings at work.
    pub(super) fn backoff(&self) -> u32 {
        self.backoff
    }

    /// Ends back-off without a sample: the handshake is over, the next segment starts afresh.
    pub(super) fn reset_backoff(&mut self) {
        self.backoff = 0;
    }

    /// RTO without back-off.
    pub(super) fn base(&self, floor: Duration) -> Duration {
        match self.smoothed {
            None => self.initial,
            Some(smoothed) => smoothed + floor.max(self.variance * 4),
        }
    }

    /// RTO with back-off.
    pub(super) fn timeout(&self, floor: Duration, ceiling: Duration) -> Duration {
        doubled(self.base(floor), self.backoff, ceiling)
    }
}

/// `base * 2^times`, at most `ceiling`.
pub(super) fn doubled(base: Duration, times: u32, ceiling: Duration) -> Duration {
    base.saturating_mul(1u32.checked_shl(times).unwrap_or(u32::MAX)).min(ceiling)
}

/// How long `boundary` back-offs from `base` last in all (Linux: `tcp_model_timeout`): limits
/// given as counts of retransmissions are really limits of time.
pub(super) fn model_timeout(boundary: u32, base: Duration, ceiling: Duration) -> Duration {
    (0..=boundary).map(|times| doubled(base, times, ceiling)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: Duration = Duration::from_millis(200);
    const CEILING: Duration = Duration::from_secs(120);

    #[test]
    fn the_first_sample_sets_srtt_and_half_of_it_as_variance() {
        let mut rtt = RttEstimator::new(Duration::from_secs(1));
        assert_eq!(rtt.timeout(FLOOR, CEILING), Duration::from_secs(1));
        rtt.sample(Duration::from_millis(400));
        assert_eq!(rtt.smoothed(), Duration::from_millis(400));
        assert_eq!(rtt.timeout(FLOOR, CEILING), Duration::from_millis(1200));
        for _ in 0..100 {
            rtt.sample(Duration::from_millis(4));
        }
        let rto = rtt.timeout(FLOOR, CEILING);
        assert!(rto >= Duration::from_millis(204) && rto < Duration::from_millis(206), "{rto:?}");
        assert_eq!(rtt.least(), Some(Duration::from_millis(4)));
    }

    #[test]
    fn back_off_doubles_up_to_the_maximum_and_ends_with_a_sample() {
        let mut rtt = RttEstimator::new(Duration::from_secs(1));
        for _ in 0..40 {
            rtt.back_off();
        }
        assert_eq!(rtt.timeout(FLOOR, CEILING), CEILING);
        rtt.sample(Duration::from_millis(1));
        assert_eq!(rtt.timeout(FLOOR, CEILING), Duration::from_millis(201));
    }

    #[test]
    fn fifteen_retries_are_924_seconds() {
        let total = model_timeout(15, FLOOR, CEILING);
        assert_eq!(total, Duration::from_millis(924_600));
    }
}
