//! How a connection ends, in the regular way.

use tcplab::inspect::Side;

use crate::actor::Pair;
use crate::capture::{Capture, Segment, between, segments};
use crate::ground::Ground;

/// S03: FIN, ACK, FIN, ACK as four segments, each state after the call that leads to it.
#[test]
fn four_way_close() {
    let Some(ground) = Ground::new(&[("net.tcplab.tcp_msl_ms", "2000")]) else { return };
    let capture = ground.capture();
    let mark = |what: &str| capture.iter().for_each(|capture| capture.mark(what));
    let mut pair = ground.pair();

    mark("the client closes");
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    pair.server.calls(&[("poll s RDHUP", "0x2000"), ("read s", "0")]);
    // The server works for a while: nothing changes however long it takes.
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    closed_first_is(&pair, [Some(Side::Local), Some(Side::Peer)]);

    mark("the server closes");
    pair.server.call("close s", "0");
    pair.reach("TIME-WAIT", "gone");
    closed_first_is(&pair, [Some(Side::Local), None]);
    check_transitions(&pair);

    let Some(seen) = capture.map(Capture::finish) else { return };
    let (client, server) = (pair.client_at.port(), pair.server_at.port());
    let first = segments(between(&seen, "the client closes", Some("the server closes")));
    check_fin_and_ack(&first, client, server);
    let second = segments(between(&seen, "the server closes", None));
    check_fin_and_ack(&second, server, client);
}

/// Who closed first, for the client's and the server's end; the kernel does not know.
fn closed_first_is(pair: &Pair<'_>, expected: [Option<Side>; 2]) {
    if pair.ground().session().is_some() {
        let sides = [pair.client_end(), pair.server_end()];
        assert_eq!(sides.map(|end| end.and_then(|socket| socket.row.closed_first)), expected);
    }
}

/// Exactly a FIN and its acknowledgment.
fn check_fin_and_ack(segments: &[Segment], from: u16, to: u16) {
    let [fin, ack] = segments else { panic!("not two segments: {segments:#?}") };
    assert_eq!([(fin.from, fin.to), (ack.from, ack.to)], [(from, to), (to, from)]);
    assert_eq!([fin.flags.as_str(), ack.flags.as_str()], ["FIN ACK", "ACK"]);
    assert_eq!(ack.ack, fin.seq.wrapping_add(1), "the FIN has a number of its own");
}

/// Every transition of both ends in the log of the stack, with its cause.
fn check_transitions(pair: &Pair<'_>) {
    let Some(session) = pair.ground().session() else { return };
    let log = session.log();
    let of = |local, remote| -> Vec<String> {
        let tuple = format!("local: {local}, remote: {remote}");
        let lines = log.lines().filter(|line| line.contains(&tuple));
        lines.filter_map(transition).collect()
    };
    assert_eq!(
        of(pair.client_at, pair.server_at),
        [
            "UNCONN -> SYN-SENT: Open",
            "SYN-SENT -> ESTAB: Segment(SYN,ACK)",
            "ESTAB -> FIN-WAIT-1: Close",
            "FIN-WAIT-1 -> FIN-WAIT-2: Segment(ACK)",
            "FIN-WAIT-2 -> TIME-WAIT: Segment(FIN,ACK)",
        ]
    );
    assert_eq!(
        of(pair.server_at, pair.client_at),
        [
            "LISTEN -> SYN-RECV: Segment(SYN)",
            "SYN-RECV -> ESTAB: Segment(ACK)",
            "ESTAB -> CLOSE-WAIT: Segment(FIN,ACK)",
            "CLOSE-WAIT -> LAST-ACK: Close",
            "LAST-ACK -> UNCONN: Segment(ACK)",
        ]
    );
}

fn transition(line: &str) -> Option<String> {
    let field = |name: &str| {
        let rest = line.split_once(name)?.1;
        rest.split(' ').next()
    };
    Some(format!("{} -> {}: {}", field(" from=")?, field(" to=")?, field(" cause=")?))
}

/// S03: the two states that pass too quickly to be seen, held by a receiver that does not read:
/// a FIN comes after all octets.
#[test]
fn four_way_close_slowly() {
    let Some(ground) = Ground::new(&[("net.tcplab.tcp_msl_ms", "500")]) else { return };
    let mut pair = Pair::with_small_buffers(&ground);
    let octets = pair.client.ask("write_what_fits c 100000000");
    pair.client.call("shutdown c WR", "0");
    pair.reach("FIN-WAIT-1", "ESTAB");
    pair.server.calls(&[(&format!("read_pattern s {octets}"), &octets), ("read s", "0")]);
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");

    let octets = pair.server.ask("write_what_fits s 100000000");
    pair.server.call("close s", "0");
    pair.reach("FIN-WAIT-2", "LAST-ACK");
    pair.client.calls(&[(&format!("read_pattern c {octets}"), &octets), ("read c", "0")]);
    pair.reach("TIME-WAIT", "gone");
}
