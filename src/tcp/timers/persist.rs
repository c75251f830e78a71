//! The persist timer: probes while the peer's window is closed (RFC 9293 3.8.6.1, MUST-35..37).
//!
//! Linux: a probe is an empty segment before SND.UNA, which the peer must answer, unless the
//! window has room for something: then as much text as fits is sent, whatever Nagle or TCP_CORK
//! say (this is also how corked octets get out after 200 ms).

use crate::ipc::Errno;
use crate::tcp::event::{Cause, ResetReason};
use crate::tcp::limits::LEAST_RTO;
use crate::tcp::rtt::doubled;
use crate::tcp::tcb::{Grip, Tcb};
use crate::time::{Duration, Instant};

use super::Timer;

/// State of probing.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::tcp) struct Probing {
    /// Probes since the peer was last heard.
    pub(in crate::tcp) unanswered: u32,
    /// Doublings of the interval.
    pub(in crate::tcp) backoff: u32,
    /// When the first probe of this closed window was sent.
    pub(in crate::tcp) since: Option<Instant>,
    /// A probe is to be sent.
    pub(in crate::tcp) due: bool,
}

impl Tcb {
    /// Starts the timer where octets wait, nothing is in flight whose acknowledgment would open
    /// the window, and nothing else will send them.
    pub(in crate::tcp) fn arm_persist_timer(&mut self, now: Instant) {
        let waiting = self.state.sends_text() && self.has_unsent() && self.flight.is_empty();
        if !waiting {
            self.timers.stop(Timer::Persist);
        } else if !self.timers.is_set(Timer::Persist) {
            self.timers.set(Timer::Persist, now + self.probe_delay(now));
        }
    }

    /// Interval of the probes, but never past the user timeout.
    fn probe_delay(&self, now: Instant) -> Duration {
        let base = self.rtt.base(self.config.rto_min).max(LEAST_RTO);
        let delay = doubled(base, self.probing.backoff, self.config.rto_max);
        match (self.config.user_timeout, self.probing.since) {
            (Some(limit), Some(since)) => {
                let left = limit.saturating_sub(now.since(since));
                delay.min(left.max(Duration::from_millis(1)))
            }
            _ => delay,
        }
    }

    pub(super) fn persist_timeout(&mut self, now: Instant) {
        if !self.state.sends_text() || !self.has_unsent() || !self.flight.is_empty() {
            return;
        }
        let probing = self.probing;
        let alive = self.path_is_alive(probing.backoff);
        // Linux (tcp_probe_timer): answers keep an orphan only while the intervals are short.
        let (limit, worn_out) = match self.grip {
            Grip::Held => (u32::from(self.config.retries2), false),
            Grip::Orphan => {
                let limit = self.orphan_limit(alive);
                (limit, !alive && probing.backoff >= limit)
            }
        };
        // Linux: TCP_USER_TIMEOUT ends a connection whose peer answers and takes nothing, too.
        let impatient = match (self.config.user_timeout, probing.since) {
            (Some(limit), Some(since)) => now.since(since) >= limit,
            _ => false,
        };
        if impatient || worn_out || probing.unanswered >= limit {
            self.fail(now, Errno::ETIMEDOUT, ResetReason::Timeout, Cause::Timer(Timer::Persist));
            return;
        }
        self.probing.since.get_or_insert(now);
        self.probing.unanswered += 1;
        self.probing.backoff = (self.probing.backoff + 1).min(u32::from(self.config.retries2));
        self.probing.due = true;
        self.timers.set(Timer::Persist, now + self.probe_delay(now));
    }

    /// An acknowledgment came: the peer lives (MUST-37: probing may go on for ever, unless the
    /// program is gone or has set TCP_USER_TIMEOUT). When it also opened the window, the next
    /// closed window starts with short intervals again.
    pub(in crate::tcp) fn probe_answered(&mut self, now: Instant) {
        self.probing.unanswered = 0;
        if self.snd.usable_window() > 0 {
            self.probing.backoff = 0;
            self.probing.since = None;
            self.timers.stop(Timer::Persist);
        } else if self.timers.is_set(Timer::Persist) {
            self.timers.set(Timer::Persist, now + self.probe_delay(now));
        }
    }
}
