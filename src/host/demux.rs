//! Which connection or listener a segment is for: the exact 4-tuple first (connections and
//! TIME-WAIT), then the listener that fits best (RFC 9293 3.10.7, Linux: __inet_lookup).

use core::hash::Hash;
use core::net::{IpAddr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::SocketKey;
use super::ports::Owner;
use super::random::{Random, TableHasher};
use super::sockets::Sockets;
use crate::ipc::Domain;
use crate::tcp::FourTuple;

/// The tables of the demultiplexer.
#[derive(Debug)]
pub(super) struct Demux {
    tuples: HashMap<FourTuple, Owner, TableHasher>,
    listeners: BTreeMap<u16, BTreeSet<SocketKey>>,
}

impl Demux {
    pub(super) fn new(random: &mut Random) -> Demux {
        Demux { tuples: HashMap::with_hasher(random.table_hasher()), listeners: BTreeMap::new() }
    }

    pub(super) fn find(&self, tuple: &FourTuple) -> Option<Owner> {
        self.tuples.get(tuple).copied()
    }

    pub(super) fn insert(&mut self, tuple: FourTuple, owner: Owner) {
        self.tuples.insert(tuple, owner);
    }

    /// Takes `tuple` away where it is still `owner`'s.
    pub(super) fn remove(&mut self, tuple: &FourTuple, owner: Owner) {
        if self.find(tuple) == Some(owner) {
            self.tuples.remove(tuple);
        }
    }

    pub(super) fn add_listener(&mut self, port: u16, key: SocketKey) {
        self.listeners.entry(port).or_default().insert(key);
    }

    pub(super) fn remove_listener(&mut self, port: u16, key: SocketKey) {
        if let Some(keys) = self.listeners.get_mut(&port) {
            keys.remove(&key);
            if keys.is_empty() {
                self.listeners.remove(&port);
            }
        }
    }

    /// The listener for a SYN from `remote` to `local`: one bound to the address before one bound
    /// to the wildcard, an IPv4 before a dual-stack IPv6 one (compute_score). Among equals with
    /// SO_REUSEPORT the hash of the 4-tuple chooses.
    pub(super) fn find_listener(
        &self,
        sockets: &Sockets,
        tuple: &FourTuple,
        random: &Random,
    ) -> Option<SocketKey> {
        let keys = self.listeners.get(&tuple.local.port())?;
        let mut best = 0;
        let mut equals: Vec<SocketKey> = Vec::new();
        for &key in keys {
            let score = sockets.find(key).map_or(0, |socket| {
                score(socket.domain, socket.local_ip, socket.options.v6only, tuple.local)
            });
            if score > best {
                best = score;
                equals.clear();
            }
            if score == best && score > 0 {
                equals.push(key);
            }
        }
        let place = |count: usize| random.hash(tuple) % count as u64;
        match equals.len() {
            0 => None,
            1 => equals.first().copied(),
            count => equals.get(place(count) as usize).copied(),
        }
    }
}

/// 0: does not fit.
fn score(domain: Domain, bound: IpAddr, v6only: bool, local: SocketAddr) -> u32 {
    let same_family = (domain == Domain::V4) == local.is_ipv4();
    let address = match (bound, local.ip()) {
        (bound, local) if bound == local => 4,
        (IpAddr::V4(bound), IpAddr::V4(_)) if bound.is_unspecified() => 2,
        (IpAddr::V6(bound), IpAddr::V6(_)) if bound.is_unspecified() => 2,
        (IpAddr::V6(bound), IpAddr::V4(_)) if bound.is_unspecified() && !v6only => 2,
        _ => return 0,
    };
    address + u32::from(same_family)
}

impl Random {
    /// Where `connect()` to `remote` starts to look for a port.
    pub(super) fn port_offset(&self, local: IpAddr, remote: SocketAddr) -> u64 {
        self.hash(&PortOffset { local, remote })
    }
}

#[derive(Hash)]
struct PortOffset {
    local: IpAddr,
    remote: SocketAddr,
}
