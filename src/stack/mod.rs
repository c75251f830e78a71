//! The stack process: the one place with sockets, a clock and a process life.
//!
//! It plays the kernel for the programs of one session. Each of their TCP sockets is an `AF_UNIX`
//! socket whose other end is an `endpoint` here; octets go program -> endpoint -> TCB -> UDP
//! datagram -> TCB -> endpoint -> program. What a program asks (bind, connect, options) comes as
//! a request on the `control` channel.
//!
//! One thread, one loop. In each turn (`Stack::turn`), in this order:
//!
//! 1. what programs left word of (see `ring`), then what the kernel sockets tell: new plugs,
//!    octets, shutdowns, closes;
//! 2. requests on the control channel, one a client;
//! 3. the wire: segments out (through the [`link`](crate::link)), segments in, until both are
//!    quiet;
//! 4. timers;
//! 5. what has happened, to the commands that watch.
//!
//! The order of 1 and 2 is a promise: what one thread of a program did before a request (say
//! `close(a)` before `bind(b)`) is seen before the request is answered, and so are the segments
//! that it made.
//!
//! The process starts on demand (`start`), owns TIME-WAIT and orphans after the programs are
//! gone, and leaves when there is nothing left to own.

mod accepting;
mod clock;
mod commands;
mod control;
mod datagram;
mod endpoint;
mod flow;
mod kernel;
mod leaving;
mod linger;
mod link;
mod octets;
mod plugging;
mod poller;
mod recording;
mod refusals;
mod requests;
mod resources;
mod retired;
mod ring;
mod start;
mod timing;
mod usage;
mod watch;
mod wire;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::LazyLock;
/// A point in real time: the stack's own time is [`Instant`].
use std::time::Instant as RealTime;

use self::clock::Clock;
use self::control::Clients;
use self::endpoint::{Connector, Endpoint, Endpoints, Phase};
use self::leaving::Leavers;
use self::linger::Lingerers;
use self::poller::{Interest, Poller, Readiness, Token};
use self::recording::Recording;
use self::refusals::Refusals;
use self::retired::Retired;
use self::ring::CallRing;
use self::start::Doors;
use self::watch::Watchers;
use self::wire::Wire;
use crate::host::{Host, HostEvent, SocketKey};
use crate::ipc::message::Reply;
use crate::ipc::names::{Name, Object, Session};
use crate::ipc::{Errno, SocketId};
use crate::link::Link;
use crate::tcp::{Release, ResetReason};
use crate::time::{Duration, Instant};
use crate::trace::{End, Fate};

pub use self::start::{StartError, run};

/// How often sockets are looked for that programs closed without the kernel telling us.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Rounds of sending and receiving in one turn, so that one busy connection cannot keep the
/// stack from looking at the others.
const MAX_WIRE_ROUNDS: u32 = 64;

/// The stack of one session.
pub(crate) struct Stack {
    session: Session,
    secret: u128,
    began: RealTime,
    clock: Clock,
    recording: Recording,
    calls: CallRing,
    host: Host,
    link: Link,
    wire: Wire,
    poller: Poller,
    doors: Doors,
    spare: kernel::Spare,
    endpoints: Endpoints,
    clients: Clients,
    watchers: Watchers,
    lingering: Lingerers,
    leavers: Leavers,
    refusals: Refusals,
    retired: Retired,
    /// Its mark in the identities of its sockets.
    mark: u16,
    next_id: u64,
    /// Stays when idle.
    stays: bool,
    /// Ends after this turn.
    ends: bool,
    idle_since: Option<RealTime>,
    /// The wire was not quiet when the last exchange ended.
    wire_is_busy: bool,
    /// There are sockets whose closing the kernel does not tell: look at this time.
    next_sweep: Option<RealTime>,
    /// Endpoints that the host told something of.
    touched: Vec<u32>,
    /// Endpoints of whose programs octets are held, and when these are released.
    held: Vec<(u32, u32)>,
    release_at: Option<RealTime>,
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
        let began = RealTime::now();
        LazyLock::force(&flow::MAX_HELD);
        let poller = Poller::new()?;
        poller.add(doors.control.as_fd(), Token::Control, Interest::Read)?;
        poller.add(doors.connections.as_fd(), Token::Connections, Interest::Read)?;
        poller.add(doors.listeners.as_fd(), Token::Listeners, Interest::Read)?;
        poller.add(doors.watch.as_fd(), Token::Watch, Interest::Read)?;
        let (v4, v6) = wire.descriptors();
        poller.add(v4, Token::WireV4, Interest::Read)?;
        if let Some(v6) = v6 {
            poller.add(v6, Token::WireV6, Interest::Read)?;
        }
        Ok(Stack {
            session,
            secret: inherited_secret()
                .unwrap_or(u128::from(number(0)) << 64 | u128::from(number(8))),
            began,
            recording: Recording::new(began),
            calls: CallRing::new(began),
            clock: Clock::new(began),
            host: Host::new(number(16)),
            // What the link does is no secret, so it may share a number.
            link: Link::new(number(24)),
            wire,
            poller,
            doors,
            spare: kernel::Spare::new(),
            endpoints: Endpoints::default(),
            clients: Clients::default(),
            watchers: Watchers::default(),
            lingering: Lingerers::default(),
            leavers: Leavers::default(),
            refusals: Refusals::default(),
            retired: Retired::default(),
            mark: (number(24) >> 48) as u16 | 1,
            next_id: number(24),
            stays: false,
            ends: false,
            idle_since: None,
            wire_is_busy: false,
            next_sweep: None,
            touched: Vec::new(),
            held: Vec::new(),
            release_at: None,
            scratch: vec![0; flow::SCRATCH_LEN].into(),
            segment: Vec::with_capacity(1 << 16),
        })
    }

    /// Runs until idle or told to end.
    fn serve(&mut self) -> io::Result<()> {
        let mut events = Vec::new();
        while !self.ends {
            let timeout = self.until_next_duty();
            self.poller.wait(timeout, &mut events, || self.retired.close_one())?;
            self.turn(&events);
        }
        Ok(())
    }

    fn turn(&mut self, events: &[(Token, Readiness)]) {
        let now = self.now();
        self.hear(now, events);
        if self.clients.has_ready() {
            // On Linux's loopback a segment has arrived when the call that sent it returns: who
            // asks next, at the other end too, sees what it has done.
            self.exchange();
        }
        self.serve_clients();
        self.exchange();
        self.run_timers();
        self.watch_outboxes();
        self.keep_house();
        let now = self.now();
        self.serve_watchers(now);
    }

    /// What programs did: the calls they left word of, then what the kernel sockets tell.
    fn hear(&mut self, now: Instant, events: &[(Token, Readiness)]) {
        self.hear_calls(now);
        self.note_events(now, events);
        if self.calls.has_failed_accepts() {
            let mut since = Vec::new();
            if let Err(error) = self.poller.look(&mut since) {
                tracing::error!(%error, "cannot look at the sockets");
            }
            self.note_events(now, &since);
            self.record_failed_accepts(now);
            self.hear_calls(now);
        }
    }

    fn note_events(&mut self, now: Instant, events: &[(Token, Readiness)]) {
        for &(token, readiness) in events {
            match token {
                Token::Control => self.admit_clients(),
                Token::Connections => self.take_plugs(now, Role::Connection),
                Token::Listeners => self.take_plugs(now, Role::Listener),
                Token::Watch => self.admit_watchers(),
                Token::Watcher(index, generation) => {
                    self.note_watcher(now, index, generation, readiness);
                }
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
                Err(_) if self.retired.close_one() => {}
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
            if self.exchange_once() == 0 {
                self.wire_is_busy = false;
                return;
            }
        }
    }

    /// What is to be sent now, and what has arrived by then; how many segments that was.
    fn exchange_once(&mut self) -> usize {
        let now = self.now();
        let sent = self.send_burst(now);
        self.handle_host_events(now);
        let Stack { wire, host, recording, .. } = self;
        let received = wire.receive(|from, to, payload| {
            recording.note_arrived(now, from, to, payload);
            host.handle_datagram(now, from, to, payload);
        });
        self.handle_host_events(now);
        sent + received
    }

    fn send_burst(&mut self, now: Instant) -> usize {
        // What made the segments comes before them.
        self.record_notes(now);
        let burst = self.wire.burst();
        let mut sent = 0;
        loop {
            sent += self.send_due(now, burst - sent);
            if sent == burst {
                return sent;
            }
            let Some(segment) = self.host.poll_transmit(now, &mut self.segment) else {
                return sent;
            };
            sent += 1;
            if !self.link.is_transparent() {
                self.send_through_link(now, &segment);
                continue;
            }
            let serial = self.recording.note_sent(now, &segment, &self.segment, Fate::Passed);
            self.recording.note_under_way(segment.to, serial, &self.segment);
            self.wire.send(segment.from, segment.to, &self.segment);
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
        self.record_notes(now);
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
                    self.forget(now, key);
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
                // Also where somebody waits: he may be interrupted before he hears of it.
                endpoint.output.failed = Some(errno);
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
        let end = self.end_of(key);
        let first = waiting.next();
        if let Some(connector) = first {
            // Another thread may have closed the socket meanwhile.
            self.sweep_soon();
            let outcome = self.host.connect(now, key, connector.address).map(|_| ());
            self.answer_connect(now, end, connector, outcome);
        }
        for connector in waiting {
            self.answer_connect(now, end, connector, Err(late));
        }
    }

    /// Ends the calls of connect() that wait with this errno.
    fn give_up_connect(&mut self, now: Instant, index: u32, errno: Errno) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        let (key, waiting) = (endpoint.key, std::mem::take(&mut endpoint.connectors));
        let end = self.end_of(key);
        for connector in waiting {
            // Another thread may have closed the socket meanwhile.
            self.sweep_soon();
            self.answer_connect(now, end, connector, Err(errno));
        }
    }

    fn answer_connect(
        &mut self,
        now: Instant,
        end: End,
        connector: Connector,
        outcome: Result<(), Errno>,
    ) {
        self.record_connect(now, end, &connector, outcome);
        let reply = match outcome {
            Ok(()) => Reply::Done,
            Err(errno) => Reply::Error(errno),
        };
        self.clients.reply(connector.waiter, &reply);
    }

    /// The program has closed the socket, or died.
    fn program_closed(&mut self, now: Instant, index: u32, how: Release) {
        self.give_up_connect(now, index, Errno::ECONNABORTED);
        let Some(endpoint) = self.endpoints.get(index) else { return };
        let (id, end, caller) = (endpoint.id, self.end_of(endpoint.key), endpoint.caller);
        self.record_close(now, id, end, caller);
        let Some(mut endpoint) = self.endpoints.remove(index) else { return };
        if let Some(end) = endpoint.end.take() {
            self.retired.add(end);
        }
        if let Some(time) = self.host.linger(endpoint.key) {
            self.lingering.insert(endpoint.id, endpoint.key, now + time);
        }
        self.host.release(now, endpoint.key, how);
    }

    /// The host has forgotten a socket that the program still holds.
    fn forget(&mut self, now: Instant, key: SocketKey) {
        if let Some(index) = self.endpoints.by_key(key) {
            self.give_up_connect(now, index, Errno::ECONNABORTED);
            self.endpoints.remove(index);
        }
    }

    /// Finds sockets that programs closed without the kernel telling us, and lets them go.
    fn sweep(&mut self, now: Instant) {
        let unwatched = self.endpoints.select(Endpoint::needs_sweep);
        self.next_sweep = (!unwatched.is_empty()).then(|| RealTime::now() + SWEEP_INTERVAL);
        for index in unwatched {
            let Some(endpoint) = self.endpoints.get(index) else { continue };
            let object = Object::App(endpoint.domain, endpoint.id);
            if !kernel::is_alive(&Name::new(&self.session, object)) {
                self.program_closed(now, index, Release::Graceful);
            }
        }
    }

    /// A new identity for an accepted connection.
    fn new_id(&mut self) -> SocketId {
        // An odd multiplier walks all 2^48 numbers; the shims choose at random among as many.
        self.next_id = self.next_id.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        SocketId::new(self.mark, self.next_id)
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
