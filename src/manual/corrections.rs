//! What is often told of TCP on Linux, what is true, and how to see it.
//!
//! The stack does what Linux does; each scene (`tcplab demo NAME`) checks what it shows.
//!
//! # "TIME-WAIT lasts twice the 60 s that Linux has for MSL: two minutes"
//!
//! It lasts 60 s in all. `TCP_TIMEWAIT_LEN` is that time, a constant of the kernel: no setting
//! changes it. `net.ipv4.tcp_fin_timeout` does not either; it is for connections in FIN-WAIT-2 that
//! their program has closed. (Here there is a setting, to experiment with:
//! `net.tcplab.tcp_msl_ms`.)
//!
//! See it: `tcplab ss -tano` shows the time left; `tcplab demo time-wait-expires`.
//!
//! # "TIME-WAIT costs a server file descriptors, memory and ports"
//!
//! No program holds it, so it has no descriptor. It is a small record. All those of a server have
//! the port that the server listens on, so they use up no other. Ports are what the *connecting*
//! side runs out of, if it also closes first, and only towards one destination address and port.
//!
//! See it: `tcplab demo server-closes-first`, `tcplab demo port-exhaustion`; `tcplab ss -tanp`
//! names no holder of a TIME-WAIT.
//!
//! # "Set tcp_tw_reuse=1 on the server"
//!
//! It matters to `connect()` alone. A server that only listens gains nothing; a reverse proxy does,
//! because it connects to what is behind it. It needs `tcp_timestamps`, and a TIME-WAIT that is at
//! least 1 s old. Nor is it off by default on current Linux: it is 2, on for loopback only.
//!
//! See it: `tcplab sysctl net.ipv4.tcp_tw_reuse`, `tcplab demo tw-reuse`, `tcplab demo proxy-502`
//! (needs nginx).
//!
//! # "SO_REUSEADDR in the new server is enough"
//!
//! Linux lets `bind()` pass a TIME-WAIT only if the old socket had set it, too. So a server that is
//! changed to set it fails once more.
//!
//! See it: `tcplab demo restart-eaddrinuse`; `tcplab why bind :8080` says which side lacked it.
//!
//! # "A client that binds its own port cannot connect again until TIME-WAIT is over"
//!
//! Without SO_REUSEADDR `bind()` fails with EADDRINUSE: true. With it (on both sockets) `bind()`
//! succeeds, and then timestamps decide. With them, as by default, `connect()` takes over the
//! TIME-WAIT of its own bound port at once, whatever `tcp_tw_reuse` says. With `tcp_timestamps=0`
//! and `tcp_tw_reuse=0` it fails with EADDRNOTAVAIL.
//!
//! See it: `tcplab demo client-port-locked`.
//!
//! # "A SYN that meets LAST-ACK is answered by RST, and the new connection is dead"
//!
//! It is answered by an ACK of the old connection (a challenge ACK, RFC 5961). The client is in
//! SYN-SENT, and that ACK acknowledges what it never sent, so *it* answers RST, and that ends the
//! old connection. A second later the SYN is sent again, finds the listener, and the new connection
//! is made. `connect()` is late, and knows nothing of it.
//!
//! See it: `tcplab demo syn-into-last-ack`.
//!
//! # "A client that sends its SYN again takes a new sequence number"
//!
//! A retransmitted SYN is the same SYN, with the same number. Only a new `connect()` has a new one.
//! So the late SYN that the three-way handshake protects from belongs to a `connect()` that was
//! given up.
//!
//! See it: `tcplab demo stale-syn`; `tcplab trace --kind segment` after a lost SYN.
//!
//! # "connect() to nowhere ends after 127 s"
//!
//! So it did. Newer kernels have `net.ipv4.tcp_syn_linear_timeouts`, 4 by default: so many more
//! SYNs follow at intervals of 1 s before the intervals double, and it ends after 131 s. With 0 it
//! is 127 s. In both cases `tcp_syn_retries` is 6, its default.
//!
//! See it: `tcplab rule add drop syn`, connect, `tcplab clock advance 131s`, and `tcplab trace
//! --kind timer`; recipe 10 in [`super::recipes`].
//!
//! # "After close() the program reads 0, and its write() fails"
//!
//! After `close()` it has no descriptor: both calls say EBADF. What is meant is
//! `shutdown(SHUT_WR)`: then `write()` fails with EPIPE, and `read()` goes on giving what the peer
//! still sends, and 0 only after the peer's FIN.
//!
//! See it: `tcplab demo half-close`, `tcplab demo read-write-after`.
//!
//! # "close() sends a FIN"
//!
//! Only if it was the last descriptor: a copy in a forked child keeps the connection open. And if
//! octets have come that nobody has read, or SO_LINGER is set with 0 s, it sends RST in place of
//! FIN.
//!
//! See it: `tcplab demo last-reference`, `tcplab demo linger`.
