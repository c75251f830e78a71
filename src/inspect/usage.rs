//! What programs made of a socket, as far as the stack can tell: who got it where, what was read
//! and written after the peer's FIN, which programs were started with it.

use serde::{Deserialize, Serialize};

use crate::ipc::record::Call;

/// What programs made of a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// The call by which a program got it; `None` for a socket that is only bound, and for a
    /// connection that nobody has accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// How long it has waited, or waited until it was accepted, in the accept queue, ms of stack
    /// time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queued_ms: Option<u64>,
    /// Reads that gave 0; `None` where there was none, or by a way that the shim does not see (a
    /// `FILE` of C's stdio reads within the C library).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_read: Option<EndsRead>,
    /// The last error that a read, write or accept gave: `write EPIPE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Octets written after the peer's FIN had come.
    pub written_after_end: u64,
    /// Descriptors with which a program was started by `exec`, and not by the program that got the
    /// socket.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inherited: Vec<Holding>,
    /// Processes that made a call on it, the latest few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<u32>,
}

/// How a program got a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// By which call.
    pub call: How,
    /// Process that made it.
    pub pid: u32,
    /// Descriptor in that process.
    pub fd: i32,
    /// Return address of the call in the program, 0 where it is not known.
    pub caller: u64,
}

/// The call by which a program got a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// `connect()`
    Connect,
    /// `listen()`
    Listen,
    /// `accept()`
    Accept,
}

impl How {
    /// Past participle: what has happened to the socket.
    pub fn done(self) -> &'static str {
        match self {
            How::Connect => "connected",
            How::Listen => "listened on",
            How::Accept => "accepted",
        }
    }
}

impl From<Call> for How {
    fn from(call: Call) -> How {
        match call {
            Call::Connect => How::Connect,
            Call::Listen => How::Listen,
            Call::Accept => How::Accept,
        }
    }
}

/// Reads that gave 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndsRead {
    /// How many. Of a program that reads it again and again, those of the last second may be
    /// missing.
    pub times: u64,
    /// Real time since the first, ms.
    pub first_ago_ms: u64,
    /// Real time since the last that is known, ms.
    pub last_ago_ms: u64,
}

/// A descriptor in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Process.
    pub pid: u32,
    /// Descriptor.
    pub fd: i32,
}
