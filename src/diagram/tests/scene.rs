//! Two programs on two simulated hosts, and the calls that they make.

use core::net::SocketAddr;

use crate::host::{Host, HostEvent, SocketKey};
use crate::ipc::record::Api;
use crate::ipc::{Domain, Errno};
use crate::sim::{Begun, Sim};
use crate::tcp::Release;
use crate::time::{Duration, Instant};
use crate::trace::{Argument, Call, End, Records};

const CLIENT: usize = 0;
const SERVER: usize = 1;
const PROGRAMS: [(u32, &str); 2] = [(100, "client"), (200, "server")];
/// Descriptors: of the client, of the listener, of the accepted connection.
const FD: i32 = 3;
const ACCEPTED_FD: i32 = 4;

pub(super) struct Scene {
    sim: Sim,
    address: SocketAddr,
    client: Option<SocketKey>,
    listener: Option<SocketKey>,
    server: Option<SocketKey>,
    /// The server's read().
    reads: Option<Begun>,
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::new(Sim::address(SERVER), port)
}

impl Scene {
    /// Nobody has done anything yet.
    pub(super) fn set() -> Scene {
        let mut sim = Sim::pair(7);
        sim.netem("delay 50us");
        sim.record();
        Scene { sim, address: at(80), client: None, listener: None, server: None, reads: None }
    }

    pub(super) fn delay(&mut self, delay: Duration) {
        self.sim.netem(&format!("delay {}us", delay.as_micros()));
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.sim.run_for(time);
    }

    pub(super) fn records(&self) -> Records {
        self.sim.records(&PROGRAMS)
    }

    fn end(&mut self, host: usize, key: SocketKey) -> End {
        let (local, remote) = self.sim.host(host).ends(key);
        End { socket: self.sim.id(host, key), local, remote }
    }

    fn record(
        &mut self,
        host: usize,
        (key, fd): (SocketKey, i32),
        begun: Option<Begun>,
        (api, argument): (Api, Argument),
        outcome: Result<i64, Errno>,
    ) {
        let end = self.end(host, key);
        let call = Call {
            times: 1,
            end,
            pid: PROGRAMS[host].0,
            fd,
            api,
            argument,
            value: outcome.unwrap_or(-1),
            errno: outcome.err(),
            took_ns: 0,
            caller: 0,
        };
        self.sim.record_call(begun, call);
    }

    fn make<T>(&mut self, host: usize, call: impl FnOnce(&mut Host, Instant) -> T) -> T {
        self.sim.call(host, call)
    }

    fn listen(&mut self) -> SocketKey {
        let address = self.address;
        let listener = self.make(SERVER, |host, now| host.socket(now, Domain::V4, 0).unwrap());
        self.make(SERVER, |host, _| host.bind(listener, address).unwrap());
        let bind = (Api::Bind, Argument::Address(address));
        self.record(SERVER, (listener, FD), None, bind, Ok(0));
        self.make(SERVER, |host, now| host.listen(now, listener, 5).unwrap());
        let listen = (Api::Listen, Argument::Backlog(5));
        self.record(SERVER, (listener, FD), None, listen, Ok(0));
        self.listener = Some(listener);
        listener
    }

    fn start_connect(&mut self) -> (SocketKey, Option<Begun>) {
        let address = self.address;
        let client = self.make(CLIENT, |host, now| host.socket(now, Domain::V4, 0).unwrap());
        let begun = self.sim.begin_call();
        self.make(CLIENT, |host, now| host.connect(now, client, address).unwrap());
        self.client = Some(client);
        (client, begun)
    }

    /// The server listens and waits in accept(), the client connects.
    pub(super) fn connect(&mut self) {
        let listener = self.listen();
        let waits = self.sim.begin_call();
        self.pass(Duration::from_millis(1));
        let (client, begun) = self.start_connect();
        self.pass(Duration::from_micros(120));
        self.pass(Duration::from_millis(10));
        let address = Argument::Address(self.address);
        self.record(CLIENT, (client, FD), begun, (Api::Connect, address), Ok(0));
        self.pass(Duration::from_millis(10));
        let arrived = self.sim.take_events(SERVER).into_iter().find_map(|event| match event {
            HostEvent::Arrived { child, .. } => Some(child),
            _ => None,
        });
        let server = arrived.expect("a connection");
        self.make(SERVER, |host, now| host.accepted(now, server));
        let accepted = self.end(SERVER, server);
        let accept = (Api::Accept, Argument::Accepted(accepted));
        self.record(SERVER, (listener, FD), waits, accept, Ok(ACCEPTED_FD.into()));
        self.server = Some(server);
    }

    /// There is no listener.
    pub(super) fn connect_to_nobody(&mut self) {
        let (client, begun) = self.start_connect();
        self.pass(Duration::from_millis(1));
        let address = Argument::Address(self.address);
        let refused = Err(Errno::ECONNREFUSED);
        self.record(CLIENT, (client, FD), begun, (Api::Connect, address), refused);
    }

    /// Every SYN is lost.
    pub(super) fn connect_into_the_void(&mut self) {
        self.sim.rule("drop syn");
        let retries = |host: &mut Host| host.set_sysctl("net.ipv4.tcp_syn_retries", "2").unwrap();
        self.make(CLIENT, |host, _| retries(host));
        let (client, begun) = self.start_connect();
        self.pass(Duration::from_secs(60));
        let address = Argument::Address(self.address);
        let timed_out = Err(Errno::ETIMEDOUT);
        self.record(CLIENT, (client, FD), begun, (Api::Connect, address), timed_out);
    }

    pub(super) fn client_writes(&mut self, octets: usize) {
        let client = self.client.expect("a client");
        let write = (Api::Write, Argument::Octets(octets as u64));
        self.record(CLIENT, (client, FD), None, write, Ok(octets as i64));
        self.make(CLIENT, |host, now| {
            let (a, _) = host.send_reserve(client, octets);
            a.fill(b'x');
            host.send_commit(now, client, octets);
        });
    }

    pub(super) fn server_begins_to_read(&mut self) {
        self.reads = self.sim.begin_call();
    }

    /// The server's read() returns what came.
    pub(super) fn server_reads_text(&mut self) {
        let server = self.server.expect("a server");
        self.pass(Duration::from_millis(1));
        let octets = self.make(SERVER, |host, now| {
            let octets = host.received(server).0.len();
            host.consume(now, server, octets);
            host.set_unread(now, server, 0);
            octets
        });
        let read = (Api::Read, Argument::Octets(4096));
        let begun = self.reads.take();
        self.record(SERVER, (server, ACCEPTED_FD), begun, read, Ok(octets as i64));
    }

    pub(super) fn client_closes(&mut self) {
        let client = self.client.expect("a client");
        self.record(CLIENT, (client, FD), None, (Api::Close, Argument::None), Ok(0));
        self.make(CLIENT, |host, now| host.release(now, client, Release::Graceful));
    }

    /// The server's read() returns 0.
    pub(super) fn server_reads_end(&mut self) {
        let server = self.server.expect("a server");
        let begun = self.reads.take();
        self.pass(Duration::from_millis(1));
        let read = (Api::Read, Argument::Octets(4096));
        self.record(SERVER, (server, ACCEPTED_FD), begun, read, Ok(0));
    }

    pub(super) fn server_closes(&mut self) {
        let server = self.server.expect("a server");
        let close = (Api::Close, Argument::None);
        self.record(SERVER, (server, ACCEPTED_FD), None, close, Ok(0));
        self.make(SERVER, |host, now| host.release(now, server, Release::Graceful));
    }

    pub(super) fn both_close(&mut self) {
        self.client_closes();
        self.server_closes();
    }

    pub(super) fn lose_next_ack_of_client(&mut self) {
        self.sim.rule("drop ack to server nth 1");
    }
}
