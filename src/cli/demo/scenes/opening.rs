//! Scenes about how connections begin.

use super::super::super::Failure;
use super::super::programs::{CLIENT, ECHO_SERVER};
use super::super::stage::{Columns, Held, SERVER, Stage};

/// The clock of the initial sequence numbers: a step in 64 ns (RFC 6528, as on Linux).
const ISN_STEP_NS: u64 = 64;
/// How far an ISN may be from it: it was chosen a little before its SYN was sent.
const TOLERANCE_NS: u64 = 10_000_000;

/// S01: the server is stopped, so that it cannot accept(); the connection is made all the same.
pub(super) fn three_way_handshake(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(ECHO_SERVER, &["8080"], SERVER)?;
    let listening = stage.holders(SERVER)?;
    stage.show(&listening, Columns::Holders)?;
    let held = listening.server("LISTEN").map(Held::stop);
    stage.check(held.is_some(), "the server listens: it holds a descriptor in state LISTEN")?;

    stage
        .say("The server is stopped now (SIGSTOP): it cannot call accept(). A client connects:")?;
    let mark = stage.mark()?;
    let client = stage.start(CLIENT, &["-b", "5000", "8080", "hello"])?;
    let made = stage.until(SERVER, |sight| {
        sight.client("ESTAB").is_some() && sight.server("ESTAB").is_some_and(|s| s.row.recv_q >= 6)
    })?;
    stage.show(&made, Columns::Plain)?;
    let exchange = stage.since(mark)?.exchange();
    stage.check(
        exchange
            .get(..3)
            .is_some_and(|three| three == ["client SYN", "server SYN,ACK", "client ACK"])
            && made.client("ESTAB").is_some()
            && made.server("ESTAB").is_some(),
        "SYN, SYN+ACK, ACK: both ends are ESTAB, and no program on the server's side",
    )?;
    let queued = made.server("LISTEN").map_or(0, |socket| socket.row.recv_q);
    stage.check(queued == 1, "Recv-Q of the listener is 1: one connection waits for accept()")?;
    let unread = made.server("ESTAB").map_or(0, |socket| socket.row.recv_q);
    stage.check(unread == 6, "the client's 6 octets (hello and a line end) wait in the stack")?;

    stage.say("The server goes on (SIGCONT): accept(), read(), write().")?;
    drop(held);
    let (well, said) = stage.finish(client)?;
    stage.check(well && said.contains("hello"), "the client got its line back")?;
    initial_sequence_numbers(stage, mark)?;
    drop(server);
    stage.picture(1)
}

/// The same 4-tuple once more: its initial sequence numbers have gone on with the clock.
fn initial_sequence_numbers(stage: &mut Stage, mark: u64) -> Result<(), Failure> {
    stage.until(SERVER, |sight| sight.is("TIME-WAIT", "gone"))?;
    stage.say("A minute later, once more from the same port:")?;
    stage.advance("60s")?;
    stage.run(CLIENT, &["-b", "5000", "8080", "hello"])?;
    let history = stage.since(mark)?;
    let of = |syn: &str| -> Vec<(u64, u32)> {
        let numbers = history.segments().zip(history.exchange());
        let chosen = numbers.filter(|(_, words)| words == syn);
        chosen.map(|((record, segment), _)| (record.at_ns, segment.seq)).collect()
    };
    let follows_the_clock = |numbers: &[(u64, u32)]| match numbers {
        [first, second] => {
            let steps = (second.0 - first.0) / ISN_STEP_NS;
            let off = second.1.wrapping_sub(first.1).wrapping_sub(steps as u32).cast_signed();
            u64::from(off.unsigned_abs()) * ISN_STEP_NS < TOLERANCE_NS
        }
        _ => false,
    };
    let (client, server) = (of("client SYN"), of("server SYN,ACK"));
    let list = |numbers: &[(u64, u32)]| {
        numbers.iter().map(|(_, isn)| isn.to_string()).collect::<Vec<_>>().join(" and ")
    };
    stage.check(
        follows_the_clock(&client) && follows_the_clock(&server),
        "each end's initial sequence number has gone on by 1 in 64 ns (RFC 6528)",
    )?;
    stage.note(&format!("the client's were {}, the server's {}", list(&client), list(&server)))?;
    Ok(())
}

/// S02: the SYN of a client that is long gone reaches the server.
pub(super) fn stale_syn(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(ECHO_SERVER, &["8080"], SERVER)?;
    stage.pause()?;
    let old = stage.rule("hold syn nth 1")?;
    stage.say("The first SYN gets stuck in the network. The client gives up (Ctrl-C):")?;
    let client = stage.start(CLIENT, &["8080", "old"])?;
    stage.until(SERVER, |sight| sight.client("SYN-SENT").is_some())?;
    stage.interrupt(client)?;
    stage.until(SERVER, |sight| sight.client("SYN-SENT").is_none())?;
    stage.resume()?;
    stage.say("A new client connects, is served, and closes; a minute later nothing is left:")?;
    let (well, _) = stage.run(CLIENT, &["8080", "new"])?;
    stage.until(SERVER, |sight| sight.is("TIME-WAIT", "gone"))?;
    stage.advance("60s")?;
    stage.check(well, "the new connection has nothing to do with the old SYN")?;

    stage.say("Now the old SYN comes out of the network:")?;
    let opened = stage.counter("TcpPassiveOpens")?;
    let mark = stage.mark()?;
    stage.release_all(old)?;
    let listener_only = |stage: &mut Stage| {
        let sight = stage.until(SERVER, |sight| sight.sockets.len() == 1)?;
        stage.show(&sight, Columns::Plain)?;
        Ok::<bool, Failure>(
            sight.sockets.len() == 1 && sight.server("LISTEN").is_some_and(|s| s.row.recv_q == 0),
        )
    };
    stage.await_segments(mark, 2)?;
    let clean = listener_only(stage)?;
    let exchange = stage.since(mark)?.exchange();
    stage.check(
        exchange == ["server SYN,ACK", "client RST"],
        "the server answers SYN+ACK; the client's TCP knows of no such connection: RST",
    )?;
    let unchanged = stage.counter("TcpPassiveOpens")? == opened;
    stage.check(
        clean && unchanged,
        "the server is back in LISTEN: no accept(), nothing allocated. Two steps would have made \
         a connection to nobody",
    )?;
    stage.picture(1)?;
    overtaken(stage)?;
    drop(server);
    Ok(())
}

/// RFC 9293 figure 8: the old SYN arrives while a new client is in SYN-SENT on its 4-tuple.
fn overtaken(stage: &mut Stage) -> Result<(), Failure> {
    stage
        .say("The same on one 4-tuple (RFC 9293, figure 8): the old SYN overtakes the new one.")?;
    stage.pause()?;
    let both = stage.rule("hold syn")?;
    let old = stage.start(CLIENT, &["-b", "5000", "8080", "old"])?;
    stage.until(SERVER, |sight| sight.client("SYN-SENT").is_some())?;
    stage.interrupt(old)?;
    stage.until(SERVER, |sight| sight.client("SYN-SENT").is_none())?;
    stage.advance("50ms")?;
    let new = stage.start(CLIENT, &["-b", "5000", "8080", "new"])?;
    stage.until(SERVER, |sight| sight.client("SYN-SENT").is_some())?;
    let mark = stage.mark()?;
    stage.release_one(both)?;
    stage.await_segments(mark, 2)?;
    let exchange = stage.since(mark)?.exchange();
    let sight = stage.until(SERVER, |sight| sight.is("SYN-SENT", "gone"))?;
    stage.show(&sight, Columns::Plain)?;
    stage.check(
        exchange == ["server SYN,ACK", "client RST"] && sight.is("SYN-SENT", "gone"),
        "the SYN+ACK acknowledges a number that the new client never sent: RST. The client stays \
         in SYN-SENT, the server is back in LISTEN",
    )?;
    stage.release_one(both)?;
    stage.resume()?;
    let (well, said) = stage.finish(new)?;
    stage.check(well && said.contains("new"), "the new SYN arrives, and its client is served")?;
    stage.picture(4)
}
