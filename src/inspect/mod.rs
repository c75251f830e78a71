//! What can be asked of a stack, as data: the rows of `tcplab ss`, `status`, `sysctl`.
//! Serialised as JSON on the control channel between the command and the stack.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

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
    /// Rows for `ss`.
    Sockets(Vec<SocketRow>),
    /// Counts.
    Status(Status),
    /// One sysctl.
    Sysctl(SysctlRow),
    /// All of them.
    Sysctls(Vec<SysctlRow>),
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
