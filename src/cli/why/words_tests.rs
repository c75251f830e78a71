//! The sentences, for facts made by hand.

use tcplab::inspect::TimerRow;
use tcplab::inspect::why::Share;

use super::super::super::ss::holders::Held;
use super::*;

fn explanation(cause: Cause, errno: Option<&str>) -> Explanation {
    Explanation {
        call: Call::Bind,
        address: "0.0.0.0:8080".parse().unwrap(),
        from: None,
        errno: errno.map(str::to_owned),
        cause,
        reuse_address: false,
        reuse_port: false,
        uid: 0,
        parties: Vec::new(),
        untold: 0,
        usage: None,
    }
}

fn party(id: &str, state: &str, peer: Option<&str>) -> Party {
    let timer = (state == "TIME-WAIT").then(|| TimerRow {
        name: "timewait".to_owned(),
        left_ms: 45_210,
        count: 0,
    });
    Party {
        socket: SocketRow {
            id: id.to_owned(),
            state: state.to_owned(),
            recv_q: 2,
            send_q: 1,
            local: "127.0.0.1:8080".parse().unwrap(),
            peer: peer.map(|peer| peer.parse().unwrap()),
            v6only: false,
            timer,
            age_ms: 0,
            closed_first: None,
            reset: None,
            accepted: true,
            orphan: state == "TIME-WAIT",
            uid: 0,
            info: String::new(),
            usage: Default::default(),
        },
        came_by: if state == "LISTEN" { CameBy::Bind } else { CameBy::Accept },
        reuse_address: false,
        reuse_port: false,
        opener: 0,
    }
}

fn held(id: &str, pids: &[u32]) -> HeldById {
    let holder = |pid: &u32| Holder { pid: *pid, fd: 3, name: "srv".to_owned() };
    HeldById::from([(id.to_owned(), Held { inode: 1, holders: pids.iter().map(holder).collect() })])
}

#[test]
fn a_listener_is_named_with_its_holders() {
    let mut facts = explanation(Cause::InUse, Some("EADDRINUSE"));
    facts.parties = vec![party("a", "LISTEN", None), party("", "TIME-WAIT", Some("127.0.0.1:9"))];
    let held = held("a", &[7]);
    let text = Case::new(&facts, &held).text();
    let expected = "\
bind 0.0.0.0:8080 fails with EADDRINUSE: srv (pid 7, fd 3) listens on it

  STATE      LOCAL           PEER         REUSEADDR  HELD BY
  LISTEN     127.0.0.1:8080  -            no         srv (pid 7, fd 3)
  TIME-WAIT  127.0.0.1:8080  127.0.0.1:9  no         nobody, over in 45.3s

  - End srv (pid 7, fd 3), or use another port. Against a listener
    SO_REUSEADDR does not help, and SO_REUSEPORT only where both sockets have
    it and the user is the same.
  - Neither the old socket nor this one has SO_REUSEADDR, and Linux asks it of
    both: set it in the server, always and before bind(); it helps from the
    next restart on.
  - Or wait for 45.3s: `tcplab clock advance 46s` does it at once.
";
    assert_eq!(text, expected);
}

#[test]
fn an_heir_is_told_from_who_opened_the_socket() {
    let mut facts = explanation(Cause::InUse, Some("EADDRINUSE"));
    facts.parties = vec![Party { opener: u32::MAX, ..party("a", "LISTEN", None) }];
    let heirs = held("a", &[7, 8]);
    let case = Case::new(&facts, &heirs);
    assert!(case.verdict().ends_with("srv (pid 7, fd 3) and 1 more listen on it"));
    assert!(case.text().contains("srv (pid 7, fd 3, inherited), srv (pid 8, fd 3, inherited)"));
    assert!(case.remedies()[0].contains("inherited from process 4294967295, which has ended"));
    // Who holds it still has not left it to anybody.
    facts.parties[0].opener = 7;
    let case = Case::new(&facts, &heirs);
    assert!(case.text().contains("srv (pid 7, fd 3), srv (pid 8, fd 3, inherited)"));
    assert!(!case.remedies()[0].contains("inherited"));
}

#[test]
fn which_side_lacks_so_reuseaddr_is_said() {
    for (old, new, expected) in [
        (false, false, "Neither the old socket nor this one has SO_REUSEADDR"),
        (false, true, "SO_REUSEADDR is set on this socket, but was not on the old socket"),
        (true, false, "SO_REUSEADDR is set on the old socket and not on this one"),
    ] {
        let mut facts = explanation(Cause::InUse, Some("EADDRINUSE"));
        facts.reuse_address = new;
        let time_wait = party("", "TIME-WAIT", Some("127.0.0.1:9"));
        facts.parties = vec![Party { reuse_address: old, ..time_wait }];
        let nobody = HeldById::new();
        let remedies = Case::new(&facts, &nobody).remedies();
        assert!(remedies[0].starts_with(expected), "{remedies:?}");
    }
}

#[test]
fn an_outgoing_connection_on_the_port_is_said_to_be_one() {
    let mut facts = explanation(Cause::InUse, Some("EADDRINUSE"));
    let connection = party("a", "ESTAB", Some("127.0.0.1:9"));
    facts.parties = vec![Party { came_by: CameBy::Connect, ..connection }];
    let held = held("a", &[7]);
    let case = Case::new(&facts, &held);
    assert!(
        case.verdict()
            .ends_with(": an outgoing connection of srv (pid 7, fd 3) was given that port")
    );
    assert!(case.remedies()[0].contains("net.ipv4.ip_local_reserved_ports=8080"));
}

#[test]
fn what_uses_a_range_up_is_a_table() {
    let share = |state: &str, count, first_over_ms| Share {
        state: state.to_owned(),
        destination: Some("127.0.0.1:80".parse().unwrap()),
        count,
        first_over_ms,
    };
    let mut facts = explanation(Cause::Exhausted, Some("EADDRNOTAVAIL"));
    facts.call = Call::Connect;
    facts.address = "127.0.0.1:80".parse().unwrap();
    facts.usage = Some(Usage {
        low: 40_000,
        high: 40_009,
        reserved: 1,
        free: 0,
        shares: vec![share("TIME-WAIT", 8, Some(700)), share("ESTAB", 1, None)],
    });
    let nobody = HeldById::new();
    let text = Case::new(&facts, &nobody).text();
    let expected = "\
connect 127.0.0.1:80 fails with EADDRNOTAVAIL: no port of 40000-40009 is free for a connection \
to 127.0.0.1:80

  PORTS  STATE      TO
  8      TIME-WAIT  127.0.0.1:80  the first is over in 700ms
  1      ESTAB      127.0.0.1:80
  1      reserved   -

";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("tcp_tw_reuse=1"));
}

#[test]
fn every_cause_has_a_sentence_and_no_line_but_the_verdict_is_long() {
    let causes = [
        (Cause::Free, None),
        (Cause::Shared, None),
        (Cause::Answered, None),
        (Cause::TakesOver, None),
        (Cause::InUse, Some("EADDRINUSE")),
        (Cause::TupleInUse, Some("EADDRNOTAVAIL")),
        (Cause::Exhausted, Some("EADDRNOTAVAIL")),
        (Cause::NotLocal, Some("EADDRNOTAVAIL")),
        (Cause::Privileged(1024), Some("EACCES")),
        (Cause::Unreachable, Some("ENETUNREACH")),
        (Cause::NobodyListens, Some("ECONNREFUSED")),
        (Cause::QueueFull, Some("ETIMEDOUT")),
        (Cause::NotPossible, Some("EINVAL")),
    ];
    for (cause, errno) in causes {
        for state in ["LISTEN", "ESTAB", "CLOSE-WAIT", "TIME-WAIT"] {
            let mut facts = explanation(cause, errno);
            let id = if state == "TIME-WAIT" { "" } else { "a" };
            facts.parties = vec![party(id, state, Some("127.0.0.1:9"))];
            let held = held("a", &[7]);
            let case = Case::new(&facts, &held);
            let verdict = case.verdict();
            let outcome = errno.map_or("succeeds: ".to_owned(), |e| format!("fails with {e}: "));
            assert!(verdict.starts_with(&format!("bind 0.0.0.0:8080 {outcome}")), "{verdict}");
            assert!(!verdict.ends_with(['.', ' ', ':']), "{verdict}");
            assert!(case.text().lines().skip(1).all(|line| line.len() <= 80), "{}", case.text());
        }
    }
}
