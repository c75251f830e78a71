//! `tcplab netem` and `tcplab rule`: what they do to unmodified programs, and that every step of
//! the scenarios can be made with them.

use std::process::Output;

use serde_json::Value;
use tcplab::inspect::RuleRow;

use crate::actor::Pair;
use crate::common::{Session, wait_for};
use crate::ground::Ground;

fn ground(sysctls: &[(&str, &str)]) -> Ground {
    Ground::Shim(Session::traced(sysctls))
}

fn session(ground: &Ground) -> &Session {
    ground.session().expect("the ground is the shim's")
}

fn tcplab(ground: &Ground, line: &str) -> String {
    session(ground).tcplab(line.split_whitespace())
}

fn rules(ground: &Ground) -> Vec<RuleRow> {
    let text = tcplab(ground, "rule list --json");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("rule list --json: {e}: {text}"))
}

fn hits(ground: &Ground) -> u64 {
    rules(ground).iter().map(|rule| rule.hits).sum()
}

fn held(ground: &Ground) -> u64 {
    rules(ground).iter().map(|rule| rule.held).sum()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Smoothed round-trip time of the client's end in milliseconds.
fn srtt_ms(pair: &Pair<'_>) -> f64 {
    let info = pair.client_end().expect("the client is connected").row.info;
    let rtt = info.split(' ').find_map(|word| word.strip_prefix("rtt:"));
    let srtt = rtt.and_then(|rtt| rtt.split('/').next()).and_then(|srtt| srtt.parse().ok());
    srtt.unwrap_or_else(|| panic!("no rtt: {info}"))
}

fn echo(pair: &mut Pair<'_>) {
    pair.client.call("write c x", "1");
    pair.server.call("read s", "1 x");
    pair.server.call("write s y", "1");
    pair.client.call("read c", "1 y");
}

#[test]
fn a_delay_is_seen_in_the_round_trip_time_and_can_be_changed_while_connections_live() {
    let ground = ground(&[]);
    tcplab(&ground, "netem add dev lo root netem delay 60ms");
    let mut pair = ground.pair();
    assert!(srtt_ms(&pair) >= 120.0, "{}", srtt_ms(&pair));
    tcplab(&ground, "netem change delay 1ms");
    wait_for("the round trip time to follow", || {
        echo(&mut pair);
        srtt_ms(&pair) < 60.0
    });
    tcplab(&ground, "netem replace from server delay 30ms");
    wait_for("the round trip time to follow", || {
        echo(&mut pair);
        srtt_ms(&pair) >= 20.0
    });
    tcplab(&ground, "netem del all");
    assert_eq!(tcplab(&ground, "netem show"), "");
    echo(&mut pair);
}

#[test]
fn impairments_are_shown_as_tc_shows_them() {
    let ground = ground(&[]);
    tcplab(&ground, "netem add root netem delay 100ms 10ms 25% loss 1% seed 7");
    tcplab(&ground, "netem add from server port 80 rate 1mbit -14 seed 8");
    assert_eq!(
        tcplab(&ground, "netem show dev lo"),
        "qdisc netem 8001: dev lo root limit 1000 delay 100ms  10ms 25% loss 1% seed 7\n\
         qdisc netem 8002: dev lo root from server port 80 limit 1000 rate 1Mbit \
         packetoverhead -14 seed 8\n"
    );
    let statistics = tcplab(&ground, "netem -s");
    assert!(statistics.contains("Sent 0 bytes 0 pkt (dropped 0, overlimits 0"), "{statistics}");
    let json: Value = serde_json::from_str(&tcplab(&ground, "netem --json")).unwrap();
    assert_eq!(json[1]["scope"], " from server port 80");
    tcplab(&ground, "netem del port 80 from server");
    assert_eq!(tcplab(&ground, "netem").lines().count(), 1);
}

#[test]
fn octets_arrive_through_loss_and_everything_else() {
    let ground = ground(&[]);
    tcplab(&ground, "netem add delay 1ms 1ms loss 2% duplicate 2% corrupt 2% reorder 10% seed 3");
    let mut pair = ground.pair();
    let octets = (4 << 20).to_string();
    pair.client.begin(&format!("write_pattern c {octets}"));
    pair.server.call(&format!("read_pattern s {octets}"), &octets);
    pair.client.returns(&octets);
    let json: Value = serde_json::from_str(&tcplab(&ground, "netem --json")).unwrap();
    assert!(json[0]["sent_packets"].as_u64() > Some(50), "{json}");
}

#[test]
fn a_wrong_word_is_pointed_at_and_is_wrong_usage() {
    let session = Session::new();
    let wrong = session.try_tcplab(["rule", "add", "drop fnn from server"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("  drop fnn from server\n       ^^^\n"), "{}", stderr(&wrong));
    let wrong = session.try_tcplab(["netem", "add", "dev", "eth0", "delay", "1ms"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("      ^^^^\n"), "{}", stderr(&wrong));
    // Not even a stack was started for it.
    assert_eq!(session.try_tcplab(["rule", "list"]).status.code(), Some(1));
    let wrong = session.try_tcplab(["run", "--rule", "shred", "--", "true"]);
    assert_eq!(wrong.status.code(), Some(125));
}

#[test]
fn rules_are_added_listed_and_deleted() {
    let ground = ground(&[]);
    assert_eq!(tcplab(&ground, "rule add drop fin  from server"), "rule 1: drop fin from server\n");
    assert_eq!(tcplab(&ground, "rule add -q hold syn nth 1"), "2\n");
    let found = rules(&ground);
    assert_eq!((found[1].id, found[1].text.as_str()), (2, "hold syn nth 1"));
    assert!(tcplab(&ground, "rule").contains("drop fin from server\n"));
    tcplab(&ground, "rule del 1");
    assert_eq!(rules(&ground).len(), 1);
    let unknown = session(&ground).try_tcplab(["rule", "del", "1"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("no rule 1"));
    tcplab(&ground, "rule flush");
    assert_eq!(tcplab(&ground, "rule list"), "");
}

#[test]
fn run_takes_rules_and_impairments() {
    let ground = ground(&[]);
    let line = ["run", "--rule", "drop rst", "--rule", "drop syn nth 9"];
    let rest = ["--netem", "delay 1ms", "--netem", "port 9 loss 1%", "--", "true"];
    session(&ground).tcplab(line.into_iter().chain(rest));
    assert_eq!(rules(&ground).len(), 2);
    assert_eq!(tcplab(&ground, "netem").lines().count(), 2);
}

#[test]
fn a_lost_fin_is_sent_again() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    tcplab(&ground, "rule add drop fin from server nth 1");
    pair.server.call("close s", "0");
    pair.reach("CLOSE-WAIT", "FIN-WAIT-2");
    let rule = rules(&ground).remove(0);
    assert_eq!((rule.hits, rule.matched, rule.spent), (1, 1, true));
    assert!(ground.counter("TcpRetransSegs") >= 1);
}

/// S02: a SYN that arrives when its connection is long over opens nothing.
#[test]
fn a_stale_syn_opens_nothing() {
    let ground = ground(&[]);
    let (mut client, mut server) = (ground.actor(), ground.actor());
    let server_at = server.listen();
    tcplab(&ground, "rule add hold syn from client nth 1");
    client.call("socket c", "0");
    client.begin(&format!("connect c {server_at}"));
    wait_for("the SYN to be held", || held(&ground) == 1);
    // The client gives up before its SYN is sent again, and comes anew.
    drop(client);
    ground.await_count("SYN-SENT", 0);
    let mut client = ground.actor();
    client.call("socket c", "0");
    let mut pair = Pair::connect(&ground, client, server);
    echo(&mut pair);
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    pair.server.call("close s", "0");
    pair.reach("TIME-WAIT", "gone");
    let resets = ground.counter("TcpOutRsts");
    assert_eq!(tcplab(&ground, "rule release"), "1 segment released\n");
    wait_for("the RST of the client's side", || ground.counter("TcpOutRsts") > resets);
    ground.await_count("SYN-RECV", 0);
    pair.server.begin("accept l s");
    assert!(pair.server.blocks_for(std::time::Duration::from_millis(100)));
    let states: Vec<String> = ground.sockets().into_iter().map(|s| s.row.state).collect();
    assert_eq!(states, ["LISTEN", "TIME-WAIT"]);
}

/// S02, RFC 9293 figure 8: the old SYN overtakes the new one on the same 4-tuple.
#[test]
fn a_stale_syn_that_overtakes_the_new_one_is_sorted_out() {
    let ground = ground(&[]);
    let (mut client, mut server) = (ground.actor(), ground.actor());
    let server_at = server.listen();
    tcplab(&ground, "rule add hold syn from client nth 1");
    tcplab(&ground, "rule add hold syn from client nth 1");
    tcplab(&ground, "rule add drop syn");
    let connect = format!("connect c {server_at}");
    client.calls(&[("socket c", "0"), ("bind c 127.0.0.1:0", "0")]);
    let bind = format!("bind c {}", client.name("c"));
    client.begin(&connect);
    wait_for("the first SYN to be held", || held(&ground) == 1);
    drop(client);
    ground.await_count("SYN-SENT", 0);
    let mut client = ground.actor();
    client.calls(&[("socket c", "0"), (&bind, "0")]);
    client.begin(&connect);
    wait_for("the second SYN to be held", || held(&ground) == 2);
    tcplab(&ground, "rule release 1");
    wait_for("the RST that ends the old connection", || ground.counter("TcpOutRsts") == 1);
    ground.await_count("SYN-RECV", 0);
    tcplab(&ground, "rule release 2");
    client.returns("0");
    server.call("accept l s", "0");
    client.call("write c x", "1");
    server.call("read s", "1 x");
}

/// One acknowledgment frees all of a send buffer that is fuller than it may be by now.
#[test]
fn octets_written_after_a_smaller_so_sndbuf_arrive() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    // No time, no retransmission.
    tcplab(&ground, "clock pause");
    tcplab(&ground, "rule add hold data from client nth 1");
    pair.client.call("write_pattern c 16000", "16000");
    wait_for("the text to be held", || held(&ground) == 1);
    pair.client.calls(&[("sndbuf c 1", "0"), ("write_pattern c 10", "10")]);
    tcplab(&ground, "rule release");
    pair.server.call("read_pattern s 16010", "16010");
}

/// S05: both sides close while the FINs cross.
#[test]
fn fins_that_cross_bring_both_sides_to_time_wait() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    tcplab(&ground, "rule add hold fin");
    pair.client.call("close c", "0");
    pair.server.call("close s", "0");
    pair.reach("FIN-WAIT-1", "FIN-WAIT-1");
    tcplab(&ground, "rule release 1");
    pair.reach("TIME-WAIT", "TIME-WAIT");
    assert_eq!(session(&ground).log().matches("to=CLOSING").count(), 2);
}

/// S06: the last ACK is lost once.
#[test]
fn a_lost_last_ack_is_sent_again() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    tcplab(&ground, "rule add drop ack-of-fin from client nth 1");
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    pair.server.call("close s", "0");
    pair.reach("TIME-WAIT", "gone");
    assert_eq!((hits(&ground), ground.counter("TcpRetransSegs")), (1, 1));
}

/// S08: the FIN is never acknowledged.
#[test]
fn an_orphan_whose_fin_is_never_acknowledged_is_given_up() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    tcplab(&ground, "rule add drop ack-of-fin from server");
    pair.client.exit();
    pair.reach("FIN-WAIT-1", "CLOSE-WAIT");
    tcplab(&ground, "clock advance 10min");
    pair.reach("gone", "CLOSE-WAIT");
    assert!(hits(&ground) > 3, "{}", hits(&ground));
}

/// S10: a FIN that comes after 2MSL is answered by a RST, which ends the side that waits.
#[test]
fn a_late_fin_is_answered_by_a_rst() {
    let ground = ground(&[("net.tcplab.tcp_msl_ms", "2000")]);
    let mut pair = ground.pair();
    for rule in [
        "copy fin from server nth 1",
        "drop ack-of-fin from client",
        "drop fin retransmission from server",
    ] {
        tcplab(&ground, &format!("rule add {rule}"));
    }
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    pair.server.call("close s", "0");
    pair.reach("TIME-WAIT", "LAST-ACK");
    tcplab(&ground, "clock advance 4s");
    pair.reach("gone", "LAST-ACK");
    tcplab(&ground, "rule release 1");
    pair.reach("gone", "gone");
    assert_eq!(ground.counter("TcpOutRsts"), 1);
}

/// S11: an old data segment meets TIME-WAIT, then a new connection on the same 4-tuple.
#[test]
fn a_ghost_is_acknowledged_by_time_wait_and_ignored_by_a_new_connection() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    tcplab(&ground, "rule add copy data from server nth 1");
    tcplab(&ground, "rule add copy data from client nth 1");
    pair.server.call("write s old", "3");
    pair.client.call("read c", "3 old");
    pair.client.call("write c old", "3");
    pair.server.call("read s", "3 old");
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    pair.server.call("close s", "0");
    pair.reach("TIME-WAIT", "gone");
    // (a) in TIME-WAIT
    let sent = ground.counter("TcpOutSegs");
    tcplab(&ground, "rule release 1");
    wait_for("TIME-WAIT to answer", || ground.counter("TcpOutSegs") > sent);
    let (mut again, at) = (ground.actor(), pair.client_at);
    tcplab(&ground, "clock advance 60s");
    pair.reach("gone", "gone");
    // (b) in a new connection
    again.calls(&[("socket d", "0"), (&format!("bind d {at}"), "0")]);
    again.call(&format!("connect d {}", pair.server_at), "0");
    pair.server.call("accept l s", "0");
    assert_eq!(tcplab(&ground, "rule release"), "1 segment released\n");
    again.call("write d new", "3");
    pair.server.call("read s", "3 new");
}

/// S12: with everything off that protects it, the new connection takes the old octets for its own.
#[test]
fn a_ghost_gets_into_a_connection_that_nothing_protects() {
    let ground = ground(&[
        ("net.tcplab.tcp_msl_ms", "0"),
        ("net.ipv4.tcp_timestamps", "0"),
        ("net.tcplab.isn", "1000"),
    ]);
    let mut pair = ground.pair();
    tcplab(&ground, "rule add copy data from client nth 1");
    pair.client.call("write c old", "3");
    pair.server.call("read s", "3 old");
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    pair.server.call("close s", "0");
    pair.reach("gone", "gone");
    let (bind, connect) =
        (format!("bind d {}", pair.client_at), format!("connect d {}", pair.server_at));
    pair.client.calls(&[("socket d", "0"), (&bind, "0"), (&connect, "0")]);
    pair.server.call("accept l s", "0");
    tcplab(&ground, "rule release");
    pair.server.call("read s", "3 old");
    pair.client.call("write d new", "3");
    pair.server.begin("read s");
    assert!(pair.server.blocks_for(std::time::Duration::from_millis(100)));
}

/// S15: a client takes a 4-tuple again whose server still is in LAST-ACK.
#[test]
fn a_syn_into_last_ack_succeeds_at_the_second_try() {
    let ground = ground(&[("net.tcplab.tcp_msl_ms", "0")]);
    let mut pair = ground.pair();
    tcplab(&ground, "rule add drop ack-of-fin from client");
    tcplab(&ground, "rule add drop fin retransmission from server");
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    pair.server.call("close s", "0");
    pair.reach("gone", "LAST-ACK");
    let (bind, connect) =
        (format!("bind d {}", pair.client_at), format!("connect d {}", pair.server_at));
    pair.client.calls(&[("socket d", "0"), (&bind, "0"), (&connect, "0")]);
    pair.server.call("accept l s", "0");
    pair.client.call("write d x", "1");
    pair.server.call("read s", "1 x");
    assert!(ground.counter("TcpRetransSegs") >= 1);
    assert_eq!(ground.counter("TcpOutRsts"), 1);
}

#[test]
fn a_connection_reset_in_the_accept_queue_is_accepted_dead() {
    let ground = ground(&[]);
    tcplab(&ground, "rule add reset in accept-queue");
    let (mut client, mut server) = (ground.actor(), ground.actor());
    let at = server.listen();
    client.calls(&[("socket c", "0"), (&format!("connect c {at}"), "0")]);
    wait_for("the RST", || hits(&ground) == 1);
    server.calls(&[("accept l s", "0"), ("read s", "ECONNRESET")]);
}

#[test]
fn a_black_hole_opens_at_the_octet_and_the_program_finds_out_by_a_timer() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    tcplab(&ground, "rule add blackhole after 64KiB");
    pair.client.calls(&[("user_timeout_ms c 30000", "0"), ("write_pattern c 100000", "100000")]);
    wait_for("64 KiB to arrive", || pair.server_end().is_some_and(|end| end.row.recv_q == 65_536));
    pair.server.call("read_pattern s 65536", "65536");
    tcplab(&ground, "clock advance 60s");
    pair.client.call("read c", "ETIMEDOUT");
    assert_eq!(pair.server_end().expect("nobody told it").row.state, "ESTAB");
}

#[test]
fn a_rst_in_the_other_sides_name_ends_a_connection() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    tcplab(&ground, "rule add reset data from client nth 1");
    pair.client.calls(&[("write c x", "1"), ("read c", "ECONNRESET")]);
    pair.reach("gone", "ESTAB");
    let mut refused = ground.actor();
    tcplab(&ground, "rule add reset syn");
    refused.call("socket c", "0");
    refused.call(&format!("connect c {}", pair.server_at), "ECONNREFUSED");
}

#[test]
fn octets_that_nobody_noticed_to_be_wrong_reach_the_program() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    tcplab(&ground, "rule add corrupt data nth 1");
    pair.client.call("write c abc", "3");
    pair.server.call("read s", "3 abc");
    assert_eq!(ground.counter("TcpInErrs"), 1);
    tcplab(&ground, "rule add corrupt unnoticed data nth 1");
    pair.client.call("write_pattern c 1000", "1000");
    let read = pair.server.ask("read_pattern s 1000");
    assert!(read.ends_with(" is wrong"), "{read}");
    assert_eq!(ground.counter("TcpInErrs"), 1);
}
