//! `tcplab why` over real programs: every verdict beside the outcome of the call itself, and the
//! culprit by name.

use std::process::Output;

use crate::actor::Actor;
use crate::common::{Session, wait_for};
use crate::ground::Ground;

fn ground(sysctls: &[(&str, &str)]) -> Ground {
    Ground::Shim(Session::traced(sysctls))
}

fn session(ground: &Ground) -> &Session {
    ground.session().expect("the ground is the shim's")
}

/// What `tcplab why` says, and its exit status.
struct Told {
    text: String,
    status: Option<i32>,
}

fn why(ground: &Ground, line: &str) -> Told {
    let words = ["why"].into_iter().chain(line.split_whitespace());
    let Output { status, stdout, stderr } = session(ground).try_tcplab(words);
    let text = String::from_utf8(stdout).unwrap();
    assert!(stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
    Told { text, status: status.code() }
}

impl Told {
    fn verdict(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    #[track_caller]
    fn says(&self, words: &[&str]) {
        // However the lines are broken.
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(text.contains(word), "'{word}' is not said:\n{}", self.text);
        }
    }
}

/// Asks why, then makes the call: both must say the same. `call` is for the actor, with the socket
/// `x` made and its options set.
#[track_caller]
fn agrees(ground: &Ground, actor: &mut Actor, line: &str, call: &str) -> Told {
    let told = why(ground, line);
    actor.call("socket x", "0");
    if line.contains("--reuseaddr") {
        actor.call("reuse x", "0");
    }
    let outcome = actor.ask(call);
    match outcome.as_str() {
        "0" => {
            assert_eq!(told.status, Some(0), "{}", told.text);
            assert!(told.verdict().contains(" succeeds: "), "{}", told.text);
        }
        errno => {
            assert_eq!(told.status, Some(1), "{}", told.text);
            let fails = format!(" fails with {errno}: ");
            assert!(told.verdict().contains(&fails), "{errno}: {}", told.text);
        }
    }
    actor.call("close x", "0");
    told
}

/// A server that closes one connection first and ends; the port it had.
fn leave_time_wait(ground: &Ground, reuse: bool) -> u16 {
    let (mut server, mut client) = (ground.actor(), ground.actor());
    server.call("socket l", "0");
    if reuse {
        server.call("reuse l", "0");
    }
    server.calls(&[("bind l 127.0.0.1:0", "0"), ("listen l", "0")]);
    let at = server.name("l");
    client.calls(&[("socket c", "0"), (&format!("connect c {at}"), "0")]);
    server.calls(&[("accept l s", "0"), ("close s", "0")]);
    client.calls(&[("read c", "0"), ("close c", "0")]);
    server.exit();
    ground.await_count("TIME-WAIT", 1);
    at.port()
}

/// S13: old and new socket with and without SO_REUSEADDR; afterwards the refusal of the program is
/// explained as well.
#[test]
fn a_restart_into_time_wait_is_explained_before_and_after() {
    let expected = [
        (false, false, "Neither the old socket nor this one has SO_REUSEADDR"),
        (false, true, "SO_REUSEADDR is set on this socket, but was not on the old socket"),
        (true, false, "SO_REUSEADDR is set on the old socket and not on this one"),
        (true, true, ""),
    ];
    for (old, new, sentence) in expected {
        let ground = ground(&[]);
        session(&ground).tcplab(["clock", "pause"]);
        let port = leave_time_wait(&ground, old);
        session(&ground).tcplab(["clock", "advance", "10s"]);
        let mut restarted = ground.actor();
        let option = if new { " --reuseaddr" } else { "" };
        let bind = format!("bind x 127.0.0.1:{port}");
        let told = agrees(&ground, &mut restarted, &format!("bind :{port}{option}"), &bind);
        if old && new {
            continue;
        }
        let connection = format!("TIME-WAIT 127.0.0.1:{port} 127.0.0.1:");
        told.says(&["a closed connection is in TIME-WAIT for 50s", sentence, &connection]);
        let later = why(&ground, "");
        let pid = format!("actor (pid {}, fd ", restarted.pid());
        let verdict = format!("bind 127.0.0.1:{port}");
        later.says(&[&pid, &verdict, " fails with EADDRINUSE", sentence, "tcplab clock advance"]);
        session(&ground).tcplab(["clock", "advance", "50s"]);
        agrees(&ground, &mut restarted, &format!("bind :{port}{option}"), &bind);
    }
}

#[test]
fn a_listener_is_named_and_so_is_a_child_that_has_inherited_it() {
    let ground = ground(&[]);
    let (mut server, mut other) = (ground.actor(), ground.actor());
    let port = server.listen().port();
    let line = format!("bind :{port} --reuseaddr");
    let call = format!("bind x 0.0.0.0:{port}");
    let told = agrees(&ground, &mut other, &line, &call);
    told.says(&[&format!("actor (pid {}, fd ", server.pid()), "listens on it"]);
    assert!(!told.text.contains("inherited"), "{}", told.text);

    let child = server.ask("fork");
    server.call("close l", "0");
    let told = agrees(&ground, &mut other, &line, &call);
    told.says(&[
        &format!("actor (pid {child}, fd "),
        "inherited)",
        &format!("it was inherited from process {}, which has closed it", server.pid()),
        "SOCK_CLOEXEC",
    ]);
    server.call("child close l", "0");
    agrees(&ground, &mut other, &line, &call);
}

#[test]
fn an_outgoing_connection_that_has_the_port_is_named() {
    let ground = ground(&[]);
    let pair = ground.pair();
    let port = pair.client_at.port();
    let mut other = ground.actor();
    let call = format!("bind x 127.0.0.1:{port}");
    let told = agrees(&ground, &mut other, &format!("bind 127.0.0.1:{port}"), &call);
    told.says(&[
        &format!("an outgoing connection of actor (pid {}, fd ", pair.client.pid()),
        &format!("net.ipv4.ip_local_reserved_ports={port}"),
    ]);
}

#[test]
fn a_connection_that_the_old_server_left_open_is_named() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    pair.server.call("close l", "0");
    let at = pair.server_at;
    let mut other = ground.actor();
    let told = agrees(&ground, &mut other, &format!("bind {at}"), &format!("bind x {at}"));
    told.says(&[
        &format!("a connection of actor (pid {}, fd ", pair.server.pid()),
        "in CLOSE-WAIT",
        "tcplab leaks",
    ]);
}

/// S16
#[test]
fn a_range_that_is_used_up_is_told_by_destination_and_state() {
    let ground =
        ground(&[("net.ipv4.ip_local_port_range", "40000 40003"), ("net.ipv4.tcp_tw_reuse", "0")]);
    session(&ground).tcplab(["clock", "pause"]);
    let (mut server, mut client) = (ground.actor(), ground.actor());
    // Outside of the range.
    server.calls(&[("socket l", "0"), ("bind l 127.0.0.1:7070", "0"), ("listen l", "0")]);
    for _ in 0..3 {
        client.calls(&[("socket c", "0"), ("connect c 127.0.0.1:7070", "0"), ("close c", "0")]);
        server.calls(&[("accept l s", "0"), ("read s", "0"), ("close s", "0")]);
    }
    ground.await_count("TIME-WAIT", 3);
    session(&ground).tcplab(["clock", "advance", "10s"]);
    client.calls(&[("socket c", "0"), ("connect c 127.0.0.1:7070", "0")]);
    let (line, call) = ("connect :7070", "connect x 127.0.0.1:7070");
    let told = agrees(&ground, &mut client, line, call);
    told.says(&[
        "no port of 40000-40003 is free for a connection to 127.0.0.1:7070",
        "3 TIME-WAIT 127.0.0.1:7070 the first is over in 50s",
        "1 ESTAB 127.0.0.1:7070",
        "tcp_tw_reuse=1",
    ]);
    why(&ground, "").says(&["connect 127.0.0.1:7070 fails with EADDRNOTAVAIL"]);
    // Another destination has its own; after 2MSL this one has some again.
    let elsewhere = why(&ground, "connect 127.0.0.2:7070");
    elsewhere.says(&["connect 127.0.0.2:7070 fails with ECONNREFUSED", "127.0.0.1:7070"]);
    session(&ground).tcplab(["clock", "advance", "60s"]);
    agrees(&ground, &mut client, line, call).says(&["listens"]);
}

#[test]
fn a_full_accept_queue_is_told_with_who_does_not_accept() {
    let ground = ground(&[]);
    let (mut server, mut client) = (ground.actor(), ground.actor());
    server.calls(&[("socket l", "0"), ("bind l 127.0.0.1:0", "0"), ("listen l 0", "0")]);
    let at = server.name("l");
    client.calls(&[("socket c", "0"), (&format!("connect c {at}"), "0"), ("socket d", "0")]);
    wait_for("the connection to wait for accept()", || {
        ground.in_state("LISTEN").pop().is_some_and(|listener| listener.row.recv_q == 1)
    });
    let told = why(&ground, &format!("connect {at}"));
    assert_eq!(told.status, Some(1));
    told.says(&[
        "fails with ETIMEDOUT",
        &format!("actor (pid {}, fd ", server.pid()),
        "does not accept()",
        "1 of backlog 0",
    ]);
    client.begin(&format!("connect d {at}"));
    wait_for("the SYN", || ground.in_state("SYN-SENT").len() == 1);
    session(&ground).tcplab(["clock", "advance", "140s"]);
    client.returns("ETIMEDOUT");
}

#[test]
fn what_cannot_be_asked_is_another_exit_status() {
    let session = Session::new();
    for line in [&["why", "bind", "nowhere"][..], &["why", "connect"], &["why"]] {
        let output = session.try_tcplab(line.iter().copied());
        assert_eq!(output.status.code(), Some(2), "{line:?}");
    }
    session.tcplab(["up"]);
    assert_eq!(session.tcplab(["why"]), "no call has been refused for want of a port\n");
    let json = session.try_tcplab(["why", "bind", "10.1.2.3:80", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&told["errno"], &told["cause"]), (&"EADDRNOTAVAIL".into(), &"not-local".into()));
    assert_eq!(json.status.code(), Some(1));
}
