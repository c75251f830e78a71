//! Scenes about how connections end, in the regular way.

use super::super::super::Failure;
use super::super::programs::{BULK_SERVER, ECHO_SERVER, HALF_CLOSE_CLIENT};
use super::super::stage::{Columns, Held, SERVER, Side, Stage};

/// What the bulk server sends after the client's FIN.
const BULK: &str = "1048576";

/// S03: the states of both ends between the first FIN and the end of TIME-WAIT.
pub(super) fn four_way_close(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(ECHO_SERVER, &["8080"], SERVER)?;
    let held = stage.holders(SERVER)?.server("LISTEN").map(Held::stop);
    stage.say(
        "The server is stopped again. A client sends a line, then shutdown(SHUT_WR): its FIN.",
    )?;
    let mark = stage.mark()?;
    let client = stage.start(HALF_CLOSE_CLIENT, &["8080", "bye"])?;
    let halfway = stage.until(SERVER, |sight| sight.is("FIN-WAIT-2", "CLOSE-WAIT"))?;
    stage.show(&halfway, Columns::Timers)?;
    stage.check(
        halfway.client("FIN-WAIT-2").is_some(),
        "FIN, ACK: the client is in FIN-WAIT-2, its own direction is closed and acknowledged",
    )?;
    stage.check(
        halfway.server("CLOSE-WAIT").is_some(),
        "the server's end is in CLOSE-WAIT, and stays there until its program calls close()",
    )?;

    stage.say(
        "The server goes on: it reads the line, echoes it, read() returns 0, it calls close().",
    )?;
    drop(held);
    let (well, said) = stage.finish(client)?;
    stage.check(
        well && said.contains("received 3 octets after the FIN, then read() returned 0"),
        "the client got the echo after its own FIN; then its read() returned 0: the server's FIN",
    )?;
    let closed = stage.until(SERVER, |sight| sight.is("TIME-WAIT", "gone"))?;
    stage.show(&closed, Columns::Timers)?;
    stage.check(
        closed.is("TIME-WAIT", "gone"),
        "FIN, ACK: the client, who closed first, is in TIME-WAIT, and no process holds it; the \
         server's end is gone: LAST-ACK ended with the last ACK",
    )?;
    paths(stage, mark)?;

    stage.advance("60s")?;
    let gone = stage.until(SERVER, |sight| sight.count("TIME-WAIT") == 0)?;
    stage.check(gone.count("TIME-WAIT") == 0, "after 2MSL TIME-WAIT is over, nothing is left")?;
    drop(server);
    stage.picture(1)
}

/// Every state of both ends in its order, each with what led to it.
fn paths(stage: &mut Stage, mark: u64) -> Result<(), Failure> {
    let history = stage.since(mark)?;
    let (client, server) = (history.path(Side::Client), history.path(Side::Server));
    let states = |path: &[String]| -> String {
        let to = |step: &String| step.split([' ', '(']).nth(2).unwrap_or_default().to_owned();
        path.iter().map(to).collect::<Vec<_>>().join(", ")
    };
    stage.check(
        states(&client) == "SYN-SENT, ESTAB, FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT"
            && states(&server) == "SYN-RECV, ESTAB, CLOSE-WAIT, LAST-ACK, UNCONN",
        "the states of both ends, as they were recorded:",
    )?;
    stage.note(&format!("client: {}", states(&client)))?;
    stage.note(&format!("server: {}", states(&server)))?;
    Ok(())
}

/// S04: a mebioctet arrives after the client's FIN.
pub(super) fn half_close(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(BULK_SERVER, &["8080", BULK], SERVER)?;
    let (well, said) = stage.run(HALF_CLOSE_CLIENT, &["8080", "everything"])?;
    stage.check(
        well && said.contains(&format!("received {BULK} octets after the FIN")),
        "the client sent its FIN, and then received every octet of the answer",
    )?;
    stage.check(
        said.contains("then read() returned 0"),
        "read() returned 0 only after the last one: that is the server's FIN",
    )?;
    let said = server.output();
    stage.check(
        said.contains("read 10 octets and their end, then sent"),
        "the server saw the end of the request (read() == 0) before it sent anything",
    )?;
    drop(server);
    stage.picture(1)
}

/// S05: the FINs cross.
pub(super) fn simultaneous_close(stage: &mut Stage) -> Result<(), Failure> {
    let mut pair = stage.pair()?;
    stage.say("Both FINs are held on their way, so that neither end has seen the other's:")?;
    stage.pause()?;
    let fins = stage.rule("hold fin")?;
    let mark = stage.mark()?;
    stage.call(&mut pair.client, "close", "0")?;
    stage.call(&mut pair.server, "close", "0")?;
    stage.check_states(["FIN-WAIT-1", "FIN-WAIT-1"], "both have closed first")?;
    stage.say("The FINs cross:")?;
    stage.release_all(fins)?;
    stage.check_states(["TIME-WAIT", "TIME-WAIT"], "both ends are in TIME-WAIT")?;
    let history = stage.since(mark)?;
    let crossed = |side| {
        let path = history.path(side);
        let starts = ["ESTAB > FIN-WAIT-1 (", "FIN-WAIT-1 > CLOSING (", "CLOSING > TIME-WAIT ("];
        path.len() == starts.len()
            && path.iter().zip(starts).all(|(step, start)| step.starts_with(start))
    };
    stage.check(
        crossed(Side::Client) && crossed(Side::Server),
        "on the way both were in CLOSING: a FIN came where the ACK of the own one was expected",
    )?;
    stage.advance("60s")?;
    stage.reach("gone", "gone")?;
    stage.picture(1)
}
