//! `getsockopt()` and `setsockopt()`: mostly the stack's; some the kernel socket does itself.

use libc::c_int;
use tcplab_ipc::message::{MAX_MESSAGE, MAX_OPTION, Reply, Request};
use tcplab_ipc::names::Role;
use tcplab_ipc::{Domain, Errno};

use crate::control::Life;
use crate::descriptor::{self, Socket};
use crate::ops::plug;
use crate::{control, sys};

const SO_RCVTIMEO_NEW: c_int = 66;
const SO_SNDTIMEO_NEW: c_int = 67;
/// Option, and type of the control message that it asks for.
pub(crate) const TCP_INQ: c_int = 36;
const SO_PASSSEC: c_int = 34;
const SO_PEEK_OFF: c_int = 42;
const SO_PEERGROUPS: c_int = 59;
const SO_PASSPIDFD: c_int = 76;
const SO_PEERPIDFD: c_int = 77;
const SO_PASSRIGHTS: c_int = 83;

/// Who knows an option at `SOL_SOCKET`.
enum Authority {
    /// The kernel socket behaves by it, so it is set there too (and the stack told, for sockets
    /// that inherit it).
    Kernel,
    /// The stack, but the kernel socket's reads behave by it, so it is set there too.
    Both,
    /// It is about `AF_UNIX` peers: answered as by a TCP socket of the kernel.
    OtherFamily,
    /// Follows from what the socket is.
    Shim(c_int),
    /// `SO_ERROR`
    Error,
    /// `TCP_INQ`: the stack; and the kernel socket carries a mark for `recvmsg`.
    Inq,
    /// The stack. `SO_SNDBUF` too: octets in the kernel socket's own buffer come on top.
    Stack,
}

fn authority(socket: &Socket, level: c_int, name: c_int) -> Authority {
    if (level, name) == (libc::IPPROTO_TCP, TCP_INQ) {
        return Authority::Inq;
    }
    if level != libc::SOL_SOCKET {
        return Authority::Stack;
    }
    match name {
        libc::SO_RCVTIMEO
        | libc::SO_SNDTIMEO
        | SO_RCVTIMEO_NEW
        | SO_SNDTIMEO_NEW
        | SO_PEEK_OFF
        | libc::SO_LINGER
        | libc::SO_OOBINLINE => Authority::Kernel,
        libc::SO_RCVLOWAT => Authority::Both,
        libc::SO_PEERCRED
        | libc::SO_PASSCRED
        | libc::SO_PEERSEC
        | SO_PASSSEC
        | SO_PEERGROUPS
        | SO_PASSPIDFD
        | SO_PEERPIDFD
        | SO_PASSRIGHTS => Authority::OtherFamily,
        libc::SO_TYPE => Authority::Shim(libc::SOCK_STREAM),
        libc::SO_PROTOCOL => Authority::Shim(libc::IPPROTO_TCP),
        libc::SO_DOMAIN => Authority::Shim(family(socket.domain)),
        libc::SO_ACCEPTCONN => Authority::Shim((socket.role() == Role::Listener).into()),
        libc::SO_ERROR => Authority::Error,
        _ => Authority::Stack,
    }
}

fn family(domain: Domain) -> c_int {
    match domain {
        Domain::V4 => libc::AF_INET,
        Domain::V6 => libc::AF_INET6,
    }
}

/// `getsockopt()` on one of our sockets: writes the value to `out` and returns its length.
pub(crate) fn get(
    socket: &Socket,
    level: c_int,
    name: c_int,
    out: &mut [u8],
) -> Result<usize, Errno> {
    match authority(socket, level, name) {
        Authority::Kernel => sys::get_option_octets(socket.fd, level, name, out),
        Authority::OtherFamily => {
            as_kernel_tcp(socket.domain, |fd| sys::get_option_octets(fd, level, name, out))
        }
        Authority::Shim(value) => Ok(copy(&value.to_ne_bytes(), out)),
        Authority::Error => Ok(copy(&take_error(socket).to_ne_bytes(), out)),
        Authority::Both | Authority::Inq | Authority::Stack => {
            let room = out.len().min(MAX_OPTION) as u32;
            let request = Request::GetOption(level, name, room);
            match control::call(socket, &request, &mut [0; MAX_MESSAGE])? {
                Reply::Value(value) => Ok(copy(value, out)),
                // A value of length 0.
                Reply::Done => Ok(0),
                _ => Err(Errno::ENETDOWN),
            }
        }
    }
}

fn copy(value: &[u8], out: &mut [u8]) -> usize {
    for (to, from) in out.iter_mut().zip(value) {
        *to = *from;
    }
    value.len().min(out.len())
}

/// `setsockopt()` on one of our sockets.
pub(crate) fn set(socket: &Socket, level: c_int, name: c_int, value: &[u8]) -> Result<(), Errno> {
    let told = value.get(..value.len().min(MAX_OPTION)).unwrap_or_default();
    let request = Request::SetOption(level, name, told);
    match authority(socket, level, name) {
        Authority::Kernel => {
            sys::set_option_octets(socket.fd, level, name, value)?;
            control::ask(socket, &request)
        }
        Authority::Both => {
            control::ask(socket, &request)?;
            let _ = sys::set_option_octets(socket.fd, level, name, value);
            Ok(())
        }
        Authority::Inq => {
            control::ask(socket, &request)?;
            let on = value.iter().take(size_of::<c_int>()).any(|&octet| octet != 0);
            plug::set_mark(socket.fd, plug::INQ_MARK, on)
        }
        Authority::OtherFamily => {
            as_kernel_tcp(socket.domain, |fd| sys::set_option_octets(fd, level, name, value))
        }
        Authority::Shim(_) | Authority::Error | Authority::Stack => control::ask(socket, &request),
    }
}

/// What the kernel says of a TCP socket of its own, made for the question only.
fn as_kernel_tcp<T>(
    domain: Domain,
    ask: impl FnOnce(c_int) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let fd = sys::socket(family(domain), libc::SOCK_STREAM | libc::SOCK_CLOEXEC)?;
    let answer = ask(fd);
    sys::close(fd);
    answer
}

/// `SO_ERROR`: the pending error, which is none afterwards.
pub(crate) fn take_error(socket: &Socket) -> c_int {
    if socket.role() == Role::Fresh {
        return pending_on_fresh(socket);
    }
    if !descriptor::hint(socket.fd).is_open() {
        plug::settle(socket.fd);
    }
    let events = sys::poll(socket.fd, 0, 0).unwrap_or(libc::POLLERR);
    let kernels = sys::get_option::<c_int>(socket.fd, libc::SO_ERROR).unwrap_or(0);
    if kernels == 0 && events & (libc::POLLERR | libc::POLLHUP) == 0 {
        return 0;
    }
    match control::life_of_stack(socket) {
        Life::Alive => {}
        Life::Dead => return Errno::ENETDOWN.0,
        Life::Unknown => return kernels,
    }
    match control::ask_number(socket, &Request::TakeError) {
        Ok(0) => kernels,
        Ok(stacks) => stacks as c_int,
        Err(_) => Errno::ENETDOWN.0,
    }
}

/// The error that a socket without a connection holds: Linux leaves one after
/// `connect(AF_UNSPEC)`.
pub(crate) fn pending_on_fresh(socket: &Socket) -> c_int {
    control::ask_number(socket, &Request::TakeError).unwrap_or(0) as c_int
}
