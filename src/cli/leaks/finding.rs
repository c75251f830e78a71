//! What counts as a leak, and what is known of each: from the rows of the stack and the holders in
//! `/proc` to findings. Pure.
//!
//! | leak | when |
//! | --- | --- |
//! | CLOSE-WAIT | the peer has sent its FIN, the program has not closed and sends nothing any more |
//! | FIN-WAIT-2 | the program has ended its direction, and neither reads nor closes |
//! | un-accepted | a connection waits in the accept queue |
//! | inherited | a program was started with a socket that it does not use |
//!
//! Each for longer than a threshold. Not leaks: a program that is still sending its answer after
//! the peer's FIN; a program that has ended its direction and waits for a peer that is at fault
//! itself; descriptors 0 to 2, which are passed on purpose (inetd, CGI).

use core::net::SocketAddr;

use serde::Serialize;
use tcplab::inspect::usage::{EndsRead, Origin, Usage};
use tcplab::inspect::{SocketRow, usage::Holding};

use super::holders::Possessor;
use super::site::Site;

/// A read that gives 0 so often is no check that happens to be made twice.
const READS_OF_A_LOOP: u64 = 3;
/// Nor one after so long.
const PAUSE_OF_A_LOOP_MS: u64 = 100;

/// A socket with those who have it.
pub(in crate::cli) struct Case {
    pub(in crate::cli) row: SocketRow,
    pub(in crate::cli) possessors: Vec<Possessor>,
}

/// One leak.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct Finding {
    /// What is leaked.
    #[serde(flatten)]
    pub(in crate::cli) kind: Kind,
    /// State of the socket.
    pub(in crate::cli) state: String,
    /// Its address.
    pub(in crate::cli) local: SocketAddr,
    /// Its peer's.
    pub(in crate::cli) peer: Option<SocketAddr>,
    /// For how long, ms of stack time.
    pub(in crate::cli) age_ms: u64,
    /// Identity of the socket.
    pub(in crate::cli) id: String,
    /// Who has it; of an inherited one, who should not; of an un-accepted one, who listens.
    pub(in crate::cli) holders: Vec<Possessor>,
    /// What programs made of the socket; of an un-accepted one, of the listener.
    pub(in crate::cli) usage: Usage,
    /// Where in the program it was accepted, connected or listened on.
    pub(in crate::cli) site: Option<Site>,
}

/// What is leaked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "leak", rename_all = "kebab-case")]
pub(in crate::cli) enum Kind {
    /// A connection whose peer has closed.
    CloseWait {
        /// What the program did after the end.
        #[serde(flatten)]
        after: AfterEnd,
    },
    /// A connection of which the program has closed its own direction only.
    FinWait2 {
        /// Octets that it leaves unread.
        unread: u64,
    },
    /// Connections that wait for accept().
    Unaccepted {
        /// How many.
        connections: u64,
    },
    /// A socket that another program was started with.
    Inherited,
}

/// What a program did after its peer's FIN.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "bug", rename_all = "kebab-case")]
pub(in crate::cli) enum AfterEnd {
    /// It has not read as far as the end, though nothing else is left.
    NeverRead,
    /// It left octets unread.
    StoppedReading {
        /// So many.
        unread: u64,
    },
    /// It took the end for "nothing yet".
    IgnoresEnd {
        /// Reads that gave 0.
        times: u64,
    },
    /// It noticed the end, and did not close.
    NeverCloses,
}

impl AfterEnd {
    fn of(row: &SocketRow) -> AfterEnd {
        match row.usage.ends_read {
            None if row.recv_q > 0 => AfterEnd::StoppedReading { unread: row.recv_q },
            None => AfterEnd::NeverRead,
            Some(EndsRead { times, first_ago_ms, last_ago_ms })
                if times >= READS_OF_A_LOOP
                    || first_ago_ms.saturating_sub(last_ago_ms) >= PAUSE_OF_A_LOOP_MS =>
            {
                AfterEnd::IgnoresEnd { times }
            }
            Some(_) => AfterEnd::NeverCloses,
        }
    }
}

/// The leaks among `cases` that are `older_ms` or older.
pub(in crate::cli) fn judge(cases: &[Case], older_ms: u64) -> Vec<Finding> {
    let mut findings: Vec<Finding> = cases
        .iter()
        .filter(|case| !case.row.orphan && case.row.accepted)
        .flat_map(|case| {
            let stuck = stuck(case, cases, older_ms);
            stuck.into_iter().chain(inherited(case, older_ms))
        })
        .collect();
    findings.extend(unaccepted(cases, older_ms));
    findings
}

fn finding(case: &Case, kind: Kind) -> Finding {
    let row = &case.row;
    Finding {
        kind,
        state: row.state.clone(),
        local: row.local,
        peer: row.peer,
        age_ms: row.age_ms,
        id: row.id.clone(),
        holders: case.possessors.clone(),
        usage: row.usage.clone(),
        site: None,
    }
}

/// A connection that is half closed and that its program has given up.
fn stuck(case: &Case, all: &[Case], older_ms: u64) -> Option<Finding> {
    let row = &case.row;
    if row.age_ms < older_ms {
        return None;
    }
    let kind = match row.state.as_str() {
        "CLOSE-WAIT" if !is_sending(row, older_ms) => Kind::CloseWait { after: AfterEnd::of(row) },
        "FIN-WAIT-2" if row.recv_q > 0 || !waits_for_a_peer(row, all, older_ms) => {
            Kind::FinWait2 { unread: row.recv_q }
        }
        _ => return None,
    };
    Some(finding(case, kind))
}

/// The program sends its answer, or waits for room to.
fn is_sending(row: &SocketRow, older_ms: u64) -> bool {
    row.send_q > 0 || row.usage.written_after_end > 0 && is_recent(row, "lastsnd", older_ms)
}

/// The peer is in this session and has not closed: what it does is judged there. Or it is
/// elsewhere, and has sent something a moment ago.
fn waits_for_a_peer(row: &SocketRow, all: &[Case], older_ms: u64) -> bool {
    let is_peer = |other: &SocketRow| {
        other.peer == Some(row.local) && row.peer == Some(other.local) && !other.orphan
    };
    all.iter().any(|case| is_peer(&case.row)) || is_recent(row, "lastrcv", older_ms)
}

/// Whether a time in the line of `ss -i`, which leaves zeros out, is shorter than `limit_ms`.
fn is_recent(row: &SocketRow, name: &str, limit_ms: u64) -> bool {
    let words = row.info.split(' ').filter_map(|word| word.split_once(':'));
    let time = words.filter(|(word, _)| *word == name).find_map(|(_, ms)| ms.parse().ok());
    time.unwrap_or(0) < limit_ms
}

/// A socket that programs were started with and do not use.
fn inherited(case: &Case, older_ms: u64) -> Option<Finding> {
    let usage = &case.row.usage;
    let origin = usage.origin.as_ref().map(|origin| origin.pid);
    let holders: Vec<Possessor> = case
        .possessors
        .iter()
        .filter(|possessor| {
            let (pid, fd) = (possessor.holder.pid, possessor.holder.fd.cast_signed());
            let was_started_with = usage.inherited.contains(&Holding { pid, fd });
            let uses = usage.users.contains(&pid);
            fd > 2
                && possessor.process_age_ms >= older_ms
                && (was_started_with && !uses || !possessor.has_shim && origin != Some(pid))
        })
        .cloned()
        .collect();
    (!holders.is_empty()).then(|| Finding { holders, ..finding(case, Kind::Inherited) })
}

/// Connections in accept queues, by listener.
fn unaccepted(cases: &[Case], older_ms: u64) -> Vec<Finding> {
    let waits = |row: &SocketRow| !row.accepted && row.usage.queued_ms >= Some(older_ms);
    let mut findings: Vec<Finding> = Vec::new();
    for case in cases.iter().filter(|case| waits(&case.row)) {
        let row = &case.row;
        let queued_ms = row.usage.queued_ms.unwrap_or(0);
        let listener = cases.iter().find(|other| listens_for(&other.row, row));
        let id = listener.map_or(&row.id, |listener| &listener.row.id);
        if let Some(known) = findings.iter_mut().find(|known| known.id == *id) {
            if let Kind::Unaccepted { connections } = &mut known.kind {
                *connections += 1;
            }
            if known.age_ms < queued_ms {
                (known.age_ms, known.local, known.peer) = (queued_ms, row.local, row.peer);
            }
            continue;
        }
        let listener = listener.unwrap_or(case);
        findings.push(Finding {
            state: row.state.clone(),
            local: row.local,
            peer: row.peer,
            age_ms: queued_ms,
            ..finding(listener, Kind::Unaccepted { connections: 1 })
        });
    }
    findings
}

fn listens_for(listener: &SocketRow, row: &SocketRow) -> bool {
    let (bound, local) = (listener.local, row.local);
    let same_address =
        bound.ip().is_unspecified() || bound.ip().to_canonical() == local.ip().to_canonical();
    listener.state == "LISTEN" && bound.port() == local.port() && same_address
}

impl Finding {
    /// Who got the socket, and by which call.
    pub(in crate::cli) fn origin(&self) -> Option<&Origin> {
        self.usage.origin.as_ref()
    }

    /// One of the processes is its holder.
    pub(in crate::cli) fn concerns(&self, is_meant: &dyn Fn(u32) -> bool) -> bool {
        self.holders.iter().any(|possessor| is_meant(possessor.holder.pid))
    }
}

#[cfg(test)]
#[path = "finding_tests.rs"]
pub(super) mod tests;
