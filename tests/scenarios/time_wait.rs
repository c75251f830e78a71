//! TIME-WAIT: who has it, what it holds, how it ends.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tcplab::inspect::Side;

use crate::actor::Actor;
use crate::capture::{Capture, between};
use crate::common::{Program, describe, wait_for};
use crate::ground::{Ground, built, finish, local};

/// S09: after 2MSL the TCB is gone and the port free, and not one segment has been sent.
#[test]
fn time_wait_expires() {
    const MSL_MS: u64 = 1500;
    let Some(ground) = Ground::new(&[("net.tcplab.tcp_msl_ms", &MSL_MS.to_string())]) else {
        return;
    };
    let Some(session) = ground.session() else { return };
    let capture = ground.capture();
    let mut pair = ground.pair();
    pair.server.call("close l", "0");
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    let since = Instant::now();
    pair.server.call("close s", "0");
    pair.reach("TIME-WAIT", "gone");
    capture.iter().for_each(|capture| capture.mark("TIME-WAIT"));
    let segments = || ["TcpOutSegs", "TcpInSegs"].map(|name| ground.counter(name));
    let before = segments();
    let timer = pair.client_end().and_then(|socket| socket.row.timer).expect("a timer");
    assert_eq!(timer.name, "timewait");
    assert!(timer.left_ms <= 2 * MSL_MS, "{timer:?}");
    let bind = format!("bind d {}", pair.client_at);
    pair.client.calls(&[("socket d", "0"), (&bind, "EADDRINUSE")]);

    pair.reach("gone", "gone");
    let lived = since.elapsed();
    assert!(lived >= Duration::from_millis(2 * MSL_MS), "only {lived:?}");
    assert_eq!(segments(), before, "segments sent, received");
    pair.client.calls(&[(&bind, "0"), ("close d", "0")]);
    let status = session.status();
    assert_eq!((status.time_wait, status.tcbs, status.orphans), (0, 0, 0), "{status:?}");
    assert_eq!(ground.counter("TcpExtTW"), 1, "one ran out");
    let Some(seen) = capture.map(Capture::finish) else { return };
    assert_eq!(between(&seen, "TIME-WAIT", None), [], "silence");
}

/// What became of a server that was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Start {
    Listening,
    AddressInUse,
}

/// Time that a restart needs on a busy machine, and some more.
const RESTART_MSL_MS: &str = "2500";

/// S13: a server that closed first leaves a TIME-WAIT on its port. bind() fails until 2MSL are over
/// though the process is dead, unless both the dead one and the new one have set SO_REUSEADDR.
#[test]
fn restart_eaddrinuse() {
    let sysctls = [("net.tcplab.tcp_msl_ms", RESTART_MSL_MS)];
    let Some(ground) = Ground::new(&sysctls) else { return };
    let matrix = [
        (8001, "-1", "-1", Start::AddressInUse),
        (8002, "-1", "-1r", Start::AddressInUse),
        (8003, "-1r", "-1", Start::AddressInUse),
        (8004, "-1r", "-1r", Start::Listening),
    ];
    std::thread::scope(|scope| {
        for (port, old, new, expected) in matrix {
            let ground = &ground;
            scope.spawn(move || restart(ground, local(port), [old, new], expected));
        }
    });
}

/// Starts a server with options `old`, lets it serve one client and end, starts it with `new`.
fn restart(ground: &Ground, server_at: SocketAddr, [old, new]: [&str; 2], expected: Start) {
    let port = server_at.port().to_string();
    let program = built("examples/closes_first.c");
    let start = |options: &str| ground.spawn(&program, [options, &port]);
    let mut server = start(old);
    assert_eq!(outcome(&mut server), Start::Listening);
    let ports = fetch(&mut ground.actor(), server_at, 1);
    finish("the first server", &mut server);
    let client_at = local(ports[0]);
    let time_wait = || {
        let socket = ground.socket(server_at, Some(client_at))?;
        (socket.row.state == "TIME-WAIT").then_some(socket)
    };
    wait_for("TIME-WAIT", || time_wait().is_some());

    let mut server = start(new);
    let outcome_now = outcome(&mut server);
    let blocker = time_wait().expect("this machine is too slow: TIME-WAIT is over already");
    assert_eq!(outcome_now, expected, "{old} then {new}: {blocker:?}");
    drop(server);
    let Some(session) = ground.session() else {
        return;
    };
    // The tool names the 4-tuple and the time that is left.
    let table = session.tcplab(["ss", "-tano", "state", "time-wait", "sport", "=", &port]);
    assert!(
        [&server_at, &client_at].iter().all(|end| table.contains(&end.to_string()))
            && table.contains("timer:(timewait,"),
        "{table}"
    );
    wait_for("the end of 2MSL", || time_wait().is_none());
    assert_eq!(outcome(&mut start(new)), Start::Listening, "{old} then {new} after 2MSL");
}

/// Whether a server that was started listens; it is a failure if it ends in another way.
fn outcome(server: &mut Program) -> Start {
    let mut outcome = None;
    wait_for("the server to listen or to fail", || {
        let ended = server.wait(Duration::ZERO);
        let output = server.output();
        if output.starts_with("listening on ") {
            outcome = Some(Start::Listening);
        } else if output == "bind: Address already in use\n" && ended.is_some() {
            outcome = Some(Start::AddressInUse);
        } else {
            assert!(ended.is_none(), "{}: {output}", describe(ended));
        }
        outcome.is_some()
    });
    outcome.expect("wait_for() returns when there is one")
}

/// S25: the one that closes first has the TIME-WAIT: on a server it gathers on the server's port
/// and costs no ephemeral port; the client, which closes second, has none.
#[test]
fn server_closes_first() {
    let Some(ground) = Ground::new(&[("net.ipv4.tcp_tw_reuse", "0")]) else { return };
    let server = ground.spawn(built("examples/closes_first.c"), ["0"]);
    let server_at = local(server.listening_port());
    let mut client = ground.actor();
    let connections = 10;
    let mut ports = fetch(&mut client, server_at, connections);
    let mut time_wait = ground.await_count("TIME-WAIT", connections);
    assert!(time_wait.iter().all(|socket| socket.row.local == server_at), "{time_wait:#?}");
    if ground.session().is_some() {
        time_wait.retain(|socket| socket.row.closed_first == Some(Side::Local));
        assert_eq!(time_wait.len(), connections);
    }
    let mut peers: Vec<u16> = time_wait.iter().filter_map(|s| Some(s.row.peer?.port())).collect();
    peers.sort_unstable();
    ports.sort_unstable();
    assert_eq!(peers, ports, "one for each of the client's connections");

    // Were they the client's, four ports would do for four connections (see port_exhaustion).
    ground.sysctl("net.ipv4.ip_local_port_range", "40000 40003");
    let ports = fetch(&mut client, server_at, 3 * connections);
    assert!(ports.iter().all(|port| (40000..=40003).contains(port)), "{ports:?}");
    let sockets = ground.sockets();
    assert!(sockets.iter().all(|socket| socket.row.local == server_at), "{sockets:#?}");
    client.exit();
    drop(server);
}

/// Makes connections that the server closes first; the client's ports.
fn fetch(client: &mut Actor, server_at: SocketAddr, count: usize) -> Vec<u16> {
    let mut ports = Vec::new();
    for _ in 0..count {
        client.calls(&[("socket c", "0"), (&format!("connect c {server_at}"), "0")]);
        ports.push(client.name("c").port());
        client.calls(&[("write c GET", "3"), ("read_to_end c", "42 0"), ("close c", "0")]);
    }
    ports
}
