//! SEND (RFC 9293 3.10.2): octets into the send ring.

use crate::tcp::event::Event;
use crate::tcp::limits::{MAX_REST, SEND_BUFFER_FLOOR};
use crate::tcp::tcb::{Fin, Tcb};
use crate::time::Instant;

impl Tcb {
    /// Octets the send buffer may hold now: twice what may be in flight (Linux: the send buffer
    /// follows the congestion window), within `config.send_buffer`.
    fn send_limit(&self) -> usize {
        if self.snd.takes_rest {
            return MAX_REST;
        }
        let flight = self.congestion.window().min(self.snd.max_wnd) as usize;
        SEND_BUFFER_FLOOR.max(2 * flight).min(self.config.send_buffer)
    }

    /// The program has written its last octets, and the kernel still holds some of them: from now
    /// on there is room for all, so that CLOSE need not wait behind them.
    pub fn take_rest(&mut self) {
        self.snd.takes_rest = true;
    }

    /// The program may queue octets.
    pub fn may_send(&self) -> bool {
        self.state.accepts_sends() && self.snd.fin == Fin::None
    }

    /// Room in the send buffer; 0 also when the program cannot send any more. Where it finds none,
    /// [`Event::Writable`] says when there is some again, however the room went: a smaller
    /// `config.send_buffer` or congestion window takes it as well as octets do.
    pub fn send_space(&mut self) -> usize {
        let space = self.free_space();
        self.snd.was_full |= space == 0 && self.may_send();
        space
    }

    fn free_space(&self) -> usize {
        if self.may_send() { self.send_limit().saturating_sub(self.snd.ring.len()) } else { 0 }
    }

    /// Up to `max` free octets of the send ring to read into (grows the ring); then
    /// [`Tcb::send_commit`].
    pub fn send_reserve(&mut self, max: usize) -> (&mut [u8], &mut [u8]) {
        let len = max.min(self.free_space());
        self.snd.was_full |= len < max && self.may_send();
        self.snd.ring.reserve_total(self.snd.ring.len() + len);
        self.snd.ring.free_slices(len)
    }

    /// `len` octets of what [`Tcb::send_reserve`] gave were filled.
    pub fn send_commit(&mut self, now: Instant, len: usize) {
        let len = len.min(self.free_space());
        if len == 0 {
            return;
        }
        self.restart_after_idle(now);
        self.snd.ring.commit(len);
        self.note_send_space();
    }

    /// `send_reserve` and `send_commit` from a slice; returns octets taken.
    pub fn send(&mut self, now: Instant, octets: &[u8]) -> usize {
        let (a, b) = self.send_reserve(octets.len());
        let (first, second) = octets[..a.len() + b.len()].split_at(a.len());
        a.copy_from_slice(first);
        b.copy_from_slice(second);
        let taken = first.len() + second.len();
        self.send_commit(now, taken);
        taken
    }

    /// The octet last committed is urgent (MSG_OOB): SND.UP points past it, as on Linux.
    pub fn mark_urgent(&mut self, _now: Instant) {
        if self.may_send() && !self.snd.ring.is_empty() {
            self.snd.up = Some(self.snd.text_end());
        }
    }

    /// RFC 5681 4.1: after an idle RTO the congestion window says nothing about the path.
    fn restart_after_idle(&mut self, now: Instant) {
        let idle = self.flight.is_empty() && self.snd.unsent() == 0;
        let rto = self.rtt.base(self.config.rto_min);
        if idle && self.config.slow_start_after_idle && now.since(self.snd.sent_at) > rto {
            self.congestion.on_idle(self.config.initial_window);
        }
    }

    /// Tells the host when there is room again: a third of the buffer, as Linux does, so that it
    /// is not woken for every acknowledgment.
    pub(in crate::tcp) fn note_send_space(&mut self) {
        if !self.may_send() {
            return;
        }
        let (space, limit) = (self.free_space(), self.send_limit());
        if space == 0 {
            self.snd.was_full = true;
        } else if self.snd.was_full && 3 * space >= limit {
            self.snd.was_full = false;
            self.events.push(Event::Writable);
        }
    }
}
