//! TIME-WAIT: who may bind over it, what arrives in it, how it ends (S09, S13, S14, S18, S25).

use super::*;
use crate::inspect::Side;
use crate::ipc::message::How;

/// The server closes first; `reuse`: it had SO_REUSEADDR.
fn server_closed_first(lab: &mut Lab, at: &str, reuse: bool) {
    let listener = lab.v4();
    if reuse {
        lab.reuse_address(listener);
    }
    lab.bind(listener, at).unwrap();
    lab.listen(listener, 5).unwrap();
    let (client, server) = lab.connection(at);
    lab.close(server);
    lab.close(client);
    lab.close(listener);
}

/// S13
#[test]
fn bind_over_time_wait_needs_so_reuseaddr_on_both() {
    for (old, new, expected) in [
        (false, false, Err(Errno::EADDRINUSE)),
        (false, true, Err(Errno::EADDRINUSE)),
        (true, false, Err(Errno::EADDRINUSE)),
        (true, true, Ok(())),
    ] {
        let mut lab = Lab::new();
        server_closed_first(&mut lab, "127.0.0.1:8080", old);
        assert_eq!(lab.time_waits(), 1);
        let s = lab.v4();
        if new {
            lab.reuse_address(s);
        }
        assert_eq!(lab.bind(s, "127.0.0.1:8080"), expected, "old {old}, new {new}");
        if expected.is_ok() {
            assert_eq!(lab.listen(s, 5), Ok(()));
            continue;
        }
        let elsewhere = lab.v4();
        assert_eq!(lab.bind(elsewhere, "127.0.0.2:8080"), Ok(()));
        lab.0.run_for(TIME_WAIT);
        assert_eq!(lab.bind(s, "127.0.0.1:8080"), Ok(()));
    }
}

/// S09
#[test]
fn time_wait_ends_after_2msl_without_a_segment() {
    let mut lab = Lab::new();
    server_closed_first(&mut lab, "127.0.0.1:8080", false);
    let sent = lab.0.log().len();
    lab.0.run_for(Duration::from_millis(59_999));
    assert_eq!(lab.time_waits(), 1);
    lab.0.run_for(Duration::from_millis(1));
    assert_eq!(lab.time_waits(), 0);
    assert_eq!(lab.0.log().len(), sent);
    assert_eq!(lab.counter("TcpExtTW"), 1);
    assert!(lab.host().is_idle());
}

#[test]
fn the_length_follows_the_msl() {
    let mut lab = Lab::new();
    lab.sysctl("net.tcplab.tcp_msl_ms", "250");
    server_closed_first(&mut lab, "127.0.0.1:8080", false);
    lab.0.run_for(Duration::from_millis(499));
    assert_eq!(lab.time_waits(), 1);
    lab.0.run_for(Duration::from_millis(1));
    assert_eq!(lab.time_waits(), 0);
    lab.sysctl("net.tcplab.tcp_msl_ms", "0");
    server_closed_first(&mut lab, "127.0.0.1:8080", false);
    assert!(lab.host().is_idle());
}

/// S25
#[test]
fn only_the_side_that_closed_first_has_time_wait() {
    let mut lab = Lab::new();
    server_closed_first(&mut lab, "127.0.0.1:8080", false);
    let rows = lab.host().rows(lab.0.now());
    assert_eq!(rows.len(), 1);
    let row = &rows[0].1;
    assert_eq!(row.state, "TIME-WAIT");
    assert_eq!(row.local, address("127.0.0.1:8080"));
    assert_eq!(row.closed_first, Some(Side::Local));
    assert_eq!(row.timer.as_ref().map(|timer| timer.left_ms), Some(60_000));
}

/// S14: the kernel lets a bound port connect over its TIME-WAIT when timestamps are used, whatever
/// tcp_tw_reuse says, and never without them.
#[test]
fn a_client_port_is_locked_by_its_time_wait() {
    for (timestamps, expected) in [("0", Err(Errno::EADDRNOTAVAIL)), ("1", Ok(()))] {
        let mut lab = Lab::new();
        lab.sysctl("net.ipv4.tcp_tw_reuse", "0");
        lab.sysctl("net.ipv4.tcp_timestamps", timestamps);
        lab.listener("127.0.0.1:80");
        let client = lab.v4();
        lab.reuse_address(client);
        lab.bind(client, "127.0.0.1:5000").unwrap();
        lab.connect(client, "127.0.0.1:80").unwrap();
        let server = lab.accept().unwrap();
        lab.close(client);
        lab.close(server);
        let s = lab.v4();
        assert_eq!(lab.bind(s, "127.0.0.1:5000"), Err(Errno::EADDRINUSE));
        lab.reuse_address(s);
        assert_eq!(lab.bind(s, "127.0.0.1:5000"), Ok(()));
        assert_eq!(lab.connect(s, "127.0.0.1:80"), expected, "timestamps {timestamps}");
    }
}

/// S18
#[test]
fn surplus_time_waits_are_destroyed_and_counted() {
    let mut lab = Lab::new();
    lab.sysctl("net.ipv4.tcp_max_tw_buckets", "3");
    lab.listener("127.0.0.1:80");
    for _ in 0..5 {
        let (client, server) = lab.connection("127.0.0.1:80");
        lab.close(client);
        lab.close(server);
    }
    assert_eq!(lab.time_waits(), 3);
    assert_eq!(lab.counter("TcpExtTCPTimeWaitOverflow"), 2);
    assert_eq!(lab.host().status().tcbs, 0);
}

#[test]
fn a_program_that_holds_the_descriptor_reads_on_in_time_wait() {
    let mut lab = Lab::new();
    lab.listener("127.0.0.1:80");
    let (client, server) = lab.connection("127.0.0.1:80");
    lab.call(|host, now| host.shutdown(now, client, How::Write)).unwrap();
    assert_eq!(lab.state(client), "FIN-WAIT-2");
    lab.send(server, b"hi");
    lab.close(server);
    assert_eq!(lab.time_waits(), 1);
    assert_eq!(lab.state(client), "UNCONN");
    assert_eq!(lab.host().names(client).unwrap().1, None);
    assert_eq!(lab.read(client), b"hi");
    assert_eq!(lab.read(client), b"");
    for how in [How::Write, How::Read] {
        let again = lab.call(|host, now| host.shutdown(now, client, how));
        assert_eq!(again, Err(Errno::ENOTCONN));
    }
    assert_eq!(lab.connect(client, "127.0.0.1:80"), Err(Errno::EISCONN));
    assert_eq!(lab.listen(client, 1), Err(Errno::EINVAL));
    assert_eq!(lab.bind(client, "127.0.0.1:0"), Ok(()));
    lab.close(client);
    assert_eq!(lab.time_waits(), 1);
}

#[test]
fn a_syn_takes_over_the_time_wait_of_a_server() {
    let mut lab = Lab::new();
    let listener = lab.listener("127.0.0.1:80");
    for _ in 0..3 {
        let client = lab.v4();
        lab.reuse_address(client);
        lab.bind(client, "127.0.0.1:5000").unwrap();
        lab.connect(client, "127.0.0.1:80").unwrap();
        let server = lab.accept().unwrap();
        lab.close(server);
        lab.close(client);
        lab.0.run_for(SECOND);
        assert_eq!(lab.time_waits(), 1);
    }
    assert_eq!(lab.counter("TcpExtTWRecycled"), 2);
    assert_eq!(lab.row(listener).recv_q, 0);
}

#[test]
fn a_retransmitted_fin_is_acknowledged_from_time_wait() {
    let mut lab = Lab(Sim::pair(5));
    let listener = lab.0.call(1, |host, now| {
        let listener = host.socket(now, Domain::V4, 0).unwrap();
        host.bind(listener, address("192.0.2.2:80")).unwrap();
        host.listen(now, listener, 3).unwrap();
        listener
    });
    let client = lab.v4();
    lab.connect(client, "192.0.2.2:80").unwrap();
    let server = lab.0.take_events(1).into_iter().find_map(|event| match event {
        HostEvent::Arrived { child, .. } => Some(child),
        _ => None,
    });
    let server = server.unwrap();
    lab.0.call(1, |host, now| host.accepted(now, server));
    lab.close(client);
    // S06: the last ACK is lost once.
    lab.0.rule("drop ack-of-fin from client nth 1");
    lab.0.call(1, |host, now| host.release(now, server, Release::Graceful));
    assert_eq!(lab.0.host(1).status().orphans, 1);
    lab.0.run_for(SECOND);
    assert_eq!(lab.0.host(1).status().orphans, 0);
    assert_eq!(lab.time_waits(), 1);
    lab.0.run_for(TIME_WAIT);
    assert!(lab.host().is_idle());
    lab.0.call(1, |host, now| host.release(now, listener, Release::Graceful));
    assert!(lab.0.host(1).is_idle());
}

/// Linux: tcp_v4_rcv falls through to the acknowledgment.
#[test]
fn a_new_syn_meets_time_wait_where_nobody_listens_any_more_and_is_acknowledged() {
    let mut lab = Lab::new();
    let listener = lab.listener("127.0.0.1:80");
    let connect = |lab: &mut Lab| {
        let client = lab.v4();
        lab.reuse_address(client);
        lab.bind(client, "127.0.0.1:5000").unwrap();
        lab.call(|host, now| host.connect(now, client, address("127.0.0.1:80"))).unwrap();
        client
    };
    let client = connect(&mut lab);
    let server = lab.accept().unwrap();
    for s in [server, client, listener] {
        lab.close(s);
    }
    lab.0.run_for(SECOND);
    assert_eq!(lab.time_waits(), 1);
    let again = connect(&mut lab);
    // the acknowledgment is none of its SYN: the RST in answer ends TIME-WAIT
    assert_eq!((lab.time_waits(), lab.state(again).as_str()), (0, "SYN-SENT"));
    lab.0.run_for(2 * SECOND);
    assert_eq!(lab.call(|host, _| host.take_error(again)), Some(Errno::ECONNREFUSED));
}
