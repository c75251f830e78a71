//! Plugs: programs' ends that connect to one of the stack's doors, and the record with which
//! they say who they are.

use std::os::fd::{AsFd, OwnedFd};

use rustix::net::RecvFlags;

use super::endpoint::Phase;
use super::kernel::{self, Moved};
use super::poller::Interest;
use super::recording::Caller;
use super::start::Doors;
use super::{Role, Stack, phase_after_plug};
use crate::ipc::names::Object;
use crate::ipc::record::{Api, Call, FILLER_LEN, Plug, RECORD_LEN};
use crate::time::Instant;
use crate::trace::Argument;

impl Stack {
    /// Takes every program's end that waits at a door.
    pub(super) fn take_plugs(&mut self, now: Instant, role: Role) {
        let door: fn(&Doors) -> &OwnedFd = match role {
            Role::Connection => |doors| &doors.connections,
            Role::Listener => |doors| &doors.listeners,
        };
        while let Some((end, identity)) = self.accept_at(door) {
            // Only sockets that were named in a request of an admitted client are ours.
            let Some((session, Object::App(domain, id))) = identity else { continue };
            let Some(index) = self.endpoints.by_id(id) else { continue };
            let token = self.endpoints.token(index);
            let Some(endpoint) = self.endpoints.get_mut(index) else { continue };
            let is_its_name = (session, domain) == (self.session, endpoint.domain);
            if !is_its_name || endpoint.phase != Phase::Unplugged {
                continue;
            }
            if let Err(error) = self.poller.add(end.as_fd(), token, Interest::Read) {
                tracing::error!(%error, "cannot watch a program's socket");
                continue;
            }
            kernel::prepare_end(end.as_fd());
            endpoint.end = Some(end);
            endpoint.phase = Phase::Greeting;
            endpoint.input.readable = true;
            self.settle(now, index);
        }
    }

    /// Reads the plug record, if it is there, and goes on to the next phase.
    pub(super) fn greet(&mut self, now: Instant, index: u32) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        let Some(end) = &endpoint.end else { return };
        // One octet more than the record tells whether anything follows it.
        let mut octets = [0; RECORD_LEN + 1];
        let len = match kernel::receive(end.as_fd(), &mut octets, RecvFlags::PEEK) {
            Moved::Octets(len) => len,
            Moved::WouldBlock | Moved::Gone(_) => 0,
        };
        if len < RECORD_LEN {
            endpoint.input.readable = endpoint.input.read_closed;
            return;
        }
        let plug = octets.first_chunk().and_then(Plug::decode);
        let Some(plug) = plug.filter(|plug| plug.id == endpoint.id) else {
            tracing::warn!(id = ?endpoint.id, "a program's socket did not begin with its plug");
            self.break_end(index);
            return;
        };
        tracing::debug!(?plug, "plugged");
        let role = if plug.call == Call::Listen { Role::Listener } else { Role::Connection };
        endpoint.phase = phase_after_plug(role, plug.filler_len);
        // The plug stays in the kernel's queue: with the filler that follows it, or as the first
        // octets held.
        let holds = plug.filler_len == 0 && role == Role::Connection;
        endpoint.input.keeps_sentinel = holds;
        (endpoint.input.held, endpoint.input.held_buffers) =
            if holds { (RECORD_LEN, 1) } else { (0, 0) };
        endpoint.input.filler_left =
            if endpoint.phase == Phase::Connecting { RECORD_LEN + FILLER_LEN } else { 0 };
        // Peeking stops before an urgent octet that follows at once.
        endpoint.input.readable =
            len > RECORD_LEN || endpoint.input.urgent || endpoint.input.read_closed;
        endpoint.caller = Caller { pid: plug.pid, fd: plug.fd, address: plug.caller };
        endpoint.history.note_plug(now, &plug);
        endpoint.opened_by(plug.pid);
        if plug.call == Call::Accept {
            self.accepted(now, index);
        }
    }

    /// The program has taken the connection off its listener's queue.
    fn accepted(&mut self, now: Instant, index: u32) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        let (key, caller) = (endpoint.key, endpoint.caller);
        let listener = endpoint.waits_on.take();
        self.recording.note_program(caller.pid);
        let end = listener.map(|listener| self.end_of(listener)).unwrap_or_default();
        let listener = listener.and_then(|listener| self.endpoints.by_key(listener));
        if let Some(listener) = listener.and_then(|index| self.endpoints.get_mut(index)) {
            listener.history.note_user(caller.pid);
        }
        let call = (Api::Accept, Argument::Accepted(self.end_of(key)));
        self.record_call(now, end, caller, call, Ok(caller.fd.into()));
        self.host.accepted(now, key);
    }

    /// The handshake is over: takes plug and filler away, which makes the program's end writable.
    /// They lie in several of the kernel's buffers, of which the last may still be on its way.
    pub(super) fn remove_filler(&mut self, index: u32) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        let Some(end) = &endpoint.end else { return };
        let input = &mut endpoint.input;
        let mut octets = [0; RECORD_LEN + FILLER_LEN];
        match kernel::receive(end.as_fd(), &mut octets[..input.filler_left], RecvFlags::empty()) {
            Moved::Octets(len) if len == input.filler_left => {
                input.filler_left = 0;
                endpoint.phase = Phase::Open;
                // The program could write nothing before; of what it writes now the kernel tells.
                input.readable = input.read_closed || input.hung_up;
            }
            Moved::Octets(len) if len > 0 => input.filler_left -= len,
            Moved::WouldBlock => {}
            read @ (Moved::Octets(_) | Moved::Gone(_)) => {
                tracing::warn!(id = ?endpoint.id, ?read, "filler is missing");
                self.break_end(index);
            }
        }
    }

    /// Closes our end. The program sees its queued octets, then an error if octets of its own
    /// lie unread in our end, else end of file.
    pub(super) fn break_end(&mut self, index: u32) {
        if let Some(endpoint) = self.endpoints.get_mut(index) {
            endpoint.end = None;
            endpoint.phase = Phase::Broken;
        }
        self.sweep_soon();
    }
}
