//! Scenes about how connections begin.

use super::super::Failure;
use super::programs::{CLIENT, ECHO_SERVER};
use super::stage::{Held, Stage};

const PORT: u16 = 8001;

/// S01: the server is stopped, so that it cannot accept(); the connection is made all the same.
pub(super) fn three_way_handshake(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(ECHO_SERVER, &["8001"], PORT)?;
    let listening = stage.sight(PORT)?;
    stage.show(&listening)?;
    let listener = listening.server("LISTEN");
    let held = listener.map(Held::stop);
    stage.check(held.is_some(), "the server listens: it holds a descriptor in state LISTEN")?;

    stage
        .say("The server is stopped now (SIGSTOP): it cannot call accept(). A client connects:")?;
    let before = [stage.counter("TcpActiveOpens")?, stage.counter("TcpPassiveOpens")?];
    let client = stage.start(CLIENT, &["8001", "hello"])?;
    let made = stage.until(PORT, |sight| {
        sight.client("ESTAB").is_some() && sight.server("ESTAB").is_some_and(|s| s.row.recv_q >= 6)
    })?;
    stage.show(&made)?;
    let both = made.client("ESTAB").is_some() && made.server("ESTAB").is_some();
    stage.check(
        both,
        "SYN, SYN+ACK, ACK: both ends are ESTAB, and no program on the server's side",
    )?;
    let queued = made.server("LISTEN").map_or(0, |socket| socket.row.recv_q);
    stage.check(queued == 1, "Recv-Q of the listener is 1: one connection waits for accept()")?;
    let unread = made.server("ESTAB").map_or(0, |socket| socket.row.recv_q);
    stage.check(unread == 6, "the client's 6 octets (hello and a line end) wait in the stack")?;
    let after = [stage.counter("TcpActiveOpens")?, stage.counter("TcpPassiveOpens")?];
    let opened = after[0] == before[0] + 1 && after[1] == before[1] + 1;
    stage.check(opened, "TcpActiveOpens and TcpPassiveOpens have each gone up by one")?;

    stage.say("The server goes on (SIGCONT): accept(), read(), write().")?;
    drop(held);
    let (well, said) = stage.finish(client)?;
    stage.check(well && said.contains("hello"), "the client got its line back")?;
    drop(server);
    Ok(())
}
