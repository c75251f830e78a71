//! The sockets of the host: a slab whose keys carry a generation, so that a stale key is answered
//! with EBADF and never reaches somebody else's socket.
//!
//! A socket is in one of three roles. What Linux keeps beside the TCP state (`struct socket`'s
//! SS_* state, `sk_err`, the locks of address and port) is kept under its own name, because every
//! errno of the socket API hangs on it.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeSet;

use super::address::{present, wildcard};
use super::limits::MAX_SOCKETS;
use super::options::SocketOptions;
use super::ports::PortClaim;
use crate::inspect::Side;
use crate::ipc::{Domain, Errno};
use crate::tcp::{ResetReason, State, Tcb};
use crate::time::Instant;

/// A socket of this host; stale keys (index reused) are told apart by a generation and every call
/// answers EBADF.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct SocketKey {
    /// Place in the slab.
    pub index: u32,
    /// How often the place was used before.
    pub generation: u32,
}

/// Linux's `socket->state`: what connect() and listen() look at first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// SS_UNCONNECTED; listeners too.
    Unconnected,
    /// SS_CONNECTING: connect() was called and its outcome not told.
    Connecting,
    /// SS_CONNECTED, also after the connection is dead.
    Connected,
    /// SS_DISCONNECTING: shutdown() of a connection that failed.
    Disconnecting,
}

/// Who holds a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// A program.
    Program,
    /// The SYN queue of this listener.
    SynQueue(SocketKey),
    /// The accept queue of this listener.
    AcceptQueue(SocketKey),
    /// Nobody: an orphan.
    Orphan,
}

/// What a socket is.
#[derive(Debug)]
pub(super) enum Role {
    /// Never connected, or not any more.
    Idle,
    /// Listening.
    Listening(Listener),
    /// A connection, also one that is dead with octets unread.
    Connection(Box<Connection>),
}

/// A passive OPEN.
#[derive(Debug, Default)]
pub(super) struct Listener {
    /// As listen() gave it, clamped to somaxconn.
    pub(super) backlog: usize,
    /// Children in SYN-RECEIVED.
    pub(super) syn_queue: BTreeSet<SocketKey>,
    /// Children nobody has accepted.
    pub(super) accept_queue: BTreeSet<SocketKey>,
}

/// A TCB and its bookkeeping.
pub(super) struct Connection {
    pub(super) tcb: Tcb,
    pub(super) place: Place,
    /// In the ring of connections that may have something to send.
    pub(super) queued: bool,
    /// Deadline registered in the timers.
    pub(super) deadline: Option<Instant>,
    /// Dead: off the demultiplexer, kept for what is still unread.
    pub(super) over: bool,
    /// It was in ESTABLISHED once.
    pub(super) established: bool,
}

impl core::fmt::Debug for Connection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Connection")
            .field("tuple", &self.tcb.tuple())
            .field("state", &self.tcb.state())
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// One socket.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) domain: Domain,
    pub(super) uid: u32,
    /// SO_COOKIE
    pub(super) cookie: u64,
    pub(super) options: SocketOptions,
    /// Local address (Linux: `sk_rcv_saddr`), unmapped.
    pub(super) local_ip: IpAddr,
    /// Local port as getsockname() shows it; it outlives the claim, as on Linux.
    pub(super) local_port: u16,
    /// The port it holds.
    pub(super) claim: Option<PortClaim>,
    /// bind() named the address: it survives a disconnect (SOCK_BINDADDR_LOCK).
    pub(super) address_locked: bool,
    /// bind() named the port: it is held until close (SOCK_BINDPORT_LOCK).
    pub(super) port_locked: bool,
    pub(super) phase: Phase,
    pub(super) role: Role,
    /// SO_ERROR
    pub(super) error: Option<Errno>,
    /// When the state was entered.
    pub(super) since: Instant,
    pub(super) closed_first: Option<Side>,
    pub(super) reset: Option<ResetReason>,
    /// Octets never acknowledged and never sent, FIN included, of a connection that has ended.
    pub(super) left_behind: (usize, usize),
}

impl Socket {
    pub(super) fn new(now: Instant, domain: Domain, uid: u32, options: SocketOptions) -> Socket {
        Socket {
            domain,
            uid,
            cookie: 0,
            options,
            local_ip: wildcard(domain),
            local_port: 0,
            claim: None,
            address_locked: false,
            port_locked: false,
            phase: Phase::Unconnected,
            role: Role::Idle,
            error: None,
            since: now,
            closed_first: None,
            reset: None,
            left_behind: (0, 0),
        }
    }

    /// TCP state as the socket API sees it: a dead connection is CLOSED.
    pub(super) fn state(&self) -> State {
        match &self.role {
            Role::Idle => State::Closed,
            Role::Listening(_) => State::Listen,
            Role::Connection(connection) if connection.over => State::Closed,
            Role::Connection(connection) => connection.tcb.state(),
        }
    }

    pub(super) fn connection(&self) -> Option<&Connection> {
        match &self.role {
            Role::Connection(connection) => Some(connection),
            _ => None,
        }
    }

    pub(super) fn connection_mut(&mut self) -> Option<&mut Connection> {
        match &mut self.role {
            Role::Connection(connection) => Some(connection),
            _ => None,
        }
    }

    pub(super) fn listener(&self) -> Option<&Listener> {
        match &self.role {
            Role::Listening(listener) => Some(listener),
            _ => None,
        }
    }

    pub(super) fn listener_mut(&mut self) -> Option<&mut Listener> {
        match &mut self.role {
            Role::Listening(listener) => Some(listener),
            _ => None,
        }
    }

    pub(super) fn is_orphan(&self) -> bool {
        self.connection().is_some_and(|connection| connection.place == Place::Orphan)
    }

    /// Local name as getsockname() shows it.
    pub(super) fn local_name(&self) -> SocketAddr {
        present(self.domain, self.local_ip, self.local_port)
    }

    /// Peer name; Linux shows none in CLOSED and SYN-SENT.
    pub(super) fn peer_name(&self) -> Option<SocketAddr> {
        let remote = self.connection()?.tcb.tuple().remote;
        let unknown = matches!(self.state(), State::Closed | State::SynSent);
        (!unknown).then(|| present(self.domain, remote.ip(), remote.port()))
    }
}

/// The slab.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    slots: Vec<Slot>,
    free: Vec<u32>,
    made: u64,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    socket: Option<Box<Socket>>,
}

impl Sockets {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Gives the socket its key and its cookie. Error: [`MAX_SOCKETS`] are there.
    pub(super) fn insert(&mut self, mut socket: Socket) -> Result<SocketKey, Errno> {
        if self.len() >= MAX_SOCKETS {
            return Err(Errno::ENOBUFS);
        }
        self.made += 1;
        socket.cookie = self.made;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, socket: None });
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.socket = Some(Box::new(socket));
        Ok(SocketKey { index, generation: slot.generation })
    }

    pub(super) fn remove(&mut self, key: SocketKey) -> Option<Box<Socket>> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let socket = slot.socket.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(socket)
    }

    pub(super) fn find(&self, key: SocketKey) -> Option<&Socket> {
        let slot = self.slots.get(key.index as usize)?;
        slot.socket.as_deref().filter(|_| slot.generation == key.generation)
    }

    pub(super) fn find_mut(&mut self, key: SocketKey) -> Option<&mut Socket> {
        let slot = self.slots.get_mut(key.index as usize)?;
        slot.socket.as_deref_mut().filter(|_| slot.generation == key.generation)
    }

    pub(super) fn get(&self, key: SocketKey) -> Result<&Socket, Errno> {
        self.find(key).ok_or(Errno::EBADF)
    }

    pub(super) fn get_mut(&mut self, key: SocketKey) -> Result<&mut Socket, Errno> {
        self.find_mut(key).ok_or(Errno::EBADF)
    }

    /// In the order of the slab.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SocketKey, &Socket)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let key = SocketKey { index: index as u32, generation: slot.generation };
            slot.socket.as_deref().map(|socket| (key, socket))
        })
    }

    /// In the order of the slab.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Socket> {
        self.slots.iter_mut().filter_map(|slot| slot.socket.as_deref_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> Socket {
        Socket::new(Instant::ZERO, Domain::V4, 0, SocketOptions::default())
    }

    #[test]
    fn a_stale_key_never_reaches_the_next_socket_of_the_slot() {
        let mut sockets = Sockets::default();
        let first = sockets.insert(socket()).unwrap();
        assert!(sockets.remove(first).is_some());
        let second = sockets.insert(socket()).unwrap();
        assert_eq!(first.index, second.index);
        assert_eq!(sockets.get(first).err(), Some(Errno::EBADF));
        assert!(sockets.remove(first).is_none());
        assert!(sockets.get(second).is_ok());
        assert_eq!(sockets.len(), 1);
    }

    #[test]
    fn every_socket_has_its_own_cookie() {
        let mut sockets = Sockets::default();
        let first = sockets.insert(socket()).unwrap();
        sockets.remove(first);
        let second = sockets.insert(socket()).unwrap();
        assert_eq!(sockets.get(second).unwrap().cookie, 2);
    }
}
