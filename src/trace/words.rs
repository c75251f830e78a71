//! What happened in words: calls as strace(1) writes them, segments nearly as tcpdump(8) does,
//! states as ss(8) does.
//!
//! One phrase each, without time and place ([`super::line`] puts those before). Where addresses
//! are of no interest, because all of it is on 127.0.0.1, only ports are written.

use core::fmt::Write as _;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use super::numbers::Numbers;
use super::record::{
    Agent, Argument, Arrival, Call, End, Expiry, Fate, Operation, Refusal, Segment, Sending,
    Transition,
};
use super::text::Text as _;
use crate::ipc::record::Api;
use crate::tcp::{State, Timer};
use crate::wire::{Flags, Options, SeqNum};

/// Which options of segments are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OptionsShown {
    /// Those that say something new: of a SYN all, else SACK.
    News,
    /// All.
    All,
}

/// An address; of 127.0.0.1 the port only.
pub fn place(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::LOCALHOST) => format!(":{}", address.port()),
        ip if ip.is_unspecified() => format!("*:{}", address.port()),
        _ => address.to_string(),
    }
}

/// From whom to whom; addresses in full unless both are 127.0.0.1.
pub fn pair(from: SocketAddr, to: SocketAddr) -> String {
    let short = [from, to].iter().all(|address| address.ip() == Ipv4Addr::LOCALHOST);
    if short { format!("{} > {}", place(from), place(to)) } else { format!("{from} > {to}") }
}

/// A socket or the end of a connection; nothing where it has no address.
pub fn end(end: &End) -> String {
    match (end.local, end.remote) {
        (Some(local), Some(remote)) => pair(local, remote),
        (Some(local), None) => place(local),
        _ => String::new(),
    }
}

/// A state as `ss` writes it; one that is no socket's any more is CLOSED.
pub fn state(state: State) -> &'static str {
    match state {
        State::Closed => "CLOSED",
        other => other.ss_name(),
    }
}

/// `accept(3) = 5  <- 127.0.0.1:40000`
pub fn call(call: &Call) -> String {
    let mut text = format!("{}({}", call.api.name(), descriptor(call));
    match call.argument {
        Argument::None if call.api == Api::Connect => text.push_str(", AF_UNSPEC"),
        Argument::None | Argument::Accepted(_) => {}
        Argument::Address(address) => _ = write!(text, ", {address}"),
        Argument::Backlog(backlog) => _ = write!(text, ", {backlog}"),
        Argument::How(how) => _ = write!(text, ", {}", direction(how)),
        Argument::Option(level, name) => _ = write!(text, ", {}", option(level, name)),
        Argument::Octets(octets) => _ = write!(text, ", {octets}"),
    }
    let _ = match call.errno {
        Some(errno) => write!(text, ") = -1 {}", Some(errno).to_text().unwrap_or_default()),
        None => write!(text, ") = {}", call.value),
    };
    if call.times > 1 {
        let _ = write!(text, " ({} times)", call.times);
    }
    if call.took_ns > 0 {
        let _ = write!(text, " <{}>", seconds(call.took_ns));
    }
    match (call.argument, call.end.remote) {
        (Argument::Accepted(accepted), _) => {
            if let Some(remote) = accepted.remote {
                let _ = write!(text, "  <- {remote}");
            }
        }
        (Argument::Address(_), _) | (_, None) => {}
        (_, Some(_)) => _ = write!(text, "  {}", end(&call.end)),
    }
    text
}

/// The descriptor, where it is known. Of accept() it is known only when it fails: who takes a
/// connection says where it has put it.
fn descriptor(call: &Call) -> String {
    let is_new = call.api == Api::Accept && i64::from(call.fd) == call.value;
    if call.fd < 0 || is_new { String::new() } else { call.fd.to_string() }
}

/// Seconds with six digits.
pub fn seconds(nanos: u64) -> String {
    format!("{}.{:06}", nanos / 1_000_000_000, nanos / 1000 % 1_000_000)
}

fn direction(how: i32) -> String {
    match how {
        libc::SHUT_RD => "SHUT_RD".to_owned(),
        libc::SHUT_WR => "SHUT_WR".to_owned(),
        libc::SHUT_RDWR => "SHUT_RDWR".to_owned(),
        other => other.to_string(),
    }
}

/// `SOL_SOCKET, SO_REUSEADDR`; numbers where the names are not known here.
pub(crate) fn option(level: i32, name: i32) -> String {
    let socket = [
        (libc::SO_REUSEADDR, "SO_REUSEADDR"),
        (libc::SO_REUSEPORT, "SO_REUSEPORT"),
        (libc::SO_ERROR, "SO_ERROR"),
        (libc::SO_KEEPALIVE, "SO_KEEPALIVE"),
        (libc::SO_LINGER, "SO_LINGER"),
        (libc::SO_SNDBUF, "SO_SNDBUF"),
        (libc::SO_RCVBUF, "SO_RCVBUF"),
        (libc::SO_RCVTIMEO, "SO_RCVTIMEO"),
        (libc::SO_SNDTIMEO, "SO_SNDTIMEO"),
        (libc::SO_RCVLOWAT, "SO_RCVLOWAT"),
        (libc::SO_OOBINLINE, "SO_OOBINLINE"),
        (libc::SO_ACCEPTCONN, "SO_ACCEPTCONN"),
        (libc::SO_TYPE, "SO_TYPE"),
        (libc::SO_DOMAIN, "SO_DOMAIN"),
        (libc::SO_PROTOCOL, "SO_PROTOCOL"),
    ];
    let tcp = [
        (libc::TCP_NODELAY, "TCP_NODELAY"),
        (libc::TCP_CORK, "TCP_CORK"),
        (libc::TCP_MAXSEG, "TCP_MAXSEG"),
        (libc::TCP_KEEPIDLE, "TCP_KEEPIDLE"),
        (libc::TCP_KEEPINTVL, "TCP_KEEPINTVL"),
        (libc::TCP_KEEPCNT, "TCP_KEEPCNT"),
        (libc::TCP_SYNCNT, "TCP_SYNCNT"),
        (libc::TCP_LINGER2, "TCP_LINGER2"),
        (libc::TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT"),
        (libc::TCP_WINDOW_CLAMP, "TCP_WINDOW_CLAMP"),
        (libc::TCP_INFO, "TCP_INFO"),
        (libc::TCP_QUICKACK, "TCP_QUICKACK"),
        (libc::TCP_CONGESTION, "TCP_CONGESTION"),
        (libc::TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT"),
        (libc::TCP_FASTOPEN, "TCP_FASTOPEN"),
    ];
    let (of, names): (_, &[(i32, &str)]) = match level {
        libc::SOL_SOCKET => ("SOL_SOCKET", &socket),
        libc::IPPROTO_TCP => ("IPPROTO_TCP", &tcp),
        libc::IPPROTO_IP => ("IPPROTO_IP", &[(libc::IP_TOS, "IP_TOS"), (libc::IP_TTL, "IP_TTL")]),
        libc::IPPROTO_IPV6 => ("IPPROTO_IPV6", &[(libc::IPV6_V6ONLY, "IPV6_V6ONLY")]),
        _ => return format!("{level}, {name}"),
    };
    match names.iter().find(|(known, _)| *known == name) {
        Some((_, name)) => format!("{of}, {name}"),
        None => format!("{of}, {name}"),
    }
}

/// `PSH,ACK seq 1:6 ack 1 win 512 (retransmission)`
pub fn segment(segment: &Segment, shown: OptionsShown) -> String {
    let relative = segment.relative_seq();
    let ack = segment.flags.ack().then(|| segment.relative_ack().unwrap_or(segment.ack));
    let seq = relative.unwrap_or(segment.seq);
    let mut text = numbers(segment.flags, seq, segment.text_len, ack);
    let _ = write!(text, " win {}", segment.window);
    let relative_sack = |right: SeqNum| match segment.peer_isn {
        Some(isn) => right.0.wrapping_sub(isn),
        None => right.0,
    };
    let all = shown == OptionsShown::All || segment.flags.syn();
    text.push_str(&options(&segment.options, all, relative_sack));
    for remark in remarks(segment) {
        let _ = write!(text, " ({remark})");
    }
    if let Some(fate) = fate(segment) {
        let _ = write!(text, "  {fate}");
    }
    text
}

/// What there is to say of a segment beside its header.
pub fn remarks(segment: &Segment) -> Vec<String> {
    let sending = match segment.sending {
        Sending::First | Sending::Reply => None,
        Sending::Again => Some("retransmission".to_owned()),
        Sending::Probe => Some("probe".to_owned()),
    };
    let reset = segment.reset.map(|reason| reason.to_string());
    sending.into_iter().chain(reset).collect()
}

/// What the link made of a segment, unless it passed.
pub fn fate(segment: &Segment) -> Option<String> {
    Some(match segment.fate {
        Fate::Passed => return None,
        Fate::Lost(Agent::Wire) => "x not delivered by the kernel".to_owned(),
        Fate::Lost(agent) => format!("x dropped by {agent}"),
        Fate::Held(agent) => format!("held by {agent}"),
        Fate::Delayed(agent, until_ns) => {
            format!("delayed by {agent} until {}", seconds(until_ns))
        }
        Fate::Copied(agent, 1) => format!("copied by {agent}"),
        Fate::Copied(agent, copies) => format!("copied {copies} times by {agent}"),
        Fate::Corrupted(agent) => format!("corrupted by {agent}"),
        Fate::Trimmed(agent, octets) => format!("cut to {octets} octets by {agent}"),
        Fate::Followed(agent) => format!("followed by a RST that {agent} forged"),
        Fate::Reset(agent) => format!("x dropped by {agent}, which answers with a RST"),
    })
}

/// `SYN,ACK seq 0 ack 1`
pub fn arrival(arrival: &Arrival, known: &Numbers) -> String {
    let [seq, ack] = known.relative(arrival.from, arrival.to, [arrival.seq, arrival.ack]);
    let ack = arrival.flags.ack().then_some(ack);
    numbers(arrival.flags, seq, arrival.text_len, ack)
}

fn numbers(flags: Flags, seq: u32, text_len: u32, ack: Option<u32>) -> String {
    let mut text = flags.to_string();
    if text_len > 0 {
        let _ = write!(text, " seq {seq}:{}", seq.wrapping_add(text_len));
    } else if flags.intersects(Flags::SYN | Flags::FIN | Flags::RST) || ack.is_none() {
        let _ = write!(text, " seq {seq}");
    }
    if let Some(ack) = ack {
        let _ = write!(text, " ack {ack}");
    }
    text
}

fn options(options: &Options, all: bool, relative: impl Fn(SeqNum) -> u32) -> String {
    let mut words = Vec::new();
    if all {
        words.extend(options.mss.map(|mss| format!("mss {mss}")));
        words.extend(options.sack_permitted.then(|| "sackOK".to_owned()));
        let timestamps = options.timestamps;
        words.extend(timestamps.map(|stamp| format!("TS val {} ecr {}", stamp.val, stamp.ecr)));
        words.extend(options.window_scale.map(|shift| format!("wscale {shift}")));
    }
    let block = |(left, right)| format!("sack {}:{}", relative(left), relative(right));
    words.extend(options.sack_blocks().map(block));
    if words.is_empty() { String::new() } else { format!(" <{}>", words.join(",")) }
}

/// `ESTAB -> CLOSE-WAIT  (rcv FIN,ACK)`
pub fn transition(transition: &Transition) -> String {
    let cause = transition.cause.to_text().unwrap_or_default();
    let reset = transition.reset.map(|reason| format!("; {reason}")).unwrap_or_default();
    let cause = cause.strip_prefix("timer ").map_or(cause.clone(), |_| match transition.cause {
        crate::tcp::Cause::Timer(timer) => format!("{} timer", timer_name(timer)),
        _ => cause.clone(),
    });
    format!("{} -> {}  ({cause}{reset})", state(transition.from), state(transition.to))
}

fn timer_name(timer: Timer) -> &'static str {
    match timer {
        Timer::Retransmit => "retransmission",
        Timer::Persist => "persist",
        Timer::KeepAlive => "keep-alive",
        Timer::DelayedAck => "delayed ACK",
        Timer::FinWait2 => "FIN-WAIT-2",
        Timer::TimeWait => "TIME-WAIT",
        Timer::User => "user timeout",
    }
}

/// `retransmission timer, 2nd time`
pub fn expiry(expiry: &Expiry) -> String {
    let count = expiry.count;
    let name = timer_name(expiry.timer);
    let suffix = match (count % 10, count % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    match count {
        0 | 1 => format!("{name} timer"),
        _ => format!("{name} timer, {count}{suffix} time"),
    }
}

/// `x ACK seq 5 not taken: out of the window`
pub fn refusal(refusal: &Refusal, known: &Numbers) -> String {
    let seq = match (refusal.end.remote, refusal.end.local) {
        (Some(from), Some(to)) => known.relative(from, to, [refusal.seq, 0])[0],
        _ => refusal.seq,
    };
    let what = numbers(refusal.flags, seq, refusal.text_len, None);
    format!("x {what} not taken: {}", refusal.why)
}

/// `clock put forward by 60s`
pub fn operation(operation: &Operation) -> String {
    match operation {
        Operation::Advanced(nanos) => {
            format!("clock put forward by {:?}", Duration::from_nanos(*nanos))
        }
        Operation::Scaled(scale) => format!("clock runs at {scale}"),
        Operation::Paused => "clock paused".to_owned(),
        Operation::Resumed => "clock goes on".to_owned(),
        Operation::Released(0) => "every rule released what it held".to_owned(),
        Operation::Released(rule) => format!("rule {rule} released what it held"),
        Operation::LinkChanged => "link changed".to_owned(),
        Operation::SysctlSet => "sysctl set".to_owned(),
        Operation::TracingOn => "full tracing begins".to_owned(),
        Operation::TracingOff => "full tracing ends".to_owned(),
    }
}
