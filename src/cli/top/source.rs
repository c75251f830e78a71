//! Looks at a stack, one after the other, and finds it again when it has gone.

use core::time::Duration;
use std::collections::HashSet;
use std::time::Instant;

use tcplab::client::{Client, Error};
use tcplab::inspect::clock::{ClockCommand, ClockRow};
use tcplab::inspect::{Answer, Command, SocketRow};
use tcplab::ipc::names::Session;
use tcplab::trace::Records;

use super::super::ss;
use super::super::ss::holders::{self, HeldById};
use super::model::{Link, Snapshot};

/// Records that one look takes in; of what happens faster the newest are shown.
const MAX_RECORDS: u64 = 1000;
/// How long it is believed who holds which sockets. Descriptors of all processes are looked at to
/// find out, which costs more than all the rest.
const HOLDERS_FRESH: Duration = Duration::from_secs(2);

/// Where the looks come from.
pub(super) struct Source {
    session: Session,
    client: Option<Client>,
    /// Process of the stack that `next` is about.
    stack_pid: u32,
    /// Number of the next record wanted.
    next: Option<u64>,
    /// Records that were lost, as the last answer told.
    lost: u64,
    held: HeldById,
    held_at: Option<Instant>,
    /// Sockets that were there when holders were looked for, whether any was found or not.
    looked_for: HashSet<String>,
}

impl Source {
    pub(super) fn new(session: &Session) -> Source {
        Source {
            session: *session,
            client: None,
            stack_pid: 0,
            next: None,
            lost: 0,
            held: HeldById::new(),
            held_at: None,
            looked_for: HashSet::new(),
        }
    }

    /// Looks. After an error the next look finds the stack again.
    pub(super) fn look(&mut self) -> Result<Snapshot, Error> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => Client::connect(&self.session)?,
        };
        if client.stack_pid() != self.stack_pid {
            self.stack_pid = client.stack_pid();
            (self.next, self.lost) = (None, 0);
        }
        let snapshot = self.ask(&mut client)?;
        self.client = Some(client);
        Ok(snapshot)
    }

    fn ask(&mut self, client: &mut Client) -> Result<Snapshot, Error> {
        let status = client.status()?;
        let clock = clock(client)?;
        let link = link(client)?;
        let rows = client.sockets()?;
        self.refresh_holders(&rows);
        let sockets = ss::join(rows, &self.held);
        // An answer without records tells how many there have been.
        let newest = records(client, 0, 0)?.next;
        let oldest = newest.saturating_sub(MAX_RECORDS);
        let since = self.next.unwrap_or(0).max(oldest);
        let wanted = usize::try_from(newest.saturating_sub(since)).unwrap_or(usize::MAX);
        let Records { records, lost, programs, .. } = records(client, since, wanted)?;
        // Of what never reached the recorder every answer tells the sum.
        let newly_lost = lost.saturating_sub(core::mem::replace(&mut self.lost, lost));
        // What happened before the first look is nobody's loss.
        let skipped = self.next.map_or(0, |next| since.saturating_sub(next) + newly_lost);
        self.next = Some(records.last().map_or(since, |record| record.number + 1));
        Ok(Snapshot { status, sockets, clock, link, records, programs, skipped })
    }

    fn refresh_holders(&mut self, rows: &[SocketRow]) {
        let ids = || rows.iter().map(|row| &row.id).filter(|id| !id.is_empty());
        let is_fresh = self.held_at.is_some_and(|at| at.elapsed() < HOLDERS_FRESH);
        if !is_fresh || !ids().all(|id| self.looked_for.contains(id)) {
            self.held = holders::find(&self.session);
            self.looked_for = ids().cloned().collect();
            self.held_at = Some(Instant::now());
        }
    }
}

fn clock(client: &mut Client) -> Result<ClockRow, Error> {
    match client.ask(&Command::Clock(ClockCommand::Show))? {
        Answer::Clock(row) => Ok(row),
        other => Err(Error::Foreign(format!("it answered {other:?}"))),
    }
}

/// What the user has done to the link.
fn link(client: &mut Client) -> Result<Link, Error> {
    let impairments = match client.ask(&Command::Netem)? {
        Answer::Netem(rows) => rows.len(),
        other => return Err(Error::Foreign(format!("it answered {other:?}"))),
    };
    match client.ask(&Command::Rules)? {
        Answer::Rules(rows) => {
            let held = rows.iter().map(|rule| rule.held).sum();
            Ok(Link { impairments, rules: rows.len(), held })
        }
        other => Err(Error::Foreign(format!("it answered {other:?}"))),
    }
}

fn records(client: &mut Client, since: u64, most: usize) -> Result<Records, Error> {
    match client.ask(&Command::Records { since, most })? {
        Answer::Records(records) => Ok(records),
        other => Err(Error::Foreign(format!("it answered {other:?}"))),
    }
}
