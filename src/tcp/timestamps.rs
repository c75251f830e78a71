//! Timestamps: echo, clock and PAWS (RFC 7323 4, 5).

use crate::time::{Duration, Instant};
use crate::wire::{SeqNum, Timestamps};

use super::limits::PAWS_IDLE;

/// The timestamp part of a connection; also kept by TIME-WAIT.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimestampState {
    /// Both ends sent the option in their SYN.
    pub(super) enabled: bool,
    /// Added to the millisecond clock.
    offset: u32,
    /// TS.Recent and when it was taken.
    recent: Option<(u32, Instant)>,
    /// Last.ACK.sent
    pub(super) last_ack_sent: SeqNum,
}

impl TimestampState {
    pub(super) fn new(offset: u32) -> TimestampState {
        TimestampState { enabled: false, offset, recent: None, last_ack_sent: SeqNum(0) }
    }

    /// TSval at `now`.
    pub(super) fn clock(&self, now: Instant) -> u32 {
        (now.as_millis() as u32).wrapping_add(self.offset)
    }

    /// TS.Recent, 0 where there is none.
    pub(super) fn recent(&self) -> u32 {
        self.recent.map_or(0, |(val, _)| val)
    }

    /// The option for a segment that leaves now.
    pub(super) fn option(&self, now: Instant) -> Timestamps {
        Timestamps { val: self.clock(now), ecr: self.recent() }
    }

    /// PAWS R1: the segment is older than TS.Recent (which is not too old itself, 5.5) by more than
    /// `borne` ticks. Linux (tcp_paws_check): 0 is no timestamp; some send it in their SYN only.
    pub(super) fn is_old(&self, now: Instant, option: Timestamps, borne: u32) -> bool {
        self.recent.is_some_and(|(recent, since)| {
            let old = is_before(option.val.wrapping_add(borne), recent);
            old && recent != 0 && now.since(since) < PAWS_IDLE
        })
    }

    /// The timestamp is later than TS.Recent: a SYN with it cannot be an old duplicate.
    pub(super) fn is_newer(&self, option: Timestamps) -> bool {
        self.recent.is_some_and(|(recent, _)| is_before(recent, option.val))
    }

    /// RFC 7323 4.3 (2): a segment that starts at or before Last.ACK.sent sets TS.Recent.
    pub(super) fn note(&mut self, now: Instant, seq: SeqNum, option: Timestamps) {
        if !seq.after(self.last_ack_sent) && !self.is_old(now, option, 0) {
            self.recent = Some((option.val, now));
        }
    }

    /// TS.Recent as a SYN sets it.
    pub(super) fn set_recent(&mut self, now: Instant, option: Timestamps) {
        self.recent = Some((option.val, now));
    }

    /// Round trip that an echo tells, in the grain of the clock; `None` where it cannot be ours.
    pub(super) fn round_trip(&self, now: Instant, option: Timestamps) -> Option<Duration> {
        let elapsed_ms = self.clock(now).wrapping_sub(option.ecr);
        let plausible = u64::from(elapsed_ms) <= now.as_millis() && elapsed_ms < 1 << 30;
        (option.ecr != 0 && plausible).then(|| Duration::from_millis(u64::from(elapsed_ms).max(1)))
    }
}

/// Timestamps are compared as sequence numbers are.
fn is_before(a: u32, b: u32) -> bool {
    SeqNum(a).before(SeqNum(b))
}
