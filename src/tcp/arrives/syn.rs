//! Fourth: check the SYN bit (RFC 9293 3.10.7.4, RFC 5961 4). There is no third step: security
//! and precedence are gone from current TCP.

use crate::ipc::Errno;
use crate::tcp::event::ResetReason;
use crate::tcp::state::State;
use crate::tcp::tcb::{Origin, Tcb};
use crate::time::Instant;

use super::{Arrived, DONE, NEXT, Step};

impl Tcb {
    /// A SYN here is old or forged, or the peer has restarted: it is told what we think, and a
    /// RST from it, if it has restarted, ends the connection.
    pub(super) fn check_syn(&mut self, now: Instant, arrived: &Arrived<'_>) -> Step {
        if !arrived.syn {
            return NEXT;
        }
        if self.state == State::SynReceived && self.origin == Origin::Passive {
            // back to LISTEN, which is the host's; Linux also answers with RST
            self.answer_with_reset(arrived, ResetReason::SynInWindow);
            let cause = arrived.cause();
            self.fail(now, Errno::ECONNRESET, ResetReason::SynInWindow, cause);
            return DONE;
        }
        self.challenge(now)
    }
}
