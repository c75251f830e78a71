//! What programs ask: each request translated to a call of the host.

use std::os::fd::AsFd;

use super::endpoint::{Connector, Endpoint, Phase, Waiter};
use super::recording::{Caller, outcome_of};
use super::{Stack, kernel};
use crate::host::{Connect, SocketKey};
use crate::ipc::message::{Header, How, MAX_OPTION, Reply, Request, Wait};
use crate::ipc::{Errno, SocketId};
use crate::tcp::State;
use crate::time::Instant;

/// The reply to a request, or that it comes later.
type Outcome = Result<Option<Reply<'static>>, Errno>;

/// Exchanges with the wire in which a SYN finds its way there, and the answer its way back.
const HANDSHAKE_ROUNDS: usize = 2;

const DONE: Outcome = Ok(Some(Reply::Done));

impl Stack {
    /// Answers `request`, now or later.
    pub(super) fn request(
        &mut self,
        now: Instant,
        waiter: Waiter,
        (uid, caller): (u32, Caller),
        header: Header,
        request: Request<'_>,
    ) {
        if request == Request::WaitClosed {
            return self.wait_closed(waiter, header.id);
        }
        let index = match self.endpoint_for(now, header, uid) {
            Ok(index) => index,
            Err(errno) => return self.clients.reply(waiter, &Reply::Error(errno)),
        };
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        endpoint.caller = Caller { address: endpoint.caller.address, ..caller };
        endpoint.history.note_user(caller.pid);
        endpoint.opened_by(caller.pid);
        let (key, stream_has_ended) = (endpoint.key, endpoint.output.peer_closed);
        // disconnect() and a failed connect() take the remote address away
        let before = self.end_of(key);
        if let Request::GetOption(level, name, room) = request {
            return self.get_option(now, waiter, key, (level, name, room));
        }
        let outcome = match request {
            Request::Bind(_) | Request::Listen(_) | Request::Connect(..) => {
                self.may_conflict(now, waiter, index, key, request)
            }
            Request::Disconnect => {
                self.note_accepted(now, key);
                let outcome = self.host.disconnect(now, key);
                // Linux
                self.give_up_connect(now, index, Errno::EPIPE);
                outcome.and(DONE)
            }
            Request::Renew(id) => self.renew(index, id),
            Request::Shutdown(how) => self.shutdown(now, index, key, how),
            Request::Names => {
                self.host.names(key).map(|(local, peer)| Some(Reply::Names(Some(local), peer)))
            }
            Request::SetOption(level, name, value) => {
                self.host.set_option(now, key, level, name, value).map(|()| Some(Reply::Done))
            }
            Request::TakeError => Ok(Some(self.take_error(key))),
            // Linux: the end of a stream stays its end; the error is for writers and SO_ERROR.
            Request::TakeReadError if stream_has_ended => {
                Ok(Some(Reply::Number(Errno::EPIPE.0.into())))
            }
            Request::TakeReadError => Ok(Some(self.take_error(key))),
            Request::OutQueue => {
                self.host.out_queue(key).map(|(all, _)| Some(Reply::Number(octets(all))))
            }
            Request::UnsentQueue => {
                self.host.out_queue(key).map(|(_, unsent)| Some(Reply::Number(octets(unsent))))
            }
            Request::Hello { .. }
            | Request::GetOption(..)
            | Request::WaitClosed
            | Request::Ring
            | Request::Leaving(_)
            | Request::Command(_) => Err(Errno::EINVAL),
        };
        let reply = match outcome {
            Ok(Some(reply)) => reply,
            Ok(None) => return self.clients.note_waiting(waiter),
            Err(errno) => Reply::Error(errno),
        };
        let end = Some(self.end_of(key)).filter(|end| end.remote.is_some()).unwrap_or(before);
        self.record_request(now, end, caller, &request, outcome_of(&reply));
        let reply = if reply == Reply::Error(Errno::EINPROGRESS) { self.begin(key) } else { reply };
        self.clients.reply(waiter, &reply);
    }

    /// Sends the SYN of a connect() that does not wait; the answer to the call. Where the handshake
    /// is over with the answer to the SYN, as on the loopback, the program's socket is to be
    /// writable at once.
    fn begin(&mut self, key: SocketKey) -> Reply<'static> {
        for _ in 0..HANDSHAKE_ROUNDS {
            self.exchange_once();
            let endpoint = self.endpoints.by_key(key).and_then(|index| self.endpoints.get(index));
            if endpoint.is_some_and(|endpoint| endpoint.connected) {
                return Reply::Connected;
            }
        }
        Reply::Error(Errno::EINPROGRESS)
    }

    /// The endpoint that a request means; made when it is first mentioned.
    fn endpoint_for(&mut self, now: Instant, header: Header, uid: u32) -> Result<u32, Errno> {
        if let Some(index) = self.endpoints.by_id(header.id) {
            return Ok(index);
        }
        // What another stack knew of it died with that: it is not a fresh one.
        if ![0, self.mark].contains(&header.id.stack()) {
            return Err(Errno::ENETDOWN);
        }
        let key = self.host.socket(now, header.domain, uid)?;
        self.sweep_soon();
        Ok(self.endpoints.insert(Endpoint::new(header.id, header.domain, key)))
    }

    /// A call that another socket may stand in the way of. That one may be closed already
    /// without our knowing: then it is let go, and the call made again.
    fn may_conflict(
        &mut self,
        now: Instant,
        waiter: Waiter,
        index: u32,
        key: SocketKey,
        request: Request<'_>,
    ) -> Outcome {
        let call = |stack: &mut Stack| match request {
            Request::Bind(address) => stack.host.bind(key, address).map(|()| None),
            Request::Listen(backlog) => stack.host.listen(now, key, backlog).map(|()| None),
            Request::Connect(address, _) => stack.host.connect(now, key, address).map(Some),
            _ => Err(Errno::EINVAL),
        };
        let mut result = call(self);
        if let Err(Errno::EADDRINUSE | Errno::EADDRNOTAVAIL | Errno::ENOBUFS) = result {
            self.sweep(now);
            result = call(self);
        }
        if let (Err(errno), Some(endpoint)) = (result, self.endpoints.get(index)) {
            self.note_refusal(now, endpoint.caller, key, &request, errno);
        }
        let Request::Connect(address, wait) = request else { return result.and(DONE) };
        let Some(endpoint) = self.endpoints.get_mut(index) else { return Err(Errno::EBADF) };
        if result == Ok(Some(Connect::InProgress)) {
            endpoint.begin_connect();
        }
        match (result, wait) {
            (Ok(Some(Connect::InProgress)) | Err(Errno::EALREADY), Wait::Outcome) => {
                let (caller, began) = (endpoint.caller, self.recording.real());
                endpoint.connectors.push(Connector { waiter, address, caller, began });
                Ok(None)
            }
            (Ok(Some(Connect::InProgress)), Wait::No) => Err(Errno::EINPROGRESS),
            (other, _) => other.and(DONE),
        }
    }

    /// shutdown(): the end of writing comes through the kernel socket, after the octets; here it
    /// is only checked and announced. The end of reading is ours to tell the program.
    fn shutdown(&mut self, now: Instant, index: u32, key: SocketKey, how: How) -> Outcome {
        let state = self.host.state(key)?;
        self.note_accepted(now, key);
        let Some(endpoint) = self.endpoints.get_mut(index) else { return Err(Errno::EBADF) };
        match (endpoint.phase, how) {
            (Phase::Open, How::Write) if state != State::Closed => {
                endpoint.told_shutdown = true;
                return DONE;
            }
            (Phase::Open, How::Read | How::Both) => {
                endpoint.told_shutdown |= how == How::Both;
                self.host.shutdown(now, key, How::Read)?;
            }
            _ => self.host.shutdown(now, key, how)?,
        }
        let Some(endpoint) = self.endpoints.get(index) else { return DONE };
        if state == State::SynSent && !endpoint.connectors.is_empty() {
            // Who waits takes the error that this leaves.
            let errno = self.host.take_error(key).unwrap_or(Errno::ECONNRESET);
            self.give_up_connect(now, index, errno);
        }
        let Some(endpoint) = self.endpoints.get_mut(index) else { return DONE };
        if let (Some(end), How::Read | How::Both) = (&endpoint.end, how) {
            endpoint.output.ended = true;
            kernel::end_stream(end.as_fd());
        }
        DONE
    }

    /// The program's dead kernel socket was replaced: the host's socket goes on with the new one.
    fn renew(&mut self, index: u32, id: SocketId) -> Outcome {
        if id == SocketId(0) || self.endpoints.by_id(id).is_some() {
            return Err(Errno::EINVAL);
        }
        self.endpoints.rename(index, id);
        self.sweep_soon();
        if let Some(endpoint) = self.endpoints.get_mut(index) {
            endpoint.unplug();
        }
        DONE
    }

    fn take_error(&mut self, key: SocketKey) -> Reply<'static> {
        Reply::Number(self.host.take_error(key).map_or(0, |errno| errno.0.into()))
    }

    fn get_option(
        &mut self,
        now: Instant,
        waiter: Waiter,
        key: SocketKey,
        (level, name, room): (i32, i32, u32),
    ) {
        let mut value = [0; MAX_OPTION];
        let room = MAX_OPTION.min(room as usize);
        match self.host.get_option(now, key, level, name, &mut value[..room]) {
            Ok(len) => self.clients.reply(waiter, &Reply::Value(&value[..len.min(room)])),
            Err(errno) => self.clients.reply(waiter, &Reply::Error(errno)),
        }
    }

    /// close() with SO_LINGER: answered when the last acknowledgment is there, or the time over.
    fn wait_closed(&mut self, waiter: Waiter, id: SocketId) {
        if self.lingering.wait(id, waiter) {
            self.clients.note_waiting(waiter);
        } else {
            // Other descriptors hold it still, or there is nothing left to wait for.
            self.clients.reply(waiter, &Reply::Done);
        }
    }
}

fn octets(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
