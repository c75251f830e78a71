//! The end of a program that is run by `tcplab run --check`: before it goes, it waits until what
//! it still holds has been looked at, from outside.
//!
//! Its ends that are seen: return from `main`, `exit()`, `_exit()`, `_Exit()`, `quick_exit()`. A
//! program that is killed by a signal is not.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tcplab_ipc::message::Request;

use crate::descriptor;
use crate::{control, guard, session};

/// Token of the examiner; 0 where there is none.
static TOKEN: AtomicU64 = AtomicU64::new(0);
/// `exit()` ends in our destructor, then perhaps in `_exit()`.
static LEFT: AtomicBool = AtomicBool::new(false);

/// Reads from the environment whether this program is checked. Constructor only.
pub(crate) fn prepare() {
    TOKEN.store(session::check_token().unwrap_or(0), Ordering::Relaxed);
}

/// The program is about to end.
#[inline]
pub(crate) fn leave() {
    let token = TOKEN.load(Ordering::Relaxed);
    if token != 0 {
        wait(token);
    }
}

/// A child between vfork and exec holds what its parent does, and keeps it waiting.
#[cold]
fn wait(token: u64) {
    if !guard::owns_memory() || LEFT.swap(true, Ordering::Relaxed) || !descriptor::any_is_ours() {
        return;
    }
    if let Ok(session) = session::settings().session {
        control::say_and_wait(&session, &Request::Leaving(token));
    }
}

/// In the child of a fork: it has an end of its own.
pub(crate) fn after_fork() {
    LEFT.store(false, Ordering::Relaxed);
}
