//! getsockopt() and setsockopt(): values, ranges, clipping, inheritance.

use super::*;

const SOL: i32 = libc::SOL_SOCKET;
const TCP: i32 = libc::IPPROTO_TCP;
const IP: i32 = libc::IPPROTO_IP;
const V6: i32 = libc::IPPROTO_IPV6;

fn set_get(lab: &mut Lab, domain: Domain, level: i32, name: i32, value: i32) -> Result<i32, Errno> {
    let s = lab.socket(domain);
    let set = lab.set(s, level, name, value);
    let got = lab.get(s, level, name);
    lab.close(s);
    set.and(got)
}

#[test]
fn defaults_are_the_kernels() {
    let mut lab = Lab::new();
    let s = lab.v4();
    for (level, name, expected) in [
        (SOL, libc::SO_TYPE, 1),
        (SOL, libc::SO_PROTOCOL, 6),
        (SOL, libc::SO_DOMAIN, 2),
        (SOL, libc::SO_SNDBUF, 16_384),
        (SOL, libc::SO_RCVBUF, 131_072),
        (SOL, libc::SO_RCVLOWAT, 1),
        (SOL, libc::SO_INCOMING_CPU, -1),
        (SOL, libc::SO_ACCEPTCONN, 0),
        (TCP, libc::TCP_NODELAY, 0),
        (TCP, libc::TCP_MAXSEG, 536),
        (TCP, libc::TCP_KEEPIDLE, 7200),
        (TCP, libc::TCP_KEEPINTVL, 75),
        (TCP, libc::TCP_KEEPCNT, 9),
        (TCP, libc::TCP_SYNCNT, 6),
        (TCP, libc::TCP_LINGER2, 60),
        (TCP, libc::TCP_QUICKACK, 1),
        (TCP, libc::TCP_NOTSENT_LOWAT, 0),
        (IP, libc::IP_TTL, 64),
        (IP, libc::IP_TOS, 0),
        (IP, libc::IP_MTU_DISCOVER, 1),
    ] {
        assert_eq!(lab.get(s, level, name), Ok(expected), "level {level} name {name}");
    }
}

#[test]
fn values_are_clipped_and_ranges_kept() {
    let mut lab = Lab::new();
    let invalid = Err(Errno::EINVAL);
    for (level, name, value, expected) in [
        (SOL, libc::SO_RCVBUF, 1, Ok(2304)),
        (SOL, libc::SO_RCVBUF, 100_000, Ok(200_000)),
        (SOL, libc::SO_RCVBUF, i32::MAX, Ok(8_388_608)),
        (SOL, libc::SO_RCVBUF, -1, Ok(8_388_608)),
        (SOL, libc::SO_SNDBUF, 0, Ok(4608)),
        (SOL, libc::SO_SNDBUF, 32_767, Ok(65_534)),
        (SOL, libc::SO_REUSEADDR, -1, Ok(1)),
        (SOL, libc::SO_RCVLOWAT, 0, Ok(1)),
        (SOL, libc::SO_RCVLOWAT, -1, Ok(16_777_216)),
        (SOL, libc::SO_TYPE, 1, Err(Errno::ENOPROTOOPT)),
        (SOL, libc::SO_ERROR, 1, Err(Errno::ENOPROTOOPT)),
        (SOL, libc::SO_ACCEPTCONN, 1, Err(Errno::ENOPROTOOPT)),
        (SOL, 9999, 1, Err(Errno::ENOPROTOOPT)),
        (TCP, libc::TCP_MAXSEG, 0, Ok(536)),
        (TCP, libc::TCP_MAXSEG, 1, invalid),
        (TCP, libc::TCP_MAXSEG, 100, Ok(100)),
        (TCP, libc::TCP_MAXSEG, 32_768, invalid),
        (TCP, libc::TCP_KEEPIDLE, 0, invalid),
        (TCP, libc::TCP_KEEPIDLE, 32_768, invalid),
        (TCP, libc::TCP_KEEPCNT, 127, Ok(127)),
        (TCP, libc::TCP_KEEPCNT, 128, invalid),
        (TCP, libc::TCP_SYNCNT, 0, invalid),
        (TCP, libc::TCP_LINGER2, -5, Ok(-1)),
        (TCP, libc::TCP_LINGER2, 0, Ok(60)),
        (TCP, libc::TCP_LINGER2, 1000, Ok(120)),
        (TCP, libc::TCP_DEFER_ACCEPT, 2, Ok(3)),
        (TCP, libc::TCP_DEFER_ACCEPT, 100, Ok(127)),
        (TCP, libc::TCP_DEFER_ACCEPT, 1000, Ok(1087)),
        (TCP, libc::TCP_DEFER_ACCEPT, i32::MAX, Ok(29_887)),
        (TCP, libc::TCP_WINDOW_CLAMP, 1, Ok(1152)),
        (TCP, libc::TCP_USER_TIMEOUT, -1, invalid),
        (TCP, libc::TCP_NOTSENT_LOWAT, -1, Ok(-1)),
        (TCP, 9999, 1, Err(Errno::ENOPROTOOPT)),
        (IP, libc::IP_TOS, -1, Ok(252)),
        (IP, libc::IP_TOS, 1000, Ok(232)),
        (IP, libc::IP_TTL, 0, invalid),
        (IP, libc::IP_TTL, -1, Ok(64)),
        (IP, libc::IP_TTL, 256, invalid),
        (IP, libc::IP_MTU_DISCOVER, 6, invalid),
        (V6, libc::IPV6_V6ONLY, 1, Err(Errno::ENOPROTOOPT)),
        (9999, 1, 1, Err(Errno::ENOPROTOOPT)),
    ] {
        let seen = set_get(&mut lab, Domain::V4, level, name, value);
        assert_eq!(seen, expected, "level {level} name {name} value {value}");
    }
    assert_eq!(set_get(&mut lab, Domain::V6, V6, libc::IPV6_V6ONLY, 5), Ok(1));
    assert_eq!(set_get(&mut lab, Domain::V6, V6, libc::IPV6_UNICAST_HOPS, -1), Ok(64));
    assert_eq!(set_get(&mut lab, Domain::V6, IP, libc::IP_TTL, 9), Ok(9));
}

#[test]
fn lengths_are_clipped_as_the_kernel_clips() {
    let mut lab = Lab::new();
    let s = lab.v4();
    let get = |lab: &mut Lab, level, name, room: usize| {
        let mut out = vec![0xee; room];
        lab.call(|host, now| host.get_option(now, s, level, name, &mut out)).unwrap()
    };
    for (room, len) in [(1, 1), (3, 3), (4, 4), (32, 4)] {
        assert_eq!(get(&mut lab, SOL, libc::SO_RCVBUF, room), len);
    }
    for (room, len) in [(1, 1), (3, 1), (4, 4), (8, 4)] {
        assert_eq!(get(&mut lab, IP, libc::IP_TTL, room), len);
    }
    for (room, len) in [(1, 1), (104, 104), (192, 192), (512, 280)] {
        assert_eq!(get(&mut lab, TCP, libc::TCP_INFO, room), len);
    }
    assert_eq!(get(&mut lab, TCP, libc::TCP_CONGESTION, 40), 16);
    assert_eq!(get(&mut lab, SOL, libc::SO_LINGER, 16), 8);
    assert_eq!(get(&mut lab, SOL, libc::SO_COOKIE, 16), 8);
    let set = |lab: &mut Lab, level, name, octets: &[u8]| {
        lab.call(|host, now| host.set_option(now, s, level, name, octets))
    };
    assert_eq!(set(&mut lab, SOL, libc::SO_REUSEADDR, &[1, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(set(&mut lab, SOL, libc::SO_LINGER, &[1, 0, 0, 0]), Err(Errno::EINVAL));
    assert_eq!(set(&mut lab, SOL, libc::SO_RCVTIMEO, &[1; 8]), Err(Errno::EINVAL));
    assert_eq!(set(&mut lab, IP, libc::IP_TTL, &[]), Err(Errno::EINVAL));
    assert_eq!(set(&mut lab, IP, libc::IP_TTL, &[7]), Ok(()));
    assert_eq!(set(&mut lab, TCP, libc::TCP_CONGESTION, b"reno"), Ok(()));
    assert_eq!(set(&mut lab, TCP, libc::TCP_CONGESTION, b"xyz"), Err(Errno::ENOENT));
    assert_eq!(set(&mut lab, TCP, libc::TCP_CONGESTION, b""), Err(Errno::EINVAL));
}

#[test]
fn unknown_levels_answer_as_the_kernel() {
    let mut lab = Lab::new();
    let (v4, v6) = (lab.v4(), lab.socket(Domain::V6));
    assert_eq!(lab.get(v4, 9999, 1), Err(Errno::EOPNOTSUPP));
    assert_eq!(lab.get(v4, V6, libc::IPV6_V6ONLY), Err(Errno::EOPNOTSUPP));
    assert_eq!(lab.get(v6, V6, libc::IPV6_V6ONLY), Ok(0));
    assert_eq!(lab.get(v6, 9999, 1), Err(Errno::ENOPROTOOPT));
}

#[test]
fn a_child_inherits_the_options_of_its_listener() {
    let mut lab = Lab::new();
    let listener = lab.listener("127.0.0.1:80");
    let options = [
        (TCP, libc::TCP_NODELAY, 1),
        (TCP, libc::TCP_KEEPIDLE, 55),
        (TCP, libc::TCP_USER_TIMEOUT, 777),
        (TCP, libc::TCP_SYNCNT, 3),
        (TCP, libc::TCP_LINGER2, 33),
        (SOL, libc::SO_KEEPALIVE, 1),
        (SOL, libc::SO_RCVLOWAT, 3),
        (IP, libc::IP_TOS, 16),
    ];
    for (level, name, value) in options {
        lab.set(listener, level, name, value).unwrap();
    }
    lab.set(listener, SOL, libc::SO_RCVBUF, 5000).unwrap();
    lab.set(listener, TCP, libc::TCP_MAXSEG, 700).unwrap();
    let (client, child) = lab.connection("127.0.0.1:80");
    for (level, name, value) in options {
        assert_eq!(lab.get(child, level, name), Ok(value), "level {level} name {name}");
    }
    assert_eq!(lab.get(child, SOL, libc::SO_RCVBUF), Ok(10_000));
    assert_eq!(lab.get(child, SOL, libc::SO_REUSEADDR), Ok(1));
    assert_eq!(lab.get(child, SOL, libc::SO_ACCEPTCONN), Ok(0));
    assert_eq!(lab.get(listener, SOL, libc::SO_ACCEPTCONN), Ok(1));
    // 700 less the timestamps, at both ends.
    assert_eq!(lab.get(child, TCP, libc::TCP_MAXSEG), Ok(688));
    assert_eq!(lab.get(client, TCP, libc::TCP_MAXSEG), Ok(688));
    assert_eq!(lab.set(listener, TCP, libc::TCP_WINDOW_CLAMP, 0), Err(Errno::EINVAL));
}

#[test]
fn tcp_info_tells_the_state_and_a_listeners_queue() {
    let mut lab = Lab::new();
    let listener = lab.listener("127.0.0.1:80");
    let client = lab.v4();
    let info = |lab: &mut Lab, s| {
        let mut out = [0; 280];
        lab.call(|host, now| host.get_option(now, s, TCP, libc::TCP_INFO, &mut out)).unwrap();
        let word = |at: usize| u32::from_ne_bytes(out[at..at + 4].try_into().unwrap());
        (out[0], word(24), word(28))
    };
    assert_eq!(info(&mut lab, client).0, 7);
    lab.connect(client, "127.0.0.1:80").unwrap();
    assert_eq!(info(&mut lab, client).0, 1);
    assert_eq!(info(&mut lab, listener), (10, 1, 50));
}
