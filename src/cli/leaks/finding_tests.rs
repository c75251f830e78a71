use tcplab::inspect::usage::How;

use super::*;
use crate::cli::ss::holders::Holder;
use crate::cli::ss::test_row as row;

fn possessor(pid: u32, fd: u32) -> Possessor {
    let holder = Holder { pid, fd, name: "server".to_owned() };
    Possessor { holder, passes_on: true, has_shim: true, process_age_ms: 60_000 }
}

fn case(state: &str, age_ms: u64) -> Case {
    let peer = (state != "LISTEN").then_some("127.0.0.1:5000");
    let mut row = row(state, "127.0.0.1:80", peer);
    row.id = "00000000000000aa".to_owned();
    row.age_ms = age_ms;
    row.usage.origin = Some(Origin { call: How::Accept, pid: 7, fd: 4, caller: 0x1000 });
    row.usage.users = vec![7];
    Case { row, possessors: vec![possessor(7, 4)] }
}

fn ends_read(times: u64, first_ago_ms: u64, last_ago_ms: u64) -> Option<EndsRead> {
    Some(EndsRead { times, first_ago_ms, last_ago_ms })
}

fn kinds(cases: &[Case]) -> Vec<Kind> {
    judge(cases, 1000).into_iter().map(|finding| finding.kind).collect()
}

/// One in CLOSE-WAIT whose program read 0 twelve times.
pub(in crate::cli::leaks) fn close_wait() -> Finding {
    let mut case = case("CLOSE-WAIT", 12_345);
    case.row.usage.ends_read = ends_read(12, 12_000, 100);
    judge(&[case], 1000).remove(0)
}

/// The same, with the place where it was accepted.
pub(in crate::cli::leaks) fn with_site() -> Finding {
    let site = Site {
        module: "/home/ci/repo/server".to_owned(),
        offset: 0x10,
        function: Some("serve".to_owned()),
        file: Some("/home/ci/repo/src/server.c".to_owned()),
        line: Some(41),
    };
    Finding { site: Some(site), ..close_wait() }
}

#[test]
fn what_a_program_did_after_the_end_tells_the_bugs_apart() {
    let after = |ends_read, recv_q| {
        let mut case = case("CLOSE-WAIT", 2000);
        case.row.usage.ends_read = ends_read;
        case.row.recv_q = recv_q;
        kinds(&[case])
    };
    let expected = |after| vec![Kind::CloseWait { after }];
    assert_eq!(after(None, 0), expected(AfterEnd::NeverRead));
    assert_eq!(after(None, 9), expected(AfterEnd::StoppedReading { unread: 9 }));
    assert_eq!(after(ends_read(1, 1990, 1990), 0), expected(AfterEnd::NeverCloses));
    // A check made twice in a row is no loop.
    assert_eq!(after(ends_read(2, 1990, 1989), 0), expected(AfterEnd::NeverCloses));
    assert_eq!(after(ends_read(2, 1990, 990), 0), expected(AfterEnd::IgnoresEnd { times: 2 }));
    assert_eq!(after(ends_read(9, 10, 10), 0), expected(AfterEnd::IgnoresEnd { times: 9 }));
}

#[test]
fn what_is_young_or_nobodys_or_in_order_is_no_leak() {
    assert_eq!(kinds(&[case("CLOSE-WAIT", 999)]), []);
    assert_eq!(kinds(&[case("ESTAB", 99_000), case("LISTEN", 99_000)]), []);
    let mut orphan = case("FIN-WAIT-2", 99_000);
    orphan.row.orphan = true;
    assert_eq!(kinds(&[orphan]), []);
}

#[test]
fn a_program_that_still_sends_its_answer_leaks_nothing() {
    let mut sending = case("CLOSE-WAIT", 5000);
    sending.row.usage.written_after_end = 100;
    sending.row.info = "cubic lastsnd:20 lastrcv:5000".to_owned();
    assert_eq!(kinds(&[sending]), []);
    let mut blocked = case("CLOSE-WAIT", 5000);
    blocked.row.send_q = 1;
    assert_eq!(kinds(&[blocked]), []);
    let mut silent = case("CLOSE-WAIT", 5000);
    silent.row.usage.written_after_end = 100;
    silent.row.info = "cubic lastsnd:2000 lastrcv:5000".to_owned();
    assert_eq!(kinds(&[silent]), [Kind::CloseWait { after: AfterEnd::NeverRead }]);
}

#[test]
fn of_two_ends_the_one_that_waits_for_the_other_is_not_at_fault() {
    let client = || {
        let mut client = case("FIN-WAIT-2", 5000);
        (client.row.local, client.row.peer) =
            ("127.0.0.1:5000".parse().unwrap(), Some("127.0.0.1:80".parse().unwrap()));
        client.row.info = "lastrcv:5000".to_owned();
        client
    };
    let server = case("CLOSE-WAIT", 5000);
    assert_eq!(kinds(&[client(), server]), [Kind::CloseWait { after: AfterEnd::NeverRead }]);
    assert_eq!(kinds(&[client()]), [Kind::FinWait2 { unread: 0 }]);
    let mut lazy = client();
    lazy.row.recv_q = 10;
    assert_eq!(kinds(&[lazy, case("ESTAB", 0)]), [Kind::FinWait2 { unread: 10 }]);
}

#[test]
fn waiting_connections_are_told_by_listener_with_the_oldest() {
    let waiting = |peer: &str, queued_ms| {
        let mut case = case("ESTAB", 0);
        case.row.accepted = false;
        case.row.peer = Some(peer.parse().unwrap());
        case.row.usage = Usage { queued_ms: Some(queued_ms), ..Usage::default() };
        case.possessors.clear();
        case
    };
    let mut listener = case("LISTEN", 60_000);
    listener.row.local = "0.0.0.0:80".parse().unwrap();
    let cases = [
        waiting("127.0.0.1:1", 1500),
        listener,
        waiting("127.0.0.1:2", 3000),
        waiting("127.0.0.1:3", 10),
    ];
    let findings = judge(&cases, 1000);
    assert_eq!(findings.len(), 1);
    let finding = &findings[0];
    assert_eq!(finding.kind, Kind::Unaccepted { connections: 2 });
    assert_eq!((finding.age_ms, finding.peer), (3000, Some("127.0.0.1:2".parse().unwrap())));
    assert_eq!(finding.holders, [possessor(7, 4)]);
    assert_eq!(
        finding.to_string(),
        "server (pid 7) fd 4: 2 connections wait for accept(), 127.0.0.1:80 - 127.0.0.1:2 for 3s"
    );
}

#[test]
fn a_program_that_was_started_with_a_socket_and_does_not_use_it_is_found() {
    let inherits = |pid, fd: u32, users: &[u32]| {
        let mut case = case("LISTEN", 0);
        case.possessors.push(possessor(pid, fd));
        case.row.usage.inherited = vec![Holding { pid, fd: fd.cast_signed() }];
        case.row.usage.users = users.to_vec();
        judge(&[case], 1000)
    };
    let found = inherits(9, 3, &[7]);
    assert_eq!(found[0].kind, Kind::Inherited);
    assert_eq!(found[0].holders, [possessor(9, 3)]);
    // It accepts from it; it is its standard input.
    assert!(inherits(9, 3, &[7, 9]).is_empty());
    assert!(inherits(9, 0, &[7]).is_empty());
    let mut foreign = case("LISTEN", 0);
    foreign.possessors.push(Possessor { has_shim: false, ..possessor(9, 3) });
    assert_eq!(kinds(&[foreign]), [Kind::Inherited]);
    let mut forked = case("LISTEN", 0);
    forked.possessors.push(possessor(9, 3));
    assert_eq!(kinds(&[forked]), []);
}

#[test]
fn a_finding_is_one_sentence() {
    assert_eq!(
        with_site().to_string(),
        "server (pid 7) fd 4: 127.0.0.1:80 - 127.0.0.1:5000 in CLOSE-WAIT for 12s: read 0 12 times \
         and went on; accepted at serve (server.c:41)"
    );
    let mut shared = close_wait();
    shared.holders = vec![possessor(8, 4), possessor(8, 5), possessor(9, 4)];
    let sentence = shared.to_string();
    assert!(sentence.starts_with("server (pid 8) fd 4 5, server (pid 9) fd 4: "), "{sentence}");
    assert!(sentence.ends_with("; accepted by pid 7"), "{sentence}");
}
