//! Octets and the end: every octet that is written before a FIN arrives, whoever closed what.

use std::time::Duration;

use crate::actor::Pair;
use crate::capture::{Capture, Segment, segments};
use crate::common::wait_for;
use crate::ground::{Ground, built};

const MIB: usize = 1 << 20;

/// S04: every octet that the server sends after the client's FIN arrives, then read() returns 0.
#[test]
fn half_close() {
    let Some(ground) = Ground::new(&[("net.tcplab.tcp_msl_ms", "500")]) else { return };
    let mut pair = ground.pair();
    pair.client.calls(&[("write c all,please", "10"), ("shutdown c WR", "0")]);
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    pair.client.call("write c more", "EPIPE SIGPIPE");
    pair.server.calls(&[("read s", "10 all,please"), ("read s", "0")]);
    pair.server.begin(&format!("write_pattern s {MIB}"));
    pair.client.call(&format!("read_pattern c {MIB}"), &MIB.to_string());
    pair.server.returns(&MIB.to_string());
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    pair.server.call("close s", "0");
    pair.client.calls(&[("read c", "0"), ("read c", "0")]);
    pair.reach("TIME-WAIT", "gone");
    pair.client.call("close c", "0");
}

/// S04 with the example programs, and what passes: no octet of the server is before the client's
/// FIN, all are after it.
#[test]
fn half_close_programs() {
    let Some(ground) = Ground::new(&[("net.tcplab.tcp_msl_ms", "2000")]) else { return };
    let capture = ground.capture();
    let server = ground.spawn(built("examples/bulk_server.c"), ["0", &MIB.to_string()]);
    let port = server.listening_port();
    let output = ground.run(built("examples/half_close_client.c"), [port.to_string()]);
    let expected = format!("received {MIB} octets after the FIN, then read() returned 0\n");
    assert_eq!(output, format!("FIN sent\n{expected}"));
    wait_for("the server's account", || {
        server.output().contains(&format!("read 12 octets and their end, then sent {MIB}\n"))
    });
    let time_wait = ground.await_count("TIME-WAIT", 1);
    assert_eq!(time_wait[0].row.peer.map(|peer| peer.port()), Some(port), "on the client's side");

    let Some(seen) = capture.map(Capture::finish) else { return };
    let all = segments(&seen);
    let fin = all.iter().position(|s| s.flags.contains("FIN") && s.to == port);
    let (before, after) = all.split_at(fin.expect("the client's FIN"));
    assert!(before.iter().all(|s| s.from != port || s.octets == 0), "{before:#?}");
    assert_eq!(octets_from(port, after), MIB);
    let last = all.iter().rfind(|s| s.from == port).expect("the server's segments");
    assert!(last.flags.contains("FIN"), "the server's FIN is its last segment: {last:?}");
}

/// What a program writes right before shutdown(SHUT_WR) is never overtaken by the FIN, however the
/// two race to the stack on their different ways.
#[test]
fn half_close_overtakes_no_octets() {
    let Some(ground) = Ground::new(&[("net.tcplab.tcp_msl_ms", "100")]) else { return };
    let server = ground.spawn(built("examples/closes_first.c"), ["0"]);
    let port = server.listening_port().to_string();
    let output = ground.run(built("tests/scenarios/fetch.c"), [&port, "2000", "42"]);
    assert_eq!(output, "all whole\n");
}

/// Octets from `port`, each counted once.
fn octets_from(port: u16, segments: &[Segment]) -> usize {
    let mut next = None;
    let mut total = 0;
    for segment in segments.iter().filter(|s| s.from == port && s.octets > 0) {
        let end = segment.seq.wrapping_add(u32::try_from(segment.octets).expect("below 64 KiB"));
        let new = end.wrapping_sub(next.unwrap_or(segment.seq)).cast_signed();
        if new > 0 {
            total += usize::try_from(new).expect("it is positive");
            next = Some(end);
        }
    }
    total
}

/// S22: 4 MiB to a slow reader, close(), exit: the stack delivers all of it, then the FIN.
#[test]
fn flush_before_fin() {
    let Some(ground) = Ground::new(&[("net.tcplab.tcp_msl_ms", "500")]) else { return };
    let total = 4 * MIB;
    let mut pair = Pair::with_small_buffers(&ground);
    let mut read = 0;
    pair.client.begin(&format!("write_pattern c {total}"));
    while pair.client.blocks_for(Duration::from_millis(20)) {
        let octets = pair.server.ask("read_pattern s 65536");
        assert_eq!(octets, "65536");
        read += 65536;
    }
    pair.client.returns(&total.to_string());
    pair.client.call("close c", "0");
    pair.client.exit();
    // The writer is dead; what it wrote is not.
    pair.reach("FIN-WAIT-1", "ESTAB");
    let end = pair.client_end().expect("it was there");
    assert!(end.row.send_q > 0, "octets on their way: {end:?}");
    if ground.session().is_some() {
        assert!(end.row.orphan && end.holders.is_empty(), "nobody holds it: {end:?}");
    }
    let rest = total - read;
    pair.server.call(&format!("read_pattern s {}", rest + 1), &rest.to_string());
    pair.server.calls(&[("read s", "0"), ("read s", "0"), ("close s", "0")]);
    pair.reach("TIME-WAIT", "gone");
}
