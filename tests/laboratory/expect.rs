//! `tcplab expect` says the truth, and its exit status is what a shell test needs.

use std::time::Duration;

use crate::common::{Session, compile};

const LIMIT: Duration = Duration::from_secs(20);

/// Exit status and output of `tcplab expect` with one expectation.
fn expect(session: &Session, text: &str) -> (Option<i32>, String) {
    let output = session.try_tcplab(["expect", text]);
    let words = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(words).expect("UTF-8"))
}

fn assert_holds(session: &Session, text: &str) {
    let (status, words) = expect(session, text);
    assert_eq!(status, Some(0), "{text}: {words}");
}

fn assert_fails(session: &Session, text: &str, found: &str) {
    let (status, words) = expect(session, text);
    assert_eq!(status, Some(1), "{text}: {words}");
    assert!(words.contains(found), "{text}: {words}");
}

#[test]
fn a_correct_server_leaves_nothing_and_a_leaking_one_is_found() {
    let session = Session::with_sysctls(&[]);
    for (example, leaks) in [("correct_server", false), ("leak_never_closes", true)] {
        let server = session.spawn(compile(&format!("examples/{example}.c"), &[]), ["0"]);
        let port = server.listening_port().to_string();
        assert_holds(&session, &format!("state=LISTEN sport={port} within 5s"));
        let client = compile("examples/client.c", &[]);
        let mut client = session.spawn(client, ["-c", &port, "hello"]);
        assert_eq!(client.wait(LIMIT).and_then(|status| status.code()), Some(0));
        if leaks {
            assert_holds(&session, &format!("state=CLOSE-WAIT port={port} count=1 within 5s"));
            let none = format!("state=CLOSE-WAIT sport={port} count=0");
            assert_fails(&session, &none, "there is 1:\n        CLOSE-WAIT");
        } else {
            assert_holds(&session, &format!("state=TIME-WAIT dport={port} within 5s"));
            assert_holds(&session, &format!("state=CLOSE-WAIT port={port} count=0 for 50ms"));
        }
    }
    assert_holds(&session, "rst=0");
    assert_holds(&session, "syn=4");
}

#[test]
fn refused_calls_and_resets_are_seen() {
    let session = Session::with_sysctls(&[]);
    let server = session.spawn(compile("examples/correct_server.c", &[]), ["0"]);
    let port = server.listening_port().to_string();
    let mut second = session.spawn(compile("examples/correct_server.c", &[]), [&port]);
    second.wait(LIMIT).expect("it ends");
    assert_holds(&session, &format!("bind {port} = EADDRINUSE"));
    assert_fails(&session, &format!("bind {port}"), "= EADDRINUSE");
    let mut client = session.spawn(compile("examples/client.c", &[]), ["1", "hello"]);
    client.wait(LIMIT).expect("it ends");
    assert_holds(&session, "connect 127.0.0.1:1 = ECONNREFUSED");
    assert_holds(&session, "rst=1 reason=no-listener");
    assert_fails(&session, "connect 127.0.0.1:2", "no program has made such a call");
    assert_holds(&session, "TcpOutRsts = 1");
    let mark = session.tcplab(["expect", "--mark"]);
    session.tcplab(["expect", "--since", mark.trim(), "rst=0"]);
}

#[test]
fn what_is_not_understood_is_wrong_usage() {
    let session = Session::with_sysctls(&[]);
    for (text, why) in [
        ("state=CLOSED", "not a state"),
        ("TcpNoSuch=1", "no counter"),
        ("count=0 count=1", "too many"),
        ("rst=0 within soon", "duration"),
    ] {
        let (status, words) = expect(&session, text);
        assert_eq!(status, Some(2), "{text}: {words}");
        assert!(words.contains(why), "{text}: {words}");
    }
}
