//! `ioctl`, which libc declares variadic: one argument, always passed as a word.

use libc::{c_int, c_ulong};
use redhook::{hook, real};
use tcplab_ipc::Errno;

use crate::descriptor::{self, Socket};
use crate::ops::ioctl::{Answer, answer};
use crate::{errno, sys};

hook! {
    unsafe fn ioctl(fd: c_int, request: c_ulong, argument: usize) -> c_int => on_ioctl {
        match descriptor::ours(fd) {
            // SAFETY: the program's argument.
            Some(socket) => errno::int(unsafe { ask(&socket, request, argument) }),
            // SAFETY: the program's arguments.
            None => unsafe { real!(ioctl)(fd, request, argument) },
        }
    }
}

/// # Safety
/// `argument` is what the program gave for `request`.
unsafe fn ask(socket: &Socket, request: c_ulong, argument: usize) -> Result<c_int, Errno> {
    // The kernel takes 32 bits; some programs give them sign-extended.
    let request = c_ulong::from(request as u32);
    match answer(socket, request)? {
        // SAFETY: the program's argument.
        Answer::ByItself => unsafe { sys::ioctl(socket.fd, request, argument) },
        Answer::Number(_) if argument == 0 => Err(Errno::EFAULT),
        Answer::Number(number) => {
            // SAFETY: requests answered by a number have a pointer to an int.
            unsafe { (argument as *mut c_int).write_unaligned(number) };
            Ok(0)
        }
        Answer::ByDatagramSocket(family) => {
            let fd = sys::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC)?;
            // SAFETY: the program's argument.
            let answer = unsafe { sys::ioctl(fd, request, argument) };
            sys::close(fd);
            answer
        }
    }
}

/// Looks up the symbols of this file.
pub(crate) fn warm_up() {
    real!(ioctl);
}
