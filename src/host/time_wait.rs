//! The TIME-WAIT table: connections that outlive their sockets and their programs for 2 MSL
//! (RFC 9293 3.6.1), as small as they can be.
//!
//! An entry holds its 4-tuple and its port, and remembers the options that decide who may bind
//! over it. Entries end in silence, in the order of their deadlines.

use core::net::IpAddr;
use std::collections::BTreeSet;

use slab::Slab;

use super::ports::{Binding, PortClaim, Use};
use crate::inspect::Side;
use crate::ipc::Domain;
use crate::tcp::{ResetReason, TimeWait};
use crate::time::Instant;

/// Place of an entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct TimeWaitId(usize);

/// One connection in TIME-WAIT.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) time_wait: TimeWait,
    pub(super) domain: Domain,
    pub(super) uid: u32,
    pub(super) local_ip: IpAddr,
    pub(super) v6only: bool,
    pub(super) reuse_address: bool,
    pub(super) reuse_port: bool,
    pub(super) claim: PortClaim,
    pub(super) since: Instant,
    pub(super) closed_first: Option<Side>,
    pub(super) reset: Option<ResetReason>,
}

impl Entry {
    /// As the bind rules see it.
    pub(super) fn binding(&self) -> Binding {
        Binding {
            ip: self.local_ip,
            v6only: self.v6only,
            reuse_address: self.reuse_address,
            reuse_port: self.reuse_port,
            uid: self.uid,
            usage: Use::TimeWait,
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct TimeWaits {
    entries: Slab<Entry>,
    deadlines: BTreeSet<(Instant, TimeWaitId)>,
}

impl TimeWaits {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn insert(&mut self, entry: Entry) -> TimeWaitId {
        let expires = entry.time_wait.expires();
        let id = TimeWaitId(self.entries.insert(entry));
        self.deadlines.insert((expires, id));
        id
    }

    pub(super) fn remove(&mut self, id: TimeWaitId) -> Option<Entry> {
        let entry = self.entries.try_remove(id.0)?;
        self.deadlines.remove(&(entry.time_wait.expires(), id));
        Some(entry)
    }

    pub(super) fn get(&self, id: TimeWaitId) -> Option<&Entry> {
        self.entries.get(id.0)
    }

    /// Lets `change` have the entry and keeps its deadline right.
    pub(super) fn change<T>(
        &mut self,
        id: TimeWaitId,
        change: impl FnOnce(&mut TimeWait) -> T,
    ) -> Option<T> {
        let entry = self.entries.get_mut(id.0)?;
        let before = entry.time_wait.expires();
        let result = change(&mut entry.time_wait);
        let after = entry.time_wait.expires();
        if before != after {
            self.deadlines.remove(&(before, id));
            self.deadlines.insert((after, id));
        }
        Some(result)
    }

    pub(super) fn first_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// The entry whose time was over first, if it is over.
    pub(super) fn due(&self, now: Instant) -> Option<TimeWaitId> {
        self.deadlines.first().filter(|&&(at, _)| at <= now).map(|&(_, id)| id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|(_, entry)| entry)
    }
}
