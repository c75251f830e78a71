//! Scenes about TIME-WAIT: who has it, what it holds, how it ends.

use super::super::super::Failure;
use super::super::programs::{CLIENT, CLOSES_FIRST, ECHO_SERVER};
use super::super::stage::{Columns, Pair, SERVER, Stage};

/// A client that lets the server close first.
const FETCH: [&str; 3] = ["-e", "8080", "GET"];

/// S13: bind() fails until 2MSL is over, though the first server is long dead.
pub(super) fn restart_eaddrinuse(stage: &mut Stage) -> Result<(), Failure> {
    stage.say("A server without SO_REUSEADDR that closes first, as HTTP/1.0 servers do:")?;
    let server = stage.serve(CLOSES_FIRST, &["-1", "8080"], SERVER)?;
    stage.run(CLIENT, &FETCH)?;
    stage.finish(server)?;
    stage.until(SERVER, |sight| sight.server("TIME-WAIT").is_some())?;
    let waiting = stage.holders(SERVER)?;
    stage.show(&waiting, Columns::Timers)?;
    stage.check(
        waiting.server("TIME-WAIT").is_some_and(|socket| socket.holders.is_empty()),
        "its process is gone; its end of the connection is in TIME-WAIT, and no process holds it",
    )?;
    stage.say("The server is started again at once:")?;
    let (well, said) = stage.run(CLOSES_FIRST, &["-1", "8080"])?;
    let in_use = !well && said.contains("Address already in use");
    stage.check(in_use, "bind() fails with EADDRINUSE: TIME-WAIT holds the port, not a process")?;
    let (status, told) = stage.tcplab(&["why", "bind", "127.0.0.1:8080"])?;
    let peer = waiting.server("TIME-WAIT").and_then(|socket| socket.row.peer);
    stage.check(
        status == Some(1)
            && told.contains("TIME-WAIT")
            && peer.is_some_and(|peer| told.contains(&peer.to_string()))
            && told.contains("SO_REUSEADDR"),
        "tcplab why names the 4-tuple, the time that is left, and what would help",
    )?;

    stage.say("A minute later:")?;
    stage.advance("60s")?;
    let free = stage.until(SERVER, |sight| sight.count("TIME-WAIT") == 0)?;
    stage.check(free.count("TIME-WAIT") == 0, "2MSL is over, and so is TIME-WAIT")?;
    let server = stage.serve(CLOSES_FIRST, &["-1", "8080"], SERVER)?;
    stage.check(true, "and the same command listens again")?;
    stage.run(CLIENT, &FETCH)?;
    stage.finish(server)?;
    stage.advance("60s")?;

    stage
        .say("With SO_REUSEADDR (-r) it works at once, but only if the old server had it, too:")?;
    restart(stage, "-1", "-r1", Restart::Refused)?;
    restart(stage, "-r1", "-1", Restart::Refused)?;
    restart(stage, "-r1", "-r1", Restart::Listens)?;
    stage.picture(1)
}

/// What becomes of a server that is started while there is a TIME-WAIT on its port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Restart {
    Refused,
    Listens,
}

/// A server with the options `old` serves a client and ends; one with the options `new` follows.
fn restart(stage: &mut Stage, old: &str, new: &str, expected: Restart) -> Result<(), Failure> {
    let server = stage.serve(CLOSES_FIRST, &[old, "8080"], SERVER)?;
    stage.run(CLIENT, &FETCH)?;
    stage.finish(server)?;
    stage.until(SERVER, |sight| sight.server("TIME-WAIT").is_some())?;
    if expected == Restart::Refused {
        let (well, said) = stage.run(CLOSES_FIRST, &[new, "8080"])?;
        let refused = !well && said.contains("Address already in use");
        stage.check(refused, &format!("{old}, then {new}: EADDRINUSE"))?;
        let question = ["why", "bind", "127.0.0.1:8080", "--reuseaddr"];
        let asked = if new.contains('r') { &question[..] } else { &question[..3] };
        let (_, told) = stage.tcplab(asked)?;
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        let lacking = match new.contains('r') {
            true => "SO_REUSEADDR is set on this socket, but was not on the old",
            false => "and not on this one",
        };
        stage.check(told.contains(lacking), "and tcplab why says which side lacked the option")?;
    } else {
        let server = stage.serve(CLOSES_FIRST, &[new, "8080"], SERVER)?;
        let both = stage.sight(SERVER)?;
        stage.show(&both, Columns::Timers)?;
        stage.check(
            both.server("TIME-WAIT").is_some() && both.server("LISTEN").is_some(),
            &format!("{old}, then {new}: it listens while the old connection is in TIME-WAIT"),
        )?;
        drop(server);
    }
    stage.advance("60s")
}

/// S09: the TCB is deleted after 2MSL, and not one segment is sent.
pub(super) fn time_wait_expires(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(ECHO_SERVER, &["8080"], SERVER)?;
    stage.run(CLIENT, &["-b", "5000", "8080", "hi"])?;
    let waiting = stage.until(SERVER, |sight| sight.is("TIME-WAIT", "gone"))?;
    stage.show(&waiting, Columns::Timers)?;
    stage.check(waiting.is("TIME-WAIT", "gone"), "the client's process has ended, not its TCB")?;
    let (well, said) = stage.run(CLIENT, &["-b", "5000", "8080", "hi"])?;
    stage.check(!well && said.contains("in use"), "and its port is not free: EADDRINUSE")?;
    stage.pause()?;
    let sent = stage.counter("TcpOutSegs")?;
    let left = stage.sight(SERVER)?.client("TIME-WAIT").and_then(|s| s.row.timer.clone());
    let left = left.map_or(0, |timer| timer.left_ms);
    stage.advance(&format!("{}ms", left.saturating_sub(10)))?;
    let last = stage.sight(SERVER)?;
    stage.check(last.is("TIME-WAIT", "gone"), "10 ms before the end of 2MSL it is still there")?;
    stage.advance("20ms")?;
    let gone = stage.sight(SERVER)?;
    stage.check(gone.is("gone", "gone"), "20 ms later it is deleted")?;
    let silent = stage.counter("TcpOutSegs")? == sent;
    stage.check(silent, "TcpOutSegs has not changed: TIME-WAIT ends without a segment")?;
    stage.resume()?;
    let (well, _) = stage.run(CLIENT, &["-b", "5000", "8080", "hi"])?;
    stage.check(well, "and the port is free again")?;
    drop(server);
    stage.picture(1)
}

/// S25: TIME-WAIT on the server's port; the passive closer has none.
pub(super) fn server_closes_first(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(CLOSES_FIRST, &["-r", "8080"], SERVER)?;
    for _ in 0..3 {
        stage.run(CLIENT, &FETCH)?;
    }
    let waiting =
        stage.until(SERVER, |sight| sight.count("TIME-WAIT") == 3 && sight.sockets.len() == 4)?;
    stage.show(&waiting, Columns::Plain)?;
    let local = waiting.sockets.iter().all(|socket| socket.row.local.port() == SERVER);
    stage.check(
        waiting.count("TIME-WAIT") == 3 && local,
        "all three TIME-WAITs have the server's port: no ephemeral port is used up",
    )?;
    stage.check(
        waiting.client("TIME-WAIT").is_none(),
        "the clients, who closed second, have none",
    )?;
    stage.say("With two ephemeral ports for all clients, there is still no shortage:")?;
    stage.sysctl("net.ipv4.ip_local_port_range='40000 40001'")?;
    let mut well = true;
    for _ in 0..4 {
        well &= stage.run(CLIENT, &FETCH)?.0;
    }
    stage
        .check(well, "four more clients on two ports: each takes a TIME-WAIT of the server over")?;
    drop(server);
    stage.picture(1)
}

/// S14: which call fails depends on SO_REUSEADDR and on timestamps.
pub(super) fn client_port_locked(stage: &mut Stage) -> Result<(), Failure> {
    stage.say("Without timestamps, and tcp_tw_reuse off:")?;
    stage.sysctl("net.ipv4.tcp_timestamps=0")?;
    stage.sysctl("net.ipv4.tcp_tw_reuse=0")?;
    let mut pair = stage.strangers()?;
    close_first(stage, &mut pair, "bind 5000")?;
    stage.check_states(["TIME-WAIT", "gone"], "the client closed first: TIME-WAIT on its port")?;
    stage.call(&mut pair.client, "socket", "0")?;
    let bound = stage.ask(&mut pair.client, "bind 5000")?;
    stage.check(bound == "-1 EADDRINUSE", "the port is locked: bind() fails with EADDRINUSE")?;
    stage.call(&mut pair.client, "reuse", "0")?;
    let bound = stage.ask(&mut pair.client, "bind 5000")?;
    stage.check(bound == "0", "with SO_REUSEADDR on both sockets bind() succeeds")?;
    let connected = stage.ask(&mut pair.client, "connect 8080")?;
    stage.check(
        connected == "-1 EADDRNOTAVAIL",
        "and connect() to the same server fails: EADDRNOTAVAIL. The 4-tuple is locked",
    )?;

    stage.say("With timestamps, which are on by default:")?;
    stage.advance("60s")?;
    stage.sysctl("net.ipv4.tcp_timestamps=1")?;
    stage.call(&mut pair.client, "close", "0")?;
    stage.call(&mut pair.client, "socket", "0")?;
    close_first(stage, &mut pair, "bind 5001")?;
    stage.check_states(["TIME-WAIT", "gone"], "the same TIME-WAIT")?;
    for call in ["socket", "reuse", "bind 5001"] {
        stage.call(&mut pair.client, call, "0")?;
    }
    let connected = stage.ask(&mut pair.client, "connect 8080")?;
    stage.check(
        connected == "0",
        "a bound port takes its own TIME-WAIT over at once, whatever tcp_tw_reuse says: \
         timestamps tell old segments from new ones (Linux: tried)",
    )?;
    stage.picture(2)
}

/// A connection from a port of the client's choice, with SO_REUSEADDR, which closes it first.
fn close_first(stage: &mut Stage, pair: &mut Pair, bind: &str) -> Result<(), Failure> {
    stage.call(&mut pair.client, "reuse", "0")?;
    stage.call(&mut pair.client, bind, "0")?;
    stage.join(pair)?;
    stage.call(&mut pair.client, "close", "0")?;
    stage.call(&mut pair.server, "read", "0")?;
    stage.call(&mut pair.server, "close", "0")
}
