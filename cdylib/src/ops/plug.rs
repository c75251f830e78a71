//! Plugging a kernel socket into the stack, and what goes with it: filler, and replacement.
//!
//! A plugged socket must look to `poll()` as TCP does: not writable in SYN-SENT and LISTEN. So its
//! send buffer is made minimal and filled; the stack reads the filler when the connection stands.
//! The size it is to have afterwards is kept in `SO_RCVBUF` of the kernel socket, which means
//! nothing else on an `AF_UNIX` stream.

use libc::c_int;
use tcplab_ipc::Errno;
use tcplab_ipc::message::Request;
use tcplab_ipc::names::{Name, Object};
use tcplab_ipc::record::{Call, FILLER_LEN, Plug};

use crate::descriptor::{self, Hint, Socket};
use crate::ops::socket;
use crate::{control, sys};

/// Option of the kernel socket that carries marks: `AF_UNIX` makes no use of it, it may be set to
/// 0..6 by anybody, and asking for it needs no stack.
const MARKS: c_int = libc::SO_PRIORITY;
/// `TCP_INQ` is set. The stack sets it on accepted sockets.
pub(crate) const INQ_MARK: c_int = 1;
/// A `connect()` has said that the connection stands: every later one is answered with EISCONN.
pub(crate) const TOLD_MARK: c_int = 2;
/// How long the stack may leave its queue of plugs full.
const PATIENCE_MS: u64 = 10_000;
/// `SO_SNDBUF` when set to less than the kernel's minimum.
const MIN_SEND_BUFFER: c_int = 4608;

/// Whether filler follows the plug.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filler {
    /// No: writable at once.
    Without,
    /// Yes: not writable until the stack reads it.
    With,
}

/// Connects `socket` to the stack and says who it is. Error: ENETDOWN where the stack is gone.
pub(crate) fn plug(
    socket: &Socket,
    call: Call,
    caller: usize,
    filler: Filler,
) -> Result<(), Errno> {
    match plug_once(socket, call, caller, filler) {
        // shutdown() before: failed for TCP, but the kernel socket writes no more.
        Err(Errno::EPIPE) => plug_once(&replace(socket)?, call, caller, filler),
        outcome => outcome,
    }
}

fn plug_once(socket: &Socket, call: Call, caller: usize, filler: Filler) -> Result<(), Errno> {
    if filler == Filler::With {
        let size = sys::get_option::<c_int>(socket.fd, libc::SO_SNDBUF)?;
        sys::set_option(socket.fd, libc::SO_RCVBUF, &(size / 2))?;
        sys::set_option(socket.fd, libc::SO_SNDBUF, &0)?;
    }
    let object = if call == Call::Listen { Object::Listeners } else { Object::Connections };
    connect(socket.fd, &Name::new(&socket.session, object))?;
    if !control::is_trusted(socket.fd, &socket.session) {
        return Err(Errno::ENETDOWN);
    }
    send(socket, call, caller, filler)
}

fn connect(fd: c_int, name: &Name) -> Result<(), Errno> {
    let address = name.to_sockaddr();
    let mut patience_ms = PATIENCE_MS;
    loop {
        match sys::connect(fd, &address) {
            Ok(()) => return Ok(()),
            Err(Errno::EINTR) => {}
            // The queue is full, and the socket (or its SO_SNDTIMEO) does not wait.
            Err(Errno::EAGAIN) if patience_ms > 0 => {
                sys::sleep_ms(1);
                patience_ms -= 1;
            }
            Err(errno @ (Errno::EISCONN | Errno::EBADF)) => return Err(errno),
            Err(_) => return Err(Errno::ENETDOWN),
        }
    }
}

fn send(socket: &Socket, call: Call, caller: usize, filler: Filler) -> Result<(), Errno> {
    static FILLER: [u8; FILLER_LEN] = [0; FILLER_LEN];
    let filler = if filler == Filler::With { &FILLER[..] } else { &[] };
    let record = Plug {
        id: socket.id,
        call,
        pid: sys::getpid().cast_unsigned(),
        fd: socket.fd,
        caller: caller as u64,
        filler_len: filler.len() as u32,
    }
    .encode();
    let mut parts = [record.as_slice(), filler]
        .map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
    // SAFETY: all octets zero is a message without parts.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len() as _;
    // SAFETY: the parts live across the call, and are only read.
    match unsafe { sys::sendmsg(socket.fd, &message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) } {
        Ok(len) if len == record.len() + filler.len() => Ok(()),
        Err(Errno::EPIPE) => Err(Errno::EPIPE),
        _ => Err(Errno::ENETDOWN),
    }
}

/// Says on the new connection `fd` that the program has taken it. That it is already reset is no
/// error here: the program will read so.
pub(crate) fn acknowledge(socket: &Socket, caller: usize) {
    let _ = send(socket, Call::Accept, caller, Filler::Without);
}

/// How far a connection that was plugged with filler has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It is being made.
    Connecting,
    /// It stands, and nobody has noticed before.
    JustMade,
    /// It stood before, or has failed.
    Over,
}

/// Gives a connection that is no longer being made its send buffer back. Tells how far it is.
pub(crate) fn settle(fd: c_int) -> Progress {
    let mut progress = Progress::Over;
    if sys::get_option(fd, libc::SO_SNDBUF) == Ok(MIN_SEND_BUFFER) {
        let events = sys::poll(fd, libc::POLLOUT, 0).unwrap_or(0);
        if events == 0 {
            return Progress::Connecting;
        }
        // A dead one needs no room, and giving it some would be an edge for epoll.
        if events & libc::POLLHUP == 0
            && let Ok(size) = sys::get_option::<c_int>(fd, libc::SO_RCVBUF)
        {
            let _ = sys::set_option(fd, libc::SO_SNDBUF, &(size / 2));
            progress = Progress::JustMade;
        }
    }
    descriptor::note(fd, Hint::Connection);
    progress
}

/// Makes the edge for epoll that a connection makes when it comes to stand. Who registered the
/// socket before its connect() waits for it.
pub(crate) fn announce_room(fd: c_int) {
    if let Ok(size) = sys::get_option::<c_int>(fd, libc::SO_SNDBUF) {
        let _ = sys::set_option(fd, libc::SO_SNDBUF, &(size / 2));
    }
}

/// Whether the kernel socket carries `mark`.
pub(crate) fn has_mark(fd: c_int, mark: c_int) -> bool {
    sys::get_option::<c_int>(fd, MARKS).is_ok_and(|marks| marks & mark != 0)
}

/// Puts `mark` on the kernel socket, or takes it away.
pub(crate) fn set_mark(fd: c_int, mark: c_int, on: bool) -> Result<(), Errno> {
    let marks = sys::get_option::<c_int>(fd, MARKS)?;
    sys::set_option(fd, MARKS, &if on { marks | mark } else { marks & !mark })
}

/// Puts a fresh kernel socket under the number of `socket`, whose own has been connected once and
/// cannot be again; the stack's socket, with its options and its binding, goes on under the new
/// identity.
pub(crate) fn replace(socket: &Socket) -> Result<Socket, Errno> {
    let (new, id) =
        socket::make(&socket.session, socket.id.stack(), socket.domain, libc::SOCK_CLOEXEC)?;
    let result = control::ask(socket, &Request::Renew(id)).and_then(|()| {
        copy_options(socket.fd, new);
        let status = sys::fcntl(socket.fd, libc::F_GETFL, 0)?;
        sys::fcntl(new, libc::F_SETFL, status)?;
        let cloexec = sys::fcntl(socket.fd, libc::F_GETFD, 0)? & libc::FD_CLOEXEC != 0;
        sys::dup3(new, socket.fd, if cloexec { libc::O_CLOEXEC } else { 0 })
    });
    sys::close(new);
    result?;
    descriptor::note(socket.fd, Hint::Unknown);
    Ok(Socket { id, ..*socket })
}

/// Copies what the kernel sockets themselves know of the program's options.
fn copy_options(from: c_int, to: c_int) {
    for option in [libc::SO_RCVLOWAT, libc::SO_OOBINLINE] {
        if let Ok(value) = sys::get_option::<c_int>(from, option) {
            let _ = sys::set_option(to, option, &value);
        }
    }
    if has_mark(from, INQ_MARK) {
        let _ = set_mark(to, INQ_MARK, true);
    }
    for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
        if let Ok(value) = sys::get_option::<libc::timeval>(from, option) {
            let _ = sys::set_option(to, option, &value);
        }
    }
    if let Ok(value) = sys::get_option::<libc::linger>(from, libc::SO_LINGER) {
        let _ = sys::set_option(to, libc::SO_LINGER, &value);
    }
}
