//! The table against what `ss` of iproute2 6.1 printed for like sockets of the kernel.

use super::*;

pub(in crate::cli) fn row(state: &str, local: &str, peer: Option<&str>) -> SocketRow {
    SocketRow {
        id: String::new(),
        state: state.to_owned(),
        recv_q: 0,
        send_q: 0,
        local: local.parse().unwrap(),
        peer: peer.map(|peer| peer.parse().unwrap()),
        v6only: false,
        timer: None,
        age_ms: 0,
        closed_first: None,
        reset: None,
        accepted: true,
        orphan: false,
        uid: 0,
        info: String::new(),
        usage: Default::default(),
    }
}

fn socket(row: SocketRow, holders: &[(&str, u32, u32)]) -> Socket {
    let holders =
        holders.iter().map(|&(name, pid, fd)| Holder { pid, fd, name: name.to_owned() }).collect();
    Socket { row, inode: 42, holders }
}

const PLAIN: Columns = Columns {
    state: true,
    timers: false,
    processes: false,
    extended: false,
    info: false,
    header: true,
};

fn sample() -> Vec<Socket> {
    let mut listener = row("LISTEN", "127.0.0.1:18081", None);
    (listener.recv_q, listener.send_q) = (1, 7);
    let mut v6only = row("LISTEN", "[::]:18083", None);
    (v6only.v6only, v6only.send_q) = (true, 128);
    let mut dual = row("LISTEN", "[::]:18082", None);
    dual.send_q = 7;
    let mut waiting = row("TIME-WAIT", "127.0.0.1:60670", Some("127.0.0.1:18081"));
    waiting.timer = Some(TimerRow { name: "timewait".to_owned(), left_ms: 59_000, count: 0 });
    let mut queued = row("ESTAB", "127.0.0.1:18081", Some("127.0.0.1:60662"));
    queued.recv_q = 100;
    vec![
        socket(listener, &[("python3", 6213, 3), ("python3", 6255, 3)]),
        socket(waiting, &[]),
        socket(queued, &[("python3", 6213, 9)]),
        socket(dual, &[]),
        socket(v6only, &[]),
        socket(row("ESTAB", "[::ffff:127.0.0.1]:18082", Some("[::ffff:127.0.0.1]:55916")), &[]),
        socket(row("CLOSE-WAIT", "[::1]:18082", Some("[::1]:40162")), &[]),
    ]
}

#[test]
fn the_plain_table_is_that_of_ss() {
    let expected = "\
State      Recv-Q Send-Q      Local Address:Port        Peer Address:Port  Process
LISTEN     1      7               127.0.0.1:18081            0.0.0.0:*
TIME-WAIT  0      0               127.0.0.1:60670          127.0.0.1:18081
ESTAB      100    0               127.0.0.1:18081          127.0.0.1:60662
LISTEN     0      7                       *:18082                  *:*
LISTEN     0      128                  [::]:18083               [::]:*
ESTAB      0      0      [::ffff:127.0.0.1]:18082 [::ffff:127.0.0.1]:55916
CLOSE-WAIT 0      0                   [::1]:18082              [::1]:40162
";
    assert_eq!(table(&sample(), PLAIN), expected);
    let bare = table(&sample(), Columns { header: false, ..PLAIN });
    assert_eq!(bare, expected.split_once('\n').unwrap().1);
}

#[test]
fn processes_and_timers_stand_in_the_last_column() {
    let text = table(&sample(), Columns { processes: true, timers: true, ..PLAIN });
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[1],
        "LISTEN     1      7               127.0.0.1:18081            0.0.0.0:*     \
         users:((\"python3\",pid=6213,fd=3),(\"python3\",pid=6255,fd=3))"
    );
    assert_eq!(
        lines[2],
        "TIME-WAIT  0      0               127.0.0.1:60670          127.0.0.1:18081 \
         timer:(timewait,59sec,0)"
    );
}

#[test]
fn one_state_needs_no_column() {
    let rows = [socket(row("CLOSE-WAIT", "[::1]:18082", Some("[::1]:40162")), &[])];
    let text = table(&rows, Columns { state: false, ..PLAIN });
    assert_eq!(
        text,
        "Recv-Q Send-Q Local Address:Port  Peer Address:Port  Process\n\
         0      0              [::1]:18082        [::1]:40162\n"
    );
}

#[test]
fn the_extended_part_tells_what_ss_cannot_know() {
    let mut leak = row("CLOSE-WAIT", "127.0.0.1:80", Some("127.0.0.1:40000"));
    leak.id = "00000000000000ff".to_owned();
    (leak.uid, leak.age_ms, leak.closed_first) = (1000, 3210, Some(Side::Peer));
    leak.reset = Some("unread data".to_owned());
    (leak.accepted, leak.orphan) = (false, true);
    assert_eq!(
        extended(&socket(leak, &[])),
        "uid:1000 ino:42 sk:ff age:3.2sec closed-first:peer reset:unread data not-accepted orphan"
    );
}

#[test]
fn the_info_line_follows_its_socket() {
    let mut one = row("ESTAB", "127.0.0.1:1", Some("127.0.0.1:2"));
    one.info = "cubic rto:204 mss:1448".to_owned();
    let text = table(&[socket(one, &[])], Columns { info: true, ..PLAIN });
    assert!(text.ends_with("127.0.0.1:2\n\t cubic rto:204 mss:1448\n"), "{text}");
}

#[test]
fn durations_are_written_as_iproute2_writes_them() {
    let written = [
        (0, ""),
        (7, "007ms"),
        (200, "200ms"),
        (1500, "1.500ms"),
        (2000, "2sec"),
        (15_300, "15sec"),
        (90_400, "1min30sec"),
        (60_000, "1min"),
        (754_000, "12min"),
    ];
    for (ms, text) in written {
        assert_eq!(duration(ms), text, "{ms} ms");
    }
}

#[test]
fn ages_can_be_read() {
    let written = [(0, "0ms"), (1500, "1.5sec"), (59_999, "59sec"), (61_000, "1min1sec")];
    for (ms, text) in written {
        assert_eq!(age(ms), text, "{ms} ms");
    }
}

#[test]
fn an_empty_table_is_its_header() {
    let header = "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n";
    assert_eq!(table(&[], PLAIN), header);
}
