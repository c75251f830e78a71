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
    /// It takes over from another in the middle of a connection (TCP_CONGESTION).
    fn adopt(&mut self, window: u32, threshold: u32);
    /// Congestion window.
    fn window(&self) -> u32;
    /// Slow start threshold, `u32::MAX` while there was no loss.
    fn threshold(&self) -> u32;
    /// The segment size became known or changed. An initial window that has not moved yet follows.
    fn set_segment_size(&mut self, mss: u32, initial_segments: u32);
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
