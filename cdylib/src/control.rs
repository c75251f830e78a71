//! The control channel: requests to the stack, each answered by one reply.
//!
//! A channel is a connected `SOCK_SEQPACKET` socket in *our* process, which the program does not
//! know of and may trample on: it closes all numbers, `dup2`s over them, forks. So a channel that
//! was kept is used only after its inode has been compared; it is `CLOEXEC`, sits at a high
//! number, belongs to one process, and one that is busy (another thread, or the same thread below
//! a signal handler) is not waited for: another is opened. A holder that no longer exists (a
//! thread cancelled while it waited) loses its channel.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use libc::c_int;
use tcplab_ipc::message::{Header, MAX_MESSAGE, Reply, Request, Wait};
use tcplab_ipc::names::{Name, Object, Session};
use tcplab_ipc::{Domain, Errno, PROTOCOL_VERSION, SocketId};

use crate::descriptor::Socket;
use crate::packets::{Broken, Buffer, exchange, is_answer, look_and_wait, next_tag, transmit};
use crate::rights::OneDescriptor;
use crate::{cancel, guard, launch, ring, session, sys};

/// Channels kept for the next request; more are opened and closed again where more are busy.
const KEPT_CHANNELS: usize = 8;
/// Lowest number of a kept channel, where the limit of the process leaves room.
const LOWEST_NUMBER: u64 = 512;
/// How long a stack that reported readiness may refuse connections.
const READY_PATIENCE_MS: u64 = 2000;
/// How long [`say_and_wait`] waits.
const SAYING_PATIENCE_S: i64 = 30;
/// How often a stack may hang up on us before we give up.
const MAX_HANG_UPS: u32 = 3;

struct Slot {
    /// Thread that uses the channel, 0 where none.
    holder: AtomicI32,
    /// The channel, -1 where none.
    fd: AtomicI32,
    /// Its inode.
    inode: AtomicU64,
}

static SLOTS: [Slot; KEPT_CHANNELS] = [const {
    Slot { holder: AtomicI32::new(0), fd: AtomicI32::new(-1), inode: AtomicU64::new(0) }
}; KEPT_CHANNELS];

/// A channel in use. No destructor: it is passed over frames that a cancelled thread unwinds.
pub(crate) struct Channel {
    fd: c_int,
    slot: Option<&'static Slot>,
}

/// Whether a stack that is not there is started.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Yes.
    OnDemand,
    /// No: what is asked about died with it, or would be told by no other.
    Never,
}

/// How a request that waits for an outcome ended.
pub(crate) enum Awaited {
    /// With the outcome.
    Outcome(Result<(), Errno>),
    /// Without: EINTR, or EAGAIN where the patience was over. The stack still works on it until
    /// the channel is closed.
    Abandoned(Errno, Channel),
}

fn header_for(socket: &Socket) -> Header {
    Header { tag: next_tag(), id: socket.id, fd: socket.fd, domain: socket.domain }
}

/// Asks `request` about `socket` and gives the reply, or the errno in it.
pub(crate) fn call<'a>(
    socket: &Socket,
    request: &Request<'_>,
    buffer: &'a mut Buffer,
) -> Result<Reply<'a>, Errno> {
    let header = header_for(socket);
    let len = exchange_fresh(socket, header, request, buffer)?;
    let (_, reply) =
        Reply::decode(buffer.get(..len).unwrap_or_default()).map_err(|_| Errno::ENETDOWN)?;
    if let Reply::Error(errno) = reply { Err(errno) } else { Ok(reply) }
}

/// Asks a `request` whose reply says no more than done or not done.
pub(crate) fn ask(socket: &Socket, request: &Request<'_>) -> Result<(), Errno> {
    call(socket, request, &mut [0; MAX_MESSAGE]).map(drop)
}

/// Begins a connect(): whether the connection stands already.
pub(crate) fn begin_connect(socket: &Socket, peer: SocketAddr) -> Result<Begun, Errno> {
    match call(socket, &Request::Connect(peer, Wait::No), &mut [0; MAX_MESSAGE]) {
        Ok(Reply::Connected) => Ok(Begun::Connected),
        Ok(_) => Ok(Begun::Before),
        Err(Errno::EINPROGRESS) => Ok(Begun::InProgress),
        Err(errno) => Err(errno),
    }
}

/// What the beginning of a connect() came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// The handshake goes on.
    InProgress,
    /// The handshake is over already.
    Connected,
    /// It was begun by an earlier call, and is over.
    Before,
}

/// Asks a `request` whose reply is a number.
pub(crate) fn ask_number(socket: &Socket, request: &Request<'_>) -> Result<i64, Errno> {
    match call(socket, request, &mut [0; MAX_MESSAGE])? {
        Reply::Number(number) => Ok(number),
        _ => Err(Errno::ENETDOWN),
    }
}

/// One exchange on a kept channel; where that has died meanwhile, once more on a new one. Not with
/// a stack that is started for it: the socket died with the one it was made for.
fn exchange_fresh(
    socket: &Socket,
    header: Header,
    request: &Request<'_>,
    buffer: &mut Buffer,
) -> Result<usize, Errno> {
    for _ in 0..2 {
        let channel = acquire(&socket.session, Start::Never)?;
        match exchange(channel.fd, header, request, buffer) {
            Ok(len) => {
                release(channel);
                return Ok(len);
            }
            Err(Broken) => discard(channel),
        }
    }
    Err(Errno::ENETDOWN)
}

/// Asks a `request` that the stack answers when it knows the outcome, and waits, as a
/// cancellation point and at most `patience`.
pub(crate) fn await_outcome(
    socket: &Socket,
    request: &Request<'_>,
    patience: Option<libc::timeval>,
) -> Awaited {
    let header = header_for(socket);
    let channel = match send_on_live(socket, header, request) {
        Ok(channel) => channel,
        Err(errno) => return Awaited::Outcome(Err(errno)),
    };
    if let Some(patience) = &patience {
        let _ = sys::set_option(channel.fd, libc::SO_RCVTIMEO, patience);
    }
    let mut buffer = [0; MAX_MESSAGE];
    let received = look_and_wait(|flags| cancel::recv(channel.fd, &mut buffer, flags));
    let len = match received {
        Ok(len) => len,
        Err(errno @ (Errno::EINTR | Errno::EAGAIN)) => return Awaited::Abandoned(errno, channel),
        Err(_) => 0,
    };
    if len == 0 || patience.is_some() {
        discard(channel);
    } else {
        release(channel);
    }
    Awaited::Outcome(match Reply::decode(buffer.get(..len).unwrap_or_default()) {
        Ok((tag, Reply::Done)) if tag == header.tag => Ok(()),
        Ok((tag, Reply::Error(errno))) if tag == header.tag => Err(errno),
        _ => Err(Errno::ENETDOWN),
    })
}

/// The outcome of an abandoned request where the stack has told it by now. The channel is closed.
pub(crate) fn outcome_by_now(channel: Channel) -> Option<Result<(), Errno>> {
    let mut buffer = [0; MAX_MESSAGE];
    let len = sys::recv(channel.fd, &mut buffer, libc::MSG_DONTWAIT).unwrap_or(0);
    discard(channel);
    match Reply::decode(buffer.get(..len)?).ok()? {
        (_, Reply::Done) => Some(Ok(())),
        (_, Reply::Error(errno)) => Some(Err(errno)),
        _ => None,
    }
}

fn send_on_live(socket: &Socket, header: Header, request: &Request<'_>) -> Result<Channel, Errno> {
    for _ in 0..2 {
        let channel = acquire(&socket.session, Start::Never)?;
        match transmit(channel.fd, header, request) {
            Ok(()) => return Ok(channel),
            Err(Broken) => discard(channel),
        }
    }
    Err(Errno::ENETDOWN)
}

/// Opens a channel ahead of a request that will be made on it, after something that ends what
/// the request is about; `None` where there is no stack.
pub(crate) fn open_for(socket: &Socket) -> Option<Channel> {
    acquire(&socket.session, Start::Never).ok()
}

/// Asks `request` on `channel` and waits for the reply or a signal, whichever is first.
pub(crate) fn ask_until_signal(channel: Channel, socket: &Socket, request: &Request<'_>) {
    let header = header_for(socket);
    let mut buffer = [0; MAX_MESSAGE];
    let answered = transmit(channel.fd, header, request).is_ok()
        && sys::recv(channel.fd, &mut buffer, 0).is_ok_and(|len| len > 0);
    if answered { release(channel) } else { discard(channel) }
}

/// Makes sure that the session has a live stack, and starts one where not.
pub(crate) fn ensure_stack(session: &Session) -> Result<(), Errno> {
    for _ in 0..2 {
        let channel = acquire(session, Start::OnDemand)?;
        let alive = sys::poll(channel.fd, libc::POLLIN, 0).is_ok_and(|events| events == 0);
        if alive {
            release(channel);
            return Ok(());
        }
        discard(channel);
    }
    Err(Errno::ENETDOWN)
}

/// What is known of the stack that a socket was plugged into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// It runs.
    Alive,
    /// It is gone; another may have its name.
    Dead,
    /// It cannot be asked: this program lacks what a channel needs.
    Unknown,
}

/// Whether the stack that `socket` was plugged into still runs.
pub(crate) fn life_of_stack(socket: &Socket) -> Life {
    for _ in 0..2 {
        let channel = match acquire(&socket.session, Start::Never) {
            Ok(channel) => channel,
            Err(Errno::ENETDOWN) => return Life::Dead,
            Err(_) => return Life::Unknown,
        };
        if sys::poll(channel.fd, libc::POLLIN, 0).is_ok_and(|events| events == 0) {
            let now = sys::get_option::<libc::ucred>(channel.fd, libc::SO_PEERCRED);
            let then = sys::get_option::<libc::ucred>(socket.fd, libc::SO_PEERCRED);
            release(channel);
            return match (now, then) {
                (Ok(now), Ok(then)) if now.pid == then.pid => Life::Alive,
                _ => Life::Dead,
            };
        }
        discard(channel);
    }
    Life::Dead
}

/// Asks a running stack for the session's secret, and keeps it.
pub(crate) fn learn_secret(session: &Session) -> Result<(), Errno> {
    // Not kept: most processes never make a socket.
    acquire(session, Start::Never).map(discard)
}

/// The child of a fork must not talk on its parent's channels.
pub(crate) fn forget_parents_channels() {
    for slot in &SLOTS {
        let fd = slot.fd.swap(-1, Ordering::Relaxed);
        if fd >= 0 && inode_of(fd) == Some(slot.inode.load(Ordering::Relaxed)) {
            sys::close(fd);
        }
        slot.holder.store(0, Ordering::Relaxed);
    }
}

// ---- channels

/// A channel to the stack of `session`: a kept one that is free, or a new
/// one, for which it matters whether a stack is started.
fn acquire(session: &Session, start: Start) -> Result<Channel, Errno> {
    if session::settings().session != Ok(*session) || !guard::owns_memory() {
        let (fd, _) = open(session, start)?;
        return Ok(Channel { fd, slot: None });
    }
    let Some(slot) = take_slot() else {
        let (fd, _) = open(session, start)?;
        return Ok(Channel { fd, slot: None });
    };
    let fd = slot.fd.load(Ordering::Relaxed);
    if fd >= 0 && inode_of(fd) == Some(slot.inode.load(Ordering::Relaxed)) {
        return Ok(Channel { fd, slot: Some(slot) });
    }
    slot.fd.store(-1, Ordering::Relaxed);
    match open(session, start) {
        Ok((fd, inode)) => {
            slot.inode.store(inode, Ordering::Relaxed);
            slot.fd.store(fd, Ordering::Relaxed);
            Ok(Channel { fd, slot: Some(slot) })
        }
        Err(errno) => {
            slot.holder.store(0, Ordering::Release);
            Err(errno)
        }
    }
}

/// Takes a free slot, one with a channel in it if there is one.
fn take_slot() -> Option<&'static Slot> {
    let me = sys::gettid();
    let take = |slot: &Slot, from: i32| {
        slot.holder.compare_exchange(from, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
    };
    let has_channel = |slot: &&Slot| slot.fd.load(Ordering::Relaxed) >= 0;
    if let Some(slot) = SLOTS.iter().filter(has_channel).find(|slot| take(slot, 0)) {
        return Some(slot);
    }
    if let Some(slot) = SLOTS.iter().find(|slot| take(slot, 0)) {
        return Some(slot);
    }
    let abandoned = SLOTS.iter().find(|slot| {
        let holder = slot.holder.load(Ordering::Relaxed);
        holder != 0 && holder != me && !sys::thread_exists(holder) && take(slot, holder)
    })?;
    // A reply to the thread that is gone may wait in it.
    drop_channel(abandoned);
    Some(abandoned)
}

/// Gives a channel back, ready for the next request.
fn release(channel: Channel) {
    match channel.slot {
        Some(slot) => slot.holder.store(0, Ordering::Release),
        None => sys::close(channel.fd),
    }
}

/// Closes a channel that is broken, or on which a reply is outstanding.
pub(crate) fn discard(channel: Channel) {
    match channel.slot {
        Some(slot) => {
            drop_channel(slot);
            slot.holder.store(0, Ordering::Release);
        }
        None => sys::close(channel.fd),
    }
}

fn drop_channel(slot: &Slot) {
    let fd = slot.fd.swap(-1, Ordering::Relaxed);
    if fd >= 0 && inode_of(fd) == Some(slot.inode.load(Ordering::Relaxed)) {
        sys::close(fd);
    }
}

/// Inode of a socket; `None` for anything else.
fn inode_of(fd: c_int) -> Option<u64> {
    let (_, inode, mode) = sys::fstat(fd).ok()?;
    (mode & libc::S_IFMT == libc::S_IFSOCK).then_some(inode)
}

/// A new channel that the stack has admitted.
///
/// A stack that leaves just now (idle, or told to) refuses us, or hangs up before it has answered,
/// or keeps the next one from starting for a moment: so it is tried again.
fn open(session: &Session, start: Start) -> Result<(c_int, u64), Errno> {
    let deadline_ms = sys::now_ms() + READY_PATIENCE_MS;
    let mut hang_ups = 0;
    loop {
        match reach(session, start) {
            Err(Unreached::NotThere) if start == Start::OnDemand && sys::now_ms() < deadline_ms => {
            }
            Err(Unreached::HungUp) if start == Start::OnDemand && hang_ups < MAX_HANG_UPS => {
                hang_ups += 1;
            }
            Err(unreached) => return Err(unreached.explain(session, start)),
            Ok(reached) => return Ok(reached),
        }
        sys::sleep_ms(10);
    }
}

/// Why there is no channel.
enum Unreached {
    /// Nobody has the name of the session.
    NotThere,
    /// The stack closed the channel before it answered.
    HungUp,
    /// This program lacks what a channel needs.
    Short(Errno),
    /// A stack could not be started, which has been said.
    NotStarted(Errno),
    /// Anything else.
    Other(Errno),
}

impl Unreached {
    /// The errno that the program gets. Where it wanted a stack, says why there is none.
    #[cold]
    fn explain(self, session: &Session, start: Start) -> Errno {
        let reason = match self {
            Unreached::Short(errno) | Unreached::NotStarted(errno) => return errno,
            Unreached::NotThere => "it leaves as soon as it is started",
            Unreached::HungUp => "it hangs up (has it descriptors left?)",
            Unreached::Other(Errno::EACCES) => "it is another user's, and does not know us",
            Unreached::Other(Errno::EPROTO) => {
                "it is of another version; end it with `tcplab down`"
            }
            Unreached::Other(errno) => errno.name(),
        };
        if start == Start::OnDemand {
            launch::complain(format_args!("no way to the stack of session {session}: {reason}"));
        }
        Errno::ENETDOWN
    }
}

/// One attempt; starts a stack where that is wanted and there is none.
fn reach(session: &Session, start: Start) -> Result<(c_int, u64), Unreached> {
    let fd = match dial(session) {
        Err(Errno::ECONNREFUSED) if start == Start::OnDemand => {
            launch::start(session).map_err(Unreached::NotStarted)?;
            dial(session)
        }
        other => other,
    };
    let fd = fd.map_err(|errno| match errno {
        Errno::ECONNREFUSED => Unreached::NotThere,
        Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS => Unreached::Short(errno),
        errno => Unreached::Other(errno),
    })?;
    match greet(fd, session).and_then(|()| inode_of(fd).ok_or(Errno::ENETDOWN)) {
        Ok(inode) => Ok((fd, inode)),
        Err(errno) => {
            sys::close(fd);
            let hung_up = errno == Errno::ECONNRESET;
            Err(if hung_up { Unreached::HungUp } else { Unreached::Other(errno) })
        }
    }
}

fn dial(session: &Session) -> Result<c_int, Errno> {
    let fd = high_number(sys::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC)?)?;
    let address = Name::new(session, Object::Control).to_sockaddr();
    loop {
        match sys::connect(fd, &address) {
            Ok(()) if is_trusted(fd, session) => return Ok(fd),
            Ok(()) => {
                sys::close(fd);
                return Err(Errno::EACCES);
            }
            Err(Errno::EINTR) => {}
            Err(errno) => {
                sys::close(fd);
                return Err(errno);
            }
        }
    }
}

/// Anybody may bind an abstract name. A stack is run by the session's owner, by root, or by the
/// user of this process, who may have started it.
pub(crate) fn is_trusted(fd: c_int, session: &Session) -> bool {
    sys::get_option::<libc::ucred>(fd, libc::SO_PEERCRED)
        .is_ok_and(|peer| [session.uid(), 0, sys::geteuid()].contains(&peer.uid))
}

/// Moves `fd` out of the way of the program: to a high number, and never one of 0, 1, 2.
pub(crate) fn high_number(fd: c_int) -> Result<c_int, Errno> {
    let lowest = LOWEST_NUMBER.min(sys::descriptor_limit() / 4 * 3).max(3);
    let moved = sys::fcntl(fd, libc::F_DUPFD_CLOEXEC, lowest as c_int)
        .or_else(|_| sys::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3));
    match moved {
        Err(_) if fd > 2 => Ok(fd),
        moved => {
            sys::close(fd);
            moved
        }
    }
}

fn greet(fd: c_int, of: &Session) -> Result<(), Errno> {
    let secret = session::secret();
    let hello = Request::Hello { version: PROTOCOL_VERSION, secret };
    let header = Header { tag: next_tag(), id: SocketId(0), fd: -1, domain: Domain::V4 };
    let mut buffer = [0; MAX_MESSAGE];
    let len = exchange(fd, header, &hello, &mut buffer).map_err(|Broken| Errno::ECONNRESET)?;
    match Reply::decode(buffer.get(..len).unwrap_or_default()) {
        Ok((_, Reply::Hello { secret: told, pid, stack })) => {
            // Of another session neither secret nor ring is ours to keep.
            if session::settings().session == Ok(*of) {
                session::remember_stack(stack);
                if told != 0 && told != secret {
                    session::remember_secret(told);
                }
                if ring::is_wanted(pid) {
                    receive_ring(fd, pid).map_err(|Broken| Errno::ECONNRESET)?;
                }
            }
            Ok(())
        }
        Ok((_, Reply::Error(errno))) => Err(errno),
        _ => Err(Errno::EPROTO),
    }
}

/// Says `request`, which is about no socket, to a running stack, and waits for the reply, but not
/// for ever.
#[cold]
pub(crate) fn say_and_wait(session: &Session, request: &Request<'_>) {
    let Ok(channel) = acquire(session, Start::Never) else { return };
    let patience = libc::timeval { tv_sec: SAYING_PATIENCE_S, tv_usec: 0 };
    let _ = sys::set_option(channel.fd, libc::SO_RCVTIMEO, &patience);
    let header = Header { tag: next_tag(), id: SocketId(0), fd: -1, domain: Domain::V4 };
    let _ = exchange(channel.fd, header, request, &mut [0; MAX_MESSAGE]);
    discard(channel);
}

/// Makes sure that the call ring of a running stack is mapped, where that can be.
#[cold]
pub(crate) fn fetch_ring(session: &Session) {
    // It comes with the greeting.
    match acquire(session, Start::Never) {
        Ok(channel) => discard(channel),
        Err(_) => ring::note_failure(),
    }
}

/// Asks the stack with that process id for the call ring, and maps it. Where it has none, or the
/// descriptor table is full, that is no reason to do without a stack.
fn receive_ring(fd: c_int, stack: u32) -> Result<(), Broken> {
    let header = Header { tag: next_tag(), id: SocketId(0), fd: -1, domain: Domain::V4 };
    transmit(fd, header, &Request::Ring)?;
    let mut buffer = [0; MAX_MESSAGE];
    loop {
        let (got, file) = OneDescriptor::new().receive(&mut buffer, |message| {
            // SAFETY: the part and the control buffer live across the call.
            unsafe { sys::recvmsg(fd, message, libc::MSG_CMSG_CLOEXEC) }
        });
        match (got, file) {
            (Err(Errno::EINTR), _) => continue,
            (_, Some(file)) => {
                ring::map(file, stack);
                sys::close(file);
            }
            (_, None) => ring::note_failure(),
        }
        let answer = buffer.get(..got.unwrap_or(0)).unwrap_or_default();
        return if is_answer(answer, header.tag) { Ok(()) } else { Err(Broken) };
    }
}
