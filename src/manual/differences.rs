//! Where a program can tell this TCP from the kernel's, and why.
//!
//! The parity tests (`tests/parity.rs`) run the same C program on the kernel and under the shim
//! and compare every outcome; what differs is listed in `tests/parity/differences.rs`, and checked.
//! It comes from the AF_UNIX socket under every connection:
//!
//! * One that was connected never becomes unconnected again. After a failed non-blocking
//!   `connect()`, `connect(AF_UNSPEC)` or `shutdown()` of a listener the descriptor is replaced by a
//!   fresh one: copies made by `dup` or `fork` before keep a dead one, and epoll forgets the old one
//!   without an edge.
//! * One that is not connected cannot show POLLERR, which TCP does after `connect(AF_UNSPEC)` until
//!   the pending ECONNRESET is taken (the error itself is given).
//! * A read takes the error that `poll()` shows, where TCP after a FIN keeps EPIPE for the writer:
//!   POLLERR is gone after it (`write()` and SO_ERROR still give EPIPE).
//! * stdio writes inside libc, which no hook sees: after a RST it gets EPIPE with SIGPIPE at once,
//!   where TCP first says ECONNRESET.
//! * Octets that arrive after `shutdown(SHUT_RD)` are not delivered; Linux still queues them.
//! * The urgent octet counts as readable, in FIONREAD and as POLLIN where there is no other.
//! * After a `shutdown()` that failed because there was no connection, TCP keeps the directions shut
//!   for the next one; here a `connect()` opens both again.
//! * While another thread waits in `connect()`, `poll()` shows the socket as unconnected.
//! * `poll()` does not look at SO_RCVLOWAT, and adds POLLWRBAND wherever TCP says POLLWRNORM.
//! * There is no error queue that `poll()` shows, so SO_ZEROCOPY is refused rather than leave a
//!   program waiting for its completions; `MSG_ZEROCOPY` without it is an ordinary send, as on Linux.
//!
//! By decision: IPPROTO_MPTCP answers EPROTONOSUPPORT, so that programs fall back to TCP, and setting
//! up an io_uring ENOSYS, so that they fall back to calls that are hooked (a liburing that is linked
//! statically is not seen: its rings find the AF_UNIX socket). Beyond what the parity tests see:
//!
//! * `SO_SNDBUF` bounds the send buffer of the TCB; the kernel socket holds some 200 KiB more, so
//!   a non-blocking writer is stopped later than by the kernel.
//! * A connection plugged by a non-blocking `connect()`, or whose last octets came in bulk, holds
//!   no sentinel octet: after a RST its poll bits lack POLLERR unless octets of the program are
//!   unread (the errno is right).
//! * `write()` and `writev()` on a connection are made as `sendto()` and `sendmsg()`, so that
//!   SIGPIPE is ours to raise: a seccomp filter that allows only `write` ends such a program.
//! * IPV6_ADDRFORM turns no connection into an AF_INET one: EADDRNOTAVAIL.
//! * After `connect(AF_UNSPEC)` SIOCOUTQ is 0; Linux tells a number that means nothing.
//! * No SYN cookies, no TCP Fast Open (TCP_FASTOPEN_CONNECT is taken and changes nothing, as
//!   towards a peer that gives no cookies), no HyStart++ in CUBIC.
