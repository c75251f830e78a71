//! Loss recovery: what acknowledgments tell about the flight (RFC 5681 3.2, RFC 6582 NewReno,
//! RFC 6675 with SACK, RFC 6298 5 after a timeout).
//!
//! Without SACK each duplicate acknowledgment stands for one segment that left the network, which
//! is the same as NewReno's window inflation. Short flights are repaired early (RFC 5827). Not here
//! yet: RACK-TLP, PRR, F-RTO.

use crate::time::Instant;
use crate::wire::{Header, SeqNum};

use super::congestion::Growth;
use super::tcb::Tcb;

/// Phase of recovery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Nothing is known to be lost.
    Open,
    /// Fast retransmit was done; ends when `recover` is acknowledged.
    Fast,
    /// The retransmission timer ran out; ends when `recover` is acknowledged.
    Timeout,
}

/// State of recovery.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recovery {
    pub(super) phase: Phase,
    /// SND.NXT when this recovery began (RFC 6582 3.2); forgotten with its end, or 2 GiB later it
    /// would seem to be ahead
    recover: Option<SeqNum>,
    /// Duplicate acknowledgments in a row.
    pub(super) duplicates: u32,
    /// The next retransmission leaves whatever the window says.
    pub(super) forced: bool,
}

impl Recovery {
    pub(super) fn new() -> Recovery {
        Recovery { phase: Phase::Open, recover: None, duplicates: 0, forced: false }
    }
}

impl Tcb {
    /// The handshake is over: what a lost SYN did to the window and the threshold says nothing of
    /// the path. Linux (tcp_init_transfer): only a second loss leaves one segment (RFC 5681 3.1),
    /// as the first timeout is short (RFC 6298 2.1).
    pub(super) fn begin_transfer(&mut self) {
        self.recovery = Recovery::new();
        let segments = if self.retransmits.count > 1 { 1 } else { self.config.initial_window };
        self.congestion = self.config.congestion.start(self.segment_size(), segments);
    }

    /// Octets thought to be in the network.
    pub(super) fn pipe(&self) -> u32 {
        let pipe = self.flight.pipe();
        if self.sack {
            return pipe;
        }
        pipe.saturating_sub(self.recovery.duplicates.saturating_mul(self.segment_size()))
    }

    /// The acknowledgment moved SND.UNA by `acked`; `outstanding` was in flight before.
    pub(super) fn recover_on_progress(&mut self, now: Instant, acked: u32, outstanding: u32) {
        let done = self.recovery.recover.is_none_or(|recover| !self.snd.una.before(recover));
        if done {
            self.recovery.recover = None;
        }
        match self.recovery.phase {
            Phase::Fast if !done => self.partial_acknowledgment(acked),
            Phase::Fast => {
                self.congestion.on_recovered(now);
                self.recovery.phase = Phase::Open;
                self.recovery.duplicates = 0;
            }
            Phase::Open | Phase::Timeout => {
                self.recovery.duplicates = 0;
                let window = self.congestion.window();
                let slow_start = window < self.congestion.threshold();
                let limited = if slow_start {
                    outstanding >= window / 2
                } else {
                    outstanding.saturating_add(self.segment_size()) > window
                };
                let rtt = self.rtt.smoothed();
                self.congestion.on_ack(Growth { acked, limited, now, rtt });
                if done {
                    self.recovery.phase = Phase::Open;
                }
            }
        }
    }

    /// RFC 6582 3.2 step 3: the segment after the acknowledged ones is lost as well.
    fn partial_acknowledgment(&mut self, acked: u32) {
        let segments = acked / self.segment_size().max(1);
        self.recovery.duplicates =
            self.recovery.duplicates.saturating_sub(segments.saturating_sub(1));
        if self.flight.head().is_some_and(|head| !head.retransmitted) {
            self.flight.mark_head_lost();
            self.recovery.forced = true;
        }
    }

    /// Looks for losses after any acceptable acknowledgment: SACK blocks were marked already,
    /// `duplicate` says that it is one in the sense of RFC 5681 2 (or brought new SACK blocks).
    pub(super) fn detect_loss(&mut self, now: Instant, duplicate: bool) {
        if self.flight.is_empty() {
            self.recovery.duplicates = 0;
            return;
        }
        if duplicate {
            self.recovery.duplicates =
                (self.recovery.duplicates + 1).min(self.flight.segments() as u32);
        }
        // RFC 6582 3.2 step 2: no second fast retransmit for the same flight
        if self.recovery.phase == Phase::Timeout {
            return;
        }
        let threshold = self.loss_threshold();
        if self.sack {
            self.flight.mark_lost_by_sack(threshold);
        }
        if self.recovery.phase == Phase::Fast {
            return;
        }
        if self.flight.lost_octets() > 0 || self.recovery.duplicates >= threshold {
            self.begin_fast_recovery(now);
        }
    }

    /// Duplicates that mean a loss. RFC 5827 (early retransmit): a flight too short to make three,
    /// with nothing that could lengthen it, needs fewer; a few 64 KiB segments are a whole window.
    /// A single segment has none behind it that could make any: a keep-alive probe of the peer may.
    fn loss_threshold(&self) -> u32 {
        let segments = self.flight.segments() as u32;
        let may_grow = self.snd.unsent() > 0 && self.snd.usable_window() >= self.segment_size();
        let threshold = self.config.reordering;
        if may_grow || segments > threshold || segments < 2 { threshold } else { segments - 1 }
    }

    fn begin_fast_recovery(&mut self, now: Instant) {
        self.flight.mark_head_lost();
        self.congestion.on_loss(now, self.flight.outstanding());
        self.recovery.phase = Phase::Fast;
        self.recovery.recover = Some(self.snd.nxt);
        self.recovery.forced = true;
    }

    /// The retransmission timer ran out; `first` time for this segment.
    pub(super) fn begin_loss_recovery(&mut self, now: Instant, first: bool) {
        let flight = self.flight.outstanding();
        self.congestion.on_timeout(now, flight, first);
        self.flight.mark_all_lost();
        self.recovery.phase = Phase::Timeout;
        self.recovery.recover = Some(self.snd.nxt);
        self.recovery.duplicates = 0;
        self.recovery.forced = true;
    }

    /// Marks what the SACK option covers; returns whether that is news.
    pub(super) fn take_sack_blocks(&mut self, header: &Header) -> bool {
        if !self.sack {
            return false;
        }
        let mut news = 0;
        for (left, right) in header.options.sack_blocks() {
            news += self.flight.sack(left, right);
        }
        news > 0
    }
}
