//! Which records are worth a line among the last events, how loudly, and which of them concern a
//! connection. The lines are those of `tcplab trace`.

use core::net::SocketAddr;

use tcplab::inspect::SocketRow;
use tcplab::ipc::Errno;
use tcplab::trace::{End, Fate, Sending, What};

/// How loudly an event is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tone {
    /// The usual course.
    Plain,
    /// Somebody waits or tries again.
    Careful,
    /// Something was refused, lost, reset.
    Bad,
}

/// Whether a record is an event: no segment that does what it should, no call that succeeds.
pub(super) fn is_event(what: &What) -> bool {
    match what {
        What::State(_) | What::Timer(_) | What::Dropped(_) | What::Operator(_) => true,
        What::Segment(segment) => {
            segment.flags.rst()
                || segment.fate != Fate::Passed
                || matches!(segment.sending, Sending::Again | Sending::Probe)
        }
        What::Call(call) => call.errno.is_some_and(is_failure),
        What::Arrival(_) => false,
    }
}

/// Whether a call has failed: with these errors a program is told to go on otherwise.
fn is_failure(errno: Errno) -> bool {
    ![Errno::EAGAIN, Errno::EINPROGRESS, Errno::EALREADY, Errno::EINTR].contains(&errno)
}

/// How loudly.
pub(super) fn tone(what: &What) -> Tone {
    match what {
        What::State(change) if change.reset.is_some() => Tone::Bad,
        What::Dropped(_) => Tone::Bad,
        What::Segment(segment) if segment.flags.rst() || segment.fate != Fate::Passed => Tone::Bad,
        What::Segment(segment) if segment.sending != Sending::First => Tone::Careful,
        What::Call(call) if call.errno.is_some_and(is_failure) => Tone::Bad,
        What::Timer(_) | What::Operator(_) => Tone::Careful,
        _ => Tone::Plain,
    }
}

/// Whether a record is about the connection or socket of a row, seen from this end or between
/// both.
pub(super) fn concerns(what: &What, row: &SocketRow) -> bool {
    let is_end = |end: &End| {
        let same_socket = end.socket.is_some_and(|id| format!("{id:?}") == row.id);
        let pair = end.local.zip(end.remote).zip(row.peer);
        same_socket
            || pair
                .is_some_and(|((local, remote), peer)| same(local, row.local) && same(remote, peer))
    };
    let between = |from: SocketAddr, to: SocketAddr| {
        row.peer.is_some_and(|peer| {
            same(from, row.local) && same(to, peer) || same(from, peer) && same(to, row.local)
        })
    };
    match what {
        What::Call(call) => is_end(&call.end),
        What::State(change) => is_end(&change.end),
        What::Timer(expiry) => is_end(&expiry.end),
        What::Dropped(refusal) => is_end(&refusal.end),
        What::Segment(segment) => between(segment.from, segment.to),
        What::Arrival(arrival) => between(arrival.from, arrival.to),
        What::Operator(_) => false,
    }
}

/// The same address, also where one is written as mapped into IPv6.
fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.ip().to_canonical() == b.ip().to_canonical()
}
