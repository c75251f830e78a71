//! Scenes about the ports of a client that closes first.

use super::super::super::Failure;
use super::super::programs::{CLIENT, CLOSES_FIRST, CONNECT_OFTEN, ECHO_SERVER};
use super::super::stage::{Columns, SERVER, Stage};

/// A range of four ports; the same four for every scene.
const RANGE: &str = "net.ipv4.ip_local_port_range='40000 40003'";
/// One connection more than there are ports.
const TOO_MANY: [&str; 2] = ["8080", "5"];
const ONE: [&str; 2] = ["8080", "1"];

/// Uses the range up; whether the fifth connect() fails as it should.
fn exhaust(stage: &mut Stage) -> Result<bool, Failure> {
    let (well, said) = stage.run(CONNECT_OFTEN, &TOO_MANY)?;
    Ok(!well && said.contains("closed 4") && is_exhausted(&said))
}

fn is_exhausted(said: &str) -> bool {
    said.contains("connect: Cannot assign requested address")
}

/// S16: connect() fails with EADDRNOTAVAIL when every port of the range is in TIME-WAIT.
pub(super) fn port_exhaustion(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(ECHO_SERVER, &["8080"], SERVER)?;
    let other = stage.serve(ECHO_SERVER, &["8081"], 8081)?;
    stage.say("A range of four ports, and TIME-WAIT that may not be taken over:")?;
    stage.sysctl(RANGE)?;
    stage.sysctl("net.ipv4.tcp_tw_reuse=0")?;
    let failed = exhaust(stage)?;
    let full = stage.sight(SERVER)?;
    stage.show(&full, Columns::Plain)?;
    stage.check(full.count("TIME-WAIT") == 4, "each connection has left a port in TIME-WAIT")?;
    stage.check(failed, "the fifth connect() fails with EADDRNOTAVAIL")?;
    let (well, _) = stage.run(CLIENT, &["8081", "hi"])?;
    stage.check(well, "another server can still be reached: it is the 4-tuple that is used up")?;
    stage.advance("60s")?;
    let (well, _) = stage.run(CONNECT_OFTEN, &ONE)?;
    stage.check(well, "after 2MSL it works again")?;
    drop((server, other));
    stage.picture(4)
}

/// S17: who connects takes over a TIME-WAIT that is a second old, if there are timestamps.
pub(super) fn tw_reuse(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(ECHO_SERVER, &["8080"], SERVER)?;
    stage.sysctl(RANGE)?;
    stage.sysctl("net.ipv4.tcp_tw_reuse=1")?;
    stage.pause()?;
    let failed = exhaust(stage)?;
    stage
        .check(failed, "TIME-WAITs that are not a second old are not taken over: EADDRNOTAVAIL")?;
    stage.advance("1100ms")?;
    let recycled = stage.counter("TcpExtTWRecycled")?;
    let (well, _) = stage.run(CONNECT_OFTEN, &ONE)?;
    let one_more = stage.counter("TcpExtTWRecycled")? == recycled + 1;
    stage.check(
        well && one_more,
        "a second later connect() takes one of them over (TcpExtTWRecycled)",
    )?;
    stage.say("Without timestamps nothing tells old octets from new ones:")?;
    stage.advance("61s")?;
    stage.sysctl("net.ipv4.tcp_timestamps=0")?;
    let failed = exhaust(stage)?;
    stage.advance("10s")?;
    let (well, said) = stage.run(CONNECT_OFTEN, &ONE)?;
    stage.check(
        failed && !well && is_exhausted(&said),
        "so nothing is taken over, however old: EADDRNOTAVAIL",
    )?;
    stage.resume()?;
    drop(server);
    stage.until(SERVER, |sight| sight.server("LISTEN").is_none())?;
    stage.advance("60s")?;

    stage.say("A server that closes first, and only listens:")?;
    stage.sysctl("net.ipv4.tcp_timestamps=1")?;
    let server = stage.serve(CLOSES_FIRST, &["-1", "8080"], SERVER)?;
    stage.run(CLIENT, &["-e", "8080", "GET"])?;
    stage.finish(server)?;
    stage.until(SERVER, |sight| sight.server("TIME-WAIT").is_some())?;
    stage.advance("10s")?;
    let (well, said) = stage.run(CLOSES_FIRST, &["-1", "8080"])?;
    let kept = stage.sight(SERVER)?;
    stage.show(&kept, Columns::Timers)?;
    stage.check(
        !well && said.contains("in use") && kept.server("TIME-WAIT").is_some(),
        "its TIME-WAIT stays and blocks bind(): tcp_tw_reuse is for connect() alone",
    )?;
    stage.picture(5)
}

/// S18: TIME-WAIT beyond the limit is destroyed at once.
pub(super) fn tw_buckets(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(ECHO_SERVER, &["8080"], SERVER)?;
    stage.sysctl("net.ipv4.tcp_max_tw_buckets=3")?;
    stage.run(CONNECT_OFTEN, &["8080", "8"])?;
    let few = stage.until(SERVER, |sight| sight.count("TIME-WAIT") == 3)?;
    stage.show(&few, Columns::Plain)?;
    stage.check(few.count("TIME-WAIT") == 3, "eight connections, three in TIME-WAIT")?;
    let destroyed = stage.counter("TcpExtTCPTimeWaitOverflow")?;
    stage.check(
        destroyed == 5,
        "TcpExtTCPTimeWaitOverflow is 5: each of the others was destroyed at once (\"time wait \
         bucket table overflow\"), and with it the protection that it gave",
    )?;
    stage.say("It costs no port, so with four ports there is no shortage either:")?;
    stage.sysctl(RANGE)?;
    stage.sysctl("net.ipv4.tcp_tw_reuse=0")?;
    let (well, _) = stage.run(CONNECT_OFTEN, &TOO_MANY)?;
    stage.check(well, "five connections over four ports")?;
    drop(server);
    stage.picture(4)
}
