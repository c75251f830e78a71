//! Plugs: programs' ends that connect to one of the stack's doors, and the record with which
//! they say who they are.

use std::io::IoSliceMut;
use std::os::fd::AsFd;

use rustix::net::RecvFlags;

use super::endpoint::Phase;
use super::kernel::{self, Moved};
use super::poller::Interest;
use super::{Role, Stack, phase_after_plug};
use crate::ipc::names::Object;
use crate::ipc::record::{Call, FILLER_LEN, Plug, RECORD_LEN};
use crate::time::Instant;

impl Stack {
    /// Takes every program's end that waits at a door.
    pub(super) fn take_plugs(&mut self, now: Instant, role: Role) {
        loop {
            let door = match role {
                Role::Connection => self.doors.connections.as_fd(),
                Role::Listener => self.doors.listeners.as_fd(),
            };
            let (end, identity) = match kernel::accept(door) {
                Ok(Some(taken)) => taken,
                Ok(None) => return,
                Err(error) => {
                    tracing::error!(%error, "cannot take a program's socket");
                    return;
                }
            };
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
        if kernel::pending(end.as_fd()) < RECORD_LEN {
            endpoint.input.readable = endpoint.input.read_closed;
            return;
        }
        let mut record = [0; RECORD_LEN];
        let (head, last) = record.split_at_mut(RECORD_LEN - 1);
        let read = kernel::read_into(end.as_fd(), &mut [IoSliceMut::new(head)]);
        kernel::receive(end.as_fd(), last, RecvFlags::PEEK);
        let plug = (read == Moved::Octets(RECORD_LEN - 1)).then(|| Plug::decode(&record)).flatten();
        let Some(plug) = plug.filter(|plug| plug.id == endpoint.id) else {
            tracing::warn!(id = ?endpoint.id, "a program's socket did not begin with its plug");
            self.break_end(index);
            return;
        };
        tracing::debug!(?plug, "plugged");
        let role = if plug.call == Call::Listen { Role::Listener } else { Role::Connection };
        endpoint.phase = phase_after_plug(role, plug.filler_len);
        // Of a plug without filler the last octet stays as the first sentinel.
        let keeps = plug.filler_len == 0 && role == Role::Connection;
        endpoint.input.keeps_sentinel = keeps;
        endpoint.input.held = usize::from(keeps);
        if !keeps {
            kernel::receive(end.as_fd(), &mut record[..1], RecvFlags::empty());
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
