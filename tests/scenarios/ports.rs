//! Ports of a client that closes first.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::actor::Actor;
use crate::common::wait_for;
use crate::ground::{Ground, built, local};

/// Time that a scenario needs on a busy machine, and some more; TIME-WAIT is twice as long.
const MSL_MS: &str = "2500";
const SYSCTLS: [(&str, &str); 2] =
    [("net.tcplab.tcp_msl_ms", MSL_MS), ("net.ipv4.tcp_tw_reuse", "0")];

/// Whether the client's socket has SO_REUSEADDR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reuse {
    No,
    Yes,
}

/// S14: a client binds a fixed port, closes first and binds it again: EADDRINUSE. With SO_REUSEADDR
/// on both sockets bind() succeeds, and connect() to the same server gives EADDRNOTAVAIL, where
/// timestamps cannot tell the octets of the two connections apart.
#[test]
fn client_port_locked() {
    let Some(ground) = Ground::new(&[SYSCTLS[0], SYSCTLS[1], ("net.ipv4.tcp_timestamps", "0")])
    else {
        return;
    };
    let (mut client, mut server, mut other) = (ground.actor(), ground.actor(), ground.actor());
    let (server_at, other_at) = (server.listen(), other.listen());
    rebind(&ground, &mut client, &mut server);
    let connect = format!("connect d {server_at}");
    client.calls(&[(&connect, "EADDRNOTAVAIL"), (&connect, "EADDRNOTAVAIL")]);
    // The port is locked for this server only.
    client.call(&format!("connect d {other_at}"), "0");
    assert_eq!(client.name("d"), local(REUSED));
    let left = ground.in_state("TIME-WAIT").len();
    assert_eq!(left, 2, "this machine is too slow: TIME-WAIT is over already");
    if ground.session().is_none() {
        return;
    }
    ground.await_count("TIME-WAIT", 0);
    client.calls(&[("socket e", "0"), (&format!("bind e {}", local(NOT_REUSED)), "0")]);
    client.call(&format!("connect e {server_at}"), "0");
}

/// S14 with timestamps: a port that the program has bound itself is not asked for
/// `tcp_tw_reuse`: connect() takes the TIME-WAIT over, as PAWS makes that safe (Linux: tried).
#[test]
fn client_port_locked_not_with_timestamps() {
    let Some(ground) = Ground::new(&SYSCTLS) else { return };
    let (mut client, mut server) = (ground.actor(), ground.actor());
    let server_at = server.listen();
    rebind(&ground, &mut client, &mut server);
    client.call(&format!("connect d {server_at}"), "0");
    server.call("accept l s", "0");
    client.call("write d new", "3");
    server.call("read s", "3 new");
    assert_eq!(ground.in_state("TIME-WAIT").len(), 1, "the other one is not concerned");
}

/// Ports of the client whose socket had, or had not, SO_REUSEADDR.
const REUSED: u16 = 5001;
const NOT_REUSED: u16 = 5000;

/// Leaves a TIME-WAIT on both ports and binds `d` to the one where that is possible.
fn rebind(ground: &Ground, client: &mut Actor, server: &mut Actor) {
    let server_at = server.name("l");
    close_first(client, local(NOT_REUSED), server, server_at, Reuse::No);
    close_first(client, local(REUSED), server, server_at, Reuse::Yes);
    let time_wait = ground.await_count("TIME-WAIT", 2);
    assert!(time_wait.iter().all(|s| s.row.peer == Some(server_at)), "{time_wait:#?}");
    let [without, with] = [NOT_REUSED, REUSED].map(|port| format!("bind d {}", local(port)));
    client.calls(&[("socket d", "0"), (&without, "EADDRINUSE"), (&with, "EADDRINUSE")]);
    client.calls(&[("reuse d", "0"), (&without, "EADDRINUSE"), (&with, "0")]);
}

/// A connection from `client_at` that the client closes first.
fn close_first(
    client: &mut Actor,
    client_at: SocketAddr,
    server: &mut Actor,
    server_at: SocketAddr,
    reuse: Reuse,
) {
    client.call("socket c", "0");
    if reuse == Reuse::Yes {
        client.call("reuse c", "0");
    }
    client.call(&format!("bind c {client_at}"), "0");
    client.call(&format!("connect c {server_at}"), "0");
    server.call("accept l s", "0");
    client.call("close c", "0");
    server.calls(&[("read s", "0"), ("close s", "0")]);
}

/// S16: a client that closes first, again and again, uses up its range of ports: EADDRNOTAVAIL,
/// until 2MSL are over. Another destination still works.
#[test]
fn port_exhaustion() {
    const FIRST: u16 = 40000;
    const LAST: u16 = 40007;
    let range = format!("{FIRST} {LAST}");
    let sysctls = [SYSCTLS[0], SYSCTLS[1], ("net.ipv4.ip_local_port_range", range.as_str())];
    let Some(ground) = Ground::new(&sysctls) else { return };
    let servers = [8080, 8081].map(|port| {
        let server = ground.spawn(built("examples/correct_server.c"), [port.to_string()]);
        (local(server.listening_port()), server)
    });
    let connects = servers.each_ref().map(|(at, _)| format!("connect c {at}"));
    let mut client = ground.actor();
    let mut used = BTreeSet::new();
    for _ in FIRST..=LAST {
        client.calls(&[("socket c", "0"), (&connects[0], "0")]);
        used.insert(client.name("c").port());
        client.call("close c", "0");
    }
    assert!(used.iter().copied().eq(FIRST..=LAST), "each port once: {used:?}");
    ground.await_count("TIME-WAIT", used.len());

    client.calls(&[("socket c", "0"), (&connects[0], "EADDRNOTAVAIL")]);
    client.calls(&[(&connects[0], "EADDRNOTAVAIL"), (&connects[1], "0")]);
    assert!(used.contains(&client.name("c").port()));
    client.call("close c", "0");
    let locked = || {
        let sockets = ground.in_state("TIME-WAIT");
        sockets.iter().filter(|socket| socket.row.peer == Some(servers[0].0)).count()
    };
    assert_eq!(locked(), used.len(), "this machine is too slow: TIME-WAIT is over already");
    if ground.session().is_none() {
        return;
    }
    wait_for("the end of 2MSL", || locked() < used.len());
    client.calls(&[("socket c", "0"), (&connects[0], "0"), ("close c", "0")]);
}
