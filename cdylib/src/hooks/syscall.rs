//! `syscall`: socket calls made through it take the way of the hooks, the rest passes.

use libc::{c_int, c_long, c_uint, off_t};

use super::{accept, ioctl, lifecycle, names, options, read, transfer, write};
use crate::{errno, leaving};
use tcplab_ipc::Errno;

cancellable! {
    fn syscall(
        number: c_long,
        a: usize,
        b: usize,
        c: usize,
        d: usize,
        e: usize,
        f: usize,
    ) -> c_long {
        // SAFETY: the program's arguments.
        match unsafe { hooked(number, [a, b, c, d, e, f]) } {
            Some(answer) => answer,
            // SAFETY: the program's arguments.
            None => unsafe { syscall::REAL.get()(number, a, b, c, d, e, f) },
        }
    }
}

/// The answer of the hook of this system call; `None` where there is none.
///
/// # Safety
/// As the system call.
unsafe fn hooked(number: c_long, [a, b, c, d, e, f]: [usize; 6]) -> Option<c_long> {
    let fd = a as c_int;
    let len = c as libc::socklen_t;
    // SAFETY: the program's arguments, with the types that the system call has.
    let answer = unsafe {
        match number {
            libc::SYS_read => read::read(fd, b as _, c) as c_long,
            libc::SYS_readv => read::readv(fd, b as _, c as c_int) as c_long,
            libc::SYS_preadv2 => {
                // On 64-bit machines the offset is one word, and the next one means nothing.
                read::preadv2(fd, b as _, c as c_int, d as off_t, f as c_int) as c_long
            }
            libc::SYS_write => write::write(fd, b as _, c) as c_long,
            libc::SYS_writev => write::writev(fd, b as _, c as c_int) as c_long,
            libc::SYS_pwritev2 => {
                write::pwritev2(fd, b as _, c as c_int, d as off_t, f as c_int) as c_long
            }
            libc::SYS_recvfrom => {
                read::recvfrom(fd, b as _, c, d as c_int, e as _, f as _) as c_long
            }
            libc::SYS_recvmsg => read::recvmsg(fd, b as _, c as c_int) as c_long,
            libc::SYS_recvmmsg => {
                c_long::from(read::recvmmsg(fd, b as _, c as c_uint, d as c_int, e as _))
            }
            libc::SYS_sendto => {
                write::sendto(fd, b as _, c, d as c_int, e as _, f as u32) as c_long
            }
            libc::SYS_sendmsg => write::sendmsg(fd, b as _, c as c_int) as c_long,
            libc::SYS_sendmmsg => {
                c_long::from(write::sendmmsg(fd, b as _, c as c_uint, d as c_int))
            }
            libc::SYS_sendfile => transfer::sendfile(fd, b as c_int, c as _, d) as c_long,
            libc::SYS_splice => {
                transfer::splice(fd, b as _, c as c_int, d as _, e, f as c_uint) as c_long
            }
            libc::SYS_close => c_long::from(lifecycle::close(fd)),
            libc::SYS_socket => c_long::from(lifecycle::on_socket(fd, b as c_int, c as c_int)),
            libc::SYS_bind => c_long::from(lifecycle::on_bind(fd, b as _, len)),
            libc::SYS_listen => c_long::from(lifecycle::on_listen(fd, b as c_int, 0)),
            libc::SYS_connect => c_long::from(lifecycle::on_connect(fd, b as _, len, 0)),
            libc::SYS_shutdown => c_long::from(lifecycle::on_shutdown(fd, b as c_int)),
            libc::SYS_accept => c_long::from(accept::on_accept4(fd, b as _, c as _, 0, 0)),
            libc::SYS_accept4 => {
                c_long::from(accept::on_accept4(fd, b as _, c as _, d as c_int, 0))
            }
            libc::SYS_getsockname => c_long::from(names::on_getsockname(fd, b as _, c as _)),
            libc::SYS_getpeername => c_long::from(names::on_getpeername(fd, b as _, c as _)),
            libc::SYS_getsockopt => {
                c_long::from(options::on_getsockopt(fd, b as c_int, c as c_int, d as _, e as _))
            }
            libc::SYS_setsockopt => {
                let len = e as libc::socklen_t;
                c_long::from(options::on_setsockopt(fd, b as c_int, c as c_int, d as _, len))
            }
            libc::SYS_ioctl => c_long::from(ioctl::on_ioctl(fd, b as _, c)),
            number => return unhooked_kind(number, [a, b, c]),
        }
    };
    Some(answer)
}

/// # Safety
/// As the system call.
unsafe fn unhooked_kind(number: c_long, [a, b, c]: [usize; 3]) -> Option<c_long> {
    use super::descriptors as d;
    // SAFETY: the program's arguments, with the types that the system call has.
    let answer = unsafe {
        match number {
            libc::SYS_dup => d::on_dup(a as c_int),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_dup2 => d::on_dup2(a as c_int, b as c_int),
            libc::SYS_dup3 => d::on_dup3(a as c_int, b as c_int, c as c_int),
            libc::SYS_pidfd_getfd => d::pidfd_getfd(a as c_int, b as c_int, c as c_uint),
            libc::SYS_exit_group => {
                leaving::leave();
                return None;
            }
            libc::SYS_fcntl => d::fcntl(a as c_int, b as c_int, c),
            // Programs fall back to calls that we see.
            libc::SYS_io_uring_setup => errno::int(Err(Errno(libc::ENOSYS))),
            _ => return None,
        }
    };
    Some(c_long::from(answer))
}

/// Looks up the symbols of this file.
pub(crate) fn warm_up() {
    syscall::REAL.get();
}
