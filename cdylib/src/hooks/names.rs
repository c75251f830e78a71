//! `getsockname` and `getpeername`.

use core::net::SocketAddr;

use libc::{c_int, sockaddr, socklen_t};
use redhook::{hook, real};
use tcplab_ipc::Errno;

use crate::{descriptor, errno, ops, sockaddr as address};

hook! {
    unsafe fn getsockname(
        fd: c_int,
        out: *mut sockaddr,
        len: *mut socklen_t
    ) -> c_int => on_getsockname {
        match descriptor::ours(fd) {
            // SAFETY: the program's place for an address.
            Some(socket) => unsafe { give(ops::names::local(&socket), out, len) },
            // SAFETY: the program's arguments.
            None => unsafe { real!(getsockname)(fd, out, len) },
        }
    }
}

hook! {
    unsafe fn getpeername(
        fd: c_int,
        out: *mut sockaddr,
        len: *mut socklen_t
    ) -> c_int => on_getpeername {
        match descriptor::ours(fd) {
            // SAFETY: the program's place for an address.
            Some(socket) => unsafe { give(ops::names::peer(&socket), out, len) },
            // SAFETY: the program's arguments.
            None => unsafe { real!(getpeername)(fd, out, len) },
        }
    }
}

/// # Safety
/// `out` and `len` are as the program gave them.
unsafe fn give(name: Result<SocketAddr, Errno>, out: *mut sockaddr, len: *mut socklen_t) -> c_int {
    // SAFETY: the caller's promise.
    errno::unit(name.and_then(|name| unsafe { address::write(name, out, len) }))
}

/// Looks up the symbols of this file.
pub(crate) fn warm_up() {
    real!(getsockname);
    real!(getpeername);
}
