//! `MSG_PEEK` with `MSG_WAITALL`: TCP waits until all that was asked for is there, an `AF_UNIX`
//! socket looks once.
//!
//! With SO_PEEK_OFF set behind what is there, a peek waits for the next octet, as a cancellation
//! point and no longer than SO_RCVTIMEO. Of two threads that peek at one socket at the same time the
//! other one may see that offset.

use libc::{c_int, ssize_t};

use crate::{cancel, descriptor, sys};

/// From the front of the queue.
const FROM_THE_FRONT: c_int = -1;

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
    let waits = flags & (WAITS | libc::MSG_DONTWAIT) == WAITS;
    if waits && got > 0 && got < len as ssize_t { wait(fd, got, len, again) } else { got }
}

#[cold]
fn wait(fd: c_int, mut got: ssize_t, len: usize, again: impl Fn() -> ssize_t) -> ssize_t {
    let is_ours = descriptor::ours(fd).is_some_and(|socket| !socket.is_nonblocking());
    if !is_ours || sys::get_option(fd, libc::SO_PEEK_OFF) != Ok(FROM_THE_FRONT) {
        return got;
    }
    while got < len as ssize_t {
        if sys::set_option(fd, libc::SO_PEEK_OFF, &(got as c_int)).is_err() {
            break;
        }
        let next = cancel::recv(fd, &mut [0], libc::MSG_PEEK);
        let _ = sys::set_option(fd, libc::SO_PEEK_OFF, &FROM_THE_FRONT);
        // What ended it is seen by the next call.
        if !matches!(next, Ok(1)) {
            break;
        }
        got = got.max(again());
    }
    got
}
