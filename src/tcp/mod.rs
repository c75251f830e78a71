//! One TCP connection as a machine without sockets, clock, threads or randomness (RFC 9293).
//! (skeleton of the contract; owner "tcp" cuts it into files as STYLE says and documents it.)
//!
//! Contract: one mutation (`handle_*` or a user call), then drain `poll_transmit` until `None`,
//! `poll_event` until `None`, then `poll_timeout`; then the next mutation.

use crate::ipc::Errno;
use crate::time::{Duration, Instant};
use crate::wire::{Header, Segment, SeqNum};
use core::net::SocketAddr;

/// Both ends of a connection. Never IPv4-mapped IPv6: the host unmaps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct FourTuple {
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

/// RFC 9293 3.3.2. `Display` prints as `ss` does (ESTAB, SYN-SENT, SYN-RECV, ...), `rfc_name()` as the RFC does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    Closed,
    Listen,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
}

/// Everything the connection takes from sysctls and socket options. Changeable while it lives
/// (`Tcb::config_mut`), each field is read when it matters.
#[derive(Clone, Debug)]
pub struct Config {
    /// largest payload + options this path carries (path MTU - IP - UDP - 20); advertised as MSS and caps ours
    pub mss: u16,
    pub send_buffer: usize,
    pub receive_buffer: usize,
    pub timestamps: bool,
    pub window_scaling: bool,
    pub sack: bool,
    pub nodelay: bool,
    pub cork: bool,
    pub quickack: bool,
    /// None: off. SO_KEEPALIVE with TCP_KEEPIDLE/INTVL/CNT
    pub keepalive: Option<KeepAlive>,
    /// TCP_USER_TIMEOUT
    pub user_timeout: Option<Duration>,
    pub syn_retries: u8,
    pub synack_retries: u8,
    pub retries2: u8,
    pub orphan_retries: u8,
    /// orphan in FIN-WAIT-2 (tcp_fin_timeout / TCP_LINGER2); None = for ever
    pub fin_timeout: Option<Duration>,
    /// TIME-WAIT length = 2 MSL
    pub msl: Duration,
    pub rto_initial: Duration,
    pub rto_min: Duration,
    pub rto_max: Duration,
    pub delayed_ack: Duration,
    pub initial_window: u32,
    pub challenge_ack_limit: u32,
    // owner adds what is missing (adv_win_scale, abort_on_overflow belongs to the host, ...)
}
#[derive(Clone, Copy, Debug)]
pub struct KeepAlive {
    pub idle: Duration,
    pub interval: Duration,
    pub probes: u8,
}

/// Why a connection was reset or a RST was sent: shown in `ss`, trace and diagrams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResetReason {
    NoListener,
    NoConnection,
    UnreadData,
    LingerZero,
    DataAfterClose,
    AcceptQueueOverflow,
    ListenerClosed,
    Aborted,
    UnacceptableAck,
    Peer,
    Timeout, /* ... */
}

/// What happened, for the host. Drained by `poll_event`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// state changed; the only door for transitions emits it. `cause`: a call, a segment, a timer
    State { from: State, to: State, cause: Cause },
    /// handshake finished (both roles)
    Established,
    /// new in-order octets for the program
    Readable,
    /// the send buffer has room again after having been full
    Writable,
    /// the peer's FIN was reached in sequence: EOF after the octets before it
    PeerClosed,
    /// all we sent incl. FIN is acknowledged (linger waits for this)
    FinAcked,
    /// out-of-band octet arrived at this offset from what is now readable (RFC 9293 3.8.5; Linux: one octet, urgent pointer points past it)
    Urgent { offset: usize, octet: u8 },
    /// connection died: errno the program sees (ECONNRESET, ECONNREFUSED, ETIMEDOUT, EPIPE for RST in CLOSE-WAIT as Linux, EHOSTUNREACH...)
    Failed { errno: Errno, reason: ResetReason },
    /// TCB can be deleted (after Failed, LAST-ACK acknowledged, ...) or, with TimeWait state, turned into a `TimeWait`
    Closed,
}
/// What made a transition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    Open,
    Close,
    Shutdown,
    Abort,
    Segment(crate::wire::Flags),
    Timer(Timer),
}
/// Timers of a connection; one table, names as `ss -o` prints them where it does (on, keepalive, timewait, persist).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    Retransmit,
    Persist,
    KeepAlive,
    DelayedAck,
    FinWait2,
    TimeWait,
    User,
}

/// How the program let go of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Release {
    /// FIN after all that is queued
    Graceful,
    /// RST at once (linger 0, unread data, listener closed, program killed with unread data ...)
    Abort(ResetReason),
}

/// A segment to send: header with everything filled in, text as the two halves of the ring.
pub struct Outgoing<'a> {
    pub header: Header,
    pub payload: (&'a [u8], &'a [u8]),
}

/// Transmission control block, SYN-SENT to TIME-WAIT.
pub struct Tcb {
    _owner_fills: (),
}

#[allow(unused_variables)]
impl Tcb {
    /// Active OPEN. `iss` and `ts_offset` come from the host (RFC 6528, RFC 7323 5.4).
    pub fn connect(
        now: Instant,
        config: Config,
        tuple: FourTuple,
        iss: SeqNum,
        ts_offset: u32,
    ) -> Tcb {
        todo!()
    }
    /// Passive OPEN: `syn` was acceptable to a listener. State SYN-RECEIVED, SYN+ACK is queued.
    pub fn accept(
        now: Instant,
        config: Config,
        tuple: FourTuple,
        iss: SeqNum,
        ts_offset: u32,
        syn: &Segment<'_>,
    ) -> Tcb {
        todo!()
    }

    pub fn handle_segment(&mut self, now: Instant, segment: &Segment<'_>) {
        todo!()
    }
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Outgoing<'_>> {
        todo!()
    }
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    // user calls
    /// Room in the send buffer.
    pub fn send_space(&self) -> usize {
        todo!()
    }
    /// Up to `max` free octets of the send ring to read into (grows the ring up to config.send_buffer); then `commit`.
    pub fn send_reserve(&mut self, max: usize) -> (&mut [u8], &mut [u8]) {
        todo!()
    }
    pub fn send_commit(&mut self, now: Instant, len: usize) {
        todo!()
    }
    /// `send_reserve`+`send_commit` from a slice; returns octets taken.
    pub fn send(&mut self, now: Instant, octets: &[u8]) -> usize {
        todo!()
    }
    /// The octet last committed is urgent (MSG_OOB).
    pub fn mark_urgent(&mut self, now: Instant) {
        todo!()
    }
    /// In-order octets not yet handed to the program.
    pub fn received(&self) -> (&[u8], &[u8]) {
        todo!()
    }
    /// `len` of them went into the program's kernel socket.
    pub fn consume(&mut self, now: Instant, len: usize) {
        todo!()
    }
    /// Octets handed over that the program has not read yet: they count against the window. May queue a window update.
    pub fn set_unread(&mut self, now: Instant, octets: usize) {
        todo!()
    }
    /// The offered window is so small that the host should watch the program's reading (EPOLLOUT on its pair).
    pub fn wants_read_progress(&self) -> bool {
        todo!()
    }
    /// FIN after all queued octets (shutdown(SHUT_WR)).
    pub fn shutdown_write(&mut self, now: Instant) {
        todo!()
    }
    /// Last descriptor closed: orphan from now on.
    pub fn release(&mut self, now: Instant, how: Release) {
        todo!()
    }

    // STATUS
    pub fn state(&self) -> State {
        todo!()
    }
    pub fn tuple(&self) -> FourTuple {
        todo!()
    }
    pub fn config(&self) -> &Config {
        todo!()
    }
    pub fn config_mut(&mut self) -> &mut Config {
        todo!()
    }
    /// unread in-order octets incl. those handed over (ss Recv-Q) / sent-unacked + unsent (Send-Q, SIOCOUTQ)
    pub fn queues(&self) -> Queues {
        todo!()
    }
    pub fn info(&self, now: Instant) -> Info {
        todo!()
    }
    /// in state TIME-WAIT: the small thing that stays
    pub fn into_time_wait(self, now: Instant) -> TimeWait {
        todo!()
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Queues {
    pub recv: usize,
    pub send: usize,
    pub unsent: usize,
}

/// What `TCP_INFO` and `ss -i -o` show; owner completes (fields of struct tcp_info).
#[derive(Clone, Debug, Default)]
pub struct Info {
    pub rto: Duration,
    pub srtt: Duration,
    pub rttvar: Duration,
    pub cwnd: u32,
    pub ssthresh: u32,
    pub mss: u32,
    pub retransmits: u32,
    pub timer: Option<(&'static str, Duration, u32)>, /* ... */
}

/// A connection in TIME-WAIT: no buffers, no descriptor.
#[derive(Clone, Debug)]
pub struct TimeWait {
    _owner_fills: (),
}
/// What a segment did to it (Linux tcp_timewait_state_process, RFC 9293 3.10.7.4, RFC 6191).
pub enum TimeWaitVerdict {
    Drop,
    /// answer with this; `restart`: 2MSL starts afresh
    Ack {
        header: Header,
        restart: bool,
    },
    /// TIME-WAIT is over (RST, unless tcp_rfc1337)
    Delete,
    /// a new SYN that may take the 4-tuple over; use an ISS after `iss_floor`
    NewConnection {
        iss_floor: SeqNum,
    },
}
#[allow(unused_variables)]
impl TimeWait {
    pub fn tuple(&self) -> FourTuple {
        todo!()
    }
    pub fn expires(&self) -> Instant {
        todo!()
    }
    pub fn handle_segment(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        rfc1337: bool,
    ) -> TimeWaitVerdict {
        todo!()
    }
    /// tcp_tw_reuse: may connect() take the 4-tuple now? Gives the ISS floor and the timestamp to start after.
    pub fn reusable(&self, now: Instant, delay: Duration) -> Option<SeqNum> {
        todo!()
    }
}

/// RFC 9293 3.10.7.1: the RST that answers a segment for which there is no connection; None for a RST.
pub fn reset_for(segment: &Segment<'_>) -> Option<Header> {
    let _ = segment;
    todo!()
}
/// RFC 6528: M + F(4-tuple, secret); M counts every 4 us (Linux: 64 ns; owner decides and says why).
pub fn initial_sequence_number(now: Instant, tuple: &FourTuple, secret: &[u8; 16]) -> SeqNum {
    let _ = (now, tuple, secret);
    todo!()
}
