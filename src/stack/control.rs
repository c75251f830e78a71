//! The control channel: clients, admission, one request at a time, replies that may come later.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::RecvFlags;
use slab::Slab;

use super::endpoint::Waiter;
use super::kernel::{self, Moved};
use super::poller::{self, Interest, Readiness, Token};
use super::recording::Caller;
use super::{Phase, Release, Stack};
use crate::ipc::message::{MAX_MESSAGE, MAX_TEXT, More, Reply, Request};
use crate::ipc::names::{Name, Object};
use crate::ipc::{Errno, PROTOCOL_VERSION};
use crate::time::Instant;

/// Clients at once; programs keep a few connections each, and open one for a call when they are
/// refused.
const MAX_CLIENTS: usize = 16_384;
/// Connections of other users that have not shown the secret; the oldest goes for a new one. They
/// keep no stack from leaving.
const MAX_STRANGERS: usize = 64;
/// Packets that may wait for one client to read; a command line's long answers need most.
const MAX_OUTBOX: usize = 4096;

/// One connection of a program or a command.
struct Client {
    fd: OwnedFd,
    generation: u32,
    uid: u32,
    pid: u32,
    admission: Admission,
    /// Queued to be served.
    ready: bool,
    /// It has closed its end: what it asked before is served, then it goes.
    hung_up: bool,
    /// Its request is under way: there is no second one before the reply.
    asks: bool,
    outbox: VecDeque<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Admission {
    /// No Hello yet; its uid is admitted.
    ByUid,
    /// No Hello yet; it must bring the secret.
    BySecret,
    /// Said Hello.
    Done,
}

/// All clients.
#[derive(Default)]
pub(super) struct Clients {
    slab: Slab<Client>,
    generation: u32,
    /// Those that must bring the secret still, oldest first.
    strangers: VecDeque<u32>,
    /// Clients that had a request before the last look at the sockets.
    ready: Vec<u32>,
    /// Clients whose outbox has filled or was flushed: what they are watched for may change.
    stuffed: Vec<u32>,
    /// Where requests are received.
    packet: Vec<u8>,
}

impl Clients {
    /// Whether nobody is there who is admitted.
    pub(super) fn is_empty(&self) -> bool {
        self.slab.len() == self.strangers.len()
    }

    /// The kernel says that `index` may be read or written.
    pub(super) fn note_readiness(&mut self, index: u32, generation: u32, readiness: Readiness) {
        let Some(client) = self.slab.get_mut(index as usize) else { return };
        if client.generation != generation {
            return;
        }
        client.hung_up |= readiness.read_closed;
        let flushes = readiness.writable && !client.outbox.is_empty();
        if flushes {
            client.flush();
            self.stuffed.push(index);
        }
        if readiness.readable || flushes {
            self.queue(index);
        }
    }

    /// Queues a client to be served. One that does not read its replies waits until it has.
    fn queue(&mut self, index: u32) {
        let Some(client) = self.slab.get_mut(index as usize) else { return };
        if !client.ready && client.outbox.is_empty() {
            client.ready = true;
            self.ready.push(index);
        }
    }

    /// Queues a client that was served for the next turn, where it has more *now*: what comes
    /// later makes an event.
    fn queue_again(&mut self, index: u32) {
        let Some(client) = self.slab.get_mut(index as usize) else { return };
        if client.hung_up || kernel::pending(client.fd.as_fd()) > 0 {
            self.queue(index);
        }
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The reply to this request comes later.
    pub(super) fn note_waiting(&mut self, waiter: Waiter) {
        if let Some(client) = self.find(waiter) {
            client.asks = true;
        }
    }

    fn find(&mut self, waiter: Waiter) -> Option<&mut Client> {
        let client = self.slab.get_mut(waiter.client as usize);
        client.filter(|client| client.generation == waiter.generation)
    }

    /// Sends a reply to whoever waits for it, if it is still there.
    pub(super) fn reply(&mut self, to: Waiter, reply: &Reply<'_>) {
        let Some(client) = self.find(to) else { return };
        client.asks = false;
        let mut packet = [0; MAX_MESSAGE];
        if let Ok(len) = reply.encode(to.tag, &mut packet) {
            client.send(&packet[..len]);
        }
        if !client.outbox.is_empty() {
            self.stuffed.push(to.client);
        }
    }

    /// Sends a descriptor, or word that there is none.
    pub(super) fn reply_with_file(&mut self, to: Waiter, file: Option<BorrowedFd<'_>>) {
        let Some(client) = self.find(to) else { return };
        let mut packet = [0; MAX_MESSAGE];
        let sent = file.is_some_and(|file| {
            let len = Reply::Done.encode(to.tag, &mut packet).unwrap_or(0);
            // A client with replies that it has not read gets none.
            client.outbox.is_empty()
                && matches!(
                    kernel::send_descriptor(client.fd.as_fd(), &packet[..len], file),
                    Ok(true)
                )
        });
        if !sent {
            self.reply(to, &Reply::Error(Errno::ENOENT));
        }
    }

    /// Sends a text in as many packets as it takes.
    pub(super) fn reply_text(&mut self, to: Waiter, text: &[u8]) {
        let Some(client) = self.find(to) else { return };
        client.asks = false;
        let mut packet = vec![0; MAX_TEXT];
        let mut pieces = text.chunks(MAX_TEXT / 2).peekable();
        loop {
            let piece = pieces.next().unwrap_or_default();
            let more = if pieces.peek().is_some() { More::Yes } else { More::No };
            if let Ok(len) = Reply::Text(piece, more).encode(to.tag, &mut packet) {
                client.send(&packet[..len]);
            }
            if more == More::No {
                break;
            }
        }
        if !client.outbox.is_empty() {
            self.stuffed.push(to.client);
        }
    }
}

impl Client {
    /// Sends a packet, now or when there is room.
    fn send(&mut self, packet: &[u8]) {
        let sent =
            self.outbox.is_empty() && kernel::send(self.fd.as_fd(), packet) != Moved::WouldBlock;
        if !sent && self.outbox.len() < MAX_OUTBOX {
            self.outbox.push_back(packet.to_vec());
        }
    }

    fn flush(&mut self) {
        while let Some(packet) = self.outbox.front() {
            match kernel::send(self.fd.as_fd(), packet) {
                Moved::WouldBlock => return,
                // A client that is gone is noticed by its event.
                Moved::Octets(_) | Moved::Gone(_) => self.outbox.pop_front(),
            };
        }
    }
}

/// What came from a client.
enum Packet {
    Request(usize),
    Nothing,
    Closed,
}

impl Stack {
    pub(super) fn admit_clients(&mut self) {
        while let Some((fd, _)) = self.accept_at(|doors| &doors.control) {
            self.admit(fd);
        }
    }

    fn admit(&mut self, fd: OwnedFd) {
        if self.clients.slab.len() >= MAX_CLIENTS {
            tracing::warn!("more than {MAX_CLIENTS} control connections: one refused");
            return;
        }
        let (uid, pid) = kernel::peer(fd.as_fd()).unwrap_or((u32::MAX, 0));
        let admission = if self.admits(uid) { Admission::ByUid } else { Admission::BySecret };
        if admission == Admission::BySecret && self.clients.strangers.len() == MAX_STRANGERS {
            let oldest = self.clients.strangers.pop_front();
            oldest.map(|oldest| self.clients.slab.try_remove(oldest as usize));
        }
        self.clients.generation = poller::next_generation(self.clients.generation);
        let generation = self.clients.generation;
        let entry = self.clients.slab.vacant_entry();
        // MAX_CLIENTS bounds the index.
        let index = entry.key() as u32;
        let interest = Interest::Read;
        if self.poller.add(fd.as_fd(), Token::Client(index, generation), interest).is_ok() {
            let outbox = VecDeque::new();
            let (ready, hung_up, asks) = (false, false, false);
            let client =
                Client { fd, generation, uid, pid, admission, ready, hung_up, asks, outbox };
            entry.insert(client);
            if admission == Admission::BySecret {
                self.clients.strangers.push_back(index);
            }
        }
    }

    /// Whether a user needs no secret.
    pub(super) fn admits(&self, uid: u32) -> bool {
        // The stack's own user may be neither: a program that gave up being root has started it.
        let own = rustix::process::geteuid().as_raw();
        [self.session.uid(), 0, own].contains(&uid)
    }

    /// Answers one request of each client that had one at the last look at the sockets. Of a
    /// request that came since, it must first be seen what its program did before: next turn.
    pub(super) fn serve_clients(&mut self) {
        let ready = std::mem::take(&mut self.clients.ready);
        let mut packet = std::mem::take(&mut self.clients.packet);
        packet.resize(MAX_TEXT, 0);
        for index in ready {
            let Some(client) = self.clients.slab.get_mut(index as usize) else { continue };
            client.ready = false;
            match receive(client, &mut packet) {
                Packet::Nothing => {}
                Packet::Closed => {
                    let now = self.now();
                    self.drop_client(now, index);
                }
                Packet::Request(len) => {
                    // The request before may have put the clock forward.
                    let now = self.now();
                    self.answer(now, index, &packet[..len]);
                    self.clients.queue_again(index);
                }
            }
        }
        self.clients.packet = packet;
    }

    /// A client with replies that it does not read is watched for room, and not served, until it
    /// has read them.
    pub(super) fn watch_outboxes(&mut self) {
        for index in std::mem::take(&mut self.clients.stuffed) {
            let Some(client) = self.clients.slab.get(index as usize) else { continue };
            let waits = !client.outbox.is_empty();
            let interest = if waits { Interest::ReadWrite } else { Interest::Read };
            let token = Token::Client(index, client.generation);
            if let Err(error) = self.poller.modify(client.fd.as_fd(), token, interest) {
                tracing::error!(%error, "cannot watch a control connection");
            }
        }
    }

    fn answer(&mut self, now: Instant, index: u32, packet: &[u8]) {
        let Some(client) = self.clients.slab.get_mut(index as usize) else { return };
        if client.asks {
            tracing::warn!(
                uid = client.uid,
                "a request before the reply to the last: client dropped"
            );
            return self.drop_client(now, index);
        }
        let Ok((header, request)) = Request::decode(packet) else {
            tracing::warn!(uid = client.uid, "malformed request: client dropped");
            return self.drop_client(now, index);
        };
        let waiter = Waiter { client: index, generation: client.generation, tag: header.tag };
        let uid = client.uid;
        if let Request::Hello { version, secret } = request {
            return self.welcome(waiter, version, secret);
        }
        if client.admission != Admission::Done {
            return self.clients.reply(waiter, &Reply::Error(Errno::EACCES));
        }
        if request == Request::Ring {
            return self.clients.reply_with_file(waiter, self.calls.file());
        }
        if let Request::Leaving(token) = request {
            let pid = client.pid;
            return self.leave(waiter, pid, token);
        }
        if let Request::Command(text) = request {
            if let Some(answer) = self.command(now, waiter, text) {
                self.clients.reply_text(waiter, &answer);
            }
            return;
        }
        let caller = Caller { pid: client.pid, fd: header.fd, address: 0 };
        self.request(now, waiter, (uid, caller), header, request);
    }

    /// Answers a Hello.
    fn welcome(&mut self, waiter: Waiter, version: u16, secret: u128) {
        let by_secret = secret != 0 && secret == self.secret;
        let Some(client) = self.clients.find(waiter) else { return };
        let refused = match client.admission {
            _ if version != PROTOCOL_VERSION => Some(Errno::EPROTO),
            Admission::BySecret if !by_secret => Some(Errno::EACCES),
            _ => None,
        };
        if let Some(errno) = refused {
            return self.clients.reply(waiter, &Reply::Error(errno));
        }
        client.admission = Admission::Done;
        let pid = client.pid;
        self.clients.strangers.retain(|&stranger| stranger != waiter.client);
        self.recording.forget_program(pid);
        self.recording.note_program(pid);
        let (secret, stack) = (self.secret, self.mark);
        let hello = Reply::Hello { secret, pid: std::process::id(), stack };
        self.clients.reply(waiter, &hello);
    }

    fn drop_client(&mut self, now: Instant, index: u32) {
        let Some(client) = self.clients.slab.try_remove(index as usize) else { return };
        let generation = client.generation;
        self.clients.strangers.retain(|&stranger| stranger != index);
        drop(client);
        let is_his = |w: &Waiter| w.client == index && w.generation == generation;
        for index in self.endpoints.select(|e| e.connectors.iter().any(|c| is_his(&c.waiter))) {
            self.abandon_connect(now, index, is_his);
        }
        self.lingering.forget_waiters(is_his);
        self.leavers.forget(is_his);
        self.see_leavers_off();
    }

    /// The thread that waited in connect() is gone: interrupted (then its socket was plugged
    /// before) or killed.
    fn abandon_connect(&mut self, now: Instant, index: u32, is_his: impl Fn(&Waiter) -> bool) {
        let Some(endpoint) = self.endpoints.get_mut(index) else { return };
        endpoint.connectors.retain(|connector| !is_his(&connector.waiter));
        let name = Name::new(&self.session, Object::App(endpoint.domain, endpoint.id));
        if endpoint.phase == Phase::Unplugged && !kernel::is_alive(&name) {
            self.program_closed(now, index, Release::Graceful);
        } else {
            self.sweep_soon();
        }
    }
}

fn receive(client: &Client, packet: &mut [u8]) -> Packet {
    match kernel::receive(client.fd.as_fd(), packet, RecvFlags::empty()) {
        Moved::Octets(0) | Moved::Gone(_) => Packet::Closed,
        Moved::Octets(len) => Packet::Request(len),
        Moved::WouldBlock => Packet::Nothing,
    }
}
