//! Octets between the program's end and the TCB, and the queue lengths (RFC 9293 3.10.2, 3.10.3).
//! A stale key has no room and nothing received.

use super::sockets::{Connection, Socket};
use super::{Host, SocketKey};
use crate::ipc::Errno;
use crate::tcp::State;
use crate::time::Instant;

impl Host {
    fn connection(&self, s: SocketKey) -> Option<&Connection> {
        self.sockets.find(s)?.connection()
    }

    fn connection_mut(&mut self, s: SocketKey) -> Option<&mut Connection> {
        self.sockets.find_mut(s)?.connection_mut()
    }

    /// Octets that the send buffer takes now. Where it takes none, [`super::HostEvent::Writable`]
    /// says when it does again.
    pub fn send_space(&mut self, s: SocketKey) -> usize {
        self.connection_mut(s).map_or(0, |connection| connection.tcb.send_space())
    }

    /// The program may still write: its end is not queued and the connection not over.
    pub fn accepts_sends(&self, s: SocketKey) -> bool {
        self.connection(s).is_some_and(|connection| connection.tcb.may_send())
    }

    /// Up to `max` free octets of the send buffer to read into; then [`Host::send_commit`].
    pub fn send_reserve(&mut self, s: SocketKey, max: usize) -> (&mut [u8], &mut [u8]) {
        match self.connection_mut(s) {
            Some(connection) => connection.tcb.send_reserve(max),
            None => (&mut [], &mut []),
        }
    }

    /// The program writes no more: there is room for all that it has written.
    pub fn take_rest(&mut self, s: SocketKey) {
        if let Some(connection) = self.connection_mut(s) {
            connection.tcb.take_rest();
        }
    }

    /// `len` octets of what [`Host::send_reserve`] gave were filled.
    pub fn send_commit(&mut self, now: Instant, s: SocketKey, len: usize) {
        if let Some(connection) = self.connection_mut(s) {
            connection.tcb.send_commit(now, len);
            self.settle(now, s);
        }
    }

    /// The octet last committed is urgent (MSG_OOB).
    pub fn mark_urgent(&mut self, now: Instant, s: SocketKey) {
        if let Some(connection) = self.connection_mut(s) {
            connection.tcb.mark_urgent(now);
            self.settle(now, s);
        }
    }

    /// In-order octets not yet handed to the program, in two halves.
    pub fn received(&self, s: SocketKey) -> (&[u8], &[u8]) {
        self.connection(s).map_or((&[], &[]), |connection| connection.tcb.received())
    }

    /// `len` of them were handed to the program.
    pub fn consume(&mut self, now: Instant, s: SocketKey, len: usize) {
        if let Some(connection) = self.connection_mut(s) {
            connection.tcb.consume(now, len);
            self.settle(now, s);
            self.drop_buffers_if_read(s);
        }
    }

    /// Octets handed over that the program has not read yet; they count against the window.
    pub fn set_unread(&mut self, now: Instant, s: SocketKey, octets: usize) {
        if let Some(connection) = self.connection_mut(s) {
            connection.tcb.set_unread(now, octets);
            self.settle(now, s);
        }
    }

    /// The window is so small that the program's reading should be watched.
    pub fn wants_read_progress(&self, s: SocketKey) -> bool {
        self.connection(s).is_some_and(|connection| connection.tcb.wants_read_progress())
    }

    /// (SIOCOUTQ, SIOCOUTQNSD), also of a connection that has ended, as on Linux. EINVAL: a listener.
    pub fn out_queue(&self, s: SocketKey) -> Result<(usize, usize), Errno> {
        let socket: &Socket = self.sockets.get(s)?;
        match (socket.state(), socket.connection()) {
            (State::Listen, _) => Err(Errno::EINVAL),
            (State::SynSent | State::SynReceived, _) => Ok((0, 0)),
            (State::Closed, _) | (_, None) => Ok(socket.left_behind),
            (_, Some(connection)) => {
                let queues = connection.tcb.queues();
                Ok((queues.send, queues.unsent))
            }
        }
    }
}
