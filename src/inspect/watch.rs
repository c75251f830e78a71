//! What commands that follow say to the stack, and what the stack tells them: lines of JSON on a
//! stream socket (`ipc::names::Object::Watch`).
//!
//! ```text
//!   command                          stack
//!   Subscription ------------------>
//!                <------------------ Began, or Refused and end of stream
//!                <------------------ a Record, or Program, Lost, Octets: one line each
//!   end of writing ---------------->
//!                <------------------ whatever happened until then
//!                <------------------ End, and end of stream
//! ```
//!
//! Who ends its writing gets all that has happened until then: nothing that the command was told
//! to watch is cut off. A line of [`Told::Octets`] is followed by that many octets as they are; it
//! comes after the record that it belongs to.

use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::capture::Point;
use crate::trace::Record;

/// Longest subscription, with the end of its line.
pub const MAX_SUBSCRIPTION: usize = 4096;

/// What a command wants to be told: its first and only line.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Subscription {
    /// The session's secret in hex, for users who are not admitted by their id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Number of the first record wanted, 0 for the oldest there is; none: from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Whether bulk is recorded as long as this command watches.
    pub bulk: Bulk,
    /// Octets of segments, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub octets: Option<OctetsWanted>,
}

/// What a watcher does to the recording of bulk data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bulk {
    /// Nothing: it is told what is recorded anyway.
    #[default]
    Unchanged,
    /// It is recorded.
    Recorded,
}

/// Of which segments octets are wanted, and how many.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OctetsWanted {
    /// Where they are looked at. Segments that this stack did not send are told at any point.
    pub at: Point,
    /// Octets of each segment at most.
    pub most: u32,
    /// Only those whose ends are all of one of these; of every segment where there is none.
    pub of: Vec<Ends>,
}

/// One line of the stack: something that happened, or a word about it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// A record.
    Record(Record),
    /// Something else.
    Told(Told),
}

/// What is told beside records. The `kind`s are none of those of records.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Told {
    /// The first line of a watcher that is taken.
    Began {
        /// Session, `UID/NAME`.
        session: String,
        /// Wall-clock time of the beginning of the stack, in nanoseconds since 1970.
        epoch_ns: u64,
        /// Real time since then, in nanoseconds.
        real_ns: u64,
        /// Stack time in nanoseconds.
        at_ns: u64,
        /// Number of the next record; those before it are of the past.
        next: u64,
    },
    /// The only line of one that is not: one sentence.
    Refused {
        /// Why, and what to do.
        sentence: String,
    },
    /// The name of the program that a process runs, before the first record of it.
    Program {
        /// The process.
        pid: u32,
        /// Its program.
        name: String,
    },
    /// Octets of the segment of the last record follow this line.
    Octets {
        /// Octets of the segment.
        len: u32,
        /// Octets that follow.
        captured: u32,
    },
    /// Of so many records that were wanted nothing, or not the octets, could be told.
    Lost {
        /// Number of the next record that is told.
        before: u64,
        /// Records that are not there any more.
        records: u64,
        /// Segments whose octets are not there any more.
        octets: u64,
    },
    /// The last line.
    End {},
}

/// One end of a connection as it is written: `127.0.0.1:80`, `[::1]:80`, `:80`, `80`, `127.0.0.1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place {
    /// Address; none: any.
    pub ip: Option<IpAddr>,
    /// Port; none: any.
    pub port: Option<u16>,
}

impl Place {
    /// Any address with that port.
    pub fn port(port: u16) -> Place {
        Place { ip: None, port: Some(port) }
    }

    /// Whether `address` is meant. A wildcard address may be any.
    pub fn admits(&self, address: SocketAddr) -> bool {
        let has = address.ip().to_canonical();
        self.port.is_none_or(|port| port == address.port())
            && self.ip.is_none_or(|ip| ip == has || has.is_unspecified())
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Place, String> {
        let bad = || {
            format!("'{text}' is not an end of a connection: write 127.0.0.1:80, :80 or [::1]:80")
        };
        let text = text.trim();
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Place { ip: Some(address.ip().to_canonical()), port: Some(address.port()) });
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(Place { ip: Some(ip.to_canonical()), port: None });
        }
        let port = text.strip_prefix("*:").or(text.strip_prefix(':')).unwrap_or(text);
        port.parse().map(Place::port).map_err(|_| bad())
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Place, String> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> String {
        match (place.ip, place.port) {
            (Some(ip), Some(port)) => SocketAddr::new(ip, port).to_string(),
            (Some(ip), None) => ip.to_string(),
            (None, port) => format!(":{}", port.unwrap_or(0)),
        }
    }
}

/// A connection as it is written: one of its ends, or both with `-` or `>` between them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ends {
    /// One end.
    pub one: Place,
    /// The other, where it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Place>,
}

impl Ends {
    /// Any connection with that port at one end.
    pub fn port(port: u16) -> Ends {
        Ends { one: Place::port(port), other: None }
    }

    /// Whether what has these addresses belongs to the connection, in whatever direction.
    pub fn admit(&self, addresses: &[SocketAddr]) -> bool {
        let any = |place: &Place| addresses.iter().any(|address| place.admits(*address));
        match (&self.other, addresses) {
            (None, _) => any(&self.one),
            (Some(other), [a, b]) => {
                self.one.admits(*a) && other.admits(*b) || self.one.admits(*b) && other.admits(*a)
            }
            // A listener, or a socket that is not connected yet, has one.
            (Some(other), _) => any(&self.one) || any(other),
        }
    }
}

impl FromStr for Ends {
    type Err = String;

    fn from_str(text: &str) -> Result<Ends, String> {
        match text.split_once(['-', '>']) {
            Some((one, other)) => Ok(Ends { one: one.parse()?, other: Some(other.parse()?) }),
            None => Ok(Ends { one: text.parse()?, other: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_end_is_written_in_many_ways() {
        let v4 = "127.0.0.1".parse().ok();
        let written = [
            ("127.0.0.1:80", v4, Some(80)),
            (":80", None, Some(80)),
            ("80", None, Some(80)),
            ("*:80", None, Some(80)),
            ("127.0.0.1", v4, None),
            ("[::1]:80", "::1".parse().ok(), Some(80)),
            ("::1", "::1".parse().ok(), None),
        ];
        for (text, ip, port) in written {
            let place: Place = text.parse().unwrap();
            assert_eq!(place, Place { ip, port }, "{text}");
            assert_eq!(String::from(place).parse(), Ok(place), "{text}");
        }
        for bad in ["", "x", ":99999", "1.2.3", "localhost:80"] {
            assert!(bad.parse::<Place>().unwrap_err().contains("write 127.0.0.1:80"), "{bad}");
        }
    }

    #[test]
    fn a_connection_is_meant_in_both_directions() {
        let ends: Ends = ":40000 > 127.0.0.1:80".parse().unwrap();
        assert!(ends.admit(&addresses(&["127.0.0.1:40000", "127.0.0.1:80"])));
        assert!(ends.admit(&addresses(&["127.0.0.1:80", "127.0.0.1:40000"])));
        assert!(!ends.admit(&addresses(&["127.0.0.1:80", "127.0.0.1:40001"])));
        assert!(ends.admit(&addresses(&["0.0.0.0:80"])), "its listener");
        assert!(!ends.admit(&[]));
        assert_eq!(":40000-127.0.0.1:80".parse(), Ok(ends));
    }

    #[test]
    fn lines_are_told_apart_by_their_kind() {
        let told = [
            Told::Lost { before: 7, records: 1, octets: 2 },
            Told::Program { pid: 3, name: "x".to_owned() },
            Told::End {},
        ];
        for told in told {
            let text = serde_json::to_string(&Line::Told(told.clone())).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), Line::Told(told));
        }
        let record = r#"{"number":1,"at_ns":2,"real_ns":3,"kind":"operator","tracing-on":null}"#;
        let line = serde_json::from_str::<Line>(record);
        assert!(matches!(line, Ok(Line::Record(_)) | Err(_)));
    }
}
