//! Scenes about descriptors that nobody closes.

use core::time::Duration;

use super::super::Failure;
use super::programs::{CLIENT, CORRECT_SERVER, FORK_SERVER, LEAK_NEVER_CLOSES};
use super::stage::{Sight, Stage};

const LEAK_PORT: u16 = 8005;
const CORRECT_PORT: u16 = 8006;
const FORK_PORT: u16 = 8007;
const CLIENTS: usize = 3;
/// How long a healthy server may take from the peer's FIN to its close().
const GRACE: Duration = Duration::from_millis(300);

/// S20 (b): the same clients against a server that forgets close(), and one that does not.
pub(super) fn close_wait_leak(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(LEAK_NEVER_CLOSES, &["8005"], LEAK_PORT)?;
    for _ in 0..CLIENTS {
        stage.run(CLIENT, &["-c", "8005", "hi"])?;
    }
    let leak = stage.until(LEAK_PORT, |sight| {
        let old = |s: &super::super::ss::Socket| s.row.age_ms >= GRACE.as_millis() as u64;
        sight.count("CLOSE-WAIT") == CLIENTS
            && sight.sockets.iter().filter(|s| s.row.state == "CLOSE-WAIT").all(old)
    })?;
    stage.say("All clients have ended. What is left of their connections:")?;
    stage.show(&leak)?;
    stage.check(
        leak.count("CLOSE-WAIT") == CLIENTS,
        &format!("{CLIENTS} clients have gone, and {CLIENTS} connections stay in CLOSE-WAIT"),
    )?;
    let findings = findings(&leak);
    stage.check(findings.len() == CLIENTS, "each has a holder that has not called close():")?;
    for finding in findings {
        stage.note(&finding)?;
    }
    drop(server);
    let after = stage.until(LEAK_PORT, |sight| sight.count("CLOSE-WAIT") == 0)?;
    stage.check(
        after.count("CLOSE-WAIT") == 0,
        "the server is ended: the kernel closes its descriptors, and the connections end, too",
    )?;

    stage.say("The same with a server that calls close():")?;
    let server = stage.serve(CORRECT_SERVER, &["8006"], CORRECT_PORT)?;
    for _ in 0..CLIENTS {
        stage.run(CLIENT, &["-c", "8006", "hi"])?;
    }
    let clean = stage.until(CORRECT_PORT, |sight| sight.server("CLOSE-WAIT").is_none())?;
    stage.check(clean.count("CLOSE-WAIT") == 0, "no connection stays in CLOSE-WAIT")?;
    drop(server);
    Ok(())
}

/// One sentence for every descriptor that keeps a connection in CLOSE-WAIT.
fn findings(sight: &Sight) -> Vec<String> {
    let leaking = sight.sockets.iter().filter(|socket| socket.row.state == "CLOSE-WAIT");
    let sentences = leaking.flat_map(|socket| {
        socket.holders.iter().map(|holder| {
            format!(
                "{} (process {}) keeps descriptor {} open, {} ms after the end of its peer {}",
                holder.name,
                holder.pid,
                holder.fd,
                socket.row.age_ms,
                socket.row.peer.map_or_else(String::new, |peer| peer.to_string()),
            )
        })
    });
    sentences.collect()
}

/// S21: the parent forgets its copy; the child's close() sends no FIN.
pub(super) fn last_reference(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(FORK_SERVER, &["-f", "8007"], FORK_PORT)?;
    stage.run(CLIENT, &["-c", "8007", "hi"])?;
    let leak = stage.until(FORK_PORT, |sight| {
        sight.server("CLOSE-WAIT").is_some_and(|socket| socket.holders.len() == 1)
    })?;
    stage.say("The client is gone; the child has read 0, closed its copy and exited:")?;
    stage.show(&leak)?;
    let holders = leak.server("CLOSE-WAIT").map_or(0, |socket| socket.holders.len());
    stage.check(holders == 1, "the parent's copy keeps the connection open: no FIN is sent")?;
    drop(server);
    let after = stage.until(FORK_PORT, |sight| sight.server("CLOSE-WAIT").is_none())?;
    stage.check(
        after.server("CLOSE-WAIT").is_none(),
        "the parent is ended: the last copy is closed, the FIN goes out, the connection ends",
    )?;
    Ok(())
}
