//! `accept` and `accept4`.

use libc::{c_int, sockaddr, socklen_t};
use tcplab_ipc::Errno;

use crate::descriptor::{self, Socket};
use crate::{calls, errno, ops, sockaddr as address, sys};

real_function!(accept(c_int, *mut sockaddr, *mut socklen_t) -> c_int);
real_function!(accept4(c_int, *mut sockaddr, *mut socklen_t, c_int) -> c_int);

/// `accept`, which passes its return address on: a leaked connection is told with it.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C-unwind" fn accept(fd: c_int, peer: *mut sockaddr, len: *mut socklen_t) -> c_int {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!("mov rcx, [rsp]", "jmp {}", sym on_accept);
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!("mov x3, x30", "b {}", sym on_accept);
}

unsafe extern "C-unwind" fn on_accept(
    fd: c_int,
    peer: *mut sockaddr,
    len: *mut socklen_t,
    caller: usize,
) -> c_int {
    match descriptor::ours(fd) {
        // SAFETY: the program's place for the address.
        Some(socket) => unsafe { take(&socket, peer, len, 0, caller) },
        // SAFETY: the program's arguments.
        None => landed(unsafe { accept::REAL.get()(fd, peer, len) }),
    }
}

/// `accept4`, which passes its return address on.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C-unwind" fn accept4(
    fd: c_int,
    peer: *mut sockaddr,
    len: *mut socklen_t,
    flags: c_int,
) -> c_int {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!("mov r8, [rsp]", "jmp {}", sym on_accept4);
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!("mov x4, x30", "b {}", sym on_accept4);
}

pub(super) unsafe extern "C-unwind" fn on_accept4(
    fd: c_int,
    peer: *mut sockaddr,
    len: *mut socklen_t,
    flags: c_int,
    caller: usize,
) -> c_int {
    match descriptor::ours(fd) {
        // SAFETY: the program's place for the address.
        Some(socket) => unsafe { take(&socket, peer, len, flags, caller) },
        // SAFETY: the program's arguments.
        None => landed(unsafe { accept4::REAL.get()(fd, peer, len, flags) }),
    }
}

/// A descriptor that is not ours has got this number.
fn landed(fd: c_int) -> c_int {
    descriptor::note(fd, descriptor::Hint::Foreign);
    fd
}

/// # Safety
/// `peer` and `len` are as the program gave them to `accept`.
unsafe fn take(
    socket: &Socket,
    peer: *mut sockaddr,
    len: *mut socklen_t,
    flags: c_int,
    caller: usize,
) -> c_int {
    let taken = ops::accept::accept(socket, flags, caller);
    if let Err(errno) = taken {
        calls::accept_failed(socket, errno, caller);
    }
    errno::int(taken.and_then(|(fd, from)| {
        if peer.is_null() {
            return Ok(fd);
        }
        // SAFETY: the caller's promise. As in Linux, the connection is lost where the length is
        // not one.
        match unsafe { address::write(from, peer, len) } {
            Ok(()) => Ok(fd),
            Err(errno) => {
                descriptor::note(fd, descriptor::Hint::Foreign);
                sys::close(fd);
                Err::<c_int, Errno>(errno)
            }
        }
    }))
}

/// Looks up the symbols of this file.
pub(crate) fn warm_up() {
    accept::REAL.get();
    accept4::REAL.get();
}
