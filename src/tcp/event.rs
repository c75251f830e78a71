//! What the machine tells the host, and the words for why.

use core::fmt;
use std::collections::VecDeque;

use crate::ipc::Errno;
use crate::wire::{Flags, Header};

use super::state::State;
use super::timers::Timer;

/// Why a connection was reset or a RST was sent: shown in `ss`, trace and diagrams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResetReason {
    /// Nobody listens on the port.
    NoListener,
    /// A segment of a connection that does not exist.
    NoConnection,
    /// The program closed with octets it had not read (RFC 2525 2.17).
    UnreadData,
    /// SO_LINGER {1,0}.
    LingerZero,
    /// Octets arrived after the program had closed.
    DataAfterClose,
    /// The accept queue was full and tcp_abort_on_overflow is set.
    AcceptQueueOverflow,
    /// The listener was closed before anybody accepted.
    ListenerClosed,
    /// ABORT by the program or the operator.
    Aborted,
    /// SYN-SENT or SYN-RECEIVED met an ACK of something never sent.
    UnacceptableAck,
    /// A SYN inside the window of a half-open passive connection.
    SynInWindow,
    /// TCP_LINGER2 below zero: FIN-WAIT-2 is not waited for.
    NoFinWait2,
    /// The peer sent a RST.
    Peer,
    /// A timer gave up.
    Timeout,
}

impl ResetReason {
    /// One phrase for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            ResetReason::NoListener => "no listener",
            ResetReason::NoConnection => "no such connection",
            ResetReason::UnreadData => "closed with unread data",
            ResetReason::LingerZero => "linger zero",
            ResetReason::DataAfterClose => "data after close",
            ResetReason::AcceptQueueOverflow => "accept queue overflow",
            ResetReason::ListenerClosed => "listener closed",
            ResetReason::Aborted => "aborted",
            ResetReason::UnacceptableAck => "unacceptable acknowledgment",
            ResetReason::SynInWindow => "SYN in the window",
            ResetReason::NoFinWait2 => "no FIN-WAIT-2 wanted",
            ResetReason::Peer => "reset by peer",
            ResetReason::Timeout => "timed out",
        }
    }
}

impl fmt::Display for ResetReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What made a transition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Active OPEN: `connect()`.
    Open,
    /// CLOSE: the last descriptor was closed.
    Close,
    /// `shutdown(SHUT_WR)`.
    Shutdown,
    /// ABORT.
    Abort,
    /// SEGMENT ARRIVES, with these control bits.
    Segment(Flags),
    /// A timer ran out.
    Timer(Timer),
}

/// How the program let go of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release {
    /// FIN after all that is queued.
    Graceful,
    /// RST at once (linger 0, unread data, listener closed, program killed with unread data ...).
    Abort(ResetReason),
}

/// What happened, for the host. Drained by `poll_event`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The state changed; the only door for transitions emits it.
    State {
        /// State before.
        from: State,
        /// State now.
        to: State,
        /// A call, a segment or a timer.
        cause: Cause,
    },
    /// The handshake finished (both roles).
    Established,
    /// New in-order octets for the program.
    Readable,
    /// The send buffer has room again after having been full.
    Writable,
    /// The peer's FIN was reached in sequence: EOF after the octets before it.
    PeerClosed,
    /// All we sent incl. FIN is acknowledged (linger waits for this).
    FinAcked,
    /// An urgent octet arrived (RFC 9293 3.8.5; Linux: one octet, the urgent pointer points past
    /// it). It stays in the stream.
    Urgent {
        /// Octets of `received()` before it.
        offset: usize,
        /// The octet.
        octet: u8,
    },
    /// The connection died.
    Failed {
        /// What the program sees (ECONNRESET, ECONNREFUSED, ETIMEDOUT, EPIPE ...).
        errno: Errno,
        /// Why.
        reason: ResetReason,
    },
    /// The TCB can be deleted (after `Failed`, LAST-ACK acknowledged, ...) or, in state TIME-WAIT,
    /// turned into a `TimeWait`. Octets of `received()` stay readable.
    Closed,
}

/// Events waiting for the host; bounded because it drains them after every mutation.
#[derive(Debug, Default)]
pub(super) struct EventQueue(VecDeque<Event>);

impl EventQueue {
    /// Queues an event; one that says the same as a waiting one is not repeated.
    pub(super) fn push(&mut self, event: Event) {
        let repeats = matches!(event, Event::Readable | Event::Writable) && self.0.contains(&event);
        if !repeats {
            self.0.push_back(event);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.0.pop_front()
    }
}

/// A segment to send: header with everything filled in, text as the two halves of the ring.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Header.
    pub header: Header,
    /// Text.
    pub payload: (&'a [u8], &'a [u8]),
    /// Why, where it is a RST.
    pub reset: Option<ResetReason>,
}
