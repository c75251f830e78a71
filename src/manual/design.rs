//! How it works: the way of a call, and of an octet.
//!
//! ```text
//!   program (unmodified)                 stack process, one a session, started on demand
//!  +----------------------+             +------------------------------------------------------+
//!  | libc calls           |  AF_UNIX    |  endpoint <-> host: ports, TCBs, <-> wire ------------|--> UDP 9293
//!  |  + shim (LD_PRELOAD) |<===========>|             TIME-WAIT, sysctls                        |    on lo
//!  +----------------------+  1 a socket +------------------------------------------------------+
//!            |                                          ^
//!            +------------ control channel -------------+---- `tcplab` command
//! ```
//!
//! # A kernel socket under every TCP socket
//!
//! Every TCP socket of a program *is* an `AF_UNIX SOCK_STREAM` socket. So poll, epoll, blocking,
//! signals, timeouts, `dup`, `fork`, `exec`, `SCM_RIGHTS`, stdio, `sendfile` and `kill -9` work
//! because the kernel does them, and the shim hooks only the calls that the kernel would answer
//! wrongly.
//!
//! **Identity is a name.** `socket()` binds the socket to the abstract name
//! `tcplab/UID/SESSION/4/ID` (see [`crate::ipc::names`]). `getsockname` on any descriptor then
//! tells whether it is ours and which one; no table in the process can be lost or go stale. The
//! first 16 bits of ID are a mark of the stack that the socket was made for. Sockets die with their
//! stack: the next one answers ENETDOWN for them, and does not take a bound one for fresh.
//!
//! **Fresh sockets have no peer**, so they poll OUT and HUP as a TCP socket does. The stack
//! learns of one when a request first names it. Nothing wakes the stack when such a socket is
//! closed; it finds out by trying to take the name, before it would report a conflict.
//!
//! **Plugging.** `connect()` and `listen()` connect the unix socket to one of the stack's doors;
//! `getpeername` then tells which, that is, whether the socket is a connection or a listener.
//! The first octets are a [`crate::ipc::record::Plug`]. From then on the stack sees reads,
//! writes, shutdown, close and death through the kernel.
//!
//! | TCP | on the unix socket | the program sees |
//! | --- | --- | --- |
//! | LISTEN, and SYN-SENT after `connect()` | filler fills a minimal send buffer | not writable |
//! | ESTABLISHED | stack reads the filler | OUT, and one edge |
//! | peer's FIN | stack does `shutdown(SHUT_WR)` | 0x2005; queued octets, then 0 |
//! | RST | stack closes its end, an octet of the program unread in it | 0x201d; queued octets, ECONNRESET once, then 0 |
//! | program closes | stack reads the rest, then 0 | |
//! | program closes, octets unread | stack reads the rest, then ECONNRESET: RST instead of FIN | |
//!
//! **The sentinel.** For the fifth row an octet of the program must lie unread in the stack's
//! end at any moment. So the stack leaves the newest octet in the kernel's queue: it takes it by
//! peeking, and skips it when more arrive.
//!
//! **accept()** receives a descriptor on the listening socket: one end of a pair that the stack
//! made. The shim answers with a plug on the new connection, so that the stack knows that, by
//! whom and where in the program it was accepted. A connection that hangs up without this plug
//! was never accepted, and is reset.
//!
//! # Control channel
//!
//! What the kernel socket cannot say is asked: one `SOCK_SEQPACKET` packet each way
//! ([`crate::ipc::message`]). The stack serves requests after everything that the kernel sockets
//! tell, so what one thread did before a request is seen before it is answered.
//!
//! # Call ring
//!
//! Reads and writes never reach the stack. What must be known of them, programs leave word of in a
//! piece of memory that the stack shares with all of them ([`crate::ipc::ring`]): end of file,
//! errors, failed accepts, closes, the descriptors that a program is started with; and while
//! somebody traces, every call. A writer may be a signal handler, or die between any two
//! instructions; the stack reads once a turn and is not woken. A program that is told 0 again and
//! again leaves word at powers of two and once a second, with the exact count. A read or write that
//! succeeds costs one load and one branch for it. Where the memory cannot be mapped, nothing is
//! told, and nothing else is different.
//!
//! `tcplab leaks` and `tcplab run --check` are made of this: rows of the stack, what programs did
//! last, and who holds the descriptors in `/proc`. Before a program ends that is run with
//! `--check`, its shim asks the stack, which answers when the command has looked.
//!
//! # What a short connection costs
//!
//! Waking a sleeping processor costs more than any system call of the stack, then come the
//! datagrams, then the number of the other calls. So:
//!
//! * Both sides look before they sleep: the stack for some microseconds while events come that
//!   fast, a program for the reply to its request. Both let others have the processor meanwhile,
//!   and neither does it for a while where that came back late: on a crowded machine a processor
//!   comes back sooner to who sleeps and is woken.
//! * A `connect()` that does not wait is told whether the handshake is over, as it mostly is on the
//!   loopback: then the socket is writable at once, as it is on Linux, without filler or wake-up.
//! * A datagram that is alone is sent and fetched alone, and without ancillary data where the kernel
//!   chooses the same source address; only several are fetched as a batch.
//! * What a program asks is answered by its own kernel socket where that knows: the second
//!   `connect()` of a connection that stands sees it writable, says 0, and leaves a mark there for
//!   the third.
//! * Ends whose programs are gone are closed when there is nothing else to do: up to Linux 6.18 a
//!   close makes the kernel look for garbage while any new connection is on its way to a program
//!   (SCM_RIGHTS).
//! * Nothing is watched, released or looked for again that does not matter yet: the program's
//!   reading only where the window stays closed without it, held octets only when they lie in many
//!   buffers.
//!
//! The segments are untouched by all this: what is acknowledged when is TCP's own matter.
//!
//! # The machine
//!
//! [`crate::tcp`] is one connection, [`crate::host`] one machine with its port space, both
//! without sockets, clock, threads or randomness of their own. `stack` gives them the time, the
//! programs and the wire. The same seed and the same inputs give the same segments.
//!
//! # The way between hosts
//!
//! Between the host and the wire is the [`crate::link`]: rules that name segments by meaning, and
//! impairments in the grammar of tc-netem(8). It is pure, too: a segment is offered and passes or
//! is kept, and what was kept comes out when its time has come. Nothing configured costs a branch.
//!
//! # Watching
//!
//! What happens is recorded ([`crate::trace`]): control events always, text and its acknowledgments
//! while somebody wants them. `tcplab trace` and `tcplab capture` read the recorder through a door
//! of their own ([`crate::inspect::watch`]), as fast as they can; what they miss is counted. The
//! stack tells facts, lines and packets are made of them in the command ([`crate::capture`]).
//!
//! # Wire
//!
//! A UDP payload is one complete TCP segment, real checksum included: what FreeBSD calls UDP
//! tunneling and Wireshark reads with `-d udp.port==9293,tcp`. Even two programs of one session
//! talk through real datagrams on the loopback interface.
//!
//! # Time
//!
//! The machine's time is the stack's own (`stack::clock`): `tcplab clock` puts it forward, makes it
//! faster, pauses it. It never passes a deadline that has not been served: the stack goes from one
//! to the next, does what is due, and exchanges segments until the wire is quiet, whether a second
//! of real time brings it there or one command an hour. The process's own housekeeping (when to
//! leave, when to look for sockets that were closed) goes by real time, and so do the programs.
