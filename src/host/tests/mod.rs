//! The host against what the kernel did (Linux 6.18): every expected value below was seen there.

mod bind;
mod close;
mod connect;
mod fuzz;
mod listener;
mod options;
mod scale;
mod sysctl;
mod time_wait;
mod why;

use core::net::SocketAddr;

use crate::host::{Host, HostEvent, SocketKey};
use crate::inspect::SocketRow;
use crate::ipc::{Domain, Errno};
use crate::sim::Sim;
use crate::tcp::Release;
use crate::time::{Duration, Instant};

/// 2MSL.
const TIME_WAIT: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A host that talks to itself, with the calls of a program.
struct Lab(Sim);

impl Lab {
    fn new() -> Lab {
        Lab(Sim::alone(7))
    }

    fn call<T>(&mut self, call: impl FnOnce(&mut Host, Instant) -> T) -> T {
        self.0.call(0, call)
    }

    fn host(&self) -> &Host {
        self.0.host(0)
    }

    fn socket(&mut self, domain: Domain) -> SocketKey {
        self.call(|host, now| host.socket(now, domain, 0)).unwrap()
    }

    fn v4(&mut self) -> SocketKey {
        self.socket(Domain::V4)
    }

    fn bind(&mut self, s: SocketKey, to: &str) -> Result<(), Errno> {
        self.call(|host, _| host.bind(s, address(to)))
    }

    fn listen(&mut self, s: SocketKey, backlog: i32) -> Result<(), Errno> {
        self.call(|host, now| host.listen(now, s, backlog))
    }

    /// As a program that waits: the outcome.
    fn connect(&mut self, s: SocketKey, to: &str) -> Result<(), Errno> {
        let to = address(to);
        self.call(|host, now| host.connect(now, s, to))?;
        self.call(|host, now| host.connect(now, s, to)).map(|_| ())
    }

    fn set(&mut self, s: SocketKey, level: i32, name: i32, value: i32) -> Result<(), Errno> {
        self.call(|host, now| host.set_option(now, s, level, name, &value.to_ne_bytes()))
    }

    fn get(&mut self, s: SocketKey, level: i32, name: i32) -> Result<i32, Errno> {
        let mut octets = [0; 4];
        self.call(|host, now| host.get_option(now, s, level, name, &mut octets))?;
        Ok(i32::from_ne_bytes(octets))
    }

    fn reuse_address(&mut self, s: SocketKey) {
        self.set(s, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1).unwrap();
    }

    fn sysctl(&mut self, name: &str, value: &str) {
        self.call(|host, _| host.set_sysctl(name, value)).unwrap();
    }

    fn close(&mut self, s: SocketKey) {
        self.call(|host, now| host.release(now, s, Release::Graceful));
    }

    /// The next child in the order of arrival.
    fn accept(&mut self) -> Option<SocketKey> {
        let mut events = self.0.take_events(0).into_iter();
        let child = events.find_map(|event| match event {
            HostEvent::Arrived { child, .. } => Some(child),
            _ => None,
        })?;
        self.call(|host, now| host.accepted(now, child));
        Some(child)
    }

    fn listener(&mut self, at: &str) -> SocketKey {
        let listener = self.v4();
        self.reuse_address(listener);
        self.bind(listener, at).unwrap();
        self.listen(listener, 50).unwrap();
        listener
    }

    /// Both ends of a connection to a listener.
    fn connection(&mut self, to: &str) -> (SocketKey, SocketKey) {
        let client = self.v4();
        self.connect(client, to).unwrap();
        (client, self.accept().unwrap())
    }

    fn local(&self, s: SocketKey) -> String {
        self.host().names(s).unwrap().0.to_string()
    }

    fn port(&self, s: SocketKey) -> u16 {
        self.host().names(s).unwrap().0.port()
    }

    fn row(&self, s: SocketKey) -> SocketRow {
        let rows = self.host().rows(self.0.now());
        rows.into_iter().find(|(key, _)| *key == Some(s)).unwrap().1
    }

    fn state(&self, s: SocketKey) -> String {
        self.row(s).state
    }

    fn send(&mut self, s: SocketKey, octets: &[u8]) {
        self.call(|host, now| {
            let (a, b) = host.send_reserve(s, octets.len());
            let (first, second) = octets.split_at(a.len());
            a.copy_from_slice(first);
            b.copy_from_slice(second);
            host.send_commit(now, s, octets.len());
        });
    }

    fn read(&mut self, s: SocketKey) -> Vec<u8> {
        self.call(|host, now| {
            let (a, b) = host.received(s);
            let octets = [a, b].concat();
            host.consume(now, s, octets.len());
            host.set_unread(now, s, 0);
            octets
        })
    }

    fn counter(&self, name: &str) -> u64 {
        let counters = self.host().status().counters;
        counters.iter().find(|(known, _)| known == name).unwrap().1
    }

    fn time_waits(&self) -> u64 {
        self.host().status().time_wait
    }
}
