//! `SO_LINGER`: closed sockets whose programs may wait in close() for the last acknowledgment, for
//! so many seconds of stack time at most.

use std::collections::{BTreeSet, HashMap};

use super::Stack;
use super::endpoint::Waiter;
use crate::host::SocketKey;
use crate::ipc::SocketId;
use crate::ipc::message::Reply;
use crate::time::Instant;

/// A closed socket.
struct Lingering {
    key: SocketKey,
    until: Instant,
    waiter: Option<Waiter>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Lingerers {
    by_id: HashMap<SocketId, Lingering>,
    deadlines: BTreeSet<(Instant, u64)>,
}

impl Lingerers {
    pub(super) fn insert(&mut self, id: SocketId, key: SocketKey, until: Instant) {
        self.remove(id);
        self.deadlines.insert((until, id.0));
        self.by_id.insert(id, Lingering { key, until, waiter: None });
    }

    fn remove(&mut self, id: SocketId) -> Option<Lingering> {
        let lingering = self.by_id.remove(&id)?;
        self.deadlines.remove(&(lingering.until, id.0));
        Some(lingering)
    }

    /// When the first of them gives up.
    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    fn due(&self, now: Instant) -> Option<SocketId> {
        self.deadlines.first().filter(|&&(at, _)| at <= now).map(|&(_, id)| SocketId(id))
    }

    /// Lets `waiter` wait for the end of `id`; `false` where there is nothing to wait for.
    pub(super) fn wait(&mut self, id: SocketId, waiter: Waiter) -> bool {
        let lingering = self.by_id.get_mut(&id).filter(|lingering| lingering.waiter.is_none());
        lingering.is_some_and(|lingering| lingering.waiter.replace(waiter).is_none())
    }

    /// These have gone, and hear no reply.
    pub(super) fn forget_waiters(&mut self, gone: impl Fn(&Waiter) -> bool) {
        for lingering in self.by_id.values_mut() {
            lingering.waiter = lingering.waiter.take().filter(|waiter| !gone(waiter));
        }
    }
}

impl Stack {
    /// Everything that `key` has sent is acknowledged, or never will be.
    pub(super) fn note_drained(&mut self, key: SocketKey) {
        let id = self.lingering.by_id.iter().find(|(_, l)| l.key == key).map(|(id, _)| *id);
        if let Some(id) = id {
            self.end_linger(id);
        }
    }

    /// Ends every close() that has waited for long enough.
    pub(super) fn end_due_lingers(&mut self, now: Instant) {
        while let Some(id) = self.lingering.due(now) {
            self.end_linger(id);
        }
    }

    fn end_linger(&mut self, id: SocketId) {
        if let Some(waiter) = self.lingering.remove(id).and_then(|l| l.waiter) {
            self.clients.reply(waiter, &Reply::Done);
        }
    }
}
