//! What a TCB tells the host, what of it the program is told, and the end of a connection.

use super::counters::Counter;
use super::notes::Noted;
use super::ports::{ClaimedBy, Owner, PortClaim};
use super::sockets::{Connection, Place, Role, Socket};
use super::sysctl::Key;
use super::time_wait::{Entry, TimeWaitId};
use super::{Host, HostEvent, SocketKey};
use crate::inspect::Side;
use crate::tcp::{Cause, Event, ResetReason, State, Tcb, TimeWait, Timer};
use crate::time::Instant;

impl Connection {
    pub(super) fn new(tcb: Tcb, place: Place) -> Connection {
        Connection { tcb, place, queued: false, deadline: None, over: false, established: false }
    }
}

impl Host {
    /// After everything that was done to a TCB: takes its events, has it asked for segments, and
    /// sets its deadline.
    pub(super) fn settle(&mut self, now: Instant, s: SocketKey) {
        while let Some(event) = self.next_event(s) {
            self.on_event(now, s, event);
        }
        let Some(connection) = self.sockets.find_mut(s).and_then(Socket::connection_mut) else {
            return;
        };
        if connection.over {
            return;
        }
        if !connection.queued {
            connection.queued = true;
            self.ring.push_back(s);
        }
        let wanted = connection.tcb.poll_timeout();
        self.timers.set(s, &mut connection.deadline, wanted);
    }

    fn next_event(&mut self, s: SocketKey) -> Option<Event> {
        self.sockets.find_mut(s)?.connection_mut()?.tcb.poll_event()
    }

    fn on_event(&mut self, now: Instant, s: SocketKey, event: Event) {
        let Some(place) = self.sockets.find(s).and_then(Socket::connection).map(|c| c.place) else {
            return;
        };
        let held = matches!(place, Place::Program | Place::AcceptQueue(_));
        match event {
            Event::State { from, to, cause } => {
                self.note(s, Noted::State { from, to, cause, reset: None });
                self.on_state(now, s, from, to);
            }
            Event::Timer(timer, count) => self.note(s, Noted::Timer(timer, count)),
            Event::Dropped { flags, seq, text_len, why } => {
                self.note(s, Noted::Dropped { flags, seq: seq.0, text_len, why });
            }
            Event::Established => self.on_established(s, place),
            Event::Failed { errno, reason } => {
                self.note_reason(s, reason);
                if reason == ResetReason::Timeout {
                    self.counters.count(Counter::AbortOnTimeout);
                }
                self.on_failed(s, errno, reason, place);
            }
            Event::FinAcked => self.events.push_back(HostEvent::Drained(s)),
            Event::Closed => self.finish(now, s),
            _ if !held => {}
            Event::Readable => self.events.push_back(HostEvent::Readable(s)),
            Event::Writable => self.events.push_back(HostEvent::Writable(s)),
            Event::PeerClosed => self.events.push_back(HostEvent::PeerClosed(s)),
            Event::Urgent { offset, octet } => {
                self.events.push_back(HostEvent::Urgent(s, offset, octet));
            }
        }
    }

    fn on_state(&mut self, now: Instant, s: SocketKey, from: State, to: State) {
        match (from, to) {
            (State::SynSent | State::SynReceived, State::Closed) => {
                self.counters.count(Counter::AttemptFails);
            }
            (State::Established | State::CloseWait, State::Closed) => {
                self.counters.count(Counter::EstabResets);
            }
            _ => {}
        }
        let Some(socket) = self.sockets.find_mut(s) else { return };
        socket.since = now;
        let first = match to {
            State::FinWait1 => Some(Side::Local),
            State::CloseWait => Some(Side::Peer),
            _ => None,
        };
        socket.closed_first = socket.closed_first.or(first);
    }

    fn on_established(&mut self, s: SocketKey, place: Place) {
        if let Some(connection) = self.sockets.find_mut(s).and_then(Socket::connection_mut) {
            connection.established = true;
        }
        match place {
            Place::SynQueue(listener) => self.child_arrived(listener, s),
            Place::Program => self.events.push_back(HostEvent::Connected(s)),
            Place::AcceptQueue(_) | Place::Orphan => {}
        }
    }

    fn on_failed(
        &mut self,
        s: SocketKey,
        errno: crate::ipc::Errno,
        reason: ResetReason,
        place: Place,
    ) {
        let Some(socket) = self.sockets.find_mut(s) else { return };
        socket.reset = Some(reason);
        let established = socket.connection().is_some_and(|connection| connection.established);
        match place {
            Place::SynQueue(_) if reason == ResetReason::Peer => {
                self.counters.count(Counter::EmbryonicRsts);
            }
            Place::SynQueue(_) | Place::Orphan => {}
            Place::Program | Place::AcceptQueue(_) => {
                socket.error = Some(errno);
                self.events.push_back(match established {
                    true => HostEvent::Failed(s, errno),
                    false => HostEvent::ConnectFailed(s, errno),
                });
            }
        }
    }

    /// The TCB has nothing more to do: its last segments go out without it, TIME-WAIT goes to the
    /// table, the 4-tuple and a port that bind() did not name are free. The socket stays while a
    /// program holds it.
    fn finish(&mut self, now: Instant, s: SocketKey) {
        self.flush(now, s);
        let Some(connection) = self.sockets.find_mut(s).and_then(Socket::connection_mut) else {
            return;
        };
        if core::mem::replace(&mut connection.over, true) {
            return;
        }
        let place = connection.place;
        let retransmissions = connection.tcb.info(now).total_retrans;
        self.counters.add(Counter::RetransSegs, retransmissions.into());
        let time_wait = connection.tcb.time_wait();
        let queues = connection.tcb.queues();
        self.timers.forget(s, &mut connection.deadline);
        self.demux.remove(&connection.tcb.tuple(), Owner::Socket(s));
        if let Some(time_wait) = time_wait {
            self.enter_time_wait(now, s, time_wait);
        }
        if let Some(socket) = self.sockets.find_mut(s) {
            socket.left_behind = (queues.send, queues.unsent);
        }
        match place {
            Place::SynQueue(listener) => {
                if let Some(listener) = self.listener_mut(listener) {
                    listener.syn_queue.remove(&s);
                }
                self.sockets.remove(s);
            }
            Place::Orphan => {
                self.events.push_back(HostEvent::Drained(s));
                self.remove(s);
            }
            Place::AcceptQueue(_) | Place::Program => {
                if self.sockets.find(s).is_some_and(|socket| !socket.port_locked) {
                    self.unclaim(s);
                }
                self.events.push_back(HostEvent::Drained(s));
                self.drop_buffers_if_read(s);
            }
        }
    }

    /// A dead connection is kept for the octets that its program has not had yet.
    pub(super) fn drop_buffers_if_read(&mut self, s: SocketKey) {
        let Some(socket) = self.sockets.find_mut(s) else { return };
        let Some(connection) = socket.connection() else { return };
        let (a, b) = connection.tcb.received();
        if connection.over && connection.place == Place::Program && a.is_empty() && b.is_empty() {
            socket.role = Role::Idle;
        }
    }

    fn enter_time_wait(&mut self, now: Instant, s: SocketKey, time_wait: TimeWait) {
        let tuple = time_wait.tuple();
        if time_wait.expires() <= now {
            return self.note_time_wait_over(&tuple, Cause::Timer(Timer::TimeWait));
        }
        if self.time_waits.len() >= self.sysctls.number(Key::MaxTwBuckets) as usize {
            self.counters.count(Counter::TimeWaitOverflow);
            tracing::warn!(target: "tcplab::host", "time wait bucket table overflow");
            return self.note_time_wait_over(&tuple, Cause::Abort);
        }
        let Some(socket) = self.sockets.find(s) else { return };
        let port = tuple.local.port();
        let claim = socket.claim.unwrap_or(PortClaim { port, by: ClaimedBy::Bind });
        let id = self.time_waits.insert(Entry {
            time_wait,
            domain: socket.domain,
            uid: socket.uid,
            local_ip: socket.local_ip,
            v6only: socket.options.v6only,
            reuse_address: socket.options.reuse_address,
            reuse_port: socket.options.reuse_port,
            claim,
            since: now,
            closed_first: socket.closed_first,
            reset: socket.reset,
        });
        self.ports.insert(Owner::TimeWait(id), claim);
        self.demux.insert(tuple, Owner::TimeWait(id));
    }

    /// The 4-tuple and the port are free; not a segment is sent.
    pub(super) fn remove_time_wait(&mut self, id: TimeWaitId, cause: Cause) {
        if let Some(entry) = self.time_waits.remove(id) {
            self.note_time_wait_over(&entry.time_wait.tuple(), cause);
            self.ports.remove(Owner::TimeWait(id), entry.claim);
            self.demux.remove(&entry.time_wait.tuple(), Owner::TimeWait(id));
        }
    }

    /// When [`Host::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.timers.first(), self.time_waits.first_deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Every deadline up to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(s) = self.timers.take_due(now) {
            let Some(connection) = self.sockets.find_mut(s).and_then(Socket::connection_mut) else {
                continue;
            };
            connection.deadline = None;
            if connection.tcb.poll_timeout().is_some_and(|at| at <= now) {
                connection.tcb.handle_timeout(now);
            }
            self.settle(now, s);
        }
        while let Some(id) = self.time_waits.due(now) {
            self.counters.count(Counter::TimeWaited);
            self.remove_time_wait(id, Cause::Timer(Timer::TimeWait));
        }
    }
}
