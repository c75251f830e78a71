//! Why a port can or cannot be had, as data: the question, the verdict, and who is involved.
//!
//! The stack tells facts; sentences and remedies are the command's business (`tcplab why`).

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::SocketRow;

/// A call that needs a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// `bind()`
    Bind,
    /// `listen()`
    Listen,
    /// `connect()`
    Connect,
}

/// What would become of a call of a new socket: answer [`super::Answer::Why`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Question {
    /// bind or connect.
    pub call: Call,
    /// Address that the call is given.
    pub address: SocketAddr,
    /// Address that the socket is bound to before it connects; port 0: the stack's choice.
    pub from: Option<SocketAddr>,
    /// The socket has SO_REUSEADDR.
    pub reuse_address: bool,
    /// The socket has SO_REUSEPORT.
    pub reuse_port: bool,
    /// The socket has IPV6_V6ONLY.
    pub v6only: bool,
    /// User of the program.
    pub uid: u32,
}

/// What becomes of a call, and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Explanation {
    /// The call; bind() where a question about connect() already fails there.
    pub call: Call,
    /// Address that the call is given, listen(): that of the socket.
    pub address: SocketAddr,
    /// Address that a socket that connects is bound to.
    pub from: Option<SocketAddr>,
    /// What the call returns, by name; `None`: it succeeds.
    pub errno: Option<String>,
    /// Why.
    pub cause: Cause,
    /// The new socket has SO_REUSEADDR.
    pub reuse_address: bool,
    /// The new socket has SO_REUSEPORT.
    pub reuse_port: bool,
    /// User of the program.
    pub uid: u32,
    /// Who stands in the way; where nobody does, who shares the port or will answer. At most
    /// [`MAX_PARTIES`].
    pub parties: Vec<Party>,
    /// More parties than are told.
    pub untold: usize,
    /// Who has the ports of the range, where the stack has to choose one and cannot.
    pub usage: Option<Usage>,
}

/// Parties told of in one [`Explanation`].
pub const MAX_PARTIES: usize = 32;

/// Why a call becomes what it becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Nobody is in the way.
    Free,
    /// Others have the port, and share it.
    Shared,
    /// Somebody listens there.
    Answered,
    /// A TIME-WAIT has the 4-tuple, and gives way.
    TakesOver,
    /// Others have the port, and do not share it.
    InUse,
    /// The 4-tuple is taken.
    TupleInUse,
    /// No port of the range can be had.
    Exhausted,
    /// The address is not this machine's.
    NotLocal,
    /// Only root may bind ports below this.
    Privileged(u16),
    /// No way leads there.
    Unreachable,
    /// Nobody listens there; the parties have the same port on another address.
    NobodyListens,
    /// Somebody listens there, and accepts nobody: the accept queue is full.
    QueueFull,
    /// The socket can never have this address: of another family, multicast, without scope.
    NotPossible,
}

/// A socket, or a TIME-WAIT, that has to do with it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Party {
    /// As `ss` shows it.
    #[serde(flatten)]
    pub socket: SocketRow,
    /// How it came to its port.
    pub came_by: CameBy,
    /// It has, or had, SO_REUSEADDR.
    pub reuse_address: bool,
    /// It has, or had, SO_REUSEPORT.
    pub reuse_port: bool,
    /// The process that made it: called bind(), listen(), connect() or accept() first. 0: unknown.
    pub opener: u32,
}

/// How a socket came to its port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CameBy {
    /// bind() or listen().
    Bind,
    /// It was accepted from a listener.
    Accept,
    /// connect() chose it.
    Connect,
}

/// Who has the ports of a range.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Usage {
    /// First port.
    pub low: u16,
    /// Last port.
    pub high: u16,
    /// Ports of it in `ip_local_reserved_ports`.
    pub reserved: u32,
    /// Nobody is in the way on these.
    pub free: u32,
    /// The others, most first. A port with several owners is counted for each.
    pub shares: Vec<Share>,
}

/// Owners of ports that have state and destination in common.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Share {
    /// State as `ss` prints it.
    pub state: String,
    /// Where they are connected to.
    pub destination: Option<SocketAddr>,
    /// How many.
    pub count: u32,
    /// Until the first of them is over, where that is known (TIME-WAIT), ms.
    pub first_over_ms: Option<u64>,
}

/// A call of a program that was refused for want of a port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// Stack time since then, ms.
    pub age_ms: u64,
    /// Process that called, 0: unknown.
    pub pid: u32,
    /// Its program.
    pub program: String,
    /// Descriptor, -1: unknown.
    pub fd: i32,
    /// How often the same was refused to it in a row.
    pub times: u64,
    /// Why, as it was the first time.
    pub explanation: Explanation,
}
