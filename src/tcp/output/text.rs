//! Which text goes next: retransmissions, windows, Nagle, TCP_CORK, sender's silly-window
//! avoidance (RFC 9293 3.7.4, 3.8.6.2.1; RFC 6675 NextSeg).

use crate::tcp::flight::Sent;
use crate::tcp::tcb::{Fin, Tcb};
use crate::time::Instant;

/// Peers with a window up to this may get segments as long as it.
const TINY_WINDOW: u32 = 536;
/// A segment of less text than this is not made, whatever options and windows leave.
const MIN_SEGMENT: u32 = 8;

impl Tcb {
    /// Octets of text in a full segment without SACK blocks: what path, peer and timestamps leave
    /// (RFC 6691), at most half the largest window seen (RFC 9293 3.8.6.2.1, Fs = 1/2; Linux:
    /// tcp_bound_to_half_wnd).
    pub(in crate::tcp) fn segment_size(&self) -> u32 {
        let agreed = u32::from(self.config.mss.min(self.snd.peer_mss));
        let size = agreed.saturating_sub(if self.ts.enabled { 12 } else { 0 });
        let bound = match self.snd.max_wnd {
            0 => u32::MAX,
            window if window > TINY_WINDOW => window / 2,
            window => window,
        };
        size.min(bound).max(MIN_SEGMENT)
    }

    /// The segment size may have changed.
    pub(in crate::tcp) fn note_segment_size(&mut self) {
        let size = self.segment_size();
        self.congestion.set_segment_size(size, self.config.initial_window);
    }

    /// Octets of text that fit beside the options a segment has now.
    fn room_for_text(&self) -> u32 {
        self.segment_size().saturating_sub(self.sack_option_len()).max(MIN_SEGMENT)
    }

    /// What is lost goes first, one segment at once after a loss was found, then as the
    /// congestion window allows.
    pub(super) fn plan_retransmission(&mut self, now: Instant) -> Option<Sent> {
        let room = self.room_for_text();
        let sent = self.flight.next_lost(room)?;
        let pipe = self.pipe();
        let allowed = pipe == 0 || pipe + sent.len <= self.congestion.window();
        if !self.recovery.forced && !allowed {
            return None;
        }
        // a peer that took back its window gets only the oldest segment (RFC 9293 3.8.6, SHLD-17)
        let head = sent.seq == self.snd.una;
        if !head && sent.end().after(self.snd.una.add(self.snd.wnd)) && !sent.syn {
            return None;
        }
        self.flight.retransmitted(now);
        if core::mem::take(&mut self.recovery.forced) && self.retransmits.count == 0 {
            self.restart_retransmit_timer(now);
        }
        self.counters.retransmissions += 1;
        self.counters.octets_retransmitted += u64::from(sent.text_len());
        Some(sent)
    }

    /// New text, with the FIN when it is the last; or the FIN alone.
    pub(super) fn plan_text(&mut self, now: Instant) -> Option<Sent> {
        if !self.has_unsent() || self.flight.is_full() {
            return None;
        }
        let unsent = self.snd.unsent();
        let window = self.snd.usable_window();
        let room = self.room_for_text();
        let probe = self.probing.due && window > 0;
        let len = if probe { unsent.min(room).min(window) } else { unsent.min(room) };
        let last = len == unsent;
        let fin = last && self.snd.fin == Fin::Queued && window > len;
        let fits = len <= window && len + u32::from(fin) > 0;
        if !fits || !(probe || self.may_send_now(len, room, fin)) {
            return None;
        }
        self.probing.due = false;
        let sent = Sent {
            seq: self.snd.nxt,
            len: len + u32::from(fin),
            syn: false,
            fin,
            sent_at: now,
            retransmitted: false,
            sacked: false,
            lost: false,
        };
        if len > 0 && len < room {
            self.snd.small = Some(sent.end());
        }
        self.push_new(now, sent);
        Some(sent)
    }

    /// Congestion window, then Nagle and TCP_CORK for a segment that is not full.
    fn may_send_now(&self, len: u32, room: u32, fin: bool) -> bool {
        let pipe = self.pipe();
        let congested = pipe > 0 && pipe + len > self.congestion.window();
        if congested && len > 0 {
            return false;
        }
        let urgent = self.snd.up.is_some_and(|up| up.after(self.snd.nxt));
        if len >= room || fin || urgent || self.snd.fin == Fin::Queued {
            return true;
        }
        if self.config.cork {
            return false;
        }
        // RFC 9293 3.7.4 as Linux has it: only a small segment waits for the one before
        self.config.nodelay || self.snd.small.is_none()
    }
}
