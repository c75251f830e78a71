//! Connections on their way to a listening program: a kernel socket pair for each, its one end
//! sent over the listening socket.

use std::os::fd::{AsFd, BorrowedFd};

use super::endpoint::{Endpoint, Phase, Waiting};
use super::poller::Interest;
use super::{Stack, errno_of, kernel};
use crate::host::SocketKey;
use crate::ipc::names::{Name, Object};
use crate::ipc::record::Arrival;
use crate::ipc::{Domain, Errno};
use crate::tcp::{Release, ResetReason, State};
use crate::time::Instant;

/// Options that a connection has from its listener and that the kernel socket acts on, with
/// their default.
const INHERITED: [(i32, i32); 5] = [
    (libc::SO_RCVTIMEO, 0),
    (libc::SO_SNDTIMEO, 0),
    (libc::SO_LINGER, 0),
    (libc::SO_OOBINLINE, 0),
    (libc::SO_RCVLOWAT, 1),
];

/// `TCP_INQ`, and the option of a kernel socket with which its program's shim is told of it.
const TCP_INQ: i32 = 36;
const INQ_MARK: i32 = libc::SO_PRIORITY;

impl Stack {
    /// `child` has finished its handshake: makes its kernel socket and queues it on the
    /// listener's.
    pub(super) fn pass_to_program(&mut self, now: Instant, listener: SocketKey, child: SocketKey) {
        let index = self.endpoints.by_key(listener);
        let Some((index, endpoint)) = index.and_then(|i| Some((i, self.endpoints.get(i)?))) else {
            return self.host.release(now, child, Release::Abort(ResetReason::ListenerClosed));
        };
        match self.make_child(now, listener, endpoint.domain, child) {
            Ok(waiting) => {
                if let Some(endpoint) = self.endpoints.get_mut(index) {
                    endpoint.waiting.push_back(waiting);
                }
                self.hand_over_waiting(index);
                if let Some(index) = self.endpoints.by_key(child) {
                    self.settle(now, index);
                }
            }
            Err(errno) => {
                tracing::error!(errno = errno.name(), "no kernel socket for a new connection");
                self.host.release(now, child, Release::Abort(ResetReason::Aborted));
            }
        }
    }

    fn make_child(
        &mut self,
        now: Instant,
        listener: SocketKey,
        domain: Domain,
        child: SocketKey,
    ) -> Result<Waiting, Errno> {
        let peer = self.host.peer_of_accepted(child)?;
        let id = self.new_id();
        let name = Name::new(&self.session, Object::App(domain, id));
        let (ours, program_end) = loop {
            match kernel::pair(&name) {
                Ok(pair) => break pair,
                // It may have been for want of descriptors.
                Err(_) if self.retired.close_one() => {}
                Err(error) => return Err(errno_of(&error)),
            }
        };
        self.inherit(now, child, program_end.as_fd());
        let mut endpoint = Endpoint::new(id, domain, child);
        endpoint.phase = Phase::Greeting;
        endpoint.waits_on = Some(listener);
        endpoint.history.note_queued(now);
        let index = self.endpoints.insert(endpoint);
        let token = self.endpoints.token(index);
        if let Err(error) = self.poller.add(ours.as_fd(), token, Interest::Read) {
            self.endpoints.remove(index);
            return Err(errno_of(&error));
        }
        kernel::prepare_end(ours.as_fd());
        if let Some(endpoint) = self.endpoints.get_mut(index) {
            endpoint.end = Some(ours);
        }
        Ok(Waiting { arrival: Arrival { id, peer }, program_end })
    }

    /// A listener is about to close or to stop listening: what the program has accepted before is
    /// no longer in its queue, although the word of that may not be read yet.
    pub(super) fn note_accepted(&mut self, now: Instant, listener: SocketKey) {
        if self.host.state(listener) != Ok(State::Listen) {
            return;
        }
        for index in self.endpoints.select(|endpoint| endpoint.waits_on == Some(listener)) {
            self.greet(now, index);
            self.settle(now, index);
        }
    }

    /// Gives the kernel socket of a new connection what its listener had of the options that the
    /// kernel itself honours.
    fn inherit(&mut self, now: Instant, child: SocketKey, program_end: BorrowedFd<'_>) {
        for (name, default) in INHERITED {
            let mut value = [0; 16];
            let len = self.host.get_option(now, child, libc::SOL_SOCKET, name, &mut value);
            let value = &value[..len.unwrap_or(0)];
            let number = value.first_chunk().map_or(default, |word| i32::from_ne_bytes(*word));
            if number != default || value[value.len().min(4)..].iter().any(|octet| *octet != 0) {
                kernel::set_socket_option(program_end, name, value);
            }
        }
        let mut inq = [0; 4];
        let len = self.host.get_option(now, child, libc::IPPROTO_TCP, TCP_INQ, &mut inq);
        if len.is_ok() && inq != [0; 4] {
            kernel::set_socket_option(program_end, INQ_MARK, &inq);
        }
    }

    /// Sends waiting connections over the listening socket, as many as its queue takes. The rest
    /// go when the program has accepted some; how many there may be is the host's business
    /// (backlog).
    pub(super) fn hand_over_waiting(&mut self, listener: u32) {
        let token = self.endpoints.token(listener);
        let Some(endpoint) = self.endpoints.get_mut(listener) else { return };
        let Some(end) = &endpoint.end else { return };
        if endpoint.phase != Phase::Listening {
            return;
        }
        while let Some(next) = endpoint.waiting.front() {
            let record = next.arrival.encode();
            match kernel::send_descriptor(end.as_fd(), &record, next.program_end.as_fd()) {
                Ok(true) => {
                    endpoint.waiting.pop_front();
                }
                Ok(false) => break,
                Err(error) => {
                    // The program is closing its listener; its event resets what waits.
                    tracing::debug!(%error, "listener takes no connection");
                    break;
                }
            }
        }
        let wanted = !endpoint.waiting.is_empty();
        if wanted != endpoint.output.watched {
            let interest = if wanted { Interest::ReadWrite } else { Interest::Read };
            if self.poller.modify(end.as_fd(), token, interest).is_ok() {
                endpoint.output.watched = wanted;
            }
        }
    }
}
