//! The transmission control block (RFC 9293 3.3.1) and the one door through which it changes its
//! state.
//!
//! What happens to it is elsewhere: `calls/`, `arrives/`, `timers/`, `output/`.

use core::net::SocketAddr;

use crate::ipc::Errno;
use crate::time::{Duration, Instant};
use crate::wire::{Header, SeqNum};

use super::buffer::{Reassembly, Ring};
use super::config::Config;
use super::congestion::Congestion;
use super::event::{Cause, Event, EventQueue, ResetReason};
use super::flight::Flight;
use super::recovery::Recovery;
use super::rtt::RttEstimator;
use super::state::State;
use super::time_wait::TimeWait;
use super::timers::{AckPolicy, Alive, Probing, Timer, TimerTable};
use super::timestamps::TimestampState;

/// Both ends of a connection. Never IPv4-mapped IPv6: the host unmaps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct FourTuple {
    /// This end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

/// Which OPEN made the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// `connect()`: the client.
    Active,
    /// `listen()`: the server.
    Passive,
}

/// Whether a program still holds the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Grip {
    Held,
    /// The last descriptor is closed.
    Orphan,
}

/// Whether the program wants what the peer sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reading {
    Open,
    /// `shutdown(SHUT_RD)` or close.
    Ended,
}

/// Our FIN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fin {
    None,
    /// To be sent after the octets in the ring.
    Queued,
    /// Sent with this sequence number.
    Sent(SeqNum),
    /// Acknowledged.
    Acknowledged,
}

/// Send sequence variables.
#[derive(Debug)]
pub(super) struct Snd {
    pub(super) iss: SeqNum,
    pub(super) una: SeqNum,
    pub(super) nxt: SeqNum,
    /// SND.WND in octets
    pub(super) wnd: u32,
    /// largest SND.WND so far
    pub(super) max_wnd: u32,
    pub(super) wl1: SeqNum,
    pub(super) wl2: SeqNum,
    /// SND.UP: the number after the urgent octet, until acknowledged
    pub(super) up: Option<SeqNum>,
    /// Snd.Wind.Shift
    pub(super) shift: u8,
    /// MSS of the peer's SYN, as it limits us
    pub(super) peer_mss: u16,
    /// octets from SND.UNA on
    pub(super) ring: Ring,
    /// sequence number of the ring's first octet
    pub(super) ring_seq: SeqNum,
    pub(super) fin: Fin,
    /// end of the last segment sent that was not full-sized, until acknowledged (Minshall)
    pub(super) small: Option<SeqNum>,
    /// the program's octets found no room
    pub(super) was_full: bool,
    /// the program writes no more: what it has written is taken whole
    pub(super) takes_rest: bool,
    /// when something was last sent
    pub(super) sent_at: Instant,
}

impl Snd {
    /// Sequence number after the last octet that the program queued.
    pub(super) fn text_end(&self) -> SeqNum {
        self.ring_seq.add(self.ring.len() as u32)
    }

    /// Octets queued and never sent.
    pub(super) fn unsent(&self) -> u32 {
        self.text_end().since(self.nxt)
    }

    /// Octets that the peer's window still takes.
    pub(super) fn usable_window(&self) -> u32 {
        self.una.add(self.wnd).since(self.nxt)
    }
}

/// Receive sequence variables.
#[derive(Debug)]
pub(super) struct Rcv {
    pub(super) irs: SeqNum,
    pub(super) nxt: SeqNum,
    /// right edge of the window as offered; never moves back
    pub(super) edge: SeqNum,
    /// Rcv.Wind.Shift
    pub(super) shift: u8,
    /// octets in order that were not consumed, and behind them those out of order
    pub(super) ring: Ring,
    pub(super) reassembly: Reassembly,
    /// octets that the window may cover; grows
    pub(super) limit: usize,
    /// octets handed over that the program has not read
    pub(super) unread: usize,
    /// sequence number of the peer's FIN, once seen
    pub(super) fin: Option<SeqNum>,
    /// RCV.UP: the number after the urgent octet, until that is told
    pub(super) up: Option<SeqNum>,
    /// octets consumed so far
    pub(super) consumed: u64,
    /// what the program had read at this time, to measure how fast it reads
    pub(super) read_mark: (Instant, u64),
}

impl Rcv {
    /// RCV.WND as offered.
    pub(super) fn window(&self) -> u32 {
        self.edge.since(self.nxt)
    }

    /// The peer's FIN was reached in sequence.
    pub(super) fn fin_reached(&self) -> bool {
        self.fin.is_some_and(|fin| fin.before(self.nxt))
    }

    /// Octets that the program has not read, wherever they are.
    pub(super) fn unread_total(&self) -> usize {
        self.ring.len() + self.unread
    }
}

/// Retransmissions of what is now the oldest segment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retransmits {
    pub(super) count: u32,
    /// first of them
    pub(super) since: Option<Instant>,
}

/// Numbers for STATUS.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) segments_in: u64,
    pub(super) segments_out: u64,
    pub(super) octets_acked: u64,
    pub(super) octets_received: u64,
    pub(super) octets_sent: u64,
    pub(super) octets_retransmitted: u64,
    pub(super) retransmissions: u32,
    pub(super) duplicates: u64,
    pub(super) out_of_order: u64,
}

/// A RST that waits to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingReset {
    pub(super) header: Header,
    pub(super) reason: ResetReason,
}

/// Challenge ACKs of this second (RFC 5961 7), and when an empty segment out of the window was
/// last answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InvalidAnswers {
    pub(super) last: Option<Instant>,
    pub(super) second: u64,
    pub(super) count: u32,
}

/// Transmission control block, SYN-SENT to TIME-WAIT.
#[derive(Debug)]
pub struct Tcb {
    pub(super) config: Config,
    pub(super) tuple: FourTuple,
    pub(super) state: State,
    pub(super) entered: Instant,
    pub(super) origin: Origin,
    pub(super) grip: Grip,
    pub(super) reading: Reading,
    pub(super) snd: Snd,
    pub(super) rcv: Rcv,
    /// both ends scale their windows (perhaps by 0)
    pub(super) scaling: bool,
    /// both ends permit SACK
    pub(super) sack: bool,
    pub(super) ts: TimestampState,
    pub(super) rtt: RttEstimator,
    pub(super) flight: Flight,
    pub(super) recovery: Recovery,
    pub(super) congestion: Box<dyn Congestion>,
    /// Send queue as it was when the connection ended: Linux goes on telling it.
    pub(super) left_behind: (usize, usize),
    pub(super) retransmits: Retransmits,
    pub(super) ack: AckPolicy,
    pub(super) probing: Probing,
    pub(super) alive: Alive,
    pub(super) timers: TimerTable,
    pub(super) events: EventQueue,
    pub(super) reset: Option<PendingReset>,
    pub(super) invalid: InvalidAnswers,
    pub(super) counters: Counters,
    pub(super) time_wait: Option<TimeWait>,
}

impl Tcb {
    /// The one door for transitions: checks the table, stops what does not outlive the state,
    /// starts what belongs to it, tells the host.
    pub(super) fn transition(&mut self, now: Instant, to: State, cause: Cause) {
        let from = self.state;
        debug_assert!(from.may_become(to), "no arrow from {from} to {to} ({cause:?})");
        tracing::trace!(target: "tcplab::tcp", tuple = ?self.tuple, %from, %to, ?cause);
        self.state = to;
        self.entered = now;
        self.events.push(Event::State { from, to, cause });
        match to {
            State::FinWait2 => self.arm_fin_wait_2_timer(now),
            State::TimeWait => self.enter_time_wait(now),
            State::Closed => self.forget(),
            _ => {}
        }
    }

    /// An orphan does not wait for the peer's FIN for ever (Linux: tcp_fin_timeout), but long
    /// enough for one that is lost (Linux: tcp_fin_time).
    pub(super) fn arm_fin_wait_2_timer(&mut self, now: Instant) {
        if self.grip == Grip::Orphan
            && let Some(timeout) = self.config.fin_timeout
        {
            let rto = self.rtt.timeout(self.config.rto_min, self.config.rto_max);
            self.timers.set(Timer::FinWait2, now + timeout.max(rto * 7 / 2));
        }
    }

    /// An orphan whose program has set TCP_LINGER2 below zero.
    pub(super) fn refuses_fin_wait_2(&self) -> bool {
        self.grip == Grip::Orphan && self.config.fin_timeout == Some(Duration::ZERO)
    }

    fn enter_time_wait(&mut self, now: Instant) {
        self.timers.stop_all();
        self.flight.clear();
        self.timers.set(Timer::TimeWait, now + self.time_wait_length());
        self.time_wait = Some(TimeWait::of(self, now));
        self.events.push(Event::Closed);
    }

    /// 2MSL.
    pub(super) fn time_wait_length(&self) -> Duration {
        self.config.msl * 2
    }

    /// CLOSED: nothing is sent or awaited any more; what was received stays readable.
    fn forget(&mut self) {
        self.timers.stop_all();
        self.left_behind = self.send_queue();
        self.flight.clear();
        self.snd.ring.clear();
        self.ack.now = false;
        self.probing.due = false;
        self.alive.due = false;
    }

    /// The connection dies: the program is told `errno`.
    pub(super) fn fail(&mut self, now: Instant, errno: Errno, reason: ResetReason, cause: Cause) {
        self.transition(now, State::Closed, cause);
        self.events.push(Event::Failed { errno, reason });
        self.events.push(Event::Closed);
    }

    /// Octets or a FIN wait that were never sent.
    pub(super) fn has_unsent(&self) -> bool {
        self.snd.fin == Fin::Queued || self.snd.unsent() > 0
    }

    /// Next event for the host.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }
}
