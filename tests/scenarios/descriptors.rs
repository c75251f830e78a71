//! Descriptors that are not closed: CLOSE-WAIT leaks, and copies that hold a connection.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::capture::{Capture, between, segments};
use crate::common::{Program, wait_for};
use crate::ground::{Ground, Socket, built, local};

/// Clients of each server.
const CLIENTS: usize = 3;

/// S20 (a): a server that takes read() == 0 for "nothing yet".
#[test]
fn close_wait_leak_of_a_server_that_ignores_eof() {
    leaks("examples/leak_ignores_eof.c");
}

/// S20 (b): a server that leaves its loop and does not close.
#[test]
fn close_wait_leak_of_a_server_that_never_closes() {
    leaks("examples/leak_never_closes.c");
}

/// S20: the correct server leaves none.
#[test]
fn close_wait_leak_not_of_the_correct_server() {
    let Some(ground) = Ground::new(&[("net.ipv4.tcp_fin_timeout", "1")]) else { return };
    let (mut server, port) = serve_clients(&ground, "examples/correct_server.c");
    // Each connection has gone its whole way: TIME-WAIT is on the clients' side.
    let time_wait = ground.await_count("TIME-WAIT", CLIENTS);
    assert!(time_wait.iter().all(|s| s.row.peer == Some(local(port))), "{time_wait:#?}");
    assert_eq!(connections_of(&ground, port), []);
    assert!(server.wait(Duration::ZERO).is_none(), "it still serves");
}

/// The connections stay in CLOSE-WAIT as long as the process lives, also after the clients' ends
/// are gone altogether.
fn leaks(source: &'static str) {
    let Some(ground) = Ground::new(&[("net.ipv4.tcp_fin_timeout", "1")]) else { return };
    let (mut server, port) = serve_clients(&ground, source);
    let leaked = ground.await_count("CLOSE-WAIT", CLIENTS);
    assert!(leaked.iter().all(|socket| socket.row.local == local(port)), "{leaked:#?}");
    // The clients have close()d: the kernel gives their ends up after tcp_fin_timeout.
    ground.await_count("FIN-WAIT-2", 0);
    let leaked = connections_of(&ground, port);
    let states: Vec<&str> = leaked.iter().map(|socket| socket.row.state.as_str()).collect();
    assert_eq!(states, ["CLOSE-WAIT"; CLIENTS]);
    if ground.session().is_some() {
        for socket in &leaked {
            let pids: Vec<u32> = socket.holders.iter().map(|holder| holder.pid).collect();
            assert_eq!(pids, [server.pid()], "one holder: {socket:?}");
            let age = socket.row.age_ms;
            assert!(age >= 900, "it is in CLOSE-WAIT since the client closed: {age} ms");
            assert!(!socket.row.orphan && socket.row.accepted, "{socket:?}");
        }
        let descriptors: BTreeSet<u32> = leaked.iter().map(|s| s.holders[0].fd).collect();
        assert_eq!(descriptors.len(), CLIENTS, "each has a descriptor of its own: {leaked:#?}");
    }
    assert!(server.wait(Duration::ZERO).is_none(), "it still serves");
    server.signal(libc::SIGKILL);
    server.wait(Duration::from_secs(5)).expect("it was killed");
    wait_for("the end of the leak with its process", || connections_of(&ground, port).is_empty());
}

/// A server, and clients that talk to it and close.
fn serve_clients(ground: &Ground, source: &'static str) -> (Program, u16) {
    let server = ground.spawn(built(source), ["0"]);
    let port = server.listening_port();
    for _ in 0..CLIENTS {
        let output = ground.run(built("examples/client.c"), ["-c", &port.to_string(), "hello"]);
        assert_eq!(output, "hello\nreceived 6 octets\n");
    }
    (server, port)
}

/// Connections at the server's end.
fn connections_of(ground: &Ground, port: u16) -> Vec<Socket> {
    let mut sockets = ground.sockets();
    sockets.retain(|socket| socket.row.local == local(port) && socket.row.peer.is_some());
    sockets
}

/// S21: a child holds a copy of the descriptor. The parent's close() is no CLOSE: no FIN until the
/// child has closed, too.
#[test]
fn last_reference() {
    let Some(ground) = Ground::new(&[("net.tcplab.tcp_msl_ms", "500")]) else { return };
    let capture = ground.capture();
    let mark = |what: &str| capture.iter().for_each(|capture| capture.mark(what));
    let mut pair = ground.pair();
    let parent = pair.client.pid();
    let child: u32 = pair.client.ask("fork").parse().expect("fork() returns the child");
    holders_are(&pair.client_end(), &ground, &[parent, child]);

    mark("the parent closes");
    let before = ground.counter("TcpOutSegs");
    pair.client.calls(&[("close c", "0"), ("write c x", "EBADF")]);
    holders_are(&pair.client_end(), &ground, &[child]);
    pair.reach("ESTAB", "ESTAB");
    assert_eq!(ground.counter("TcpOutSegs"), before, "not one segment");
    pair.client.call("child write c still", "5");
    pair.server.calls(&[("read s", "5 still"), ("write s here", "4")]);
    pair.client.call("child read c", "4 here");
    pair.reach("ESTAB", "ESTAB");

    mark("the child closes");
    pair.client.call("child close c", "0");
    pair.server.calls(&[("poll s RDHUP", "0x2000"), ("read s", "0")]);
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    pair.server.call("close s", "0");
    pair.reach("TIME-WAIT", "gone");

    let Some(seen) = capture.map(Capture::finish) else { return };
    let fins = |from, to| {
        let segments = segments(between(&seen, from, to));
        segments.iter().filter(|s| s.flags.contains("FIN")).map(|s| s.from).collect::<Vec<_>>()
    };
    assert_eq!(fins("the parent closes", Some("the child closes")), [0; 0]);
    let ends = [pair.client_at.port(), pair.server_at.port()];
    assert_eq!(fins("the child closes", None), ends);
}

/// Checks which processes hold a socket.
fn holders_are(socket: &Option<Socket>, ground: &Ground, processes: &[u32]) {
    if ground.session().is_some() {
        let socket = socket.as_ref().expect("it is there");
        let holders: BTreeSet<u32> = socket.holders.iter().map(|holder| holder.pid).collect();
        assert_eq!(holders, processes.iter().copied().collect(), "{socket:?}");
    }
}
