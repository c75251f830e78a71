//! What programs made of an endpoint, gathered from plugs, requests and the call ring, for those
//! who ask why a socket is still there.

use std::collections::VecDeque;

use super::Stack;
use crate::inspect::usage::{EndsRead, Holding, How, Origin, Usage};
use crate::ipc::Errno;
use crate::ipc::record::{Api, Plug};
use crate::ipc::ring::Entry;
use crate::time::{Duration, Instant};

/// Processes and descriptors that are remembered of one socket, of each kind.
const MAX_REMEMBERED: usize = 32;

/// What programs made of an endpoint.
#[derive(Debug, Default)]
pub(super) struct History {
    origin: Option<Origin>,
    /// When it was put in the accept queue, and when it was taken from there.
    queued: Option<(Instant, Option<Instant>)>,
    ends_read: VecDeque<(Holding, u32)>,
    /// Real time since the stack began, of the first and the last read that gave 0.
    ends_read_at: Option<(Duration, Duration)>,
    last_error: Option<(Api, Errno)>,
    pub(super) written_after_end: u64,
    inherited: VecDeque<Holding>,
    users: VecDeque<u32>,
}

impl History {
    /// A program got the socket.
    pub(super) fn note_plug(&mut self, now: Instant, plug: &Plug) {
        let (call, pid, fd) = (How::from(plug.call), plug.pid, plug.fd);
        self.origin = Some(Origin { call, pid, fd, caller: plug.caller });
        if let Some((_, taken)) = &mut self.queued {
            *taken = Some(now);
        }
        self.note_user(pid);
    }

    /// The socket was put in the accept queue of a listener.
    pub(super) fn note_queued(&mut self, now: Instant) {
        self.queued = Some((now, None));
    }

    /// A process made a call on it.
    pub(super) fn note_user(&mut self, pid: u32) {
        if pid != 0 && self.users.back() != Some(&pid) {
            self.users.retain(|user| *user != pid);
            push_bounded(&mut self.users, pid);
        }
    }

    /// A call that left word in the ring, begun at `real` after the stack did.
    pub(super) fn note_entry(&mut self, entry: &Entry, real: Duration) {
        let holding = Holding { pid: entry.pid, fd: entry.fd };
        match (entry.api, entry.result, entry.errno) {
            // It was told because the program has it, not because it has used it.
            (Api::Exec, ..) => {
                // The process runs another program now.
                self.users.retain(|user| *user != entry.pid);
                self.inherited.retain(|known| *known != holding);
                return push_bounded(&mut self.inherited, holding);
            }
            (Api::Close, ..) => return self.inherited.retain(|known| *known != holding),
            (_, _, Some(Errno::EAGAIN | Errno::EINTR)) => {}
            (api, _, Some(errno)) => self.last_error = Some((api, errno)),
            (Api::Read, 0, None) if entry.asked != 0 => {
                self.note_end_read(holding, entry.count, real);
            }
            _ => {}
        }
        self.note_user(entry.pid);
    }

    fn note_end_read(&mut self, holding: Holding, count: u32, real: Duration) {
        let count = count.max(1);
        match self.ends_read.iter_mut().find(|(known, _)| *known == holding) {
            Some((_, known)) => *known = count.max(*known),
            None => push_bounded(&mut self.ends_read, (holding, count)),
        }
        let (first, last) = self.ends_read_at.unwrap_or((real, real));
        self.ends_read_at = Some((first.min(real), last.max(real)));
    }

    /// As it is told, at `real` after the stack began.
    pub(super) fn usage(&self, now: Instant, real: Duration) -> Usage {
        let ago_ms = |at| millis(real.saturating_sub(at));
        Usage {
            origin: self.origin.clone(),
            queued_ms: self.queued.map(|(put, taken)| millis(taken.unwrap_or(now).since(put))),
            ends_read: self.ends_read_at.map(|(first, last)| EndsRead {
                times: self.ends_read.iter().map(|(_, count)| u64::from(*count)).sum(),
                first_ago_ms: ago_ms(first),
                last_ago_ms: ago_ms(last),
            }),
            last_error: self
                .last_error
                .map(|(api, errno)| format!("{} {}", api.name(), errno.name())),
            written_after_end: self.written_after_end,
            inherited: self.inherited.iter().copied().collect(),
            users: self.users.iter().copied().collect(),
        }
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() >= MAX_REMEMBERED {
        queue.pop_front();
    }
    queue.push_back(item);
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Stack {
    /// What is known of the socket behind an endpoint.
    pub(super) fn usage(&self, now: Instant, index: u32) -> Usage {
        let endpoint = self.endpoints.get(index);
        endpoint.map(|e| e.history.usage(now, self.recording.real())).unwrap_or_default()
    }
}
