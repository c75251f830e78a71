//! Transfers between hosts over a bad wire.

use core::net::SocketAddr;

use super::*;
use crate::host::SocketKey;
use crate::ipc::Domain;
use crate::tcp::Release;

const OCTETS: usize = 300_000;

struct Ends {
    sim: Sim,
    client: SocketKey,
    server: SocketKey,
}

fn connect(mut sim: Sim) -> Ends {
    let at: SocketAddr = "192.0.2.2:80".parse().unwrap();
    sim.call(1, |host, now| {
        let listener = host.socket(now, Domain::V4, 0).unwrap();
        host.bind(now, listener, at).unwrap();
        host.listen(now, listener, 5).unwrap();
    });
    let client = sim.call(0, |host, now| {
        let client = host.socket(now, Domain::V4, 0).unwrap();
        host.connect(now, client, at).unwrap();
        client
    });
    for _ in 0..1000 {
        sim.run_for(Duration::from_millis(100));
        for event in sim.take_events(1) {
            if let HostEvent::Arrived { child: server, .. } = event {
                sim.call(1, |host, now| host.accepted(now, server));
                return Ends { sim, client, server };
            }
        }
    }
    panic!("no handshake in 100 s");
}

impl Ends {
    /// Sends pattern octets from client to server; gives the time it took.
    fn transfer(&mut self) -> Duration {
        let start = self.sim.now();
        let pattern = |at: usize| (at * 31 % 251) as u8;
        let (client, server) = (self.client, self.server);
        let (mut sent, mut received) = (0, 0);
        for _ in 0..100_000 {
            sent += self.sim.call(0, |host, now| {
                let (a, b) = host.send_reserve(client, OCTETS - sent);
                for (offset, octet) in a.iter_mut().chain(b.iter_mut()).enumerate() {
                    *octet = pattern(sent + offset);
                }
                let len = a.len() + b.len();
                host.send_commit(now, client, len);
                len
            });
            received += self.sim.call(1, |host, now| {
                let (a, b) = host.received(server);
                let octets = [a, b].concat();
                for (offset, octet) in octets.iter().enumerate() {
                    assert_eq!(*octet, pattern(received + offset), "at {}", received + offset);
                }
                host.consume(now, server, octets.len());
                host.set_unread(now, server, 0);
                octets.len()
            });
            if received == OCTETS {
                return self.sim.now().since(start);
            }
            self.sim.run_for(Duration::from_millis(10));
        }
        panic!("{received} of {OCTETS} octets in {:?}", self.sim.now());
    }

    fn close(mut self) {
        let (client, server) = (self.client, self.server);
        self.sim.call(0, |host, now| host.release(now, client, Release::Graceful));
        self.sim.run_for(Duration::from_secs(5));
        self.sim.call(1, |host, now| host.release(now, server, Release::Graceful));
        self.sim.run_for(Duration::from_secs(300));
        assert!(self.sim.host(0).is_idle());
        assert_eq!(self.sim.host(1).status().tcbs, 0);
    }
}

#[test]
fn octets_arrive_over_a_wire_that_loses_a_tenth() {
    for seed in 1..=5 {
        let mut sim = Sim::pair(seed);
        for number in 0..2 {
            sim.call(number, |host, _| host.set_mtu(1500));
        }
        sim.set_delay(Duration::from_millis(5));
        sim.set_loss(100);
        let mut ends = connect(sim);
        ends.transfer();
        ends.sim.set_loss(0);
        ends.close();
    }
}

#[test]
fn a_clean_wire_needs_no_retransmission() {
    let mut sim = Sim::pair(1);
    sim.set_delay(Duration::from_millis(5));
    let mut ends = connect(sim);
    ends.transfer();
    let counters = ends.sim.host(0).status().counters;
    assert!(counters.contains(&("TcpRetransSegs".to_owned(), 0)));
    ends.close();
}
