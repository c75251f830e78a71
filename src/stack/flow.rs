//! The flow of octets between a program's kernel socket and its TCB, and how ends and errors
//! travel with them.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::LazyLock;

use rustix::net::RecvFlags;

use super::endpoint::{Endpoint, Held, Input, MAX_PEEKED, Phase};
use super::kernel::{self, Moved};
use super::poller::{Interest, Readiness};
use super::{NEVER_ACCEPTED, RealTime, Stack};
use crate::host::{Host, SocketKey};
use crate::ipc::message::How;
use crate::ipc::names::{Name, Object};
use crate::tcp::{Release, ResetReason};
use crate::time::{Duration, Instant};

/// What may be held of a program; most sockets of a machine have the same send buffer.
pub(super) static MAX_HELD: LazyLock<Held> =
    LazyLock::new(|| Held::within(kernel::default_send_buffer()));

/// How long more buffers than [`MAX_HELD`] says may stay: most programs get an answer meanwhile, and
/// with it what is held is released without waking them for nothing.
const MAX_HOLD: Duration = Duration::from_millis(1);

/// Room for octets that nobody has counted yet: what most programs write at once. They are copied,
/// so that the send buffer grows by what there is. Where it is filled, the next pass counts.
const FIRST_ROOM: usize = 16 * 1024;

/// What is held, and what is new.
pub(super) const SCRATCH_LEN: usize = 2 * MAX_PEEKED + FIRST_ROOM;

/// Octets handed to the program since its queue was last known to be empty that are counted as
/// unread without asking the kernel.
const UNREAD_UNASKED: usize = 16 * 1024;

/// What taking octets from a program came to.
enum Taken {
    /// Some, and there may be more.
    Some,
    /// One, and it is urgent.
    Urgent,
    /// None now.
    Nothing,
    /// The program writes no more.
    End,
    /// The program closed its end with octets unread in it.
    ClosedUnread,
}

impl Stack {
    /// Notes what the kernel says of an endpoint.
    pub(super) fn note_readiness(&mut self, index: u32, readiness: Readiness) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        if readiness.read_closed && !endpoint.input.read_closed {
            // What the program has written before is written, as far as it is concerned: its
            // state is FIN-WAIT-1 however small the peer's window is.
            self.host.take_rest(endpoint.key);
        }
        endpoint.input.readable |= readiness.readable;
        endpoint.input.read_closed |= readiness.read_closed;
        endpoint.input.hung_up |= readiness.hung_up;
        endpoint.input.urgent |= readiness.urgent;
        if readiness.writable {
            endpoint.output.blocked = false;
        }
    }

    /// Does everything that an endpoint's state allows: the one place where its phases advance.
    pub(super) fn settle(&mut self, now: Instant, index: u32) {
        if self.phase(index) == Some(Phase::Greeting) && self.is_readable(index) {
            self.greet(now, index);
        }
        let Some(endpoint) = self.endpoints.get(index) else { return };
        let (key, hung_up) = (endpoint.key, endpoint.input.hung_up);
        match endpoint.phase {
            Phase::Unplugged | Phase::Broken => {}
            Phase::Greeting => {
                self.pump_out(now, index);
                self.close_if_hung_up(now, index, NEVER_ACCEPTED);
            }
            Phase::Connecting if endpoint.input.hung_up => {
                self.program_closed(now, index, Release::Graceful);
            }
            Phase::Connecting if endpoint.output.failed.is_some() => self.break_end(index),
            Phase::Connecting if endpoint.connected => {
                self.remove_filler(index);
                if self.phase(index) == Some(Phase::Open) {
                    self.settle_open(now, index);
                }
            }
            Phase::Connecting => {}
            Phase::Open => self.settle_open(now, index),
            Phase::Listening => {
                self.hand_over_waiting(index);
                if hung_up {
                    self.note_accepted(now, key);
                }
                self.close_if_hung_up(now, index, Release::Graceful);
            }
        }
    }

    fn settle_open(&mut self, now: Instant, index: u32) {
        self.pump_in(now, index);
        self.pump_out(now, index);
    }

    fn phase(&self, index: u32) -> Option<Phase> {
        self.endpoints.get(index).map(|endpoint| endpoint.phase)
    }

    fn is_readable(&self, index: u32) -> bool {
        self.endpoints.get(index).is_some_and(|endpoint| endpoint.input.readable)
    }

    fn close_if_hung_up(&mut self, now: Instant, index: u32, how: Release) {
        if self.endpoints.get(index).is_some_and(|endpoint| endpoint.input.hung_up) {
            self.program_closed(now, index, how);
        }
    }

    /// Octets of the program into the send buffer, as far as there is room; then its end. Nothing
    /// leaves the buffer meanwhile, so this ends even where the program writes as fast.
    fn pump_in(&mut self, now: Instant, index: u32) {
        loop {
            let Some(endpoint) = self.endpoints.get_mut(index) else { return };
            if endpoint.phase != Phase::Open || !endpoint.input.readable {
                return;
            }
            let space = self.host.send_space(endpoint.key);
            let key = endpoint.key;
            let (taken, octets) = take(&mut self.host, endpoint, space, &mut self.scratch);
            if octets > 0 {
                if endpoint.output.peer_closed {
                    endpoint.history.written_after_end += octets as u64;
                }
                self.host.send_commit(now, key, octets);
            }
            match taken {
                Taken::Some => self.release_soon(index),
                Taken::Urgent => self.host.mark_urgent(now, key),
                Taken::Nothing => return,
                Taken::End => return self.program_ended(now, index),
                Taken::ClosedUnread => {
                    return self.program_closed(
                        now,
                        index,
                        Release::Abort(ResetReason::UnreadData),
                    );
                }
            }
        }
    }

    /// Sees to it that what is held of a program does not stay.
    fn release_soon(&mut self, index: u32) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        if endpoint.input.held_buffers > MAX_HELD.buffers && !endpoint.input.is_due {
            endpoint.input.is_due = true;
            self.held.push((index, endpoint.generation));
            self.release_at.get_or_insert_with(|| RealTime::now() + MAX_HOLD);
        }
    }

    /// Releases what has been held long enough.
    pub(super) fn release_due(&mut self, real: RealTime) {
        if self.release_at.is_none_or(|at| at > real) {
            return;
        }
        self.release_at = None;
        for (index, generation) in std::mem::take(&mut self.held) {
            let index = self.endpoints.of_token(index, generation);
            let Some(endpoint) = index.and_then(|index| self.endpoints.get_mut(index)) else {
                continue;
            };
            endpoint.input.is_due = false;
            if endpoint.input.held_buffers > MAX_HELD.buffers {
                release_held(endpoint, &mut self.scratch);
            }
        }
    }

    /// The program writes no more: it has closed the socket, or shut down its writing.
    fn program_ended(&mut self, now: Instant, index: u32) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        endpoint.input.readable = false;
        let name = Name::new(&self.session, Object::App(endpoint.domain, endpoint.id));
        let shut_down_only =
            !endpoint.input.hung_up || endpoint.told_shutdown && kernel::is_alive(&name);
        let key = endpoint.key;
        if !shut_down_only {
            let how = if self.host.received(key).0.is_empty() {
                Release::Graceful
            } else {
                Release::Abort(ResetReason::UnreadData)
            };
            self.program_closed(now, index, how);
        } else if !endpoint.input.ended {
            endpoint.input.ended = true;
            let _ = self.host.shutdown(now, key, How::Write);
        }
    }

    /// Received octets to the program; then the peer's end, or the error.
    pub(super) fn pump_out(&mut self, now: Instant, index: u32) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        let Some(end) = &endpoint.end else { return };
        let key = endpoint.key;
        let mut woken = false;
        while !endpoint.output.blocked {
            let octets = self.host.received(key);
            if octets.0.is_empty() {
                break;
            }
            match hand_over(end.as_fd(), octets, endpoint.output.urgent_after) {
                Moved::Octets(len) => {
                    let output = &mut endpoint.output;
                    output.handed = output.handed.saturating_add(len);
                    output.urgent_after = output.urgent_after.and_then(|at| at.checked_sub(len));
                    self.host.consume(now, key, len);
                    woken = true;
                }
                Moved::WouldBlock if !endpoint.output.enlarged => {
                    endpoint.output.enlarged = true;
                    kernel::enlarge_send_buffer(end.as_fd());
                }
                Moved::WouldBlock => endpoint.output.blocked = true,
                // The program is closing: the event that says so is on its way.
                Moved::Gone(_) => return,
            }
        }
        if woken && endpoint.input.held_buffers > MAX_HELD.buffers / 2 {
            // Taking octets out of the queue wakes a program that waits in read(), for nothing;
            // this one has been woken anyway.
            release_held(endpoint, &mut self.scratch);
        }
        self.note_unread(now, index);
        self.watch_reading(index);
        self.pass_end(index);
    }

    /// Tells the TCB how much of what was handed over the program has not read.
    fn note_unread(&mut self, now: Instant, index: u32) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        let output = &mut endpoint.output;
        if output.handed > UNREAD_UNASKED || output.watched {
            return self.ask_unread(now, index);
        }
        self.host.set_unread(now, endpoint.key, output.handed);
    }

    /// The same, from the kernel.
    pub(super) fn ask_unread(&mut self, now: Instant, index: u32) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        let Some(end) = &endpoint.end else { return };
        let unread = kernel::unread_by_peer(end.as_fd());
        if unread == 0 {
            endpoint.output.handed = 0;
        }
        self.host.set_unread(now, endpoint.key, unread.min(endpoint.output.handed));
    }

    /// Asks to be woken when the program reads, exactly while that matters.
    fn watch_reading(&mut self, index: u32) {
        let token = self.endpoints.token(index);
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        let Some(end) = &endpoint.end else { return };
        let wanted = endpoint.output.blocked || self.host.wants_read_progress(endpoint.key);
        if wanted != endpoint.output.watched {
            let interest = if wanted { Interest::ReadWrite } else { Interest::Read };
            if self.poller.modify(end.as_fd(), token, interest).is_ok() {
                endpoint.output.watched = wanted;
            }
        }
    }

    /// Passes the peer's FIN or the connection's death on, once the octets before it are handed
    /// over.
    fn pass_end(&mut self, index: u32) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        if !self.host.received(endpoint.key).0.is_empty() {
            return;
        }
        if endpoint.output.failed.is_some() && endpoint.phase == Phase::Open {
            return self.break_end(index);
        }
        if endpoint.output.peer_closed && !endpoint.output.ended {
            endpoint.output.ended = true;
            if let Some(end) = &endpoint.end {
                kernel::end_stream(end.as_fd());
            }
        }
    }

    /// An urgent octet has come, `offset` octets after what was handed over.
    pub(super) fn note_urgent(&mut self, index: u32, offset: usize) {
        if let Some(endpoint) = self.endpoints.get_mut(index) {
            endpoint.output.urgent_after = Some(offset);
        }
    }
}

/// Writes octets to the program, up to the urgent one; that one alone, and as urgent.
fn hand_over(end: BorrowedFd<'_>, octets: (&[u8], &[u8]), urgent_after: Option<usize>) -> Moved {
    match urgent_after {
        None => kernel::write_from(end, octets),
        Some(0) => kernel::write_urgent(end, octets.0[0]),
        Some(before) if before <= octets.0.len() => {
            kernel::write_from(end, (&octets.0[..before], &[]))
        }
        Some(before) => {
            let second = (before - octets.0.len()).min(octets.1.len());
            kernel::write_from(end, (octets.0, &octets.1[..second]))
        }
    }
}

/// Takes at most `space` octets of the program into the send buffer of its TCB, by peeking where
/// that is possible (see [`super::endpoint`]).
fn take(
    host: &mut Host,
    endpoint: &mut Endpoint,
    space: usize,
    scratch: &mut [u8],
) -> (Taken, usize) {
    let input = &endpoint.input;
    if input.keeps_sentinel && !input.hung_up && !input.urgent && !input.half_read {
        take_by_peeking(host, endpoint, space, scratch)
    } else {
        take_by_reading(host, endpoint, space, scratch)
    }
}

/// Copies what is new and leaves it in the kernel's queue, unless there is much of it.
fn take_by_peeking(
    host: &mut Host,
    endpoint: &mut Endpoint,
    space: usize,
    scratch: &mut [u8],
) -> (Taken, usize) {
    let Some(end) = &endpoint.end else { return (Taken::Nothing, 0) };
    let input = &mut endpoint.input;
    let room = space.min(MAX_HELD.octets);
    if room == 0 {
        return (Taken::Nothing, 0);
    }
    let held = input.held;
    let fresh = match kernel::receive(end.as_fd(), &mut scratch[..held + room], RecvFlags::PEEK) {
        Moved::Octets(peeked) => peeked.saturating_sub(held),
        Moved::WouldBlock => 0,
        Moved::Gone(_) => return (Taken::ClosedUnread, 0),
    };
    if fresh == MAX_HELD.octets {
        return take_by_reading(host, endpoint, space, scratch);
    }
    if fresh == 0 {
        // shutdown(SHUT_WR): the sentinel stays, for a RST that may come.
        let ended = input.read_closed;
        input.readable = ended;
        return (if ended { Taken::End } else { Taken::Nothing }, 0);
    }
    put(host, endpoint.key, &scratch[held..held + fresh]);
    input.held += fresh;
    input.held_buffers += fresh;
    if input.held >= MAX_HELD.octets {
        release_held(endpoint, scratch);
    }
    // Edge-triggered: of what comes after the peek the kernel tells again.
    endpoint.input.readable = fresh == room || endpoint.input.read_closed;
    (Taken::Some, fresh)
}

/// Takes the octets that TCP already has out of the kernel's queue, all but the sentinel.
fn release_held(endpoint: &mut Endpoint, scratch: &mut [u8]) {
    let Some(end) = &endpoint.end else { return };
    let input = &mut endpoint.input;
    if input.held > 1 {
        kernel::receive(end.as_fd(), &mut scratch[..input.held - 1], RecvFlags::empty());
        (input.held, input.held_buffers) = (1, 1);
    }
}

/// Reads what is new out of the kernel's queue, and what was held before it.
fn take_by_reading(
    host: &mut Host,
    endpoint: &mut Endpoint,
    space: usize,
    scratch: &mut [u8],
) -> (Taken, usize) {
    let Some(end) = &endpoint.end else { return (Taken::Nothing, 0) };
    let input = &mut endpoint.input;
    // No event tells what lies there now, nor whether its first octet is urgent.
    let is_counted = input.half_read || input.urgent;
    let pending = if is_counted { fresh_octets(end.as_fd(), input) } else { FIRST_ROOM };
    if pending == 0 && !input.read_closed && !input.hung_up {
        // Edge-triggered: of what comes after the count the kernel tells again.
        (input.readable, input.half_read, input.urgent) = (false, false, false);
        return (Taken::Nothing, 0);
    }
    let at_urgent = is_counted && input.held == 0 && kernel::at_mark(end.as_fd());
    let room = if at_urgent { 1 } else { pending.max(1) };
    let wanted = room.min(space);
    if wanted == 0 {
        return (take_end(host, endpoint, scratch), 0);
    }
    let held = std::mem::take(&mut input.held);
    let held_buffers = std::mem::take(&mut input.held_buffers);
    let read = if wanted <= FIRST_ROOM {
        kernel::receive(end.as_fd(), &mut scratch[..held + wanted], RecvFlags::empty())
    } else {
        let (first, second) = host.send_reserve(endpoint.key, wanted);
        let held = IoSliceMut::new(&mut scratch[..held]);
        let mut buffers = [held, IoSliceMut::new(first), IoSliceMut::new(second)];
        kernel::read_into(end.as_fd(), &mut buffers)
    };
    let octets = match read {
        Moved::Octets(0) => return (Taken::End, 0),
        // What was held is out, or as much of it as lies before an urgent octet; what follows is
        // seen by the next pass.
        Moved::Octets(read) if read <= held => {
            (input.held, input.held_buffers) = (held - read, held_buffers.min(held - read));
            0
        }
        Moved::Octets(read) => read - held,
        Moved::WouldBlock => {
            (input.readable, input.half_read) = (false, false);
            return (Taken::Nothing, 0);
        }
        Moved::Gone(_) => return (Taken::ClosedUnread, 0),
    };
    if wanted <= FIRST_ROOM {
        put(host, endpoint.key, &scratch[held..held + octets]);
    }
    // After a close nothing comes that was not announced with it.
    let is_complete = input.hung_up && !input.urgent;
    input.half_read = octets == wanted || octets == 0 && !is_complete;
    // The kernel stops reading before an urgent octet, which is announced as such.
    input.urgent = !at_urgent && input.urgent;
    // Edge-triggered: of what comes later the kernel tells again.
    input.readable = input.half_read || input.urgent || input.read_closed || input.hung_up;
    (if at_urgent { Taken::Urgent } else { Taken::Some }, octets)
}

/// Octets in the kernel's queue that TCP does not have yet.
fn fresh_octets(end: BorrowedFd<'_>, input: &Input) -> usize {
    kernel::pending(end).saturating_sub(input.held)
}

/// Copies into the send buffer, which has room: a buffer of no more than it takes, where a program
/// sends little, or nothing before it closes.
fn put(host: &mut Host, key: SocketKey, octets: &[u8]) {
    let (first, second) = host.send_reserve(key, octets.len());
    let (to_first, to_second) = octets.split_at(first.len().min(octets.len()));
    first[..to_first.len()].copy_from_slice(to_first);
    second[..to_second.len()].copy_from_slice(to_second);
}

/// Where the TCB takes no octets now: the end of a program that is gone, if it comes next, or if
/// nobody will ever take what lies before it.
fn take_end(host: &Host, endpoint: &mut Endpoint, scratch: &mut [u8]) -> Taken {
    let Some(end) = &endpoint.end else { return Taken::Nothing };
    let input = &mut endpoint.input;
    let waits = fresh_octets(end.as_fd(), input) > 0 && host.accepts_sends(endpoint.key);
    if !input.hung_up || waits {
        return Taken::Nothing;
    }
    (input.held, input.held_buffers) = (0, 0);
    loop {
        match kernel::receive(end.as_fd(), scratch, RecvFlags::empty()) {
            Moved::Octets(0) => return Taken::End,
            Moved::Octets(_) => {}
            Moved::WouldBlock => return Taken::Nothing,
            Moved::Gone(_) => return Taken::ClosedUnread,
        }
    }
}
