//! A small session for tests: a listener, a connection, a leak, a TIME-WAIT.

use core::net::SocketAddr;

use tcplab::inspect::clock::{ClockRow, Scale};
use tcplab::inspect::{Status, TimerRow};
use tcplab::tcp::{Cause, ResetReason, State};
use tcplab::trace::{End, Record, Transition, What};
use tcplab::wire::Flags;

use super::super::ss::Socket;
use super::super::ss::holders::Holder;
use super::super::ss::table::tests::row;
use super::model::{Link, Snapshot};

pub(super) const SERVER: &str = "127.0.0.1:8080";
pub(super) const CLIENT: &str = "127.0.0.1:40000";

fn socket(id: &str, (state, local, peer): (&str, &str, Option<&str>)) -> Socket {
    let mut row = row(state, local, peer);
    row.id = id.to_owned();
    row.age_ms = 3210;
    let holder = |name: &str, pid| vec![Holder { pid, fd: 5, name: name.to_owned() }];
    let holders = match (id, local) {
        ("", _) => Vec::new(),
        (_, SERVER) => holder("server", 100),
        _ => holder("client", 200),
    };
    Socket { row, inode: 0, holders }
}

/// Its sockets, in the order of `ss`.
pub(super) fn sockets() -> Vec<Socket> {
    let mut sockets = vec![
        socket("000000000000000a", ("LISTEN", SERVER, None)),
        socket("000000000000000b", ("ESTAB", SERVER, Some(CLIENT))),
        socket("000000000000000c", ("CLOSE-WAIT", SERVER, Some("127.0.0.1:40002"))),
        socket("000000000000000d", ("ESTAB", CLIENT, Some(SERVER))),
        socket("", ("TIME-WAIT", "127.0.0.1:40004", Some(SERVER))),
    ];
    sockets[3].row.info = "cubic rto:400 rtt:0.25/0.1 mss:1448 cwnd:10 retrans_total:3".to_owned();
    let timer = |name: &str, left_ms, count| Some(TimerRow { name: name.into(), left_ms, count });
    sockets[3].row.timer = timer("on", 180, 3);
    sockets[4].row.timer = timer("timewait", 57_000, 0);
    sockets
}

/// What one look at it finds `seconds` after its beginning, after so many segments.
pub(super) fn snapshot(seconds: u64, segments: u64) -> Snapshot {
    let nanos = seconds * 1_000_000_000;
    let octets = ("IpExtOutOctets", 1500 * segments);
    let counters = [("TcpInSegs", segments), ("TcpOutSegs", 2 * segments), octets];
    Snapshot {
        status: Status {
            pid: 4711,
            session: "0/test".to_owned(),
            uptime_s: seconds,
            counters: counters.map(|(name, value)| (name.to_owned(), value)).to_vec(),
            ..Status::default()
        },
        sockets: sockets(),
        clock: ClockRow {
            time_ns: 20 * nanos,
            real_ns: nanos,
            scale: Scale::new(20, 1).unwrap(),
            paused: false,
            behind_ns: 0,
            next_timer_ns: Some(180_000_000),
        },
        link: Link { impairments: 1, rules: 2, held: 0 },
        records: Vec::new(),
        programs: Vec::new(),
        skipped: 0,
    }
}

/// A change of state of one end of the connection.
pub(super) fn transition(
    number: u64,
    (local, remote): (&str, &str),
    (from, to): (State, State),
    cause: Cause,
) -> Record {
    let address = |text: &str| text.parse::<SocketAddr>().ok();
    let end = End { socket: None, local: address(local), remote: address(remote) };
    let reset = (to == State::Closed).then_some(ResetReason::Peer);
    let what = What::State(Transition { end, from, to, cause, reset });
    Record { number, at_ns: number * 1_000_000, real_ns: number * 1_000_000, what }
}

/// How the connection was opened.
pub(super) fn opening() -> Vec<Record> {
    let syn_ack = Cause::Segment(Flags::SYN | Flags::ACK);
    vec![
        transition(1, (CLIENT, SERVER), (State::Closed, State::SynSent), Cause::Open),
        transition(2, (CLIENT, SERVER), (State::SynSent, State::Established), syn_ack),
        transition(
            3,
            ("127.0.0.1:40006", SERVER),
            (State::Established, State::Closed),
            Cause::Segment(Flags::RST),
        ),
    ]
}
