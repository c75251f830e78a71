//! The stack process: the one place with sockets, a clock and a process life.
//!
//! It plays the kernel for the programs of one session. Each of their TCP sockets is an `AF_UNIX`
//! socket whose other end is an [`endpoint`] here; octets go program -> endpoint -> TCB -> UDP
//! datagram -> TCB -> endpoint -> program. What a program asks (bind, connect, options) comes as
//! a request on the [`control`] channel.
//!
//! One thread, one loop. In each turn (`Stack::turn`), in this order:
//!
//! 1. what the kernel sockets tell: new plugs, octets, shutdowns, closes;
//! 2. requests on the control channel, one a client;
//! 3. the wire: segments out, segments in, until both are quiet;
//! 4. timers.
//!
//! The order of 1 and 2 is a promise: what one thread of a program did before a request (say
//! `close(a)` before `bind(b)`) is seen before the request is answered, and so are the segments
//! that it made.
//!
//! The process starts on demand ([`start`]), owns TIME-WAIT and orphans after the programs are
//! gone, and leaves when there is nothing left to own.

mod accepting;
mod commands;
mod control;
mod endpoint;
mod flow;
mod kernel;
mod plugging;
mod poller;
mod requests;
mod start;
mod wire;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant as Clock;

use self::control::Clients;
use self::endpoint::{Endpoint, Endpoints, Phase, Waiter};
use self::poller::{Interest, Poller, Readiness, Token};
use self::start::Doors;
use self::wire::Wire;
use crate::host::{Host, HostEvent, SocketKey};
use crate::ipc::message::Reply;
use crate::ipc::names::{Name, Object, Session};
use crate::ipc::{Errno, SocketId};
use crate::tcp::{Release, ResetReason};
use crate::time::{Duration, Instant};

pub use self::start::{StartError, run};

/// How long a stack that nobody asked to stay waits for another socket.
const IDLE_EXIT: Duration = Duration::from_secs(30);
/// How often sockets are looked for that programs closed without the kernel telling us.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Rounds of sending and receiving in one turn, so that one busy connection cannot keep the
/// stack from looking at the others.
const MAX_WIRE_ROUNDS: u32 = 64;

/// A closed socket whose program may wait in close() for the last acknowledgment (`SO_LINGER`).
struct Lingering {
    key: SocketKey,
    until: Instant,
    waiter: Option<Waiter>,
}

/// The stack of one session.
pub(crate) struct Stack {
    session: Session,
    secret: u128,
    began: Clock,
    host: Host,
    wire: Wire,
    poller: Poller,
    doors: Doors,
    spare: kernel::Spare,
    endpoints: Endpoints,
    clients: Clients,
    lingering: HashMap<SocketId, Lingering>,
    next_id: u64,
    /// Stays when idle.
    stays: bool,
    /// Ends after this turn.
    ends: bool,
    idle_since: Option<Instant>,
    /// The wire was not quiet when the last exchange ended.
    wire_is_busy: bool,
    /// There are sockets whose closing the kernel does not tell: look at this time.
    next_sweep: Option<Instant>,
    /// Endpoints that the host told something of.
    touched: Vec<u32>,
    /// Endpoints of whose programs octets are held, and when these are released.
    held: Vec<(u32, u32)>,
    release_at: Option<Instant>,
    /// Where octets go that were taken before.
    scratch: Box<[u8]>,
    /// Buffer of the segment being sent.
    segment: Vec<u8>,
}

impl Stack {
    fn new(session: Session, doors: Doors, wire: Wire) -> io::Result<Stack> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(io::Error::other)?;
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| seed[at + i]));
        let poller = Poller::new()?;
        poller.add(doors.control.as_fd(), Token::Control, Interest::Read)?;
        poller.add(doors.connections.as_fd(), Token::Connections, Interest::Read)?;
        poller.add(doors.listeners.as_fd(), Token::Listeners, Interest::Read)?;
        let (v4, v6) = wire.descriptors();
        poller.add(v4, Token::WireV4, Interest::Read)?;
        if let Some(v6) = v6 {
            poller.add(v6, Token::WireV6, Interest::Read)?;
        }
        Ok(Stack {
            session,
            secret: inherited_secret()
                .unwrap_or(u128::from(number(0)) << 64 | u128::from(number(8))),
            began: Clock::now(),
            host: Host::new(number(16)),
            wire,
            poller,
            doors,
            spare: kernel::Spare::new(),
            endpoints: Endpoints::default(),
            clients: Clients::default(),
            lingering: HashMap::new(),
            next_id: number(24),
            stays: false,
            ends: false,
            idle_since: None,
            wire_is_busy: false,
            next_sweep: None,
            touched: Vec::new(),
            held: Vec::new(),
            release_at: None,
            scratch: vec![0; 2 * flow::MAX_PEEKED].into(),
            segment: Vec::with_capacity(1 << 16),
        })
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Runs until idle or told to end.
    fn serve(&mut self) -> io::Result<()> {
        let mut events = Vec::new();
        while !self.ends {
            let timeout = self.until_next_duty();
            self.poller.wait(timeout, &mut events)?;
            self.turn(&events);
        }
        Ok(())
    }

    fn turn(&mut self, events: &[(Token, Readiness)]) {
        let now = self.now();
        self.note_events(now, events);
        if self.clients.has_ready() {
            // On Linux's loopback a segment has arrived when the call that sent it returns: who
            // asks next, at the other end too, sees what it has done.
            self.exchange();
        }
        self.serve_clients(now);
        self.exchange();
        self.run_timers();
        self.watch_outboxes();
        self.keep_house();
    }

    fn note_events(&mut self, now: Instant, events: &[(Token, Readiness)]) {
        for &(token, readiness) in events {
            match token {
                Token::Control => self.admit_clients(),
                Token::Connections => self.take_plugs(now, Role::Connection),
                Token::Listeners => self.take_plugs(now, Role::Listener),
                Token::WireV4 => self.wire.note_arrival_v4(),
                Token::WireV6 => self.wire.note_arrival_v6(),
                Token::Client(index, generation) => {
                    self.clients.note_readiness(index, generation, readiness);
                }
                Token::Endpoint(index, generation) => {
                    if let Some(index) = self.endpoints.of_token(index, generation) {
                        self.note_readiness(index, readiness);
                        self.settle(now, index);
                    }
                }
            }
        }
    }

    /// Takes the next of those who wait at a door. Where that is impossible they are turned away,
    /// so that their programs get an error and do not hang.
    fn accept_at(&mut self, door: fn(&Doors) -> &OwnedFd) -> Option<(OwnedFd, kernel::Identity)> {
        loop {
            match kernel::accept(door(&self.doors).as_fd()) {
                Ok(taken) => return taken,
                Err(error) => {
                    tracing::error!(%error, "a program is turned away (see `ulimit -n`)");
                    if !self.spare.refuse(door(&self.doors).as_fd()) {
                        return None;
                    }
                }
            }
        }
    }

    /// Segments out, segments in, until both are quiet, or others must have their turn.
    fn exchange(&mut self) {
        self.wire_is_busy = true;
        for _ in 0..MAX_WIRE_ROUNDS {
            let now = self.now();
            let sent = self.send_burst(now);
            self.handle_host_events(now);
            let Stack { wire, host, .. } = self;
            let received = wire.receive(|from, to, payload| {
                host.handle_datagram(now, from, to, payload);
            });
            self.handle_host_events(now);
            if sent + received == 0 {
                self.wire_is_busy = false;
                return;
            }
        }
    }

    fn send_burst(&mut self, now: Instant) -> usize {
        let burst = self.wire.burst();
        for sent in 0..burst {
            let Some((from, to)) = self.host.poll_transmit(now, &mut self.segment) else {
                return sent;
            };
            self.wire.send(from, to, &self.segment);
        }
        burst
    }

    fn run_timers(&mut self) {
        let now = self.now();
        if self.host.poll_timeout().is_some_and(|at| at <= now) {
            self.host.handle_timeout(now);
            self.exchange();
        }
        self.release_due(now);
        let over: Vec<SocketId> =
            self.lingering.iter().filter(|(_, l)| l.until <= now).map(|(id, _)| *id).collect();
        for id in over {
            self.end_linger(id);
        }
    }

    /// Notes everything that the host tells, then acts on it: an urgent octet, say, must be known
    /// before the octets around it are handed over.
    fn handle_host_events(&mut self, now: Instant) {
        let mut touched = std::mem::take(&mut self.touched);
        while self.note_host_events(now, &mut touched) {
            for &index in &touched {
                self.settle(now, index);
            }
            touched.clear();
        }
        self.touched = touched;
    }

    /// Notes what the host tells and which endpoints it is about. False when it tells nothing.
    fn note_host_events(&mut self, now: Instant, touched: &mut Vec<u32>) -> bool {
        let mut told = false;
        while let Some(event) = self.host.poll_event() {
            told = true;
            let key = match event {
                HostEvent::Arrived { listener, child } => {
                    self.pass_to_program(now, listener, child);
                    continue;
                }
                HostEvent::Drained(key) => {
                    self.note_drained(key);
                    continue;
                }
                HostEvent::Gone(key) => {
                    self.note_drained(key);
                    self.forget(key);
                    continue;
                }
                HostEvent::Connected(key)
                | HostEvent::ConnectFailed(key, _)
                | HostEvent::Readable(key)
                | HostEvent::Writable(key)
                | HostEvent::PeerClosed(key)
                | HostEvent::Urgent(key, ..)
                | HostEvent::Failed(key, _) => key,
            };
            if let Some(index) = self.endpoints.by_key(key) {
                self.note_host_event(now, index, event);
                touched.push(index);
            }
        }
        told
    }

    fn note_host_event(&mut self, now: Instant, index: u32, event: HostEvent) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        match event {
            HostEvent::Connected(_) => {
                endpoint.connected = true;
                self.end_connect(now, index, Errno::EISCONN);
            }
            HostEvent::ConnectFailed(_, errno) => {
                if endpoint.connectors.is_empty() || endpoint.end.is_some() {
                    endpoint.output.failed = Some(errno);
                }
                self.end_connect(now, index, errno);
            }
            HostEvent::PeerClosed(_) => endpoint.output.peer_closed = true,
            HostEvent::Failed(_, errno) => endpoint.output.failed = Some(errno),
            HostEvent::Urgent(_, offset, _) => self.note_urgent(index, offset),
            _ => {}
        }
    }

    /// A connect() is over: who waits in it makes the call again, and hears what Linux says at
    /// that moment. Of several the first gets the outcome, the others `late`.
    fn end_connect(&mut self, now: Instant, index: u32, late: Errno) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        let key = endpoint.key;
        let mut waiting = std::mem::take(&mut endpoint.connectors).into_iter();
        if let Some((waiter, address)) = waiting.next() {
            let reply = match self.host.connect(now, key, address) {
                Ok(_) => Reply::Done,
                Err(errno) => Reply::Error(errno),
            };
            self.clients.reply(waiter, &reply);
        }
        for (waiter, _) in waiting {
            self.clients.reply(waiter, &Reply::Error(late));
        }
    }

    /// The program has closed the socket, or died.
    fn program_closed(&mut self, now: Instant, index: u32, how: Release) {
        let Some(endpoint) = self.endpoints.remove(index) else { return };
        if let Some(time) = self.host.linger(endpoint.key) {
            let lingering = Lingering { key: endpoint.key, until: now + time, waiter: None };
            self.lingering.insert(endpoint.id, lingering);
        }
        self.host.release(now, endpoint.key, how);
    }

    /// The host has forgotten a socket that the program still holds.
    fn forget(&mut self, key: SocketKey) {
        if let Some(index) = self.endpoints.by_key(key) {
            self.endpoints.remove(index);
        }
    }

    fn note_drained(&mut self, key: SocketKey) {
        let id = self.lingering.iter().find(|(_, l)| l.key == key).map(|(id, _)| *id);
        if let Some(id) = id {
            self.end_linger(id);
        }
    }

    fn end_linger(&mut self, id: SocketId) {
        if let Some(waiter) = self.lingering.remove(&id).and_then(|l| l.waiter) {
            self.clients.reply(waiter, &Reply::Done);
        }
    }

    /// Finds sockets that programs closed without the kernel telling us, and lets them go.
    fn sweep(&mut self, now: Instant) {
        let unwatched = self.endpoints.select(Endpoint::needs_sweep);
        self.next_sweep = (!unwatched.is_empty()).then_some(now + SWEEP_INTERVAL);
        for index in unwatched {
            let Some(endpoint) = self.endpoints.get(index) else { continue };
            let object = Object::App(endpoint.domain, endpoint.id);
            if !kernel::is_alive(&Name::new(&self.session, object)) {
                self.program_closed(now, index, Release::Graceful);
            }
        }
    }

    fn keep_house(&mut self) {
        let now = self.now();
        if self.next_sweep.is_some_and(|at| at <= now) {
            self.sweep(now);
            self.exchange();
        }
        let idle = !self.stays && self.clients.is_empty() && self.host.is_idle();
        match self.idle_since {
            _ if !idle => self.idle_since = None,
            None => self.idle_since = Some(now),
            Some(since) if now.since(since) >= IDLE_EXIT => {
                tracing::info!("idle for {IDLE_EXIT:?}: leaving");
                self.ends = true;
            }
            Some(_) => {}
        }
    }

    /// How long the poller may wait; `None`: for ever.
    fn until_next_duty(&self) -> Option<Duration> {
        if self.wire_is_busy || self.clients.has_ready() {
            return Some(Duration::ZERO);
        }
        let now = self.now();
        let idle = self.idle_since.map(|since| since + IDLE_EXIT);
        let linger = self.lingering.values().map(|l| l.until).min();
        [self.host.poll_timeout(), self.next_sweep, self.release_at, idle, linger]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.since(now))
    }

    /// There is a socket now whose closing the kernel will not tell us.
    fn sweep_soon(&mut self) {
        if self.next_sweep.is_none() {
            self.next_sweep = Some(self.now() + SWEEP_INTERVAL);
        }
    }

    /// A new identity for an accepted connection.
    fn new_id(&mut self) -> SocketId {
        // An odd multiplier walks all 2^64 values; the shims choose at random among as many.
        self.next_id = self.next_id.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        SocketId(self.next_id)
    }
}

/// The secret that the starting program gave its children before there was a stack.
fn inherited_secret() -> Option<u128> {
    let text = std::env::var(crate::ipc::names::SECRET_VARIABLE).ok()?;
    u128::from_str_radix(&text, 16).ok().filter(|secret| *secret != 0)
}

/// Which door a plug came through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Connection,
    Listener,
}

/// Why a connection that no program took is reset.
const NEVER_ACCEPTED: Release = Release::Abort(ResetReason::ListenerClosed);

/// The phase an endpoint has once its plug is read.
fn phase_after_plug(role: Role, filler_len: u32) -> Phase {
    match (role, filler_len) {
        (Role::Listener, _) => Phase::Listening,
        (Role::Connection, 0) => Phase::Open,
        (Role::Connection, _) => Phase::Connecting,
    }
}

/// What a failed kernel call means to a program.
fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::ENOBUFS, Errno)
}
