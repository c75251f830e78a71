//! Passive OPEN: `listen()`, the SYN queue and the accept queue (Linux: inet_csk_listen_start,
//! tcp_conn_request, tcp_check_req, inet_csk_listen_stop).
//!
//! A SYN makes a child with a TCB of its own in the SYN queue; the ACK of its SYN+ACK moves it to
//! the accept queue, where it waits for `accept()`, and only then it holds the port. A full accept
//! queue drops SYNs, and also that ACK: the child then goes on sending its SYN+ACK, as on Linux.
//!
//! No SYN cookies: where Linux would send them (`tcp_syncookies` is 1), the SYN queue grows up to
//! `tcp_max_syn_backlog`, so that the handshake succeeds all the same.

use super::counters::Counter;
use super::notes::Noted;
use super::ports::{ClaimedBy, Owner, PortClaim, Rule};
use super::sockets::{Connection, Listener, Phase, Place, Role, Socket};
use super::sysctl::Key;
use super::{Host, HostEvent, SocketKey};
use crate::ipc::Errno;
use crate::tcp::{Cause, Dropped, FourTuple, Release, ResetReason, State, Tcb, timestamp_offset};
use crate::time::Instant;
use crate::wire::{Segment, SeqNum};

/// What becomes of a segment for a child in the SYN queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gate {
    /// The TCB gets it.
    Open,
    /// Nobody gets it.
    Drop,
    /// The child is reset (tcp_abort_on_overflow).
    Reset,
}

impl Listener {
    /// Linux: one more than the backlog fits, so that `listen(0)` accepts one connection.
    pub(super) fn accept_queue_is_full(&self) -> bool {
        self.accept_queue.len() > self.backlog
    }
}

impl Host {
    /// `listen()`. EINVAL: connected or connecting; EADDRINUSE: somebody else listens, or no port
    /// is free. An unbound socket gets a port. Again on a listener: only the backlog changes.
    pub fn listen(&mut self, now: Instant, s: SocketKey, backlog: i32) -> Result<(), Errno> {
        let somaxconn = self.sysctls.number(Key::Somaxconn) as usize;
        // A negative backlog is a very large one.
        let backlog = usize::try_from(backlog).map_or(somaxconn, |asked| asked.min(somaxconn));
        let socket = self.sockets.get_mut(s)?;
        if socket.phase != Phase::Unconnected {
            return Err(Errno::EINVAL);
        }
        match socket.state() {
            State::Listen => {
                if let Some(listener) = socket.listener_mut() {
                    listener.backlog = backlog;
                }
                Ok(())
            }
            State::Closed => {
                socket.role = Role::Listening(Listener { backlog, ..Listener::default() });
                self.start_listening(now, s)
            }
            _ => Err(Errno::EINVAL),
        }
    }

    /// The socket is a listener from here on, so that the bind rules treat it as one.
    fn start_listening(&mut self, now: Instant, s: SocketKey) -> Result<(), Errno> {
        let claimed = self.sockets.get(s)?.claim;
        let port = match claimed {
            Some(claim) => self.may_have(s, claim.port, Rule::Named).then_some(claim.port),
            None => self.find_open_port(s),
        };
        let socket = self.sockets.get_mut(s)?;
        let Some(port) = port else {
            socket.role = Role::Idle;
            return Err(Errno::EADDRINUSE);
        };
        socket.since = now;
        self.note_listening(s, State::Closed, State::Listen, Cause::Listen);
        if claimed.is_none() {
            self.claim(s, PortClaim { port, by: ClaimedBy::Bind });
        }
        self.demux.add_listener(port, s);
        Ok(())
    }

    /// A SYN that `arrives_in_listen` let pass. `iss_floor`: it takes over a TIME-WAIT.
    pub(super) fn open_child(
        &mut self,
        now: Instant,
        listener_key: SocketKey,
        tuple: FourTuple,
        segment: &Segment<'_>,
        iss_floor: Option<SeqNum>,
    ) {
        let Some(parent) = self.sockets.find(listener_key) else { return };
        let Some(listener) = parent.listener() else { return };
        if listener.accept_queue_is_full() {
            self.counters.count(Counter::ListenOverflows);
            self.counters.count(Counter::ListenDrops);
            return self.note_drop(&tuple, segment, Dropped::AcceptQueueFull);
        }
        if listener.syn_queue.len() >= self.syn_queue_limit(listener) {
            self.counters.count(Counter::ReqQFullDrop);
            self.counters.count(Counter::ListenDrops);
            return self.note_drop(&tuple, segment, Dropped::SynQueueFull);
        }
        let config = parent.options.config(&self.sysctls, tuple.remote.ip());
        let mut child = Socket::new(now, parent.domain, parent.uid, parent.options.clone());
        let iss = self.initial_sequence(now, &tuple, iss_floor);
        let ts_offset = timestamp_offset(&tuple, &self.secret);
        let tcb = Tcb::accept(now, config, tuple, iss, ts_offset, segment);
        child.local_ip = tuple.local.ip();
        child.local_port = tuple.local.port();
        child.phase = Phase::Connected;
        child.role =
            Role::Connection(Box::new(Connection::new(tcb, Place::SynQueue(listener_key))));
        let Ok(key) = self.sockets.insert(child) else {
            self.counters.count(Counter::ListenDrops);
            return;
        };
        if let Some(listener) = self.listener_mut(listener_key) {
            listener.syn_queue.insert(key);
        }
        self.demux.insert(tuple, Owner::Socket(key));
        self.settle(now, key);
    }

    fn syn_queue_limit(&self, listener: &Listener) -> usize {
        let most = self.sysctls.number(Key::MaxSynBacklog) as usize;
        match self.sysctls.is_on(Key::Syncookies) {
            true => most,
            // The last quarter is kept for destinations proven to be alive; here there are none.
            false => (listener.backlog + 1).min((most - most / 4).max(1)),
        }
    }

    pub(super) fn listener_mut(&mut self, key: SocketKey) -> Option<&mut Listener> {
        self.sockets.find_mut(key).and_then(Socket::listener_mut)
    }

    /// Judges a segment for a child in SYN-RECEIVED: whether the handshake may end now.
    pub(super) fn gate(
        &mut self,
        now: Instant,
        parent: SocketKey,
        child: SocketKey,
        segment: &Segment<'_>,
    ) -> Gate {
        let flags = segment.header.flags;
        let Some(child) = self.sockets.find(child).and_then(Socket::connection) else {
            return Gate::Open;
        };
        let Some(parent) = self.sockets.find(parent) else { return Gate::Open };
        let Some(listener) = parent.listener() else { return Gate::Open };
        let (iss, _) = child.tcb.initial_sequence_numbers();
        let ends_handshake =
            flags.ack() && !flags.rst() && !flags.syn() && segment.header.ack == iss.add(1);
        if !ends_handshake {
            return Gate::Open;
        }
        let waited = child.tcb.info(now).retransmits;
        let bare = segment.payload.is_empty() && !flags.fin();
        if bare && waited < u32::from(parent.options.defer_accept) {
            self.counters.count(Counter::DeferAcceptDrop);
            return Gate::Drop;
        }
        if !listener.accept_queue_is_full() {
            return Gate::Open;
        }
        self.counters.count(Counter::ListenOverflows);
        self.counters.count(Counter::ListenDrops);
        if self.sysctls.is_on(Key::AbortOnOverflow) { Gate::Reset } else { Gate::Drop }
    }

    /// The child's handshake is finished.
    pub(super) fn child_arrived(&mut self, listener_key: SocketKey, child: SocketKey) {
        let Some(listener) = self.listener_mut(listener_key) else { return };
        listener.syn_queue.remove(&child);
        listener.accept_queue.insert(child);
        self.counters.count(Counter::PassiveOpens);
        if let Some(socket) = self.sockets.find_mut(child) {
            let port = socket.local_port;
            if let Some(connection) = socket.connection_mut() {
                connection.place = Place::AcceptQueue(listener_key);
            }
            self.claim(child, PortClaim { port, by: ClaimedBy::Bind });
        }
        self.events.push_back(HostEvent::Arrived { listener: listener_key, child });
    }

    /// The program took the child off the accept queue.
    pub fn accepted(&mut self, now: Instant, child: SocketKey) {
        let _ = now;
        let Some(connection) = self.sockets.find_mut(child).and_then(Socket::connection_mut) else {
            return;
        };
        if let Place::AcceptQueue(listener) = connection.place {
            connection.place = Place::Program;
            if let Some(listener) = self.listener_mut(listener) {
                listener.accept_queue.remove(&child);
            }
        }
        self.drop_buffers_if_read(child);
    }

    /// Ends a listener: half-open children are forgotten in silence (their peers' next segment
    /// meets nobody and is reset), those that nobody accepted are reset.
    pub(super) fn stop_listening(&mut self, now: Instant, s: SocketKey) {
        let Some(socket) = self.sockets.find_mut(s) else { return };
        let port = socket.local_port;
        let Role::Listening(listener) = core::mem::replace(&mut socket.role, Role::Idle) else {
            return;
        };
        self.demux.remove_listener(port, s);
        self.note_listening(s, State::Listen, State::Closed, Cause::Close);
        for child in listener.syn_queue {
            self.forget_half_open(child);
        }
        for child in listener.accept_queue {
            self.release(now, child, Release::Abort(ResetReason::ListenerClosed));
        }
    }

    fn note_listening(&mut self, s: SocketKey, from: State, to: State, cause: Cause) {
        self.note(s, Noted::State { from, to, cause, reset: None });
    }

    /// A half-open child nobody was told of.
    pub(super) fn forget_half_open(&mut self, child: SocketKey) {
        let Some(mut socket) = self.sockets.remove(child) else { return };
        if let Some(connection) = socket.connection_mut() {
            let tuple = connection.tcb.tuple();
            self.demux.remove(&tuple, Owner::Socket(child));
            self.timers.forget(child, &mut connection.deadline);
            let (from, to, cause) = (connection.tcb.state(), State::Closed, Cause::Abort);
            let reset = Some(ResetReason::ListenerClosed);
            self.note_of_tuple(&tuple, Noted::State { from, to, cause, reset });
        }
    }
}
