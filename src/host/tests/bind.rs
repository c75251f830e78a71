//! bind(): the matrix of conflicts, errors, choice of ports.

use super::*;

/// Every pair of addresses that overlap on the kernel; all the others are independent. First
/// column binds first; `6:` IPv6 dual-stack, `6only:` with IPV6_V6ONLY.
const KINDS: [&str; 8] = [
    "4:0.0.0.0",
    "4:127.0.0.1",
    "4:127.0.0.2",
    "6:::",
    "6only:::",
    "6:::1",
    "6:::ffff:127.0.0.1",
    "6:::ffff:0.0.0.0",
];
const OVERLAP: [&str; 8] = [
    "xxxx..xx", "xx.x..xx", "x.xx...x", "xxxxxxxx", "...xxx..", "...xxx..", "xx.x..xx", "xxxx..xx",
];
/// SO_REUSEADDR and SO_REUSEPORT of the first and the second socket; what bind() and listen() of
/// the second did where the addresses overlap: `.` bind() EADDRINUSE, `L` both went well.
const FLAGS: [&str; 4] = ["", "A", "P", "AP"];
const OPEN: &str = ".....L.L..LL.LLL";
const LISTENING: &str = "..........LL..LL";

fn bind_as(lab: &mut Lab, kind: &str, flags: &str, port: u16) -> (SocketKey, Result<(), Errno>) {
    let (family, ip) = kind.split_once(':').unwrap();
    let domain = if family == "4" { Domain::V4 } else { Domain::V6 };
    let s = lab.socket(domain);
    if flags.contains('A') {
        lab.reuse_address(s);
    }
    if flags.contains('P') {
        lab.set(s, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1).unwrap();
    }
    if family == "6only" {
        lab.set(s, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1).unwrap();
    }
    let to = SocketAddr::new(ip.parse().unwrap(), port);
    (s, lab.call(|host, _| host.bind(s, to)))
}

fn outcome(lab: &mut Lab, first: &str, second: &str, flags: (&str, &str), listens: bool) -> char {
    let (a, bound) = bind_as(lab, first, flags.0, 20_000);
    bound.unwrap();
    if listens {
        lab.listen(a, 5).unwrap();
    }
    let (b, bound) = bind_as(lab, second, flags.1, 20_000);
    let seen = match bound {
        Err(Errno::EADDRINUSE) => '.',
        Err(_) => '!',
        Ok(()) if lab.listen(b, 5).is_ok() => 'L',
        Ok(()) => 'b',
    };
    lab.close(a);
    lab.close(b);
    assert!(lab.host().is_idle());
    seen
}

#[test]
fn bind_conflicts_are_those_of_the_kernel() {
    let mut lab = Lab::new();
    for (listens, shared) in [(false, OPEN), (true, LISTENING)] {
        for (first, row) in KINDS.iter().zip(OVERLAP) {
            for (second, overlap) in KINDS.iter().zip(row.chars()) {
                let pairs = FLAGS.iter().flat_map(|a| FLAGS.iter().map(move |b| (*a, *b)));
                let seen: String =
                    pairs.map(|flags| outcome(&mut lab, first, second, flags, listens)).collect();
                let expected = if overlap == 'x' { shared } else { "LLLLLLLLLLLLLLLL" };
                assert_eq!(seen, expected, "{first} then {second}, listening: {listens}");
            }
        }
    }
}

#[test]
fn reuse_port_is_for_one_user_only() {
    let mut lab = Lab::new();
    let (a, bound) = bind_as(&mut lab, "4:127.0.0.1", "P", 8080);
    bound.unwrap();
    let other = lab.call(|host, now| host.socket(now, Domain::V4, 1000)).unwrap();
    lab.set(other, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1).unwrap();
    assert_eq!(lab.bind(other, "127.0.0.1:8080"), Err(Errno::EADDRINUSE));
    lab.close(a);
    assert_eq!(lab.bind(other, "127.0.0.1:8080"), Ok(()));
}

#[test]
fn bind_errors_are_those_of_the_kernel() {
    let mut lab = Lab::new();
    let mut try_v4 = |to: &str, uid: u32| {
        let s = lab.call(|host, now| host.socket(now, Domain::V4, uid)).unwrap();
        let result = lab.bind(s, to);
        (result, lab.local(s).split(':').next().unwrap().to_owned())
    };
    let ok = |ip: &str| (Ok(()), ip.to_owned());
    let fails = |errno| (Err(errno), "0.0.0.0".to_owned());
    assert_eq!(try_v4("224.0.0.1:0", 0), ok("224.0.0.1"));
    assert_eq!(try_v4("255.255.255.255:0", 0), ok("255.255.255.255"));
    assert_eq!(try_v4("127.255.255.255:0", 0), ok("127.255.255.255"));
    assert_eq!(try_v4("10.1.2.3:0", 0), fails(Errno::EADDRNOTAVAIL));
    assert_eq!(try_v4("127.0.0.1:80", 1000), fails(Errno::EACCES));
    assert_eq!(try_v4("10.1.1.1:80", 1000), fails(Errno::EADDRNOTAVAIL));
    assert_eq!(try_v4("127.0.0.1:1024", 1000), ok("127.0.0.1"));
    assert_eq!(try_v4("[::1]:0", 0), fails(Errno::EAFNOSUPPORT));
    let mut try_v6 = |to: &str| {
        let s = lab.socket(Domain::V6);
        lab.bind(s, to)
    };
    assert_eq!(try_v6("[ff02::1]:0"), Err(Errno::EINVAL));
    assert_eq!(try_v6("[fe80::1]:0"), Err(Errno::EINVAL));
    assert_eq!(try_v6("[2001:db8::1]:0"), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(try_v6("[::ffff:10.1.1.1]:0"), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(try_v6("[::ffff:224.0.0.1]:0"), Ok(()));
    assert_eq!(try_v6("127.0.0.1:0"), Err(Errno::EINVAL));
    let s = lab.v4();
    lab.bind(s, "127.0.0.1:0").unwrap();
    assert_eq!(lab.bind(s, "127.0.0.1:0"), Err(Errno::EINVAL));
}

#[test]
fn a_v6_only_socket_does_not_take_mapped_addresses() {
    let mut lab = Lab::new();
    let s = lab.socket(Domain::V6);
    lab.set(s, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1).unwrap();
    assert_eq!(lab.bind(s, "[::ffff:127.0.0.1]:0"), Err(Errno::EINVAL));
    assert_eq!(lab.connect(s, "[::ffff:127.0.0.1]:1"), Err(Errno::ENETUNREACH));
    lab.bind(s, "[::]:0").unwrap();
    let after = lab.set(s, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0);
    assert_eq!(after, Err(Errno::EINVAL));
}

#[test]
fn bind_to_port_0_prefers_odd_ports_and_connect_even_ones() {
    let mut lab = Lab::new();
    lab.listener("127.0.0.1:80");
    let mut last = 0;
    for _ in 0..50 {
        let bound = lab.v4();
        lab.bind(bound, "127.0.0.1:0").unwrap();
        assert_eq!(lab.port(bound) % 2, 1);
        let (client, _) = lab.connection("127.0.0.1:80");
        assert_eq!(lab.port(client) % 2, 0);
        assert_ne!(lab.port(client), last);
        last = lab.port(client);
        assert!((32_768..=60_999).contains(&lab.port(bound)));
    }
}

#[test]
fn the_other_parity_is_used_when_the_first_is_exhausted_and_reserved_ports_never() {
    let mut lab = Lab::new();
    lab.sysctl("net.ipv4.ip_local_port_range", "40000 40009");
    lab.sysctl("net.ipv4.ip_local_reserved_ports", "40003,40004");
    let mut ports = Vec::new();
    for _ in 0..8 {
        let s = lab.v4();
        lab.bind(s, "127.0.0.1:0").unwrap();
        ports.push(lab.port(s));
    }
    let s = lab.v4();
    assert_eq!(lab.bind(s, "127.0.0.1:0"), Err(Errno::EADDRINUSE));
    assert!(ports[..4].iter().all(|port| port % 2 == 1), "{ports:?}");
    ports.sort_unstable();
    assert_eq!(ports, [40_000, 40_001, 40_002, 40_005, 40_006, 40_007, 40_008, 40_009]);
}

#[test]
fn a_connected_ephemeral_port_is_held_against_bind() {
    let mut lab = Lab::new();
    lab.listener("127.0.0.1:80");
    let (client, _) = lab.connection("127.0.0.1:80");
    let at = lab.local(client);
    let s = lab.v4();
    assert_eq!(lab.bind(s, &at), Err(Errno::EADDRINUSE));
    lab.reuse_address(s);
    assert_eq!(lab.bind(s, &at), Err(Errno::EADDRINUSE));
    lab.reuse_address(client);
    assert_eq!(lab.bind(s, &at), Ok(()));
    assert_eq!(lab.listen(s, 1), Ok(()));
}

#[test]
fn an_accepted_connection_holds_the_port_after_its_listener() {
    let mut lab = Lab::new();
    let listener = lab.v4();
    lab.bind(listener, "127.0.0.1:28001").unwrap();
    lab.listen(listener, 5).unwrap();
    let (_, server) = lab.connection("127.0.0.1:28001");
    lab.close(listener);
    let s = lab.v4();
    lab.reuse_address(s);
    assert_eq!(lab.bind(s, "127.0.0.1:28001"), Err(Errno::EADDRINUSE));
    lab.reuse_address(server);
    assert_eq!(lab.bind(s, "127.0.0.1:28001"), Ok(()));
}
