//! What reads and writes that did not simply succeed mean in TCP.
//!
//! Octets flow through the kernel without us. Here is decided who may not read or write at all,
//! and what end of file, ECONNRESET and EPIPE of the kernel socket stand for.

use libc::c_int;
use tcplab_ipc::Errno;
use tcplab_ipc::message::Request;
use tcplab_ipc::names::Role;
use tcplab_ipc::record::Api;

use crate::control::Life;
use crate::descriptor::{self, Hint, Socket};
use crate::ops::plug::Progress;
use crate::ops::{options, plug};
use crate::{calls, control, sys};

/// Whether the kernel socket may be read or written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Yes.
    Go,
    /// It is not ours at all.
    Foreign,
    /// No: it is not connected.
    Unconnected,
}

/// Whether SIGPIPE goes with EPIPE.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Yes.
    Raise,
    /// The program said MSG_NOSIGNAL.
    Suppress,
}

/// Before a read on a number that may be ours.
#[inline]
pub(crate) fn before_read(fd: c_int) -> Verdict {
    match descriptor::hint(fd) {
        Hint::Connection | Hint::Established | Hint::Connecting => Verdict::Go,
        _ => judge(fd),
    }
}

/// Before a write on a number that may be ours.
#[inline]
pub(crate) fn before_write(fd: c_int) -> Verdict {
    if descriptor::hint(fd).is_open() { Verdict::Go } else { judge(fd) }
}

#[cold]
fn judge(fd: c_int) -> Verdict {
    let Some(socket) = descriptor::ours(fd) else { return Verdict::Foreign };
    match socket.role() {
        Role::Connection => {
            if plug::settle(fd) == Progress::Connecting {
                descriptor::note(fd, Hint::Connecting);
            }
            Verdict::Go
        }
        Role::Listener => {
            descriptor::note(fd, Hint::Listener);
            Verdict::Unconnected
        }
        Role::Fresh => Verdict::Unconnected,
    }
}

/// After a read of `asked` octets that gave 0 or failed with `errno`.
#[cold]
pub(crate) fn after_read(
    fd: c_int,
    asked: usize,
    result: Result<usize, Errno>,
) -> Result<usize, Errno> {
    match result {
        Err(Errno::EINVAL | Errno::ENOTCONN | Errno::ECONNRESET) | Ok(0) => {}
        other => return other,
    }
    let Some(socket) = descriptor::ours(fd) else { return result };
    let result = match result {
        Ok(_) => end_of_file(&socket),
        Err(Errno::ECONNRESET) => match reason(&socket) {
            // Reset after the peer's FIN: a matter for writers; the stream has ended in order.
            Some(Errno::EPIPE) => Ok(0),
            reason => Err(reason.unwrap_or(Errno::ECONNRESET)),
        },
        Err(_) if socket.role() == Role::Fresh => Err(Errno::ENOTCONN),
        Err(errno) => Err(errno),
    };
    calls::ended(&socket, Api::Read, asked, result);
    result
}

/// The stack's end says no more octets: a FIN. Where it is closed altogether, it may be a RST that
/// found no octets to make the kernel say so, or the stack's own death; neither must look like
/// one.
fn end_of_file(socket: &Socket) -> Result<usize, Errno> {
    let events = sys::poll(socket.fd, 0, 0).unwrap_or(0);
    if events & libc::POLLHUP == 0 {
        return Ok(0);
    }
    match reason(socket) {
        Some(Errno::ENETDOWN) => Err(Errno::ECONNRESET),
        Some(errno) if errno != Errno::EPIPE => Err(errno),
        _ => Ok(0),
    }
}

/// The error the stack holds for readers of `socket`; ENETDOWN where it is gone, `None` where it
/// has none.
fn reason(socket: &Socket) -> Option<Errno> {
    match control::life_of_stack(socket) {
        Life::Alive => {}
        Life::Dead => return Some(Errno::ENETDOWN),
        // What the kernel socket says is true as far as it goes.
        Life::Unknown => return None,
    }
    match control::ask_number(socket, &Request::TakeReadError) {
        Ok(0) => None,
        Ok(errno) => Some(Errno(errno as c_int)),
        Err(_) => Some(Errno::ENETDOWN),
    }
}

/// After a write of nothing, which the kernel socket takes at any time: TCP, only once connected.
#[cold]
pub(crate) fn after_write_of_nothing(fd: c_int) -> Result<usize, Errno> {
    let waits = descriptor::hint(fd) == Hint::Connecting
        && descriptor::ours(fd).is_some_and(|socket| socket.is_nonblocking());
    if waits { Err(Errno::EAGAIN) } else { Ok(0) }
}

/// After a write by `api` of `asked` octets that failed with `errno`: the error for the program,
/// the signal raised.
#[cold]
pub(crate) fn after_write(
    fd: c_int,
    (api, asked): (Api, usize),
    errno: Errno,
    signal: Signal,
) -> Errno {
    let errno = match errno {
        Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN => match descriptor::ours(fd) {
            // Linux: the pending error once, then EPIPE.
            Some(socket) => {
                let errno = match options::take_error(&socket) {
                    0 => Errno::EPIPE,
                    pending => Errno(pending),
                };
                // Before the signal that may end the program.
                calls::ended(&socket, api, asked, Err(errno));
                errno
            }
            None => errno,
        },
        other => other,
    };
    if errno == Errno::EPIPE {
        return broken_pipe(signal);
    }
    errno
}

/// What a read of `asked` octets from `fd` gives, which is ours but not connected.
#[cold]
pub(crate) fn unconnected_read(fd: c_int, asked: usize) -> Result<usize, Errno> {
    let result = match pending(fd) {
        Some(errno) => Err(errno),
        // shutdown() of it failed, but shut it.
        None if is_shut_for_reading(fd) => Ok(0),
        None => Err(Errno::ENOTCONN),
    };
    if let Some(socket) = descriptor::ours(fd) {
        calls::ended(&socket, Api::Read, asked, result);
    }
    result
}

fn is_shut_for_reading(fd: c_int) -> bool {
    sys::poll(fd, libc::POLLRDHUP, 0).is_ok_and(|events| events & libc::POLLRDHUP != 0)
}

/// The error of a write by `api` of `asked` octets to `fd`, which is ours but not connected; the
/// signal is raised.
#[cold]
pub(crate) fn unconnected_write(fd: c_int, (api, asked): (Api, usize), signal: Signal) -> Errno {
    let pending = pending(fd);
    if let Some(socket) = descriptor::ours(fd) {
        calls::ended(&socket, api, asked, Err(pending.unwrap_or(Errno::EPIPE)));
    }
    pending.unwrap_or_else(|| broken_pipe(signal))
}

fn pending(fd: c_int) -> Option<Errno> {
    let socket = descriptor::ours(fd).filter(|socket| socket.role() == Role::Fresh)?;
    match options::pending_on_fresh(&socket) {
        0 => None,
        errno => Some(Errno(errno)),
    }
}

/// EPIPE, with SIGPIPE as the program wants it.
fn broken_pipe(signal: Signal) -> Errno {
    if signal == Signal::Raise {
        sys::raise(libc::SIGPIPE);
    }
    Errno::EPIPE
}
