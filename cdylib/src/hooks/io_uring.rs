//! `io_uring_setup` and what else sets up a ring in liburing, which makes its system calls without
//! libc: refused as through `syscall`, so that programs fall back to calls that we see.

use libc::{c_int, c_uint, c_void, size_t};

/// What liburing gives where the kernel has no io_uring: it does not set `errno`.
const REFUSED: c_int = -libc::ENOSYS;

#[unsafe(no_mangle)]
extern "C" fn io_uring_setup(_entries: c_uint, _parameters: *mut c_void) -> c_int {
    REFUSED
}

#[unsafe(no_mangle)]
extern "C" fn io_uring_queue_init(_entries: c_uint, _ring: *mut c_void, _flags: c_uint) -> c_int {
    REFUSED
}

#[unsafe(no_mangle)]
extern "C" fn io_uring_queue_init_params(
    _entries: c_uint,
    _ring: *mut c_void,
    _parameters: *mut c_void,
) -> c_int {
    REFUSED
}

#[unsafe(no_mangle)]
extern "C" fn io_uring_queue_init_mem(
    _entries: c_uint,
    _ring: *mut c_void,
    _parameters: *mut c_void,
    _memory: *mut c_void,
    _len: size_t,
) -> c_int {
    REFUSED
}
