//! listen(), SYN queue, accept queue, SO_REUSEPORT.

use super::*;
use crate::ipc::message::How;

fn shutdown(lab: &mut Lab, s: SocketKey, how: How) -> Result<(), Errno> {
    lab.call(|host, now| host.shutdown(now, s, how))
}

#[test]
fn listen_0_accepts_one_connection_and_drops_the_next_syn() {
    let mut lab = Lab::new();
    let listener = lab.v4();
    lab.bind(listener, "127.0.0.1:80").unwrap();
    lab.listen(listener, 0).unwrap();
    let clients: Vec<SocketKey> = (0..4)
        .map(|_| {
            let s = lab.v4();
            lab.call(|host, now| host.connect(now, s, address("127.0.0.1:80"))).unwrap();
            s
        })
        .collect();
    let states: Vec<String> = clients.iter().map(|&s| lab.state(s)).collect();
    assert_eq!(states, ["ESTAB", "SYN-SENT", "SYN-SENT", "SYN-SENT"]);
    let row = lab.row(listener);
    assert_eq!((row.recv_q, row.send_q), (1, 0));
    assert_eq!(lab.counter("TcpExtListenOverflows"), 3);

    assert!(lab.accept().is_some());
    lab.0.run_for(2 * SECOND);
    assert_eq!(lab.row(listener).recv_q, 1);
}

#[test]
fn a_full_accept_queue_drops_the_last_ack_and_the_syn_ack_is_sent_again() {
    let mut lab = Lab::new();
    let listener = lab.v4();
    lab.bind(listener, "127.0.0.1:80").unwrap();
    lab.listen(listener, 0).unwrap();
    // Both SYNs are there before the first handshake ends.
    let clients: Vec<SocketKey> = (0..2).map(|_| lab.v4()).collect();
    for &s in &clients {
        lab.0.call_only(0, |host, now| host.connect(now, s, address("127.0.0.1:80"))).unwrap();
    }
    lab.0.settle();
    // The client of the second believes that it is connected.
    assert!(clients.iter().all(|&s| lab.state(s) == "ESTAB"));
    let states = |lab: &Lab| -> Vec<String> {
        let rows = lab.host().rows(lab.0.now()).into_iter();
        rows.map(|(_, row)| row.state).filter(|state| state == "SYN-RECV").collect()
    };
    assert_eq!(states(&lab).len(), 1);
    assert!(lab.accept().is_some());
    lab.0.run_for(4 * SECOND);
    assert_eq!(states(&lab).len(), 0);
    assert!(lab.accept().is_some());
}

#[test]
fn abort_on_overflow_resets_what_does_not_fit() {
    let mut lab = Lab::new();
    lab.sysctl("net.ipv4.tcp_abort_on_overflow", "1");
    let listener = lab.v4();
    lab.bind(listener, "127.0.0.1:80").unwrap();
    lab.listen(listener, 0).unwrap();
    let clients: Vec<SocketKey> = (0..2).map(|_| lab.v4()).collect();
    for &s in &clients {
        lab.0.call_only(0, |host, now| host.connect(now, s, address("127.0.0.1:80"))).unwrap();
    }
    lab.0.settle();
    let states: Vec<String> = clients.iter().map(|&s| lab.state(s)).collect();
    assert_eq!(states, ["ESTAB", "UNCONN"]);
    let error = lab.call(|host, _| host.take_error(clients[1]));
    assert_eq!(error, Some(Errno::ECONNRESET));
}

#[test]
fn a_closed_listener_resets_who_was_not_accepted() {
    let mut lab = Lab::new();
    let listener = lab.listener("127.0.0.1:80");
    let (kept, server) = lab.connection("127.0.0.1:80");
    let waiting = lab.v4();
    lab.connect(waiting, "127.0.0.1:80").unwrap();
    lab.close(listener);
    assert_eq!(lab.state(kept), "ESTAB");
    assert_eq!(lab.state(server), "ESTAB");
    assert_eq!(lab.state(waiting), "UNCONN");
    assert_eq!(lab.call(|host, _| host.take_error(waiting)), Some(Errno::ECONNRESET));
    assert_eq!(lab.connect(waiting, "127.0.0.1:80"), Err(Errno::EISCONN));
    assert_eq!(lab.host().status().orphans, 0);
    assert_eq!(lab.host().status().tcbs, 2);
}

#[test]
fn shutdown_of_a_listener_keeps_its_binding_and_listen_works_again() {
    let mut lab = Lab::new();
    let listener = lab.listener("127.0.0.1:23456");
    assert_eq!(lab.connect(listener, "127.0.0.1:1"), Err(Errno::EISCONN));
    assert_eq!(shutdown(&mut lab, listener, How::Write), Ok(()));
    assert_eq!(lab.state(listener), "LISTEN");
    assert_eq!(shutdown(&mut lab, listener, How::Read), Ok(()));
    assert_eq!(lab.state(listener), "UNCONN");
    assert_eq!(lab.local(listener), "127.0.0.1:23456");
    assert_eq!(lab.bind(listener, "127.0.0.1:23457"), Err(Errno::EINVAL));
    let s = lab.v4();
    assert_eq!(lab.connect(s, "127.0.0.1:23456"), Err(Errno::ECONNREFUSED));
    assert_eq!(lab.listen(listener, 3), Ok(()));
    assert_eq!(lab.connect(s, "127.0.0.1:23456"), Ok(()));
}

#[test]
fn a_port_that_the_host_chose_is_given_back_by_shutdown() {
    let mut lab = Lab::new();
    let listener = lab.v4();
    lab.listen(listener, 1).unwrap();
    let port = lab.port(listener);
    assert_eq!(port % 2, 1);
    shutdown(&mut lab, listener, How::Both).unwrap();
    assert_eq!(lab.port(listener), port);
    assert_eq!(lab.bind(listener, &format!("0.0.0.0:{}", port + 1)), Ok(()));
    assert_eq!(lab.port(listener), port + 1);
}

#[test]
fn a_child_that_died_in_the_queue_can_still_be_accepted() {
    let mut lab = Lab::new();
    lab.listener("127.0.0.1:80");
    let client = lab.v4();
    lab.connect(client, "127.0.0.1:80").unwrap();
    lab.send(client, b"last words");
    lab.call(|host, now| {
        let reason = crate::tcp::ResetReason::Aborted;
        host.release(now, client, Release::Abort(reason));
    });
    let child = lab.accept().unwrap();
    assert_eq!(lab.read(child), b"last words");
    assert_eq!(lab.call(|host, _| host.take_error(child)), Some(Errno::ECONNRESET));
    lab.close(child);
    assert_eq!(lab.host().status().tcbs, 0);
}

#[test]
fn reuse_port_spreads_connections_over_the_listeners() {
    let mut lab = Lab::new();
    let listeners: Vec<SocketKey> = (0..4)
        .map(|_| {
            let s = lab.v4();
            lab.set(s, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1).unwrap();
            lab.bind(s, "127.0.0.1:80").unwrap();
            lab.listen(s, 1000).unwrap();
            s
        })
        .collect();
    for _ in 0..400 {
        let s = lab.v4();
        lab.connect(s, "127.0.0.1:80").unwrap();
    }
    let queues: Vec<u64> = listeners.iter().map(|&s| lab.row(s).recv_q).collect();
    assert_eq!(queues.iter().sum::<u64>(), 400);
    assert!(queues.iter().all(|&queue| (50..150).contains(&queue)), "{queues:?}");
}

#[test]
fn the_listener_that_fits_best_gets_the_connection() {
    let mut lab = Lab::new();
    let wildcard = lab.v4();
    lab.set(wildcard, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1).unwrap();
    lab.bind(wildcard, "0.0.0.0:80").unwrap();
    lab.listen(wildcard, 5).unwrap();
    let exact = lab.v4();
    lab.set(exact, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1).unwrap();
    lab.bind(exact, "127.0.0.2:80").unwrap();
    lab.listen(exact, 5).unwrap();
    let dual = lab.socket(Domain::V6);
    lab.set(dual, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1).unwrap();
    lab.bind(dual, "[::]:80").unwrap();
    lab.listen(dual, 5).unwrap();
    for to in ["127.0.0.1:80", "127.0.0.2:80"] {
        let s = lab.v4();
        lab.connect(s, to).unwrap();
    }
    let s = lab.socket(Domain::V6);
    lab.connect(s, "[::1]:80").unwrap();
    let queues = [wildcard, exact, dual].map(|s| lab.row(s).recv_q);
    assert_eq!(queues, [1, 1, 1]);
}

#[test]
fn defer_accept_waits_for_octets() {
    let mut lab = Lab::new();
    let listener = lab.listener("127.0.0.1:80");
    lab.set(listener, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, 5).unwrap();
    let client = lab.v4();
    lab.connect(client, "127.0.0.1:80").unwrap();
    assert_eq!(lab.accept(), None);
    lab.send(client, b"GET");
    let child = lab.accept().unwrap();
    assert_eq!(lab.read(child), b"GET");
}

#[test]
fn a_full_syn_queue_drops_syns_where_cookies_are_off() {
    let mut lab = Lab(Sim::pair(3));
    lab.0.call(1, |host, _| host.set_sysctl("net.ipv4.tcp_syncookies", "0")).unwrap();
    let listener = lab.0.call(1, |host, now| {
        let listener = host.socket(now, Domain::V4, 0).unwrap();
        host.bind(listener, address("192.0.2.2:80")).unwrap();
        host.listen(now, listener, 3).unwrap();
        listener
    });
    // Nothing comes back, so that every child stays half open.
    lab.0.rule("drop from port 80");
    for _ in 0..10 {
        let s = lab.v4();
        lab.call(|host, now| host.connect(now, s, address("192.0.2.2:80"))).unwrap();
    }
    let rows = lab.0.host(1).rows(lab.0.now());
    let half_open = rows.iter().filter(|(_, row)| row.state == "SYN-RECV").count();
    assert_eq!(half_open, 4);
    // A listener that goes says nothing to them.
    lab.0.call(1, |host, now| host.release(now, listener, Release::Graceful));
    assert!(lab.0.host(1).is_idle());
}
