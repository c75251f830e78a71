//! What programs see at the end, call by call; and the ends that are not regular.

use std::time::{Duration, Instant};

use crate::actor::Pair;
use crate::capture::{Capture, between, segments};
use crate::common::wait_for;
use crate::ground::Ground;

/// `poll` for RDHUP after a RST: RDHUP, and ERR and HUP, which nobody need ask for.
const RESET: &str = "0x2018";

/// S23: SO_LINGER {1,0}: close() sends RST; nothing stays, no TIME-WAIT.
#[test]
fn linger_zero_resets() {
    let Some(ground) = Ground::new(&[]) else { return };
    let capture = ground.capture();
    let mut pair = ground.pair();
    pair.client.call("linger c 1 0", "0");
    aborts(&mut pair, capture, "TcpExtTCPAbortOnData");
}

/// S23: close() with octets that the program has not read: RST instead of FIN, no TIME-WAIT.
#[test]
fn linger_unread_data_resets() {
    let Some(ground) = Ground::new(&[]) else { return };
    let capture = ground.capture();
    let mut pair = ground.pair();
    pair.server.call("write s unread", "6");
    pair.client.call("poll c IN", "0x1");
    wait_for("the acknowledgment of what nobody reads", || {
        pair.server_end().is_some_and(|socket| socket.row.send_q == 0)
    });
    aborts(&mut pair, capture, "TcpExtTCPAbortOnClose");
}

/// The client closes: RST, no FIN, no TIME-WAIT, and why is counted.
fn aborts(pair: &mut Pair<'_>, capture: Option<Capture>, counter: &str) {
    let ground = pair.ground();
    capture.iter().for_each(|capture| capture.mark("close"));
    let count = || [counter, "TcpOutRsts"].map(|name| ground.counter(name));
    let before = count();
    pair.client.call("close c", "0");
    pair.server.calls(&[
        ("poll s RDHUP", RESET),
        ("read s", "ECONNRESET"),
        ("read s", "0"),
        ("close s", "0"),
    ]);
    pair.reach("gone", "gone");
    assert_eq!(ground.in_state("TIME-WAIT").len(), 0);
    assert_eq!(count(), before.map(|number| number + 1), "{counter}, TcpOutRsts");
    let Some(seen) = capture.map(Capture::finish) else { return };
    let segments = segments(between(&seen, "close", None));
    // A delayed acknowledgment of what was sent before may come first.
    let sent: Vec<_> = segments.iter().filter(|segment| segment.flags != "ACK").collect();
    let flags: Vec<&str> = sent.iter().map(|segment| segment.flags.as_str()).collect();
    assert_eq!(flags, ["RST ACK"]);
    assert_eq!(sent[0].from, pair.client_at.port());
}

/// S23: SO_LINGER {1,n}: close() blocks until the peer has acknowledged all.
#[test]
fn linger_seconds_wait_for_the_acknowledgment() {
    let Some(ground) = Ground::new(&[("net.tcplab.tcp_msl_ms", "500")]) else { return };
    let mut pair = Pair::with_small_buffers(&ground);
    pair.client.call("linger c 1 60", "0");
    let octets = pair.client.ask("write_what_fits c 100000000");
    pair.client.begin("close c");
    assert!(pair.client.blocks_for(Duration::from_millis(300)), "nothing is acknowledged yet");
    pair.reach("FIN-WAIT-1", "ESTAB");
    pair.server.calls(&[(&format!("read_pattern s {octets}"), &octets), ("read s", "0")]);
    // Long before n seconds are over: the deadline of an answer is shorter.
    pair.client.returns("0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
}

/// S23: SO_LINGER {1,n}: after n seconds close() returns; the stack goes on.
#[test]
fn linger_seconds_are_over() {
    let Some(ground) = Ground::new(&[("net.tcplab.tcp_msl_ms", "500")]) else { return };
    let mut pair = Pair::with_small_buffers(&ground);
    pair.client.call("linger c 1 1", "0");
    let octets = pair.client.ask("write_what_fits c 100000000");
    let since = Instant::now();
    pair.client.call("close c", "0");
    let blocked = since.elapsed();
    assert!(blocked >= Duration::from_secs(1), "{blocked:?}");
    pair.reach("FIN-WAIT-1", "ESTAB");
    pair.server.calls(&[(&format!("read_pattern s {octets}"), &octets), ("read s", "0")]);
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
}

/// S26: after the peer's FIN: read() is 0 again and again, write() works.
#[test]
fn read_write_after_fin() {
    let Some(ground) = Ground::new(&[]) else { return };
    let mut pair = ground.pair();
    pair.server.calls(&[("write s last", "4"), ("shutdown s WR", "0")]);
    pair.client.calls(&[
        ("poll c RDHUP", "0x2000"),
        ("read c 2", "2 la"),
        ("read c 2", "2 st"),
        ("read c", "0"),
        ("read c", "0"),
        ("write c hello", "5"),
        ("read c", "0"),
        ("write c again", "5"),
        ("poll c IN", "0x1"),
        ("read c", "0"),
    ]);
    pair.server.call("read_pattern s 0", "0");
    let mut heard = String::new();
    while heard.len() < 10 {
        let answer = pair.server.ask("read s");
        heard += answer.split_once(' ').expect("octets").1;
    }
    assert_eq!(heard, "helloagain");
    pair.reach("CLOSE-WAIT", "FIN-WAIT-2");
}

/// S26: after a RST, reading first: what is queued, ECONNRESET once, then 0; then EPIPE.
#[test]
fn read_write_after_reset_reading_first() {
    let Some(ground) = Ground::new(&[]) else { return };
    let mut pair = reset_with_queued_octets(&ground);
    pair.client.calls(&[
        ("read c 3", "3 que"),
        ("read c 100", "3 ued"),
        ("read c 100", "ECONNRESET"),
        ("read c 100", "0"),
        ("read c 100", "0"),
        ("write c x", "EPIPE SIGPIPE"),
        ("write c x", "EPIPE SIGPIPE"),
        ("read c 100", "0"),
        ("close c", "0"),
    ]);
}

/// S26: after a RST, writing first: ECONNRESET once, then EPIPE and SIGPIPE; the queue stays.
#[test]
fn read_write_after_reset_writing_first() {
    let Some(ground) = Ground::new(&[]) else { return };
    let mut pair = reset_with_queued_octets(&ground);
    pair.client.calls(&[
        ("write c x", "ECONNRESET"),
        ("write c x", "EPIPE SIGPIPE"),
        ("read c 100", "6 queued"),
        ("read c 100", "0"),
        ("write c x", "EPIPE SIGPIPE"),
        ("close c", "0"),
    ]);
}

/// The server has sent six octets and a RST.
fn reset_with_queued_octets(ground: &Ground) -> Pair<'_> {
    let mut pair = ground.pair();
    pair.server.call("write s queued", "6");
    pair.client.call("poll c IN", "0x1");
    pair.server.calls(&[("linger s 1 0", "0"), ("close s", "0")]);
    pair.client.call("poll c RDHUP", RESET);
    pair
}

/// S26: after the own FIN: writing is EPIPE and SIGPIPE, reading goes on.
#[test]
fn read_write_after_own_shutdown() {
    let Some(ground) = Ground::new(&[]) else { return };
    let mut pair = ground.pair();
    pair.client.calls(&[
        ("shutdown c WR", "0"),
        ("write c x", "EPIPE SIGPIPE"),
        ("write c x", "EPIPE SIGPIPE"),
    ]);
    pair.server.calls(&[("read s", "0"), ("write s answer", "6")]);
    pair.client.calls(&[("read c", "6 answer"), ("write c x", "EPIPE SIGPIPE")]);
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
}

/// S26: after the own close(): EBADF, whatever is called.
#[test]
fn read_write_after_own_close() {
    let Some(ground) = Ground::new(&[]) else { return };
    let mut pair = ground.pair();
    pair.client.calls(&[
        ("close c", "0"),
        ("read c", "EBADF"),
        ("write c x", "EBADF"),
        ("shutdown c WR", "EBADF"),
        ("name c", "EBADF"),
        ("listen c", "EBADF"),
        ("close c", "EBADF"),
    ]);
    // Octets for a program that is gone: RST (RFC 9293 3.6.1), and the peer gets to know.
    pair.server.calls(&[
        ("read s", "0"),
        ("write s x", "1"),
        ("poll s nothing", "0x18"),
        ("write s x", "EPIPE SIGPIPE"),
    ]);
    pair.reach("gone", "gone");
}
