//! One ordered set of deadlines for all connections of the host.
//!
//! A deadline that moves later, or is not needed any more, is left where it is: it fires early, finds nothing due and is set
//! anew. So the retransmission timer, which every ACK pushes back, costs nothing per ACK.

use std::collections::BTreeSet;

use super::SocketKey;
use crate::time::Instant;

/// Deadlines of sockets.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, SocketKey)>);

impl Timers {
    /// Makes the deadline of `key`, registered as `registered`, fire not later than `wanted`.
    pub(super) fn set(
        &mut self,
        key: SocketKey,
        registered: &mut Option<Instant>,
        wanted: Option<Instant>,
    ) {
        match (*registered, wanted) {
            (_, None) => return,
            (Some(old), Some(new)) if old <= new => return,
            _ => self.forget(key, registered),
        }
        *registered = wanted;
        self.0.extend(wanted.map(|at| (at, key)));
    }

    /// The connection is gone.
    pub(super) fn forget(&mut self, key: SocketKey, registered: &mut Option<Instant>) {
        if let Some(old) = registered.take() {
            self.0.remove(&(old, key));
        }
    }

    /// The earliest deadline.
    pub(super) fn first(&self) -> Option<Instant> {
        self.0.first().map(|&(at, _)| at)
    }

    /// Takes the earliest one that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<SocketKey> {
        let &(at, key) = self.0.first()?;
        (at <= now).then(|| {
            self.0.pop_first();
            key
        })
    }
}
