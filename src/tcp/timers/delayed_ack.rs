//! Delayed acknowledgments (RFC 9293 3.8.6.3, MUST-58, MUST-59; RFC 5681 4.2; Linux's quick-ack).
//!
//! At once: the first segments of a connection (Linux: up to 16, until the program answers and so
//! shows that the conversation is interactive), every second full-sized segment, whatever is out
//! of order or came twice and the next ones, and always with TCP_QUICKACK. Otherwise after 40 ms.

use crate::tcp::limits::{DEFAULT_MSS, MAX_QUICK_ACKS};
use crate::tcp::tcb::Tcb;
use crate::time::Instant;
use crate::wire::SeqNum;

use super::Timer;

/// What is owed to the peer.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct AckPolicy {
    /// An acknowledgment is to be sent now.
    pub(in crate::tcp) now: bool,
    /// It is a challenge ACK (RFC 5961).
    pub(in crate::tcp) challenges: bool,
    /// Octets of text received since the last one was sent.
    pub(in crate::tcp) unacked: u32,
    /// Acknowledgments still to be sent without delay; `None` before the first text.
    quick: Option<u32>,
    /// Times that the program has answered what it received: after a few of them
    /// acknowledgments travel with the answers (Linux: pingpong).
    answers: u8,
    /// Largest segment seen: "full-sized" as far as this end can tell (Linux: rcv_mss).
    pub(in crate::tcp) full_size: u32,
    /// When text last arrived.
    text_at: Instant,
    /// Duplicate text to tell by D-SACK (RFC 2883).
    pub(in crate::tcp) dsack: Option<(SeqNum, SeqNum)>,
}

impl AckPolicy {
    pub(in crate::tcp) fn new(now: Instant) -> AckPolicy {
        AckPolicy {
            now: false,
            challenges: false,
            unacked: 0,
            quick: None,
            answers: 0,
            full_size: u32::from(DEFAULT_MSS),
            text_at: now,
            dsack: None,
        }
    }
}

impl Tcb {
    /// In-order text arrived: acknowledge now or soon.
    pub(in crate::tcp) fn acknowledge_text(&mut self, now: Instant, len: u32) {
        let idle = now.since(self.ack.text_at) > self.rtt.base(self.config.rto_min);
        self.ack.text_at = now;
        self.ack.full_size = self.ack.full_size.max(len);
        self.ack.unacked = self.ack.unacked.saturating_add(len);
        if self.ack.quick.is_none() || idle {
            let window = self.rcv.window() / (2 * self.ack.full_size);
            self.ack.quick = Some(window.clamp(2, MAX_QUICK_ACKS));
        }
        let interactive = self.ack.answers >= self.config.pingpong_threshold;
        let quick = self.ack.quick.is_some_and(|left| left > 0) && !interactive;
        if quick || self.config.quickack || self.ack.unacked > self.ack.full_size {
            self.ack.now = true;
        } else if !self.ack.now && !self.timers.is_set(Timer::DelayedAck) {
            self.timers.set(Timer::DelayedAck, now + self.config.delayed_ack);
        }
    }

    /// Something is missing or came twice: the peer needs every acknowledgment to recover
    /// (RFC 5681 4.2; Linux: tcp_enter_quickack_mode).
    pub(in crate::tcp) fn acknowledge_trouble(&mut self) {
        self.ack.now = true;
        self.ack.answers = 0;
        self.ack.quick = Some(MAX_QUICK_ACKS);
    }

    /// The program sent text: soon after it received some, the conversation is interactive.
    pub(in crate::tcp) fn note_answer(&mut self, now: Instant) {
        if self.ack.quick.is_some() && now.since(self.ack.text_at) < self.config.delayed_ack {
            self.ack.answers = self.ack.answers.saturating_add(1);
        }
    }

    /// A segment with an acknowledgment left.
    pub(in crate::tcp) fn acknowledgment_sent(&mut self) {
        self.ack.now = false;
        self.ack.challenges = false;
        self.ack.unacked = 0;
        self.ack.dsack = None;
        if let Some(left) = &mut self.ack.quick {
            *left = left.saturating_sub(1);
        }
        self.timers.stop(Timer::DelayedAck);
    }

    /// Nothing came along to carry it. The conversation was not that interactive.
    pub(super) fn delayed_ack_timeout(&mut self) {
        self.ack.now = true;
        self.ack.answers = 0;
    }
}
