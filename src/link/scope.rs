//! Which way and where: the words that impairments and rules share.
//!
//! ```text
//! SCOPE = from client | from server | to client | to server
//!       | from PLACE | to PLACE | port N | host ADDRESS
//! PLACE = ADDRESS | ADDRESS:PORT | [ADDRESS6]:PORT | :PORT | port N
//! ```
//!
//! The client is the side that did the active OPEN. `port` and `host` fit either end.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use super::sight::{Role, Sight};
use super::words::{ParseError, Words};

/// What `from` and `to` take.
const PLACE: &str = "client, server, an address, ADDRESS:PORT or `port N`";

/// One end, in words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    address: Option<IpAddr>,
    port: Option<u16>,
}

impl Place {
    fn fits(self, at: SocketAddr) -> bool {
        self.address.is_none_or(|address| address == at.ip())
            && self.port.is_none_or(|port| port == at.port())
    }
}

/// One condition on direction or addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    FromRole(Role),
    From(Place),
    To(Place),
    Either(Place),
}

impl Scope {
    /// Reads one where the next word begins one.
    pub(super) fn parse(words: &mut Words<'_>) -> Result<Option<Scope>, ParseError> {
        let Some(word) = words.peek() else { return Ok(None) };
        Ok(Some(match word {
            "from" => {
                words.next();
                match role(words) {
                    Some(role) => Scope::FromRole(role),
                    None => Scope::From(place(words)?),
                }
            }
            "to" => {
                words.next();
                match role(words) {
                    Some(role) => Scope::FromRole(role.other()),
                    None => Scope::To(place(words)?),
                }
            }
            "port" => {
                words.next();
                Scope::Either(Place { address: None, port: Some(port(words)?) })
            }
            "host" => {
                words.next();
                let address = words.need("an address", |word| word.parse().ok())?;
                Scope::Either(Place { address: Some(address), port: None })
            }
            _ => return Ok(None),
        }))
    }

    pub(super) fn fits(self, sight: &Sight<'_>) -> bool {
        let (from, to) = (sight.tuple.local, sight.tuple.remote);
        match self {
            Scope::FromRole(role) => sight.role() == Some(role),
            Scope::From(place) => place.fits(from),
            Scope::To(place) => place.fits(to),
            Scope::Either(place) => place.fits(from) || place.fits(to),
        }
    }
}

fn role(words: &mut Words<'_>) -> Option<Role> {
    words.take_if(|word| match word {
        "client" => Some(Role::Client),
        "server" => Some(Role::Server),
        _ => None,
    })
}

fn port(words: &mut Words<'_>) -> Result<u16, ParseError> {
    words.need("a port number", |word| word.parse().ok())
}

fn place(words: &mut Words<'_>) -> Result<Place, ParseError> {
    if words.take("port") {
        return Ok(Place { address: None, port: Some(port(words)?) });
    }
    words.need(PLACE, |word| {
        if let Ok(address) = word.parse::<IpAddr>() {
            return Some(Place { address: Some(address), port: None });
        }
        if let Ok(both) = word.parse::<SocketAddr>() {
            return Some(Place { address: Some(both.ip()), port: Some(both.port()) });
        }
        let port = word.strip_prefix(':').or_else(|| word.strip_prefix("*:"))?.parse().ok()?;
        Some(Place { address: None, port: Some(port) })
    })
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.port) {
            (Some(address), Some(port)) => SocketAddr::new(address, port).fmt(f),
            (Some(address), None) => address.fmt(f),
            (None, Some(port)) => write!(f, "port {port}"),
            (None, None) => f.write_str("any"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::FromRole(Role::Client) => f.write_str("from client"),
            Scope::FromRole(Role::Server) => f.write_str("from server"),
            Scope::From(place) => write!(f, "from {place}"),
            Scope::To(place) => write!(f, "to {place}"),
            Scope::Either(Place { address: Some(address), .. }) => write!(f, "host {address}"),
            Scope::Either(place) => place.fmt(f),
        }
    }
}
