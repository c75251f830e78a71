//! Scenes about the last segments of a connection getting lost or late.

use super::super::super::Failure;
use super::super::stage::{Pair, SERVER, Side, Stage};

/// S06: TIME-WAIT acknowledges the FIN again.
pub(super) fn lost_last_ack(stage: &mut Stage) -> Result<(), Failure> {
    let mut pair = stage.pair()?;
    let mark = lose_last_ack(stage, &mut pair)?;
    let waiting = stage.check_states(
        ["TIME-WAIT", "LAST-ACK"],
        "the client is in TIME-WAIT; the server does not know that its FIN has arrived",
    )?;
    let timer = |state, sight: &super::super::stage::Sight| {
        let socket = if state == "TIME-WAIT" { sight.client(state) } else { sight.server(state) };
        socket.and_then(|socket| socket.row.timer.as_ref()).map_or(0, |timer| timer.left_ms)
    };
    let retransmission = timer("LAST-ACK", &waiting);
    let without_restart = timer("TIME-WAIT", &waiting).saturating_sub(retransmission);
    stage.say("The server's retransmission timer runs out:")?;
    stage.advance(&format!("{}ms", retransmission + 20))?;
    let after =
        stage.check_states(["TIME-WAIT", "gone"], "LAST-ACK is over: the server is done")?;
    let exchange = stage.since(mark)?.exchange();
    stage.check(
        exchange == ["server FIN,ACK", "client ACK lost", "server FIN,ACK again", "client ACK"],
        "the server sent its FIN again; TIME-WAIT acknowledged it again",
    )?;
    let left = timer("TIME-WAIT", &after);
    stage.check(
        left > without_restart,
        &format!(
            "2MSL began afresh: {left} ms are left; without that it would be {} ms",
            without_restart.saturating_sub(20)
        ),
    )?;
    let error = stage.ask(&mut pair.server, "so_error")?;
    stage.check(error == "0", "the server's program sees no error: an orderly close")?;
    stage.picture(1)
}

/// S07: the retransmitted FIN meets nobody.
pub(super) fn no_time_wait(stage: &mut Stage) -> Result<(), Failure> {
    stage.say("An MSL of 0: there is no TIME-WAIT. (The kernel has no such setting.)")?;
    stage.sysctl("net.tcplab.tcp_msl_ms=0")?;
    let mut pair = stage.pair()?;
    let mark = lose_last_ack(stage, &mut pair)?;
    let waiting = stage.check_states(
        ["gone", "LAST-ACK"],
        "the client's end is gone at once; the server still waits for the last ACK",
    )?;
    let timer = waiting.server("LAST-ACK").and_then(|socket| socket.row.timer.as_ref());
    let retransmission = timer.map_or(0, |timer| timer.left_ms);
    stage.say("The server's retransmission timer runs out:")?;
    stage.advance(&format!("{}ms", retransmission + 20))?;
    stage.reach("gone", "gone")?;
    let history = stage.since(mark)?;
    stage.check(
        history.exchange()
            == ["server FIN,ACK", "client ACK lost", "server FIN,ACK again", "client RST"],
        "the FIN meets no connection: RST instead of the ACK that was lost",
    )?;
    let error = stage.ask(&mut pair.server, "so_error")?;
    stage.check(
        error == "ECONNRESET",
        "the server's program is told that an orderly close has failed: the harm that TIME-WAIT \
         prevents (compare lost-last-ack)",
    )?;
    stage.picture(1)
}

/// Both ends close, the client first; its last ACK is lost. The clock stands still.
fn lose_last_ack(stage: &mut Stage, pair: &mut Pair) -> Result<u64, Failure> {
    stage.call(&mut pair.client, "close", "0")?;
    stage.call(&mut pair.server, "read", "0")?;
    stage.reach("FIN-WAIT-2", "CLOSE-WAIT")?;
    stage.say("The ACK of the server's FIN will be lost, once:")?;
    stage.pause()?;
    stage.rule("drop ack from client nth 1")?;
    let mark = stage.mark()?;
    // Not close(): so that the program can ask for the error afterwards.
    stage.call(&mut pair.server, "shutdown", "0")?;
    Ok(mark)
}

/// S08: an orphan gives up after tcp_orphan_retries.
pub(super) fn fin_never_acked(stage: &mut Stage) -> Result<(), Failure> {
    let mut pair = stage.pair()?;
    stage.say("From now on no acknowledgment of the client's FIN arrives. It closes and exits:")?;
    stage.rule("drop from server")?;
    let mark = stage.mark()?;
    stage.call(&mut pair.client, "close", "0")?;
    stage.exit(pair.client)?;
    let sight = stage.check_states(
        ["FIN-WAIT-1", "CLOSE-WAIT"],
        "the program is gone; the stack goes on: FIN-WAIT-1",
    )?;
    stage.check(
        sight.client("FIN-WAIT-1").is_some_and(|socket| socket.row.orphan),
        "nobody holds this end: it is an orphan",
    )?;
    stage.advance("10m")?;
    stage.check_states(["gone", "CLOSE-WAIT"], "ten minutes later the orphan is gone")?;
    let history = stage.since(mark)?;
    let fins: Vec<u64> = history
        .segments()
        .filter(|(_, segment)| segment.flags.fin() && segment.from.port() != SERVER)
        .map(|(record, _)| record.at_ns)
        .collect();
    let gaps: Vec<u64> = fins.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let doubled = gaps.windows(2).all(|pair| pair[1].abs_diff(2 * pair[0]) * 20 < pair[1]);
    let seconds = |nanos: &u64| format!("{:.1}", *nanos as f64 / 1e9);
    stage.check(
        doubled && (8..=9).contains(&gaps.len()),
        &format!(
            "its FIN was sent again {} times, each after twice the time: {} s \
             (net.ipv4.tcp_orphan_retries=0 means 8)",
            gaps.len(),
            gaps.iter().map(seconds).collect::<Vec<_>>().join(", ")
        ),
    )?;
    let end = history.path(Side::Client).pop().unwrap_or_default();
    stage.check(
        end.starts_with("FIN-WAIT-1 > UNCONN (Timer("),
        "a timer ended it: nothing stays for ever",
    )?;
    stage.picture(1)
}

/// S10: TIME-WAIT is over when the FIN arrives.
pub(super) fn late_fin(stage: &mut Stage) -> Result<(), Failure> {
    let mut pair = stage.pair()?;
    stage.call(&mut pair.client, "close", "0")?;
    stage.call(&mut pair.server, "read", "0")?;
    stage.reach("FIN-WAIT-2", "CLOSE-WAIT")?;
    stage.say("The last ACK is lost, and the FINs that are sent again are held back:")?;
    stage.pause()?;
    stage.rule("drop ack-of-fin from client")?;
    let late = stage.rule("hold retransmission from server")?;
    stage.call(&mut pair.server, "shutdown", "0")?;
    stage.reach("TIME-WAIT", "LAST-ACK")?;
    stage.advance("60s")?;
    stage.check_states(
        ["gone", "LAST-ACK"],
        "2MSL is over: the client's end is deleted; the server still tries",
    )?;
    stage.say("One of those FINs arrives now:")?;
    let mark = stage.mark()?;
    stage.release_one(late)?;
    stage.await_segments(mark, 1)?;
    stage.check_states(["gone", "gone"], "the server's end is aborted")?;
    let exchange = stage.since(mark)?.exchange();
    stage.check(exchange == ["client RST"], "there is no such connection any more: RST")?;
    let error = stage.ask(&mut pair.server, "so_error")?;
    stage.check(error == "ECONNRESET", "and its program is told so")?;
    stage.picture(1)
}
