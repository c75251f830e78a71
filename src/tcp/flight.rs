//! The retransmission queue (RFC 9293 3.8, RFC 6675 scoreboard): what was sent, when, and what is
//! known of it. The octets themselves lie in the send ring; this holds one small record a segment.

use std::collections::VecDeque;

use crate::time::Instant;
use crate::wire::SeqNum;

use super::limits::MAX_FLIGHT_SEGMENTS;

/// One segment that occupies sequence space and is not acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// First sequence number.
    pub(super) seq: SeqNum,
    /// Sequence space: text plus SYN plus FIN.
    pub(super) len: u32,
    /// The SYN is in it.
    pub(super) syn: bool,
    /// The FIN is in it.
    pub(super) fin: bool,
    /// Last time it was sent.
    pub(super) sent_at: Instant,
    /// Sent more than once.
    pub(super) retransmitted: bool,
    /// Acknowledged by a SACK block.
    pub(super) sacked: bool,
    /// Taken for lost and not sent again since.
    pub(super) lost: bool,
}

impl Sent {
    /// Sequence number after it.
    pub(super) fn end(&self) -> SeqNum {
        self.seq.add(self.len)
    }

    /// Octets of text.
    pub(super) fn text_len(&self) -> u32 {
        self.len - u32::from(self.syn) - u32::from(self.fin)
    }
}

/// What an acknowledgment took off the queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Acknowledged {
    /// When the newest segment that was sent once only was sent (Karn's rule, RFC 6298 3).
    pub(super) sample_from: Option<Instant>,
    /// Something acknowledged had been retransmitted.
    pub(super) retransmitted: bool,
}

/// Segments in flight, oldest first, without gaps from SND.UNA to SND.NXT.
#[derive(Debug, Default)]
pub(super) struct Flight {
    segments: VecDeque<Sent>,
    sacked_octets: u32,
    lost_octets: u32,
    /// no record before this index is lost
    lost_hint: usize,
}

impl Flight {
    /// Nothing is in flight.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// No more segments may be sent.
    pub(super) fn is_full(&self) -> bool {
        self.segments.len() >= MAX_FLIGHT_SEGMENTS
    }

    /// Segments in flight.
    pub(super) fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Sequence space between SND.UNA and SND.NXT.
    pub(super) fn outstanding(&self) -> u32 {
        match (self.segments.front(), self.segments.back()) {
            (Some(first), Some(last)) => last.end().diff(first.seq),
            _ => 0,
        }
    }

    /// Octets the peer said it has out of order.
    pub(super) fn sacked_octets(&self) -> u32 {
        self.sacked_octets
    }

    /// Octets taken for lost and not sent again.
    pub(super) fn lost_octets(&self) -> u32 {
        self.lost_octets
    }

    /// Octets thought to be in the network (RFC 6675 pipe).
    pub(super) fn pipe(&self) -> u32 {
        self.outstanding().saturating_sub(self.sacked_octets + self.lost_octets)
    }

    /// The oldest segment.
    pub(super) fn head(&self) -> Option<&Sent> {
        self.segments.front()
    }

    /// A new segment was sent.
    pub(super) fn push(&mut self, sent: Sent) {
        debug_assert!(self.segments.back().is_none_or(|last| last.end() == sent.seq));
        self.segments.push_back(sent);
    }

    /// SND.UNA moves to `ack`.
    pub(super) fn acknowledge(&mut self, ack: SeqNum) -> Acknowledged {
        let mut result = Acknowledged::default();
        while let Some(first) = self.segments.front_mut() {
            if !ack.after(first.seq) {
                break;
            }
            let covered = ack.diff(first.seq).min(first.len);
            let octets_of = |flag: bool| if flag { covered } else { 0 };
            self.sacked_octets -= octets_of(first.sacked);
            self.lost_octets -= octets_of(first.lost);
            result.retransmitted |= first.retransmitted;
            if !first.retransmitted && !first.sacked {
                result.sample_from = Some(first.sent_at);
            }
            if covered < first.len {
                // part of a segment: what is left has neither SYN nor another start
                first.seq = ack;
                first.len -= covered;
                first.syn = false;
                break;
            }
            self.segments.pop_front();
            self.lost_hint = self.lost_hint.saturating_sub(1);
        }
        if result.retransmitted {
            result.sample_from = None;
        }
        result
    }

    /// Marks what a SACK block covers; returns the octets that are new.
    pub(super) fn sack(&mut self, left: SeqNum, right: SeqNum) -> u32 {
        let Some(first) = self.segments.front() else { return 0 };
        let (una, outstanding) = (first.seq, self.outstanding());
        let (from, to) = (left.diff(una), right.diff(una));
        // not a block inside the flight: old, a D-SACK, or nonsense
        if from >= outstanding || to > outstanding || from >= to {
            return 0;
        }
        let start = self.segments.partition_point(|sent| sent.seq.diff(una) < from);
        let mut octets = 0;
        for sent in self.segments.range_mut(start..) {
            if sent.end().diff(una) > to {
                break;
            }
            if !sent.sacked {
                sent.sacked = true;
                octets += sent.len;
                if core::mem::take(&mut sent.lost) {
                    self.lost_octets -= sent.len;
                }
            }
        }
        self.sacked_octets += octets;
        octets
    }

    /// RFC 6675 IsLost: a segment is lost when `threshold` segments above it were SACKed. One that
    /// was retransmitted already is left to the retransmission timer.
    pub(super) fn mark_lost_by_sack(&mut self, threshold: u32) {
        if self.sacked_octets == 0 {
            return;
        }
        let mut above = 0;
        for (index, sent) in self.segments.iter_mut().enumerate().rev() {
            if sent.sacked {
                above += 1;
            } else if above >= threshold && !sent.lost && !sent.retransmitted {
                sent.lost = true;
                self.lost_octets += sent.len;
                self.lost_hint = self.lost_hint.min(index);
            }
        }
    }

    /// Takes the oldest segment for lost, unless the peer has it.
    pub(super) fn mark_head_lost(&mut self) {
        if let Some(first) = self.segments.front_mut() {
            if !first.lost && !first.sacked {
                first.lost = true;
                self.lost_octets += first.len;
            }
            self.lost_hint = 0;
        }
    }

    /// The retransmission timer ran out: all is lost, and what SACK said is forgotten
    /// (RFC 2018 8: the receiver may have reneged).
    pub(super) fn mark_all_lost(&mut self) {
        for sent in &mut self.segments {
            sent.sacked = false;
            sent.lost = true;
        }
        self.sacked_octets = 0;
        self.lost_octets = self.outstanding();
        self.lost_hint = 0;
    }

    /// The first segment to send again, cut down to `max_text` octets where it is longer.
    pub(super) fn next_lost(&mut self, max_text: u32) -> Option<Sent> {
        if self.lost_octets == 0 {
            return None;
        }
        while !self.segments.get(self.lost_hint)?.lost {
            self.lost_hint += 1;
        }
        let sent = self.segments[self.lost_hint];
        if !sent.syn && sent.text_len() > max_text.max(1) {
            self.split(self.lost_hint, max_text.max(1));
        }
        Some(self.segments[self.lost_hint])
    }

    /// The segment that [`Flight::next_lost`] gave was sent again.
    pub(super) fn retransmitted(&mut self, now: Instant) {
        if let Some(sent) = self.segments.get_mut(self.lost_hint) {
            if core::mem::take(&mut sent.lost) {
                self.lost_octets -= sent.len;
            }
            sent.retransmitted = true;
            sent.sent_at = now;
        }
    }

    /// Nothing is outstanding any more.
    pub(super) fn clear(&mut self) {
        *self = Flight::default();
    }

    fn split(&mut self, index: usize, text: u32) {
        let first = &mut self.segments[index];
        let mut rest = *first;
        first.len = text;
        first.fin = false;
        rest.seq = first.end();
        rest.len -= text;
        self.segments.insert(index + 1, rest);
    }
}
