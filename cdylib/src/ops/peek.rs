//! `MSG_PEEK` with `MSG_WAITALL`: TCP waits until all that was asked for is there, an `AF_UNIX`
//! socket looks once.
//!
//! No event tells that more has come where something is there already, so it is looked for, at
//! once at first, later some twenty times a second. The end of the stream, an urgent octet and
//! signals end the waiting at once; the wait is a cancellation point.

use libc::{c_int, ssize_t};

use crate::ops::ioctl;
use crate::{cancel, descriptor, sys};

/// Longest pause between two looks.
const MAX_PAUSE_MS: u64 = 50;

/// After a peek with these flags that gave `got` octets of `len` from a number that may be ours:
/// waits for the others, or what ends the waiting, and peeks again.
#[inline]
pub(crate) fn wait_for_all(
    fd: c_int,
    flags: c_int,
    (got, len): (ssize_t, usize),
    again: impl Fn() -> ssize_t,
) -> ssize_t {
    const WAITS: c_int = libc::MSG_PEEK | libc::MSG_WAITALL;
    let waits = flags & (WAITS | libc::MSG_DONTWAIT | libc::MSG_OOB) == WAITS;
    if waits && got > 0 && got < len as ssize_t { wait(fd, got, len, again) } else { got }
}

#[cold]
fn wait(fd: c_int, mut got: ssize_t, len: usize, again: impl Fn() -> ssize_t) -> ssize_t {
    if descriptor::ours(fd).is_none_or(|socket| socket.is_nonblocking()) {
        return got;
    }
    let deadline_ms = patience_ms(fd).map(|patience| sys::now_ms().saturating_add(patience));
    let mut pause_ms = 1;
    let mut seen = got;
    while got < len as ssize_t {
        let now_ms = sys::now_ms();
        let left_ms = deadline_ms.map_or(MAX_PAUSE_MS, |at| at.saturating_sub(now_ms));
        let events = cancel::poll(fd, libc::POLLRDHUP | libc::POLLPRI, pause_ms.min(left_ms));
        let there = ioctl::readable(fd) as ssize_t;
        if there > seen || events != Ok(0) {
            seen = there;
            got = got.max(again());
        }
        if events != Ok(0) || left_ms == 0 {
            break;
        }
        pause_ms = (2 * pause_ms).min(MAX_PAUSE_MS);
    }
    got
}

/// `SO_RCVTIMEO`, where there is one.
fn patience_ms(fd: c_int) -> Option<u64> {
    let time = sys::get_option::<libc::timeval>(fd, libc::SO_RCVTIMEO).ok()?;
    let (seconds, micros) = (time.tv_sec.cast_unsigned(), time.tv_usec.cast_unsigned());
    (seconds > 0 || micros > 0).then(|| seconds.saturating_mul(1000).saturating_add(micros / 1000))
}
