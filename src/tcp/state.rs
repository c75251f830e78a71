//! The eleven states and which may follow which (RFC 9293 3.3.2, figure 5).
//!
//! ```text
//!                                     +---------+ ---------\      active OPEN
//!                                     |  CLOSED |            \    -----------
//!                                     +---------+<---------\   \   create TCB, snd SYN
//!                    host: LISTEN       |     ^              \   \
//!                    rcv SYN            |     |               \   \
//!                    -----------        |     |                \   \
//!        +---------+ snd SYN,ACK +--------+   |  CLOSE, RST     +---------+
//!        |  LISTEN | ----------> |SYN-RCVD| <---- rcv SYN ----- | SYN-SENT|
//!        +---------+             +--------+       snd SYN,ACK   +---------+
//!                    rcv ACK of SYN |  \                           |  rcv SYN,ACK
//!                    -------------- |   \ CLOSE                    |  -----------
//!                          x        V    \ snd FIN                 V    snd ACK
//!                                +---------+  \              (ESTABLISHED)
//!                                |  ESTAB  |   \
//!                                +---------+    \
//!                     CLOSE        |     |       \     rcv FIN
//!                    -------       |     |        \    -------
//!      +---------+   snd FIN      /       \        |   snd ACK        +---------+
//!      |  FIN-   |<--------------+---------\-------+   -------------->|  CLOSE  |
//!      | WAIT-1  |------------------        \------------------------ |   WAIT  |
//!      +---------+          rcv FIN  \                                +---------+
//!        | rcv ACK of FIN   -------   |                          CLOSE  |
//!        | --------------   snd ACK   |                         ------- |
//!        V        x                   V                         snd FIN V
//!      +---------+               +---------+                    +---------+
//!      |FINWAIT-2|               | CLOSING |                    | LAST-ACK|
//!      +---------+               +---------+                    +---------+
//!        |              rcv ACK of FIN |                 rcv ACK of FIN |
//!        |  rcv FIN     -------------- |    Timeout=2MSL -------------- |
//!        |  -------            x       V    ------------        x       V
//!         \ snd ACK              +---------+delete TCB          +---------+
//!          --------------------->|TIME-WAIT|------------------->| CLOSED  |
//!                                +---------+                    +---------+
//! ```
//!
//! Every state may also go to CLOSED: RST received, ABORT, or a timer that gave up.
//! FIN-WAIT-1 goes straight to TIME-WAIT when one segment brings both the ACK of our FIN and the
//! peer's FIN (RFC 9293 figure 5, note 2). CLOSE enters FIN-WAIT-1 or LAST-ACK at once, even while
//! octets before the FIN wait to be sent (RFC 9293 3.10.4: "in any case").

use core::fmt;

use serde::{Deserialize, Serialize};

/// RFC 9293 3.3.2. `Display` prints as `ss` does, [`State::rfc_name`] as the RFC does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum State {
    /// No connection.
    #[serde(rename = "CLOSED")]
    Closed,
    /// Waiting for a connection request; lives in the host, no TCB is ever in it.
    #[serde(rename = "LISTEN")]
    Listen,
    /// SYN sent, waiting for a matching one.
    #[serde(rename = "SYN-SENT")]
    SynSent,
    /// SYN sent and received, waiting for the ACK of ours.
    #[serde(rename = "SYN-RECV")]
    SynReceived,
    /// Open.
    #[serde(rename = "ESTAB")]
    Established,
    /// Closed by us; our FIN is not acknowledged.
    #[serde(rename = "FIN-WAIT-1")]
    FinWait1,
    /// Closed by us; waiting for the peer's FIN.
    #[serde(rename = "FIN-WAIT-2")]
    FinWait2,
    /// Closed by the peer; waiting for the program.
    #[serde(rename = "CLOSE-WAIT")]
    CloseWait,
    /// Both closed at once; our FIN is not acknowledged.
    #[serde(rename = "CLOSING")]
    Closing,
    /// Closed by the peer, then by us; our FIN is not acknowledged.
    #[serde(rename = "LAST-ACK")]
    LastAck,
    /// Both closed; old segments are waited out.
    #[serde(rename = "TIME-WAIT")]
    TimeWait,
}

impl State {
    /// All states, in the order of the RFC.
    pub const ALL: [State; 11] = [
        State::Closed,
        State::Listen,
        State::SynSent,
        State::SynReceived,
        State::Established,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
    ];

    /// The name as RFC 9293 writes it.
    pub const fn rfc_name(self) -> &'static str {
        match self {
            State::Closed => "CLOSED",
            State::Listen => "LISTEN",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
        }
    }

    /// The name as `ss` prints it.
    pub const fn ss_name(self) -> &'static str {
        match self {
            State::Closed => "UNCONN",
            State::SynReceived => "SYN-RECV",
            State::Established => "ESTAB",
            other => other.rfc_name(),
        }
    }

    /// The arrows of the figure.
    pub const fn may_become(self, to: State) -> bool {
        use State::{
            CloseWait, Closed, Closing, Established, FinWait1, FinWait2, LastAck, Listen,
            SynReceived, SynSent, TimeWait,
        };
        match self {
            Closed => matches!(to, SynSent | Listen),
            Listen => matches!(to, SynReceived | SynSent | Closed),
            SynSent => matches!(to, SynReceived | Established | Closed),
            SynReceived => matches!(to, Established | FinWait1 | Closed),
            Established => matches!(to, FinWait1 | CloseWait | Closed),
            FinWait1 => matches!(to, FinWait2 | Closing | TimeWait | Closed),
            FinWait2 => matches!(to, TimeWait | Closed),
            CloseWait => matches!(to, LastAck | Closed),
            Closing => matches!(to, TimeWait | Closed),
            LastAck | TimeWait => matches!(to, Closed),
        }
    }

    /// The peer's SYN was received and the connection is not over.
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, State::Closed | State::Listen | State::SynSent | State::SynReceived)
    }

    /// The peer may still send text that the program can get.
    pub const fn receives_text(self) -> bool {
        matches!(self, State::Established | State::FinWait1 | State::FinWait2)
    }

    /// Text and FIN of ours may be sent, for the first time or again.
    pub const fn sends_text(self) -> bool {
        matches!(
            self,
            State::Established
                | State::CloseWait
                | State::FinWait1
                | State::Closing
                | State::LastAck
        )
    }

    /// The program may still queue octets.
    pub const fn accepts_sends(self) -> bool {
        matches!(self, State::SynSent | State::SynReceived | State::Established | State::CloseWait)
    }

    /// ABORT sends a RST (RFC 9293 3.10.5).
    pub const fn abort_sends_reset(self) -> bool {
        matches!(
            self,
            State::SynReceived
                | State::Established
                | State::FinWait1
                | State::FinWait2
                | State::CloseWait
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.ss_name())
    }
}
