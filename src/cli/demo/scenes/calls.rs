//! Scenes about what programs see at the end, call by call.

use core::time::Duration;
use std::time::Instant;

use super::super::super::Failure;
use super::super::stage::{Columns, PATIENCE, Pair, SERVER, Stage};

/// More than all buffers take: 4 MiB.
const MUCH: usize = 4 << 20;
/// What a slow reader takes at a time: its whole window.
const PIECE: usize = 64 << 10;
/// What must be on its way before it reads on, so that much is left when the writer is done.
const ON_ITS_WAY: u64 = 3 * PIECE as u64;
/// How long a call must block to be called blocking. It cannot fail on a slow machine.
const A_WHILE: Duration = Duration::from_millis(100);

/// Two programs whose receivers close their windows soon.
fn narrow_pair(stage: &mut Stage) -> Result<Pair, Failure> {
    let (mut server, client) = (stage.caller("server")?, stage.caller("client")?);
    stage.call(&mut server, "rcvbuf 65536", "0")?;
    stage.call(&mut server, &format!("listen {SERVER}"), "0")?;
    let mut pair = Pair { client, server };
    stage.join(&mut pair)?;
    Ok(pair)
}

/// S22: what a dead writer wrote arrives.
pub(super) fn flush_before_fin(stage: &mut Stage) -> Result<(), Failure> {
    let mut pair = narrow_pair(stage)?;
    stage.say("4 MiB for a reader that is slow. The writer closes at once, and exits:")?;
    stage.begin(&mut pair.client, &format!("send {MUCH}"))?;
    let (mut times, begun) = (0, Instant::now());
    while stage.blocks_for(&mut pair.client, Duration::from_millis(1)) {
        let sight = stage.sight(SERVER)?;
        if sight.client("ESTAB").is_some_and(|socket| socket.row.send_q >= ON_ITS_WAY) {
            stage.ask_quietly(&mut pair.server, &format!("receive {PIECE}"))?;
            times += 1;
        } else if begun.elapsed() > PATIENCE {
            return Err(Failure::new("the writer waits, though there is room"));
        }
    }
    let read = times * PIECE;
    stage.say_again(&pair.server, &format!("receive {PIECE}"), &PIECE.to_string(), times)?;
    stage.answer(&mut pair.client)?;
    stage.call(&mut pair.client, "close", "0")?;
    stage.exit(pair.client)?;
    let sight = stage.until(SERVER, |sight| sight.is("FIN-WAIT-1", "ESTAB"))?;
    stage.show(&sight, Columns::Plain)?;
    stage.check(
        sight.client("FIN-WAIT-1").is_some_and(|socket| socket.row.orphan && socket.row.send_q > 0),
        "the writer is dead; what it wrote is still on its way (Send-Q), and its FIN after that",
    )?;
    let rest = MUCH - read;
    let received = stage.ask(&mut pair.server, &format!("receive {}", rest + 1))?;
    stage.check(received == rest.to_string(), "the reader gets every octet")?;
    let end = stage.ask(&mut pair.server, "read")?;
    stage.check(end == "0", "and then 0: the FIN came after all of them")?;
    stage.call(&mut pair.server, "close", "0")?;
    stage.reach("TIME-WAIT", "gone")?;
    stage.picture(1)
}

/// S23: three ways in which close() is not what one thinks.
pub(super) fn linger(stage: &mut Stage) -> Result<(), Failure> {
    let mut pair = stage.pair()?;
    stage.say("SO_LINGER {1, 0}: close() throws the connection away.")?;
    let mark = stage.mark()?;
    stage.call(&mut pair.client, "linger 0", "0")?;
    stage.call(&mut pair.client, "close", "0")?;
    reset(stage, &mut pair, mark)?;

    stage.say("close() with octets that nobody has read:")?;
    again(stage, &mut pair)?;
    stage.call(&mut pair.server, "write unread", "6")?;
    stage.until(SERVER, |sight| {
        sight.client("ESTAB").is_some_and(|s| s.row.recv_q == 6)
            && sight.server("ESTAB").is_some_and(|s| s.row.send_q == 0)
    })?;
    let mark = stage.mark()?;
    stage.call(&mut pair.client, "close", "0")?;
    reset(stage, &mut pair, mark)?;
    drop(pair);
    stage.until(SERVER, |sight| sight.sockets.is_empty())?;

    stage.say("SO_LINGER {1, 30}: close() waits until all is acknowledged, at most 30 s.")?;
    let mut pair = narrow_pair(stage)?;
    waits(stage, &mut pair)?;
    stage.call(&mut pair.server, "receive 200000", "200000")?;
    let closed = stage.answer(&mut pair.client)?;
    stage.check(closed == "0", "the peer has read all: close() returns at once")?;
    stage.call(&mut pair.server, "read", "0")?;
    stage.call(&mut pair.server, "close", "0")?;
    stage.reach("TIME-WAIT", "gone")?;
    stage.advance("60s")?;

    stage.say("The same with a peer that does not read:")?;
    again(stage, &mut pair)?;
    waits(stage, &mut pair)?;
    stage.advance("30s")?;
    // On a very busy machine the stack may hear of this close() after the clock has moved.
    for _ in 0..4 {
        if stage.blocks_for(&mut pair.client, Duration::from_secs(2)) {
            stage.advance("30s")?;
        }
    }
    let closed = stage.answer(&mut pair.client)?;
    stage.check(closed == "0", "30 s later close() returns; the stack goes on without it")?;
    stage.check_states(["FIN-WAIT-1", "ESTAB"], "nothing is lost yet")?;
    stage.picture(1)?;
    stage.picture(3)
}

/// A new connection of the same programs.
fn again(stage: &mut Stage, pair: &mut Pair) -> Result<(), Failure> {
    stage.call(&mut pair.client, "socket", "0")?;
    stage.join(pair)
}

/// The client has closed: RST, and nothing stays.
fn reset(stage: &mut Stage, pair: &mut Pair, mark: u64) -> Result<(), Failure> {
    let read = stage.ask(&mut pair.server, "read")?;
    let history = stage.since(mark)?;
    let segments = history.segments().filter(|(_, segment)| segment.from.port() != SERVER);
    let resets = segments.filter(|(_, segment)| segment.flags.rst()).count();
    let fins = history.segments().filter(|(_, segment)| segment.flags.fin()).count();
    stage.check(resets == 1 && fins == 0, "RST instead of FIN")?;
    stage.check(read == "-1 ECONNRESET", "the peer's read() fails with ECONNRESET")?;
    stage.call(&mut pair.server, "close", "0")?;
    stage.check_states(["gone", "gone"], "nothing stays: no TIME-WAIT")?;
    Ok(())
}

/// The client sends more than the server's window takes, and begins to close().
fn waits(stage: &mut Stage, pair: &mut Pair) -> Result<(), Failure> {
    stage.call(&mut pair.client, "linger 30", "0")?;
    stage.call(&mut pair.client, "send 200000", "200000")?;
    stage.begin(&mut pair.client, "close")?;
    let blocks = stage.blocks_for(&mut pair.client, A_WHILE);
    stage.check(blocks, "close() does not return: the peer's window is closed")?;
    Ok(())
}

/// S26: call by call.
pub(super) fn read_write_after(stage: &mut Stage) -> Result<(), Failure> {
    let mut pair = stage.pair()?;
    stage.say("After the peer's FIN:")?;
    stage.call(&mut pair.server, "write last", "4")?;
    stage.call(&mut pair.server, "shutdown", "0")?;
    stage.reach("CLOSE-WAIT", "FIN-WAIT-2")?;
    let first = asked(stage, &mut pair, &["read", "read", "read"])?;
    stage.check(first == ["4 \"last\"", "0", "0"], "what was sent, then 0 again and again")?;
    let wrote = stage.ask(&mut pair.client, "write still here")?;
    let heard = stage.ask(&mut pair.server, "read")?;
    stage.check(
        wrote == "10" && heard == "10 \"still here\"",
        "write() works: the other direction is open",
    )?;
    stage.call(&mut pair.client, "close", "0")?;
    stage.call(&mut pair.server, "close", "0")?;

    stage.say("After the peer's RST, with octets still unread:")?;
    again(stage, &mut pair)?;
    stage.call(&mut pair.server, "write queued", "6")?;
    stage.until(SERVER, |sight| sight.client("ESTAB").is_some_and(|s| s.row.recv_q == 6))?;
    stage.call(&mut pair.server, "linger 0", "0")?;
    stage.call(&mut pair.server, "close", "0")?;
    stage.until(SERVER, |sight| sight.client("ESTAB").is_none())?;
    let reads = asked(stage, &mut pair, &["read", "read", "read"])?;
    stage.check(
        reads == ["6 \"queued\"", "-1 ECONNRESET", "0"],
        "what is queued, ECONNRESET once, then 0",
    )?;
    let writes = asked(stage, &mut pair, &["write x", "write x"])?;
    stage.check(writes == ["-1 EPIPE SIGPIPE"; 2], "write() fails with EPIPE, and SIGPIPE")?;

    stage.say("After one's own close():")?;
    stage.call(&mut pair.client, "close", "0")?;
    let calls = asked(stage, &mut pair, &["read", "write x", "shutdown", "close"])?;
    stage.check(calls == ["-1 EBADF"; 4], "EBADF, whatever is called")?;
    stage.picture(1)?;
    stage.picture(2)
}

/// What the client's calls return.
fn asked(stage: &mut Stage, pair: &mut Pair, calls: &[&str]) -> Result<Vec<String>, Failure> {
    calls.iter().map(|call| stage.ask(&mut pair.client, call)).collect()
}
