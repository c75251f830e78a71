//! Scenes about how connections end.

use super::super::Failure;
use super::programs::{BULK_SERVER, ECHO_SERVER, HALF_CLOSE_CLIENT};
use super::stage::{Held, Stage, TIME_WAIT};

const CLOSE_PORT: u16 = 8002;
const HALF_PORT: u16 = 8003;
/// What the bulk server sends after the client's FIN.
const BULK: &str = "1048576";

/// S03: the states of both ends between the first FIN and the end of TIME-WAIT.
pub(super) fn four_way_close(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(ECHO_SERVER, &["8002"], CLOSE_PORT)?;
    let held = stage.sight(CLOSE_PORT)?.server("LISTEN").map(Held::stop);
    stage.say(
        "The server is stopped again. A client sends a line, then shutdown(SHUT_WR): its FIN.",
    )?;
    let client = stage.start(HALF_CLOSE_CLIENT, &["8002", "bye"])?;
    let halfway = stage.until(CLOSE_PORT, |sight| {
        sight.client("FIN-WAIT-2").is_some() && sight.server("CLOSE-WAIT").is_some()
    })?;
    stage.show(&halfway)?;
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
    let closed = stage.until(CLOSE_PORT, |sight| {
        sight.client("TIME-WAIT").is_some() && sight.sockets.len() == 2
    })?;
    let (well, said) = stage.finish(client)?;
    stage.check(
        well && said.contains("received 3 octets after the FIN, then read() returned 0"),
        "the client got the echo after its own FIN; then its read() returned 0: the server's FIN",
    )?;
    stage.show(&closed)?;
    stage.check(
        closed.client("TIME-WAIT").is_some(),
        "FIN, ACK: the client, who closed first, is in TIME-WAIT; no process holds it",
    )?;
    let server_end = closed
        .sockets
        .iter()
        .any(|socket| socket.row.local.port() == CLOSE_PORT && socket.row.state != "LISTEN");
    stage.check(!server_end, "the server's end is gone: LAST-ACK ended with the last ACK")?;

    let gone = stage.until(CLOSE_PORT, |sight| sight.count("TIME-WAIT") == 0)?;
    stage.check(
        gone.count("TIME-WAIT") == 0,
        &format!(
            "after 2MSL ({} s) TIME-WAIT is over, and nothing is left",
            TIME_WAIT.as_secs_f32()
        ),
    )?;
    drop(server);
    Ok(())
}

/// S04: a mebioctet arrives after the client's FIN.
pub(super) fn half_close(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(BULK_SERVER, &["8003", BULK], HALF_PORT)?;
    let (well, said) = stage.run(HALF_CLOSE_CLIENT, &["8003", "everything"])?;
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
    Ok(())
}
