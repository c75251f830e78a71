//! Keep-alive probes (RFC 9293 3.8.4, MUST-24..29): off unless the program asked.

use crate::ipc::Errno;
use crate::tcp::config::KeepAlive;
use crate::tcp::event::{Cause, ResetReason};
use crate::tcp::state::State;
use crate::tcp::tcb::Tcb;
use crate::time::Instant;

use super::Timer;

/// State of keep-alive.
#[derive(Clone, Copy, Debug)]
pub(in crate::tcp) struct Alive {
    /// The peer was last heard.
    pub(in crate::tcp) heard: Instant,
    /// Probes since, and when the last was sent.
    pub(in crate::tcp) probes: u32,
    pub(in crate::tcp) probed: Instant,
    /// A probe is to be sent.
    pub(in crate::tcp) due: bool,
}

impl Alive {
    pub(in crate::tcp) fn new(now: Instant) -> Alive {
        Alive { heard: now, probes: 0, probed: now, due: false }
    }

    pub(in crate::tcp) fn hear(&mut self, now: Instant) {
        *self = Alive::new(now);
    }
}

impl Tcb {
    /// When keep-alive has something to do: never while octets wait for an acknowledgment, the
    /// retransmission timer does the work then.
    pub(in crate::tcp) fn keepalive_deadline(&self) -> Option<Instant> {
        let KeepAlive { idle, interval, .. } = self.config.keepalive?;
        let applies = self.state.is_synchronized() && self.state != State::TimeWait;
        if !applies || !self.flight.is_empty() || self.has_unsent() {
            return None;
        }
        Some(match self.alive.probes {
            0 => self.alive.heard + idle,
            _ => self.alive.probed + interval,
        })
    }

    pub(super) fn keepalive_timeout(&mut self, now: Instant) {
        let Some(KeepAlive { probes, .. }) = self.config.keepalive else { return };
        let gave_up = match self.config.user_timeout {
            Some(limit) => self.alive.probes > 0 && now.since(self.alive.heard) >= limit,
            None => self.alive.probes >= u32::from(probes.max(1)),
        };
        if gave_up {
            self.queue_reset(ResetReason::Timeout, now);
            let cause = Cause::Timer(Timer::KeepAlive);
            self.fail(now, Errno::ETIMEDOUT, ResetReason::Timeout, cause);
            return;
        }
        self.alive.probes += 1;
        self.alive.probed = now;
        self.alive.due = true;
    }
}
