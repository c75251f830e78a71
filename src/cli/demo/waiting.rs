//! Scenes about TIME-WAIT.

use core::time::Duration;
use std::time::Instant;

use super::super::Failure;
use super::programs::{CLIENT, CLOSES_FIRST, ECHO_SERVER};
use super::stage::{MSL_MS, Stage, TIME_WAIT};

const RESTART_PORT: u16 = 8004;
const EXPIRE_PORT: u16 = 8008;
const FIRST_PORT: u16 = 8009;
const EXHAUST_PORT: u16 = 8010;
/// What a look at the clock may be off.
const TOLERANCE: Duration = Duration::from_millis(100);
/// Ephemeral ports of the exhausted client.
const PORTS: usize = 4;

/// For scenes where several programs must run within one TIME-WAIT, on a busy machine too.
const LONGER_MSL: &str = "net.tcplab.tcp_msl_ms=1500";

/// Arguments of a client that does not close first: it gets four lines for its five, and waits
/// for the fifth until the server has closed.
fn request(port: &str) -> [&str; 6] {
    [port, "GET / HTTP/1.0", "Host: localhost", "Accept: */*", "", ""]
}

/// S13: bind() fails until 2MSL is over, though the first server is long dead.
pub(super) fn restart_eaddrinuse(stage: &mut Stage) -> Result<(), Failure> {
    stage.say("A server without SO_REUSEADDR that closes first, as HTTP/1.0 servers do:")?;
    let server = stage.serve(CLOSES_FIRST, &["-1", "8004"], RESTART_PORT)?;
    stage.run(CLIENT, &request("8004"))?;
    stage.finish(server)?;
    let ended = Instant::now();
    let waiting = stage.until(RESTART_PORT, |sight| sight.server("TIME-WAIT").is_some())?;
    stage.show(&waiting)?;
    stage.check(
        waiting.server("TIME-WAIT").is_some_and(|socket| socket.holders.is_empty()),
        "its process is gone; its end of the connection is in TIME-WAIT, and no process holds it",
    )?;
    stage.say("The server is started again at once:")?;
    let (well, said) = stage.run(CLOSES_FIRST, &["-1", "8004"])?;
    let in_use = !well && said.contains("Address already in use");
    stage.check(in_use, "bind() fails with EADDRINUSE: TIME-WAIT holds the port, not a process")?;

    let free = stage.until(RESTART_PORT, |sight| sight.count("TIME-WAIT") == 0)?;
    stage.check(free.count("TIME-WAIT") == 0, "2MSL later TIME-WAIT is over")?;
    let server = stage.serve(CLOSES_FIRST, &["-1", "8004"], RESTART_PORT)?;
    let took = ended.elapsed();
    stage.check(
        took >= TIME_WAIT - TOLERANCE,
        &format!("and the same command listens again, {:.1} s after the end", took.as_secs_f32()),
    )?;
    drop(server);
    // The program dies a little later than the `tcplab run` that supervises it.
    stage.until(RESTART_PORT, |sight| sight.count("LISTEN") == 0)?;

    stage.say("With SO_REUSEADDR (-r) in the old and in the new server:")?;
    let server = stage.serve(CLOSES_FIRST, &["-r", "-1", "8004"], RESTART_PORT)?;
    stage.run(CLIENT, &request("8004"))?;
    stage.finish(server)?;
    let server = stage.serve(CLOSES_FIRST, &["-r", "-1", "8004"], RESTART_PORT)?;
    let both = stage.sight(RESTART_PORT)?;
    stage.show(&both)?;
    stage.check(
        both.server("TIME-WAIT").is_some() && both.server("LISTEN").is_some(),
        "the new server listens while the old connection is still in TIME-WAIT",
    )?;
    drop(server);
    Ok(())
}

/// S09: the TCB is deleted after 2MSL, and not one segment is sent.
pub(super) fn time_wait_expires(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(ECHO_SERVER, &["8008"], EXPIRE_PORT)?;
    stage.run(CLIENT, &["8008", "hi"])?;
    let waiting = stage.until(EXPIRE_PORT, |sight| sight.client("TIME-WAIT").is_some())?;
    let begun = Instant::now();
    stage.show(&waiting)?;
    let sent = stage.counter("TcpOutSegs")?;
    stage.check(
        waiting.client("TIME-WAIT").is_some(),
        "the client's process has ended, not its TCB",
    )?;
    let gone = stage.until(EXPIRE_PORT, |sight| sight.count("TIME-WAIT") == 0)?;
    let took = begun.elapsed();
    stage.check(
        gone.count("TIME-WAIT") == 0,
        &format!("it is deleted after {:.1} s", took.as_secs_f32()),
    )?;
    let silent = stage.counter("TcpOutSegs")? == sent;
    stage.check(silent, "TcpOutSegs has not changed: TIME-WAIT ends without a segment")?;
    drop(server);
    Ok(())
}

/// S25: TIME-WAIT on the server's port; the passive closer has none.
pub(super) fn server_closes_first(stage: &mut Stage) -> Result<(), Failure> {
    stage.sysctl(LONGER_MSL)?;
    let server = stage.serve(CLOSES_FIRST, &["-r", "8009"], FIRST_PORT)?;
    for _ in 0..3 {
        stage.run(CLIENT, &request("8009"))?;
    }
    let waiting = stage
        .until(FIRST_PORT, |sight| sight.count("TIME-WAIT") == 3 && sight.sockets.len() == 4)?;
    stage.show(&waiting)?;
    let local = waiting.sockets.iter().all(|socket| socket.row.local.port() == FIRST_PORT);
    stage.check(
        waiting.count("TIME-WAIT") == 3 && local,
        "all three TIME-WAITs have the server's port: no ephemeral port is used up",
    )?;
    stage.check(
        waiting.client("TIME-WAIT").is_none(),
        "the clients, who closed second, have none",
    )?;
    stage.sysctl(&format!("net.tcplab.tcp_msl_ms={MSL_MS}"))?;
    drop(server);
    Ok(())
}

/// S16: connect() fails with EADDRNOTAVAIL when every port of the range is in TIME-WAIT.
pub(super) fn port_exhaustion(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(ECHO_SERVER, &["8010"], EXHAUST_PORT)?;
    stage.say("A range of four ports, and TIME-WAIT that may not be taken over:")?;
    stage.sysctl("net.ipv4.ip_local_port_range='40000 40003'")?;
    stage.sysctl("net.ipv4.tcp_tw_reuse=0")?;
    stage.sysctl(LONGER_MSL)?;
    for _ in 0..PORTS {
        stage.run(CLIENT, &["8010", "hi"])?;
    }
    let full = stage.until(EXHAUST_PORT, |sight| sight.count("TIME-WAIT") == PORTS)?;
    stage.show(&full)?;
    stage
        .check(full.count("TIME-WAIT") == PORTS, "each connection has left a port in TIME-WAIT")?;
    let (well, said) = stage.run(CLIENT, &["8010", "hi"])?;
    let exhausted = !well && said.contains("Cannot assign requested address");
    stage.check(exhausted, "the next connect() fails with EADDRNOTAVAIL")?;
    stage.until(EXHAUST_PORT, |sight| sight.count("TIME-WAIT") == 0)?;
    let (well, _) = stage.run(CLIENT, &["8010", "hi"])?;
    stage.check(well, "after 2MSL it works again")?;
    stage.sysctl("net.ipv4.ip_local_port_range='32768 60999'")?;
    stage.sysctl("net.ipv4.tcp_tw_reuse=2")?;
    stage.sysctl(&format!("net.tcplab.tcp_msl_ms={MSL_MS}"))?;
    drop(server);
    Ok(())
}
