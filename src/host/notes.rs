//! What the host tells for the trace: changes of state with their cause, timers, and segments that
//! were dropped. Nothing in the host depends on it.

use core::net::SocketAddr;
use std::collections::VecDeque;

use super::limits::MAX_NOTES;
use super::{Host, SocketKey};
use crate::tcp::{Cause, Dropped, FourTuple, ResetReason, State, Timer};
use crate::wire::{Flags, Segment};

/// Something that happened in the host.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Note {
    /// The socket, where it is one's.
    pub key: Option<SocketKey>,
    /// Local address, where it has one.
    pub local: Option<SocketAddr>,
    /// Remote address, where it has one.
    pub remote: Option<SocketAddr>,
    /// What.
    pub what: Noted,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Noted {
    /// The state changed.
    State {
        /// State before.
        from: State,
        /// State now.
        to: State,
        /// What made it.
        cause: Cause,
        /// Why the connection died, where it did.
        reset: Option<ResetReason>,
    },
    /// A timer ran out, so often in a row.
    Timer(Timer, u32),
    /// A segment was dropped.
    Dropped {
        /// Control bits.
        flags: Flags,
        /// Sequence number.
        seq: u32,
        /// Octets of text.
        text_len: u32,
        /// Why.
        why: Dropped,
    },
}

/// Notes that wait to be taken, and how many found no room.
#[derive(Debug, Default)]
pub(super) struct Notes {
    waiting: VecDeque<Note>,
    lost: u64,
}

impl Notes {
    fn push(&mut self, note: Note) {
        if self.waiting.len() < MAX_NOTES {
            self.waiting.push_back(note);
        } else {
            self.lost += 1;
        }
    }

    /// The newest note, if it is about that socket.
    fn newest_of(&mut self, key: SocketKey) -> Option<&mut Note> {
        self.waiting.back_mut().filter(|note| note.key == Some(key))
    }
}

impl Host {
    /// Next note.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.notes.waiting.pop_front()
    }

    /// Notes that nobody took in time, since the last time this was asked.
    pub fn take_lost_notes(&mut self) -> u64 {
        core::mem::take(&mut self.notes.lost)
    }

    /// Local and remote address of a socket as segments show them, as far as it has them.
    pub fn ends(&self, key: SocketKey) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let Some(socket) = self.sockets.find(key) else { return (None, None) };
        match socket.connection().map(|connection| connection.tcb.tuple()) {
            Some(tuple) => (Some(tuple.local), Some(tuple.remote)),
            None if socket.local_port != 0 => {
                (Some(SocketAddr::new(socket.local_ip, socket.local_port)), None)
            }
            None => (None, None),
        }
    }

    /// Notes what a socket did.
    pub(super) fn note(&mut self, key: SocketKey, what: Noted) {
        let (local, remote) = self.ends(key);
        self.notes.push(Note { key: Some(key), local, remote, what });
    }

    /// Notes what happened on a 4-tuple that has no socket.
    pub(super) fn note_of_tuple(&mut self, tuple: &FourTuple, what: Noted) {
        let (local, remote) = (Some(tuple.local), Some(tuple.remote));
        self.notes.push(Note { key: None, local, remote, what });
    }

    /// TIME-WAIT is over.
    pub(super) fn note_time_wait_over(&mut self, tuple: &FourTuple, cause: Cause) {
        let (from, to) = (State::TimeWait, State::Closed);
        self.note_of_tuple(tuple, Noted::State { from, to, cause, reset: None });
    }

    /// The state that was just noted is CLOSED for this reason.
    pub(super) fn note_reason(&mut self, key: SocketKey, reason: ResetReason) {
        if let Some(Note { what: Noted::State { reset, .. }, .. }) = self.notes.newest_of(key) {
            *reset = Some(reason);
        }
    }

    /// A segment of no connection was dropped.
    pub(super) fn note_drop(&mut self, tuple: &FourTuple, segment: &Segment<'_>, why: Dropped) {
        let (flags, seq) = (segment.header.flags, segment.header.seq.0);
        let text_len = segment.payload.len() as u32;
        self.note_of_tuple(tuple, Noted::Dropped { flags, seq, text_len, why });
    }
}
