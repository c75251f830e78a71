//! The sentences of `tcplab why`: the verdict in one line, who is involved as a table, and what
//! helps.

use core::fmt::Write as _;
use core::net::SocketAddr;
use core::time::Duration;
use std::path::Path;

use tcplab::inspect::SocketRow;
use tcplab::inspect::why::{Call, CameBy, Cause, Explanation, Party, Usage};

use super::super::ss::holders::{HeldById, Holder};
use super::super::units::duration;

/// Holders of one socket that are named in the table.
const MAX_HOLDERS: usize = 3;
/// Lines are no longer than this.
const WIDTH: usize = 78;

/// An explanation with the holders of its parties.
pub(super) struct Case<'a> {
    pub(super) explanation: &'a Explanation,
    held: Vec<&'a [Holder]>,
}

/// What a party in the way is to the newcomer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    /// Somebody listens.
    Listener,
    /// Somebody has bound the port.
    Bound,
    /// An outgoing connection was given the port.
    Outgoing,
    /// A connection of the port, still alive.
    Connection,
    /// A connection of the port that is over.
    TimeWait,
}

impl Kind {
    fn of(party: &Party) -> Kind {
        match (party.socket.state.as_str(), party.came_by) {
            ("TIME-WAIT", _) => Kind::TimeWait,
            ("LISTEN", _) => Kind::Listener,
            (_, CameBy::Connect) => Kind::Outgoing,
            ("UNCONN", CameBy::Bind) => Kind::Bound,
            _ => Kind::Connection,
        }
    }
}

impl<'a> Case<'a> {
    pub(super) fn new(explanation: &'a Explanation, held: &'a HeldById) -> Case<'a> {
        let holders = |party: &Party| {
            held.get(&party.socket.id).map_or(&[] as &[Holder], |held| held.holders.as_slice())
        };
        let held = explanation.parties.iter().map(holders).collect();
        Case { explanation, held }
    }

    /// Of each of the parties.
    pub(super) fn holders(&self) -> Vec<&'a [Holder]> {
        self.held.clone()
    }

    /// Everything, as it is printed.
    pub(super) fn text(&self) -> String {
        // In one line, however long: that is what scripts look for.
        let mut text = format!("{}\n", self.verdict());
        let table = self.table();
        if !table.is_empty() {
            text.push('\n');
            text += &table;
        }
        let remedies = self.remedies();
        if !remedies.is_empty() {
            text.push('\n');
        }
        for remedy in remedies {
            text += &wrapped("  - ", "    ", &remedy);
        }
        text
    }

    /// One sentence: what the call does, and why.
    pub(super) fn verdict(&self) -> String {
        let asked = self.asked();
        let reason = self.reason();
        match &self.explanation.errno {
            None => format!("{asked} succeeds: {reason}"),
            Some(errno) => format!("{asked} fails with {errno}: {reason}"),
        }
    }

    /// The call as one would write it.
    fn asked(&self) -> String {
        let Explanation { call, address, from, reuse_address, reuse_port, .. } = self.explanation;
        let call = match call {
            Call::Bind => format!("bind {address}"),
            Call::Listen => format!("listen on {address}"),
            Call::Connect => format!("connect {address}"),
        };
        let from = from.map_or_else(String::new, |from| format!(" from {from}"));
        let options = match (reuse_address, reuse_port) {
            (true, true) => " with SO_REUSEADDR and SO_REUSEPORT",
            (true, false) => " with SO_REUSEADDR",
            (false, true) => " with SO_REUSEPORT",
            (false, false) => "",
        };
        format!("{call}{from}{options}")
    }

    fn reason(&self) -> String {
        let Explanation { call, address, cause, .. } = self.explanation;
        match cause {
            Cause::Free if *call == Call::Connect && self.explanation.from == Some(*address) => {
                "it connects to itself".to_owned()
            }
            Cause::Free if *call == Call::Connect => {
                "nothing here is in the way; what the other machine answers is unknown".to_owned()
            }
            Cause::Free if address.port() == 0 => "there is a free port".to_owned(),
            Cause::Free => "nobody has the port".to_owned(),
            Cause::Shared => "all who have the port share it with this socket".to_owned(),
            Cause::Answered => self.does(0, "listens", "listen"),
            Cause::TakesOver => "it takes over the connection in TIME-WAIT".to_owned(),
            Cause::InUse => self.in_use(),
            Cause::TupleInUse => self.tuple_in_use(),
            Cause::Exhausted => self.exhausted(),
            Cause::NotLocal => format!("{} is not an address of this machine", address.ip()),
            Cause::Privileged(first) => {
                let uid = self.explanation.uid;
                format!("ports below {first} are for root, and the user is {uid}")
            }
            Cause::Unreachable => {
                format!(
                    "there is no way to {} from here: the stack has loopback only",
                    address.ip()
                )
            }
            Cause::NobodyListens => format!("nobody listens on {address}"),
            Cause::QueueFull => self.queue_full(),
            Cause::NotPossible => "a socket of this family cannot have that address".to_owned(),
        }
    }

    fn in_use(&self) -> String {
        let kinds: Vec<Kind> = self.explanation.parties.iter().map(Kind::of).collect();
        let worst = kinds.iter().min();
        let place = kinds.iter().position(|kind| Some(kind) == worst).unwrap_or(0);
        let count = kinds.iter().filter(|kind| Some(*kind) == worst).count();
        let count = count + self.explanation.untold;
        let who = self.who(place);
        let others = match count {
            0 | 1 => String::new(),
            2 => " (and one more socket)".to_owned(),
            _ => format!(" (and {} more sockets)", count - 1),
        };
        match worst {
            Some(Kind::Listener) => {
                format!("{}{others}", self.does(place, "listens on it", "listen on it"))
            }
            Some(Kind::Bound) => format!("{who} bound it and does not listen{others}"),
            Some(Kind::Outgoing) => {
                format!("an outgoing connection of {who} was given that port{others}")
            }
            Some(Kind::Connection) => {
                let state = &self.explanation.parties[place].socket.state;
                format!("a connection of {who} has it, in {state}{others}")
            }
            Some(Kind::TimeWait) | None => {
                let left = self.explanation.parties.get(place).map_or(0, left_ms);
                let left = time(left);
                match count {
                    0 | 1 => format!("a closed connection is in TIME-WAIT for {left}"),
                    _ => {
                        format!("{count} closed connections are in TIME-WAIT, the last for {left}")
                    }
                }
            }
        }
    }

    fn tuple_in_use(&self) -> String {
        match self.explanation.parties.first() {
            Some(party) if Kind::of(party) == Kind::TimeWait => {
                format!("that very connection is in TIME-WAIT for {}", time(left_ms(party)))
            }
            Some(party) => {
                format!("{} has that very connection, in {}", self.who(0), party.socket.state)
            }
            None => "that very connection exists".to_owned(),
        }
    }

    fn exhausted(&self) -> String {
        let Explanation { call, address, usage, .. } = self.explanation;
        let range = usage.as_ref().map_or_else(String::new, |u| format!(" {}-{}", u.low, u.high));
        match call {
            Call::Connect => format!("no port of{range} is free for a connection to {address}"),
            _ => format!("no port of{range} is free"),
        }
    }

    fn queue_full(&self) -> String {
        let queue = self.explanation.parties.first().map(|party| &party.socket);
        let (waiting, backlog) = queue.map_or((0, 0), |row| (row.recv_q, row.send_q));
        let who = self.who(0);
        format!(
            "{who} does not accept(): its accept queue is full ({waiting} of backlog {backlog}), \
             so the SYN is dropped"
        )
    }

    /// That a party does something, in the singular or the plural.
    fn does(&self, place: usize, one: &str, several: &str) -> String {
        let many = self.held.get(place).is_some_and(|holders| holders.len() > 1);
        format!("{} {}", self.who(place), if many { several } else { one })
    }

    /// Program, process and descriptor of a party.
    fn who(&self, place: usize) -> String {
        match self.held.get(place).copied().unwrap_or_default() {
            [] => "nobody that can be seen".to_owned(),
            [one] => holder(one),
            [first, rest @ ..] => format!("{} and {} more", holder(first), rest.len()),
        }
    }

    fn table(&self) -> String {
        if let Some(usage) = &self.explanation.usage {
            return usage_table(usage);
        }
        let mut rows = Vec::new();
        for (party, holders) in self.explanation.parties.iter().zip(&self.held) {
            rows.push(cells(party, holders));
        }
        if rows.is_empty() {
            return String::new();
        }
        rows.insert(0, ["STATE", "LOCAL", "PEER", "REUSEADDR", "HELD BY"].map(str::to_owned));
        let mut text = columns(&rows);
        if self.explanation.untold > 0 {
            let _ = writeln!(text, "  and {} more", self.explanation.untold);
        }
        text
    }

    /// What helps, a sentence each.
    pub(super) fn remedies(&self) -> Vec<String> {
        let Explanation { cause, address, .. } = self.explanation;
        match cause {
            Cause::InUse => self.remedies_in_use(),
            Cause::Exhausted => self.remedies_exhausted(),
            Cause::TupleInUse => vec![
                "Bind another port, or none: connect() then chooses one.".to_owned(),
                "A TIME-WAIT gives way where both ends use timestamps \
                 (net.ipv4.tcp_timestamps=1)."
                    .to_owned(),
            ],
            Cause::NotLocal => vec![
                "Bind 0.0.0.0, or an address of 127.0.0.0/8.".to_owned(),
                "IP_FREEBIND, or net.ipv4.ip_nonlocal_bind=1, takes any address.".to_owned(),
            ],
            Cause::Privileged(_) => vec![format!(
                "Run it as root, or `tcplab sysctl net.ipv4.ip_unprivileged_port_start={}`.",
                address.port()
            )],
            Cause::NobodyListens => match self.explanation.parties.is_empty() {
                true => vec!["Start the server first.".to_owned()],
                false => vec![
                    "The server listens on another address: connect there, or let it bind \
                     0.0.0.0."
                        .to_owned(),
                ],
            },
            Cause::QueueFull => vec![
                "The server must accept(), or listen() with a larger backlog (and \
                 net.core.somaxconn)."
                    .to_owned(),
            ],
            _ => Vec::new(),
        }
    }

    fn remedies_in_use(&self) -> Vec<String> {
        let mut remedies = Vec::new();
        let mut told = Vec::new();
        for (place, party) in self.explanation.parties.iter().enumerate() {
            let kind = Kind::of(party);
            remedies.extend(self.inherited(place));
            let lacking = (kind, party.reuse_address);
            if !told.contains(&lacking) {
                told.push(lacking);
                remedies.extend(self.remedy(place, party, kind));
            }
        }
        remedies.dedup();
        remedies
    }

    fn remedy(&self, place: usize, party: &Party, kind: Kind) -> Vec<String> {
        match kind {
            Kind::Listener => vec![format!(
                "End {}, or use another port. Against a listener SO_REUSEADDR does not help, and \
                 SO_REUSEPORT only where both sockets have it and the user is the same.",
                self.who(place)
            )],
            Kind::Bound => {
                vec![format!("End {}, or use another port.", self.who(place)), self.lacking(party)]
            }
            Kind::Outgoing => {
                let port = self.explanation.address.port();
                vec![format!(
                    "The port is in net.ipv4.ip_local_port_range, from which outgoing connections \
                     are given theirs. Reserve it, `tcplab sysctl \
                     net.ipv4.ip_local_reserved_ports={port}`, or listen outside of the range."
                )]
            }
            Kind::Connection => {
                let mut remedies = vec![self.lacking(party)];
                if party.socket.state == "CLOSE-WAIT" {
                    remedies.push(format!(
                        "In CLOSE-WAIT the peer has closed and {} has not: see `tcplab leaks`.",
                        self.who(place)
                    ));
                }
                remedies
            }
            Kind::TimeWait => {
                let left = left_ms(party);
                let step = left.div_ceil(1000);
                vec![
                    self.lacking(party),
                    format!(
                        "Or wait for {}: `tcplab clock advance {step}s` does it at once.",
                        time(left)
                    ),
                ]
            }
        }
    }

    /// Who lacks SO_REUSEADDR.
    fn lacking(&self, party: &Party) -> String {
        let old = if party.socket.state == "TIME-WAIT" { "the old socket" } else { "that socket" };
        match (party.reuse_address, self.explanation.reuse_address) {
            (true, false) => {
                format!("SO_REUSEADDR is set on {old} and not on this one: set it before bind().")
            }
            (false, true) => format!(
                "SO_REUSEADDR is set on this socket, but was not on {old}, and Linux asks it of \
                 both: set it in the server always; it helps from the next restart on."
            ),
            (false, false) => format!(
                "Neither {old} nor this one has SO_REUSEADDR, and Linux asks it of both: set it \
                 in the server, always and before bind(); it helps from the next restart on."
            ),
            (true, true) => "Both have SO_REUSEADDR.".to_owned(),
        }
    }

    /// Holders that have not opened the socket themselves.
    fn inherited(&self, place: usize) -> Option<String> {
        let party = self.explanation.parties.get(place)?;
        let holders = self.held.get(place)?;
        let opener = party.opener;
        if opener == 0 || party.came_by != CameBy::Bind || holders.iter().any(|h| h.pid == opener) {
            return None;
        }
        let heir = holders.first()?;
        let parent = match Path::new("/proc").join(opener.to_string()).exists() {
            true => "which has closed it",
            false => "which has ended",
        };
        Some(format!(
            "{} has not opened the socket: it was inherited from process {opener}, {parent}. Let \
             that program open it with SOCK_CLOEXEC (or set FD_CLOEXEC), or end the heir.",
            holder(heir)
        ))
    }

    fn remedies_exhausted(&self) -> Vec<String> {
        let Some(usage) = &self.explanation.usage else { return Vec::new() };
        let of = |state: &str| -> u32 {
            let shares = usage.shares.iter().filter(|share| share.state == state);
            shares.map(|share| share.count).sum()
        };
        let mut remedies = Vec::new();
        if of("TIME-WAIT") > 0 {
            remedies.push(
                "Who closes first has the TIME-WAIT: keep connections open and use them again, or \
                 let the server close first."
                    .to_owned(),
            );
            if self.explanation.call == Call::Connect {
                remedies.push(
                    "net.ipv4.tcp_tw_reuse=1 lets connect() take over ports that have been in \
                     TIME-WAIT for a second (net.ipv4.tcp_tw_reuse_delay), with timestamps only."
                        .to_owned(),
                );
            }
        }
        if of("CLOSE-WAIT") > 0 {
            remedies.push("In CLOSE-WAIT a program has not closed: see `tcplab leaks`.".to_owned());
        }
        remedies.push(
            "Widen net.ipv4.ip_local_port_range; another destination address has ports of its own."
                .to_owned(),
        );
        remedies
    }
}

fn left_ms(party: &Party) -> u64 {
    party.socket.timer.as_ref().map_or(0, |timer| timer.left_ms)
}

/// To a tenth of a second, not too short.
fn time(ms: u64) -> String {
    let precision = if ms < 1000 { 1 } else { 100 };
    duration(Duration::from_millis(ms.next_multiple_of(precision)))
}

fn holder(holder: &Holder) -> String {
    format!("{} (pid {}, fd {})", holder.name, holder.pid, holder.fd)
}

fn cells(party: &Party, holders: &[Holder]) -> [String; 5] {
    let SocketRow { state, local, peer, orphan, .. } = &party.socket;
    let heir = |h: &Holder| party.came_by == CameBy::Bind && ![0, h.pid].contains(&party.opener);
    let named = |h: &Holder| {
        let heir = if heir(h) { ", inherited" } else { "" };
        format!("{} (pid {}, fd {}{heir})", h.name, h.pid, h.fd)
    };
    let mut by: Vec<String> = holders.iter().take(MAX_HOLDERS).map(named).collect();
    if let Some(more) = holders.len().checked_sub(MAX_HOLDERS + 1) {
        by.push(format!("{} more", more + 1));
    }
    if state == "TIME-WAIT" {
        by.push(format!("nobody, over in {}", time(left_ms(party))));
    } else if *orphan {
        by.push("nobody, the program has closed it".to_owned());
    } else if by.is_empty() {
        by.push("nobody that can be seen".to_owned());
    }
    let peer = peer.map_or_else(|| "-".to_owned(), |peer: SocketAddr| peer.to_string());
    let reuse = if party.reuse_address { "yes" } else { "no" };
    [state.clone(), local.to_string(), peer, reuse.to_owned(), by.join(", ")]
}

fn usage_table(usage: &Usage) -> String {
    let mut rows = vec![["PORTS", "STATE", "TO", ""].map(str::to_owned)];
    for share in &usage.shares {
        let to = share.destination.map_or_else(|| "-".to_owned(), |to| to.to_string());
        let over = share.first_over_ms.map_or_else(String::new, |left| {
            let first = if share.count > 1 { "the first is over" } else { "over" };
            format!("{first} in {}", time(left))
        });
        rows.push([share.count.to_string(), share.state.clone(), to, over]);
    }
    if usage.reserved > 0 {
        let words = [&usage.reserved.to_string(), "reserved", "-", ""];
        rows.push(words.map(str::to_owned));
    }
    columns(&rows)
}

/// Lines of cells, indented.
fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "  {}", line.trim_end());
    }
    text
}

/// A sentence in lines that fit a terminal, with `first` before the first and `others` before the
/// others.
fn wrapped(first: &str, others: &str, sentence: &str) -> String {
    let mut text = String::new();
    let mut line = first.to_owned();
    let mut begins = true;
    for word in sentence.split(' ') {
        if !begins && line.len() + 1 + word.len() > WIDTH {
            text += &line;
            text.push('\n');
            line = others.to_owned();
        } else if !begins {
            line.push(' ');
        }
        line += word;
        begins = false;
    }
    format!("{text}{line}\n")
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
