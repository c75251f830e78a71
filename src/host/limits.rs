//! Every bound of the host, with its name. Neither programs nor peers can make a table grow
//! beyond these; sysctls choose within them.

/// Sockets of every kind, children in SYN and accept queues and orphans included. More:
/// `socket()` answers ENOBUFS, a SYN is dropped.
pub const MAX_SOCKETS: usize = 1 << 18;
/// Entries of the TIME-WAIT table (upper end of `tcp_max_tw_buckets`).
pub const MAX_TIME_WAIT: usize = 1 << 18;
/// Connections without a program (upper end of `tcp_max_orphans`).
pub const MAX_ORPHANS: usize = 1 << 18;
/// Half-open connections of one listener (upper end of `tcp_max_syn_backlog`).
pub const MAX_SYN_BACKLOG: usize = 1 << 16;
/// Connections waiting for `accept()` at one listener (upper end of `somaxconn`).
pub const MAX_ACCEPT_BACKLOG: usize = 1 << 16;
/// Segments without a TCB of their own (answers to nobody's segments, last ACK or RST of a
/// connection that is gone) that wait to be sent. More are dropped, as if lost.
pub const MAX_REPLIES: usize = 1 << 14;
/// Notes for the trace that wait to be taken. More are lost, and counted.
pub const MAX_NOTES: usize = 1 << 14;
/// MTU of the loopback interface.
pub const LOOPBACK_MTU: usize = 1 << 16;
/// Addresses of the machine beside loopback.
pub const MAX_ADDRESSES: usize = 64;
/// Separate ranges in `ip_local_reserved_ports`.
pub const MAX_RESERVED_RANGES: usize = 1024;
/// Places of the table that spreads the first port tried by `connect()` (Linux: 65536).
pub const PORT_PERTURBATIONS: usize = 256;
/// Octets a send or receive buffer may be configured to.
pub const MAX_BUFFER: usize = 64 << 20;
