//! One thing that happened, as data: what `tcplab trace` prints, and what diagrams, captures,
//! leak reports and assertions are made of.
//!
//! Plain values, so that recording one costs no allocation, and serde both ways: a record is made
//! in the stack and read in the command. Both clocks are in it: stack time, which `tcplab clock`
//! moves, and real time, which orders what programs say they did between what the stack did.

use core::fmt;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::inspect::clock::Scale;
use crate::ipc::record::Api;
use crate::ipc::{Errno, SocketId};
use crate::tcp::{Cause, Dropped, ResetReason, State, Timer};
use crate::wire::{Flags, Options, SeqNum};

/// One thing that happened.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Place in the order in which the stack learned of things, from 1 on.
    pub number: u64,
    /// Stack time in nanoseconds.
    pub at_ns: u64,
    /// Real time since the stack began in nanoseconds; of a call: when it began.
    pub real_ns: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A program made a call.
    Call(Call),
    /// A segment was sent, or would have been.
    Segment(Segment),
    /// A segment reached its end.
    Arrival(Arrival),
    /// A connection or a listener changed its state.
    State(Transition),
    /// A timer ran out.
    Timer(Expiry),
    /// A segment was not taken, or not wholly.
    Dropped(Refusal),
    /// The user did something to the stack.
    Operator(Operation),
}

/// Whom a record is about: a socket, a connection's end, or both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct End {
    /// The socket, where a program has or had one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "as_text")]
    pub socket: Option<SocketId>,
    /// Local address, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<SocketAddr>,
    /// Remote address, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<SocketAddr>,
}

/// A call of a program.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Call {
    /// The socket that the call was made on; of accept() the listener.
    #[serde(flatten)]
    pub end: End,
    /// Process that made it, 0 where nobody said.
    pub pid: u32,
    /// Descriptor, -1 where nobody said.
    pub fd: i32,
    /// Which call.
    #[serde(with = "as_text")]
    pub api: Api,
    /// With what.
    pub argument: Argument,
    /// What it returned: 0, octets, or a descriptor; -1 with an errno.
    pub value: i64,
    /// The error it gave.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "as_text")]
    pub errno: Option<Errno>,
    /// Of equal outcomes in a row that are not all recorded: how many there were, with this one.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u32,
    /// How long it took in nanoseconds of real time, 0 where nobody measured.
    pub took_ns: u64,
    /// Return address in the program, 0 where nobody said.
    pub caller: u64,
}

fn once() -> u32 {
    1
}

fn is_once(times: &u32) -> bool {
    *times == 1
}

/// What a call was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Argument {
    /// Nothing to tell.
    None,
    /// An address.
    Address(SocketAddr),
    /// listen()'s backlog.
    Backlog(i32),
    /// shutdown()'s direction: `SHUT_RD`, `SHUT_WR`, `SHUT_RDWR` as 0, 1, 2.
    How(i32),
    /// Level and name of a socket option.
    Option(i32, i32),
    /// Octets asked for.
    Octets(u64),
    /// Of accept(): the new connection.
    Accepted(End),
}

/// A segment on its way.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Segment {
    /// Number of this sending; its arrivals have the same.
    pub serial: u64,
    /// Address and port of the sender.
    pub from: SocketAddr,
    /// Address and port of the receiver.
    pub to: SocketAddr,
    /// Control bits.
    #[serde(with = "as_text")]
    pub flags: Flags,
    /// Sequence number as on the wire.
    pub seq: u32,
    /// Acknowledgment number as on the wire.
    pub ack: u32,
    /// Initial sequence number of the sender, where it has a connection.
    pub isn: Option<u32>,
    /// Initial sequence number of the receiver, where the sender knows it.
    pub peer_isn: Option<u32>,
    /// Window as on the wire, not scaled.
    pub window: u16,
    /// Octets of text.
    pub text_len: u32,
    /// Options.
    pub options: Options,
    /// First time, again, or a probe.
    pub sending: Sending,
    /// Why, where it is a RST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<ResetReason>,
    /// What the link made of it.
    pub fate: Fate,
}

impl Segment {
    /// Sequence number counted from the sender's SYN, where that is known.
    pub fn relative_seq(&self) -> Option<u32> {
        self.isn.map(|isn| self.seq.wrapping_sub(isn))
    }

    /// Acknowledgment number counted from the receiver's SYN, where that is known.
    pub fn relative_ack(&self) -> Option<u32> {
        self.peer_isn.map(|isn| self.ack.wrapping_sub(isn))
    }

    /// The next sequence number: SYN and FIN count.
    pub fn end(&self) -> SeqNum {
        let marks = u32::from(self.flags.syn()) + u32::from(self.flags.fin());
        SeqNum(self.seq).add(self.text_len + marks)
    }
}

/// How often a segment was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sending {
    /// For the first time.
    First,
    /// A retransmission.
    Again,
    /// A probe: keep-alive or zero window.
    Probe,
    /// Without a connection: an answer to a stray segment, or from TIME-WAIT.
    Reply,
}

/// What the link made of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Sent as it is.
    Passed,
    /// Lost, and by whom.
    Lost(Agent),
    /// Kept until released.
    Held(Agent),
    /// Sent later, at this stack time in nanoseconds.
    Delayed(Agent, u64),
    /// Sent, and so many copies more.
    Copied(Agent, u32),
    /// Sent with wrong bits.
    Corrupted(Agent),
    /// Sent with only so many octets of its text.
    Trimmed(Agent, u32),
    /// Lost, and its sender was answered with a RST.
    Reset(Agent),
    /// Sent, and a RST that its sender did not send follows it.
    Followed(Agent),
}

/// Who did something to a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agent {
    /// `tcplab netem`.
    Netem,
    /// The rule of that number.
    Rule(u32),
    /// A queue of the link that was full.
    Queue,
    /// The UDP datagram was not delivered.
    Wire,
}

/// A segment reached the stack.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Arrival {
    /// Number of its sending, where this stack sent it.
    pub serial: Option<u64>,
    /// Address and port of the sender.
    pub from: SocketAddr,
    /// Address and port of the receiver.
    pub to: SocketAddr,
    /// Control bits.
    #[serde(with = "as_text")]
    pub flags: Flags,
    /// Sequence number as on the wire.
    pub seq: u32,
    /// Acknowledgment number as on the wire.
    pub ack: u32,
    /// Octets of text.
    pub text_len: u32,
}

/// A change of state.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Transition {
    /// Whose.
    #[serde(flatten)]
    pub end: End,
    /// State before.
    pub from: State,
    /// State now.
    pub to: State,
    /// What made it.
    #[serde(with = "cause_text")]
    pub cause: Cause,
    /// Why the connection died, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<ResetReason>,
}

/// A timer that ran out.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Expiry {
    /// Whose.
    #[serde(flatten)]
    pub end: End,
    /// Which.
    pub timer: Timer,
    /// How often in a row, from 1 on.
    pub count: u32,
}

/// A segment that was not taken, or not wholly.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// Who refused it.
    #[serde(flatten)]
    pub end: End,
    /// Control bits.
    #[serde(with = "as_text")]
    pub flags: Flags,
    /// Sequence number as on the wire.
    pub seq: u32,
    /// Octets of text.
    pub text_len: u32,
    /// Why.
    pub why: Dropped,
}

/// Something that the user did to the stack.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// The clock was moved on by so many nanoseconds.
    Advanced(u64),
    /// The clock was set to this speed.
    Scaled(Scale),
    /// The clock was stopped.
    Paused,
    /// The clock goes on.
    Resumed,
    /// A rule released what it held.
    Released(u32),
    /// Rules or impairments were changed.
    LinkChanged,
    /// A sysctl was set.
    SysctlSet,
    /// Full tracing began.
    TracingOn,
    /// Full tracing ended.
    TracingOff,
}

/// Program names of processes, and the records: the answer to a question for them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Records {
    /// In the order of their numbers.
    pub records: Vec<Record>,
    /// Records that were wanted and are no longer there.
    pub lost: u64,
    /// Process ids and the names of their programs.
    pub programs: Vec<(u32, String)>,
    /// Number of the next record.
    pub next: u64,
    /// Stack time now in nanoseconds.
    pub now_ns: u64,
    /// Real time since the stack began in nanoseconds.
    pub real_now_ns: u64,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.local, self.remote) {
            (Some(local), Some(remote)) => write!(f, "{local} > {remote}"),
            (Some(local), None) => write!(f, "{local}"),
            _ => f.write_str("-"),
        }
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Agent::Netem => f.write_str("netem"),
            Agent::Rule(id) => write!(f, "rule {id}"),
            Agent::Queue => f.write_str("full queue"),
            Agent::Wire => f.write_str("wire"),
        }
    }
}

/// Values as people write them: names of calls and errors, identities, control bits.
mod as_text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::super::text::Text;

    pub(super) fn serialize<T: Text, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        value.to_text().serialize(to)
    }

    pub(super) fn deserialize<'de, T: Text, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        T::of_text(text.as_deref()).ok_or_else(|| D::Error::custom("not a known name"))
    }
}

/// A cause as one word and what belongs to it: `connect()`, `timer timewait`, `rcv SYN,ACK`.
mod cause_text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::super::text::Text;
    use crate::tcp::Cause;

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(cause: &Cause, to: S) -> Result<S::Ok, S::Error> {
        cause.to_text().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Cause, D::Error> {
        let text = String::deserialize(from)?;
        Cause::of_text(Some(&text)).ok_or_else(|| D::Error::custom("not a cause"))
    }
}
