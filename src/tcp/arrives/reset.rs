//! Second: check the RST bit (RFC 9293 3.10.7.4, RFC 5961 3).

use crate::ipc::Errno;
use crate::tcp::event::ResetReason;
use crate::tcp::state::State;
use crate::tcp::tcb::Tcb;
use crate::time::Instant;

use super::{Arrived, DONE, NEXT, Step};

impl Tcb {
    /// Only a RST with exactly the next sequence number resets; others in the window may be
    /// forged and are challenged.
    pub(super) fn check_reset(&mut self, now: Instant, arrived: &Arrived<'_>) -> Step {
        if !arrived.header.flags.rst() {
            return NEXT;
        }
        if arrived.header.seq != self.rcv.nxt && !self.is_from_before_the_fin(arrived) {
            return self.challenge(now);
        }
        let errno = match self.state {
            State::CloseWait => Errno::EPIPE,
            _ => Errno::ECONNRESET,
        };
        self.fail(now, errno, ResetReason::Peer, arrived.cause());
        DONE
    }

    /// Linux (tcp_reset_check): a peer that has sent its FIN may reset from before it.
    pub(super) fn is_from_before_the_fin(&self, arrived: &Arrived<'_>) -> bool {
        arrived.header.seq == self.rcv.nxt.sub(1) && self.rcv.fin_reached()
    }
}
