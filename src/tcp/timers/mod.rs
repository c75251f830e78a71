//! All timers of a connection as one table, and what happens when one runs out.
//!
//! One mechanism a file. The keep-alive deadline is computed from when the peer was last heard
//! ([`keepalive`](self::keepalive)), so it is not in the table.

mod delayed_ack;
mod keepalive;
mod persist;
mod retransmit;

pub(super) use delayed_ack::AckPolicy;
pub(super) use keepalive::Alive;
pub(super) use persist::Probing;

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Instant;

use super::event::{Cause, Event};
use super::state::State;
use super::tcb::Tcb;

/// Timers of a connection; `Display` names them as `ss -o` does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timer {
    /// RFC 6298.
    Retransmit,
    /// Zero-window probes (RFC 9293 3.8.6.1); Linux also flushes corked octets with it.
    Persist,
    /// RFC 9293 3.8.4.
    KeepAlive,
    /// RFC 9293 3.8.6.3.
    DelayedAck,
    /// Orphan in FIN-WAIT-2 (Linux: tcp_fin_timeout).
    FinWait2,
    /// 2MSL.
    TimeWait,
    /// User timeout (RFC 9293 3.10.8, RFC 5482): counted by the retransmission and persist timers.
    User,
}

impl Timer {
    /// All timers, in the order in which they are looked at.
    pub const ALL: [Timer; 7] = [
        Timer::Retransmit,
        Timer::Persist,
        Timer::KeepAlive,
        Timer::DelayedAck,
        Timer::FinWait2,
        Timer::TimeWait,
        Timer::User,
    ];
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Timer::Retransmit => "on",
            Timer::Persist => "persist",
            Timer::KeepAlive => "keepalive",
            Timer::DelayedAck => "delack",
            // Linux keeps an orphan in FIN-WAIT-2 as a timewait socket already
            Timer::FinWait2 | Timer::TimeWait => "timewait",
            Timer::User => "user",
        })
    }
}

/// When each timer runs out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TimerTable([Option<Instant>; Timer::ALL.len()]);

impl TimerTable {
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(super) fn stop_all(&mut self) {
        *self = TimerTable::default();
    }

    pub(super) fn get(&self, timer: Timer) -> Option<Instant> {
        self.0[timer as usize]
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.get(timer).is_some()
    }

    /// The earliest.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Takes one that has run out.
    fn take_expired(&mut self, now: Instant) -> Option<Timer> {
        Timer::ALL.into_iter().find(|&timer| {
            let expired = self.get(timer).is_some_and(|at| at <= now);
            if expired {
                self.stop(timer);
            }
            expired
        })
    }
}

impl Tcb {
    /// Time has come to `now`: what has run out takes effect.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.take_expired(now) {
            // of these two the change of state tells
            if !matches!(timer, Timer::FinWait2 | Timer::TimeWait) {
                self.events.push(Event::Timer(timer, self.expiries(timer)));
            }
            match timer {
                Timer::Retransmit => self.retransmission_timeout(now),
                Timer::Persist => self.persist_timeout(now),
                Timer::DelayedAck => self.delayed_ack_timeout(),
                Timer::FinWait2 | Timer::TimeWait => self.close_silently(now, Cause::Timer(timer)),
                Timer::KeepAlive | Timer::User => {}
            }
        }
        if self.keepalive_deadline().is_some_and(|at| at <= now) {
            self.events.push(Event::Timer(Timer::KeepAlive, self.expiries(Timer::KeepAlive)));
            self.keepalive_timeout(now);
        }
    }

    /// How often in a row the timer has run out, this time included.
    fn expiries(&self, timer: Timer) -> u32 {
        1 + match timer {
            Timer::Retransmit => self.retransmits.count,
            Timer::Persist => self.probing.unanswered,
            Timer::KeepAlive => self.alive.probes,
            _ => 0,
        }
    }

    /// When `handle_timeout` is to be called at the latest; asked after `poll_transmit` was
    /// drained.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.timers.next(), self.keepalive_deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// FIN-WAIT-2 of an orphan and TIME-WAIT end without a segment.
    fn close_silently(&mut self, now: Instant, cause: Cause) {
        debug_assert!(matches!(self.state, State::FinWait2 | State::TimeWait));
        self.transition(now, State::Closed, cause);
        self.events.push(Event::Closed);
    }
}
