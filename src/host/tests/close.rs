//! close(), SO_LINGER, orphans, disconnect, half close, errors after RST (S04, S23, S26).

use super::*;
use crate::host::Connect;
use crate::ipc::message::How;
use crate::tcp::ResetReason;
use crate::wire::Flags;

fn linger(lab: &mut Lab, s: SocketKey, seconds: i32) {
    let value: Vec<u8> = [1, seconds].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let set =
        |host: &mut Host, now| host.set_option(now, s, libc::SOL_SOCKET, libc::SO_LINGER, &value);
    lab.call(set).unwrap();
}

fn has_reset(lab: &Lab) -> bool {
    lab.0.log().iter().any(|segment| segment.flags.rst())
}

fn pair(lab: &mut Lab) -> (SocketKey, SocketKey) {
    lab.listener("127.0.0.1:80");
    lab.connection("127.0.0.1:80")
}

#[test]
fn linger_0_resets_and_leaves_no_time_wait() {
    let mut lab = Lab::new();
    let (client, server) = pair(&mut lab);
    linger(&mut lab, client, 0);
    lab.send(client, b"lost");
    lab.close(client);
    assert!(has_reset(&lab));
    assert_eq!(lab.time_waits(), 0);
    assert_eq!(lab.read(server), b"lost");
    assert_eq!(lab.call(|host, _| host.take_error(server)), Some(Errno::ECONNRESET));
    assert_eq!(lab.row(server).reset.as_deref(), Some("reset by peer"));
    assert_eq!(lab.counter("TcpExtTCPAbortOnData"), 1);
}

#[test]
fn linger_waits_while_something_is_not_acknowledged() {
    let mut lab = Lab(Sim::pair(9));
    lab.0.call(1, |host, now| {
        let listener = host.socket(now, Domain::V4, 0).unwrap();
        host.bind(listener, address("192.0.2.2:80")).unwrap();
        host.listen(now, listener, 3).unwrap();
    });
    let client = lab.v4();
    lab.connect(client, "192.0.2.2:80").unwrap();
    linger(&mut lab, client, 5);
    assert_eq!(lab.host().linger(client), None);
    lab.0.rule("drop any");
    lab.send(client, b"x");
    assert_eq!(lab.host().linger(client), Some(5 * SECOND));
    lab.close(client);
    assert_eq!(lab.host().linger(client), Some(5 * SECOND));
    lab.0.take_events(0);
    lab.0.clear_links();
    lab.0.run_for(SECOND);
    assert!(lab.0.take_events(0).contains(&HostEvent::Drained(client)));
    assert_eq!(lab.host().linger(client), None);
}

#[test]
fn close_with_unread_octets_resets() {
    let mut lab = Lab::new();
    let (client, server) = pair(&mut lab);
    lab.send(client, b"nobody reads this");
    lab.close(server);
    assert!(has_reset(&lab));
    assert_eq!(lab.state(client), "UNCONN");
    assert_eq!(lab.counter("TcpExtTCPAbortOnClose"), 1);
}

/// S04
#[test]
fn half_close_lets_the_other_direction_go_on() {
    let mut lab = Lab::new();
    let (client, server) = pair(&mut lab);
    lab.call(|host, now| host.shutdown(now, client, How::Write)).unwrap();
    assert_eq!((lab.state(client), lab.state(server)), ("FIN-WAIT-2".into(), "CLOSE-WAIT".into()));
    let mut received = 0;
    for _ in 0..16 {
        lab.send(server, &[7; 65_536]);
        received += lab.read(client).len();
    }
    assert_eq!(received, 1 << 20);
    lab.0.take_events(0);
    lab.close(server);
    assert!(lab.0.take_events(0).contains(&HostEvent::PeerClosed(client)));
    assert!(!has_reset(&lab));
}

#[test]
fn four_way_close_is_four_segments() {
    let mut lab = Lab(Sim::pair(2));
    lab.0.call(1, |host, now| {
        let listener = host.socket(now, Domain::V4, 0).unwrap();
        host.bind(listener, address("192.0.2.2:80")).unwrap();
        host.listen(now, listener, 3).unwrap();
    });
    let client = lab.v4();
    lab.connect(client, "192.0.2.2:80").unwrap();
    let Some(HostEvent::Arrived { child, .. }) = lab.0.take_events(1).first().copied() else {
        panic!("nobody arrived");
    };
    let before = lab.0.log().len();
    lab.close(client);
    lab.0.run_for(SECOND);
    lab.0.call(1, |host, now| host.release(now, child, Release::Graceful));
    let flags: Vec<Flags> = lab.0.log()[before..].iter().map(|segment| segment.flags).collect();
    let (fin, ack) = (Flags::FIN | Flags::ACK, Flags::ACK);
    assert_eq!(flags, [fin, ack, fin, ack]);
}

#[test]
fn an_orphan_leaves_fin_wait_2_after_tcp_fin_timeout_and_a_held_socket_never() {
    let mut lab = Lab::new();
    let (held, _a) = pair(&mut lab);
    let (orphan, _b) = lab.connection("127.0.0.1:80");
    lab.call(|host, now| host.shutdown(now, held, How::Write)).unwrap();
    lab.close(orphan);
    assert_eq!(lab.host().status().orphans, 1);
    lab.0.run_for(61 * SECOND);
    assert_eq!(lab.host().status().orphans, 0);
    lab.0.run_for(3600 * SECOND);
    assert_eq!(lab.state(held), "FIN-WAIT-2");
}

#[test]
fn too_many_orphans_are_reset() {
    let mut lab = Lab::new();
    lab.sysctl("net.ipv4.tcp_max_orphans", "1");
    let (first, _a) = pair(&mut lab);
    let (second, b) = lab.connection("127.0.0.1:80");
    lab.close(first);
    lab.close(second);
    assert_eq!(lab.host().status().orphans, 1);
    assert_eq!(lab.state(b), "UNCONN");
    assert_eq!(lab.counter("TcpExtTCPAbortOnMemory"), 1);
}

#[test]
fn too_many_orphans_are_reset_in_last_ack_too() {
    let mut lab = Lab::new();
    lab.sysctl("net.ipv4.tcp_max_orphans", "0");
    let (client, server) = pair(&mut lab);
    for s in [client, server] {
        lab.0.rule(if s == server { "drop any" } else { "drop rst" });
        lab.call(|host, now| host.shutdown(now, s, How::Write)).unwrap();
    }
    assert_eq!(lab.state(server), "LAST-ACK");
    assert!(!has_reset(&lab));
    lab.close(server);
    assert!(has_reset(&lab));
    assert_eq!(lab.counter("TcpExtTCPAbortOnMemory"), 1);
}

#[test]
fn an_orphan_that_nobody_answers_is_given_up() {
    let mut lab = Lab::new();
    let (client, _server) = pair(&mut lab);
    lab.0.rule("drop any");
    lab.send(client, b"x");
    lab.close(client);
    lab.0.run_for(Duration::from_secs(3600));
    assert_eq!(lab.host().status().orphans, 0);
    assert_eq!(lab.counter("TcpExtTCPAbortOnTimeout"), 1);
}

#[test]
fn disconnect_resets_and_keeps_what_bind_named() {
    let mut lab = Lab::new();
    lab.listener("127.0.0.1:80");
    let disconnect = |lab: &mut Lab, s| lab.call(|host, now| host.disconnect(now, s));
    let fresh = lab.v4();
    assert_eq!(disconnect(&mut lab, fresh), Ok(()));

    let (client, server) = lab.connection("127.0.0.1:80");
    let port = lab.port(client);
    assert_eq!(disconnect(&mut lab, client), Ok(()));
    assert_eq!(lab.local(client), format!("0.0.0.0:{port}"));
    assert_eq!(lab.call(|host, _| host.take_error(client)), Some(Errno::ECONNRESET));
    assert_eq!(lab.state(server), "UNCONN");
    assert_eq!(lab.connect(client, "127.0.0.1:80"), Ok(()));
    assert_eq!(lab.connect(client, "127.0.0.1:80"), Err(Errno::EISCONN));

    let bound = lab.v4();
    lab.bind(bound, "127.0.0.1:23999").unwrap();
    lab.connect(bound, "127.0.0.1:80").unwrap();
    assert_eq!(disconnect(&mut lab, bound), Ok(()));
    assert_eq!(lab.local(bound), "127.0.0.1:23999");
    let other = lab.v4();
    assert_eq!(lab.bind(other, "127.0.0.1:23999"), Err(Errno::EADDRINUSE));
}

#[test]
fn a_reset_connection_gives_its_port_back_and_can_be_bound_but_not_connected() {
    let mut lab = Lab::new();
    let (client, server) = pair(&mut lab);
    let port = lab.port(client);
    lab.call(|host, now| host.release(now, server, Release::Abort(ResetReason::Aborted)));
    assert_eq!(lab.port(client), port);
    assert_eq!(lab.host().names(client).unwrap().1, None);
    let again = lab.call(|host, now| host.connect(now, client, address("127.0.0.1:80")));
    assert_eq!(again, Err::<Connect, _>(Errno::EISCONN));
    assert_eq!(lab.bind(client, "127.0.0.1:0"), Ok(()));
}

#[test]
fn shutdown_in_syn_sent_gives_the_connection_up() {
    let mut lab = Lab::new();
    lab.0.rule("drop any");
    let s = lab.v4();
    lab.call(|host, now| host.connect(now, s, address("127.0.0.1:1"))).unwrap();
    assert_eq!(lab.call(|host, now| host.shutdown(now, s, How::Read)), Ok(()));
    assert_eq!(lab.state(s), "UNCONN");
    assert_eq!(lab.call(|host, _| host.take_error(s)), Some(Errno::ECONNRESET));
}

#[test]
fn every_released_socket_is_told_gone_once_and_its_key_is_stale() {
    let mut lab = Lab::new();
    let (client, server) = pair(&mut lab);
    let fresh = lab.v4();
    for s in [client, server, fresh] {
        lab.close(s);
    }
    lab.0.run_for(SECOND);
    let events = lab.0.take_events(0);
    for s in [client, server, fresh] {
        let gone = events.iter().filter(|event| **event == HostEvent::Gone(s)).count();
        assert_eq!(gone, 1);
        assert_eq!(lab.host().names(s), Err(Errno::EBADF));
        assert_eq!(lab.bind(s, "127.0.0.1:0"), Err(Errno::EBADF));
        assert_eq!(lab.call(|host, _| host.send_space(s)), 0);
    }
}

#[test]
fn the_same_seed_gives_the_same_segments() {
    let run = || {
        let mut lab = Lab::new();
        lab.listener("127.0.0.1:80");
        for _ in 0..20 {
            let (client, server) = lab.connection("127.0.0.1:80");
            lab.send(client, b"hello");
            lab.read(server);
            lab.close(client);
            lab.close(server);
        }
        lab.0.run_for(TIME_WAIT);
        lab.0.log().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let first = run();
    assert_eq!(first, run());
    assert!(first.len() > 100);
}
