//! Sysctls: each changes what the host does. What one means to a connection is in
//! `tcp/tests/settings.rs` and its neighbours; here, that it reaches the connection.

use super::*;
use crate::wire::{Flags, Header, Options, SeqNum, emit};

/// A sysctl that is a field of a connection's settings: another value, and how the field is
/// written then.
const SETTINGS: &[(&str, &str, &str)] = &[
    ("net.ipv4.tcp_challenge_ack_limit", "7", "challenge_ack_limit: 7,"),
    ("net.ipv4.tcp_congestion_control", "reno", "congestion: Reno,"),
    ("net.ipv4.tcp_dsack", "0", "dsack: false,"),
    ("net.ipv4.tcp_fin_timeout", "7", "fin_timeout: Some(7s),"),
    ("net.ipv4.tcp_invalid_ratelimit", "7", "invalid_interval: 7ms,"),
    ("net.ipv4.tcp_min_snd_mss", "77", "min_send_mss: 77,"),
    ("net.ipv4.tcp_moderate_rcvbuf", "0", "receive_buffer: 131072,"),
    ("net.ipv4.tcp_orphan_retries", "7", "orphan_retries: 7,"),
    ("net.ipv4.tcp_pingpong_thresh", "7", "pingpong_threshold: 7,"),
    ("net.ipv4.tcp_reordering", "7", "reordering: 7,"),
    ("net.ipv4.tcp_retries2", "7", "retries2: 7,"),
    ("net.ipv4.tcp_rmem", "4096 7777 77777", "receive_buffer: 77777, receive_initial: 7777,"),
    ("net.ipv4.tcp_rto_max_ms", "7000", "rto_max: 7s,"),
    ("net.ipv4.tcp_rto_min_us", "7000", "rto_min: 7ms,"),
    ("net.ipv4.tcp_sack", "0", "sack: false,"),
    ("net.ipv4.tcp_slow_start_after_idle", "0", "slow_start_after_idle: false,"),
    ("net.ipv4.tcp_stdurg", "1", "stdurg: true"),
    ("net.ipv4.tcp_syn_linear_timeouts", "7", "syn_linear_timeouts: 7,"),
    ("net.ipv4.tcp_syn_retries", "7", "syn_retries: 7,"),
    ("net.ipv4.tcp_synack_retries", "7", "synack_retries: 7,"),
    ("net.ipv4.tcp_timestamps", "0", "timestamps: false,"),
    ("net.ipv4.tcp_window_scaling", "0", "window_scaling: false,"),
    ("net.ipv4.tcp_wmem", "4096 7777 77777", "send_buffer: 77777,"),
    ("net.tcplab.mtu", "1500", "mss: 1452,"),
    ("net.tcplab.tcp_delack_ms", "7", "delayed_ack: 7ms,"),
    ("net.tcplab.tcp_init_cwnd", "7", "initial_window: 7,"),
    ("net.tcplab.tcp_init_rto_ms", "7", "rto_initial: 7ms,"),
    ("net.tcplab.tcp_msl_ms", "7", "msl: 7ms,"),
];

impl Lab {
    /// The settings of a connection, as text.
    fn settings(&self, s: SocketKey) -> String {
        let socket = self.host().sockets.get(s).unwrap();
        format!("{:?}", socket.connection().unwrap().tcb.config())
    }

    fn set_number(&mut self, s: SocketKey, name: i32, value: i32) {
        self.set(s, libc::SOL_SOCKET, name, value).unwrap();
    }
}

#[test]
fn settings_reach_new_connections_and_those_that_live() {
    for &(name, value, field) in SETTINGS {
        let mut lab = Lab::new();
        lab.listener("127.0.0.1:80");
        let (old, _) = lab.connection("127.0.0.1:80");
        assert!(!lab.settings(old).contains(field), "{field} is the default");
        lab.sysctl(name, value);
        let (new, accepted) = lab.connection("127.0.0.1:80");
        for s in [new, accepted] {
            assert!(lab.settings(s).contains(field), "{name}={value}: {}", lab.settings(s));
        }
        // Congestion control is chosen once, when a connection begins.
        let changes = name != "net.ipv4.tcp_congestion_control";
        assert_eq!(lab.settings(old).contains(field), changes, "{name}");
    }
}

#[test]
fn keep_alive_takes_its_times_from_the_sysctls_where_the_program_set_none() {
    let mut lab = Lab::new();
    lab.listener("127.0.0.1:80");
    lab.sysctl("net.ipv4.tcp_keepalive_time", "10");
    lab.sysctl("net.ipv4.tcp_keepalive_intvl", "3");
    lab.sysctl("net.ipv4.tcp_keepalive_probes", "2");
    let (client, _) = lab.connection("127.0.0.1:80");
    lab.set_number(client, libc::SO_KEEPALIVE, 1);
    lab.0.rule("drop any");
    lab.0.run_for(SECOND * 15);
    assert_eq!(lab.state(client), "ESTAB");
    lab.0.run_for(SECOND * 2);
    assert_eq!(lab.state(client), "UNCONN");
    let probes = lab.0.log().iter().filter(|segment| segment.is_lost()).count();
    assert_eq!(probes, 2 + 1, "two probes and a RST");
}

#[test]
fn isn_can_be_set_for_both_ends() {
    let mut lab = Lab::new();
    lab.listener("127.0.0.1:80");
    let numbers = |lab: &Lab| -> Vec<u32> {
        let syns = lab.0.log().iter().filter(|segment| segment.flags.contains(Flags::SYN));
        syns.map(|segment| segment.seq.0).collect()
    };
    lab.connection("127.0.0.1:80");
    let chosen = numbers(&lab);
    assert_ne!(chosen[0], chosen[1]);
    lab.sysctl("net.tcplab.isn", "4294967295");
    lab.connection("127.0.0.1:80");
    assert_eq!(numbers(&lab)[2..], [u32::MAX; 2]);
    lab.sysctl("net.tcplab.isn", "rfc6528");
    lab.connection("127.0.0.1:80");
    assert!(!numbers(&lab)[4..].contains(&u32::MAX));
    let refused = lab.call(|host, _| host.set_sysctl("net.tcplab.isn", "random")).unwrap_err();
    assert_eq!(
        refused,
        "net.tcplab.isn takes rfc6528 or a number from 0 to 4294967295, not 'random'"
    );
}

#[test]
fn isn_that_is_set_is_that_of_a_connection_after_a_time_wait_too() {
    let mut lab = Lab::new();
    lab.listener("127.0.0.1:80");
    lab.sysctl("net.tcplab.isn", "77");
    let connect = |lab: &mut Lab| {
        let client = lab.v4();
        lab.reuse_address(client);
        lab.bind(client, "127.0.0.1:4000").unwrap();
        lab.connect(client, "127.0.0.1:80").unwrap();
        (client, lab.accept().unwrap())
    };
    let (client, server) = connect(&mut lab);
    lab.close(client);
    lab.close(server);
    assert_eq!(lab.time_waits(), 1);
    lab.0.run_for(SECOND);
    connect(&mut lab);
    let syns = lab.0.log().iter().filter(|segment| segment.flags.contains(Flags::SYN));
    assert!(syns.map(|segment| segment.seq.0).all(|number| number == 77));
}

#[test]
fn somaxconn_bounds_the_backlog() {
    let mut lab = Lab::new();
    lab.sysctl("net.core.somaxconn", "2");
    let s = lab.listener("127.0.0.1:80");
    assert_eq!(lab.row(s).send_q, 2);
}

#[test]
fn rmem_max_and_wmem_max_bound_the_options() {
    let mut lab = Lab::new();
    lab.sysctl("net.core.rmem_max", "100000");
    lab.sysctl("net.core.wmem_max", "50000");
    let s = lab.v4();
    lab.set_number(s, libc::SO_RCVBUF, 1 << 20);
    lab.set_number(s, libc::SO_SNDBUF, 1 << 20);
    assert_eq!(lab.get(s, libc::SOL_SOCKET, libc::SO_RCVBUF), Ok(200_000));
    assert_eq!(lab.get(s, libc::SOL_SOCKET, libc::SO_SNDBUF), Ok(100_000));
}

#[test]
fn ip_autobind_reuse_shares_a_port_when_none_is_free() {
    for (value, outcome) in [("0", Err(Errno::EADDRINUSE)), ("1", Ok(()))] {
        let mut lab = Lab::new();
        lab.sysctl("net.ipv4.ip_autobind_reuse", value);
        lab.sysctl("net.ipv4.ip_local_port_range", "40000 40000");
        let (a, b) = (lab.v4(), lab.v4());
        lab.reuse_address(a);
        lab.reuse_address(b);
        lab.bind(a, "127.0.0.1:0").unwrap();
        assert_eq!(lab.bind(b, "127.0.0.1:0"), outcome);
    }
}

#[test]
fn ip_default_ttl_is_that_of_a_socket_that_set_none() {
    let mut lab = Lab::new();
    lab.sysctl("net.ipv4.ip_default_ttl", "7");
    let s = lab.v4();
    assert_eq!(lab.get(s, libc::IPPROTO_IP, libc::IP_TTL), Ok(7));
}

#[test]
fn ip_nonlocal_bind_is_for_its_own_family() {
    let mut lab = Lab::new();
    let bind = |lab: &mut Lab, domain, to| {
        let s = lab.socket(domain);
        lab.bind(s, to)
    };
    let (v4, v6) = ("10.1.2.3:0", "[2001:db8::1]:0");
    lab.sysctl("net.ipv4.ip_nonlocal_bind", "1");
    assert_eq!(bind(&mut lab, Domain::V4, v4), Ok(()));
    assert_eq!(bind(&mut lab, Domain::V6, v6), Err(Errno::EADDRNOTAVAIL));
    lab.sysctl("net.ipv4.ip_nonlocal_bind", "0");
    lab.sysctl("net.ipv6.ip_nonlocal_bind", "1");
    assert_eq!(bind(&mut lab, Domain::V4, v4), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(bind(&mut lab, Domain::V6, v6), Ok(()));
}

#[test]
fn bindv6only_is_the_default_of_the_option() {
    let mut lab = Lab::new();
    lab.sysctl("net.ipv6.bindv6only", "1");
    let s = lab.socket(Domain::V6);
    assert_eq!(lab.get(s, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY), Ok(1));
    lab.bind(s, "[::]:8080").unwrap();
    let other = lab.v4();
    assert_eq!(lab.bind(other, "0.0.0.0:8080"), Ok(()));
}

#[test]
fn ip_unprivileged_port_start_is_the_first_port_for_everybody() {
    let mut lab = Lab::new();
    lab.sysctl("net.ipv4.ip_unprivileged_port_start", "80");
    let mut bind = |to| {
        let s = lab.call(|host, now| host.socket(now, Domain::V4, 1000)).unwrap();
        lab.bind(s, to)
    };
    assert_eq!(bind("127.0.0.1:79"), Err(Errno::EACCES));
    assert_eq!(bind("127.0.0.1:80"), Ok(()));
}

#[test]
fn tcp_available_congestion_control_is_what_can_be_chosen_and_read_only() {
    let mut lab = Lab::new();
    let name = "net.ipv4.tcp_available_congestion_control";
    let available = lab.host().sysctl(name).unwrap().value;
    let mut names = Vec::new();
    for algorithm in available.split(' ') {
        lab.sysctl("net.ipv4.tcp_congestion_control", algorithm);
        names.push(algorithm);
    }
    assert_eq!(names, ["reno", "cubic"]);
    assert!(lab.call(|host, _| host.set_sysctl(name, "reno")).is_err());
    let other = "net.ipv4.tcp_congestion_control";
    assert!(lab.call(|host, _| host.set_sysctl(other, "bbr")).is_err());
}

#[test]
fn tcp_max_syn_backlog_bounds_half_open_connections_beside_the_backlog() {
    let half_open = |most: &str| {
        let mut lab = Lab::new();
        lab.sysctl("net.ipv4.tcp_max_syn_backlog", most);
        let listener = lab.v4();
        lab.bind(listener, "127.0.0.1:80").unwrap();
        lab.listen(listener, 2).unwrap();
        // Nothing but SYNs arrives.
        lab.0.rule("drop not syn");
        for _ in 0..20 {
            let client = lab.v4();
            lab.call(|host, now| host.connect(now, client, address("127.0.0.1:80"))).unwrap();
        }
        let rows = lab.host().rows(lab.0.now());
        rows.iter().filter(|(_, row)| row.state == "SYN-RECV").count()
    };
    assert_eq!(half_open("5"), 5);
    assert_eq!(half_open("12"), 12);
}

#[test]
fn tcp_rfc1337_keeps_time_wait_from_a_rst() {
    for (value, left) in [("0", 0), ("1", 1)] {
        let mut lab = Lab::new();
        lab.listener("127.0.0.1:80");
        lab.sysctl("net.ipv4.tcp_rfc1337", value);
        let (client, server) = lab.connection("127.0.0.1:80");
        lab.close(client);
        lab.close(server);
        assert_eq!(lab.time_waits(), 1);
        // A RST with exactly the next sequence number, such as an old duplicate may have.
        let mut fins = lab.0.log().iter().filter(|segment| segment.flags.contains(Flags::FIN));
        let fin = fins.next_back().unwrap().clone();
        let header = Header {
            source_port: fin.from.port(),
            destination_port: fin.to.port(),
            seq: fin.seq.add(1),
            ack: SeqNum(0),
            flags: Flags::RST,
            window: 0,
            urgent: 0,
            options: Options::default(),
        };
        let mut octets = Vec::new();
        let (from, to) = (fin.from.ip(), fin.to.ip());
        emit(from, to, &header, (&[], &[]), &mut octets);
        lab.call(|host, now| host.handle_datagram(now, from, to, &octets));
        assert_eq!(lab.time_waits(), left, "tcp_rfc1337={value}");
    }
}

#[test]
fn tcp_tw_reuse_delay_is_the_age_at_which_a_port_is_taken_over() {
    let mut lab = Lab::new();
    lab.listener("127.0.0.1:80");
    lab.sysctl("net.ipv4.ip_local_port_range", "40000 40000");
    lab.sysctl("net.ipv4.tcp_tw_reuse_delay", "5000");
    let (client, server) = lab.connection("127.0.0.1:80");
    lab.close(client);
    lab.close(server);
    assert_eq!(lab.time_waits(), 1);
    lab.0.run_for(SECOND * 4);
    let next = lab.v4();
    assert_eq!(lab.connect(next, "127.0.0.1:80"), Err(Errno::EADDRNOTAVAIL));
    lab.0.run_for(SECOND * 2);
    assert_eq!(lab.connect(next, "127.0.0.1:80"), Ok(()));
}

/// The tests in which a sysctl has its behaviour looked at.
const TESTS: [&str; 7] = [
    include_str!("sysctl.rs"),
    include_str!("bind.rs"),
    include_str!("close.rs"),
    include_str!("connect.rs"),
    include_str!("listener.rs"),
    include_str!("options.rs"),
    include_str!("time_wait.rs"),
];

#[test]
fn every_sysctl_has_a_test() {
    for row in Lab::new().host().sysctls() {
        let quoted = format!("\"{}\"", row.name);
        assert!(TESTS.iter().any(|text| text.contains(&quoted)), "{} has none", row.name);
    }
}

#[test]
fn every_sysctl_has_one_line_of_meaning() {
    for row in Lab::new().host().sysctls() {
        let len = row.meaning.chars().count();
        assert!((20..=100).contains(&len), "{}: {len}: {}", row.name, row.meaning);
        assert!(!row.meaning.ends_with('.'), "{}", row.name);
    }
}
