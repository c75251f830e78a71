//! `ioctl()`: queues from the stack, interfaces from a socket of the kernel, the rest as it is.

use libc::c_int;
use tcplab_ipc::message::Request;
use tcplab_ipc::names::Role;
use tcplab_ipc::{Domain, Errno};

use crate::descriptor::Socket;
use crate::{control, sys};

const SIOCOUTQNSD: u64 = 0x894b;
/// First and last request about interfaces, routes and the like (`SIOCADDRT` and on).
const INTERFACES: core::ops::RangeInclusive<u64> = 0x890b..=0x89ff;

/// How a request on one of our sockets is answered.
pub(crate) enum Answer {
    /// By this number, through the program's pointer.
    Number(c_int),
    /// By a datagram socket of the kernel of this family.
    ByDatagramSocket(c_int),
    /// By the kernel socket itself.
    ByItself,
}

/// Decides how `request` is answered.
pub(crate) fn answer(socket: &Socket, request: u64) -> Result<Answer, Errno> {
    match request {
        libc::FIONREAD if socket.role() == Role::Listener => Err(Errno::EINVAL),
        libc::TIOCOUTQ => queue(socket, &Request::OutQueue),
        SIOCOUTQNSD => queue(socket, &Request::UnsentQueue),
        request if INTERFACES.contains(&request) => {
            Ok(Answer::ByDatagramSocket(match socket.domain {
                Domain::V4 => libc::AF_INET,
                Domain::V6 => libc::AF_INET6,
            }))
        }
        _ => Ok(Answer::ByItself),
    }
}

fn queue(socket: &Socket, request: &Request<'_>) -> Result<Answer, Errno> {
    match socket.role() {
        Role::Listener => Err(Errno::EINVAL),
        Role::Fresh => Ok(Answer::Number(0)),
        Role::Connection => {
            let octets = control::ask_number(socket, request)?;
            Ok(Answer::Number(c_int::try_from(octets).unwrap_or(c_int::MAX)))
        }
    }
}

/// What `TCP_INQ` tells: octets left to read, 1 where only the peer's FIN is.
pub(crate) fn left_to_read(fd: c_int) -> c_int {
    let ended = || sys::poll(fd, libc::POLLRDHUP, 0).is_ok_and(|e| e & libc::POLLRDHUP != 0);
    match readable(fd) {
        0 => ended().into(),
        octets => octets as c_int,
    }
}

/// Octets that can be read at once.
pub(crate) fn readable(fd: c_int) -> usize {
    sys::ioctl_int(fd, libc::FIONREAD).map_or(0, |octets| octets.max(0) as usize)
}
