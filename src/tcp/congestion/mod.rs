//! Congestion control: how much may be in flight (RFC 5681). One algorithm a file.
//!
//! An algorithm sees acknowledged octets and losses and says a window. It does not know which
//! segment is lost, or when: that is [`recovery`](super::recovery).

mod new_reno;

pub(super) use new_reno::NewReno;

use crate::time::Instant;

/// New octets were acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Growth {
    /// Octets.
    pub(super) acked: u32,
    /// The flight filled the window before this acknowledgment; else it says nothing about the
    /// path (RFC 7661, Linux: `tcp_is_cwnd_limited`).
    pub(super) limited: bool,
}

/// A congestion control algorithm. Windows are octets.
pub(super) trait Congestion: Send + Sync + core::fmt::Debug {
    /// Its name as `ss -i` and TCP_CONGESTION have it.
    fn name(&self) -> &'static str;
    /// Congestion window.
    fn window(&self) -> u32;
    /// Slow start threshold, `u32::MAX` while there was no loss.
    fn threshold(&self) -> u32;
    /// The segment size became known or changed; before the first segment of text also the window.
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
