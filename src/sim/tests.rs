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
        host.bind(listener, at).unwrap();
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
            sim.call(number, |host, _| host.set_sysctl("net.tcplab.mtu", "1500").unwrap());
        }
        sim.netem("delay 5ms loss 10%");
        let mut ends = connect(sim);
        ends.transfer();
        ends.sim.netem("delay 5ms");
        ends.close();
    }
}

#[test]
fn a_clean_wire_needs_no_retransmission() {
    let mut sim = Sim::pair(1);
    sim.netem("delay 5ms");
    let mut ends = connect(sim);
    ends.transfer();
    let counters = ends.sim.host(0).status().counters;
    assert!(counters.contains(&("TcpRetransSegs".to_owned(), 0)));
    ends.close();
}

#[test]
fn the_same_seed_gives_the_same_log_over_the_worst_wire() {
    let run = |seed| {
        let mut sim = Sim::pair(7);
        for number in 0..2 {
            sim.call(number, |host, _| host.set_sysctl("net.tcplab.mtu", "1500").unwrap());
        }
        sim.netem(&format!("delay 5ms 2ms loss 5% duplicate 5% corrupt 2% seed {seed}"));
        let mut ends = connect(sim);
        ends.transfer();
        ends.sim.log().to_vec()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn octets_arrive_through_every_impairment() {
    for netem in [
        "delay 5ms 4ms 25% distribution normal",
        "delay 5ms reorder 25% 50%",
        "delay 1ms loss gemodel 1% 20%",
        "delay 1ms loss state 1% 20% 5% 50% 1%",
        "rate 20mbit delay 2ms limit 50",
        "slot 3ms 5ms packets 8",
        "delay 2ms duplicate 30% corrupt 5%",
    ] {
        let mut sim = Sim::pair(11);
        for number in 0..2 {
            sim.call(number, |host, _| host.set_sysctl("net.tcplab.mtu", "1500").unwrap());
        }
        sim.netem(&format!("{netem} seed 3"));
        let mut ends = connect(sim);
        ends.transfer();
        ends.sim.clear_links();
        ends.close();
    }
}

#[test]
fn a_rate_is_what_was_asked_for() {
    let mut sim = Sim::pair(1);
    for number in 0..2 {
        sim.call(number, |host, _| host.set_sysctl("net.tcplab.mtu", "1500").unwrap());
    }
    sim.netem("rate 8mbit");
    let mut ends = connect(sim);
    // 300000 octets of text in 1460-octet packets at a million octets a second.
    let took = ends.transfer();
    assert!((300..340).contains(&took.as_millis()), "{took:?}");
}

#[test]
fn a_lost_fin_is_sent_again() {
    let mut sim = Sim::pair(1);
    sim.netem("delay 5ms");
    sim.rule("drop fin from client nth 1");
    let mut ends = connect(sim);
    let client = ends.client;
    ends.sim.call(0, |host, now| host.release(now, client, Release::Graceful));
    ends.sim.run_for(Duration::from_secs(2));
    let fins: Vec<bool> =
        ends.sim.log().iter().filter(|s| s.flags.fin()).map(Logged::is_lost).collect();
    assert_eq!(fins, [true, false]);
}

/// S05: both close while the FINs cross.
#[test]
fn fins_that_cross_make_both_ends_pass_closing() {
    let mut sim = Sim::pair(1);
    sim.rule("hold fin");
    let mut ends = connect(sim);
    let (client, server) = (ends.client, ends.server);
    ends.sim.call(0, |host, now| host.release(now, client, Release::Graceful));
    ends.sim.call(1, |host, now| host.release(now, server, Release::Graceful));
    assert_eq!(ends.sim.release(), 2);
    assert_eq!(ends.sim.host(0).status().time_wait, 1);
    assert_eq!(ends.sim.host(1).status().time_wait, 1);
}
