//! Ways out: `shutdown()`, `connect(AF_UNSPEC)`, the last `close()`, and the orphans it leaves
//! (RFC 9293 3.10.4 and 3.10.5; Linux: inet_shutdown, tcp_disconnect, __tcp_close).

use super::address::wildcard;
use super::counters::Counter;
use super::sockets::{Phase, Place, Role, Socket};
use super::sysctl::Key;
use super::{Host, HostEvent, SocketKey};
use crate::ipc::Errno;
use crate::ipc::message::How;
use crate::tcp::{Release, ResetReason, State};
use crate::time::{Duration, Instant};

impl Host {
    /// `shutdown()`. A listener whose reading side is shut down stops listening and keeps its
    /// binding; a connection in SYN-SENT is given up. ENOTCONN where there is no connection (any
    /// more).
    pub fn shutdown(&mut self, now: Instant, s: SocketKey, how: How) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(s)?;
        let state = socket.state();
        if socket.phase == Phase::Connecting {
            let unfinished = matches!(state, State::SynSent | State::SynReceived | State::Closed);
            socket.phase = if unfinished { Phase::Disconnecting } else { Phase::Connected };
        }
        match state {
            State::Closed => return Err(Errno::ENOTCONN),
            State::Listen if how == How::Write => return Ok(()),
            State::Listen | State::SynSent => return self.disconnect(now, s),
            _ => {}
        }
        if let Some(connection) = socket.connection_mut() {
            if how != How::Write {
                connection.tcb.shutdown_read();
            }
            // Linux sends no FIN from SYN-RECEIVED here.
            if how != How::Read && state != State::SynReceived {
                connection.tcb.shutdown_write(now);
            }
        }
        self.settle(now, s);
        Ok(())
    }

    /// `connect(AF_UNSPEC)`, and what Linux does with a socket whose connect() failed: back to
    /// unconnected. A port or address that bind() named stays; one that the host chose goes, but
    /// getsockname() keeps showing the port.
    pub fn disconnect(&mut self, now: Instant, s: SocketKey) -> Result<(), Errno> {
        match self.sockets.get(s)?.state() {
            State::Closed => {}
            State::Listen => self.stop_listening(now, s),
            state => {
                self.abort(now, s);
                if matches!(
                    state,
                    State::SynSent
                        | State::SynReceived
                        | State::Established
                        | State::CloseWait
                        | State::FinWait1
                        | State::FinWait2
                ) {
                    self.sockets.get_mut(s)?.error = Some(Errno::ECONNRESET);
                }
            }
        }
        let socket = self.sockets.get_mut(s)?;
        socket.role = Role::Idle;
        socket.phase = Phase::Unconnected;
        socket.left_behind = (0, 0);
        socket.since = now;
        if !socket.address_locked {
            socket.local_ip = wildcard(socket.domain);
        }
        if !socket.port_locked {
            self.unclaim(s);
        }
        Ok(())
    }

    /// ABORT of a connection whose program stays: RST where the peer knows it, no events for the
    /// program, which did this itself.
    fn abort(&mut self, now: Instant, s: SocketKey) {
        let told = self.events.len();
        if let Some(connection) = self.sockets.find_mut(s).and_then(Socket::connection_mut) {
            connection.tcb.release(now, Release::Abort(ResetReason::Aborted));
        }
        self.settle(now, s);
        self.events.truncate(told);
    }

    /// The last descriptor is closed. Graceful becomes a RST when SO_LINGER is {1,0}. For a
    /// listener: its children that nobody accepted are reset.
    pub fn release(&mut self, now: Instant, s: SocketKey, how: Release) {
        let Some(socket) = self.sockets.find_mut(s) else { return };
        let zero = socket.options.linger.on && socket.options.linger.seconds == 0;
        let how = match how {
            Release::Graceful if zero => Release::Abort(ResetReason::LingerZero),
            how => how,
        };
        match &mut socket.role {
            Role::Idle => self.remove(s),
            Role::Listening(_) => {
                self.stop_listening(now, s);
                self.remove(s);
            }
            Role::Connection(connection) => {
                let place = core::mem::replace(&mut connection.place, Place::Orphan);
                let over = connection.over;
                match place {
                    Place::Orphan => return,
                    Place::AcceptQueue(listener) => {
                        if let Some(listener) = self.listener_mut(listener) {
                            listener.accept_queue.remove(&s);
                        }
                    }
                    Place::Program | Place::SynQueue(_) => {}
                }
                self.orphans += 1;
                if over { self.remove(s) } else { self.release_connection(now, s, how) }
            }
        }
    }

    fn release_connection(&mut self, now: Instant, s: SocketKey, how: Release) {
        let too_many = self.orphans > self.sysctls.number(Key::MaxOrphans) as usize;
        let how = match how {
            Release::Graceful if too_many => {
                self.counters.count(Counter::AbortOnMemory);
                tracing::warn!(target: "tcplab::host", "too many orphaned sockets");
                Release::Abort(ResetReason::TooManyOrphans)
            }
            how => how,
        };
        if let Some(connection) = self.sockets.find_mut(s).and_then(Socket::connection_mut) {
            connection.tcb.release(now, how);
        }
        self.settle(now, s);
    }

    /// Forgets the socket.
    pub(super) fn remove(&mut self, s: SocketKey) {
        self.unclaim(s);
        let Some(mut socket) = self.sockets.remove(s) else { return };
        if let Some(connection) = socket.connection_mut() {
            self.timers.forget(s, &mut connection.deadline);
            if connection.place == Place::Orphan {
                self.orphans -= 1;
            }
        }
        self.events.push_back(HostEvent::Gone(s));
    }

    /// How long `close()` waits: the SO_LINGER time while something, FIN included, is not
    /// acknowledged. `None`: it does not wait.
    pub fn linger(&self, s: SocketKey) -> Option<Duration> {
        let socket = self.sockets.find(s)?;
        let linger = socket.options.linger;
        let seconds = u64::try_from(linger.seconds).ok().filter(|s| linger.on && *s > 0)?;
        let tcb = &socket.connection().filter(|connection| !connection.over)?.tcb;
        let closing = matches!(tcb.state(), State::FinWait1 | State::Closing | State::LastAck);
        (closing || tcb.queues().send > 0).then(|| Duration::from_secs(seconds))
    }
}
