//! `read`, `recv` and their kin. What succeeds comes straight from the kernel.

use core::mem::size_of;
use core::{ptr, slice};

use libc::{
    c_int, c_uint, c_void, cmsghdr, iovec, mmsghdr, msghdr, off_t, off64_t, size_t, sockaddr,
    socklen_t, ssize_t, timespec,
};
use tcplab_ipc::Errno;
use tcplab_ipc::names::Role;
use tcplab_ipc::record::Api;

use crate::descriptor::{self, Hint};
use crate::ops::io::{self, Verdict};
use crate::ops::options::TCP_INQ;
use crate::ops::plug;
use crate::sockaddr::is_bad;
use crate::{calls, errno, ops, ring, sys};

/// Linux's limit of messages in one `recvmmsg` or `sendmmsg`.
pub(super) const MAX_MESSAGES: c_uint = 1024;
const RWF_NOAPPEND: c_int = 0x20;
/// No SIGPIPE.
pub(super) const RWF_NOSIGNAL: c_int = 0x100;
/// Flags of `preadv2` and `pwritev2` that mean something to a socket, or nothing; others are
/// refused.
pub(super) const RWF_OF_SOCKETS: c_int = libc::RWF_HIPRI
    | libc::RWF_DSYNC
    | libc::RWF_SYNC
    | libc::RWF_NOWAIT
    | libc::RWF_APPEND
    | RWF_NOAPPEND
    | RWF_NOSIGNAL;

/// A read by `attempt` on a number that may be ours, wanting at least one octet or not.
#[inline]
fn reading(fd: c_int, len: usize, attempt: impl Fn() -> ssize_t + Copy) -> ssize_t {
    if ring::is_full() {
        return calls::traced(fd, Api::Read, len, move || reading_untraced(fd, len, attempt));
    }
    reading_untraced(fd, len, attempt)
}

#[inline(always)]
fn reading_untraced(fd: c_int, len: usize, attempt: impl Fn() -> ssize_t) -> ssize_t {
    match io::before_read(fd) {
        Verdict::Go => {}
        Verdict::Foreign => return attempt(),
        Verdict::Unconnected => return errno::long(io::unconnected_read(fd, len)),
    }
    let got = attempt();
    if got > 0 || (got == 0 && len == 0) {
        return got;
    }
    after(fd, len, got)
}

#[cold]
fn after(fd: c_int, len: usize, got: ssize_t) -> ssize_t {
    errno::long(io::after_read(fd, len, if got == 0 { Ok(0) } else { Err(errno::get()) }))
}

cancellable! {
    fn read(fd: c_int, out: *mut c_void, len: size_t) -> ssize_t {
        if descriptor::hint(fd) == Hint::Foreign {
            // SAFETY: the program's arguments.
            return unsafe { read::REAL.get()(fd, out, len) };
        }
        if len == 0 {
            // SAFETY: the program's arguments.
            return unsafe { read_nothing(fd, out) };
        }
        // SAFETY: the program's arguments.
        reading(fd, len, move || unsafe { read::REAL.get()(fd, out, len) })
    }

    fn __read_chk(fd: c_int, out: *mut c_void, len: size_t, room: size_t) -> ssize_t {
        if descriptor::hint(fd) == Hint::Foreign || len > room {
            // SAFETY: the program's arguments; libc aborts where the room is too small.
            return unsafe { __read_chk::REAL.get()(fd, out, len, room) };
        }
        // SAFETY: the program's arguments.
        unsafe { read(fd, out, len) }
    }

    fn readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
        if descriptor::hint(fd) == Hint::Foreign {
            // SAFETY: the program's arguments.
            return unsafe { readv::REAL.get()(fd, parts, count) };
        }
        // SAFETY: the program's arguments.
        reading(fd, calls::UNKNOWN, move || unsafe { readv::REAL.get()(fd, parts, count) })
    }

    fn preadv2(
        fd: c_int,
        parts: *const iovec,
        count: c_int,
        offset: off_t,
        flags: c_int,
    ) -> ssize_t {
        // SAFETY: the program's arguments.
        let attempt = move || unsafe { preadv2::REAL.get()(fd, parts, count, offset, flags) };
        // A socket has no offsets: the kernel says so.
        if descriptor::hint(fd) == Hint::Foreign || offset != -1 {
            return attempt();
        }
        if flags & !RWF_OF_SOCKETS != 0 && descriptor::ours(fd).is_some() {
            return errno::fail(Errno::EOPNOTSUPP);
        }
        reading(fd, calls::UNKNOWN, attempt)
    }

    // `off64_t` is `off_t` where we run.
    fn preadv64v2(
        fd: c_int,
        parts: *const iovec,
        count: c_int,
        offset: off64_t,
        flags: c_int,
    ) -> ssize_t {
        // SAFETY: the program's arguments.
        unsafe { preadv2(fd, parts, count, offset, flags) }
    }

    fn recv(fd: c_int, out: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
        if descriptor::hint(fd) == Hint::Foreign {
            // SAFETY: the program's arguments.
            return unsafe { recv::REAL.get()(fd, out, len, flags) };
        }
        // SAFETY: the program's arguments.
        unsafe { receive(fd, out, len, flags) }
    }

    fn __recv_chk(fd: c_int, out: *mut c_void, len: size_t, room: size_t, flags: c_int) -> ssize_t {
        if descriptor::hint(fd) == Hint::Foreign || len > room {
            // SAFETY: the program's arguments; libc aborts where the room is too small.
            return unsafe { __recv_chk::REAL.get()(fd, out, len, room, flags) };
        }
        // SAFETY: the program's arguments.
        unsafe { receive(fd, out, len, flags) }
    }

    fn recvfrom(
        fd: c_int,
        out: *mut c_void,
        len: size_t,
        flags: c_int,
        from: *mut sockaddr,
        from_len: *mut socklen_t,
    ) -> ssize_t {
        if descriptor::ours(fd).is_none() {
            // SAFETY: the program's arguments.
            return unsafe { recvfrom::REAL.get()(fd, out, len, flags, from, from_len) };
        }
        // SAFETY: the program's arguments.
        let got = unsafe { receive(fd, out, len, flags) };
        if got >= 0 && !from.is_null() && !is_bad(from_len) {
            // SAFETY: the program's place for a length. TCP names nobody here.
            unsafe { *from_len = 0 };
        }
        got
    }

    fn __recvfrom_chk(
        fd: c_int,
        out: *mut c_void,
        len: size_t,
        room: size_t,
        flags: c_int,
        from: *mut sockaddr,
        from_len: *mut socklen_t,
    ) -> ssize_t {
        if descriptor::hint(fd) == Hint::Foreign || len > room {
            // SAFETY: the program's arguments; libc aborts where the room is too small.
            return unsafe { __recvfrom_chk::REAL.get()(fd, out, len, room, flags, from, from_len) };
        }
        // SAFETY: the program's arguments.
        unsafe { recvfrom(fd, out, len, flags, from, from_len) }
    }

    fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
        if descriptor::ours(fd).is_some() && !is_bad(message) {
            // SAFETY: the program's message.
            return unsafe { receive_message(fd, &mut *message, flags) };
        }
        // SAFETY: the program's arguments.
        let got = unsafe { recvmsg::REAL.get()(fd, message, flags) };
        if got >= 0 {
            // SAFETY: the kernel has filled the message in.
            unsafe { look_for_ours(&*message) };
        }
        got
    }

    fn recvmmsg(
        fd: c_int,
        messages: *mut mmsghdr,
        count: c_uint,
        flags: c_int,
        timeout: *mut timespec,
    ) -> c_int {
        if descriptor::ours(fd).is_some() && !is_bad(messages) {
            // SAFETY: the program's messages.
            return unsafe { receive_messages(fd, messages, count, flags, timeout) };
        }
        // SAFETY: the program's arguments.
        let got = unsafe { recvmmsg::REAL.get()(fd, messages, count, flags, timeout) };
        for at in 0..got.max(0) as usize {
            // SAFETY: the kernel has filled in so many messages.
            unsafe { look_for_ours(&(*messages.add(at)).msg_hdr) };
        }
        got
    }
}

/// The kernel gives 0 for a read of nothing from any socket.
///
/// # Safety
/// As `read`.
#[cold]
unsafe fn read_nothing(fd: c_int, out: *mut c_void) -> ssize_t {
    // SAFETY: the caller's promise.
    unsafe { read::REAL.get()(fd, out, 0) }
}

/// `recv` on a number that may be ours.
///
/// # Safety
/// As `recv`.
unsafe fn receive(fd: c_int, out: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
    if flags & (libc::MSG_TRUNC | libc::MSG_ERRQUEUE) != 0 && descriptor::ours(fd).is_some() {
        return receive_unusually(fd, len, flags);
    }
    if flags & libc::MSG_OOB != 0
        && descriptor::ours(fd).is_some_and(|socket| socket.role() == Role::Fresh)
    {
        return errno::fail(Errno::EINVAL);
    }
    // SAFETY: the caller's promise.
    let got = reading(fd, len, move || unsafe { recv::REAL.get()(fd, out, len, flags) });
    let got = ops::peek::wait_for_all(fd, flags, (got, len), || {
        // SAFETY: the caller's promise.
        unsafe { recv::REAL.get()(fd, out, len, flags | libc::MSG_DONTWAIT) }
    });
    if got < 0 && len == 0 && waited(fd, flags) {
        // TCP waits for octets it will not take, and is content.
        return 0;
    }
    got
}

/// Whether a read that gave EAGAIN had waited until `SO_RCVTIMEO` was over.
#[cold]
fn waited(fd: c_int, flags: c_int) -> bool {
    errno::get() == Errno::EAGAIN
        && flags & libc::MSG_DONTWAIT == 0
        && descriptor::ours(fd).is_some_and(|socket| !socket.is_nonblocking())
}

/// What `AF_UNIX` does otherwise: MSG_TRUNC throws octets away, MSG_ERRQUEUE reads no octets.
#[cold]
fn receive_unusually(fd: c_int, len: size_t, flags: c_int) -> ssize_t {
    if flags & libc::MSG_ERRQUEUE != 0 {
        return errno::fail(Errno::EAGAIN);
    }
    let flags = flags & !libc::MSG_TRUNC;
    let mut scratch = [0u8; 2048];
    let place = scratch.as_mut_ptr().cast();
    if flags & libc::MSG_PEEK != 0 {
        // SAFETY: the scratch is ours.
        let got =
            reading(fd, len, move || unsafe { recv::REAL.get()(fd, place, len.min(1), flags) });
        let all = || ops::ioctl::readable(fd).min(len) as ssize_t;
        let got = if got > 0 { got.max(all()) } else { got };
        return ops::peek::wait_for_all(fd, flags, (got, len), all);
    }
    let mut thrown_away = 0;
    while thrown_away < len {
        let piece = scratch.len().min(len - thrown_away);
        let waits = thrown_away == 0 || flags & libc::MSG_WAITALL != 0;
        let wait = if waits { flags } else { flags | libc::MSG_DONTWAIT };
        // SAFETY: the scratch is ours.
        let got = reading(fd, piece, move || unsafe { recv::REAL.get()(fd, place, piece, wait) });
        if got <= 0 {
            return if thrown_away > 0 { thrown_away as ssize_t } else { got };
        }
        thrown_away += got as usize;
        if flags & libc::MSG_WAITALL != 0 && (got as usize) < piece {
            // What ended the waiting.
            break;
        }
    }
    thrown_away as ssize_t
}

/// `recvmsg` on one of ours: no name, no control messages.
///
/// # Safety
/// As `recvmsg`.
unsafe fn receive_message(fd: c_int, message: &mut msghdr, flags: c_int) -> ssize_t {
    // SAFETY: all octets zero is a message without parts.
    let mut plain: msghdr = unsafe { core::mem::zeroed() };
    plain.msg_iov = message.msg_iov;
    plain.msg_iovlen = message.msg_iovlen;
    let got = if flags & (libc::MSG_TRUNC | libc::MSG_ERRQUEUE) != 0 {
        // SAFETY: the caller's promise.
        receive_unusually(fd, unsafe { total(message) }, flags)
    } else {
        let place = ptr::from_mut(&mut plain);
        // SAFETY: the caller's promise.
        let peek = move |flags| unsafe { recvmsg::REAL.get()(fd, place, flags) };
        let got = reading(fd, calls::UNKNOWN, move || peek(flags));
        // SAFETY: parts that the kernel has filled are ones.
        let len = if got > 0 { unsafe { total(message) } } else { 0 };
        ops::peek::wait_for_all(fd, flags, (got, len), || peek(flags | libc::MSG_DONTWAIT))
    };
    if got >= 0 {
        message.msg_namelen = 0;
        message.msg_flags = plain.msg_flags;
        // SAFETY: the program's message.
        unsafe { tell_queue(fd, message) };
    }
    got
}

/// Writes the control message that `TCP_INQ` asks for: octets that are left to read. Without the
/// option, none.
///
/// # Safety
/// `msg_control` has room for `msg_controllen` octets.
unsafe fn tell_queue(fd: c_int, message: &mut msghdr) {
    let room = core::mem::replace(&mut message.msg_controllen, 0);
    if !plug::has_mark(fd, plug::INQ_MARK) {
        return;
    }
    if is_bad(message.msg_control) || room < size_of::<cmsghdr>() {
        message.msg_flags |= libc::MSG_CTRUNC;
        return;
    }
    let whole = size_of::<cmsghdr>() + size_of::<c_int>();
    let len = whole.min(room);
    if len < whole {
        message.msg_flags |= libc::MSG_CTRUNC;
    }
    // SAFETY: all octets zero is a header.
    let mut header: cmsghdr = unsafe { core::mem::zeroed() };
    header.cmsg_len = len as _;
    header.cmsg_level = libc::IPPROTO_TCP;
    header.cmsg_type = TCP_INQ;
    let left = ops::ioctl::left_to_read(fd).to_ne_bytes();
    let place = message.msg_control.cast::<u8>();
    // SAFETY: the caller's promise; the header and `len` octets in all fit into `room`.
    unsafe {
        place.cast::<cmsghdr>().write_unaligned(header);
        let data = place.add(size_of::<cmsghdr>());
        data.copy_from_nonoverlapping(left.as_ptr(), len - size_of::<cmsghdr>());
    }
    message.msg_controllen = len.next_multiple_of(size_of::<usize>()).min(room);
}

/// Room in all parts of a message.
///
/// # Safety
/// The message has as many parts as it says.
unsafe fn total(message: &msghdr) -> usize {
    if is_bad(message.msg_iov) {
        return 0;
    }
    // SAFETY: the caller's promise.
    let parts = unsafe { slice::from_raw_parts(message.msg_iov, message.msg_iovlen) };
    parts.iter().fold(0, |sum: usize, part| sum.saturating_add(part.iov_len))
}

/// `recvmmsg` on one of ours: one after the other, as the kernel does.
///
/// # Safety
/// As `recvmmsg`.
unsafe fn receive_messages(
    fd: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
    timeout: *const timespec,
) -> c_int {
    // SAFETY: null or the program's timeout.
    let timeout_ms = unsafe { timeout.as_ref() }.map(|time| {
        (time.tv_sec as u64).saturating_mul(1000).saturating_add(time.tv_nsec as u64 / 1_000_000)
    });
    let start_ms = sys::now_ms();
    let mut wait = flags & !libc::MSG_WAITFORONE;
    let mut done = 0;
    while done < count.min(MAX_MESSAGES) {
        // SAFETY: `done` is less than the number of messages.
        let message = unsafe { &mut *messages.add(done as usize) };
        // SAFETY: the caller's promise.
        let got = unsafe { receive_message(fd, &mut message.msg_hdr, wait) };
        if got < 0 {
            return if done > 0 { done as c_int } else { -1 };
        }
        message.msg_len = got as c_uint;
        done += 1;
        if flags & libc::MSG_WAITFORONE != 0 {
            wait |= libc::MSG_DONTWAIT;
        }
        if timeout_ms.is_some_and(|ms| sys::now_ms() - start_ms >= ms) {
            break;
        }
    }
    done as c_int
}

/// Descriptors that came with a message on somebody else's socket may be ours.
///
/// # Safety
/// The kernel has filled the message in.
unsafe fn look_for_ours(message: &msghdr) {
    let mut at = message.msg_control.cast::<u8>();
    let mut left = message.msg_controllen;
    while !at.is_null() && left >= size_of::<cmsghdr>() {
        // SAFETY: `left` octets are there; the header may be unaligned in a careless program.
        let header = unsafe { at.cast::<cmsghdr>().read_unaligned() };
        let len = header.cmsg_len;
        if len < size_of::<cmsghdr>() || len > left {
            return;
        }
        if header.cmsg_level == libc::SOL_SOCKET && header.cmsg_type == libc::SCM_RIGHTS {
            for index in 0..(len - size_of::<cmsghdr>()) / size_of::<c_int>() {
                // SAFETY: within the `len` octets of this control message.
                let fd = unsafe {
                    at.add(size_of::<cmsghdr>()).cast::<c_int>().add(index).read_unaligned()
                };
                descriptor::classify(fd);
            }
        }
        let step = len.next_multiple_of(size_of::<usize>());
        if step >= left {
            return;
        }
        // SAFETY: less than what is left.
        at = unsafe { at.add(step) };
        left -= step;
    }
}

/// Looks up the symbols of this file.
pub(crate) fn warm_up() {
    read::REAL.get();
    __read_chk::REAL.get();
    readv::REAL.get();
    preadv2::REAL.get();
    preadv64v2::REAL.get();
    recv::REAL.get();
    __recv_chk::REAL.get();
    recvfrom::REAL.get();
    __recvfrom_chk::REAL.get();
    recvmsg::REAL.get();
    recvmmsg::REAL.get();
}
