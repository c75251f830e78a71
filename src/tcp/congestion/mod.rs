//! Congestion control: how much may be in flight (RFC 5681). One algorithm a file.
//!
//! An algorithm sees acknowledged octets and losses and says a window. It does not know which
//! segment is lost, or when: that is [`recovery`](super::recovery).

mod cubic;
mod new_reno;

use self::cubic::Cubic;
use self::new_reno::NewReno;
use crate::time::{Duration, Instant};

/// Largest window: more cannot be offered by any peer.
const MAX_WINDOW: u32 = 1 << 30;
/// Least window after a loss (RFC 5681 equation 4), in segments.
const MIN_SEGMENTS: u32 = 2;

/// Initial window (RFC 6928).
fn initial_window(mss: u32, segments: u32) -> u32 {
    mss.saturating_mul(segments.max(1)).min(MAX_WINDOW)
}

/// What every algorithm keeps (RFC 5681 2), in octets.
#[derive(Debug)]
pub(super) struct Window {
    /// cwnd.
    size: u32,
    /// ssthresh, `u32::MAX` while there was no loss.
    threshold: u32,
    /// SMSS.
    mss: u32,
}

impl Window {
    fn new(mss: u32, initial_segments: u32) -> Window {
        let mss = mss.max(1);
        Window { size: initial_window(mss, initial_segments), threshold: u32::MAX, mss }
    }

    /// The segment size became known or changed. An initial window that has not moved yet follows.
    fn set_segment_size(&mut self, mss: u32, initial_segments: u32) {
        if self.size == initial_window(self.mss, initial_segments) {
            self.size = initial_window(mss, initial_segments);
        }
        self.mss = mss.max(1);
    }

    /// Slow start, up to the threshold (RFC 5681 3.1). What is left of `acked` is for congestion
    /// avoidance: all of it, once the threshold is reached.
    fn slow_start(&mut self, acked: u32) -> u32 {
        let grown = acked.min(self.threshold.saturating_sub(self.size));
        self.grow(grown);
        acked - grown
    }

    fn grow(&mut self, octets: u32) {
        self.size = self.size.saturating_add(octets).min(MAX_WINDOW);
    }

    /// What is left of it at least after a loss.
    fn least(&self) -> u32 {
        MIN_SEGMENTS * self.mss
    }

    /// RFC 5681 4.1: no more than at the beginning.
    fn restart(&mut self, initial_segments: u32) {
        self.size = self.size.min(initial_window(self.mss, initial_segments));
    }
}

/// Which algorithm a connection has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Algorithm {
    /// RFC 5681 and 6582.
    Reno,
    /// RFC 9438; Linux's default.
    #[default]
    Cubic,
}

impl Algorithm {
    /// The algorithm of this name, as TCP_CONGESTION has it.
    pub fn named(name: &[u8]) -> Option<Algorithm> {
        [Algorithm::Reno, Algorithm::Cubic].into_iter().find(|a| a.name().as_bytes() == name)
    }

    /// Its name as `ss -i` and TCP_CONGESTION have it.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Reno => "reno",
            Algorithm::Cubic => "cubic",
        }
    }

    pub(super) fn start(self, mss: u32, initial_segments: u32) -> Box<dyn Congestion> {
        match self {
            Algorithm::Reno => Box::new(NewReno::new(mss, initial_segments)),
            Algorithm::Cubic => Box::new(Cubic::new(mss, initial_segments)),
        }
    }
}

/// New octets were acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    /// Octets.
    pub(super) acked: u32,
    /// The flight filled the window before this acknowledgment; else it says nothing about the
    /// path (RFC 7661, Linux: `tcp_is_cwnd_limited`).
    pub(super) limited: bool,
    /// When the acknowledgment came.
    pub(super) now: Instant,
    /// Smoothed round-trip time; zero before the first sample.
    pub(super) rtt: Duration,
}

/// A congestion control algorithm. Windows are octets.
pub(super) trait Congestion: Send + Sync + core::fmt::Debug {
    /// Its name as `ss -i` and TCP_CONGESTION have it.
    fn name(&self) -> &'static str;
    /// What it keeps as every other.
    fn common(&self) -> &Window;
    /// The same, to change it.
    fn common_mut(&mut self) -> &mut Window;
    /// It takes over from another in the middle of a connection (TCP_CONGESTION).
    fn adopt(&mut self, window: u32, threshold: u32) {
        let common = self.common_mut();
        (common.size, common.threshold) = (window, threshold);
    }
    /// Congestion window.
    fn window(&self) -> u32 {
        self.common().size
    }
    /// Slow start threshold, `u32::MAX` while there was no loss.
    fn threshold(&self) -> u32 {
        self.common().threshold
    }
    /// The segment size became known or changed. An initial window that has not moved yet follows.
    fn set_segment_size(&mut self, mss: u32, initial_segments: u32) {
        self.common_mut().set_segment_size(mss, initial_segments);
    }
    /// New octets were acknowledged outside fast recovery.
    fn on_ack(&mut self, growth: Growth);
    /// Fast recovery begins with `flight` octets outstanding.
    fn on_loss(&mut self, now: Instant, flight: u32);
    /// Fast recovery is over.
    fn on_recovered(&mut self, now: Instant);
    /// The retransmission timer ran out; `first` for this segment (RFC 5681 3.1: the threshold
    /// stays for the next ones).
    fn on_timeout(&mut self, now: Instant, flight: u32, first: bool);
    /// Nothing was sent for longer than an RTO (RFC 5681 4.1).
    fn on_idle(&mut self, initial_segments: u32);
}
