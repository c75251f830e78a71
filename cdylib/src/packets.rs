//! One packet there, one back: requests and replies on a channel of [`crate::control`].

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use libc::c_int;
use tcplab_ipc::Errno;
use tcplab_ipc::message::{Header, MAX_MESSAGE, Reply, Request};

use crate::sys;

/// How long a reply is looked for before the thread sleeps.
const PATIENCE_NS: u64 = 100_000;
/// A processor that comes back later than this after it was given up is wanted by others.
const LATE_NS: u64 = 1_000_000;
/// How long replies are then not looked for.
const CROWDED_NS: u64 = 100_000_000;

/// One reply, or request.
pub(crate) type Buffer = [u8; MAX_MESSAGE];

/// The other end of a channel is gone, or does not speak our language.
pub(crate) struct Broken;

/// A number for the next request.
pub(crate) fn next_tag() -> u32 {
    static TAG: AtomicU32 = AtomicU32::new(1);
    TAG.fetch_add(1, Ordering::Relaxed)
}

/// Sends a request.
pub(crate) fn transmit(fd: c_int, header: Header, request: &Request<'_>) -> Result<(), Broken> {
    let mut packet = [0; MAX_MESSAGE];
    let len = request.encode(header, &mut packet).map_err(|_| Broken)?;
    let packet = packet.get(..len).ok_or(Broken)?;
    loop {
        match sys::send(fd, packet, libc::MSG_NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(_) => return Err(Broken),
        }
    }
}

/// Sends a request and waits for its reply; the length of that.
pub(crate) fn exchange(
    fd: c_int,
    header: Header,
    request: &Request<'_>,
    buffer: &mut Buffer,
) -> Result<usize, Broken> {
    transmit(fd, header, request)?;
    loop {
        match look_and_wait(|flags| sys::recv(fd, buffer, flags)) {
            Ok(len) if is_answer(buffer.get(..len).unwrap_or_default(), header.tag) => {
                return Ok(len);
            }
            Err(Errno::EINTR) => {}
            _ => return Err(Broken),
        }
    }
}

/// Receives a reply. Looks for it a little while before the thread sleeps: most come sooner than a
/// processor is sent to sleep and woken, and to wake one costs the stack more than the answer. Not
/// so where others want the processor: it comes back sooner to who sleeps and is woken.
pub(crate) fn look_and_wait(
    mut receive: impl FnMut(c_int) -> sys::Result<usize>,
) -> sys::Result<usize> {
    static CROWDED_UNTIL_NS: AtomicU64 = AtomicU64::new(0);
    let began = sys::now_ns();
    let mut now = began;
    while now - began < PATIENCE_NS && CROWDED_UNTIL_NS.load(Ordering::Relaxed) <= began {
        match receive(libc::MSG_DONTWAIT) {
            Err(Errno::EAGAIN) => sys::yield_processor(),
            other => return other,
        }
        now = sys::now_ns();
    }
    if now - began > LATE_NS {
        CROWDED_UNTIL_NS.store(now + CROWDED_NS, Ordering::Relaxed);
    }
    receive(0)
}

/// Whether the packet is the reply to the request with this tag.
pub(crate) fn is_answer(packet: &[u8], tag: u32) -> bool {
    matches!(Reply::decode(packet), Ok((answered, _)) if answered == tag)
}
