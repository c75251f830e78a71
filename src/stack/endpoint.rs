//! One socket of a program, as the stack holds it: the other end of its kernel socket, and how
//! far the two have come with each other.
//!
//! ```text
//!              plug              greeting read           connected
//!  Unplugged ---------> Greeting ----------------> Connecting ------> Open
//!      |                   |  (plug of listen())        | failed       | reset
//!      |                   +-----------> Listening      v              v
//!      +--------------------------------------------- Broken <--------+
//! ```
//!
//! *Unplugged*: the program has a named socket without a peer, and has told us of it. *Broken*:
//! our end is closed and the program keeps a dead one. In both the kernel cannot wake us when
//! the program closes, so they are swept (see `Stack::sweep`).
//!
//! **Held octets and the sentinel.** When our end is closed, the kernel gives the program
//! ECONNRESET (as TCP does after a RST) only if octets of the program lie unread in our end. So
//! what is little is taken by peeking and stays in the kernel's queue ([`Input::held`]); of what
//! is released later the last octet stays still, the sentinel. Peeking also spares the program a
//! useless wake-up: the kernel wakes everybody who waits on a socket when its octets are taken out
//! at the other end, readers too. Nothing is held where the plug came with filler: such a program
//! has a very small send buffer until its shim restores it, and one octet could block it.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use slab::Slab;

use super::poller::{self, Token};
use super::recording::Caller;
use super::usage::History;
use crate::host::SocketKey;
use crate::ipc::record::Arrival;
use crate::ipc::{Domain, Errno, SocketId};
use crate::time::Duration;

/// Most octets that are taken by peeking.
pub(super) const MAX_PEEKED: usize = 8 * 1024;

/// Most buffers that are held.
const MAX_HELD_BUFFERS: usize = 40;

/// What the kernel charges for a buffer of one octet, generously (768 on Linux 6.18). One of `n`
/// octets costs no more than this and `2 * n`.
const CHARGE_PER_BUFFER: usize = 1024;

/// Bounds of what may stay in the kernel's queue although TCP has it. The kernel charges it to the
/// program, for which poll() says POLLOUT only while that is no more than a quarter of its
/// SO_SNDBUF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Held {
    /// Octets. The sentinel may be the last one of a buffer of so many.
    pub(super) octets: usize,
    /// Buffers. Any octet may lie in one of its own.
    pub(super) buffers: usize,
}

impl Held {
    /// What leaves POLLOUT alone where SO_SNDBUF is `send_buffer`.
    pub(super) fn within(send_buffer: usize) -> Held {
        let quarter = send_buffer / 4;
        Held {
            octets: (quarter.saturating_sub(CHARGE_PER_BUFFER) / 2).clamp(1, MAX_PEEKED),
            buffers: (quarter / CHARGE_PER_BUFFER).clamp(1, MAX_HELD_BUFFERS),
        }
    }
}

/// How far the program's end and ours have come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// The program's end has no peer.
    Unplugged,
    /// The plug record is expected. An accepted connection stays here until the program takes
    /// it from the queue.
    Greeting,
    /// Filler keeps the program's end from being writable until the handshake is over.
    Connecting,
    /// Octets flow.
    Open,
    /// The end of a listener: connections flow.
    Listening,
    /// Our end is closed.
    Broken,
}

/// From the program.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// There may be something to read.
    pub(super) readable: bool,
    /// The program writes no more.
    pub(super) read_closed: bool,
    /// Both directions of the kernel socket are over: closed, or shut down on both sides. Read
    /// on to the end, and keep no sentinel.
    pub(super) hung_up: bool,
    /// So many octets at the front of the kernel's queue TCP already has.
    pub(super) held: usize,
    /// They lie in no more than so many of the kernel's buffers.
    pub(super) held_buffers: usize,
    /// They are to be released soon.
    pub(super) is_due: bool,
    /// So many octets of plug and filler come before the program's own.
    pub(super) filler_left: usize,
    /// The last pass left octets in the kernel's queue, so a buffer of any size may lie there.
    pub(super) half_read: bool,
    /// Octets may be held.
    pub(super) keeps_sentinel: bool,
    /// End of file was read.
    pub(super) ended: bool,
    /// An urgent octet was announced.
    pub(super) urgent: bool,
}

/// To the program.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// The kernel's queue is full.
    pub(super) blocked: bool,
    /// The kernel's queue has its full size, which most connections never need.
    pub(super) enlarged: bool,
    /// We are woken when the program reads.
    pub(super) watched: bool,
    /// Octets handed over since the queue was last seen empty: no more than these are unread.
    pub(super) handed: usize,
    /// So many octets on, an urgent one comes.
    pub(super) urgent_after: Option<usize>,
    /// The peer's FIN is to be passed on after the octets.
    pub(super) peer_closed: bool,
    /// It was.
    pub(super) ended: bool,
    /// The connection has died: the program is to see it after the octets.
    pub(super) failed: Option<Errno>,
}

/// A connection on its way to a listening program.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) arrival: Arrival,
    pub(super) program_end: OwnedFd,
}

/// Who waits on the control channel for the outcome of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Waiter {
    pub(super) client: u32,
    pub(super) generation: u32,
    pub(super) tag: u32,
}

/// A call of connect() that waits for the outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connector {
    pub(super) waiter: Waiter,
    /// What it was given.
    pub(super) address: SocketAddr,
    /// Who called.
    pub(super) caller: Caller,
    /// When, in real time since the stack began.
    pub(super) began: Duration,
}

/// One socket of a program.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) id: SocketId,
    pub(super) domain: Domain,
    pub(super) key: SocketKey,
    pub(super) generation: u32,
    pub(super) phase: Phase,
    pub(super) end: Option<OwnedFd>,
    pub(super) input: Input,
    pub(super) output: Output,
    /// The handshake of a connect() is over.
    pub(super) connected: bool,
    /// The program announced shutdown(SHUT_WR): end of file alone does not mean close().
    pub(super) told_shutdown: bool,
    /// Calls of connect() that wait for the outcome.
    pub(super) connectors: Vec<Connector>,
    /// Connections that found the kernel's queue of this listener full.
    pub(super) waiting: VecDeque<Waiting>,
    /// The process that named it first, or accepted it; 0: nobody yet.
    pub(super) opener: u32,
    /// Who plugged it, or last named it in a request.
    pub(super) caller: Caller,
    /// Listener that this connection waits on, until it is accepted.
    pub(super) waits_on: Option<SocketKey>,
    /// What programs made of it.
    pub(super) history: History,
}

impl Endpoint {
    pub(super) fn new(id: SocketId, domain: Domain, key: SocketKey) -> Endpoint {
        Endpoint {
            id,
            domain,
            key,
            generation: 0,
            phase: Phase::Unplugged,
            end: None,
            input: Input::default(),
            output: Output::default(),
            connected: false,
            told_shutdown: false,
            connectors: Vec::new(),
            waiting: VecDeque::new(),
            caller: Caller { pid: 0, fd: -1, address: 0 },
            opener: 0,
            waits_on: None,
            history: History::default(),
        }
    }

    /// A process has to do with it, perhaps the first.
    pub(super) fn opened_by(&mut self, pid: u32) {
        if self.opener == 0 {
            self.opener = pid;
        }
    }

    /// A new connection attempt begins: what the last one left is forgotten.
    pub(super) fn begin_connect(&mut self) {
        self.connected = false;
        self.told_shutdown = false;
        self.output.failed = None;
        self.output.peer_closed = false;
    }

    /// The program's end was replaced by a fresh one.
    pub(super) fn unplug(&mut self) {
        self.end = None;
        self.phase = Phase::Unplugged;
        self.input = Input::default();
        let Output { peer_closed, failed, .. } = self.output;
        self.output = Output { peer_closed, failed, ..Output::default() };
        self.waiting.clear();
    }

    /// The kernel does not tell when the program closes it. Who waits in connect() uses it still,
    /// whatever another thread has closed.
    pub(super) fn needs_sweep(&self) -> bool {
        matches!(self.phase, Phase::Unplugged | Phase::Broken) && self.connectors.is_empty()
    }
}

/// All endpoints, found by index, by identity and by the host's key.
#[derive(Default)]
pub(super) struct Endpoints {
    slab: Slab<Endpoint>,
    by_id: HashMap<SocketId, u32>,
    by_key: HashMap<SocketKey, u32>,
    generation: u32,
}

impl Endpoints {
    pub(super) fn insert(&mut self, mut endpoint: Endpoint) -> u32 {
        self.generation = poller::next_generation(self.generation);
        endpoint.generation = self.generation;
        let (id, key) = (endpoint.id, endpoint.key);
        // The host bounds its sockets far below 2^32.
        let index = self.slab.insert(endpoint) as u32;
        self.by_id.insert(id, index);
        self.by_key.insert(key, index);
        index
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<Endpoint> {
        let endpoint = self.slab.try_remove(index as usize)?;
        self.by_id.remove(&endpoint.id);
        self.by_key.remove(&endpoint.key);
        Some(endpoint)
    }

    /// Gives the endpoint another identity.
    pub(super) fn rename(&mut self, index: u32, id: SocketId) {
        if let Some(endpoint) = self.slab.get_mut(index as usize) {
            self.by_id.remove(&endpoint.id);
            endpoint.id = id;
            self.by_id.insert(id, index);
        }
    }

    pub(super) fn get(&self, index: u32) -> Option<&Endpoint> {
        self.slab.get(index as usize)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Endpoint> {
        self.slab.get_mut(index as usize)
    }

    pub(super) fn by_id(&self, id: SocketId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn by_key(&self, key: SocketKey) -> Option<u32> {
        self.by_key.get(&key).copied()
    }

    /// The endpoint an event is for, unless it is another by now.
    pub(super) fn of_token(&self, index: u32, generation: u32) -> Option<u32> {
        self.get(index).filter(|endpoint| endpoint.generation == generation).map(|_| index)
    }

    pub(super) fn token(&self, index: u32) -> Token {
        Token::Endpoint(index, self.get(index).map_or(0, |endpoint| endpoint.generation))
    }

    /// Indexes of the endpoints that `wanted` picks.
    pub(super) fn select(&self, wanted: impl Fn(&Endpoint) -> bool) -> Vec<u32> {
        self.slab.iter().filter(|(_, e)| wanted(e)).map(|(index, _)| index as u32).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use socket2::SockRef;

    use super::*;

    /// A program's end and ours; the program's has no more than this as its send buffer, or the
    /// least that the kernel allows.
    fn ends(send_buffer: usize) -> (UnixStream, UnixStream) {
        let (program, stack) = UnixStream::pair().unwrap();
        // The kernel doubles what is asked for.
        SockRef::from(&program).set_send_buffer_size(send_buffer / 2).unwrap();
        program.set_nonblocking(true).unwrap();
        (program, stack)
    }

    fn is_writable(program: &UnixStream) -> bool {
        let mut set = [PollFd::new(program, PollFlags::OUT)];
        poll(&mut set, Some(&Timespec::default())).unwrap() == 1
    }

    #[test]
    fn what_is_held_leaves_the_program_writable_however_small_its_send_buffer() {
        for send_buffer in [0, 8192, 16_384, 32_768, 65_536, 212_992] {
            let (mut program, _stack) = ends(send_buffer);
            let held = Held::within(SockRef::from(&program).send_buffer_size().unwrap());
            for _ in 0..held.buffers {
                program.write_all(b"x").unwrap();
            }
            assert!(is_writable(&program), "{send_buffer}: {held:?}");
            for octets in (1..held.octets).step_by(50).chain([held.octets]) {
                let (mut program, mut stack) = ends(send_buffer);
                program.write_all(&vec![0; octets]).unwrap();
                stack.read_exact(&mut vec![0; octets - 1]).unwrap();
                assert!(is_writable(&program), "{send_buffer}: {held:?}: sentinel of {octets}");
            }
        }
    }

    #[test]
    fn with_the_send_buffer_that_linux_gives_as_much_is_held_as_ever() {
        let most = Held { octets: MAX_PEEKED, buffers: MAX_HELD_BUFFERS };
        assert_eq!(Held::within(212_992), most);
    }
}
