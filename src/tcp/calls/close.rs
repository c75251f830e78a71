//! CLOSE and ABORT (RFC 9293 3.10.4, 3.10.5), and what Linux makes of a last `close()`.

use crate::ipc::Errno;
use crate::tcp::event::{Cause, Event, Release, ResetReason};
use crate::tcp::state::State;
use crate::tcp::tcb::{Fin, Grip, Reading, Tcb};
use crate::time::Instant;

impl Tcb {
    /// FIN after all queued octets: `shutdown(SHUT_WR)`.
    pub fn shutdown_write(&mut self, now: Instant) {
        self.close(now, Cause::Shutdown);
    }

    /// Last descriptor closed: orphan from now on. Octets that never reached the program make a
    /// graceful close an ABORT (RFC 2525 2.17).
    pub fn release(&mut self, now: Instant, how: Release) {
        if self.grip == Grip::Orphan {
            return;
        }
        self.grip = Grip::Orphan;
        self.reading = Reading::Ended;
        // nobody is left to read, so nothing is unread
        self.rcv.unread = 0;
        match how {
            Release::Abort(reason) => self.abort(now, reason),
            Release::Graceful if !self.rcv.ring.is_empty() => {
                self.abort(now, ResetReason::UnreadData);
            }
            Release::Graceful => self.close_as_orphan(now),
        }
    }

    fn close_as_orphan(&mut self, now: Instant) {
        self.close(now, Cause::Close);
        if self.state == State::FinWait2 {
            if self.refuses_fin_wait_2() {
                self.abort(now, ResetReason::NoFinWait2);
            } else {
                self.arm_fin_wait_2_timer(now);
            }
        }
    }

    /// RFC 9293 3.10.4.
    fn close(&mut self, now: Instant, cause: Cause) {
        match self.state {
            // "Delete the TCB": nothing was sent that the peer would miss
            State::SynSent => {
                self.transition(now, State::Closed, cause);
                self.events.push(Event::Closed);
            }
            State::SynReceived | State::Established => {
                self.snd.fin = Fin::Queued;
                self.transition(now, State::FinWait1, cause);
            }
            State::CloseWait => {
                self.snd.fin = Fin::Queued;
                self.transition(now, State::LastAck, cause);
            }
            _ => {}
        }
    }

    /// RFC 9293 3.10.5: RST where the peer knows the connection, and the TCB is gone. The caller
    /// knows that it did this, so no `Failed`.
    fn abort(&mut self, now: Instant, reason: ResetReason) {
        // Linux: TIME-WAIT is no longer the program's, its ABORT does not reach it
        if matches!(self.state, State::Closed | State::TimeWait) {
            return;
        }
        // Linux: also where octets or the FIN that CLOSE promised were never sent; and, after both
        // FINs too, where close() finds octets unread or too many orphans
        let unsent = self.has_unsent() && self.state.sends_text();
        let by_close = matches!(reason, ResetReason::UnreadData | ResetReason::TooManyOrphans)
            && self.state.is_synchronized();
        if self.state.abort_sends_reset() || unsent || by_close {
            self.queue_reset(reason, now);
        }
        self.transition(now, State::Closed, Cause::Abort);
        self.events.push(Event::Closed);
    }

    /// Ends the connection as if its path had failed (`errno` for the program): for the host's
    /// own reasons, such as an address that went away.
    pub fn give_up(&mut self, now: Instant, errno: Errno) {
        if self.state != State::Closed {
            self.fail(now, errno, ResetReason::Aborted, Cause::Abort);
        }
    }
}
