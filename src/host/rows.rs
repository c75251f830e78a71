//! What the host shows of itself: the rows of `ss`, the counts of `status`.

use super::address::present;
use super::counters::Counter;
use super::sockets::{Connection, Place, Role, Socket};
use super::time_wait::Entry;
use super::{Host, SocketKey};
use crate::inspect::{SocketRow, Status, TimerRow};
use crate::ipc::Domain;
use crate::tcp::{Info, State};
use crate::time::{Duration, Instant};

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Milliseconds as `ss -i` prints them.
fn decimal_ms(duration: Duration) -> String {
    let micros = duration.as_micros();
    let text = format!("{}.{:03}", micros / 1000, micros % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The line of `ss -i`: its words, in its order; those that say nothing are left out.
fn info_line(info: &Info) -> String {
    let mut words = Vec::new();
    let mut flag = |on: bool, word: &str| {
        if on {
            words.push(word.to_owned());
        }
    };
    flag(info.timestamps, "ts");
    flag(info.sack, "sack");
    words.push(info.congestion.to_owned());
    if let Some((peer, own)) = info.wscale {
        words.push(format!("wscale:{peer},{own}"));
    }
    words.push(format!("rto:{}", millis(info.rto)));
    if !info.srtt.is_zero() {
        words.push(format!("rtt:{}/{}", decimal_ms(info.srtt), decimal_ms(info.rttvar)));
    }
    let mut number = |name: &str, value: u64| {
        if value > 0 {
            words.push(format!("{name}:{value}"));
        }
    };
    number("backoff", info.backoff.into());
    number("mss", info.mss.into());
    number("rcvmss", info.rcv_mss.into());
    number("advmss", info.advmss.into());
    number("cwnd", (info.cwnd / info.mss.max(1)).into());
    if info.ssthresh < u32::MAX {
        number("ssthresh", (info.ssthresh / info.mss.max(1)).into());
    }
    number("bytes_sent", info.bytes_sent);
    number("bytes_retrans", info.bytes_retrans);
    number("bytes_acked", info.bytes_acked);
    number("bytes_received", info.bytes_received);
    number("segs_out", info.segs_out);
    number("segs_in", info.segs_in);
    number("lastsnd", millis(info.last_sent));
    number("lastrcv", millis(info.last_received));
    number("unacked", info.unacked_segments.into());
    number("retrans_total", info.total_retrans.into());
    number("rcv_ooopack", info.rcv_ooopack);
    number("snd_wnd", info.snd_wnd.into());
    number("rcv_wnd", info.rcv_wnd.into());
    words.join(" ")
}

fn base_row(socket: &Socket, now: Instant) -> SocketRow {
    SocketRow {
        id: String::new(),
        state: socket.state().to_string(),
        recv_q: 0,
        send_q: 0,
        local: socket.local_name(),
        peer: socket.peer_name(),
        v6only: socket.options.v6only,
        timer: None,
        age_ms: millis(now.since(socket.since)),
        closed_first: socket.closed_first,
        reset: socket.reset.map(|reason| reason.to_string()),
        accepted: true,
        orphan: socket.is_orphan(),
        uid: socket.uid,
        info: String::new(),
        usage: Default::default(),
    }
}

/// The row of a socket.
pub(super) fn socket_row(socket: &Socket, now: Instant) -> SocketRow {
    let mut row = base_row(socket, now);
    match &socket.role {
        Role::Idle => {}
        Role::Listening(listener) => {
            row.recv_q = listener.accept_queue.len() as u64;
            row.send_q = listener.backlog as u64;
        }
        Role::Connection(connection) => connection_row(&mut row, socket, connection, now),
    }
    row
}

fn connection_row(row: &mut SocketRow, socket: &Socket, connection: &Connection, now: Instant) {
    let queues = connection.tcb.queues();
    let remote = connection.tcb.tuple().remote;
    row.recv_q = queues.recv as u64;
    row.send_q = queues.send as u64;
    row.accepted = !matches!(connection.place, Place::SynQueue(_) | Place::AcceptQueue(_));
    if connection.over {
        return;
    }
    // `ss` shows the peer in SYN-SENT too, where getpeername() does not.
    row.peer = Some(present(socket.domain, remote.ip(), remote.port()));
    let info = connection.tcb.info(now);
    row.timer = info.timer.map(|timer| TimerRow {
        name: timer.name.to_owned(),
        left_ms: millis(timer.left),
        count: timer.count,
    });
    row.info = info_line(&info);
}

/// The row of a TIME-WAIT.
pub(super) fn time_wait_row(entry: &Entry, now: Instant) -> SocketRow {
    let tuple = entry.time_wait.tuple();
    let name = |end: core::net::SocketAddr| present(entry.domain, end.ip(), end.port());
    SocketRow {
        id: String::new(),
        state: State::TimeWait.to_string(),
        recv_q: 0,
        send_q: 0,
        local: name(tuple.local),
        peer: Some(name(tuple.remote)),
        v6only: entry.domain == Domain::V6 && entry.v6only,
        timer: Some(TimerRow {
            name: "timewait".to_owned(),
            left_ms: millis(entry.time_wait.expires().since(now)),
            count: 0,
        }),
        age_ms: millis(now.since(entry.since)),
        closed_first: entry.closed_first,
        reset: entry.reset.map(|reason| reason.to_string()),
        accepted: true,
        orphan: true,
        uid: entry.uid,
        info: String::new(),
        usage: Default::default(),
    }
}

impl Host {
    /// Every socket in the order of the slab, then TIME-WAIT. `id` is empty: the caller knows
    /// which key is whose.
    pub fn rows(&self, now: Instant) -> Vec<(Option<SocketKey>, SocketRow)> {
        let sockets = self.sockets.iter();
        let sockets = sockets.map(|(key, socket)| (Some(key), socket_row(socket, now)));
        let time_waits = self.time_waits.iter().map(|entry| (None, time_wait_row(entry, now)));
        sockets.chain(time_waits).collect()
    }

    /// Counts; what only the process knows is left at its default.
    pub fn status(&self) -> Status {
        let live = || self.sockets.iter().filter_map(|(_, socket)| socket.connection());
        let tcbs = live().filter(|connection| !connection.over).count();
        let buffered: usize = live().map(|connection| connection.tcb.buffered()).sum();
        Status {
            sockets: (self.sockets.len() - self.orphans) as u64,
            tcbs: tcbs as u64,
            orphans: self.orphans as u64,
            time_wait: self.time_waits.len() as u64,
            ports: self.ports.len() as u64,
            buffered: buffered as u64,
            counters: self.counter_rows(),
            ..Status::default()
        }
    }

    /// Retransmissions of connections that are still there are added here, so that counting them
    /// costs nothing per segment.
    fn counter_rows(&self) -> Vec<(String, u64)> {
        let mut counters = self.counters.clone();
        for (_, socket) in self.sockets.iter() {
            if let Some(connection) = socket.connection().filter(|c| !c.over) {
                let retransmissions = connection.tcb.info(Instant::ZERO).total_retrans;
                counters.add(Counter::RetransSegs, retransmissions.into());
            }
        }
        counters.rows()
    }

    /// Nothing bound, connected, listening, in TIME-WAIT or orphaned.
    pub fn is_idle(&self) -> bool {
        self.ports.len() == 0
            && self.time_waits.len() == 0
            && self.sockets.iter().all(|(_, socket)| matches!(socket.role, Role::Idle))
    }
}
