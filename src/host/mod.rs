//! One simulated machine: port space, sockets, demultiplexing, TIME-WAIT table, sysctls.
//! Sans-I/O like `tcp`. (skeleton of the contract; owner "host" cuts it into files and documents it.)

use crate::inspect;
use crate::ipc::message::How;
use crate::ipc::{Domain, Errno};
use crate::tcp::{Release, ResetReason};
use crate::time::Instant;
use core::net::SocketAddr;

/// A socket of this host; stale keys (index reused) are told apart by a generation and every call answers EBADF.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct SocketKey {
    pub index: u32,
    pub generation: u32,
}

/// What the host tells its user (the stack process, or a simulation).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostEvent {
    /// connect() succeeded
    Connected(SocketKey),
    /// connect() failed; SO_ERROR holds it
    ConnectFailed(SocketKey, Errno),
    /// `child` finished its handshake and waits in the accept queue of `listener`
    Arrived { listener: SocketKey, child: SocketKey },
    /// octets for the program
    Readable(SocketKey),
    /// room in the send buffer again
    Writable(SocketKey),
    /// FIN in sequence: after the octets, EOF
    PeerClosed(SocketKey),
    /// urgent octet at this offset of what is readable
    Urgent(SocketKey, usize, u8),
    /// the connection died with this errno (established ones): queued octets first, then the error
    Failed(SocketKey, Errno),
    /// everything sent incl. FIN is acknowledged, or the connection is gone: linger may end
    Drained(SocketKey),
    /// host has forgotten the socket (released and finished); the key is stale from now on
    Gone(SocketKey),
}

/// A datagram to send.
pub struct Datagram<'a> {
    pub from: SocketAddr, /* TCP addresses, ports = TCP ports */
    pub to: SocketAddr,
    pub segment: &'a [u8],
}

pub struct Host {
    _owner_fills: (),
}

#[allow(unused_variables)]
impl Host {
    /// `seed`: every random choice (ISN secret, ports) comes from it.
    pub fn new(seed: u64) -> Host {
        todo!()
    }

    // ---- user calls; errors are exactly Linux's
    pub fn socket(&mut self, now: Instant, domain: Domain, uid: u32) -> Result<SocketKey, Errno> {
        todo!()
    }
    pub fn bind(&mut self, now: Instant, s: SocketKey, address: SocketAddr) -> Result<(), Errno> {
        todo!()
    }
    pub fn listen(&mut self, now: Instant, s: SocketKey, backlog: i32) -> Result<(), Errno> {
        todo!()
    }
    /// Ok: SYN is on its way (EINPROGRESS); else the error known at once
    pub fn connect(
        &mut self,
        now: Instant,
        s: SocketKey,
        address: SocketAddr,
    ) -> Result<(), Errno> {
        todo!()
    }
    /// connect(AF_UNSPEC), and what Linux does with a socket whose connect() failed: back to UNCONN, binding kept as Linux keeps it
    pub fn disconnect(&mut self, now: Instant, s: SocketKey) -> Result<(), Errno> {
        todo!()
    }
    pub fn shutdown(&mut self, now: Instant, s: SocketKey, how: How) -> Result<(), Errno> {
        todo!()
    }
    /// the program took the child off the accept queue
    pub fn accepted(&mut self, now: Instant, child: SocketKey) {
        todo!()
    }
    /// last descriptor closed. Graceful becomes Abort when SO_LINGER is {1,0}. For a listener: its un-accepted children are reset.
    pub fn release(&mut self, now: Instant, s: SocketKey, how: Release) {
        todo!()
    }
    pub fn set_option(
        &mut self,
        now: Instant,
        s: SocketKey,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Result<(), Errno> {
        todo!()
    }
    /// writes up to out.len() octets (optlen clipping as Linux), returns how many
    pub fn get_option(
        &mut self,
        now: Instant,
        s: SocketKey,
        level: i32,
        name: i32,
        out: &mut [u8],
    ) -> Result<usize, Errno> {
        todo!()
    }
    /// (local, peer) as the program sees them: v4-mapped on AF_INET6 sockets
    pub fn names(&self, s: SocketKey) -> Result<(SocketAddr, Option<SocketAddr>), Errno> {
        todo!()
    }
    /// SO_ERROR: pending error, cleared
    pub fn take_error(&mut self, s: SocketKey) -> Option<Errno> {
        todo!()
    }
    /// (SIOCOUTQ, SIOCOUTQNSD)
    pub fn out_queue(&self, s: SocketKey) -> Result<(usize, usize), Errno> {
        todo!()
    }
    /// lingering: Some(deadline) while SO_LINGER{1,n>0} asks close() to wait and data is unacknowledged
    pub fn linger(&self, s: SocketKey) -> Option<core::time::Duration> {
        todo!()
    }

    // ---- data
    pub fn send_space(&self, s: SocketKey) -> usize {
        todo!()
    }
    pub fn send_reserve(&mut self, s: SocketKey, max: usize) -> (&mut [u8], &mut [u8]) {
        todo!()
    }
    pub fn send_commit(&mut self, now: Instant, s: SocketKey, len: usize) {
        todo!()
    }
    pub fn mark_urgent(&mut self, now: Instant, s: SocketKey) {
        todo!()
    }
    pub fn received(&self, s: SocketKey) -> (&[u8], &[u8]) {
        todo!()
    }
    pub fn consume(&mut self, now: Instant, s: SocketKey, len: usize) {
        todo!()
    }
    pub fn set_unread(&mut self, now: Instant, s: SocketKey, octets: usize) {
        todo!()
    }
    pub fn wants_read_progress(&self, s: SocketKey) -> bool {
        todo!()
    }

    // ---- wire and time
    /// a datagram's payload; addresses from the UDP layer, TCP ports are inside
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        from: core::net::IpAddr,
        to: core::net::IpAddr,
        payload: &[u8],
    ) {
        todo!()
    }
    /// Writes the next segment into `out` (cleared first)
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        out: &mut Vec<u8>,
    ) -> Option<(core::net::IpAddr, core::net::IpAddr)> {
        todo!()
    }
    pub fn poll_event(&mut self) -> Option<HostEvent> {
        todo!()
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }

    // ---- inspection
    pub fn rows(&self, now: Instant) -> Vec<(Option<SocketKey>, inspect::SocketRow)> {
        todo!()
    }
    pub fn status(&self) -> inspect::Status {
        todo!()
    }
    pub fn sysctls(&self) -> Vec<inspect::SysctlRow> {
        todo!()
    }
    pub fn sysctl(&self, name: &str) -> Result<inspect::SysctlRow, String> {
        todo!()
    }
    /// error: one sentence (unknown names with the nearest; bad values with the range)
    pub fn set_sysctl(&mut self, name: &str, value: &str) -> Result<inspect::SysctlRow, String> {
        todo!()
    }
    /// nothing bound, connected, listening, in TIME-WAIT or orphaned
    pub fn is_idle(&self) -> bool {
        todo!()
    }
    #[doc(hidden)]
    pub fn _unused(_: ResetReason) {}
}
