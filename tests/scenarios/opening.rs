//! How a connection begins.

use std::time::Duration;

use crate::actor::Actor;
use crate::capture::{Capture, Segment, between, segments};
use crate::ground::{Ground, local};

const CLIENT_PORT: u16 = 5000;
const SERVER_PORT: u16 = 8080;

/// The clock of the initial sequence numbers: one step in 64 ns, on Linux and here.
const STEPS_PER_SECOND: f64 = 1e9 / 64.0;
/// How far from the clock's time an ISN may be: it was chosen before the SYN was captured.
const CLOCK_TOLERANCE_S: f64 = 0.02;
/// Nearer than this no two unrelated numbers are (in one run out of a million).
const RELATED_STEPS: u32 = 2000;

/// S01: SYN(seq=x), SYN+ACK(seq=y, ack=x+1), ACK(ack=y+1). ISNs follow the clock on a 4-tuple, and
/// are unrelated between ends and between secrets (RFC 6528).
#[test]
fn three_way_handshake() {
    let Some(ground) = Ground::new(&[]) else { return };
    let capture = ground.capture();
    let mut server = ground.actor();
    let listen = format!("bind l {}", local(SERVER_PORT));
    server.calls(&[("socket l", "0"), (&listen, "0"), ("listen l", "0")]);
    connect_and_reset(&ground, &mut server, capture.as_ref(), "first");
    // The clock moves on.
    std::thread::sleep(Duration::from_millis(200));
    connect_and_reset(&ground, &mut server, capture.as_ref(), "second");
    let Some(seen) = capture.map(Capture::finish) else { return };
    let first = check_handshake(&segments(between(&seen, "first", Some("second"))));
    let second = check_handshake(&segments(between(&seen, "second", None)));
    for (earlier, later) in [(&first.0, &second.0), (&first.1, &second.1)] {
        let off = steps_off(earlier, later);
        let tolerance = (CLOCK_TOLERANCE_S * STEPS_PER_SECOND) as u32;
        assert!(off < tolerance, "{off} steps off the clock: {earlier:?} {later:?}");
    }
    for (syn, syn_ack) in [&first, &second] {
        assert!(steps_off(syn, syn_ack) > RELATED_STEPS, "related: {syn:?} {syn_ack:?}");
    }
    if ground.session().is_some() {
        another_secret(&first);
    }
}

/// The same 4-tuple in another session, which has another secret: the clock does not help to guess
/// its ISNs from those of the first.
fn another_secret(first: &(Segment, Segment)) {
    let Some(ground) = Ground::new(&[]) else { return };
    let Some(capture) = ground.capture() else { return };
    let mut server = ground.actor();
    let listen = format!("bind l {}", local(SERVER_PORT));
    server.calls(&[("socket l", "0"), (&listen, "0"), ("listen l", "0")]);
    connect_and_reset(&ground, &mut server, Some(&capture), "other");
    let seen = capture.finish();
    let other = check_handshake(&segments(between(&seen, "other", None)));
    assert!(steps_off(&first.0, &other.0) > RELATED_STEPS, "{first:?} {other:?}");
    assert!(steps_off(&first.1, &other.1) > RELATED_STEPS, "{first:?} {other:?}");
}

/// How far the ISN of `later` is from the ISN of `earlier` plus the time between them.
fn steps_off(earlier: &Segment, later: &Segment) -> u32 {
    let steps = ((later.at - earlier.at) * STEPS_PER_SECOND) as u64 as u32;
    let off = later.seq.wrapping_sub(earlier.seq).wrapping_sub(steps);
    off.cast_signed().unsigned_abs()
}

/// One connection on the 4-tuple, ended by a RST so that the 4-tuple is free again.
fn connect_and_reset(ground: &Ground, server: &mut Actor, capture: Option<&Capture>, mark: &str) {
    const COUNTERS: [&str; 5] =
        ["TcpActiveOpens", "TcpPassiveOpens", "TcpOutSegs", "TcpInSegs", "TcpRetransSegs"];
    let count = || COUNTERS.map(|name| ground.counter(name));
    let (client_at, server_at) = (local(CLIENT_PORT), local(SERVER_PORT));
    let mut client = ground.actor();
    let bind = format!("bind c {client_at}");
    client.calls(&[("socket c", "0"), (&bind, "0")]);
    if let Some(capture) = capture {
        capture.mark(mark);
    }
    let before = count();
    client.call(&format!("connect c {server_at}"), "0");
    server.call("accept l s", "0");
    let ends = [(client_at, server_at), (server_at, client_at)];
    let states = ends.map(|(here, there)| ground.socket(here, Some(there)).map(|s| s.row.state));
    assert_eq!(states, [Some("ESTAB".into()), Some("ESTAB".into())]);
    let after = count();
    let difference: Vec<u64> = before.iter().zip(after).map(|(b, a)| a - b).collect();
    assert_eq!(difference, [1, 1, 3, 3, 0], "{COUNTERS:?}: three segments, none of them twice");
    client.calls(&[("linger c 1 0", "0"), ("close c", "0")]);
    server.calls(&[("read s", "ECONNRESET"), ("close s", "0")]);
}

/// Checks the first three segments; the SYN and the SYN ACK.
fn check_handshake(segments: &[Segment]) -> (Segment, Segment) {
    let [syn, syn_ack, ack, ..] = segments else { panic!("too few: {segments:#?}") };
    let flags = [syn, syn_ack, ack].map(|segment| segment.flags.as_str());
    assert_eq!(flags, ["SYN", "SYN ACK", "ACK"]);
    let ports = [syn, syn_ack, ack].map(|segment| (segment.from, segment.to));
    let (there, back) = ((CLIENT_PORT, SERVER_PORT), (SERVER_PORT, CLIENT_PORT));
    assert_eq!(ports, [there, back, there]);
    let (x, y) = (syn.seq, syn_ack.seq);
    assert_eq!(syn_ack.ack, x.wrapping_add(1), "the SYN has a number of its own");
    assert_eq!((ack.seq, ack.ack), (x.wrapping_add(1), y.wrapping_add(1)));
    assert_eq!([syn.octets, syn_ack.octets, ack.octets], [0; 3]);
    (syn.clone(), syn_ack.clone())
}
