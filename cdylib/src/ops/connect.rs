//! `connect()`, blocking or not, first or again, and its undoing with `AF_UNSPEC`.

use core::net::SocketAddr;

use libc::c_int;
use tcplab_ipc::Errno;
use tcplab_ipc::message::{Request, Wait};
use tcplab_ipc::names::Role;
use tcplab_ipc::record::Call;

use crate::control::{self, Awaited, Begun};
use crate::descriptor::{self, Hint, Socket};
use crate::ops::plug::{self, Filler, Progress};
use crate::sockaddr::{Given, Target};
use crate::sys;

/// `connect()` on one of our sockets. `caller` is the return address of the call.
pub(crate) fn connect(socket: &Socket, address: &Given, caller: usize) -> Result<(), Errno> {
    let role = socket.role();
    let peer = match (address.target(socket.domain), role) {
        (Ok(Target::Nobody), _) => return disconnect(socket, role),
        (_, Role::Listener) => return Err(Errno::EISCONN),
        (Ok(Target::Peer(peer)), _) => peer,
        // Linux looks at the address only where it means to use it.
        (Err(_), Role::Connection) => return Err(Errno::EISCONN),
        (Err(errno), Role::Fresh) => return Err(errno),
    };
    if role == Role::Fresh {
        return open(socket, peer, caller, Plugging::Itself);
    }
    if plug::has_mark(socket.fd, plug::TOLD_MARK) {
        return Err(Errno::EISCONN);
    }
    let dead = sys::poll(socket.fd, 0, 0).is_ok_and(|events| events & libc::POLLHUP != 0);
    // The first call to find the connection made says so, as Linux; the stack need not know.
    if !dead && is_just_made(socket.fd) {
        return plug::set_mark(socket.fd, plug::TOLD_MARK, true);
    }
    // The stack tells whether it stands (EISCONN), is under way (EALREADY), has failed, or may be
    // tried again; the last on a new kernel socket.
    let plugging = if dead { Plugging::Replacement } else { Plugging::Already };
    let outcome = open(socket, peer, caller, plugging);
    let is_replaced = || descriptor::identify(socket.fd).is_none_or(|now| now.id != socket.id);
    if dead && outcome.is_err_and(is_failure) && !is_replaced() {
        // Told, and thereby unconnected again.
        let _ = plug::replace(socket);
    }
    outcome
}

/// Whether the connection has come to stand, and no `connect()` has said so.
fn is_just_made(fd: c_int) -> bool {
    match descriptor::hint(fd) {
        Hint::Established => {
            descriptor::note(fd, Hint::Connection);
            true
        }
        Hint::Connection => false,
        _ => plug::settle(fd) == Progress::JustMade,
    }
}

/// Whether `connect()` with this errno leaves the socket unconnected.
fn is_failure(errno: Errno) -> bool {
    !matches!(
        errno,
        Errno::EISCONN | Errno::EALREADY | Errno::EINPROGRESS | Errno::EINTR | Errno::ENETDOWN
    )
}

/// What is to be plugged into the stack when the connection is under way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plugging {
    /// The socket.
    Itself,
    /// A fresh one in its place: the stack has closed its end of this one.
    Replacement,
    /// Nothing: it is.
    Already,
}

fn open(socket: &Socket, peer: SocketAddr, caller: usize, plugging: Plugging) -> Result<(), Errno> {
    if socket.is_nonblocking() {
        let begun = control::begin_connect(socket, peer)?;
        let filler = if begun == Begun::InProgress { Filler::With } else { Filler::Without };
        if begun == Begun::Before {
            return succeed(socket, caller, plugging);
        }
        establish(socket, caller, plugging, filler)?;
        if begun == Begun::Connected {
            plug::announce_room(socket.fd);
            descriptor::note(socket.fd, Hint::Established);
        }
        return Err(Errno::EINPROGRESS);
    }
    let patience = sys::get_option::<libc::timeval>(socket.fd, libc::SO_SNDTIMEO)
        .ok()
        .filter(|time| time.tv_sec != 0 || time.tv_usec != 0);
    match control::await_outcome(socket, &Request::Connect(peer, Wait::Outcome), patience) {
        Awaited::Outcome(Ok(())) => succeed(socket, caller, plugging),
        Awaited::Outcome(Err(errno)) => Err(errno),
        Awaited::Abandoned(errno, channel) => {
            // It goes on in the background: plugged before the channel is closed.
            let plugged = establish(socket, caller, plugging, Filler::With);
            let outcome = control::outcome_by_now(channel);
            plugged?;
            match (outcome, errno, plugging) {
                // Over meanwhile, and told to nobody else.
                (Some(Ok(())), ..) => plug::set_mark(socket.fd, plug::TOLD_MARK, true),
                (Some(Err(failure)), ..) if is_failure(failure) => {
                    // It may have been replaced above.
                    if let Some(now) = descriptor::identify(socket.fd) {
                        let _ = plug::replace(&now);
                    }
                    Err(failure)
                }
                (Some(Err(errno)), ..) => Err(errno),
                (None, Errno::EAGAIN, Plugging::Already) => Err(Errno::EALREADY),
                (None, Errno::EAGAIN, _) => Err(Errno::EINPROGRESS),
                (None, errno, _) => Err(errno),
            }
        }
    }
}

/// The stack says that the connection stands.
fn succeed(socket: &Socket, caller: usize, plugging: Plugging) -> Result<(), Errno> {
    match establish(socket, caller, plugging, Filler::Without) {
        // Closed by another thread while we waited: connected, and gone when we return.
        Err(Errno::EBADF) => return Ok(()),
        outcome => outcome?,
    }
    if plugging == Plugging::Already {
        // The stack may have yet to read the filler.
        plug::set_mark(socket.fd, plug::TOLD_MARK, true)?;
    }
    Ok(())
}

fn establish(
    socket: &Socket,
    caller: usize,
    plugging: Plugging,
    filler: Filler,
) -> Result<(), Errno> {
    // While we waited, another thread may have closed the number and opened something else.
    if descriptor::identify(socket.fd).is_none_or(|now| now.id != socket.id) {
        return Err(Errno::EBADF);
    }
    match plugging {
        Plugging::Already => {
            plug::settle(socket.fd);
            return Ok(());
        }
        Plugging::Itself => plug::plug(socket, Call::Connect, caller, filler)?,
        Plugging::Replacement => {
            plug::plug(&plug::replace(socket)?, Call::Connect, caller, filler)?;
        }
    }
    let hint = if filler == Filler::With { Hint::Connecting } else { Hint::Connection };
    descriptor::note(socket.fd, hint);
    Ok(())
}

fn disconnect(socket: &Socket, role: Role) -> Result<(), Errno> {
    control::ask(socket, &Request::Disconnect)?;
    if role != Role::Fresh {
        plug::replace(socket)?;
    }
    Ok(())
}
