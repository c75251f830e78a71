//! Where a program can tell this TCP from the kernel's, and why.
//!
//! The parity tests (`tests/parity.rs`) run the same C program on the kernel and under the shim
//! and compare every outcome; `tests/parity/differences.rs` lists each case that differs, and a
//! case listed there that no longer does fails. In words:
//!
//! * Under every TCP socket is an `AF_UNIX` one. Unconnected it cannot show POLLERR: after
//!   `connect(AF_UNSPEC)` the pending ECONNRESET is there, its poll bit is not. After a FIN and
//!   then a RST, POLLERR is left out too, because it would make read() fail. poll() does not look
//!   at `SO_RCVLOWAT`. An urgent octet counts as one to read until it is received.
//! * After a failed non-blocking `connect()`, `connect(AF_UNSPEC)` or `shutdown()` of a listener,
//!   the descriptor is replaced by a fresh kernel socket; copies made by `dup` or `fork` before,
//!   and epoll sets, keep a dead one, because AF_UNIX knows no way back to unconnected.
//! * What libc does inside itself no hook sees: stdio that writes after a RST gets EPIPE and
//!   SIGPIPE, where TCP gives ECONNRESET first.
//! * `SO_SNDBUF` bounds the send buffer of the TCB; the kernel socket holds some 200 KiB more, so
//!   a non-blocking writer is stopped later than by the kernel.
//! * Octets that arrive after `shutdown(SHUT_RD)` are not delivered; Linux still queues them.
//! * A connection plugged by a non-blocking `connect()`, or whose last octets came in bulk, holds
//!   no sentinel octet: after a RST its poll bits lack POLLERR unless octets of the program are
//!   unread (the errno is right).
//! * `write()` and `writev()` on a connection are made as `sendto()` and `sendmsg()`, so that
//!   SIGPIPE is ours to raise: a seccomp filter that allows only `write` ends such a program.
//! * No SYN cookies, no TCP Fast Open in the SYN, no zero copy, no MPTCP.
