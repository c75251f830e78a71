//! `write`, `send` and their kin: on ours always with MSG_NOSIGNAL, because whether SIGPIPE is
//! due is TCP's to say.

use core::ptr;

use libc::{
    c_int, c_uint, c_void, iovec, mmsghdr, msghdr, off_t, off64_t, size_t, sockaddr, socklen_t,
    ssize_t,
};
use tcplab_ipc::Errno;
use tcplab_ipc::record::Api;

use super::read::{MAX_MESSAGES, RWF_NOSIGNAL, RWF_OF_SOCKETS};
use crate::descriptor::{self, Hint, Socket};
use crate::ops::io::{self, Signal, Verdict};
use crate::sockaddr::{Given, is_bad};
use crate::{calls, errno, ops, ring};

/// Linux's limit of parts in one `writev`.
const MAX_PARTS: c_int = 1024;
const MSG_ZEROCOPY: c_int = 0x400_0000;

/// A write of `asked` octets by `attempt`, given flags to add, on a number that may be ours;
/// `otherwise` where the descriptor is somebody else's.
#[inline]
fn writing(
    fd: c_int,
    asked: usize,
    signal: Signal,
    attempt: impl Fn(c_int) -> ssize_t + Copy,
    otherwise: impl Fn() -> ssize_t + Copy,
) -> ssize_t {
    if ring::is_full() {
        let writing = move || writing_untraced(fd, asked, signal, attempt, otherwise);
        return calls::traced(fd, Api::Write, asked, writing);
    }
    writing_untraced(fd, asked, signal, attempt, otherwise)
}

#[inline(always)]
fn writing_untraced(
    fd: c_int,
    asked: usize,
    signal: Signal,
    attempt: impl Fn(c_int) -> ssize_t,
    otherwise: impl Fn() -> ssize_t,
) -> ssize_t {
    let call = (Api::Write, asked);
    match io::before_write(fd) {
        Verdict::Go => {}
        Verdict::Foreign => return otherwise(),
        Verdict::Unconnected => return errno::fail(io::unconnected_write(fd, call, signal)),
    }
    let put = attempt(libc::MSG_NOSIGNAL);
    if put > 0 {
        return put;
    }
    if put == 0 {
        return errno::long(io::after_write_of_nothing(fd));
    }
    match errno::get() {
        // The hint was stale: a file.
        Errno::ENOTSOCK if descriptor::ours(fd).is_none() => otherwise(),
        Errno::EAGAIN | Errno::EINTR => put,
        errno => errno::fail(io::after_write(fd, call, errno, signal)),
    }
}

fn signal_of(flags: c_int) -> Signal {
    if flags & libc::MSG_NOSIGNAL != 0 { Signal::Suppress } else { Signal::Raise }
}

cancellable! {
    fn write(fd: c_int, octets: *const c_void, len: size_t) -> ssize_t {
        if descriptor::hint(fd) == Hint::Foreign {
            // SAFETY: the program's arguments.
            return unsafe { write::REAL.get()(fd, octets, len) };
        }
        writing(
            fd,
            len,
            Signal::Raise,
            // SAFETY: the program's arguments.
            move |flags| unsafe { send::REAL.get()(fd, octets, len, flags) },
            // SAFETY: the program's arguments.
            move || unsafe { write::REAL.get()(fd, octets, len) },
        )
    }

    fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
        // What is no vector is refused by the kernel, whosever descriptor it is.
        if descriptor::hint(fd) == Hint::Foreign || !(1..=MAX_PARTS).contains(&count) {
            // SAFETY: the program's arguments.
            return unsafe { writev::REAL.get()(fd, parts, count) };
        }
        writing(
            fd,
            calls::UNKNOWN,
            Signal::Raise,
            // SAFETY: the program's arguments.
            move |flags| unsafe { send_parts(fd, parts.cast_mut(), count as usize, flags) },
            // SAFETY: the program's arguments.
            move || unsafe { writev::REAL.get()(fd, parts, count) },
        )
    }

    fn pwritev2(
        fd: c_int,
        parts: *const iovec,
        count: c_int,
        offset: off_t,
        flags: c_int,
    ) -> ssize_t {
        // SAFETY: the program's arguments.
        let otherwise = move || unsafe { pwritev2::REAL.get()(fd, parts, count, offset, flags) };
        // A socket has no offsets: the kernel says so.
        if descriptor::hint(fd) == Hint::Foreign
            || !(1..=MAX_PARTS).contains(&count)
            || offset != -1
        {
            return otherwise();
        }
        if flags & !RWF_OF_SOCKETS != 0 && descriptor::ours(fd).is_some() {
            return errno::fail(Errno::EOPNOTSUPP);
        }
        let signal = if flags & RWF_NOSIGNAL != 0 { Signal::Suppress } else { Signal::Raise };
        let wait = if flags & libc::RWF_NOWAIT != 0 { libc::MSG_DONTWAIT } else { 0 };
        writing(
            fd,
            calls::UNKNOWN,
            signal,
            // SAFETY: the program's arguments.
            move |more| unsafe { send_parts(fd, parts.cast_mut(), count as usize, wait | more) },
            otherwise,
        )
    }

    // `off64_t` is `off_t` where we run.
    fn pwritev64v2(
        fd: c_int,
        parts: *const iovec,
        count: c_int,
        offset: off64_t,
        flags: c_int,
    ) -> ssize_t {
        // SAFETY: the program's arguments.
        unsafe { pwritev2(fd, parts, count, offset, flags) }
    }

    fn send(fd: c_int, octets: *const c_void, len: size_t, flags: c_int) -> ssize_t {
        if descriptor::hint(fd) == Hint::Foreign {
            // SAFETY: the program's arguments.
            return unsafe { send::REAL.get()(fd, octets, len, flags) };
        }
        if flags & libc::MSG_FASTOPEN != 0
            && let Some(socket) = descriptor::ours(fd)
        {
            // SAFETY: no address.
            return unsafe { send_after_connect(&socket, (ptr::null(), 0), flags, |_| -1) };
        }
        writing(
            fd,
            len,
            signal_of(flags),
            // SAFETY: the program's arguments.
            move |more| unsafe { send::REAL.get()(fd, octets, len, flags & !MSG_ZEROCOPY | more) },
            // SAFETY: the program's arguments.
            move || unsafe { send::REAL.get()(fd, octets, len, flags) },
        )
    }

    fn sendto(
        fd: c_int,
        octets: *const c_void,
        len: size_t,
        flags: c_int,
        to: *const sockaddr,
        to_len: socklen_t,
    ) -> ssize_t {
        let Some(socket) = descriptor::ours(fd) else {
            // SAFETY: the program's arguments.
            return unsafe { sendto::REAL.get()(fd, octets, len, flags, to, to_len) };
        };
        // SAFETY: the program's arguments.
        let sending = |flags| unsafe { send(fd, octets, len, flags) };
        if flags & libc::MSG_FASTOPEN != 0 {
            // SAFETY: the program's arguments.
            return unsafe { send_after_connect(&socket, (to, to_len), flags, sending) };
        }
        // TCP ignores the address.
        sending(flags)
    }

    fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
        let Some(socket) = descriptor::ours(fd).filter(|_| !is_bad(message)) else {
            // SAFETY: the program's arguments.
            return unsafe { sendmsg::REAL.get()(fd, message, flags) };
        };
        // SAFETY: the program's message.
        unsafe { send_message(&socket, &*message, flags) }
    }

    fn sendmmsg(fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int {
        let Some(socket) = descriptor::ours(fd).filter(|_| !is_bad(messages)) else {
            // SAFETY: the program's arguments.
            return unsafe { sendmmsg::REAL.get()(fd, messages, count, flags) };
        };
        let mut done = 0;
        while done < count.min(MAX_MESSAGES) {
            // SAFETY: `done` is less than the number of messages.
            let message = unsafe { &mut *messages.add(done as usize) };
            // SAFETY: the program's message.
            let put = unsafe { send_message(&socket, &message.msg_hdr, flags) };
            if put < 0 {
                return if done > 0 { done as c_int } else { -1 };
            }
            message.msg_len = put as c_uint;
            done += 1;
        }
        done as c_int
    }
}

/// A send with MSG_FASTOPEN: as where the peer gave no cookie, that is `connect()`, then `send`
/// without the flag.
///
/// # Safety
/// The address is as the program gave it.
#[cold]
unsafe fn send_after_connect(
    socket: &Socket,
    (to, len): (*const sockaddr, socklen_t),
    flags: c_int,
    send: impl Fn(c_int) -> ssize_t,
) -> ssize_t {
    // SAFETY: the caller's promise.
    let given = unsafe { Given::read(to, len) };
    match given.and_then(|given| ops::connect::connect(socket, &given, 0)) {
        Ok(()) => send(flags & !libc::MSG_FASTOPEN),
        Err(errno) => errno::fail(errno),
    }
}

/// `sendmsg` on one of ours: no name and no control messages, which TCP ignores, go with it.
///
/// # Safety
/// As `sendmsg`.
unsafe fn send_message(socket: &Socket, message: &msghdr, flags: c_int) -> ssize_t {
    if flags & libc::MSG_FASTOPEN != 0 {
        let to = (message.msg_name.cast_const().cast(), message.msg_namelen);
        // SAFETY: the program's message.
        let sending = |flags| unsafe { send_message(socket, message, flags) };
        // SAFETY: the program's message.
        return unsafe { send_after_connect(socket, to, flags, sending) };
    }
    let fd = socket.fd;
    let (parts, count) = (message.msg_iov, message.msg_iovlen);
    let flags = flags & !MSG_ZEROCOPY;
    writing(
        fd,
        calls::UNKNOWN,
        signal_of(flags),
        // SAFETY: the program's parts.
        move |more| unsafe { send_parts(fd, parts, count, flags | more) },
        // SAFETY: the program's message.
        move || unsafe { sendmsg::REAL.get()(fd, message, flags) },
    )
}

/// # Safety
/// As `sendmsg` with these parts.
unsafe fn send_parts(fd: c_int, parts: *mut iovec, count: usize, flags: c_int) -> ssize_t {
    // SAFETY: all octets zero is a message without parts.
    let mut message: msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = parts;
    message.msg_iovlen = count as _;
    // SAFETY: the caller's promise.
    unsafe { sendmsg::REAL.get()(fd, &message, flags) }
}

/// Looks up the symbols of this file.
pub(crate) fn warm_up() {
    write::REAL.get();
    writev::REAL.get();
    pwritev2::REAL.get();
    pwritev64v2::REAL.get();
    send::REAL.get();
    sendto::REAL.get();
    sendmsg::REAL.get();
    sendmmsg::REAL.get();
}
