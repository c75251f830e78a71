//! `tcplab trace`: one stream of what programs did and what TCP made of it.

use std::process::Command;
use std::time::Duration;

use tcplab::inspect::watch::{Line, Told};
use tcplab::trace::What;

use crate::common::{Program, Session, compile, tcplab_path, wait_for};

const LIMIT: Duration = Duration::from_secs(60);

/// An echo server, and the port it listens on.
fn serve(session: &Session) -> (Program, String) {
    let server = session.spawn(compile("examples/correct_server.c", &[]), ["0"]);
    let port = server.listening_port().to_string();
    (server, port)
}

fn exchange(session: &Session, port: &str) {
    let mut client = session.spawn(compile("examples/client.c", &[]), [port, "hello"]);
    assert_eq!(client.wait(LIMIT).and_then(|s| s.code()), Some(0), "{}", client.output());
}

/// `tcplab` with these words, running, its output in a file.
fn tcplab(session: &Session, words: &[&str]) -> Program {
    let mut command = Command::new(tcplab_path());
    command.args(words).env("TCPLAB_SESSION", session.name());
    Program::start(command).expect("tcplab can be started")
}

/// Checks that lines that contain these words are there, in this order.
fn assert_in_order(text: &str, expected: &[&str]) {
    let mut lines = text.lines();
    for words in expected {
        assert!(lines.any(|line| line.contains(words)), "'{words}' is not in its place:\n{text}");
    }
}

/// The same for a stream that was followed: a call that took long is told when it is over.
fn assert_followed(text: &str, expected: &[&str]) {
    let is_call = |words: &&str| words.ends_with('(');
    let (calls, others): (Vec<&str>, Vec<&str>) = expected.iter().copied().partition(is_call);
    assert_in_order(text, &others);
    calls.iter().for_each(|call| assert_in_order(text, &[call]));
}

/// The life of a connection, cause before effect.
const LIFE: [&str; 14] = [
    "CLOSED -> LISTEN  (listen())",
    "connect(",
    "CLOSED -> SYN-SENT  (connect())",
    "> SYN seq 0 ",
    "LISTEN -> SYN-RECV  (rcv SYN)",
    "> SYN,ACK seq 0 ack 1 ",
    "SYN-SENT -> ESTAB  (rcv SYN,ACK)",
    "SYN-RECV -> ESTAB  (rcv ACK)",
    "ESTAB -> FIN-WAIT-1  (shutdown(SHUT_WR))",
    "> FIN,ACK seq 7 ",
    "ESTAB -> CLOSE-WAIT  (rcv FIN,ACK)",
    "CLOSE-WAIT -> LAST-ACK  (close())",
    "FIN-WAIT-2 -> TIME-WAIT  (rcv FIN,ACK)",
    "LAST-ACK -> CLOSED  (rcv ACK)",
];

#[test]
fn what_has_happened_is_told_afterwards_in_order() {
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve(&session);
    exchange(&session, &port);
    let text = session.tcplab(["trace"]);
    assert_in_order(&text, &LIFE);
    assert!(!text.contains("PSH,ACK"), "bulk is not recorded unless it is asked for:\n{text}");
    assert!(text.contains("  <- 127.0.0.1:"), "who was accepted:\n{text}");
    assert!(text.contains("  client["), "who called:\n{text}");
}

#[test]
fn who_follows_sees_text_too_and_everything_up_to_the_interrupt() {
    let session = Session::with_sysctls(&[]);
    let mut trace = tcplab(&session, &["trace", "-f"]);
    wait_for("tracing to begin", || trace.output().contains("full tracing begins"));
    let (_server, port) = serve(&session);
    exchange(&session, &port);
    trace.signal(libc::SIGINT);
    assert_eq!(trace.wait(LIMIT).and_then(|s| s.code()), Some(0), "{}", trace.output());
    let text = trace.output();
    assert_followed(&text, &LIFE);
    // A program's line may be sent in two pieces.
    assert_in_order(&text, &["> PSH,ACK seq 1:", "> PSH,ACK seq 1:"]);
    wait_for("tracing to end", || session.tcplab(["trace"]).contains("full tracing ends"));
}

#[test]
fn records_are_selected_by_connection_kind_and_program() {
    let session = Session::with_sysctls(&[]);
    let ((_one, port), (_other, other_port)) = (serve(&session), serve(&session));
    exchange(&session, &port);
    exchange(&session, &other_port);
    let of_port = session.tcplab(["trace", "--port", &port]);
    assert_in_order(&of_port, &LIFE);
    assert!(!of_port.contains(&format!(":{other_port} ")), "{of_port}");
    let states = session.tcplab(["trace", "--kind", "state", "--conn", &format!(":{port}")]);
    assert_eq!(states.lines().filter(|line| !line.contains(" -> ")).count(), 0, "{states}");
    let client = session.tcplab(["trace", "--program", "client", "--kind", "call"]);
    assert_in_order(&client, &["connect(", "shutdown(", "connect(", "shutdown("]);
    assert!(!client.contains("server["), "{client}");
    assert_eq!(session.tcplab(["trace", "--last", "2"]).lines().count(), 2);
}

#[test]
fn as_json_every_line_is_a_record_or_a_word_about_them() {
    let session = Session::with_sysctls(&[]);
    let (server, port) = serve(&session);
    exchange(&session, &port);
    let text = session.tcplab(["trace", "--json"]);
    let mut last = (0, 0);
    let (mut arrivals, mut names) = (0, Vec::new());
    for line in text.lines() {
        let parsed = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        match parsed {
            Line::Record(record) => {
                assert!(
                    (record.real_ns, record.number) > last,
                    "in the order of real time: {line}"
                );
                last = (record.real_ns, record.number);
                arrivals += u32::from(matches!(record.what, What::Arrival(_)));
            }
            Line::Told(Told::Program { pid, name }) => names.push((pid, name)),
            Line::Told(told) => panic!("{told:?}"),
        }
    }
    assert!(arrivals >= 6, "{text}");
    assert!(names.contains(&(server.pid(), "correct_server".to_owned())), "{names:?}");
}

#[test]
fn tracing_that_was_switched_on_stays_on() {
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve(&session);
    session.tcplab(["trace", "on"]);
    let mut follower = tcplab(&session, &["trace", "-f"]);
    wait_for("the follower", || {
        exchange(&session, &port);
        follower.output().contains("PSH,ACK")
    });
    follower.signal(libc::SIGTERM);
    assert!(follower.wait(LIMIT).is_some_and(|status| status.success()));
    let is_first =
        |line: &&str| line.contains("> PSH,ACK seq 1:") && !line.contains("(retransmission)");
    let count = || session.tcplab(["trace"]).lines().filter(is_first).count();
    let before = count();
    exchange(&session, &port);
    assert_eq!(count(), before + 2, "request and answer");
    session.tcplab(["trace", "off"]);
    exchange(&session, &port);
    assert_eq!(count(), before + 2);
    let text = session.tcplab(["trace"]);
    assert_in_order(&text, &["full tracing begins", "full tracing ends"]);
}

#[test]
fn run_writes_the_trace_of_its_program() {
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve(&session);
    let client = compile("examples/client.c", &[]);
    let client = client.to_str().expect("a path of ours");
    let output = session.try_tcplab(["run", "--trace", "--", client, &port, "hello"]);
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_followed(&text, &LIFE[1..]);
    assert_in_order(&text, &["> PSH,ACK seq 1:"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("hello\n"), "the program's own output: {said}");
}

#[test]
fn a_session_that_is_not_running_has_no_trace() {
    let session = Session::new();
    let output = session.try_tcplab(["trace"]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("is not running"), "{errors}");
}
