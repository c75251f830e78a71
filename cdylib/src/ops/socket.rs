//! `socket()`: an `AF_UNIX` stream socket with an identity for a name.

use libc::c_int;
use tcplab_ipc::names::{Name, Object, Session};
use tcplab_ipc::{Domain, Errno, SocketId};

use crate::descriptor::{self, Hint};
use crate::session::{self, settings};
use crate::{control, launch, sys};

/// Attempts to find an identity that no socket of the session has.
const ID_ATTEMPTS: usize = 16;

/// What the arguments of `socket()` ask for.
pub(crate) enum Wanted {
    /// A socket of ours, with `SOCK_NONBLOCK` and `SOCK_CLOEXEC` as given.
    Ours(Domain, c_int),
    /// Multipath TCP: not offered, so that programs fall back to TCP.
    Multipath,
    /// Something else: the kernel's business.
    Foreign,
}

/// Reads the arguments of `socket()`.
pub(crate) fn wanted(domain: c_int, kind: c_int, protocol: c_int) -> Wanted {
    const FLAGS: c_int = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let domain = match domain {
        libc::AF_INET => Domain::V4,
        libc::AF_INET6 => Domain::V6,
        _ => return Wanted::Foreign,
    };
    if kind & !FLAGS != libc::SOCK_STREAM {
        return Wanted::Foreign;
    }
    match protocol {
        0 | libc::IPPROTO_TCP => Wanted::Ours(domain, kind & FLAGS),
        libc::IPPROTO_MPTCP => Wanted::Multipath,
        _ => Wanted::Foreign,
    }
}

/// Makes a socket, after making sure that there is a stack for it.
pub(crate) fn open(domain: Domain, flags: c_int) -> Result<c_int, Errno> {
    let session = settings().session.map_err(|bad| {
        launch::complain(format_args!("TCPLAB_SESSION is not a session: {bad}"));
        Errno::ENETDOWN
    })?;
    control::ensure_stack(&session)?;
    let (fd, _) = make(&session, session::stack(), domain, flags)?;
    descriptor::note(fd, Hint::Unknown);
    Ok(fd)
}

/// Makes the kernel socket, with a new identity for the stack with that mark.
pub(crate) fn make(
    session: &Session,
    stack: u16,
    domain: Domain,
    flags: c_int,
) -> Result<(c_int, SocketId), Errno> {
    let fd = sys::socket(libc::AF_UNIX, libc::SOCK_STREAM | flags)?;
    for _ in 0..ID_ATTEMPTS {
        let id = SocketId::new(stack, sys::random());
        match sys::bind(fd, &Name::new(session, Object::App(domain, id)).to_sockaddr()) {
            Ok(()) => return Ok((fd, id)),
            Err(Errno::EADDRINUSE) => {}
            Err(_) => break,
        }
    }
    sys::close(fd);
    Err(Errno::ENOBUFS)
}
