//! `dup`, `dup2`, `dup3`, `fcntl`: the hint follows the copy. `pidfd_getfd`: there is none to follow.

use libc::{c_int, c_uint};
use redhook::{hook, real};

use crate::{descriptor, errno, sys};

hook! {
    unsafe fn dup(fd: c_int) -> c_int => on_dup {
        // SAFETY: the program's argument.
        copied(fd, unsafe { real!(dup)(fd) })
    }
}

hook! {
    unsafe fn dup2(fd: c_int, to: c_int) -> c_int => on_dup2 {
        // SAFETY: the program's arguments.
        copied(fd, unsafe { real!(dup2)(fd, to) })
    }
}

hook! {
    unsafe fn dup3(fd: c_int, to: c_int, flags: c_int) -> c_int => on_dup3 {
        // SAFETY: the program's arguments.
        copied(fd, unsafe { real!(dup3)(fd, to, flags) })
    }
}

cancellable! {
    // Some commands wait for a lock.
    fn fcntl(fd: c_int, command: c_int, argument: usize) -> c_int {
        // SAFETY: the program's arguments; libc takes the third as a word, needed or not.
        let answer = unsafe { fcntl::REAL.get()(fd, command, argument) };
        if is_copy(command) { copied(fd, answer) } else { answer }
    }

    fn fcntl64(fd: c_int, command: c_int, argument: usize) -> c_int {
        // SAFETY: as in `fcntl`.
        let answer = unsafe { fcntl64::REAL.get()(fd, command, argument) };
        if is_copy(command) { copied(fd, answer) } else { answer }
    }
}

/// Made directly: libc has it only since glibc 2.36, and adds nothing.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn pidfd_getfd(pidfd: c_int, fd: c_int, flags: c_uint) -> c_int {
    errno::int(sys::pidfd_getfd(pidfd, fd, flags).inspect(|&copy| {
        descriptor::classify(copy);
    }))
}

fn is_copy(command: c_int) -> bool {
    command == libc::F_DUPFD || command == libc::F_DUPFD_CLOEXEC
}

fn copied(from: c_int, to: c_int) -> c_int {
    if to >= 0 {
        descriptor::copied(from, to);
    }
    to
}

/// Looks up the symbols of this file.
pub(crate) fn warm_up() {
    real!(dup);
    real!(dup2);
    real!(dup3);
    fcntl::REAL.get();
    fcntl64::REAL.get();
}
