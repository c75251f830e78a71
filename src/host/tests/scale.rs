//! Many connections at once and one after another: nothing stays behind.

use super::*;

#[test]
fn a_thousand_connections_at_once() {
    let mut lab = Lab::new();
    let listener = lab.listener("127.0.0.1:80");
    lab.listen(listener, 2000).unwrap();
    let clients: Vec<SocketKey> = (0..1000).map(|_| lab.v4()).collect();
    for &s in &clients {
        lab.0.call_only(0, |host, now| host.connect(now, s, address("127.0.0.1:80"))).unwrap();
    }
    lab.0.settle();
    assert_eq!(lab.row(listener).recv_q, 1000);
    let arrived = lab.0.take_events(0).into_iter().filter_map(|event| match event {
        HostEvent::Arrived { child, .. } => Some(child),
        _ => None,
    });
    let children: Vec<SocketKey> = arrived.collect();
    for &child in &children {
        lab.call(|host, now| host.accepted(now, child));
    }
    for s in clients.into_iter().chain(children) {
        lab.close(s);
    }
    assert_eq!(lab.time_waits(), 1000);
    assert_eq!(lab.host().status().tcbs, 0);
    lab.close(listener);
    lab.0.run_for(TIME_WAIT);
    assert!(lab.host().is_idle());
}

#[test]
fn twenty_thousand_short_connections_leave_nothing_behind() {
    let mut lab = Lab::new();
    lab.sysctl("net.tcplab.tcp_msl_ms", "50");
    lab.listener("127.0.0.1:80");
    let zero: Vec<u8> = [1_i32, 0].iter().flat_map(|word| word.to_ne_bytes()).collect();
    for round in 0..20_000 {
        let (client, server) = lab.connection("127.0.0.1:80");
        if round % 2 == 0 {
            let set = |host: &mut Host, now| {
                host.set_option(now, client, libc::SOL_SOCKET, libc::SO_LINGER, &zero)
            };
            lab.call(set).unwrap();
        }
        lab.close(client);
        lab.close(server);
        lab.0.run_for(Duration::from_micros(100));
        lab.0.take_events(0);
    }
    assert!(lab.time_waits() > 0);
    lab.0.run_for(SECOND);
    let status = lab.host().status();
    assert_eq!((status.sockets, status.tcbs, status.orphans, status.time_wait), (1, 0, 0, 0));
    assert_eq!(status.ports, 1);
}
