//! The columns of the connection table: what stands in them, how rows are ordered by them, and
//! which of them a narrow terminal does without.

use core::cmp::Ordering;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::ValueEnum;

use super::super::ss::Socket;
use super::super::ss::filter::STATES;
use super::super::ss::table;

/// A column of the table, in the order in which they are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Column {
    /// State
    State,
    /// Octets the program has not read; of a listener: connections not accepted
    RecvQ,
    /// Octets the peer has not acknowledged; of a listener: the backlog
    SendQ,
    /// Local address and port
    Local,
    /// Peer's address and port
    Peer,
    /// Program, process and descriptor
    Program,
    /// Running timer: which, time left, times it ran out
    Timer,
    /// Time since the state was entered
    Age,
    /// Segments sent again
    Retrans,
    /// Congestion window in segments
    Cwnd,
    /// Smoothed round-trip time in milliseconds
    Rtt,
}

/// How many columns there are.
pub(super) const COUNT: usize = 11;
/// Widest column: a program with a long name and many holders.
const MAX_WIDTH: usize = 48;

impl Column {
    /// All of them, from left to right.
    pub(super) const ALL: [Column; COUNT] = [
        Column::State,
        Column::RecvQ,
        Column::SendQ,
        Column::Local,
        Column::Peer,
        Column::Program,
        Column::Timer,
        Column::Age,
        Column::Retrans,
        Column::Cwnd,
        Column::Rtt,
    ];

    /// The same, the most important first: the last ones go first where there is no room.
    const BY_IMPORTANCE: [Column; COUNT] = [
        Column::State,
        Column::Local,
        Column::Peer,
        Column::Program,
        Column::Age,
        Column::RecvQ,
        Column::SendQ,
        Column::Timer,
        Column::Retrans,
        Column::Rtt,
        Column::Cwnd,
    ];

    /// What stands above it.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Column::State => "State",
            Column::RecvQ => "Recv-Q",
            Column::SendQ => "Send-Q",
            Column::Local => "Local",
            Column::Peer => "Peer",
            Column::Program => "Program",
            Column::Timer => "Timer",
            Column::Age => "Age",
            Column::Retrans => "Retr",
            Column::Cwnd => "Cwnd",
            Column::Rtt => "RTT/ms",
        }
    }

    /// Numbers stand at the right, and the greatest first.
    pub(super) const fn is_number(self) -> bool {
        !matches!(
            self,
            Column::State | Column::Local | Column::Peer | Column::Program | Column::Timer
        )
    }

    /// What stands in it.
    pub(super) fn text(self, socket: &Socket, addresses: Addresses) -> String {
        let row = &socket.row;
        let name = |address: SocketAddr| {
            let is_usual = address.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST);
            let (ip, port) = table::address(row, address);
            match addresses {
                Addresses::Short if is_usual => format!(":{port}"),
                _ => format!("{ip}:{port}"),
            }
        };
        let info = |word| info_word(&row.info, word).unwrap_or("").to_owned();
        match self {
            Column::State => row.state.clone(),
            Column::RecvQ => row.recv_q.to_string(),
            Column::SendQ => row.send_q.to_string(),
            Column::Local => name(row.local),
            Column::Peer => name(table::peer(row)),
            Column::Program => program(socket),
            Column::Timer => row.timer.as_ref().map_or_else(String::new, |timer| {
                let count = if timer.count > 0 { format!(" x{}", timer.count) } else { "".into() };
                format!("{} {}{count}", timer.name, table::age(timer.left_ms))
            }),
            Column::Age => table::age(row.age_ms),
            Column::Retrans => info("retrans_total"),
            Column::Cwnd => info("cwnd"),
            Column::Rtt => {
                info("rtt").split_once('/').map_or_else(String::new, |(mean, _)| mean.to_owned())
            }
        }
    }

    /// Which of two rows comes first by this column alone.
    fn compare(self, a: &Socket, b: &Socket) -> Ordering {
        let number = |socket: &Socket| -> u64 {
            match self {
                Column::RecvQ => socket.row.recv_q,
                Column::SendQ => socket.row.send_q,
                Column::Age => socket.row.age_ms,
                Column::Rtt => {
                    let mean = info_word(&socket.row.info, "rtt").and_then(|w| w.split('/').next());
                    // Microseconds.
                    mean.and_then(|mean| mean.parse::<f64>().ok()).map_or(0, |ms| (ms * 1e3) as u64)
                }
                Column::Retrans => info_number(&socket.row.info, "retrans_total"),
                _ => info_number(&socket.row.info, "cwnd"),
            }
        };
        let address = |address: SocketAddr| (address.is_ipv6(), address.ip(), address.port());
        let left = |socket: &Socket| socket.row.timer.as_ref().map_or(u64::MAX, |t| t.left_ms);
        let state =
            |socket: &Socket| STATES.iter().position(|state| *state == socket.row.state.as_str());
        match self {
            Column::State => state(a).cmp(&state(b)),
            Column::Local => address(a.row.local).cmp(&address(b.row.local)),
            Column::Peer => address(table::peer(&a.row)).cmp(&address(table::peer(&b.row))),
            Column::Program => program(a).cmp(&program(b)),
            Column::Timer => left(a).cmp(&left(b)),
            _ => number(b).cmp(&number(a)),
        }
    }
}

/// How the rows are ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sort {
    /// By which column; `None`: as `tcplab ss` orders them, listeners first.
    pub(super) column: Option<Column>,
    /// The other way round.
    pub(super) reversed: bool,
}

impl Sort {
    /// By the next column, or by the one before.
    pub(super) fn step(&mut self, by: isize) {
        // `ss` order stands between the last column and the first.
        let now = self.column.and_then(|column| Column::ALL.iter().position(|c| *c == column));
        let places = COUNT.cast_signed() + 1;
        let next = (now.map_or(0, |index| index.cast_signed() + 1) + by).rem_euclid(places);
        self.column = usize::try_from(next - 1).ok().map(|index| Column::ALL[index]);
        self.reversed = false;
    }

    /// Orders rows that stand in the order of `ss`.
    pub(super) fn apply(self, order: &mut [usize], sockets: &[Socket]) {
        if let Some(column) = self.column {
            order.sort_by(|&a, &b| {
                let ordering = column.compare(&sockets[a], &sockets[b]);
                if self.reversed { ordering.reverse() } else { ordering }
            });
        } else if self.reversed {
            order.reverse();
        }
    }
}

/// How addresses are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Addresses {
    /// `127.0.0.1:8080`
    Whole,
    /// `:8080`, as `tcplab trace` writes what is on 127.0.0.1.
    Short,
}

/// Widths of the columns in which all rows fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Widths {
    whole: [usize; COUNT],
    short: [usize; COUNT],
}

impl Widths {
    /// Widths for these rows.
    pub(super) fn of(sockets: &[Socket]) -> Widths {
        let titles = Column::ALL.map(|column| column.title().len());
        let mut widths = Widths { whole: titles, short: titles };
        for socket in sockets {
            for (index, column) in Column::ALL.into_iter().enumerate() {
                let width = |addresses| column.text(socket, addresses).chars().count();
                let whole = width(Addresses::Whole);
                let short = match column {
                    Column::Local | Column::Peer => width(Addresses::Short),
                    _ => whole,
                };
                for (width, needed) in [(&mut widths.whole, whole), (&mut widths.short, short)] {
                    width[index] = needed.clamp(width[index], MAX_WIDTH);
                }
            }
        }
        widths
    }
}

/// The columns of a table and their widths, from left to right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fit {
    pub(super) columns: Vec<(Column, usize)>,
    pub(super) addresses: Addresses,
}

/// What fits in. Addresses are shortened before a column is left out.
pub(super) fn fit(widths: &Widths, sort: Sort, room: usize) -> Fit {
    let with_mark = |mut widths: [usize; COUNT]| {
        if let Some(column) = sort.column {
            let width = &mut widths[column as usize];
            *width = (*width).max(column.title().len() + 1);
        }
        widths
    };
    let columns = taken(with_mark(widths.whole), room);
    if columns.len() == COUNT {
        return Fit { columns, addresses: Addresses::Whole };
    }
    Fit { columns: taken(with_mark(widths.short), room), addresses: Addresses::Short }
}

/// The most important columns, as many as fit in; one that nearly does is cut.
fn taken(widths: [usize; COUNT], room: usize) -> Vec<(Column, usize)> {
    const ENOUGH: usize = 8;
    let mut left = room;
    let mut taken = [0; COUNT];
    for column in Column::BY_IMPORTANCE {
        let width = widths[column as usize];
        // A blank between columns.
        let blank = usize::from(left < room);
        let given = width.min(left.saturating_sub(blank));
        if given == width || given >= ENOUGH {
            taken[column as usize] = given;
            left -= given + blank;
        }
    }
    Column::ALL.into_iter().zip(taken).filter(|(_, width)| *width > 0).collect()
}

/// `nginx[4711]/5`, and how many more there are.
fn program(socket: &Socket) -> String {
    let Some(first) = socket.holders.first() else {
        let row = &socket.row;
        return match (row.accepted, row.orphan && row.state != "TIME-WAIT") {
            (false, _) => "(not accepted)".to_owned(),
            (true, true) => "(orphan)".to_owned(),
            (true, false) => String::new(),
        };
    };
    let more = match socket.holders.len() {
        1 => String::new(),
        count => format!(" +{}", count - 1),
    };
    format!("{}[{}]/{}{more}", first.name, first.pid, first.fd)
}

/// The value of a word of `ss -i`: of `cwnd` in `rto:204 cwnd:10` it is `10`.
fn info_word<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix(':'))
}

fn info_number(info: &str, name: &str) -> u64 {
    info_word(info, name).and_then(|value| value.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
#[path = "columns_tests.rs"]
mod tests;
