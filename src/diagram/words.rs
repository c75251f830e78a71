//! Calls, segments and times as the words that stand in a diagram.
//!
//! Every word has a long form, and a short one for where there is little room.

use core::net::SocketAddr;
use core::time::Duration;

use crate::ipc::record::Api;
use crate::tcp::{Dropped, Timer};
use crate::trace::{Agent, Argument, Arrival, Call, Fate, Segment, Sending};
use crate::wire::Flags;

/// Something said at several lengths, the longest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Words(Vec<String>);

impl Words {
    fn of(forms: impl IntoIterator<Item = String>) -> Words {
        Words(forms.into_iter().collect())
    }

    /// The longest form.
    pub(super) fn long(&self) -> &str {
        self.fitting(usize::MAX)
    }

    /// The longest form that fits in so many columns, else the shortest.
    pub(super) fn fitting(&self, room: usize) -> &str {
        let fits = |form: &&String| form.chars().count() <= room;
        self.0.iter().find(fits).or(self.0.last()).map_or("", String::as_str)
    }
}

/// What is said of a segment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct SegmentWords {
    /// Control bits, relative numbers, octets of text.
    pub(super) head: String,
    /// Said always, on a line of its own where there is no room.
    pub(super) must: Vec<String>,
    /// Said where there is room.
    pub(super) may: Vec<String>,
}

impl SegmentWords {
    /// Everything.
    pub(super) fn all(&self) -> String {
        let words = [&self.head].into_iter().chain(&self.may).chain(&self.must);
        words.map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// The call with its arguments, made at an end of a connection between these addresses.
pub(super) fn call(call: &Call, addresses: &[SocketAddr; 2]) -> Words {
    Words::of(call_forms(call, addresses))
}

/// With everything, and with what matters.
fn call_forms(call: &Call, addresses: &[SocketAddr; 2]) -> [String; 2] {
    let function = call.api.name();
    // accept() is told by the descriptor that it returned.
    let known = call.fd >= 0 && !(call.api == Api::Accept && i64::from(call.fd) == call.value);
    let fd = known.then(|| call.fd.to_string());
    let with = |argument: Option<String>| {
        let arguments: Vec<String> = [fd.clone(), argument].into_iter().flatten().collect();
        format!("{function}({})", arguments.join(", "))
    };
    let short = |argument: String| format!("{function}({argument})");
    match call.argument {
        Argument::Address(address) => {
            [with(Some(address.to_string())), short(short_address(address, addresses))]
        }
        Argument::None if call.api == Api::Connect => {
            [with(Some("AF_UNSPEC".to_owned())), short("AF_UNSPEC".to_owned())]
        }
        Argument::Backlog(backlog) => [with(Some(backlog.to_string())), short(backlog.to_string())],
        Argument::How(how) => [with(Some(direction(how, "SHUT_"))), short(direction(how, ""))],
        Argument::Option(level, name) => {
            [with(Some(option_name(level, name))), short(String::new())]
        }
        Argument::Octets(octets) => [with(Some(octets.to_string())), with(None)],
        Argument::None | Argument::Accepted(_) => [with(None), with(None)],
    }
}

/// What a call returned, with and without the -1.
fn outcome_forms(call: &Call) -> [String; 2] {
    match call.errno {
        None if call.times > 1 => {
            [format!("= {} ({} times)", call.value, call.times), format!("= {}", call.value)]
        }
        None => [format!("= {}", call.value), format!("= {}", call.value)],
        Some(errno) => {
            let name = match errno.name() {
                "E?" => format!("errno {}", errno.0),
                name => name.to_owned(),
            };
            [format!("= -1 {name}"), format!("= {name}")]
        }
    }
}

/// A call that succeeds at once, on one line.
pub(super) fn whole_call(of: &Call, addresses: &[SocketAddr; 2]) -> Words {
    let ([long, short], [value, _]) = (call_forms(of, addresses), outcome_forms(of));
    // That the others succeed goes without saying.
    let tells = matches!(of.api, Api::Read | Api::Write | Api::Accept | Api::Sendfile);
    let shortest = (!tells && of.value == 0).then(|| short.clone());
    let forms = [format!("{long} {value}"), format!("{short} {value}")];
    Words::of(forms.into_iter().chain(shortest))
}

/// A call that is made so often with the same outcome.
pub(super) fn repeated(of: &Call, addresses: &[SocketAddr; 2], count: u64) -> Words {
    let [long, short] = call_forms(of, addresses);
    let [_, brief] = outcome_forms(of);
    let name = of.api.name();
    Words::of([
        format!("{count} × {long} {brief}"),
        format!("{count} × {short} {brief}"),
        format!("{count} × {name}() {brief}"),
        format!("{count} × {name} {brief}"),
        format!("{count} × {brief}"),
    ])
}

/// Octets of text that there is no record of.
pub(super) fn unrecorded(octets: u32) -> SegmentWords {
    let head = format!("{octets} octets, not recorded");
    SegmentWords { head, ..SegmentWords::default() }
}

/// The return of a call that took a while, or failed.
pub(super) fn return_of(of: &Call) -> Words {
    let [value, brief] = outcome_forms(of);
    Words::of([format!("{}() {value}", of.api.name()), brief])
}

/// Many calls.
pub(super) fn calls(api: Api, count: usize, octets: u64) -> Words {
    let name = api.name();
    let short = format!("{count} × {name}()");
    Words::of([format!("{short} = {octets}"), short, format!("{count} {name}()")])
}

/// Many segments of text.
pub(super) fn segments(count: usize, octets: u64, lost: usize, again: usize) -> SegmentWords {
    let mut must = Vec::new();
    if again > 0 {
        must.push(format!("{again} again"));
    }
    if lost > 0 {
        must.push(format!("{lost} lost"));
    }
    let head = format!("{count} segments, {octets} octets");
    SegmentWords { head, must, may: Vec::new() }
}

/// A socket option without its level.
fn option_name(level: i32, name: i32) -> String {
    let all = crate::trace::words::option(level, name);
    all.rsplit_once(", ").map_or(all.clone(), |(_, name)| name.to_owned())
}

/// An address without its IP where that stands at the head of the picture.
fn short_address(address: SocketAddr, addresses: &[SocketAddr; 2]) -> String {
    let ip = address.ip().to_canonical();
    let known = addresses.iter().any(|end| end.ip().to_canonical() == ip);
    match known || ip.is_unspecified() {
        true => format!(":{}", address.port()),
        false => address.to_string(),
    }
}

fn direction(how: i32, prefix: &str) -> String {
    let name = match how {
        libc::SHUT_RD => "RD",
        libc::SHUT_WR => "WR",
        _ => "RDWR",
    };
    format!("{prefix}{name}")
}

/// A segment; `isns` are those of the sender and of the receiver, where they are known.
pub(super) fn segment(of: &Segment, isns: [Option<u32>; 2]) -> SegmentWords {
    let isns = [of.isn.or(isns[0]), of.peer_isn.or(isns[1])];
    let head = head(of.flags, [of.seq, of.ack], isns, of.text_len);
    let mut must = Vec::new();
    match of.sending {
        Sending::Again => must.push("again".to_owned()),
        Sending::Probe => must.push("probe".to_owned()),
        Sending::First | Sending::Reply => {}
    }
    if let Some(reason) = of.reset {
        must.push(format!("({reason})"));
    }
    if of.window == 0 && !of.flags.rst() {
        must.push("win=0".to_owned());
    }
    match of.fate {
        Fate::Held(agent) => must.push(format!("held by {agent}")),
        Fate::Delayed(agent @ Agent::Rule(_), _) => must.push(format!("delayed by {agent}")),
        Fate::Copied(agent, 1) => must.push(format!("copied by {agent}")),
        Fate::Copied(agent, copies) => must.push(format!("{copies} copies by {agent}")),
        Fate::Corrupted(agent) => must.push(format!("corrupted by {agent}")),
        Fate::Trimmed(agent, len) => must.push(format!("cut to {len} octets by {agent}")),
        Fate::Followed(agent) => must.push(format!("{agent} forges a RST")),
        Fate::Passed | Fate::Lost(_) | Fate::Delayed(..) | Fate::Reset(_) => {}
    }
    let mss = of.options.mss.filter(|_| of.flags.syn()).map(|mss| format!("mss={mss}"));
    SegmentWords { head, must, may: mss.into_iter().collect() }
}

/// A segment that another stack sent.
pub(super) fn arrival(of: &Arrival, isns: [Option<u32>; 2]) -> SegmentWords {
    let head = head(of.flags, [of.seq, of.ack], isns, of.text_len);
    SegmentWords { head, ..SegmentWords::default() }
}

fn head(flags: Flags, numbers: [u32; 2], isns: [Option<u32>; 2], text_len: u32) -> String {
    let [seq, ack] = numbers;
    let mut head = format!("{flags} seq={}", relative(seq, isns[0]));
    if flags.ack() {
        head.push_str(&format!(" ack={}", relative(ack, isns[1])));
    }
    if text_len > 0 {
        head.push_str(&format!(" len={text_len}"));
    }
    head
}

/// A number counted from the initial one; as it is, where that is not known. One that lies a
/// little before it (a keep-alive probe, an old segment) is negative.
fn relative(number: u32, isn: Option<u32>) -> String {
    match isn {
        Some(isn) => number.wrapping_sub(isn).cast_signed().to_string(),
        None => number.to_string(),
    }
}

/// A timer that ran out.
pub(super) fn timer(timer: Timer, count: u32) -> String {
    match timer {
        Timer::Retransmit => format!("(retransmit {count})"),
        Timer::Persist => format!("(window probe {count})"),
        Timer::KeepAlive => format!("(keep-alive {count})"),
        Timer::DelayedAck => "(delayed ACK)".to_owned(),
        Timer::FinWait2 => "(fin timeout)".to_owned(),
        Timer::TimeWait => "(2MSL over)".to_owned(),
        Timer::User => "(user timeout)".to_owned(),
    }
}

/// A timer, as the reason of a silence.
pub(super) const fn silence(timer: Timer) -> &'static str {
    match timer {
        Timer::Retransmit => "retransmission",
        Timer::Persist => "window probe",
        Timer::KeepAlive => "keep-alive",
        Timer::DelayedAck => "delayed ACK",
        Timer::FinWait2 => "tcp_fin_timeout",
        Timer::TimeWait => "2MSL",
        Timer::User => "user timeout",
    }
}

/// Why a segment was not taken.
pub(super) fn refusal(why: Dropped) -> String {
    match why {
        // What happens instead is to be seen.
        Dropped::Challenged | Dropped::DuplicateSyn => why.as_str().to_owned(),
        _ => format!("dropped: {why}"),
    }
}

/// A time with its unit, to three digits.
pub(super) fn time(nanos: u64) -> String {
    let duration = Duration::from_nanos(nanos);
    // A unit is taken only where the number that is written is below the next one.
    let (value, unit) = match nanos {
        ..1000 => return "0".to_owned(),
        1000..999_500 => (duration.as_secs_f64() * 1e6, "us"),
        999_500..999_500_000 => (duration.as_secs_f64() * 1e3, "ms"),
        999_500_000..7_200_000_000_000 => (duration.as_secs_f64(), "s"),
        _ => (duration.as_secs_f64() / 3600.0, "h"),
    };
    let text = match value {
        ..9.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}
