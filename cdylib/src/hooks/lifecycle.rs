//! `socket`, `bind`, `listen`, `connect`, `shutdown`, `close`; and the ends of a program.

use libc::{c_int, sockaddr, socklen_t};
use redhook::{hook, real};
use tcplab_ipc::Errno;

use crate::descriptor::{self, Hint};
use crate::ops::{self, socket::Wanted};
use crate::sockaddr::Given;
use crate::{errno, leaving};

hook! {
    unsafe fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int => on_socket {
        match ops::socket::wanted(domain, kind, protocol) {
            Wanted::Ours(domain, flags) => errno::int(ops::socket::open(domain, flags)),
            Wanted::Multipath => errno::int(Err(Errno::EPROTONOSUPPORT)),
            Wanted::Foreign => {
                // SAFETY: the program's arguments.
                let fd = unsafe { real!(socket)(domain, kind, protocol) };
                descriptor::note(fd, Hint::Foreign);
                fd
            }
        }
    }
}

hook! {
    unsafe fn bind(fd: c_int, address: *const sockaddr, len: socklen_t) -> c_int => on_bind {
        let Some(ours) = descriptor::ours(fd) else {
            // SAFETY: the program's arguments.
            return unsafe { real!(bind)(fd, address, len) };
        };
        // SAFETY: the program's address.
        let given = unsafe { Given::read(address, len) };
        errno::unit(given.and_then(|given| ops::listen::bind(&ours, &given)))
    }
}

hook! {
    unsafe fn shutdown(fd: c_int, how: c_int) -> c_int => on_shutdown {
        match descriptor::ours(fd) {
            Some(ours) => errno::unit(ops::shutdown::shutdown(&ours, how)),
            // SAFETY: the program's arguments.
            None => unsafe { real!(shutdown)(fd, how) },
        }
    }
}

cancellable! {
    fn close(fd: c_int) -> c_int {
        if descriptor::hint(fd) == Hint::Foreign {
            // SAFETY: the program's argument.
            return unsafe { close::REAL.get()(fd) };
        }
        let lingering = ops::close::before(fd);
        // SAFETY: the program's argument.
        let closed = unsafe { close::REAL.get()(fd) };
        if let Some(lingering) = lingering {
            ops::close::after(lingering);
        }
        closed
    }
}

cancellable! {
    fn _exit(status: c_int) -> ! {
        leaving::leave();
        // SAFETY: the program's argument.
        unsafe { _exit::REAL.get()(status) }
    }

    fn _Exit(status: c_int) -> ! {
        leaving::leave();
        // SAFETY: the program's argument.
        unsafe { _Exit::REAL.get()(status) }
    }

    fn quick_exit(status: c_int) -> ! {
        leaving::leave();
        // SAFETY: the program's argument.
        unsafe { quick_exit::REAL.get()(status) }
    }
}

real_function!(listen(c_int, c_int) -> c_int);
real_function!(connect(c_int, *const sockaddr, socklen_t) -> c_int);

/// `listen`, which passes its return address on: where the program listens is told in reports.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C-unwind" fn listen(fd: c_int, backlog: c_int) -> c_int {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!("mov rdx, [rsp]", "jmp {}", sym on_listen);
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!("mov x2, x30", "b {}", sym on_listen);
}

pub(super) unsafe extern "C-unwind" fn on_listen(
    fd: c_int,
    backlog: c_int,
    caller: usize,
) -> c_int {
    match descriptor::ours(fd) {
        Some(ours) => errno::unit(ops::listen::listen(&ours, backlog, caller)),
        // SAFETY: the program's arguments.
        None => unsafe { listen::REAL.get()(fd, backlog) },
    }
}

/// `connect`, which passes its return address on.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C-unwind" fn connect(fd: c_int, to: *const sockaddr, len: socklen_t) -> c_int {
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!("mov rcx, [rsp]", "jmp {}", sym on_connect);
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!("mov x3, x30", "b {}", sym on_connect);
}

pub(super) unsafe extern "C-unwind" fn on_connect(
    fd: c_int,
    to: *const sockaddr,
    len: socklen_t,
    caller: usize,
) -> c_int {
    let Some(ours) = descriptor::ours(fd) else {
        // SAFETY: the program's arguments.
        return unsafe { connect::REAL.get()(fd, to, len) };
    };
    // SAFETY: the program's address.
    let given = unsafe { Given::read(to, len) };
    errno::unit(given.and_then(|given| ops::connect::connect(&ours, &given, caller)))
}

/// Looks up the symbols of this file.
pub(crate) fn warm_up() {
    real!(socket);
    real!(bind);
    real!(shutdown);
    close::REAL.get();
    _exit::REAL.get();
    _Exit::REAL.get();
    quick_exit::REAL.get();
    listen::REAL.get();
    connect::REAL.get();
}
