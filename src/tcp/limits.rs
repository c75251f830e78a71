//! Every bound of the machine, with its name. Peer input can fill none of them beyond this.

use crate::time::Duration;

/// Shift counts above this are taken as this (RFC 7323 2.3).
pub(super) const MAX_WINDOW_SCALE: u8 = 14;
/// MSS of a peer that offered none (RFC 9293 3.7.1, MUST-15; Linux: for IPv6 too).
pub(super) const DEFAULT_MSS: u16 = 536;
/// Segments that may be outstanding at once, however small they are.
pub(super) const MAX_FLIGHT_SEGMENTS: usize = 8192;
/// Runs of out-of-order octets that are kept; text that would make one more is dropped.
pub(super) const MAX_OUT_OF_ORDER_RUNS: usize = 256;
/// Octets the send buffer may hold whatever the window is; twice the window above that.
pub(super) const SEND_BUFFER_FLOOR: usize = 256 * 1024;
/// Octets the send buffer may hold once the program writes no more: what its kernel socket held,
/// which `net.core.wmem_max` bounds.
pub(super) const MAX_REST: usize = 16 << 20;
/// Segments of the own MSS that the first receive window is good for, so that a path with a
/// 64 KiB MSS is not stop-and-wait (Linux reaches the same by growing `rcv_ssthresh`).
pub(super) const INITIAL_WINDOW_SEGMENTS: usize = 6;
/// Acknowledgments not delayed at the start of a connection (Linux: TCP_MAX_QUICKACKS).
pub(super) const MAX_QUICK_ACKS: u32 = 16;
/// A timestamp older than this is not compared any more (RFC 7323 5.5).
pub(super) const PAWS_IDLE: Duration = Duration::from_secs(24 * 24 * 3600);
/// Ticks by which a timestamp may be older than the latest one (Linux: TCP_PAWS_WINDOW).
pub(super) const PAWS_WINDOW: u32 = 1;
/// RTO after a handshake that needed a retransmission and gave no sample (RFC 6298 5.7).
pub(super) const FALLBACK_RTO: Duration = Duration::from_secs(3);
/// What limits given as counts of retransmissions are reckoned from, and the shortest interval of
/// probes, whatever tcp_rto_min_us says (Linux: TCP_RTO_MIN).
pub(super) const LEAST_RTO: Duration = Duration::from_millis(200);
/// How far a new ISS stays ahead of a connection that it follows on the same 4-tuple
/// (Linux: 65535 + 2).
pub(super) const ISS_DISTANCE: u32 = 65535 + 2;
