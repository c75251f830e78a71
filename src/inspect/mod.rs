//! What can be asked of a stack, as data: the rows of `tcplab ss`, `status`, `sysctl`, `netem`,
//! `rule`.
//! Serialised as JSON on the control channel between the command and the stack.

pub mod clock;
pub mod usage;
pub mod watch;
pub mod why;

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::trace::Records;

/// A request of the command line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Every socket: answer [`Answer::Sockets`].
    Sockets,
    /// Counts of what the stack holds: answer [`Answer::Status`].
    Status,
    /// Every sysctl: answer [`Answer::Sysctls`].
    Sysctls,
    /// Reads one sysctl: answer [`Answer::Sysctl`].
    GetSysctl(String),
    /// Sets one sysctl: answer [`Answer::Sysctl`] with the value as it is now.
    SetSysctl(String, String),
    /// Adds or changes an impairment, in the grammar of tc-netem(8): answer [`Answer::Netem`] with
    /// its row.
    SetNetem(NetemVerb, String),
    /// Deletes the impairment with the scope of this text, or all: answer [`Answer::Netem`] with
    /// the rows of those that are gone.
    DeleteNetem(Option<String>),
    /// Every impairment: answer [`Answer::Netem`].
    Netem,
    /// Adds a rule: answer [`Answer::Rules`] with its row.
    AddRule(String),
    /// Deletes a rule, or all: answer [`Answer::Rules`] with the rows of those that are gone.
    DeleteRules(Option<u32>),
    /// Lets go what a rule holds, or all do; at most so many of each, the oldest first: answer
    /// [`Answer::Released`].
    ReleaseHeld(Option<u32>, Option<u32>),
    /// Every rule: answer [`Answer::Rules`].
    Rules,
    /// Records from that number on, at most so many (and never more than one answer holds): answer
    /// [`Answer::Records`].
    Records {
        /// Number of the first record wanted, 0 for the oldest there is.
        since: u64,
        /// How many at most.
        most: usize,
    },
    /// Begins or ends the recording of bulk data: answer [`Answer::Done`].
    SetTracing(bool),
    /// Reads or changes the clock: answer [`Answer::Clock`].
    Clock(clock::ClockCommand),
    /// Waits for the next program with this token that is about to end and is to be looked at
    /// before (`tcplab run --check`); the last one goes on. Answer: [`Answer::Leaver`].
    NextLeaver(u64),
    /// What would become of a bind() or connect(): answer [`Answer::Why`].
    Why(why::Question),
    /// What was refused to programs for want of a port: answer [`Answer::Refusals`].
    Refusals,
    /// Stays until [`Command::Down`], even when idle: answer [`Answer::Done`].
    Stay,
    /// Ends the stack: answer [`Answer::Done`].
    Down,
}

/// What the stack answers to the command line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It is done.
    Done,
    /// It is not; one sentence with the remedy.
    Refused(String),
    /// What happened.
    Records(Records),
    /// Rows for `ss`.
    Sockets(Vec<SocketRow>),
    /// Counts.
    Status(Status),
    /// One sysctl.
    Sysctl(SysctlRow),
    /// All of them.
    Sysctls(Vec<SysctlRow>),
    /// Impairments.
    Netem(Vec<NetemRow>),
    /// Rules.
    Rules(Vec<RuleRow>),
    /// So many segments were let go.
    Released(u64),
    /// This process waits to be looked at, and then ends.
    Leaver(u32),
    /// How the clock stands now.
    Clock(clock::ClockRow),
    /// What becomes of a call, and why.
    Why(Box<why::Explanation>),
    /// What was refused, the latest last.
    Refusals(Vec<why::Refusal>),
}

/// One socket, as `ss` shows it. Holders (pid, descriptor) are found by the command in `/proc`
/// by the name that contains `id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketRow {
    /// Identity (see `ipc::names`), 16 hex digits; empty for TIME-WAIT and orphans.
    pub id: String,
    /// State as `ss` prints it: ESTAB, LISTEN, TIME-WAIT, UNCONN ...
    pub state: String,
    /// Receive queue in octets; for LISTEN connections waiting for accept().
    pub recv_q: u64,
    /// Send queue in octets; for LISTEN the backlog.
    pub send_q: u64,
    /// Local address; wildcard v6 that also takes v4 is printed as `*`.
    pub local: SocketAddr,
    /// Peer address.
    pub peer: Option<SocketAddr>,
    /// v6 socket that takes v6 only.
    pub v6only: bool,
    /// Running timer, as `ss -o` prints it.
    pub timer: Option<TimerRow>,
    /// Time since the state was entered, ms.
    pub age_ms: u64,
    /// Who closed first, where somebody did.
    pub closed_first: Option<Side>,
    /// Reason of the RST that ended it or that it sent, where there was one.
    pub reset: Option<String>,
    /// Accepted by the program (false: still in the accept queue).
    pub accepted: bool,
    /// No program holds it any more.
    pub orphan: bool,
    /// User of the program.
    pub uid: u32,
    /// `ss -i` line: `cubic wscale:7,7 rto:204 rtt:0.1/0.05 mss:1448 cwnd:10 ...`
    pub info: String,
    /// What programs made of it.
    #[serde(default)]
    pub usage: usage::Usage,
}

/// Which end did something first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// This end.
    Local,
    /// The other end.
    Peer,
}

/// `timer:(on,200ms,3)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerRow {
    /// on, keepalive, timewait, persist (names of `ss`).
    pub name: String,
    /// Time left, ms.
    pub left_ms: u64,
    /// Retransmissions or probes so far.
    pub count: u32,
}

/// Counts of what a stack holds: what a leak test compares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Process of the stack.
    pub pid: u32,
    /// Session, `UID/NAME`.
    pub session: String,
    /// Seconds since it began.
    pub uptime_s: u64,
    /// UDP port of the wire.
    pub udp_port: u16,
    /// Sockets of programs (any state but TIME-WAIT and orphans).
    pub sockets: u64,
    /// TCBs, orphans included, TIME-WAIT not.
    pub tcbs: u64,
    /// TCBs without a program.
    pub orphans: u64,
    /// Connections in TIME-WAIT.
    pub time_wait: u64,
    /// Local ports bound.
    pub ports: u64,
    /// Descriptors open in the stack process.
    pub descriptors: u64,
    /// Octets in send and receive buffers.
    pub buffered: u64,
    /// Resident memory of the stack process, KiB.
    pub resident_kib: u64,
    /// Counters by their kernel names (`netstat -s`: TcpActiveOpens, TcpExtListenOverflows ...).
    pub counters: Vec<(String, u64)>,
}

/// One sysctl.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysctlRow {
    /// Full name, `net.ipv4.tcp_fin_timeout`.
    pub name: String,
    /// Value now, as `/proc/sys` shows it.
    pub value: String,
    /// Value at the start.
    pub default: String,
    /// One line of meaning.
    pub meaning: String,
}

/// What is done with an impairment that is there already, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetemVerb {
    /// It must not be there.
    Add,
    /// It must be there.
    Change,
    /// It may be there.
    Replace,
}

/// One impairment, as `tc -s qdisc show` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetemRow {
    /// Handle, `8001:`.
    pub handle: String,
    /// Direction, ports and addresses it is limited to, each with a space before it; empty: none.
    pub scope: String,
    /// Parameters, in the grammar in which they are given.
    pub parameters: String,
    /// Octets of the packets that have left it, IP headers included.
    pub sent_octets: u64,
    /// Packets that have left it.
    pub sent_packets: u64,
    /// Packets that never will: lost and overflowed.
    pub dropped: u64,
    /// Of them those that found the queue full.
    pub overflowed: u64,
    /// Of them those that `loss` chose.
    pub lost: u64,
    /// Packets that were duplicated.
    pub duplicated: u64,
    /// Packets with a bit turned over.
    pub corrupted: u64,
    /// Packets that were sent before those that waited.
    pub reordered: u64,
    /// Octets of the packets that wait in it.
    pub queued_octets: u64,
    /// Packets that wait in it.
    pub queued_packets: u64,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRow {
    /// Its number.
    pub id: u32,
    /// The rule as it was given.
    pub text: String,
    /// Segments that fitted all conditions but `nth`, `probability` and `times`.
    pub matched: u64,
    /// Segments that it acted on.
    pub hits: u64,
    /// Segments that it holds.
    pub held: u64,
    /// Segments that it held and that were let go.
    pub released: u64,
    /// Segments that were lost because there was no room to hold them.
    pub lost: u64,
    /// It never acts again: all that `nth` or `times` wanted is done.
    pub spent: bool,
}
