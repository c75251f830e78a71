//! The life of a connection, typed in and looked at: handshake, teardown, TIME-WAIT, CLOSE-WAIT.
//!
//! You know `socket()`, `connect()` and `read()`. This chapter shows what TCP does behind them.
//! Every picture is what the commands print; process numbers, ephemeral ports and times will
//! differ. Long output is shortened. Each part has a scene that plays by itself and checks what it
//! shows: `tcplab demo NAME`.
//!
//! # Before you begin
//!
//! Build with `cargo build --release`, put `target/release` into `PATH`, and compile the programs.
//! They are ordinary C programs, which know nothing of tcplab:
//!
//! ```text
//! $ for p in correct_server closes_first leak_never_closes leak_ignores_eof client; do
//! >   cc -pthread -o $p examples/$p.c; done
//! $ tcplab up               # a TCP of your own, until `tcplab down`
//! $ tcplab trace on         # remember data, too; SYN, FIN and RST always are
//! ```
//!
//! # 1. The handshake
//!
//! Scene: `tcplab demo three-way-handshake`.
//!
//! ```text
//! $ tcplab run -- ./correct_server 8080 &
//! listening on 8080
//! $ tcplab run -- ./client 8080 hello
//! hello
//! received 6 octets
//! $ tcplab diagram --width 80
//!       client       client's TCP                       server's TCP   correct_se~
//!       pid 27590   127.0.0.1:51062                    127.0.0.1:8080    pid 27581
//!     0 │                  ┊                                  ┊< bind(:8080) = 0 │
//! 108µs │                  ┊                                  ┊<── listen(4096) ─│
//! 228µs │                  ┊                                  │ LISTEN           │
//!  15ms │─ connect(:8080) >┊                                  │                  │
//!       ┃         SYN-SENT │─ SYN seq=0 mss=65487 ───────────>│ SYN-RECEIVED     │
//!       ┃      ESTABLISHED │<─ SYN,ACK seq=0 ack=1 mss=65487 ─│                  │
//!       │<─ connect() = 0 ─│                                  │                  │
//!       │                  │─ ACK seq=1 ack=1 ───────────────>│ ESTABLISHED      │
//!  16ms │                  │                                  │─ accept() = 4 ──>│
//! ```
//!
//! Four columns: two programs and, between them, their TCPs. A thick line is a program that waits
//! in a call. A dotted line is a TCP that has no record of the connection.
//!
//! Every octet has a number, and each side picks its own first number. (The picture counts from 0;
//! the wire does not.) "Mine begins at x" and "I know that yours begins at x" must be said in both
//! directions: four statements. The middle two share a segment, SYN+ACK, so there are three
//! segments.
//!
//! Look at who does what. The two TCPs make the connection; `accept()` only picks it up.
//!
//! **Why not two?** Because a SYN can be late. It gets stuck in the network, its client gives up,
//! and then it arrives. `tcplab demo stale-syn` holds one back (`tcplab rule add 'hold syn nth 1'`)
//! and lets it go a minute later (`tcplab rule release 1`):
//!
//! ```text
//!   60s ════════════════════════════ rule 1 released ═════╲═══════════════════════
//!       │                  ┊                               ╲─>│ SYN-RECEIVED     │
//!       │                  ┊×─ SYN,ACK seq=0 ack=1 mss=65487 ─│                  │
//!       │                  ┊─ RST seq=1 (no listener) ───────>│ CLOSED           │
//! ```
//!
//! The server answers, the client's TCP knows of no such connection and says so: RST. The server's
//! program has noticed nothing. With two steps it would have been given a connection to nobody.
//!
//! # 2. The teardown
//!
//! Scenes: `tcplab demo four-way-close`, `half-close`, `simultaneous-close`. The same picture goes
//! on:
//!
//! ```text
//!       │─ shutdown(WR) ──>│                                  │                  ┃
//!       │       FIN-WAIT-1 │─ FIN,ACK seq=7 ack=7 ───────────>│ CLOSE-WAIT       ┃
//!       │       FIN-WAIT-2 │<─────────────── ACK seq=7 ack=8 ─│                  ┃
//!  17ms │─ read(3, 65536) >│                                  │                  ┃
//!       ┃                  │                                  │─ read() = 0 ────>│
//!       ┃                  │                                  │<── close(4) = 0 ─│
//!       ┃        TIME-WAIT │<─────────── FIN,ACK seq=7 ack=8 ─│ LAST-ACK         │
//!       ┃                  │─ ACK seq=8 ack=8 ───────────────>│ CLOSED           │
//!       │<──── read() = 0 ─│                                  ┊                  │
//!       │─ close(3) = 0 ──>│                                  ┊                  │
//! ```
//!
//! A connection is two directions, and each is closed by its own FIN. A FIN is a promise: "no more
//! octets from me". It is not "I no longer listen". Between the FINs the server may still send, and
//! the client must still receive: half-close.
//!
//! TCP acknowledges the FIN by itself. It cannot send its own FIN, because only the program knows
//! whether it has more to say. So ACK and FIN are two segments, and the close has four. Where the
//! ACK is delayed and the program closes at once, one segment can carry both; then there are three.
//!
//! For the server's program the client's FIN is `read() = 0`. It is no error and no "try again". It
//! will be 0 for ever, and the answer to it is, sooner or later, `close()`.
//!
//! # 3. TIME-WAIT
//!
//! Scenes: `tcplab demo lost-last-ack`, `no-time-wait`, `ghost-segment`, `ghost-corruption`,
//! `time-wait-expires`, `late-fin`.
//!
//! ```text
//! $ tcplab ss -tano
//! State     Recv-Q Send-Q Local Address:Port  Peer Address:Port Process
//! LISTEN    0      4096       127.0.0.1:8080       0.0.0.0:*
//! TIME-WAIT 0      0          127.0.0.1:51062    127.0.0.1:8080 timer:(timewait,59sec,0)
//! ```
//!
//! The client has ended. Its end of the connection is still there, held by nobody, for 60 s. Who
//! sends the first FIN has the TIME-WAIT. (If the FINs cross, both have one.)
//!
//! **First reason: the last ACK can get lost.** Let us lose it:
//!
//! ```text
//! $ tcplab rule add drop ack-of-fin from client nth 1
//! $ tcplab run -- ./client 8080 hello
//! $ tcplab diagram --width 80
//!       │        TIME-WAIT │<─────────── FIN,ACK seq=7 ack=8 ─│ LAST-ACK         │
//!       │                  │─ ACK seq=8 ack=8 ──× rule 1      │                  │
//!  26ms │<─── read(3) = 0 ─│                                  │                  │
//!       │─ close(3) = 0 ──>│                                  │                  │
//!       │                  │ ··· 199 ms (retransmission) ···  │                  │
//! 225ms │      (2MSL anew) │<───── FIN,ACK seq=7 ack=8 again ─│ (retransmit 1)   │
//!       │                  │─ ACK seq=8 ack=8 ───────────────>│ CLOSED           │
//! 261ms │  still TIME-WAIT │                                  ┊                  │
//! ```
//!
//! The server sends its FIN again, TIME-WAIT answers it and starts its 60 s afresh. That cannot go
//! on for ever: the server gives up after some retransmissions (`tcplab demo fin-never-acked`).
//! Without TIME-WAIT the FIN would meet nobody and get RST: `tcplab demo no-time-wait`.
//!
//! **Second reason: data can be late.** A segment of this connection may still be on its way. If a
//! new connection had the same two addresses and ports, it could take the old octets for its own.
//! `tcplab demo ghost-corruption` switches off everything that prevents it, and shows a program
//! that reads the old octets.
//!
//! **The end.** After 60 s nothing of the connection is left, and nothing is sent. You need not
//! wait:
//!
//! ```text
//! $ tcplab clock advance 60s
//! stack time 1m0.63343s, running at 1x, no timer runs
//! ```
//!
//! # 4. TIME-WAIT on a server: "Address already in use"
//!
//! Scenes: `tcplab demo restart-eaddrinuse`, `server-closes-first`. This server closes first, once,
//! and ends:
//!
//! ```text
//! $ tcplab run -- ./closes_first -1 8081 &
//! listening on 8081
//! $ tcplab run -- ./client -e 8081 GET
//! HTTP/1.0 200 OK
//! received 42 octets
//! $ tcplab run -- ./closes_first -1 8081
//! bind: Address already in use
//! $ tcplab why bind :8081
//! bind 0.0.0.0:8081 fails with EADDRINUSE: a closed connection is in TIME-WAIT for 59.7s
//!
//!   STATE      LOCAL           PEER             REUSEADDR  HELD BY
//!   TIME-WAIT  127.0.0.1:8081  127.0.0.1:37328  no         nobody, over in 59.7s
//!
//!   - Neither the old socket nor this one has SO_REUSEADDR, and Linux asks it of
//!     both: set it in the server, always and before bind(); it helps from the
//!     next restart on.
//!   - Or wait for 59.7s: `tcplab clock advance 60s` does it at once.
//! ```
//!
//! The process is dead, the port is not free. `closes_first -r` sets SO_REUSEADDR.
//!
//! TIME-WAIT costs a server that listens no further port: all of them have the port it listens on.
//! It is the side that *connects* which runs out: each of its TIME-WAITs has an ephemeral port, and
//! then `connect()` fails with "Cannot assign requested address" (EADDRNOTAVAIL). See `tcplab demo
//! port-exhaustion`, `tw-reuse`, `proxy-502`, and the chapter [`super::corrections`].
//!
//! # 5. CLOSE-WAIT: the server forgets close()
//!
//! Scene: `tcplab demo close-wait-leak`. This server reads the 0, leaves its loop, and forgets:
//!
//! ```text
//! $ tcplab run -- ./leak_never_closes 8082 &
//! $ tcplab run -- ./client -c 8082 hello
//! $ tcplab run -- ./client -c 8082 hello
//! $ tcplab clock advance 1h
//! $ tcplab ss -tanp
//! State      Recv-Q Send-Q Local Address:Port Peer Address:Port  Process
//! LISTEN     0      4096       127.0.0.1:8082      0.0.0.0:*     users:(("leak_never_clos",pid=27831,fd=3))
//! CLOSE-WAIT 0      0          127.0.0.1:8082    127.0.0.1:35530 users:(("leak_never_clos",pid=27831,fd=4))
//! CLOSE-WAIT 0      0          127.0.0.1:8082    127.0.0.1:35540 users:(("leak_never_clos",pid=27831,fd=5))
//! ```
//!
//! An hour later they are still there. No timer ends CLOSE-WAIT: it waits for the program. (The
//! clients are gone. They had closed, so their FIN-WAIT-2 ended after `tcp_fin_timeout`, 60 s.) Who
//! was it?
//!
//! ```text
//! $ tcplab leaks
//! leak_never_closes (pid 27831) fd 4: 127.0.0.1:8082 - 127.0.0.1:35530 in CLOSE-WAIT for 1h: read the end and never closed; accepted at main (leak_never_closes+0x159c)
//! leak_never_closes (pid 27831) fd 5: 127.0.0.1:8082 - 127.0.0.1:35540 in CLOSE-WAIT for 1h: read the end and never closed; accepted at main (leak_never_closes+0x159c)
//! ```
//!
//! The other well-known bug takes 0 for "nothing yet" and reads on. `leaks` tells the two apart:
//!
//! ```text
//! $ tcplab run -- ./leak_ignores_eof 8083 &
//! $ tcplab run -- ./client -c 8083 hello
//! $ tcplab clock advance 2s; tcplab leaks
//! leak_ignores_eof (pid 27948) fd 4: 127.0.0.1:8083 - 127.0.0.1:56884 in CLOSE-WAIT for 2s: read 0 3 times and went on; accepted at main (leak_ignores_eof+0x15d7)
//! ```
//!
//! The exit status is 1 when there are leaks, so a build can fail for it.
//!
//! # Where to go from here
//!
//! `tcplab demo --list` has all the scenes, [`super::recipes`] has failures as one meets them, and
//! every command explains itself with `--help`. `tcplab down` ends the session.
