//! What is shown, as values: two looks at a stack give rates; rows are filtered, ordered and
//! selected; records become events.
//!
//! Pure: it asks nobody and draws nothing. Rates are per second of real time, which is what the
//! viewer's clock shows, however fast the stack's own runs.

use core::time::Duration;
use std::collections::VecDeque;

use tcplab::inspect::clock::ClockRow;
use tcplab::inspect::{SocketRow, Status, TimerRow};
use tcplab::trace::line::{Detail, Lines, Time};
use tcplab::trace::{Record, What};

use super::super::ss::Socket;
use super::super::ss::filter::{Filter, States};
use super::columns::{Sort, Widths};
use super::events::{self, Tone};

/// Records that are remembered, for the list of events and the details of a connection.
const MAX_EVENTS: usize = 4096;
/// Looks whose rates are remembered: more than a terminal is wide.
const MAX_HISTORY: usize = 512;

/// What stands between the hosts that is not there by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Link {
    /// `tcplab netem`
    pub(super) impairments: usize,
    /// `tcplab rule`
    pub(super) rules: usize,
    /// Segments that rules hold.
    pub(super) held: u64,
}

/// One look at a stack.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) status: Status,
    pub(super) sockets: Vec<Socket>,
    pub(super) clock: ClockRow,
    pub(super) link: Link,
    /// What happened since the last look.
    pub(super) records: Vec<Record>,
    /// Names of the programs that processes run.
    pub(super) programs: Vec<(u32, String)>,
    /// Records that were not fetched, because there were too many, or are lost.
    pub(super) skipped: u64,
}

/// A rate: its name, and the kernel's name of the counter.
pub(super) const RATES: [(&str, &str); 7] = [
    ("segments in", "TcpInSegs"),
    ("segments out", "TcpOutSegs"),
    ("octets out", "IpExtOutOctets"),
    ("connects", "TcpActiveOpens"),
    ("accepts", "TcpPassiveOpens"),
    ("retransmits", "TcpRetransSegs"),
    ("resets", "TcpOutRsts"),
];

/// One value a rate, per second.
pub(super) type Rates = [f64; RATES.len()];

/// States in the order of a connection's life.
pub(super) const LIFE: [&str; 11] = [
    "LISTEN",
    "SYN-SENT",
    "SYN-RECV",
    "ESTAB",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
    "UNCONN",
];

/// One line among the events.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) what: What,
    pub(super) line: String,
    pub(super) tone: Tone,
    /// Shown among all connections', not only among its own one's.
    pub(super) is_news: bool,
}

/// Timers of one kind that run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Timers {
    pub(super) name: String,
    pub(super) count: usize,
    /// When the first of them runs out.
    pub(super) first: Duration,
}

/// Which socket is selected: it keeps being so when rows move.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Selected {
    id: String,
    local: core::net::SocketAddr,
    peer: Option<core::net::SocketAddr>,
    /// Where it was shown, for when it has gone.
    place: usize,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Model {
    latest: Option<Look>,
    /// Rows shown, as indexes of `Look::sockets`.
    order: Vec<usize>,
    widths: Widths,
    pub(super) sort: Sort,
    filter: Option<Filter>,
    selected: Option<Selected>,
    history: VecDeque<Rates>,
    events: VecDeque<Event>,
    lines: Lines,
    skipped: u64,
    /// Why there is no stack now.
    pub(super) gone: Option<String>,
}

/// The last look, without what events were made of.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) status: Status,
    pub(super) sockets: Vec<Socket>,
    pub(super) clock: ClockRow,
    pub(super) link: Link,
}

impl Model {
    /// A model with that filter and order.
    pub(super) fn new(filter: Option<Filter>, sort: Sort) -> Model {
        Model {
            latest: None,
            order: Vec::new(),
            widths: Widths::default(),
            sort,
            filter,
            selected: None,
            history: VecDeque::new(),
            events: VecDeque::new(),
            lines: lines(),
            skipped: 0,
            gone: None,
        }
    }

    /// Takes a look in.
    pub(super) fn see(&mut self, snapshot: Snapshot) {
        let Snapshot { status, sockets, clock, link, records, programs, skipped } = snapshot;
        match self.latest.as_ref().filter(|before| before.status.pid == status.pid) {
            Some(before) => {
                if let Some(rates) = rates(before, &status, &clock) {
                    self.history.push_back(rates);
                    if self.history.len() > MAX_HISTORY {
                        self.history.pop_front();
                    }
                }
            }
            // Another stack: what was counted and what happened was the other one's.
            None => {
                self.history.clear();
                self.events.clear();
                self.skipped = 0;
                self.lines = lines();
            }
        }
        for (pid, name) in programs {
            self.lines.learn_program(pid, name);
        }
        self.skipped += skipped;
        for record in records {
            self.note(&record);
        }
        self.gone = None;
        self.latest = Some(Look { status, sockets, clock, link });
        self.arrange();
    }

    fn note(&mut self, record: &Record) {
        let Some(line) = self.lines.line(record) else { return };
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        let (is_news, tone) = (events::is_event(&record.what), events::tone(&record.what));
        self.events.push_back(Event { what: record.what, line, tone, is_news });
    }

    /// The last look, where there was one.
    pub(super) fn look(&self) -> Option<&Look> {
        self.latest.as_ref()
    }

    /// Shows only what `filter` admits; `None`: everything.
    pub(super) fn set_filter(&mut self, filter: Option<Filter>) {
        self.filter = filter;
        self.arrange();
    }

    /// Orders the rows by another column.
    pub(super) fn set_sort(&mut self, sort: Sort) {
        self.sort = sort;
        self.arrange();
    }

    fn arrange(&mut self) {
        let Some(look) = &self.latest else { return };
        let admits = |row: &SocketRow| match &self.filter {
            None => true,
            Some(filter) => {
                filter.states.unwrap_or(States::ALL).contains(&row.state) && filter.admits(row)
            }
        };
        self.order = (0..look.sockets.len()).filter(|&i| admits(&look.sockets[i].row)).collect();
        self.sort.apply(&mut self.order, &look.sockets);
        self.widths = Widths::of(&look.sockets);
        if let Some(selected) = self.selected.take() {
            let place = self.find(&selected).unwrap_or(selected.place);
            // What has gone leaves its place to the row that moved up.
            self.select(place);
        }
    }

    fn find(&self, selected: &Selected) -> Option<usize> {
        let find = |same: &dyn Fn(&SocketRow) -> bool| self.rows().position(|s| same(&s.row));
        find(&|row| !row.id.is_empty() && row.id == selected.id).or_else(|| {
            // In TIME-WAIT a connection has lost its socket.
            let ends = (selected.local, selected.peer);
            find(&|row| row.peer.is_some() && (row.local, row.peer) == ends)
        })
    }

    /// The rows shown, in their order.
    pub(super) fn rows(&self) -> impl ExactSizeIterator<Item = &Socket> {
        let sockets = self.latest.as_ref().map_or(&[][..], |look| &look.sockets);
        self.order.iter().map(|&index| &sockets[index])
    }

    /// Widths of the columns.
    pub(super) fn widths(&self) -> &Widths {
        &self.widths
    }

    /// Place of the selected row.
    pub(super) fn selection(&self) -> Option<usize> {
        self.selected.as_ref().map(|selected| selected.place)
    }

    /// The selected socket.
    pub(super) fn selected(&self) -> Option<&Socket> {
        self.rows().nth(self.selection()?)
    }

    /// Selects a row, the last where there are fewer.
    pub(super) fn select(&mut self, place: usize) {
        let place = place.min(self.order.len().saturating_sub(1));
        let selected = self.rows().nth(place).map(|socket| Selected {
            id: socket.row.id.clone(),
            local: socket.row.local,
            peer: socket.row.peer,
            place,
        });
        self.selected = selected;
    }

    /// Selects the row so many further down; where none was selected the first, or at the very end
    /// the last.
    pub(super) fn select_by(&mut self, by: isize) {
        match self.selection() {
            None if by == isize::MAX => self.select(usize::MAX),
            None => self.select(0),
            Some(place) => self.select(place.saturating_add_signed(by)),
        }
    }

    /// Selects nothing.
    pub(super) fn deselect(&mut self) {
        self.selected = None;
    }

    /// Number of sockets in each of [`LIFE`], whether shown or not.
    pub(super) fn states(&self) -> [usize; LIFE.len()] {
        let sockets = self.latest.as_ref().map_or(&[][..], |look| &look.sockets);
        LIFE.map(|state| sockets.iter().filter(|socket| socket.row.state == state).count())
    }

    /// Timers that run, by kind, the soonest first.
    pub(super) fn timers(&self) -> Vec<Timers> {
        let sockets = self.latest.as_ref().map_or(&[][..], |look| &look.sockets);
        let mut kinds: Vec<Timers> = Vec::new();
        for TimerRow { name, left_ms, .. } in sockets.iter().filter_map(|s| s.row.timer.as_ref()) {
            let left = Duration::from_millis(*left_ms);
            match kinds.iter_mut().find(|kind| kind.name == *name) {
                Some(kind) => {
                    kind.count += 1;
                    kind.first = kind.first.min(left);
                }
                None => kinds.push(Timers { name: name.clone(), count: 1, first: left }),
            }
        }
        kinds.sort_by_key(|kind| kind.first);
        kinds
    }

    /// The last rates, where there were two looks.
    pub(super) fn rates(&self) -> Option<&Rates> {
        self.history.back()
    }

    /// Rates of that number in [`RATES`], the newest last.
    pub(super) fn history(&self, rate: usize) -> impl DoubleEndedIterator<Item = f64> {
        self.history.iter().map(move |rates| rates[rate])
    }

    /// News of all connections, the newest last.
    pub(super) fn news(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.events.iter().filter(|event| event.is_news)
    }

    /// What is remembered of the selected connection, the newest last.
    pub(super) fn life_of<'m>(&'m self, row: &'m SocketRow) -> impl Iterator<Item = &'m Event> {
        self.events.iter().filter(|event| events::concerns(&event.what, row))
    }

    /// Records that were not fetched, since there was this stack.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }
}

/// Records as `tcplab trace` prints them.
fn lines() -> Lines {
    Lines::new(Time::Stack, Detail::News)
}

/// Rates from one look to the next; none where no time has passed.
fn rates(before: &Look, status: &Status, clock: &ClockRow) -> Option<Rates> {
    let passed = Duration::from_nanos(clock.real_ns.saturating_sub(before.clock.real_ns));
    let value = |status: &Status, name: &str| {
        let counter = status.counters.iter().find(|(counter, _)| counter == name);
        counter.map_or(0, |(_, value)| *value)
    };
    (!passed.is_zero()).then(|| {
        RATES.map(|(_, name)| {
            let more = value(status, name).saturating_sub(value(&before.status, name));
            more as f64 / passed.as_secs_f64()
        })
    })
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
