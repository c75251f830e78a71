//! `getsockopt` and `setsockopt`.

use core::slice;

use libc::{c_int, c_void, socklen_t};
use redhook::{hook, real};
use tcplab_ipc::Errno;

use crate::descriptor::{self, Socket};
use crate::sockaddr::is_bad;
use crate::{errno, ops};

hook! {
    unsafe fn getsockopt(
        fd: c_int,
        level: c_int,
        name: c_int,
        out: *mut c_void,
        len: *mut socklen_t
    ) -> c_int => on_getsockopt {
        match descriptor::ours(fd) {
            // SAFETY: the program's place for a value.
            Some(socket) => errno::unit(unsafe { get(&socket, level, name, out, len) }),
            // SAFETY: the program's arguments.
            None => unsafe { real!(getsockopt)(fd, level, name, out, len) },
        }
    }
}

hook! {
    unsafe fn setsockopt(
        fd: c_int,
        level: c_int,
        name: c_int,
        value: *const c_void,
        len: socklen_t
    ) -> c_int => on_setsockopt {
        match descriptor::ours(fd) {
            // SAFETY: the program's value.
            Some(socket) => errno::unit(unsafe { set(&socket, level, name, value, len) }),
            // SAFETY: the program's arguments.
            None => unsafe { real!(setsockopt)(fd, level, name, value, len) },
        }
    }
}

/// # Safety
/// `out` and `len` are as the program gave them.
unsafe fn get(
    socket: &Socket,
    level: c_int,
    name: c_int,
    out: *mut c_void,
    len: *mut socklen_t,
) -> Result<(), Errno> {
    if is_bad(len) {
        return Err(Errno::EFAULT);
    }
    // SAFETY: the program's length.
    let room = unsafe { *len };
    if room.cast_signed() < 0 {
        return Err(Errno::EINVAL);
    }
    if is_bad(out) && room != 0 {
        return Err(Errno::EFAULT);
    }
    let place = match room {
        0 => &mut [],
        // SAFETY: the program's place, of that length.
        _ => unsafe { slice::from_raw_parts_mut(out.cast::<u8>(), room as usize) },
    };
    let got = ops::options::get(socket, level, name, place)?;
    // SAFETY: the program's length.
    unsafe { *len = got as socklen_t };
    Ok(())
}

/// # Safety
/// `value` and `len` are as the program gave them.
unsafe fn set(
    socket: &Socket,
    level: c_int,
    name: c_int,
    value: *const c_void,
    len: socklen_t,
) -> Result<(), Errno> {
    if len.cast_signed() < 0 {
        return Err(Errno::EINVAL);
    }
    if is_bad(value) && len != 0 {
        return Err(Errno::EFAULT);
    }
    let octets = match len {
        0 => &[],
        // SAFETY: the program's value, of that length.
        _ => unsafe { slice::from_raw_parts(value.cast::<u8>(), len as usize) },
    };
    ops::options::set(socket, level, name, octets)
}

/// Looks up the symbols of this file.
pub(crate) fn warm_up() {
    real!(getsockopt);
    real!(setsockopt);
}
