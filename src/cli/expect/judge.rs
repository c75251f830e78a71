//! Whether an expectation holds of what was seen, and what was found instead.

use std::collections::HashMap;

use tcplab::client::Client;
use tcplab::inspect::{Answer, Command, Status};
use tcplab::trace::{Argument, Call, Record, Segment, Sending, What as Happened};

use super::super::Failure;
use super::super::ss::{self, Socket};
use super::grammar::{Condition, Expectation, Key, Kind, Relation, Value, What};

/// Records asked for at once.
const PAGE: usize = 4096;
/// Sockets or records that are shown of those that were found.
const SHOWN: usize = 5;

/// What came of an expectation.
pub(super) struct Verdict {
    pub(super) holds: bool,
    /// What was found, in words.
    pub(super) found: String,
}

/// What is seen of the session.
pub(super) struct Facts {
    client: Client,
    sockets: Vec<Socket>,
    status: Status,
    records: Vec<Record>,
    next: u64,
    lost: u64,
    programs: HashMap<u32, String>,
}

impl Facts {
    /// Nothing yet; of the records those from number `since` on will be seen.
    pub(super) fn new(client: Client, since: u64) -> Facts {
        Facts {
            client,
            sockets: Vec::new(),
            status: Status::default(),
            records: Vec::new(),
            next: since,
            lost: 0,
            programs: HashMap::new(),
        }
    }

    /// Looks at the session as it is now.
    pub(super) fn look(&mut self) -> Result<(), Failure> {
        self.sockets = ss::sockets(&mut self.client)?;
        self.status = self.client.status()?;
        loop {
            let question = Command::Records { since: self.next, most: PAGE };
            let Answer::Records(part) = self.client.ask(&question)? else {
                return Err(Failure::new("the stack answered something else than records"));
            };
            self.next = part.next;
            self.lost = self.lost.max(part.lost);
            self.programs.extend(part.programs);
            let whole = part.records.len() < PAGE;
            self.records.extend(part.records);
            if whole {
                return Ok(());
            }
        }
    }

    /// Number of the record that comes next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Judges an expectation by the last look. Error: it names what there is not.
    pub(super) fn judge(&self, expectation: &Expectation) -> Result<Verdict, Failure> {
        let Expectation { what, conditions, .. } = expectation;
        Ok(match what {
            What::Sockets => self.judge_sockets(expectation),
            What::Segments(kind) => {
                let found = self.records.iter().filter_map(|record| match &record.what {
                    Happened::Segment(segment) if is_kind(segment, *kind) => Some(segment),
                    _ => None,
                });
                let found: Vec<String> = found
                    .filter(|segment| conditions.iter().all(|c| segment_meets(segment, c)))
                    .map(describe_segment)
                    .collect();
                self.judge_records(expectation, &found)
            }
            What::Drops => {
                let found = self.records.iter().filter_map(|record| match &record.what {
                    Happened::Dropped(drop) => Some(drop),
                    _ => None,
                });
                let found: Vec<String> = found
                    .filter(|drop| {
                        conditions.iter().all(|c| match c.key {
                            Key::Reason => names(c, drop.why.as_str()),
                            Key::Port => ports(c, [drop.end.local, drop.end.remote]),
                            Key::LocalPort => ports(c, [drop.end.local, None]),
                            Key::PeerPort => ports(c, [drop.end.remote, None]),
                            _ => false,
                        })
                    })
                    .map(|drop| format!("{} {}: {}", drop.end, drop.flags, drop.why))
                    .collect();
                self.judge_records(expectation, &found)
            }
            What::Status(name) => {
                let number = self.number(name)?;
                judge_number(expectation, number, format!("it is {number}"))
            }
            What::Call(api, address) => {
                let call = self.records.iter().rev().find_map(|record| {
                    match &record.what {
                        Happened::Call(call) if call.api == *api => Some(call),
                        _ => None,
                    }
                    .filter(|call| {
                        address.as_ref().is_none_or(|address| has_address(call, address))
                            && conditions.iter().all(|c| self.call_meets(call, c))
                    })
                });
                self.judge_call(expectation, call)
            }
        })
    }

    fn judge_sockets(&self, expectation: &Expectation) -> Verdict {
        let meets = |socket: &&Socket| {
            expectation.conditions.iter().all(|condition| socket_meets(socket, condition))
        };
        let found: Vec<String> = self.sockets.iter().filter(meets).map(describe_socket).collect();
        let count = found.len() as u64;
        judge_number(expectation, count, listed(count, &found))
    }

    fn judge_records(&self, expectation: &Expectation, found: &[String]) -> Verdict {
        let count = found.len() as u64;
        let mut text = listed(count, found);
        if self.lost > 0 {
            text += &format!("\n({} older records are no longer there)", self.lost);
        }
        judge_number(expectation, count, text)
    }

    fn judge_call(&self, expectation: &Expectation, call: Option<&Call>) -> Verdict {
        let Some(call) = call else {
            return Verdict { holds: false, found: "no program has made such a call".to_owned() };
        };
        let same = match expectation.value {
            Value::Success => call.errno.is_none(),
            Value::Failure(errno) => call.errno == Some(errno),
            Value::Number(number) => {
                let value = u64::try_from(call.value).ok();
                let relation = expectation.relation;
                let holds = value.is_some_and(|value| relation.holds(&value, &number));
                return Verdict { holds, found: self.describe_call(call) };
            }
        };
        let holds = (expectation.relation == Relation::Equal) == same;
        Verdict { holds, found: self.describe_call(call) }
    }

    fn describe_call(&self, call: &Call) -> String {
        let program = self.programs.get(&call.pid).map_or("a program", String::as_str);
        let argument = match call.argument {
            Argument::Address(address) => address.to_string(),
            Argument::Backlog(number) => number.to_string(),
            _ => String::new(),
        };
        let outcome = match call.errno {
            None => call.value.to_string(),
            Some(errno) => errno.name().to_owned(),
        };
        format!("{program}[{}]: {}({argument}) = {outcome}", call.pid, call.api.name())
    }

    fn call_meets(&self, call: &Call, condition: &Condition) -> bool {
        match condition.key {
            Key::Pid => condition.relation.holds(&call.pid.into(), &condition.number),
            Key::Program => {
                names(condition, self.programs.get(&call.pid).map_or("", String::as_str))
            }
            Key::Port => ports(condition, [call.end.local, call.end.remote]),
            Key::LocalPort => ports(condition, [call.end.local, None]),
            Key::PeerPort => ports(condition, [call.end.remote, None]),
            _ => false,
        }
    }

    fn number(&self, name: &str) -> Result<u64, Failure> {
        let status = &self.status;
        Ok(match name {
            "sockets" => status.sockets,
            "tcbs" => status.tcbs,
            "orphans" => status.orphans,
            "time_wait" => status.time_wait,
            "ports" => status.ports,
            "buffered" => status.buffered,
            "descriptors" => status.descriptors,
            counter => {
                let found = status.counters.iter().find(|(known, _)| known == counter);
                found.map(|(_, value)| *value).ok_or_else(|| {
                    Failure::usage(format!(
                        "there is no counter '{counter}'; `tcplab status` lists them"
                    ))
                })?
            }
        })
    }
}

fn judge_number(expectation: &Expectation, number: u64, found: String) -> Verdict {
    let Value::Number(wanted) = expectation.value else {
        return Verdict { holds: false, found };
    };
    Verdict { holds: expectation.relation.holds(&number, &wanted), found }
}

fn listed(count: u64, found: &[String]) -> String {
    let mut text = match count {
        0 => "there is none".to_owned(),
        1 => "there is 1:".to_owned(),
        count => format!("there are {count}:"),
    };
    for one in found.iter().take(SHOWN) {
        text += &format!("\n{one}");
    }
    if found.len() > SHOWN {
        text += &format!("\n... and {} more", found.len() - SHOWN);
    }
    text
}

fn describe_socket(socket: &Socket) -> String {
    let peer = socket.row.peer.map_or("*".to_owned(), |peer| peer.to_string());
    let holders = socket.holders.iter().map(|h| format!(" {}[{}] fd {}", h.name, h.pid, h.fd));
    format!("{} {} {peer}{}", socket.row.state, socket.row.local, holders.collect::<String>())
}

fn describe_segment(segment: &Segment) -> String {
    let reset = segment.reset.map_or(String::new(), |reason| format!(": {reason}"));
    format!("{} > {} {}{reset}", segment.from, segment.to, segment.flags)
}

fn is_kind(segment: &Segment, kind: Kind) -> bool {
    match kind {
        Kind::Any => true,
        Kind::Syn => segment.flags.syn(),
        Kind::Fin => segment.flags.fin(),
        Kind::Rst => segment.flags.rst(),
        Kind::Retransmission => segment.sending == Sending::Again,
    }
}

fn socket_meets(socket: &Socket, condition: &Condition) -> bool {
    let Socket { row, holders, .. } = socket;
    match condition.key {
        Key::State => names(condition, &row.state),
        Key::Port => ports(condition, [Some(row.local), row.peer]),
        Key::LocalPort => ports(condition, [Some(row.local), None]),
        Key::PeerPort => ports(condition, [row.peer, None]),
        Key::Program => match condition.relation {
            Relation::Unequal => holders.iter().all(|h| h.name != condition.value),
            _ => holders.iter().any(|h| h.name == condition.value),
        },
        Key::Pid => {
            holders.iter().any(|h| condition.relation.holds(&h.pid.into(), &condition.number))
        }
        Key::Age => condition.relation.holds(&row.age_ms, &condition.number),
        Key::Reason => names(condition, row.reset.as_deref().unwrap_or_default()),
    }
}

fn segment_meets(segment: &Segment, condition: &Condition) -> bool {
    match condition.key {
        Key::Port => ports(condition, [Some(segment.from), Some(segment.to)]),
        Key::LocalPort => ports(condition, [Some(segment.from), None]),
        Key::PeerPort => ports(condition, [Some(segment.to), None]),
        Key::Reason => names(condition, segment.reset.map_or("", |reason| reason.as_str())),
        _ => false,
    }
}

/// Compares names; `-` may stand for a space, so that a reason is one word.
fn names(condition: &Condition, name: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace('-', " ");
    condition.relation.holds(&plain(name), &plain(&condition.value))
}

/// Whether one of the ports is as wanted; with `!=` none may be the one named.
fn ports(condition: &Condition, ends: [Option<core::net::SocketAddr>; 2]) -> bool {
    let mut ports = ends.into_iter().flatten().map(|end| u64::from(end.port()));
    match condition.relation {
        Relation::Unequal => ports.all(|port| port != condition.number),
        relation => ports.any(|port| relation.holds(&port, &condition.number)),
    }
}

/// Whether a call was about that address: `8080`, `127.0.0.1`, `127.0.0.1:8080`.
fn has_address(call: &Call, text: &str) -> bool {
    let address = match call.argument {
        Argument::Address(address) => Some(address),
        _ => call.end.local,
    };
    address.is_some_and(|address| {
        address.to_string() == text
            || address.port().to_string() == text
            || address.ip().to_string() == text
    })
}
