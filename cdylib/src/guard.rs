//! Whose memory this is: what we remember belongs to one process, and a child between vfork and
//! exec runs in its parent's memory, with descriptors of its own.
//!
//! So whatever is remembered about descriptors is written only where [`owns_memory`]. After
//! `fork()` the child becomes the owner of its copy; a child made by a bare `clone` does not, and
//! merely works without memory.

use core::sync::atomic::{AtomicI32, Ordering};

use crate::{control, leaving, ring, sys};

/// Process for which the remembered things hold; 0 before the constructor.
static OWNER_PID: AtomicI32 = AtomicI32::new(0);

/// Whether the calling process is the one whose descriptors are remembered here.
pub(crate) fn owns_memory() -> bool {
    OWNER_PID.load(Ordering::Relaxed) == sys::getpid()
}

/// Takes the memory for this process, now and in every child of `fork()`.
pub(crate) fn take_memory() {
    OWNER_PID.store(sys::getpid(), Ordering::Relaxed);
    // SAFETY: a plain registration; `in_child` is async-signal-safe.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
}

/// Runs in the child of `fork()`, before `fork()` returns there.
unsafe extern "C" fn in_child() {
    OWNER_PID.store(sys::getpid(), Ordering::Relaxed);
    control::forget_parents_channels();
    ring::after_fork();
    leaving::after_fork();
}
