//! Scenes about ends that stay: orphans, descriptors that nobody closes, copies of them.

use tcplab::inspect::SocketRow;

use super::super::super::Failure;
use super::super::programs::{
    CLIENT, CORRECT_SERVER, FORK_SERVER, LEAK_IGNORES_EOF, LEAK_NEVER_CLOSES, Program,
};
use super::super::stage::{Columns, SERVER, Stage};

const CLIENTS: usize = 3;

/// S19: FIN-WAIT-2 with and without a program.
pub(super) fn fin_timeout(stage: &mut Stage) -> Result<(), Failure> {
    let mut pair = stage.pair()?;
    stage.say("The client calls close(). The server never does:")?;
    stage.pause()?;
    stage.call(&mut pair.client, "close", "0")?;
    let sight = stage.check_states(["FIN-WAIT-2", "CLOSE-WAIT"], "the client is in FIN-WAIT-2")?;
    stage.check(
        sight.client("FIN-WAIT-2").is_some_and(|socket| socket.row.orphan),
        "no program holds its end: it is an orphan, and a timer runs",
    )?;
    stage.advance("59s")?;
    stage.reach("FIN-WAIT-2", "CLOSE-WAIT")?;
    stage.advance("1s")?;
    stage.check_states(
        ["gone", "CLOSE-WAIT"],
        "net.ipv4.tcp_fin_timeout is 60 s: the orphan is gone; the server's end is not",
    )?;
    stage.call(&mut pair.server, "close", "0")?;
    stage.reach("gone", "gone")?;

    stage.say("The same with shutdown(SHUT_WR): the client's program goes on listening.")?;
    stage.call(&mut pair.client, "socket", "0")?;
    stage.join(&mut pair)?;
    stage.call(&mut pair.client, "shutdown", "0")?;
    stage.reach("FIN-WAIT-2", "CLOSE-WAIT")?;
    stage.advance("24h")?;
    let sight = stage.check_states(
        ["FIN-WAIT-2", "CLOSE-WAIT"],
        "a day later it is still in FIN-WAIT-2: a program holds it, and there is no timer",
    )?;
    stage.check(
        sight.client("FIN-WAIT-2").is_some_and(|s| !s.row.orphan && s.row.timer.is_none()),
        "half-closed is no error; it may last as long as both like",
    )?;
    stage.picture(1)?;
    stage.picture(2)
}

/// What a program does at the end of a connection instead of close().
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    IgnoresEnd,
    NeverCloses,
}

impl Bug {
    /// How `tcplab leaks` calls it.
    fn words(self) -> &'static str {
        match self {
            Bug::IgnoresEnd => "times and went on",
            Bug::NeverCloses => "read the end and never closed",
        }
    }

    /// The program has come so far that it can be told from the other.
    fn shows(self, row: &SocketRow) -> bool {
        row.usage.ends_read.is_some_and(|ends| self == Bug::NeverCloses || ends.times > 3)
    }
}

/// S20: the same clients against two servers that forget close(), and one that does not.
pub(super) fn close_wait_leak(stage: &mut Stage) -> Result<(), Failure> {
    stage.say("(a) A server that takes read() == 0 for \"nothing yet\":")?;
    leak(stage, LEAK_IGNORES_EOF, Bug::IgnoresEnd)?;
    stage.say("(b) A server that leaves its loop at read() == 0, and forgets close():")?;
    leak(stage, LEAK_NEVER_CLOSES, Bug::NeverCloses)?;

    stage.say("The same with a server that calls close():")?;
    let server = stage.serve(CORRECT_SERVER, &["8080"], SERVER)?;
    visit(stage)?;
    let clean = stage.until(SERVER, |sight| sight.count("TIME-WAIT") == CLIENTS)?;
    stage.check(
        clean.count("CLOSE-WAIT") == 0 && clean.count("TIME-WAIT") == CLIENTS,
        "no connection stays in CLOSE-WAIT: all have gone their whole way",
    )?;
    stage.advance("5m")?;
    let (status, _) = stage.tcplab(&["leaks"])?;
    stage.check(status == Some(0), "and tcplab leaks finds nothing; status 0")?;
    drop(server);
    stage.picture(1)?;
    stage.picture(CLIENTS + 1)
}

/// Clients that say a line and close.
fn visit(stage: &mut Stage) -> Result<(), Failure> {
    for _ in 0..CLIENTS {
        stage.run(CLIENT, &["-c", "8080", "hi"])?;
    }
    Ok(())
}

/// Every client's connection stays in CLOSE-WAIT, until the server's process ends; `tcplab leaks`
/// says what its program has done wrong.
fn leak(stage: &mut Stage, program: Program, bug: Bug) -> Result<(), Failure> {
    let server = stage.serve(program, &["8080"], SERVER)?;
    visit(stage)?;
    stage.until(SERVER, |sight| {
        sight.count("FIN-WAIT-2") == CLIENTS && sight.count("CLOSE-WAIT") == CLIENTS
    })?;
    stage.advance("5m")?;
    let leak = stage.until(SERVER, |sight| {
        let leaked = sight.sockets.iter().filter(|socket| socket.row.state == "CLOSE-WAIT");
        sight.sockets.len() == CLIENTS + 1 && leaked.clone().all(|socket| bug.shows(&socket.row))
    })?;
    stage.say("Five minutes later the clients' ends are long gone. What is left:")?;
    stage.show(&leak, Columns::Plain)?;
    stage.check(
        leak.count("CLOSE-WAIT") == CLIENTS && leak.sockets.len() == CLIENTS + 1,
        &format!("{CLIENTS} clients have gone, and {CLIENTS} connections stay in CLOSE-WAIT"),
    )?;
    let (status, told) = stage.tcplab(&["leaks"])?;
    let findings = told.lines().filter(|line| line.contains("in CLOSE-WAIT for 5m"));
    stage.check(
        status == Some(1)
            && findings.clone().count() == CLIENTS
            && findings.clone().all(|line| line.contains(bug.words())),
        &format!("tcplab leaks names the holder and the bug of each (\"{}\")", bug.words()),
    )?;
    drop(server);
    let after = stage.until(SERVER, |sight| sight.sockets.is_empty())?;
    stage.check(
        after.sockets.is_empty(),
        "the server is ended: the kernel closes its descriptors, and the connections end, too",
    )?;
    Ok(())
}

/// S21: the parent forgets its copy; the child's close() sends no FIN.
pub(super) fn last_reference(stage: &mut Stage) -> Result<(), Failure> {
    let server = stage.serve(FORK_SERVER, &["-f", "8080"], SERVER)?;
    let mark = stage.mark()?;
    stage.run(CLIENT, &["-c", "8080", "hi"])?;
    let leak = stage.until_held(SERVER, |sight| {
        sight.server("CLOSE-WAIT").is_some_and(|socket| socket.holders.len() == 1)
    })?;
    stage.say("The client is gone; the child has read 0, closed its copy and exited:")?;
    stage.show(&leak, Columns::Holders)?;
    let holders = leak.server("CLOSE-WAIT").map_or(0, |socket| socket.holders.len());
    let fins = |stage: &mut Stage| -> Result<usize, Failure> {
        let exchange = stage.since(mark)?.exchange();
        Ok(exchange.iter().filter(|words| words.starts_with("server FIN")).count())
    };
    let sent = fins(stage)?;
    stage.check(
        holders == 1 && sent == 0,
        "the parent's copy keeps the connection open: no FIN is sent",
    )?;
    drop(server);
    let after = stage.until(SERVER, |sight| sight.server("CLOSE-WAIT").is_none())?;
    let sent = fins(stage)?;
    stage.check(
        after.server("CLOSE-WAIT").is_none() && sent == 1,
        "the parent is ended: the last copy is closed, the FIN goes out, the connection ends",
    )?;
    stage.picture(1)
}
