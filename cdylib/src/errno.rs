//! From results to what a libc call gives: a value, or -1 and `errno`.

use tcplab_ipc::Errno;

/// The thread's `errno`.
pub(crate) fn get() -> Errno {
    // SAFETY: always points to the calling thread's errno.
    Errno(unsafe { *libc::__errno_location() })
}

/// Sets the thread's `errno`.
pub(crate) fn set(errno: Errno) {
    // SAFETY: always points to the calling thread's errno.
    unsafe { *libc::__errno_location() = errno.0 }
}

/// -1, with `errno` set.
#[cold]
pub(crate) fn fail(errno: Errno) -> isize {
    set(errno);
    -1
}

/// The value, or -1 with `errno` set. Success leaves `errno` as it was.
pub(crate) fn long(result: Result<usize, Errno>) -> isize {
    match result {
        Ok(value) => value as isize,
        Err(errno) => fail(errno),
    }
}

/// The value, or -1 with `errno` set. Success leaves `errno` as it was.
pub(crate) fn int(result: Result<i32, Errno>) -> i32 {
    match result {
        Ok(value) => value,
        Err(errno) => fail(errno) as i32,
    }
}

/// 0, or -1 with `errno` set. Success leaves `errno` as it was.
pub(crate) fn unit(result: Result<(), Errno>) -> i32 {
    int(result.map(|()| 0))
}
