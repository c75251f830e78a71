//! connect(): errors, states, names, exhaustion.

use super::*;
use crate::host::Connect;

fn start(lab: &mut Lab, s: SocketKey, to: &str) -> Result<Connect, Errno> {
    let to = address(to);
    lab.call(|host, now| host.connect(now, s, to))
}

#[test]
fn a_refused_connect_leaves_the_socket_unconnected_and_its_port_visible() {
    let mut lab = Lab::new();
    let s = lab.v4();
    assert_eq!(lab.local(s), "0.0.0.0:0");
    for _ in 0..2 {
        assert_eq!(lab.connect(s, "127.0.0.1:1"), Err(Errno::ECONNREFUSED));
        let (local, peer) = lab.host().names(s).unwrap();
        assert!(local.ip().is_unspecified() && local.port() >= 32_768, "{local}");
        assert_eq!(peer, None);
        assert_eq!(lab.call(|host, _| host.take_error(s)), None);
    }
    assert_eq!(lab.bind(s, "127.0.0.1:0"), Ok(()));
}

#[test]
fn unreachable_destinations_answer_at_once() {
    let mut lab = Lab::new();
    for to in ["255.255.255.255:1", "224.0.0.1:1", "10.9.9.9:1"] {
        let s = lab.v4();
        assert_eq!(start(&mut lab, s, to), Err(Errno::ENETUNREACH), "{to}");
    }
    let mut v6 = |to: &str| {
        let s = lab.socket(Domain::V6);
        start(&mut lab, s, to)
    };
    assert_eq!(v6("[ff02::1]:1"), Err(Errno::ENETUNREACH));
    assert_eq!(v6("[fe80::1]:1"), Err(Errno::EINVAL));
    assert_eq!(v6("[2001:db8::1]:1"), Err(Errno::ENETUNREACH));
    assert_eq!(v6("127.0.0.1:1"), Err(Errno::EINVAL));
    let s = lab.v4();
    assert_eq!(start(&mut lab, s, "[::1]:1"), Err(Errno::EAFNOSUPPORT));
    assert!(lab.0.log().is_empty());
}

#[test]
fn bound_families_do_not_mix() {
    let mut lab = Lab::new();
    let s = lab.socket(Domain::V6);
    lab.bind(s, "[::1]:0").unwrap();
    assert_eq!(start(&mut lab, s, "[::ffff:127.0.0.1]:1"), Err(Errno::ENETUNREACH));
    assert_eq!(lab.get(s, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY), Ok(1));
    let s = lab.socket(Domain::V6);
    lab.bind(s, "[::ffff:127.0.0.1]:0").unwrap();
    assert_eq!(start(&mut lab, s, "[::1]:1"), Err(Errno::EAFNOSUPPORT));
    assert_eq!(lab.connect(s, "[::]:1"), Err(Errno::ECONNREFUSED));
}

#[test]
fn names_are_mapped_on_ipv6_sockets_and_the_wildcard_means_here() {
    let mut lab = Lab::new();
    lab.listener("0.0.0.0:80");
    let s = lab.socket(Domain::V6);
    lab.connect(s, "[::ffff:0.0.0.0]:80").unwrap();
    let (local, peer) = lab.host().names(s).unwrap();
    assert!(local.to_string().starts_with("[::ffff:127.0.0.1]:"), "{local}");
    assert_eq!(peer, Some(address("[::ffff:127.0.0.1]:80")));

    let dual = lab.socket(Domain::V6);
    lab.bind(dual, "[::]:81").unwrap();
    lab.listen(dual, 5).unwrap();
    let _ = lab.0.take_events(0);
    let (client, server) = lab.connection("0.0.0.0:81");
    let (local, peer) = lab.host().names(server).unwrap();
    assert_eq!(local, address("[::ffff:127.0.0.1]:81"));
    assert_eq!(peer.unwrap().port(), lab.port(client));
    assert_eq!(lab.get(server, libc::SOL_SOCKET, libc::SO_DOMAIN), Ok(libc::AF_INET6));
}

#[test]
fn the_source_address_is_the_kernels_choice() {
    let mut lab = Lab::new();
    lab.listener("0.0.0.0:80");
    let (client, server) = lab.connection("127.0.0.7:80");
    assert!(lab.local(client).starts_with("127.0.0.1:"));
    assert_eq!(lab.local(server), "127.0.0.7:80");
    let bound = lab.v4();
    lab.bind(bound, "127.0.0.9:0").unwrap();
    lab.connect(bound, "0.0.0.0:80").unwrap();
    assert_eq!(lab.host().names(bound).unwrap().1, Some(address("127.0.0.9:80")));
}

#[test]
fn a_non_blocking_connect_is_told_once_and_then_eisconn() {
    let mut lab = Lab::new();
    lab.listener("127.0.0.1:80");
    let s = lab.v4();
    let call = |host: &mut Host, now| host.connect(now, s, address("127.0.0.1:80"));
    assert_eq!(lab.0.call_only(0, call), Ok(Connect::InProgress));
    assert_eq!(lab.0.call_only(0, call), Err(Errno::EALREADY));
    assert_eq!(lab.host().names(s).unwrap().1, None);
    lab.0.settle();
    assert_eq!(lab.call(call), Ok(Connect::Done));
    assert_eq!(lab.call(call), Err(Errno::EISCONN));
    assert_eq!(lab.listen(s, 1), Err(Errno::EINVAL));
    assert_eq!(lab.bind(s, "127.0.0.1:0"), Err(Errno::EINVAL));
}

#[test]
fn a_failed_non_blocking_connect_is_reported_by_connect_or_by_so_error() {
    let mut lab = Lab::new();
    let s = lab.v4();
    let refused = "127.0.0.1:1";
    assert_eq!(start(&mut lab, s, refused), Ok(Connect::InProgress));
    assert!(lab.local(s).starts_with("127.0.0.1:"));
    assert_eq!(start(&mut lab, s, refused), Err(Errno::ECONNREFUSED));
    assert_eq!(start(&mut lab, s, refused), Ok(Connect::InProgress));
    let so_error = |lab: &mut Lab| lab.get(s, libc::SOL_SOCKET, libc::SO_ERROR);
    assert_eq!(so_error(&mut lab), Ok(libc::ECONNREFUSED));
    assert_eq!(so_error(&mut lab), Ok(0));
    assert_eq!(start(&mut lab, s, refused), Err(Errno::ECONNABORTED));
    assert_eq!(start(&mut lab, s, refused), Ok(Connect::InProgress));
    assert_eq!(lab.listen(s, 1), Err(Errno::EINVAL));
}

#[test]
fn shutdown_of_a_failed_connect_leaves_a_socket_that_can_only_be_bound() {
    let mut lab = Lab::new();
    let s = lab.v4();
    start(&mut lab, s, "127.0.0.1:1").unwrap();
    let both = crate::ipc::message::How::Both;
    assert_eq!(lab.call(|host, now| host.shutdown(now, s, both)), Err(Errno::ENOTCONN));
    assert_eq!(start(&mut lab, s, "127.0.0.1:1"), Err(Errno::EINVAL));
    assert_eq!(lab.listen(s, 1), Err(Errno::EINVAL));
    assert_eq!(lab.bind(s, "127.0.0.1:0"), Ok(()));
}

#[test]
fn a_syn_that_nobody_answers_times_out_after_the_retries() {
    let mut lab = Lab(Sim::pair(1));
    lab.0.rule("drop any");
    let s = lab.v4();
    start(&mut lab, s, "192.0.2.2:80").unwrap();
    assert_eq!(lab.state(s), "SYN-SENT");
    lab.0.run_for(Duration::from_secs(600));
    assert_eq!(start(&mut lab, s, "192.0.2.2:80"), Err(Errno::ETIMEDOUT));
}

#[test]
fn a_bound_socket_can_connect_to_itself() {
    let mut lab = Lab::new();
    let s = lab.v4();
    lab.bind(s, "127.0.0.1:5000").unwrap();
    lab.connect(s, "127.0.0.1:5000").unwrap();
    assert_eq!(lab.state(s), "ESTAB");
    lab.send(s, b"echo");
    assert_eq!(lab.read(s), b"echo");
}

#[test]
fn a_4_tuple_is_there_once() {
    let mut lab = Lab::new();
    lab.listener("127.0.0.1:80");
    lab.listener("127.0.0.1:81");
    let mut bound = Vec::new();
    for _ in 0..2 {
        let s = lab.v4();
        lab.reuse_address(s);
        lab.bind(s, "127.0.0.1:5000").unwrap();
        bound.push(s);
    }
    lab.connect(bound[0], "127.0.0.1:80").unwrap();
    assert_eq!(lab.connect(bound[1], "127.0.0.1:80"), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(lab.connect(bound[1], "127.0.0.1:81"), Ok(()));
}

/// S16, S17: connect() finds no port while all are in TIME-WAIT.
#[test]
fn time_wait_exhausts_the_ports_towards_one_destination_only() {
    let mut lab = Lab::new();
    lab.sysctl("net.ipv4.tcp_tw_reuse", "0");
    lab.sysctl("net.ipv4.ip_local_port_range", "40000 40099");
    lab.listener("127.0.0.1:80");
    lab.listener("127.0.0.1:81");
    for _ in 0..100 {
        let (client, server) = lab.connection("127.0.0.1:80");
        lab.close(client);
        lab.close(server);
    }
    assert_eq!(lab.time_waits(), 100);
    let s = lab.v4();
    assert_eq!(lab.connect(s, "127.0.0.1:80"), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(lab.connect(s, "127.0.0.1:81"), Ok(()));
    let s = lab.v4();
    lab.sysctl("net.ipv4.tcp_tw_reuse", "2");
    assert_eq!(lab.connect(s, "127.0.0.1:80"), Err(Errno::EADDRNOTAVAIL));
    lab.0.run_for(SECOND + SECOND);
    assert_eq!(lab.connect(s, "127.0.0.1:80"), Ok(()));
    lab.sysctl("net.ipv4.tcp_tw_reuse", "0");
    let s = lab.v4();
    assert_eq!(lab.connect(s, "127.0.0.1:80"), Err(Errno::EADDRNOTAVAIL));
    lab.0.run_for(TIME_WAIT);
    assert_eq!(lab.connect(s, "127.0.0.1:80"), Ok(()));
}
