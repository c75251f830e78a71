//! `getsockname` and `getpeername`.

use libc::{c_int, sockaddr, socklen_t};
use redhook::{hook, real};

use crate::{descriptor, errno, ops, sockaddr as address};

hook! {
    unsafe fn getsockname(fd: c_int, out: *mut sockaddr, len: *mut socklen_t) -> c_int => on_getsockname {
        match descriptor::ours(fd) {
            // SAFETY: the program's place for an address.
            Some(socket) => errno::unit(ops::names::local(&socket).and_then(|name| unsafe { address::write(name, out, len) })),
            // SAFETY: the program's arguments.
            None => unsafe { real!(getsockname)(fd, out, len) },
        }
    }
}

hook! {
    unsafe fn getpeername(fd: c_int, out: *mut sockaddr, len: *mut socklen_t) -> c_int => on_getpeername {
        match descriptor::ours(fd) {
            // SAFETY: the program's place for an address.
            Some(socket) => errno::unit(ops::names::peer(&socket).and_then(|name| unsafe { address::write(name, out, len) })),
            // SAFETY: the program's arguments.
            None => unsafe { real!(getpeername)(fd, out, len) },
        }
    }
}

/// Looks up the symbols of this file.
pub(crate) fn warm_up() {
    real!(getsockname);
    real!(getpeername);
}
