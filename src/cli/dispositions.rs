//! The signals that our caller ignores and we cannot: remembered before main(), and ignored again
//! in the program of `tcplab run`, which must find what it would have found without us.
//!
//! SIGPIPE: Rust's runtime ignores it before main(), and std gives every child the default.
//! SIGCHLD: where it is ignored, the kernel reaps our children, and tells neither of their end nor
//! how they ended.

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, Ordering};

static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);
static SIGCHLD_IGNORED: AtomicBool = AtomicBool::new(false);

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = remember;

extern "C" fn remember() {
    SIGPIPE_IGNORED.store(is_ignored(libc::SIGPIPE), Ordering::Relaxed);
    SIGCHLD_IGNORED.store(is_ignored(libc::SIGCHLD), Ordering::Relaxed);
}

fn is_ignored(signal: c_int) -> bool {
    // SAFETY: sigaction() only writes the disposition to `now`, which is large enough for it.
    unsafe {
        let mut now: libc::sigaction = core::mem::zeroed();
        libc::sigaction(signal, core::ptr::null(), &raw mut now) == 0
            && now.sa_sigaction == libc::SIG_IGN
    }
}

/// Makes this process fit to wait for its children, whatever its caller ignores.
pub(super) fn notice_children() {
    // SAFETY: no handler is set that could run.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// In a child, before exec: what our caller ignores. Makes only system calls.
pub(super) fn restore() {
    for (ignored, signal) in [(&SIGPIPE_IGNORED, libc::SIGPIPE), (&SIGCHLD_IGNORED, libc::SIGCHLD)]
    {
        if ignored.load(Ordering::Relaxed) {
            // SAFETY: no handler is set that could run.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
    }
}
