//! Calls that wait on the program's behalf: made through libc, so that they are the cancellation
//! points the program expects them to be.
//!
//! `pthread_cancel` unwinds the frames above these calls. So none of those frames may own
//! anything with a destructor, and all are `C-unwind` or Rust.

use libc::{c_int, c_short, msghdr, nfds_t, pollfd};

use crate::sys::Result;
use crate::{errno, hooks};

/// Makes a result of what a libc call gave.
fn check(answer: isize) -> Result<usize> {
    if answer < 0 { Err(errno::get()) } else { Ok(answer as usize) }
}

/// `recv` that may wait.
pub(crate) fn recv(fd: c_int, out: &mut [u8], flags: c_int) -> Result<usize> {
    let saved = errno::get();
    // SAFETY: the buffer is ours for the length given.
    let got =
        unsafe { hooks::read::recv::REAL.get()(fd, out.as_mut_ptr().cast(), out.len(), flags) };
    let result = check(got);
    errno::set(saved);
    result
}

/// What `poll` says of `events` within `timeout_ms`.
pub(crate) fn poll(fd: c_int, events: c_short, timeout_ms: u64) -> Result<usize> {
    unsafe extern "C-unwind" {
        fn poll(entries: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int;
    }
    let saved = errno::get();
    let mut entry = pollfd { fd, events, revents: 0 };
    let timeout = c_int::try_from(timeout_ms).unwrap_or(c_int::MAX);
    // SAFETY: one entry, which is ours.
    let result = check(unsafe { poll(&raw mut entry, 1, timeout) } as isize);
    errno::set(saved);
    result
}

/// `recvmsg` that may wait.
///
/// # Safety
/// The header must be one that the kernel may write through.
pub(crate) unsafe fn recvmsg(fd: c_int, message: &mut msghdr, flags: c_int) -> Result<usize> {
    let saved = errno::get();
    // SAFETY: the caller's promise.
    let result = check(unsafe { hooks::read::recvmsg::REAL.get()(fd, message, flags) });
    errno::set(saved);
    result
}
