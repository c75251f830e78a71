//! Addresses as the host sees them: which are its own, which it can reach, and how an IPv4
//! address looks to the program of an IPv6 socket.
//!
//! Inside the host every address is unmapped (`127.0.0.1`, never `::ffff:127.0.0.1`); mapping
//! happens where a name goes out to a program or comes in from one.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::collections::BTreeSet;

use super::limits::MAX_ADDRESSES;
use crate::ipc::Domain;

/// Where segments can go beside the host itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Nowhere: other destinations answer ENETUNREACH.
    Loopback,
    /// Anywhere; the first address of the machine is the source.
    Anywhere,
}

/// The addresses of one machine.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    own: BTreeSet<IpAddr>,
    pub(super) reach: Reach,
}

/// The wildcard of a family.
pub(super) fn wildcard(domain: Domain) -> IpAddr {
    match domain {
        Domain::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Domain::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// `address` as a socket of `domain` names it.
pub(super) fn present(domain: Domain, ip: IpAddr, port: u16) -> SocketAddr {
    match (domain, ip) {
        (Domain::V6, IpAddr::V4(v4)) => SocketAddr::from((v4.to_ipv6_mapped(), port)),
        _ => SocketAddr::new(ip, port),
    }
}

/// `ip` without mapping; `::1` stays what it is.
pub(super) fn unmap(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

/// Limited broadcast or multicast: nothing a connection can have at an end.
pub(super) fn is_many(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

/// `fe80::/10`, which needs a scope.
pub(super) fn is_link_local(v6: Ipv6Addr) -> bool {
    v6.segments()[0] & 0xffc0 == 0xfe80
}

impl Addresses {
    /// Loopback only.
    pub(super) fn new() -> Addresses {
        Addresses { own: BTreeSet::new(), reach: Reach::Loopback }
    }

    /// Adds an address; `false` where there are [`MAX_ADDRESSES`] already.
    pub(super) fn add(&mut self, ip: IpAddr) -> bool {
        self.own.len() < MAX_ADDRESSES && {
            self.own.insert(unmap(ip));
            true
        }
    }

    /// The machine answers for `ip`.
    pub(super) fn is_local(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.own.contains(&ip)
    }

    /// Source address towards `destination` (unmapped, not a wildcard). Linux: the preferred
    /// source of the local table is 127.0.0.1 for all of 127/8, and the address itself for the
    /// others. `None`: unreachable.
    pub(super) fn source_towards(&self, destination: IpAddr) -> Option<IpAddr> {
        match destination {
            IpAddr::V4(v4) if v4.is_loopback() => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            _ if self.is_local(destination) => Some(destination),
            _ if is_many(destination) || self.reach == Reach::Loopback => None,
            _ => self.own.iter().copied().find(|own| own.is_ipv4() == destination.is_ipv4()),
        }
    }
}
