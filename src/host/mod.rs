//! One simulated machine: port space, sockets, demultiplexing, listeners, TIME-WAIT, sysctls.
//! Sans-I/O like `tcp`, which it drives: RFC 9293 3.9.1 (user interface) and 3.10.7 (SEGMENT
//! ARRIVES up to the TCB) are here, with Linux's socket API as the law for every errno.
//!
//! Contract: one call (`handle_*` or a user call), then drain [`Host::poll_transmit`],
//! [`Host::poll_event`] and (for the trace) [`Host::poll_note`] until `None`, then ask [`Host::poll_timeout`]; then the next call. Time is
//! an argument, randomness comes from the seed: the same seed and calls give the same segments.
//! Segments for the host itself are not short-cut: they leave by `poll_transmit` and come back by
//! `handle_datagram` like any other.
//!
//! | concept | file |
//! | --- | --- |
//! | slab of sockets, their roles | `sockets.rs` |
//! | who holds which port, who may share it | `ports.rs`, `bind.rs` |
//! | connect(), ephemeral ports, 4-tuples | `connect.rs` |
//! | listen(), SYN queue, accept queue | `listener.rs` |
//! | shutdown(), disconnect, close, orphans | `close.rs` |
//! | exact 4-tuple, TIME-WAIT, best listener | `demux.rs` |
//! | segments in and out | `arrives.rs`, `transmit.rs` |
//! | what a TCB tells, end of a connection | `events.rs` |
//! | octets between program and TCB | `data.rs` |
//! | TIME-WAIT table | `time_wait.rs` |
//! | options, sysctls, counters | `options/`, `sysctl.rs`, `counters.rs` |
//! | `ss` and `status` | `rows.rs` |
//! | why a port can or cannot be had | `why.rs` |
//! | what is told for the trace, and as its records | `notes.rs`, `records.rs` |
//! | what is told of a connection's end | `ends.rs` |
//!
//! Not here: SYN cookies (the SYN queue grows instead, see `net.ipv4.tcp_syncookies`), Fast Open,
//! fragmentation, routing beyond "local or not".

mod address;
mod arrives;
mod bind;
mod close;
mod connect;
mod counters;
mod data;
mod demux;
mod ends;
mod events;
pub mod limits;
mod listener;
mod notes;
mod options;
mod ports;
mod random;
mod records;
mod rows;
mod sockets;
mod sysctl;
mod time_wait;
mod timers;
mod transmit;
mod why;

#[cfg(test)]
mod tests;

use core::net::{IpAddr, SocketAddr};
use std::collections::VecDeque;

use crate::inspect;
use crate::ipc::{Domain, Errno};
use crate::tcp::State;
use crate::time::Instant;

pub use address::Reach;
pub use connect::Connect;
pub use ends::{End, Waiting};
pub use notes::{Note, Noted};
pub use records::arrival;
pub use sockets::SocketKey;
pub use transmit::Sent;
pub use why::Explained;

use address::Addresses;
use counters::Counters;
use demux::Demux;
use notes::Notes;
use options::SocketOptions;
use ports::Ports;
use random::Random;
use sockets::{Socket, Sockets};
use sysctl::Sysctls;
use time_wait::TimeWaits;
use timers::Timers;
use transmit::Reply;

/// What the host tells its user (the stack process, or a simulation).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostEvent {
    /// connect() succeeded.
    Connected(SocketKey),
    /// connect() failed; SO_ERROR holds the errno, too.
    ConnectFailed(SocketKey, Errno),
    /// A handshake is finished.
    Arrived {
        /// The listener in whose accept queue it waits.
        listener: SocketKey,
        /// The new socket.
        child: SocketKey,
    },
    /// Octets for the program.
    Readable(SocketKey),
    /// Room in the send buffer again.
    Writable(SocketKey),
    /// FIN in sequence: after the octets, EOF.
    PeerClosed(SocketKey),
    /// An urgent octet at this offset of what is readable.
    Urgent(SocketKey, usize, u8),
    /// An established connection died: queued octets first, then this error.
    Failed(SocketKey, Errno),
    /// Everything sent, FIN included, is acknowledged, or the connection is gone: linger may end.
    Drained(SocketKey),
    /// The host has forgotten the socket; the key is stale from now on.
    Gone(SocketKey),
}

/// One simulated machine.
#[derive(Debug)]
pub struct Host {
    sysctls: Sysctls,
    counters: Counters,
    addresses: Addresses,
    sockets: Sockets,
    ports: Ports,
    demux: Demux,
    time_waits: TimeWaits,
    timers: Timers,
    /// Connections that may have something to send, served in turn.
    ring: VecDeque<SocketKey>,
    /// Segments that belong to no TCB.
    replies: VecDeque<Reply>,
    events: VecDeque<HostEvent>,
    notes: Notes,
    orphans: usize,
    random: Random,
    secret: [u8; 16],
    /// What moves the first port that connect() tries (Linux: table_perturb).
    perturbations: Vec<u32>,
}

impl Host {
    /// A machine with loopback only. Every random choice (ISN secret, ports) comes from `seed`.
    pub fn new(seed: u64) -> Host {
        let mut random = Random::new(seed);
        Host {
            sysctls: Sysctls::new(),
            counters: Counters::new(),
            addresses: Addresses::new(),
            sockets: Sockets::default(),
            ports: Ports::default(),
            demux: Demux::new(&mut random),
            time_waits: TimeWaits::default(),
            timers: Timers::default(),
            ring: VecDeque::new(),
            replies: VecDeque::new(),
            events: VecDeque::new(),
            notes: Notes::default(),
            orphans: 0,
            secret: random.secret(),
            perturbations: (0..limits::PORT_PERTURBATIONS).map(|_| random.below(1 << 16)).collect(),
            random,
        }
    }

    /// Gives the machine an address beside loopback; `false` where it has
    /// [`limits::MAX_ADDRESSES`].
    pub fn add_address(&mut self, ip: IpAddr) -> bool {
        self.addresses.add(ip)
    }

    /// Says where segments can go beside the machine itself.
    pub fn set_reach(&mut self, reach: Reach) {
        self.addresses.reach = reach;
    }

    /// `socket()` by user `uid`. ENOBUFS: there are [`limits::MAX_SOCKETS`].
    pub fn socket(&mut self, now: Instant, domain: Domain, uid: u32) -> Result<SocketKey, Errno> {
        let v6only = domain == Domain::V6 && self.sysctls.is_on(sysctl::Key::BindV6Only);
        let mut socket = Socket::new(now, domain, uid, SocketOptions::default());
        socket.options.v6only = v6only;
        self.sockets.insert(socket)
    }

    /// Local and peer name as the program sees them: v4-mapped on AF_INET6 sockets, `0.0.0.0:0`
    /// before bind().
    pub fn names(&self, s: SocketKey) -> Result<(SocketAddr, Option<SocketAddr>), Errno> {
        let socket = self.sockets.get(s)?;
        Ok((socket.local_name(), socket.peer_name()))
    }

    /// The peer of `child` as accept() names it: also when it has died in the accept queue.
    pub fn peer_of_accepted(&self, child: SocketKey) -> Result<SocketAddr, Errno> {
        let socket = self.sockets.get(child)?;
        let remote = socket.connection().ok_or(Errno::ENOTCONN)?.tcb.tuple().remote;
        Ok(address::present(socket.domain, remote.ip(), remote.port()))
    }

    /// State as the socket API sees it: CLOSED also for a connection that is dead or went to
    /// TIME-WAIT, whatever its program has not read yet.
    pub fn state(&self, s: SocketKey) -> Result<State, Errno> {
        Ok(self.sockets.get(s)?.state())
    }

    /// SO_ERROR: the pending error, cleared.
    pub fn take_error(&mut self, s: SocketKey) -> Option<Errno> {
        self.sockets.find_mut(s)?.error.take()
    }

    /// Next event.
    pub fn poll_event(&mut self) -> Option<HostEvent> {
        self.events.pop_front()
    }

    /// Every sysctl.
    pub fn sysctls(&self) -> Vec<inspect::SysctlRow> {
        self.sysctls.rows()
    }

    /// One sysctl. Error: one sentence with the nearest name.
    pub fn sysctl(&self, name: &str) -> Result<inspect::SysctlRow, String> {
        self.sysctls.get(name)
    }

    /// Sets a sysctl. Error: one sentence (unknown names with the nearest, bad values with the
    /// range).
    pub fn set_sysctl(&mut self, name: &str, value: &str) -> Result<inspect::SysctlRow, String> {
        let row = self.sysctls.set(name, value)?;
        self.sysctls_changed();
        Ok(row)
    }
}
