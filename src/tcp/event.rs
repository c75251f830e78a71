//! What the machine tells the host, and the words for why.

use core::fmt;
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::ipc::Errno;
use crate::trace::{Sending, Weight};
use crate::wire::{Flags, Header, SeqNum};

use super::state::State;
use super::timers::Timer;

/// Why a connection was reset or a RST was sent: shown in `ss`, trace and diagrams.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// Closed while there were more orphans than tcp_max_orphans.
    TooManyOrphans,
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
            ResetReason::TooManyOrphans => "too many orphans",
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

/// Why a segment was not taken, or not looked at to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dropped {
    /// Out of the receive window.
    Unacceptable,
    /// PAWS: older than what was received.
    OldTimestamp,
    /// A SYN again, answered by our SYN+ACK again.
    DuplicateSyn,
    /// A RST that may be forged, or a SYN: answered by a challenge ACK (RFC 5961).
    Challenged,
    /// The connection is over.
    Over,
    /// Neither ACK nor what makes one needless.
    NoAck,
    /// Acknowledges what cannot be acknowledged.
    BadAck,
    /// SYN-SENT wants a SYN or a RST.
    NotSyn,
    /// Text after the program has gone: answered by RST.
    NobodyReads,
    /// There is no such connection: answered by RST, unless it is one.
    NoConnection,
    /// Nobody listens on the port: answered by RST.
    NoListener,
    /// LISTEN takes nothing but a SYN.
    NotForListener,
    /// The accept queue is full.
    AcceptQueueFull,
    /// The SYN queue is full.
    SynQueueFull,
    /// TIME-WAIT: an old segment.
    InTimeWait,
    /// The checksum is wrong.
    BadChecksum,
    /// Not a TCP segment.
    Malformed,
    /// The address is not this machine's, or no sender can have it.
    NotLocal,
}

impl Dropped {
    /// One phrase for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Dropped::Unacceptable => "out of the window",
            Dropped::OldTimestamp => "timestamp too old (PAWS)",
            Dropped::DuplicateSyn => "the SYN again",
            Dropped::Challenged => "challenged (RFC 5961)",
            Dropped::Over => "the connection is over",
            Dropped::NoAck => "no ACK bit",
            Dropped::BadAck => "acknowledges what was never sent",
            Dropped::NotSyn => "not a SYN",
            Dropped::NobodyReads => "nobody is left to read it",
            Dropped::NoConnection => "no such connection",
            Dropped::NoListener => "no listener",
            Dropped::NotForListener => "not for a listener",
            Dropped::AcceptQueueFull => "accept queue full",
            Dropped::SynQueueFull => "SYN queue full",
            Dropped::InTimeWait => "old segment in TIME-WAIT",
            Dropped::BadChecksum => "bad checksum",
            Dropped::Malformed => "not a segment",
            Dropped::NotLocal => "not for this machine",
        }
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What made a transition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// Active OPEN: `connect()`.
    Open,
    /// Passive OPEN: `listen()`.
    Listen,
    /// CLOSE: the last descriptor was closed.
    Close,
    /// `shutdown(SHUT_WR)`.
    Shutdown,
    /// ABORT.
    Abort,
    /// TIME-WAIT gave way to a new connection on its 4-tuple.
    TakenOver,
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
    /// A timer ran out, so often in a row.
    Timer(Timer, u32),
    /// A segment was not taken: its control bits, sequence number and octets of text, and why.
    Dropped {
        /// Control bits.
        flags: Flags,
        /// Sequence number.
        seq: SeqNum,
        /// Octets of text.
        text_len: u32,
        /// Why.
        why: Dropped,
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
    /// New, again, or a probe.
    pub sending: Sending,
    /// Whether it opens, closes or disturbs the connection.
    pub weight: Weight,
}
