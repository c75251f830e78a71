//! The retransmission timer (RFC 6298 5) and when it gives up (RFC 9293 3.8.3; Linux's limits).

use crate::ipc::Errno;
use crate::tcp::event::{Cause, ResetReason};
use crate::tcp::limits::LEAST_RTO;
use crate::tcp::rtt::{doubled, model_timeout};
use crate::tcp::state::State;
use crate::tcp::tcb::{Grip, Origin, Tcb};
use crate::time::{Duration, Instant};

use super::Timer;

/// Retransmissions of an orphan while its path may still be alive (Linux: tcp_orphan_retries 0).
const ORPHAN_RETRIES_ALIVE: u8 = 8;

impl Tcb {
    /// RTO with back-off, but never past the user timeout.
    fn retransmission_delay(&self, now: Instant) -> Duration {
        let rto = self.rtt.timeout(self.config.rto_min, self.config.rto_max);
        match (self.patience(), self.retransmits.since) {
            (Some(limit), Some(since)) => {
                let left = limit.saturating_sub(now.since(since));
                rto.min(left.max(Duration::from_millis(1)))
            }
            _ => rto,
        }
    }

    /// (Re)starts the timer, or stops it when nothing is in flight (RFC 6298 5.1 to 5.3).
    pub(in crate::tcp) fn restart_retransmit_timer(&mut self, now: Instant) {
        if self.flight.is_empty() {
            self.timers.stop(Timer::Retransmit);
        } else {
            self.timers.set(Timer::Retransmit, now + self.retransmission_delay(now));
        }
    }

    /// RFC 9293 3.10.8, RETRANSMISSION TIMEOUT.
    pub(super) fn retransmission_timeout(&mut self, now: Instant) {
        if self.flight.is_empty() {
            return;
        }
        if self.gave_up(now) {
            self.fail(now, Errno::ETIMEDOUT, ResetReason::Timeout, Cause::Timer(Timer::Retransmit));
            return;
        }
        let first = self.retransmits.count == 0;
        self.retransmits.count += 1;
        // Linux (retrans_stamp): an active OPEN tries since its first SYN
        let since = if self.state == State::SynSent { self.entered } else { now };
        self.retransmits.since.get_or_insert(since);
        self.begin_loss_recovery(now, first);
        let linear = self.state == State::SynSent
            && self.retransmits.count <= u32::from(self.config.syn_linear_timeouts);
        if !linear {
            self.rtt.back_off();
        }
        self.restart_retransmit_timer(now);
    }

    /// No further retransmission: the limit of this state is reached.
    fn gave_up(&self, now: Instant) -> bool {
        let count = self.retransmits.count;
        let syn_retries = u32::from(self.config.syn_retries);
        let linear = u32::from(self.config.syn_linear_timeouts);
        match (self.state, self.origin) {
            (State::SynSent, _) => count >= syn_retries + linear || self.tried_for_long(now),
            (State::SynReceived, Origin::Active) => {
                count >= syn_retries || self.tried_for_long(now)
            }
            (State::SynReceived, Origin::Passive) => count >= u32::from(self.config.synack_retries),
            _ if self.patience().is_none() && self.shrunk_window_is_alive(now) => false,
            _ => self.tried_for_long(now),
        }
    }

    /// TCP_USER_TIMEOUT. Linux: a passive OPEN is a request socket, which knows none.
    fn patience(&self) -> Option<Duration> {
        let is_request = self.state == State::SynReceived && self.origin == Origin::Passive;
        self.config.user_timeout.filter(|_| !is_request)
    }

    /// Linux `retransmits_timed_out`: longer than the program waits, or else than the retries
    /// would take; those of a SYN without the linear ones.
    fn tried_for_long(&self, now: Instant) -> bool {
        let config = &self.config;
        let (boundary, rto) = match (self.state, self.grip) {
            (State::SynSent | State::SynReceived, _) => {
                (u32::from(config.syn_retries), config.rto_initial)
            }
            (_, Grip::Held) => (u32::from(config.retries2), LEAST_RTO),
            (_, Grip::Orphan) => {
                let alive = self.path_is_alive(self.rtt.backoff());
                (self.orphan_limit(alive), LEAST_RTO)
            }
        };
        let longest = model_timeout(boundary, rto, config.rto_max);
        let since = self.retransmits.since;
        since.is_some_and(|since| now.since(since) >= self.patience().unwrap_or(longest))
    }

    /// The peer took its window back over octets in flight but goes on answering: the connection
    /// lives (RFC 9293 3.8.6, SHLD-17, MUST-37; Linux: for twice the largest RTO).
    fn shrunk_window_is_alive(&self, now: Instant) -> bool {
        self.snd.wnd == 0
            && self.grip == Grip::Held
            && self.state.is_synchronized()
            && now.since(self.alive.heard) < self.config.rto_max * 2
    }

    /// Linux: a path may be alive while its RTO has not reached the maximum.
    pub(super) fn path_is_alive(&self, backoff: u32) -> bool {
        let rto = self.rtt.base(self.config.rto_min);
        doubled(rto, backoff, self.config.rto_max) < self.config.rto_max
    }

    /// Linux `tcp_orphan_retries`.
    pub(super) fn orphan_limit(&self, path_is_alive: bool) -> u32 {
        match self.config.orphan_retries {
            0 if path_is_alive => u32::from(ORPHAN_RETRIES_ALIVE),
            retries => u32::from(retries),
        }
    }
}
