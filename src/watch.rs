//! The command's side of the watch door: subscribe, then read line by line what the stack tells
//! (`inspect::watch`).
//!
//! One thread, no runtime: reading waits for the stream, for a descriptor of the caller's choice (a
//! signal, a pipe) and for a time, whichever comes first.

use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno as OsError;
use rustix::net::{SendFlags, Shutdown, SocketType, send, shutdown};

use crate::client::{ANSWER_LIMIT, Error, open_door};
use crate::inspect::watch::{Line, MAX_SUBSCRIPTION, Subscription, Told};
use crate::ipc::names::{Object, SECRET_VARIABLE, Session};

/// Octets read at once.
const PIECE: usize = 256 * 1024;
/// Longest line of a stack; a longer one is not from a stack.
const MAX_LINE: usize = 64 * 1024;

/// How a stack's clocks stood when it began to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Began {
    /// Session, `UID/NAME`.
    pub session: String,
    /// Wall-clock time of the beginning of the stack, in nanoseconds since 1970.
    pub epoch_ns: u64,
    /// Real time since then, in nanoseconds.
    pub real_ns: u64,
    /// Stack time in nanoseconds.
    pub at_ns: u64,
    /// Number of the first record after that moment.
    pub next: u64,
}

/// What reading came to.
#[derive(Clone, PartialEq, Debug)]
pub enum Next {
    /// The stack told something.
    Line(Line),
    /// Octets of the segment of the last record, and how many the segment has.
    Octets(Vec<u8>, usize),
    /// Time is up.
    Timeout,
    /// The other descriptor can be read.
    Stop,
    /// Everything was told.
    End,
    /// The stack has ended in the middle.
    Gone,
}

/// A subscription that runs.
pub struct Watch {
    stream: OwnedFd,
    stack_pid: u32,
    buffer: Vec<u8>,
    /// Octets of the buffer that were used.
    used: usize,
    /// The next line is not the end of one: a segment's octets and length.
    octets: Option<(usize, usize)>,
    ended: bool,
}

impl Watch {
    /// Subscribes at the stack of `session`, which must be running.
    pub fn open(session: &Session, subscription: &Subscription) -> Result<(Watch, Began), Error> {
        let (stream, stack_pid) = open_door(session, Object::Watch, SocketType::STREAM)?;
        let mut watch =
            Watch { stream, stack_pid, buffer: Vec::new(), used: 0, octets: None, ended: false };
        let secret = std::env::var(SECRET_VARIABLE).ok();
        let subscription = Subscription { secret, ..subscription.clone() };
        let mut line =
            serde_json::to_vec(&subscription).map_err(|e| Error::Refused(e.to_string()))?;
        line.push(b'\n');
        if line.len() > MAX_SUBSCRIPTION {
            let sentence = "too many connections are named: name fewer, or none";
            return Err(Error::Refused(sentence.to_owned()));
        }
        match send(&watch.stream, &line, SendFlags::NOSIGNAL) {
            // One that is refused may be told so before it has asked.
            Err(OsError::PIPE) => {}
            Err(error) => return Err(watch.failed(error)),
            // A fresh socket has room for so little.
            Ok(_) => {}
        }
        match watch.next(Some(ANSWER_LIMIT), None)? {
            Next::Line(Line::Told(Told::Began { session, epoch_ns, real_ns, at_ns, next })) => {
                Ok((watch, Began { session, epoch_ns, real_ns, at_ns, next }))
            }
            Next::Line(Line::Told(Told::Refused { sentence })) => Err(Error::Refused(sentence)),
            Next::Timeout => Err(Error::Silent(watch.stack_pid)),
            other => Err(Error::Foreign(format!("it answered {other:?}"))),
        }
    }

    /// Process of the stack.
    pub fn stack_pid(&self) -> u32 {
        self.stack_pid
    }

    /// Wants no more than what has happened until now.
    pub fn finish(&self) {
        // A stack that is gone is noticed when it is read from.
        let _ = shutdown(&self.stream, Shutdown::Write);
    }

    /// The next thing told. Waits for it as long as `limit`, and until `stop` can be read.
    ///
    /// Errors: the stream breaks, or is not a stack's.
    pub fn next(
        &mut self,
        limit: Option<Duration>,
        stop: Option<BorrowedFd<'_>>,
    ) -> Result<Next, Error> {
        loop {
            if let Some(next) = self.take()? {
                self.ended |= matches!(next, Next::End);
                return Ok(next);
            }
            match self.wait(limit, stop).map_err(|e| self.failed(e))? {
                Some(next) => return Ok(next),
                None if self.read().map_err(|e| self.failed(e))? == 0 => {
                    return Ok(if self.ended { Next::End } else { Next::Gone });
                }
                None => {}
            }
        }
    }

    /// What is in the buffer already.
    fn take(&mut self) -> Result<Option<Next>, Error> {
        let rest = &self.buffer[self.used..];
        if let Some((captured, len)) = self.octets {
            let Some(octets) = rest.get(..captured) else { return Ok(None) };
            let octets = octets.to_vec();
            self.used += captured;
            self.octets = None;
            return Ok(Some(Next::Octets(octets, len)));
        }
        let Some(end) = rest.iter().position(|octet| *octet == b'\n') else {
            return match rest.len() > MAX_LINE {
                true => Err(Error::Foreign("a line without end".to_owned())),
                false => Ok(None),
            };
        };
        let line = serde_json::from_slice(&rest[..end]);
        let line = line.map_err(|e| Error::Foreign(format!("a line without sense: {e}")))?;
        self.used += end + 1;
        match line {
            Line::Told(Told::Octets { len, captured }) => {
                self.octets = Some((captured as usize, len as usize));
                self.take()
            }
            Line::Told(Told::End {}) => Ok(Some(Next::End)),
            line => Ok(Some(Next::Line(line))),
        }
    }

    fn wait(
        &self,
        limit: Option<Duration>,
        stop: Option<BorrowedFd<'_>>,
    ) -> Result<Option<Next>, OsError> {
        let mut set = vec![PollFd::new(&self.stream, PollFlags::IN)];
        set.extend(stop.as_ref().map(|stop| PollFd::new(stop, PollFlags::IN)));
        let limit = limit.map(|limit| Timespec::try_from(limit).unwrap_or_default());
        match poll(&mut set, limit.as_ref()) {
            Ok(0) | Err(OsError::INTR) => Ok(Some(Next::Timeout)),
            Ok(_) if set.get(1).is_some_and(|stop| !stop.revents().is_empty()) => {
                Ok(Some(Next::Stop))
            }
            Ok(_) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(&mut self) -> Result<usize, OsError> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let len = self.buffer.len();
        self.buffer.resize(len + PIECE, 0);
        let outcome = loop {
            match rustix::io::read(&self.stream, &mut self.buffer[len..]) {
                Err(OsError::INTR) => {}
                // It ended with something unread, or was killed.
                Err(OsError::CONNRESET) => break Ok(0),
                outcome => break outcome,
            }
        };
        self.buffer.truncate(len + outcome.unwrap_or(0));
        outcome
    }

    fn failed(&self, error: OsError) -> Error {
        Error::Channel("hear from the stack", io::Error::from(error))
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
