//! The table of `ss`: columns, addresses, timers as iproute2 prints them.
//!
//! Two things differ on purpose: lines have no trailing blanks, and a blank always stands before
//! `Process` (iproute2 glues it to `Port` where ports are short).

use core::fmt::Write as _;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};

use tcplab::inspect::{Side, SocketRow, TimerRow};

use super::Socket;
use super::holders::Holder;

/// Which columns and parts of them are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    /// State: left out where all rows have the same.
    pub(super) state: bool,
    /// `-o`
    pub(super) timers: bool,
    /// `-p`
    pub(super) processes: bool,
    /// `-e`
    pub(super) extended: bool,
    /// `-i`
    pub(super) info: bool,
    /// Without `-H`.
    pub(super) header: bool,
}

const CELLS: usize = 8;
type Row = [String; CELLS];

/// The whole table as text.
pub(super) fn table(sockets: &[Socket], columns: Columns) -> String {
    let header =
        ["State", "Recv-Q", "Send-Q", "Local Address", "Port", "Peer Address", "Port", "Process"];
    let mut rows: Vec<Row> = vec![header.map(str::to_owned)];
    rows.extend(sockets.iter().map(|socket| cells(socket, columns)));
    let mut widths = [0; CELLS];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let skipped = usize::from(!columns.header);
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate().skip(skipped) {
        text.push_str(line(row, &widths, columns).trim_end());
        text.push('\n');
        let info = index.checked_sub(1).map_or("", |index| &sockets[index].row.info);
        if columns.info && !info.is_empty() {
            let _ = writeln!(text, "\t {info}");
        }
    }
    text
}

fn line(row: &Row, widths: &[usize; CELLS], columns: Columns) -> String {
    let [state, recv, send, local, local_port, peer, peer_port, process] = row;
    let [w_state, w_recv, w_send, w_local, w_local_port, w_peer, w_peer_port, _] = *widths;
    let mut line = String::new();
    if columns.state {
        let _ = write!(line, "{state:<w_state$} ");
    }
    let _ = write!(
        line,
        "{recv:<w_recv$} {send:<w_send$} {local:>w_local$}:{local_port:<w_local_port$} \
         {peer:>w_peer$}:{peer_port:<w_peer_port$} {process}"
    );
    line
}

fn cells(socket: &Socket, columns: Columns) -> Row {
    let row = &socket.row;
    let (local, local_port) = address(row, row.local);
    let (peer, peer_port) = address(row, peer(row));
    [
        row.state.clone(),
        row.recv_q.to_string(),
        row.send_q.to_string(),
        local,
        local_port,
        peer,
        peer_port,
        process(socket, columns),
    ]
}

/// The peer, or no address where there is none.
pub(in crate::cli) fn peer(row: &SocketRow) -> SocketAddr {
    row.peer.unwrap_or(match row.local {
        SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    })
}

/// Address and port; a wildcard of a socket that takes both families is `*`, as is port 0.
pub(in crate::cli) fn address(row: &SocketRow, address: SocketAddr) -> (String, String) {
    let port = match address.port() {
        0 => "*".to_owned(),
        port => port.to_string(),
    };
    let text = match address.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) if ip.is_unspecified() && !row.v6only => "*".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]{}", zone(address)),
    };
    (text, port)
}

fn zone(address: SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => match interface(v6.scope_id()) {
            Some(name) => format!("%{name}"),
            None => format!("%{}", v6.scope_id()),
        },
        _ => String::new(),
    }
}

fn interface(index: u32) -> Option<String> {
    let mut name = [0u8; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the size that if_indextoname() demands.
    if unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) }.is_null() {
        return None;
    }
    let len = name.iter().position(|&b| b == 0)?;
    Some(String::from_utf8_lossy(&name[..len]).into_owned())
}

fn process(socket: &Socket, columns: Columns) -> String {
    let mut parts = Vec::new();
    if columns.processes && !socket.holders.is_empty() {
        parts.push(users(&socket.holders));
    }
    if columns.timers {
        parts.extend(socket.row.timer.as_ref().map(timer));
    }
    if columns.extended {
        parts.push(extended(socket));
    }
    parts.join(" ")
}

pub(in crate::cli) fn users(holders: &[Holder]) -> String {
    let one =
        |holder: &Holder| format!("(\"{}\",pid={},fd={})", holder.name, holder.pid, holder.fd);
    format!("users:({})", holders.iter().map(one).collect::<Vec<_>>().join(","))
}

pub(in crate::cli) fn timer(timer: &TimerRow) -> String {
    format!("timer:({},{},{})", timer.name, duration(timer.left_ms), timer.count)
}

pub(in crate::cli) fn extended(socket: &Socket) -> String {
    let row = &socket.row;
    let mut parts = Vec::new();
    if row.uid != 0 {
        parts.push(format!("uid:{}", row.uid));
    }
    parts.push(format!("ino:{}", socket.inode));
    if !row.id.is_empty() {
        parts.push(format!("sk:{}", row.id.trim_start_matches('0')));
    }
    parts.push(format!("age:{}", age(row.age_ms)));
    parts.extend(row.closed_first.map(|side| {
        let side = match side {
            Side::Local => "local",
            Side::Peer => "peer",
        };
        format!("closed-first:{side}")
    }));
    parts.extend(row.reset.as_ref().map(|reason| format!("reset:{reason}")));
    if !row.accepted {
        parts.push("not-accepted".to_owned());
    }
    // That no process holds a TIME-WAIT goes without saying.
    if row.orphan && row.state != "TIME-WAIT" {
        parts.push("orphan".to_owned());
    }
    parts.join(" ")
}

/// As iproute2: `200ms`, `1.500ms` (which means one and a half seconds), `59sec`, `1min30sec`.
fn duration(ms: u64) -> String {
    let (minutes, seconds, ms) = (ms / 60_000, ms / 1000 % 60, ms % 1000);
    let seconds = if minutes > 9 { 0 } else { seconds };
    let ms = if minutes > 0 || seconds > 9 { 0 } else { ms };
    let mut text = String::new();
    if minutes > 0 {
        let _ = write!(text, "{minutes}min");
    }
    if seconds > 0 {
        let _ = write!(text, "{seconds}{}", if ms > 0 { "." } else { "sec" });
    }
    if ms > 0 {
        let _ = write!(text, "{ms:03}ms");
    }
    text
}

/// As `duration`, without its two traps: never empty, and a fraction of a second says so.
pub(in crate::cli) fn age(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms}ms"),
        1000..10_000 => format!("{}.{}sec", ms / 1000, ms % 1000 / 100),
        10_000..60_000 => format!("{}sec", ms / 1000),
        60_000..3_600_000 => format!("{}min{}sec", ms / 60_000, ms / 1000 % 60),
        _ => format!("{}h{}min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
pub(in crate::cli) mod tests;
