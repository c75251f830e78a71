//! Segments that are lost, late, or come twice: what passes on the wire, as an independent decoder
//! sees it, and what the other settings do. What the scenes of `tcplab demo` check is not repeated.

use crate::actor::Actor;
use crate::capture::{Capture, Segment, between, segments};
use crate::common::{Session, wait_for};
use crate::ground::{Ground, built, local};

/// The ground, where it is ours: the kernel's segments obey no rules.
fn laboratory(sysctls: &[(&str, &str)]) -> Option<Ground> {
    Ground::new(sysctls).filter(|ground| ground.session().is_some())
}

fn session(ground: &Ground) -> &Session {
    ground.session().expect("the laboratory is ours")
}

fn rule(ground: &Ground, text: &str) {
    session(ground).tcplab(["rule", "add", text]);
}

fn release(ground: &Ground) {
    session(ground).tcplab(["rule", "release"]);
}

fn clock(ground: &Ground, words: &[&str]) {
    session(ground).tcplab(["clock"].iter().chain(words).copied());
}

/// What passed after the mark.
fn passed(capture: Option<Capture>, mark: &str) -> Option<Vec<Segment>> {
    capture.map(|capture| segments(between(&capture.finish(), mark, None)))
}

fn flags(segments: &[Segment]) -> Vec<&str> {
    segments.iter().map(|segment| segment.flags.as_str()).collect()
}

/// S05: FIN and FIN, then ACK and ACK, each of the other's FIN.
#[test]
fn simultaneous_close() {
    let Some(ground) = laboratory(&[]) else { return };
    let capture = ground.capture();
    let mut pair = ground.pair();
    clock(&ground, &["pause"]);
    rule(&ground, "hold fin");
    pair.client.call("close c", "0");
    pair.server.call("close s", "0");
    pair.reach("FIN-WAIT-1", "FIN-WAIT-1");
    capture.iter().for_each(|capture| capture.mark("they cross"));
    release(&ground);
    pair.reach("TIME-WAIT", "TIME-WAIT");
    let Some(seen) = passed(capture, "they cross") else { return };
    assert_eq!(flags(&seen), ["FIN ACK", "FIN ACK", "ACK", "ACK"], "{seen:#?}");
    let [fins, acks] = [&seen[..2], &seen[2..]];
    for fin in fins {
        let ack = acks.iter().find(|ack| ack.from == fin.to).expect("one of each end");
        assert_eq!(ack.ack, fin.seq.wrapping_add(1), "{seen:#?}");
    }
}

/// The server's FIN once more: S06, S07. The wire does not carry what the rule dropped.
fn last_ack_is_lost(ground: &Ground) -> Option<Vec<Segment>> {
    let capture = ground.capture();
    let mut pair = ground.pair();
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    clock(ground, &["pause"]);
    rule(ground, "drop ack from client nth 1");
    capture.iter().for_each(|capture| capture.mark("the server closes"));
    pair.server.calls(&[("read s", "0"), ("close s", "0")]);
    wait_for("LAST-ACK", || pair.server_end().is_some_and(|end| end.row.state == "LAST-ACK"));
    clock(ground, &["advance", "1s"]);
    wait_for("the end of the server's side", || pair.server_end().is_none());
    let seen = passed(capture, "the server closes")?;
    let [fin, again, _] = seen.as_slice() else { panic!("not three segments: {seen:#?}") };
    let server = pair.server_at.port();
    assert_eq!((fin.from, again.from), (server, server));
    assert_eq!((fin.seq, again.seq), (fin.seq, fin.seq), "the same FIN");
    Some(seen)
}

/// S06: the FIN again, and its ACK.
#[test]
fn lost_last_ack() {
    let Some(ground) = laboratory(&[]) else { return };
    let Some(seen) = last_ack_is_lost(&ground) else { return };
    assert_eq!(flags(&seen), ["FIN ACK", "FIN ACK", "ACK"]);
    assert_eq!(seen[2].ack, seen[0].seq.wrapping_add(1));
    assert_eq!(ground.in_state("TIME-WAIT").len(), 1);
}

/// S07: the FIN again, and a RST with the number that the FIN acknowledges.
#[test]
fn no_time_wait() {
    let Some(ground) = laboratory(&[("net.tcplab.tcp_msl_ms", "0")]) else { return };
    let Some(seen) = last_ack_is_lost(&ground) else { return };
    assert_eq!(flags(&seen), ["FIN ACK", "FIN ACK", "RST"]);
    assert_eq!(seen[2].seq, seen[1].ack, "RFC 9293 3.10.7.1");
    assert_eq!(ground.sockets(), [], "no TIME-WAIT");
}

/// S08: with tcp_orphan_retries=2 it is over sooner.
#[test]
fn fin_never_acked() {
    let Some(ground) = laboratory(&[("net.ipv4.tcp_orphan_retries", "2")]) else { return };
    let mut pair = ground.pair();
    clock(&ground, &["pause"]);
    rule(&ground, "drop from server");
    let before = ground.counter("TcpRetransSegs");
    pair.client.call("close c", "0");
    pair.client.exit();
    pair.reach("FIN-WAIT-1", "CLOSE-WAIT");
    clock(&ground, &["advance", "30s"]);
    pair.reach("gone", "CLOSE-WAIT");
    let again = ground.counter("TcpRetransSegs") - before;
    assert!((2..=3).contains(&again), "sent again {again} times");
    assert_eq!(ground.counter("TcpExtTCPAbortOnTimeout"), 1);
}

/// S02: nothing is left, nothing was accepted, and why is counted.
#[test]
fn stale_syn() {
    let Some(ground) = laboratory(&[]) else { return };
    clock(&ground, &["pause"]);
    let (mut client, mut server) = (ground.actor(), ground.actor());
    let server_at = server.listen();
    rule(&ground, "hold syn");
    client.call("socket c", "0");
    client.begin(&format!("connect c {server_at}"));
    wait_for("the SYN", || ground.in_state("SYN-SENT").len() == 1);
    drop(client);
    wait_for("the end of the client", || ground.in_state("SYN-SENT").is_empty());
    let resets = ground.counter("TcpOutRsts");
    release(&ground);
    wait_for("the RST", || ground.counter("TcpOutRsts") == resets + 1);
    wait_for("LISTEN", || ground.sockets().len() == 1);
    let status = session(&ground).status();
    assert_eq!((status.tcbs, status.orphans, status.time_wait), (0, 0, 0), "{status:?}");
    assert_eq!(ground.counter("TcpPassiveOpens"), 0);
    assert_eq!(ground.counter("TcpExtEmbryonicRsts"), 1);
}

/// S10: the RST of a late FIN has the number that the FIN acknowledges.
#[test]
fn late_fin() {
    let Some(ground) = laboratory(&[]) else { return };
    let capture = ground.capture();
    let mut pair = ground.pair();
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    clock(&ground, &["pause"]);
    rule(&ground, "drop ack-of-fin from client");
    rule(&ground, "hold retransmission from server");
    pair.server.calls(&[("read s", "0"), ("shutdown s WR", "0")]);
    pair.reach("TIME-WAIT", "LAST-ACK");
    clock(&ground, &["advance", "60s"]);
    pair.reach("gone", "LAST-ACK");
    capture.iter().for_each(|capture| capture.mark("late"));
    session(&ground).tcplab(["rule", "release", "--count", "1"]);
    pair.reach("gone", "gone");
    let Some(seen) = passed(capture, "late") else { return };
    assert_eq!(flags(&seen), ["FIN ACK", "RST"]);
    assert_eq!(seen[1].seq, seen[0].ack);
}

/// Two connections on one 4-tuple, and a segment of the first that arrives in the second: what
/// the server's program reads there.
fn ghost(ground: &Ground) -> String {
    let (mut client, mut server) = (ground.actor(), ground.actor());
    let server_at = server.listen();
    let connect = |client: &mut Actor, server: &mut Actor| {
        client.calls(&[("socket c", "0"), (&format!("bind c {}", local(5000)), "0")]);
        client.call(&format!("connect c {server_at}"), "0");
        server.call("accept l s", "0");
    };
    connect(&mut client, &mut server);
    rule(ground, "copy data from client nth 1");
    client.call("write c old", "3");
    server.calls(&[("read s", "3 old"), ("close s", "0")]);
    client.calls(&[("read c", "0"), ("close c", "0")]);
    connect(&mut client, &mut server);
    let segments = ground.counter("TcpInSegs");
    release(ground);
    wait_for("the old segment", || ground.counter("TcpInSegs") > segments);
    client.calls(&[("write c new", "3"), ("shutdown c WR", "0")]);
    server.call("poll s RDHUP", "0x2000");
    server.ask("read s")
}

/// S11 without timestamps: the sequence number tells the old octets from the new ones.
#[test]
fn ghost_segment() {
    let Some(ground) = laboratory(&[("net.ipv4.tcp_timestamps", "0")]) else { return };
    assert_eq!(ghost(&ground), "3 new");
}

/// S12: without TIME-WAIT, too; only a colliding initial number does harm.
#[test]
fn ghost_corruption() {
    let mut sysctls = vec![("net.ipv4.tcp_timestamps", "0"), ("net.tcplab.tcp_msl_ms", "0")];
    let Some(ground) = laboratory(&sysctls) else { return };
    assert_eq!(ghost(&ground), "3 new");
    sysctls.push(("net.tcplab.isn", "4294967290"));
    let Some(ground) = laboratory(&sysctls) else { return };
    assert_eq!(ghost(&ground), "3 old");
}

/// S15: ACK of the old connection, RST with its number, SYN again.
#[test]
fn syn_into_last_ack() {
    let Some(ground) = laboratory(&[]) else { return };
    let capture = ground.capture();
    let (mut client, mut server) = (ground.actor(), ground.actor());
    let server_at = server.listen();
    let connect = format!("connect c {server_at}");
    let mine = ["socket c", "reuse c", &format!("bind c {}", local(5000))].map(String::from);
    mine.iter().for_each(|call| client.call(call, "0"));
    client.call(&connect, "0");
    server.call("accept l s", "0");
    client.call("close c", "0");
    server.call("read s", "0");
    clock(&ground, &["pause"]);
    rule(&ground, "drop ack-of-fin from client nth 1");
    server.call("close s", "0");
    wait_for("LAST-ACK", || ground.in_state("LAST-ACK").len() == 1);
    mine.iter().for_each(|call| client.call(call, "0"));
    capture.iter().for_each(|capture| capture.mark("by force"));
    client.begin(&connect);
    wait_for("the end of LAST-ACK", || ground.in_state("LAST-ACK").is_empty());
    clock(&ground, &["advance", "1s"]);
    client.returns("0");
    server.call("accept l s", "0");
    let Some(seen) = passed(capture, "by force") else { return };
    assert_eq!(flags(&seen), ["SYN", "ACK", "RST", "SYN", "SYN ACK", "ACK"], "{seen:#?}");
    assert_eq!(seen[2].seq, seen[1].ack, "RFC 9293 3.10.7.3");
    assert_eq!(seen[3].seq, seen[0].seq, "a SYN that is sent again has the same number");
}

/// S17: 2, the default, takes a TIME-WAIT over on the loopback interface; the age is a sysctl.
#[test]
fn tw_reuse() {
    let range = ("net.ipv4.ip_local_port_range", "40000 40000");
    let Some(ground) = laboratory(&[range, ("net.ipv4.tcp_tw_reuse_delay", "5000")]) else {
        return;
    };
    clock(&ground, &["pause"]);
    // Port 0 would be the only one that there is.
    let server = ground.spawn(built("examples/correct_server.c"), ["8080"]);
    let connect = format!("connect c {}", local(server.listening_port()));
    let mut client = ground.actor();
    client.calls(&[("socket c", "0"), (&connect, "0"), ("close c", "0"), ("socket c", "0")]);
    ground.await_count("TIME-WAIT", 1);
    client.call(&connect, "EADDRNOTAVAIL");
    clock(&ground, &["advance", "4900ms"]);
    client.call(&connect, "EADDRNOTAVAIL");
    clock(&ground, &["advance", "200ms"]);
    client.call(&connect, "0");
}

/// S18: the surplus is logged as the kernel does.
#[test]
fn tw_buckets() {
    let Some(ground) = laboratory(&[("net.ipv4.tcp_max_tw_buckets", "1")]) else { return };
    let server = ground.spawn(built("examples/correct_server.c"), ["0"]);
    let port = server.listening_port().to_string();
    ground.run(built("examples/connect_often.c"), [&port, "3"]);
    wait_for("the surplus", || ground.counter("TcpExtTCPTimeWaitOverflow") == 2);
    assert_eq!(ground.in_state("TIME-WAIT").len(), 1);
    let log = session(&ground).log();
    assert!(log.contains("time wait bucket table overflow"), "{log}");
}

/// S19: tcp_fin_timeout, to the tenth of a second.
#[test]
fn fin_timeout() {
    let Some(ground) = laboratory(&[("net.ipv4.tcp_fin_timeout", "10")]) else { return };
    let mut pair = ground.pair();
    clock(&ground, &["pause"]);
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    clock(&ground, &["advance", "9900ms"]);
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    clock(&ground, &["advance", "200ms"]);
    pair.reach("gone", "CLOSE-WAIT");
    // Octets for an end that is gone are answered by RST.
    pair.server.calls(&[("write s x", "1"), ("poll s nothing", "0x18"), ("close s", "0")]);
    pair.reach("gone", "gone");
}
