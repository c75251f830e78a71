//! `tcplab leaks` and `tcplab run --check`: what is leaked is found, with the bug that leaks it;
//! what is not is not.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::common::{Program, Session, compile, skip, tcplab_path, wait_for};
use crate::ground::Ground;

const LIMIT: Duration = Duration::from_secs(20);

/// What `tcplab leaks --older 0s` finds, and its exit status.
fn leaks(session: &Session, more: &[&str]) -> (Vec<Value>, i32) {
    let line = ["leaks", "--json"].into_iter();
    let older = ["--older", "0s"].into_iter().filter(|_| !more.contains(&"--older"));
    let output = session.try_tcplab(line.chain(older).chain(more.iter().copied()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let findings = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}{errors}"));
    (findings, output.status.code().expect("it ends by itself"))
}

/// The one leak, once it is as wanted.
fn one_leak(session: &Session, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let mut found = Vec::new();
    wait_for("the leak", || {
        let (findings, status) = leaks(session, &[]);
        assert_eq!(status, i32::from(!findings.is_empty()));
        found = findings;
        found.len() == 1 && is_wanted(&found[0])
    });
    found.remove(0)
}

/// A connection to `server` whose client has come, talked and gone.
fn visit(session: &Session, server: &Program) {
    let port = server.listening_port().to_string();
    let mut client = session.spawn(compile("examples/client.c", &[]), ["-c", &port, "hello"]);
    assert_eq!(client.wait(LIMIT).and_then(|status| status.code()), Some(0), "{}", client.output());
}

/// Number of the line of `source` that has `text`.
fn line_of(source: &str, text: &str) -> u64 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let source = std::fs::read_to_string(path).expect("the source is there");
    let place = source.lines().position(|line| line.contains(text)).expect("the line is there");
    place as u64 + 1
}

/// The leak of one of the buggy example servers.
fn leak_of(source: &str, bug: &str) -> Value {
    let session = Session::new();
    let server = session.spawn(compile(source, &["-g", "-pthread"]), ["0"]);
    visit(&session, &server);
    let leak = one_leak(&session, |leak| leak["bug"] == bug);
    assert_eq!(leak["leak"], "close-wait", "{leak:#}");
    assert_eq!(leak["holders"][0]["pid"], server.pid(), "{leak:#}");
    assert_eq!(leak["usage"]["origin"]["call"], "accept", "{leak:#}");
    assert_eq!(leak["site"]["function"], "main", "{leak:#}");
    assert_eq!(leak["site"]["line"], line_of(source, "accept(listener"), "{leak:#}");
    assert!(leak["site"]["file"].as_str().unwrap().ends_with(source), "{leak:#}");
    leak
}

#[test]
fn a_server_that_takes_the_end_for_nothing_yet_is_told_with_its_reads() {
    let leak = leak_of("examples/leak_ignores_eof.c", "ignores-end");
    assert!(leak["times"].as_u64().unwrap() >= 3, "{leak:#}");
    let sentence = leak["sentence"].as_str().unwrap();
    for part in ["leak_ignores_eof", "fd ", "in CLOSE-WAIT for", "read 0 ", "and went on"] {
        assert!(sentence.contains(part), "{part} is not in: {sentence}");
    }
}

#[test]
fn a_server_that_notices_the_end_and_does_not_close_is_told_apart() {
    let leak = leak_of("examples/leak_never_closes.c", "never-closes");
    assert_eq!(leak["usage"]["ends_read"]["times"], 1, "{leak:#}");
    let sentence = leak["sentence"].as_str().unwrap();
    assert!(sentence.contains("read the end and never closed; accepted at main ("), "{sentence}");
}

#[test]
fn nothing_is_found_in_the_correct_server() {
    let session = Session::new();
    let server = session.spawn(compile("examples/correct_server.c", &["-pthread"]), ["0"]);
    for _ in 0..3 {
        visit(&session, &server);
    }
    wait_for("the ends", || {
        session.sockets().iter().all(|row| ["LISTEN", "TIME-WAIT"].contains(&&*row.state))
    });
    assert_eq!(leaks(&session, &[]), (Vec::new(), 0));
    let text = session.tcplab(["leaks"]);
    assert!(text.starts_with("no leaks in "), "{text}");
}

#[test]
fn ages_are_in_stack_time() {
    let ground = Ground::Shim(Session::with_sysctls(&[]));
    let session = ground.session().unwrap();
    let mut pair = ground.pair();
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    assert_eq!(leaks(session, &["--older", "1h"]), (Vec::new(), 0));
    session.tcplab(["clock", "advance", "1h"]);
    let (found, status) = leaks(session, &["--older", "1h"]);
    assert_eq!((found.len(), status), (1, 1));
    assert_eq!(found[0]["bug"], "never-read");
    assert!(found[0]["age_ms"].as_u64().unwrap() >= 3_600_000);
}

#[test]
fn octets_left_unread_are_counted() {
    let ground = Ground::Shim(Session::with_sysctls(&[]));
    let session = ground.session().unwrap();
    let mut pair = ground.pair();
    pair.client.call("write c 0123456789", "10");
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    let leak = one_leak(session, |_| true);
    assert_eq!(
        (&leak["bug"], &leak["unread"]),
        (&"stopped-reading".into(), &10.into()),
        "{leak:#}"
    );
    let sentence = leak["sentence"].as_str().unwrap();
    assert!(sentence.contains("stopped reading with 10 octets unread"), "{sentence}");
    pair.server.call("read s", "10 0123456789");
    pair.server.call("read s", "0");
    one_leak(session, |leak| leak["bug"] == "never-closes");
    pair.server.call("close s", "0");
    assert_eq!(leaks(session, &[]).0, Vec::<Value>::new());
}

#[test]
fn a_half_closed_end_that_leaves_octets_unread_is_found_and_one_that_waits_is_not() {
    let ground = Ground::Shim(Session::with_sysctls(&[]));
    let session = ground.session().unwrap();
    let mut pair = ground.pair();
    pair.client.call("shutdown c WR", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    // The server is at fault, not the client that waits for it.
    one_leak(session, |leak| leak["leak"] == "close-wait");
    pair.server.call("write s answer", "6");
    wait_for("the answer", || pair.client_end().is_some_and(|end| end.row.recv_q == 6));
    let (found, _) = leaks(session, &["--state", "fin-wait-2"]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((&found[0]["leak"], &found[0]["unread"]), (&"fin-wait2".into(), &6.into()));
}

#[test]
fn connections_that_nobody_accepts_are_told_with_their_listener() {
    let ground = Ground::Shim(Session::with_sysctls(&[]));
    let session = ground.session().unwrap();
    let (mut server, mut client) = (ground.actor(), ground.actor());
    let at = server.listen();
    for name in ["a", "b"] {
        let connect = format!("connect {name} {at}");
        client.calls(&[(&format!("socket {name}"), "0"), (&connect, "0")]);
    }
    let leak = one_leak(session, |leak| leak["connections"] == 2);
    assert_eq!(leak["leak"], "unaccepted");
    assert_eq!(leak["holders"][0]["pid"], server.pid(), "{leak:#}");
    let sentence = leak["sentence"].as_str().unwrap();
    assert!(sentence.contains("2 connections wait for accept()"), "{sentence}");
    server.calls(&[("accept l s", "0"), ("accept l s2", "0")]);
    assert_eq!(leaks(session, &[]).0, Vec::<Value>::new());
}

#[test]
fn a_shell_that_holds_a_connection_is_found_and_the_child_that_it_passes_it_to() {
    let session = Session::new();
    let server = session.spawn(compile("examples/correct_server.c", &["-pthread"]), ["0"]);
    let port = server.listening_port();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; echo connected; sleep 60; :");
    let shell = session.spawn("bash", ["-c", &script]);
    wait_for("the connection", || shell.output().contains("connected"));
    let inherited = one_leak(&session, |leak| leak["leak"] == "inherited");
    let sentence = inherited["sentence"].as_str().unwrap();
    assert!(sentence.starts_with("sleep (pid "), "{sentence}");
    assert!(sentence.contains("fd 3: was started with the connection"), "{sentence}");
    assert!(sentence.contains(&format!("by pid {}", shell.pid())), "{sentence}");
    // The server dies, so its ends are closed; the shell does not look.
    server.signal(libc::SIGKILL);
    wait_for("CLOSE-WAIT", || leaks(&session, &["--state", "close-wait"]).0.len() == 2);
    let (found, _) = leaks(&session, &[]);
    let stuck = found.iter().find(|leak| leak["leak"] == "close-wait").expect("it is found");
    assert_eq!(stuck["bug"], "never-read");
    assert!(stuck["sentence"].as_str().unwrap().starts_with("bash (pid "), "{stuck:#}");
}

#[test]
fn a_python_server_that_keeps_an_accepted_socket_is_found() {
    const SERVER: &str = "
import signal, socket
listener = socket.create_server(('127.0.0.1', 0))
print('listening on', listener.getsockname()[1], flush=True)
kept = [listener.accept()]
while kept[0][0].recv(1000): pass
signal.pause()
";
    if Command::new("python3").arg("-V").stdout(Stdio::null()).status().is_err() {
        return skip("there is no python3");
    }
    let session = Session::new();
    let server = session.spawn("python3", ["-c", SERVER]);
    visit_briefly(&session, &server);
    let leak = one_leak(&session, |leak| leak["bug"] == "never-closes");
    assert_eq!(leak["holders"][0]["pid"], server.pid(), "{leak:#}");
    assert!(leak["site"]["module"].as_str().is_some_and(|module| !module.is_empty()), "{leak:#}");
}

/// The same as [`visit`], for a server that does not answer.
fn visit_briefly(session: &Session, server: &Program) {
    let ground = server.listening_port();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{ground}; echo hello >&3");
    let mut client = session.spawn("bash", ["-c", &script]);
    assert_eq!(client.wait(LIMIT).and_then(|status| status.code()), Some(0), "{}", client.output());
}

#[test]
fn without_a_stack_it_cannot_be_told() {
    let session = Session::new();
    assert_eq!(session.try_tcplab(["leaks"]).status.code(), Some(2));
    assert_eq!(session.try_tcplab(["leaks", "--state", "dead"]).status.code(), Some(2));
}

#[test]
fn reports_for_ci_name_the_line() {
    let session = Session::new();
    let source = "examples/leak_never_closes.c";
    let server = session.spawn(compile(source, &["-g", "-pthread"]), ["0"]);
    visit(&session, &server);
    one_leak(&session, |_| true);
    let report = |form| {
        let output = session.try_tcplab(["leaks", "--older", "0s", form]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).unwrap()
    };
    let line = line_of(source, "accept(listener");
    let github = report("--github");
    assert!(github.starts_with("::error file="), "{github}");
    assert!(github.contains(&format!("{source},line={line},title=TCP leak")), "{github}");
    let junit = report("--junit");
    assert!(junit.contains("tests=\"1\" failures=\"1\""), "{junit}");
}

// ---- tcplab run --check

/// `tcplab run --check` of the leaver.
fn checked(session: &Session, words: &[&str]) -> Command {
    let mut command = Command::new(tcplab_path());
    command
        .args(["run", "--session", session.name(), "--check", "--check-older", "0s", "--"])
        .arg(compile("tests/laboratory/leaver.c", &["-g"]))
        .args(words)
        .stdin(Stdio::null());
    command
}

fn check(session: &Session, words: &[&str]) -> Output {
    checked(session, words).output().expect("tcplab can be started")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn however_a_program_ends_what_it_leaks_is_told() {
    let session = Session::new();
    for way in ["return", "exit", "_exit", "exit_group", "quick_exit"] {
        let output = check(&session, &[way]);
        let told = told(&output);
        assert_eq!(output.status.code(), Some(23), "{way}: {told}");
        assert_eq!(told.matches("tcplab: leak: leaver (pid ").count(), 1, "{way}: {told}");
        assert!(told.contains("read the end and never closed"), "{way}: {told}");
        assert!(told.contains("accepted at connect_to_itself (leaver.c:"), "{way}: {told}");
    }
}

#[test]
fn what_a_program_closes_on_its_way_out_is_no_leak() {
    let session = Session::new();
    for way in ["close", "atexit"] {
        let output = check(&session, &[way]);
        assert_eq!((output.status.code(), told(&output)), (Some(0), String::new()), "{way}");
    }
}

#[test]
fn a_child_that_ends_is_looked_at_too() {
    let session = Session::new();
    let output = check(&session, &["fork"]);
    assert_eq!(output.status.code(), Some(23), "{}", told(&output));
}

#[test]
fn the_programs_own_failure_is_the_status() {
    let session = Session::new();
    let output = check(&session, &["return", "7"]);
    assert_eq!(output.status.code(), Some(7));
    assert!(told(&output).contains("tcplab: leak: "), "{}", told(&output));
}

#[test]
fn before_a_signal_is_passed_on_the_program_is_looked_at() {
    let session = Session::new();
    let mut run = Program::start(checked(&session, &["wait"])).expect("tcplab can be started");
    run.listening_port();
    run.signal(libc::SIGTERM);
    let status = run.wait(LIMIT).and_then(|status| status.code());
    assert_eq!(status, Some(128 + libc::SIGTERM), "{}", run.output());
    assert!(run.output().contains("tcplab: leak: leaver (pid "), "{}", run.output());
}

#[test]
fn the_check_can_be_reported_to_a_file_in_any_form() {
    let session = Session::new();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.xml", session.name()));
    let mut command = Command::new(tcplab_path());
    command.args(["run", "--session", session.name(), "--check=leaks", "--check-older", "0s"]);
    command.args(["--check-form", "junit", "--check-output"]).arg(&path).arg("--");
    command.arg(compile("tests/laboratory/leaver.c", &["-g"])).arg("return");
    let output = command.output().expect("tcplab can be started");
    assert_eq!((output.status.code(), told(&output)), (Some(23), String::new()));
    let report = std::fs::read_to_string(&path).expect("the report is there");
    let _ = std::fs::remove_file(&path);
    assert!(report.contains("failures=\"1\""), "{report}");
}

#[test]
fn without_its_examiner_a_program_ends_as_ever() {
    let session = Session::with_sysctls(&[]);
    let mut command = session.command(compile("tests/laboratory/leaver.c", &["-g"]));
    command.arg("return").env("TCPLAB_CHECK", "4711");
    let mut program = Program::start(command).expect("it can be started");
    assert_eq!(program.wait(LIMIT).and_then(|status| status.code()), Some(0));
}
