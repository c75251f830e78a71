//! The call ring of this session: its memory, shared with every program, and what is heard from
//! it.
//!
//! Looked at once a turn. Nobody is woken by what is written there: it is read when something
//! else happens, which a question for it is. Only while somebody traces, and every call leaves
//! word, the stack looks by itself before the ring can be full.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::recording::Caller;
use super::{RealTime, Stack, kernel};
use crate::ipc::record::Api;
use crate::ipc::ring::{ASKED_UNKNOWN, Entry, Level, Reader, Ring, Taken};
use crate::ipc::{Errno, SocketId};
use crate::time::{Duration, Instant};
use crate::trace::{Argument, Call, End, Weight};

/// How long the reader waits for a writer that is in the middle of its record. One that was killed
/// there never goes on.
const PATIENCE: Duration = Duration::from_millis(20);
/// How often the ring is looked at while every call leaves word.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// A close() that is not the last one of its socket is told after this time: until then the end
/// of the socket may come, and is told with it.
const LAST_CLOSE_LIMIT: Duration = Duration::from_millis(100);
/// Closes that may wait so.
const MAX_CLOSES: usize = 4096;

/// The ring and its reader.
pub(super) struct CallRing {
    shared: Option<(OwnedFd, &'static Ring)>,
    reader: Reader,
    /// `CLOCK_MONOTONIC` when the stack began.
    began: Duration,
    /// Since when the record at the reader's place is not finished.
    stuck_since: Option<RealTime>,
    /// Closes that may be the last of their sockets.
    closes: VecDeque<(RealTime, Entry)>,
    /// Accepts that failed: what the same program accepted before them tells of itself on the
    /// sockets, with the next look.
    failed_accepts: Vec<Entry>,
}

impl CallRing {
    /// A stack that cannot have one does without.
    pub(super) fn new(began: RealTime) -> CallRing {
        let shared =
            kernel::shared_ring().inspect_err(|error| tracing::warn!(%error, "no call ring")).ok();
        if let Some((_, ring)) = &shared {
            ring.prepare(std::process::id());
        }
        CallRing {
            shared,
            reader: Reader::default(),
            began: kernel::monotonic().saturating_sub(began.elapsed()),
            stuck_since: None,
            closes: VecDeque::new(),
            failed_accepts: Vec::new(),
        }
    }

    /// The memory, as it is given to programs.
    pub(super) fn file(&self) -> Option<BorrowedFd<'_>> {
        self.shared.as_ref().map(|(file, _)| file.as_fd())
    }

    fn set_level(&self, level: Level) {
        if let Some((_, ring)) = &self.shared {
            ring.set_level(level);
        }
    }

    /// The next record, where there is one; or `None` for now.
    fn take(&mut self) -> Option<Entry> {
        let (_, ring) = self.shared.as_ref()?;
        if !self.reader.has_more(ring) {
            return None;
        }
        loop {
            match self.reader.take(ring) {
                Taken::Entry(entry) => {
                    self.stuck_since = None;
                    return Some(entry);
                }
                Taken::Nothing => return None,
                Taken::Unfinished => {
                    let since = *self.stuck_since.get_or_insert_with(RealTime::now);
                    if since.elapsed() < PATIENCE {
                        return None;
                    }
                    self.stuck_since = None;
                    self.reader.skip(ring);
                }
            }
        }
    }

    /// Accepts that failed wait to be recorded.
    pub(super) fn has_failed_accepts(&self) -> bool {
        !self.failed_accepts.is_empty()
    }

    /// Something is to be done with the ring after this time, whatever else happens.
    pub(super) fn until_next_look(&self, is_tracing: bool) -> Option<Duration> {
        let waits = is_tracing || self.stuck_since.is_some() || !self.closes.is_empty();
        (self.shared.is_some() && waits).then_some(LOOK_INTERVAL)
    }

    /// The close() that has just ended the socket, where it has left word.
    pub(super) fn take_last_close(&mut self, socket: SocketId) -> Option<Entry> {
        let place = self.closes.iter().rposition(|(_, entry)| entry.socket == socket)?;
        self.closes.remove(place).map(|(_, entry)| entry)
    }

    /// A close() that turned out not to be the last of its socket.
    fn take_old_close(&mut self) -> Option<Entry> {
        let (heard, _) = self.closes.front()?;
        let is_old = self.closes.len() > MAX_CLOSES || heard.elapsed() >= LAST_CLOSE_LIMIT;
        if is_old { self.closes.pop_front().map(|(_, entry)| entry) } else { None }
    }

    /// When the call began, since the stack did.
    pub(super) fn real(&self, entry: &Entry) -> Duration {
        Duration::from_nanos(entry.began_ns).saturating_sub(self.began)
    }
}

impl Stack {
    /// Records the accepts that had failed before the last look at the sockets.
    pub(super) fn record_failed_accepts(&mut self, now: Instant) {
        for entry in std::mem::take(&mut self.calls.failed_accepts) {
            self.record_entry(now, &entry);
        }
    }

    /// Hears what programs did since the last turn. At most a ring of it: those who write as fast
    /// as we read must wait for the next.
    pub(super) fn hear_calls(&mut self, now: Instant) {
        let full = self.recording.is_tracing();
        self.calls.set_level(if full { Level::Full } else { Level::Control });
        for _ in 0..crate::ipc::ring::SLOTS {
            let Some(entry) = self.calls.take() else { break };
            self.hear_call(now, entry);
        }
        match self.calls.reader.take_lost() {
            0 => {}
            lost => self.recording.note_missed(lost),
        }
        while let Some(entry) = self.calls.take_old_close() {
            self.record_entry(now, &entry);
        }
    }

    fn hear_call(&mut self, now: Instant, entry: Entry) {
        let real = self.calls.real(&entry);
        if entry.api == Api::Exec {
            self.recording.forget_program(entry.pid);
        }
        let index = self.endpoints.by_id(entry.socket);
        if let Some(endpoint) = index.and_then(|index| self.endpoints.get_mut(index)) {
            endpoint.history.note_entry(&entry, real);
        }
        match entry.api {
            // The stack has seen it itself.
            Api::Accept if entry.errno.is_none() => {}
            Api::Accept => self.calls.failed_accepts.push(entry),
            Api::Close if index.is_some() => {
                self.calls.closes.push_back((RealTime::now(), entry));
            }
            _ => self.record_entry(now, &entry),
        }
    }

    fn record_entry(&mut self, now: Instant, entry: &Entry) {
        let weight = weight(entry);
        if !self.recording.wants(weight) {
            return;
        }
        self.recording.note_program(entry.pid);
        let key = self.endpoints.by_id(entry.socket).and_then(|index| self.endpoints.get(index));
        let end = match key.map(|endpoint| endpoint.key) {
            Some(key) => self.end_of(key),
            None => End { socket: Some(entry.socket), ..End::default() },
        };
        let real = self.calls.real(entry);
        self.recording.note_call(now, real, weight, call_of(end, entry));
    }

    /// Records that a program's last descriptor is gone: by the close() that it has left word of,
    /// or `otherwise` by the end of the process `caller`.
    pub(super) fn record_close(&mut self, now: Instant, id: SocketId, end: End, caller: Caller) {
        match self.calls.take_last_close(id) {
            Some(entry) => {
                self.recording.note_program(entry.pid);
                let real = self.calls.real(&entry);
                self.recording.note_call(now, real, Weight::Control, call_of(end, &entry));
            }
            None => self.record_call(now, end, caller, (Api::Close, Argument::None), Ok(0)),
        }
    }
}

/// What moves octets or waits for them is bulk.
fn weight(entry: &Entry) -> Weight {
    match (entry.api, entry.errno) {
        (_, Some(Errno::EAGAIN | Errno::EINTR)) => Weight::Bulk,
        (Api::Read, None) if entry.result == 0 => Weight::Control,
        (Api::Close | Api::Exec, _) | (_, Some(_)) => Weight::Control,
        _ => Weight::Bulk,
    }
}

fn call_of(end: End, entry: &Entry) -> Call {
    Call {
        end,
        pid: entry.pid,
        fd: entry.fd,
        api: entry.api,
        argument: match entry.asked {
            ASKED_UNKNOWN => Argument::None,
            octets => Argument::Octets(octets.into()),
        },
        value: entry.result.into(),
        errno: entry.errno,
        times: entry.count.max(1),
        took_ns: entry.took_ns,
        caller: entry.caller,
    }
}
