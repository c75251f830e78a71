//! Plugs: programs' ends that connect to one of the stack's doors, and the record with which
//! they say who they are.

use std::os::fd::{AsFd, OwnedFd};

use rustix::net::RecvFlags;

use super::endpoint::Phase;
use super::kernel::{self, Moved};
use super::poller::Interest;
use super::start::Doors;
use super::{Role, Stack, phase_after_plug};
use crate::ipc::names::Object;
use crate::ipc::record::{Call, FILLER_LEN, Plug, RECORD_LEN};
use crate::time::Instant;

impl Stack {
    /// Takes every program's end that waits at a door.
    pub(super) fn take_plugs(&mut self, now: Instant, role: Role) {
        let door: fn(&Doors) -> &OwnedFd = match role {
            Role::Connection => |doors| &doors.connections,
            Role::Listener => |doors| &doors.listeners,
        };
        while let Some((end, identity)) = self.accept_at(door) {
            // Only sockets that were named in a request of an admitted client are ours.
            let Some((session, Object::App(_, id))) = identity else { continue };
            let Some(index) = self.endpoints.by_id(id) else { continue };
            let token = self.endpoints.token(index);
            let Some(endpoint) = self.endpoints.get_mut(index) else { continue };
            if session != self.session || endpoint.phase != Phase::Unplugged {
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
        // A plug without filler stays in the kernel's queue as the first octets held.
        let holds = plug.filler_len == 0 && role == Role::Connection;
        endpoint.input.keeps_sentinel = holds;
        endpoint.input.held = if holds { RECORD_LEN } else { 0 };
        endpoint.input.readable = len > RECORD_LEN || endpoint.input.read_closed;
        if !holds {
            kernel::receive(end.as_fd(), &mut octets[..RECORD_LEN], RecvFlags::empty());
        }
        if plug.call == Call::Accept {
            endpoint.waits_on = None;
            let key = endpoint.key;
            self.host.accepted(now, key);
        }
    }

    /// The handshake is over: takes the filler away, which makes the program's end writable.
    pub(super) fn remove_filler(&mut self, index: u32) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        let Some(end) = &endpoint.end else { return };
        let mut filler = [0; FILLER_LEN];
        // The shim sent it in one piece with the plug, so it is there whole.
        let read = kernel::receive(end.as_fd(), &mut filler, RecvFlags::WAITALL);
        if read == Moved::Octets(FILLER_LEN) {
            endpoint.phase = Phase::Open;
            endpoint.input.readable = true;
        } else {
            tracing::warn!(id = ?endpoint.id, ?read, "filler is missing");
            self.break_end(index);
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
