//! Scenes about segments of an old connection that arrive in a new one.

use super::super::super::Failure;
use super::super::stage::{Caller, Pair, SERVER, Side, Stage};

/// The 4-tuple is the same for the old and the new connection.
const BIND: &str = "bind 5000";
/// Orders of the same length: the one can take the place of the other.
const OLD_ORDER: &str = "pay Ann 100";
const NEW_ORDER: &str = "pay Bob 777";

/// S11: TIME-WAIT answers it; a new connection drops it.
pub(super) fn ghost_segment(stage: &mut Stage) -> Result<(), Failure> {
    let mut pair = stage.strangers()?;
    let ghosts = stage.rule("copy data from client nth 1..2")?;
    stage.call(&mut pair.client, BIND, "0")?;
    stage.join(&mut pair)?;
    stage.say("Two orders; the network makes a copy of each and keeps it for later:")?;
    for _ in 0..2 {
        order(stage, &mut pair, OLD_ORDER)?;
    }
    stage.say("The server closes first:")?;
    close_server_first(stage, &mut pair)?;
    // Else the RST that the ACK below provokes would end TIME-WAIT before its time.
    stage.sysctl("net.ipv4.tcp_rfc1337=1")?;
    stage.check_states(["gone", "TIME-WAIT"], "the server's end is in TIME-WAIT")?;
    stage.say("(a) The first copy arrives in TIME-WAIT:")?;
    let mark = stage.mark()?;
    stage.release_one(ghosts)?;
    stage.await_segments(mark, 2)?;
    let exchange = stage.since(mark)?.exchange();
    stage.check(
        exchange.first().is_some_and(|first| first == "server ACK"),
        "it is answered by an ACK, and nobody reads it",
    )?;
    let stays = stage.sight(SERVER)?.is("gone", "TIME-WAIT");
    stage.check(
        exchange.get(1).is_some_and(|second| second == "client RST") && stays,
        "the client has forgotten the connection and answers RST; TIME-WAIT takes no notice \
         (without tcp_rfc1337=1 it would end here: RFC 1337)",
    )?;

    stage.say("(b) A new connection on the same 4-tuple takes TIME-WAIT over:")?;
    reconnect(stage, &mut pair)?;
    let mark = stage.mark()?;
    stage.release_one(ghosts)?;
    stage.await_segments(mark, 1)?;
    let history = stage.since(mark)?;
    let why = history.refusals().first().copied().unwrap_or("taken");
    stage.check(
        why == "timestamp too old (PAWS)" || why == "out of the window",
        &format!("the second copy arrives in it, and is dropped: {why}"),
    )?;
    order(stage, &mut pair, NEW_ORDER)?;
    stage.check(true, "the server's program reads the new order, and nothing else")?;
    stage.picture(1)?;
    stage.picture(2)
}

/// The client writes an order, and the server reads just that.
fn order(stage: &mut Stage, pair: &mut Pair, text: &str) -> Result<(), Failure> {
    stage.call(&mut pair.client, &format!("write {text}"), &text.len().to_string())?;
    stage.call(&mut pair.server, "read", &format!("{} \"{text}\"", text.len()))
}

/// Closes, so that TIME-WAIT, if any, is on the server's side.
fn close_server_first(stage: &mut Stage, pair: &mut Pair) -> Result<(), Failure> {
    stage.call(&mut pair.server, "close", "0")?;
    stage.call(&mut pair.client, "read", "0")?;
    stage.call(&mut pair.client, "close", "0")
}

/// A new connection from the same port to the same server.
fn reconnect(stage: &mut Stage, pair: &mut Pair) -> Result<(), Failure> {
    stage.call(&mut pair.client, "socket", "0")?;
    stage.call(&mut pair.client, BIND, "0")?;
    stage.join(pair)
}

/// S12: MSL 0, no timestamps, and an initial sequence number that collides.
pub(super) fn ghost_corruption(stage: &mut Stage) -> Result<(), Failure> {
    stage.say("Without TIME-WAIT, without timestamps, with always the same initial number:")?;
    stage.sysctl("net.tcplab.tcp_msl_ms=0")?;
    stage.sysctl("net.ipv4.tcp_timestamps=0")?;
    stage.sysctl("net.tcplab.isn=1000000")?;
    let mut pair = stage.strangers()?;
    let ghost = stage.rule("copy data from client nth 1")?;
    stage.call(&mut pair.client, BIND, "0")?;
    stage.join(&mut pair)?;
    order(stage, &mut pair, OLD_ORDER)?;
    close_server_first(stage, &mut pair)?;
    stage.check_states(["gone", "gone"], "the old connection is gone at once")?;

    stage.say("The new connection, on the same 4-tuple. The copy of the old segment arrives:")?;
    reconnect(stage, &mut pair)?;
    let mark = stage.mark()?;
    stage.release_one(ghost)?;
    stage.await_segments(mark, 1)?;
    let read = stage.ask(&mut pair.server, "read")?;
    stage.check(
        read == format!("{} \"{OLD_ORDER}\"", OLD_ORDER.len()),
        "the server's program reads the old order a second time: its number is just the one that \
         the new connection expects",
    )?;
    stage.say("The client sends the new order, and closes:")?;
    let length = NEW_ORDER.len().to_string();
    stage.call(&mut pair.client, &format!("write {NEW_ORDER}"), &length)?;
    stage.call(&mut pair.client, "shutdown", "0")?;
    let read = stage.ask(&mut pair.server, "read")?;
    stage.check(
        read == "0",
        "the server's program never reads it: TCP takes it for a duplicate of what came before. \
         Both programs were told that all went well (compare ghost-segment)",
    )?;
    stage.picture(2)
}

/// S15: the answer to a SYN in LAST-ACK is an ACK (RFC 5961), and RST clears the way.
pub(super) fn syn_into_last_ack(stage: &mut Stage) -> Result<(), Failure> {
    let mut pair = stage.strangers()?;
    stage.call(&mut pair.client, "reuse", "0")?;
    stage.call(&mut pair.client, BIND, "0")?;
    stage.join(&mut pair)?;
    stage.say("The client closes first; its last ACK is lost, and the clock stands still:")?;
    stage.call(&mut pair.client, "close", "0")?;
    stage.call(&mut pair.server, "read", "0")?;
    stage.pause()?;
    stage.rule("drop ack-of-fin from client nth 1")?;
    stage.call(&mut pair.server, "close", "0")?;
    stage.check_states(
        ["TIME-WAIT", "LAST-ACK"],
        "the client is in TIME-WAIT, the server in LAST-ACK",
    )?;
    stage.say(
        "The client takes its TIME-WAIT over by force (SO_REUSEADDR, bind() to the same port):",
    )?;
    let mark = stage.mark()?;
    for call in ["socket", "reuse", BIND] {
        stage.call(&mut pair.client, call, "0")?;
    }
    let connect = format!("connect {SERVER}");
    stage.begin(&mut pair.client, &connect)?;
    stage.await_segments(mark, 3)?;
    let first = stage.since(mark)?.exchange();
    stage.check(
        first == ["client SYN", "server ACK", "client RST"],
        "the SYN meets LAST-ACK: it is answered by an ACK of the old connection (RFC 5961); the \
         client, in SYN-SENT, answers RST",
    )?;
    stage
        .check_states(["SYN-SENT", "gone"], "that RST ends the old connection, not the new one")?;
    stage.note("(It is often told that the server's RST destroys the new connection: not so.)")?;

    stage.say("The client's retransmission timer runs out:")?;
    stage.advance("1s")?;
    let connected = stage.answer(&mut pair.client)?;
    accepted(stage, &mut pair.server)?;
    let all = stage.since(mark)?.exchange();
    stage.check(
        connected == "0"
            && all.get(3..)
                == Some(
                    &["client SYN again", "server SYN,ACK", "client ACK"].map(String::from)[..],
                ),
        "the second SYN finds the listener: the new connection is made, a second late",
    )?;
    let path = stage.since(mark)?.path(Side::Client);
    stage.check(
        path.last().is_some_and(|last| last.starts_with("SYN-SENT > ESTAB")),
        "connect() knows nothing of all this",
    )?;
    stage.picture(1)?;
    stage.picture(2)
}

fn accepted(stage: &mut Stage, server: &mut Caller) -> Result<(), Failure> {
    stage.call(server, "accept", "0")?;
    stage.check_states(["ESTAB", "ESTAB"], "both ends are ESTAB")?;
    Ok(())
}
