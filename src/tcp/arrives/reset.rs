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
        // Linux: a peer that has sent its FIN may reset from before it
        let after_fin = arrived.header.seq == self.rcv.nxt.sub(1) && self.rcv.fin_reached();
        if arrived.header.seq != self.rcv.nxt && !after_fin {
            return self.challenge(now);
        }
        let errno = match self.state {
            State::CloseWait => Errno::EPIPE,
            _ => Errno::ECONNRESET,
        };
        self.fail(now, errno, ResetReason::Peer, arrived.cause());
        DONE
    }
}
