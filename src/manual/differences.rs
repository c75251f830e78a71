//! Where a program can tell this TCP from the kernel's, and why.
//!
//! The parity tests (`tests/parity.rs`) run the same C program on the kernel and under the shim
//! and compare every outcome; the table there is checked. Beyond it:
//!
//! * After a failed non-blocking `connect()`, `connect(AF_UNSPEC)` or `shutdown()` of a listener,
//!   the descriptor is replaced by a fresh kernel socket; copies made by `dup` or `fork` before
//!   keep a dead one, because AF_UNIX knows no way back from connected to unconnected.
//! * `SO_SNDBUF` bounds the send buffer of the TCB; the kernel socket holds some 200 KiB more, so
//!   a non-blocking writer is stopped later than by the kernel.
//! * Octets that arrive after `shutdown(SHUT_RD)` are not delivered; Linux still queues them.
//! * A connection plugged by a non-blocking `connect()` keeps no sentinel octet: after a RST its
//!   poll bits lack POLLERR unless octets of the program are unread (the errno is right).
//! * `write()` and `writev()` on a connection are made as `sendto()` and `sendmsg()`, so that SIGPIPE
//!   is ours to raise: a seccomp filter that allows only `write` ends such a program.
//! * No SYN cookies, no TCP Fast Open, no `MSG_ZEROCOPY`.
