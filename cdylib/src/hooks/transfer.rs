//! `sendfile` and `splice`: the kernel moves the octets; SIGPIPE and errors are put right.

use libc::{c_int, c_uint, off_t, off64_t, size_t, ssize_t};
use tcplab_ipc::Errno;
use tcplab_ipc::record::Api;

use crate::descriptor::{self, Hint};
use crate::ops::io::{self, Signal, Verdict};
use crate::{calls, errno, ring, sys};

const SIGPIPE_ONLY: sys::SignalMask = 1 << (libc::SIGPIPE - 1);

/// A transfer of `len` octets by `attempt` into a number that may be ours. These calls know no
/// MSG_NOSIGNAL.
fn transferring(out: c_int, len: usize, attempt: impl Fn() -> ssize_t + Copy) -> ssize_t {
    if ring::is_full() {
        let transferring = move || transferring_untraced(out, len, attempt);
        return calls::traced(out, Api::Sendfile, len, transferring);
    }
    transferring_untraced(out, len, attempt)
}

fn transferring_untraced(out: c_int, len: usize, attempt: impl Fn() -> ssize_t) -> ssize_t {
    let call = (Api::Sendfile, len);
    match io::before_write(out) {
        Verdict::Go => {}
        Verdict::Foreign => return attempt(),
        Verdict::Unconnected => {
            return errno::fail(io::unconnected_write(out, call, Signal::Raise));
        }
    }
    let mask = sys::block_signals(SIGPIPE_ONLY);
    // Where it was not blocked before, none can have been waiting.
    let was_pending = mask & SIGPIPE_ONLY != 0 && sys::pending_signals() & SIGPIPE_ONLY != 0;
    let put = attempt();
    let errno = errno::get();
    if put < 0 && errno == Errno::EPIPE && !was_pending {
        sys::discard_signal(SIGPIPE_ONLY);
    }
    sys::set_signal_mask(mask);
    match errno {
        _ if put >= 0 => put,
        Errno::EAGAIN | Errno::EINTR => errno::fail(errno),
        errno => errno::fail(io::after_write(out, call, errno, Signal::Raise)),
    }
}

cancellable! {
    fn sendfile(out: c_int, from: c_int, offset: *mut off_t, len: size_t) -> ssize_t {
        if descriptor::hint(out) == Hint::Foreign {
            // SAFETY: the program's arguments.
            return unsafe { sendfile::REAL.get()(out, from, offset, len) };
        }
        // SAFETY: the program's arguments.
        transferring(out, len, move || unsafe { sendfile::REAL.get()(out, from, offset, len) })
    }

    fn sendfile64(out: c_int, from: c_int, offset: *mut off64_t, len: size_t) -> ssize_t {
        if descriptor::hint(out) == Hint::Foreign {
            // SAFETY: the program's arguments.
            return unsafe { sendfile64::REAL.get()(out, from, offset, len) };
        }
        // SAFETY: the program's arguments.
        transferring(out, len, move || unsafe { sendfile64::REAL.get()(out, from, offset, len) })
    }

    fn splice(
        from: c_int,
        from_offset: *mut off64_t,
        out: c_int,
        out_offset: *mut off64_t,
        len: size_t,
        flags: c_uint,
    ) -> ssize_t {
        // SAFETY: the program's arguments.
        let attempt = move || unsafe {
            splice::REAL.get()(from, from_offset, out, out_offset, len, flags)
        };
        if descriptor::hint(out) != Hint::Foreign {
            return transferring(out, len, attempt);
        }
        if descriptor::hint(from) == Hint::Foreign {
            return attempt();
        }
        if ring::is_full() {
            return calls::traced(from, Api::Read, len, move || receiving(from, len, attempt));
        }
        receiving(from, len, attempt)
    }
}

/// A transfer of `len` octets by `attempt` out of a number that may be ours.
fn receiving(from: c_int, len: usize, attempt: impl Fn() -> ssize_t) -> ssize_t {
    match io::before_read(from) {
        Verdict::Go => {}
        Verdict::Foreign => return attempt(),
        Verdict::Unconnected => return errno::long(io::unconnected_read(from, len)),
    }
    let got = attempt();
    if got > 0 || len == 0 {
        return got;
    }
    errno::long(io::after_read(from, len, if got == 0 { Ok(0) } else { Err(errno::get()) }))
}

/// Looks up the symbols of this file.
pub(crate) fn warm_up() {
    sendfile::REAL.get();
    sendfile64::REAL.get();
    splice::REAL.get();
}
