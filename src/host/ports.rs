//! Who holds which local port, and Linux's rules for who may share one (inet_csk_get_port,
//! inet_bind_conflict, __inet_hash_connect; tried on Linux 6.18, see `tests/bind.rs`).
//!
//! A port has any number of owners: sockets, also accepted ones and those that connect() gave a
//! port, and TIME-WAIT entries. Whether a newcomer may join is asked of every owner as it is now:
//! options changed after bind() count.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use super::SocketKey;
use super::time_wait::TimeWaitId;

/// Somebody who holds a port, or a 4-tuple.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Owner {
    Socket(SocketKey),
    TimeWait(TimeWaitId),
}

/// How an owner came to its port. connect() may share a port only while all its owners came by
/// connect() (Linux: `fastreuse` -1, SOCK_CONNECT_BIND).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ClaimedBy {
    /// bind(), listen(), or accepted from a listener.
    Bind,
    /// connect() chose it.
    Connect,
}

/// A port and how it was come by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PortClaim {
    pub(super) port: u16,
    pub(super) by: ClaimedBy,
}

/// What an owner of a port does with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    Open,
    Listening,
    TimeWait,
}

/// What the rules ask of an owner or a newcomer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding {
    /// Unmapped; `::` without `v6only` is dual-stack.
    pub(super) ip: IpAddr,
    pub(super) v6only: bool,
    pub(super) reuse_address: bool,
    pub(super) reuse_port: bool,
    pub(super) uid: u32,
    pub(super) usage: Use,
}

/// How strict a search is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    /// The program named the port: SO_REUSEADDR and SO_REUSEPORT count.
    Named,
    /// The host chooses one: nobody else may be there.
    Any,
    /// The host chooses, none is free, and `ip_autobind_reuse` is on.
    AnyShared,
}

impl Binding {
    /// An address of both would be the same (ipv6_rcv_saddr_equal, ipv4_rcv_saddr_equal).
    fn overlaps(&self, other: &Binding) -> bool {
        match (self.ip, other.ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => a == b || a.is_unspecified() || b.is_unspecified(),
            (IpAddr::V6(a), IpAddr::V6(b)) => a == b || a.is_unspecified() || b.is_unspecified(),
            // The IPv4 wildcard collides even with `::1` where connect() chose it: such a socket
            // is not marked IPv6 only (tried).
            (IpAddr::V4(a), IpAddr::V6(b)) => {
                !other.v6only && (a.is_unspecified() || b.is_unspecified())
            }
            (IpAddr::V6(a), IpAddr::V4(_)) => a.is_unspecified() && !self.v6only,
        }
    }

    /// The newcomer `self` may not join `owner` (inet_bind_conflict).
    pub(super) fn conflicts(&self, owner: &Binding, rule: Rule) -> bool {
        if !self.overlaps(owner) {
            return false;
        }
        let one_group = self.reuse_port
            && owner.reuse_port
            && (owner.usage == Use::TimeWait || self.uid == owner.uid);
        let both_reuse = self.reuse_address && owner.reuse_address && owner.usage != Use::Listening;
        match rule {
            Rule::Named => !both_reuse && !one_group,
            Rule::Any => true,
            Rule::AnyShared => !both_reuse || one_group,
        }
    }
}

/// Who holds which port.
#[derive(Debug, Default)]
pub(super) struct Ports(BTreeMap<u16, Bucket>);

#[derive(Debug, Default)]
struct Bucket {
    owners: BTreeSet<Owner>,
    /// Owners that did not come by connect().
    bound: usize,
}

/// What connect() may do with a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shareable {
    /// Nobody is there.
    Free,
    /// Only connections that connect() gave the port: the 4-tuple decides.
    Connections,
    /// Somebody bound it.
    No,
}

impl Ports {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn insert(&mut self, owner: Owner, claim: PortClaim) {
        let bucket = self.0.entry(claim.port).or_default();
        if bucket.owners.insert(owner) && claim.by == ClaimedBy::Bind {
            bucket.bound += 1;
        }
    }

    pub(super) fn remove(&mut self, owner: Owner, claim: PortClaim) {
        let Some(bucket) = self.0.get_mut(&claim.port) else { return };
        if bucket.owners.remove(&owner) && claim.by == ClaimedBy::Bind {
            bucket.bound -= 1;
        }
        if bucket.owners.is_empty() {
            self.0.remove(&claim.port);
        }
    }

    pub(super) fn owners(&self, port: u16) -> impl Iterator<Item = Owner> + '_ {
        self.0.get(&port).into_iter().flat_map(|bucket| bucket.owners.iter().copied())
    }

    pub(super) fn shareable(&self, port: u16) -> Shareable {
        match self.0.get(&port) {
            None => Shareable::Free,
            Some(bucket) if bucket.bound == 0 => Shareable::Connections,
            Some(_) => Shareable::No,
        }
    }
}
