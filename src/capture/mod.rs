//! Captures: segments as packets that any tool reads as plain TCP, and what is known of each beside
//! its octets as comments.
//!
//! | concept | file |
//! | --- | --- |
//! | the file format (pcapng) | `pcapng.rs` |
//! | an IP header for a segment | `packet.rs` |
//! | records and octets become packets with comments | `annotate.rs` |
//! | records become lines as tcpdump's | `text.rs` |
//!
//! # Where a packet is seen
//!
//! A segment passes two points: where its sender's TCP gave it to the link, and where it arrived,
//! after what netem and rules did to it. They are two interfaces of the file, `SESSION:out` and
//! `SESSION:in`. By default every segment is written once, as it was sent, and one that never
//! arrived says so in its comment. Segments of strangers (another stack's, a hand-made one) were
//! not sent here: they are always written as they arrived.
//!
//! Not here: who passes the records on (the stack's watch door).

pub mod annotate;
mod packet;
pub mod pcapng;
pub mod text;

pub use annotate::{Annotator, Clock, Packet};
pub use packet::{HEADER_ROOM, ip_packet};

use serde::{Deserialize, Serialize};

/// Where packets are seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// As their sender gave them to the link
    #[default]
    Sender,
    /// As they arrived, after netem and rules
    Receiver,
    /// At both points, on two interfaces
    Both,
}

impl Point {
    /// Segments are wanted as they were sent.
    pub fn sees_sent(self) -> bool {
        self != Point::Receiver
    }

    /// Segments of this stack are wanted as they arrived.
    pub fn sees_arrived(self) -> bool {
        self != Point::Sender
    }
}

/// Which way a packet goes, as the stack sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Out of the TCP.
    Out,
    /// In to the TCP.
    In,
}
