//! The session's call ring in this process: a place in our own memory over which the stack's
//! memory is mapped.
//!
//! A static place, so that the question whether every call leaves word ([`is_full`]) is one load
//! and one branch, whether or not there is a ring: before it is mapped the place is a ring of
//! nobody. The mapping is shared with children of `fork()`, and gone after `exec()`. Where it
//! cannot be made (a sandbox, a limit) programs run as well; their reads and writes are not told.

use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use libc::c_int;
use tcplab_ipc::Errno;
use tcplab_ipc::ring::{Entry, RING_LEN, Ring};

use crate::{guard, sys};

static PLACE: Ring = Ring::new();
/// Process id of the stack whose ring is mapped; 0 where none is.
static OWNER: AtomicU32 = AtomicU32::new(NOBODY);
/// Attempts that have failed.
static FAILURES: AtomicU32 = AtomicU32::new(0);

const NOBODY: u32 = 0;
/// In place of an owner: a thread is at it.
const BEING_MAPPED: u32 = u32::MAX;
/// A process that could not have the ring so often does not ask for it again.
const MAX_FAILURES: u32 = 3;

/// Every call is to leave word.
#[inline(always)]
pub(crate) fn is_full() -> bool {
    PLACE.is_full()
}

/// A ring is mapped.
#[inline]
pub(crate) fn is_mapped() -> bool {
    !matches!(OWNER.load(Ordering::Acquire), NOBODY | BEING_MAPPED)
}

/// The ring of the stack with that process id should be mapped.
pub(crate) fn is_wanted(owner: u32) -> bool {
    let now = OWNER.load(Ordering::Relaxed);
    now != owner
        && now != BEING_MAPPED
        && FAILURES.load(Ordering::Relaxed) < MAX_FAILURES
        && guard::owns_memory()
}

/// Some ring should be mapped, and none is.
pub(crate) fn is_missing() -> bool {
    !is_mapped() && is_wanted(BEING_MAPPED)
}

/// The ring could not be had.
pub(crate) fn note_failure() {
    FAILURES.fetch_add(1, Ordering::Relaxed);
}

/// Maps the memory behind `file`, which the stack `owner` has sent. The caller closes it.
pub(crate) fn map(file: c_int, owner: u32) {
    let before = OWNER.load(Ordering::Relaxed);
    let is_mine = before != BEING_MAPPED
        && OWNER
            .compare_exchange(before, BEING_MAPPED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok();
    if !is_mine {
        return;
    }
    let is_mapped = is_safe(file) && replace_place(file).is_ok();
    if !is_mapped {
        note_failure();
    }
    OWNER.store(if is_mapped { owner } else { before }, Ordering::Release);
}

/// Memory that its maker could take away from under us would end the program.
fn is_safe(file: c_int) -> bool {
    sys::fcntl(file, libc::F_GET_SEALS, 0).is_ok_and(|seals| seals & libc::F_SEAL_SHRINK != 0)
        && sys::size(file) == Ok(RING_LEN as u64)
}

fn replace_place(file: c_int) -> Result<(), Errno> {
    let place = ptr::from_ref(&PLACE).addr();
    // SAFETY: the place is ours, made of atomics only, and as long and as aligned as the mapping.
    let mapped = unsafe { sys::map_over(place, RING_LEN, Some(file)) };
    if mapped.is_err() {
        // The kernel may have taken the old pages away before it failed.
        // SAFETY: as above; all zeros is a ring of nobody.
        let _ = unsafe { sys::map_over(place, RING_LEN, None) };
    }
    mapped
}

/// Leaves word of a call.
pub(crate) fn push(entry: &Entry) {
    if is_mapped() {
        PLACE.push(entry);
    }
}

/// In the child of a fork: no other thread is at it.
pub(crate) fn after_fork() {
    let _ = OWNER.compare_exchange(BEING_MAPPED, NOBODY, Ordering::Relaxed, Ordering::Relaxed);
}
