//! Which records are of interest: by kind, by connection, by program.
//!
//! Not every record names its connection or its program: a `socket()` has no address yet, a
//! segment no process. So a selection learns from the stream which socket has which addresses and
//! which process uses it; it should see what was before, too.

use core::net::SocketAddr;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::record::{Argument, End, Record, What};
use crate::inspect::watch::Ends;
use crate::ipc::SocketId;

/// Sockets and connections remembered; with more, all are learned anew.
const MAX_KNOWN: usize = 65_536;

/// Kinds of records, as they are chosen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Calls of programs.
    Call,
    /// Segments, sent and arrived.
    Segment,
    /// Changes of state.
    State,
    /// Timers that ran out.
    Timer,
    /// Segments that were lost by the link, or not taken.
    Drop,
    /// What the user did to the stack.
    Operator,
}

impl Kind {
    /// Whether `what` is of this kind. A segment that the link lost is of two.
    pub fn contains(self, what: &What) -> bool {
        use super::record::Fate;
        match (self, what) {
            (Kind::Call, What::Call(_))
            | (Kind::Segment, What::Segment(_) | What::Arrival(_))
            | (Kind::State, What::State(_))
            | (Kind::Timer, What::Timer(_))
            | (Kind::Drop, What::Dropped(_))
            | (Kind::Operator, What::Operator(_)) => true,
            (Kind::Drop, What::Segment(segment)) => {
                matches!(segment.fate, Fate::Lost(_) | Fate::Reset(_))
            }
            _ => false,
        }
    }
}

/// What is wanted; of an empty list everything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// Kinds.
    pub kinds: BTreeSet<Kind>,
    /// Connections, by one end or both.
    pub ends: Vec<Ends>,
    /// Processes.
    pub pids: Vec<u32>,
    /// Programs, by name.
    pub programs: Vec<String>,
}

/// Applies a selection to a stream of records.
#[derive(Debug, Default)]
pub struct Selector {
    selection: Selection,
    /// Addresses of sockets.
    addresses: HashMap<SocketId, End>,
    /// Processes of the programs that are wanted.
    named: HashSet<u32>,
    /// Sockets that wanted programs use.
    sockets: HashSet<SocketId>,
    /// Connections that they use.
    connections: HashSet<(SocketAddr, SocketAddr)>,
}

impl Selector {
    /// A selector that knows nothing yet.
    pub fn new(selection: Selection) -> Selector {
        Selector { selection, ..Selector::default() }
    }

    /// Whether it decides by what it has learned: then it must see what was before.
    pub fn needs_history(&self) -> bool {
        let Selection { ends, pids, programs, .. } = &self.selection;
        !(ends.is_empty() && pids.is_empty() && programs.is_empty())
    }

    /// Learns which program a process runs.
    pub fn learn_program(&mut self, pid: u32, name: &str) {
        if self.selection.programs.iter().any(|wanted| wanted == name) {
            self.named.insert(pid);
        } else {
            self.named.remove(&pid);
        }
    }

    /// Learns from a record.
    pub fn learn(&mut self, record: &Record) {
        if !self.needs_history() {
            return;
        }
        if self.addresses.len() + self.connections.len() > MAX_KNOWN {
            self.addresses.clear();
            self.connections.clear();
            self.sockets.clear();
        }
        let end = match &record.what {
            What::Call(call) => {
                if self.is_wanted(call.pid) {
                    self.sockets.extend(call.end.socket);
                    self.connections.extend(connection(&call.end));
                    if let Argument::Accepted(accepted) = &call.argument {
                        self.sockets.extend(accepted.socket);
                        self.connections.extend(connection(accepted));
                    }
                }
                call.end
            }
            What::State(transition) => transition.end,
            What::Timer(expiry) => expiry.end,
            What::Dropped(refusal) => refusal.end,
            What::Segment(_) | What::Arrival(_) | What::Operator(_) => return,
        };
        let Some(socket) = end.socket else { return };
        if end.local.is_some() {
            self.addresses.insert(socket, end);
        }
        if self.sockets.contains(&socket) {
            self.connections.extend(connection(&end));
        }
    }

    fn is_wanted(&self, pid: u32) -> bool {
        self.selection.pids.contains(&pid) || self.named.contains(&pid)
    }

    /// Whether a record is wanted.
    pub fn admits(&self, record: &Record) -> bool {
        let Selection { kinds, ends, pids, programs } = &self.selection;
        let what = &record.what;
        (kinds.is_empty() || kinds.iter().any(|kind| kind.contains(what)))
            && (ends.is_empty() || self.is_of(what, ends))
            && (pids.is_empty() && programs.is_empty() || self.is_used(what))
    }

    fn is_of(&self, what: &What, ends: &[Ends]) -> bool {
        let addresses = self.addresses(what);
        // What is done to the stack is done to every connection.
        matches!(what, What::Operator(_)) || ends.iter().any(|ends| ends.admit(&addresses))
    }

    fn addresses(&self, what: &What) -> Vec<SocketAddr> {
        let of = |end: &End| {
            let known = end.socket.and_then(|socket| self.addresses.get(&socket));
            let end = if end.local.is_some() { end } else { known.unwrap_or(end) };
            [end.local, end.remote].into_iter().flatten().collect::<Vec<_>>()
        };
        match what {
            What::Call(call) => match call.argument {
                Argument::Accepted(accepted) => of(&accepted),
                Argument::Address(address) => {
                    let mut all = of(&call.end);
                    if !all.contains(&address) {
                        all.push(address);
                    }
                    all
                }
                _ => of(&call.end),
            },
            What::Segment(segment) => vec![segment.from, segment.to],
            What::Arrival(arrival) => vec![arrival.from, arrival.to],
            What::State(transition) => of(&transition.end),
            What::Timer(expiry) => of(&expiry.end),
            What::Dropped(refusal) => of(&refusal.end),
            What::Operator(_) => Vec::new(),
        }
    }

    fn is_used(&self, what: &What) -> bool {
        let uses = |end: &End| {
            end.socket.is_some_and(|socket| self.sockets.contains(&socket))
                || connection(end).is_some_and(|connection| self.connections.contains(&connection))
        };
        let between = |from, to| {
            self.connections.contains(&(from, to)) || self.connections.contains(&(to, from))
        };
        match what {
            What::Call(call) => self.is_wanted(call.pid),
            What::Segment(segment) => between(segment.from, segment.to),
            What::Arrival(arrival) => between(arrival.from, arrival.to),
            What::State(transition) => uses(&transition.end),
            What::Timer(expiry) => uses(&expiry.end),
            What::Dropped(refusal) => uses(&refusal.end),
            What::Operator(_) => true,
        }
    }
}

fn connection(end: &End) -> Option<(SocketAddr, SocketAddr)> {
    end.local.zip(end.remote)
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
