//! Word of calls that the stack does not see: reads, writes, failed accepts, closes.
//!
//! Always told: a read that gave 0, reads, writes and accepts that failed, closes, and the
//! descriptors that a program was started with. A program that gets the same answer again and
//! again (one that takes end of file for "nothing yet") is told of by [`Counters`]: the first
//! times, then at powers of two, and once a second, with the exact count. While the stack traces
//! ([`ring::is_full`]), every call.
//!
//! All of this may run in signal handlers, after fork and between vfork and exec.

use core::sync::atomic::{AtomicU64, Ordering};

use libc::{c_int, ssize_t};
use tcplab_ipc::Errno;
use tcplab_ipc::record::Api;
use tcplab_ipc::ring::{ASKED_UNKNOWN, Entry};

use crate::descriptor::{self, Socket};
use crate::{control, errno, ring, session, sys};

/// Octets that a call was given room for, where the hook has not added them up.
pub(crate) const UNKNOWN: usize = usize::MAX;

/// Outcomes that are counted apart, on each descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    EndOfFile = 0,
    ReadError = 1,
    WriteError = 2,
    AcceptError = 3,
}

const KINDS: usize = 4;

/// An answer that a program may ask for again and again; `None` for one that it waits for, or that
/// moves octets.
fn kind(api: Api, outcome: Result<usize, Errno>) -> Option<Kind> {
    match (api, outcome) {
        (_, Err(Errno::EAGAIN | Errno::EINTR)) => None,
        (Api::Read, Ok(0)) => Some(Kind::EndOfFile),
        (Api::Read, Err(_)) => Some(Kind::ReadError),
        (Api::Write | Api::Sendfile, Err(_)) => Some(Kind::WriteError),
        (Api::Accept, Err(_)) => Some(Kind::AcceptError),
        _ => None,
    }
}

// ---- counting

const COUNTERS: usize = 65536;

/// How often each answer came. A counter belongs to a socket under a number in a process: tag of
/// these (24 bits), second of the last word modulo 256 (8 bits), count (32 bits). Of two that meet
/// in one place each starts the other's anew.
struct Counters([AtomicU64; COUNTERS]);

static COUNTERS_OF_PROCESS: Counters = Counters([const { AtomicU64::new(0) }; COUNTERS]);

/// How often an answer has come now, and whether that is to be told.
struct Counted {
    count: u32,
    is_told: bool,
}

impl Counters {
    fn place(&self, fd: c_int, kind: Kind) -> &AtomicU64 {
        let at = (fd.cast_unsigned() as usize).wrapping_mul(KINDS).wrapping_add(kind as usize);
        // Numbers of more than 16384 share places with lower ones.
        &self.0[at % COUNTERS]
    }

    fn count(&self, socket: &Socket, kind: Kind, pid: u32, now_ns: u64) -> Counted {
        let place = self.place(socket.fd, kind);
        let tag = tag(socket, pid);
        let second = now_ns / 1_000_000_000 % 256;
        let mut found = place.load(Ordering::Relaxed);
        loop {
            let (count, told_at) = match found >> 40 == tag {
                true => ((found as u32).saturating_add(1), Some(found >> 32 & 0xff)),
                false => (1, None),
            };
            let is_told = count <= 3 || count.is_power_of_two() || told_at != Some(second);
            let told_at = if is_told { second } else { told_at.unwrap_or(second) };
            let next = tag << 40 | told_at << 32 | u64::from(count);
            match place.compare_exchange_weak(found, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Counted { count, is_told },
                Err(other) => found = other,
            }
        }
    }

    fn last(&self, socket: &Socket, kind: Kind, pid: u32) -> u32 {
        let found = self.place(socket.fd, kind).load(Ordering::Relaxed);
        if found >> 40 == tag(socket, pid) { found as u32 } else { 0 }
    }
}

fn tag(socket: &Socket, pid: u32) -> u64 {
    (socket.id.0 ^ u64::from(pid)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}

// ---- telling

/// A call as it is told, without its outcome.
#[derive(Clone, Copy)]
struct Told<'a> {
    socket: &'a Socket,
    api: Api,
    asked: usize,
    began_ns: u64,
    took_ns: u64,
    caller: usize,
}

fn tell(told: Told<'_>, pid: u32, outcome: Result<usize, Errno>, count: u32) {
    let (result, errno) = match outcome {
        Ok(octets) => (octets.min(i32::MAX as usize) as i32, None),
        Err(errno) => (-1, Some(errno)),
    };
    ring::push(&Entry {
        socket: told.socket.id,
        pid,
        fd: told.socket.fd,
        api: told.api,
        result,
        errno,
        count,
        asked: if told.asked == UNKNOWN {
            ASKED_UNKNOWN
        } else {
            told.asked.min(ASKED_UNKNOWN as usize - 1) as u32
        },
        began_ns: told.began_ns,
        took_ns: told.took_ns,
        caller: told.caller as u64,
    });
}

/// The stack that made `socket` has a ring here; asked for once by a process that has inherited
/// its sockets.
fn is_heard(socket: &Socket) -> bool {
    if session::settings().session != Ok(socket.session) {
        return false;
    }
    if ring::is_missing() {
        control::fetch_ring(&socket.session);
    }
    ring::is_mapped()
}

/// A read, write or accept on `socket` ended with `outcome`, which is not simply success. Word of
/// it is left as often as that is of use; while every call leaves word, by [`traced`].
#[cold]
pub(crate) fn ended(socket: &Socket, api: Api, asked: usize, outcome: Result<usize, Errno>) {
    let Some(kind) = kind(api, outcome) else { return };
    let pid = sys::getpid().cast_unsigned();
    let began_ns = sys::now_ns();
    let Counted { count, is_told } = COUNTERS_OF_PROCESS.count(socket, kind, pid, began_ns);
    // A failed write may end the program by SIGPIPE before it returns.
    let is_told = if ring::is_full() { kind == Kind::WriteError } else { is_told };
    if is_told && is_heard(socket) {
        tell(Told { socket, api, asked, began_ns, took_ns: 0, caller: 0 }, pid, outcome, count);
    }
}

/// A call by `attempt` on a number that may be ours, while every call leaves word. What `attempt`
/// captures it should own, or the path that is not taken costs the other one.
#[cold]
#[inline(never)]
pub(crate) fn traced(fd: c_int, api: Api, asked: usize, attempt: impl Fn() -> ssize_t) -> ssize_t {
    let Some(socket) = descriptor::ours(fd) else { return attempt() };
    let began_ns = sys::now_ns();
    let got = attempt();
    let took_ns = sys::now_ns().saturating_sub(began_ns);
    let outcome = if got < 0 { Err(errno::get()) } else { Ok(got as usize) };
    let kind = kind(api, outcome);
    if kind != Some(Kind::WriteError) && is_heard(&socket) {
        let pid = sys::getpid().cast_unsigned();
        let count = kind.map_or(0, |kind| COUNTERS_OF_PROCESS.last(&socket, kind, pid));
        let told = Told { socket: &socket, api, asked, began_ns, took_ns, caller: 0 };
        tell(told, pid, outcome, count);
    }
    got
}

/// An accept on `socket` failed.
#[cold]
pub(crate) fn accept_failed(socket: &Socket, errno: Errno, caller: usize) {
    let outcome = Err(errno);
    let pid = sys::getpid().cast_unsigned();
    let began_ns = sys::now_ns();
    let counted = kind(Api::Accept, outcome)
        .map(|kind| COUNTERS_OF_PROCESS.count(socket, kind, pid, began_ns));
    let count = counted.as_ref().map_or(0, |counted| counted.count);
    let is_told = counted.is_some_and(|counted| counted.is_told) || ring::is_full();
    if is_told && is_heard(socket) {
        let (api, asked) = (Api::Accept, UNKNOWN);
        tell(Told { socket, api, asked, began_ns, took_ns: 0, caller }, pid, outcome, count);
    }
}

/// The number `fd`, which may be ours, is about to be closed. Before, so that the stack has heard
/// of it when it sees the end.
pub(crate) fn closing(fd: c_int) {
    if ring::is_mapped()
        && let Some(socket) = descriptor::identify(fd)
    {
        tell_plainly(&socket, Api::Close);
    }
}

/// The program was started with `fd`, which is ours.
#[cold]
pub(crate) fn inherited(fd: c_int) {
    if let Some(socket) = descriptor::identify(fd)
        && is_heard(&socket)
    {
        tell_plainly(&socket, Api::Exec);
    }
}

fn tell_plainly(socket: &Socket, api: Api) {
    if session::settings().session == Ok(socket.session) {
        let began_ns = sys::now_ns();
        let told = Told { socket, api, asked: UNKNOWN, began_ns, took_ns: 0, caller: 0 };
        tell(told, sys::getpid().cast_unsigned(), Ok(0), 0);
    }
}
