//! Diagrams of what real programs did: times, ports, processes and sizes that differ from run to
//! run are taken out, what is left is always the same.

use std::path::Path;
use std::time::Duration;

use tcplab::inspect::SocketRow;

use crate::common::{Session, compile, wait_for};

const LIMIT: Duration = Duration::from_secs(20);

/// A session in which a client has talked to an echo server, and TIME-WAIT is over.
fn played() -> Session {
    let session = Session::with_sysctls(&[("net.tcplab.tcp_msl_ms", "100")]);
    let server = session.spawn(compile("examples/correct_server.c", &[]), ["0"]);
    let port = server.listening_port().to_string();
    let mut client = session.spawn(compile("examples/client.c", &[]), [&port, "hello"]);
    assert_eq!(client.wait(LIMIT).and_then(|status| status.code()), Some(0));
    let waits = |row: &SocketRow| row.state != "LISTEN";
    wait_for("the end of TIME-WAIT", || !session.sockets().iter().any(waits));
    server.signal(libc::SIGTERM);
    session
}

/// The lines that tell of segments and states, without numbers that differ.
fn essence(drawing: &str) -> Vec<String> {
    let known = |word: &&str| {
        let name = |c: char| c.is_ascii_uppercase() || matches!(c, ',' | '-' | '1' | '2');
        let is_name = word.chars().all(name) && word.starts_with(|c: char| c.is_ascii_uppercase());
        word.contains("seq=") || word.contains("ack=") || is_name && word.len() > 2
    };
    let line = |line: &str| {
        let words = line.split(|c: char| c.is_whitespace() || "|<>:#".contains(c));
        words.filter(known).collect::<Vec<_>>().join(" ")
    };
    drawing.lines().map(line).filter(|line| !line.is_empty()).collect()
}

#[test]
fn a_connection_is_drawn_in_characters() {
    let session = played();
    let drawing = session.tcplab(["diagram", "--ascii"]);
    assert!(drawing.is_ascii(), "{drawing}");
    assert!(drawing.lines().all(|line| line.len() <= 80), "{drawing}");
    for part in ["client's TCP", "server's TCP", "connect() = 0", "accept()", "2MSL"] {
        assert!(drawing.contains(part), "{part} is missing:\n{drawing}");
    }
    let lines = essence(&drawing);
    let expected = [
        "LISTEN",
        "SYN-SENT SYN seq=0 SYN-RECEIVED",
        "ESTABLISHED SYN,ACK seq=0 ack=1",
        "ACK seq=1 ack=1 ESTABLISHED",
        "FIN-WAIT-1 FIN,ACK seq=7 ack=7 CLOSE-WAIT",
        "TIME-WAIT FIN,ACK seq=7 ack=8 LAST-ACK",
        "ACK seq=8 ack=8 CLOSED",
    ];
    let mut rest = lines.iter();
    for expected in expected {
        assert!(rest.any(|line| line == expected), "'{expected}' is missing:\n{drawing}");
    }
}

#[test]
fn a_connection_is_drawn_as_svg_and_as_mermaid() {
    let session = played();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.svg", session.name()));
    let told = session.tcplab(["diagram", "-o", path.to_str().expect("a path in UTF-8")]);
    assert_eq!(told, "");
    let svg = std::fs::read_to_string(&path).expect("the file is there");
    std::fs::remove_file(&path).expect("the file is ours");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    for part in [">SYN seq=0 mss=", ">TIME-WAIT<", ">connect() = 0<", ">2MSL over<"] {
        assert!(svg.contains(part), "{part} is missing:\n{svg}");
    }
    let mermaid = session.tcplab(["diagram", "--format", "mermaid"]);
    for part in ["sequenceDiagram", "CT->>ST: SYN seq=0", "Note left of CT: TIME-WAIT"] {
        assert!(mermaid.contains(part), "{part} is missing:\n{mermaid}");
    }
}

#[test]
fn connections_are_listed_and_chosen() {
    let session = played();
    let refused = "import socket\nsocket.socket().connect_ex(('127.0.0.1', 9))";
    let mut client = session.spawn("python3", ["-c", refused]);
    assert_eq!(client.wait(LIMIT).and_then(|status| status.code()), Some(0));
    let list = session.tcplab(["diagram", "--list"]);
    assert_eq!(list.lines().count(), 3, "{list}");
    let draw = || session.tcplab(["diagram", "--conn", "2"]);
    wait_for("the stack knows of the last close()", || draw().contains("close("));
    let second = draw();
    assert_eq!(session.tcplab(["diagram", "--conn", ":9"]), second);
    assert_eq!(session.tcplab(["diagram"]), second, "the last one that ended");
    assert!(second.contains("RST,ACK") && second.contains("(no listener)"), "{second}");
    assert!(second.contains("ECONNREFUSED"), "{second}");
    let all = session.tcplab(["diagram", "--all"]);
    assert!(all.contains("connection 1 of 2") && all.ends_with(&second), "{all}");
}

#[test]
fn what_cannot_be_drawn_is_answered_with_a_remedy() {
    let session = Session::new();
    let refused = |words: &[&str]| {
        let output = session.try_tcplab(words.iter().copied());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(refused(&["diagram"]).1.contains("tcplab up"));
    session.tcplab(["up"]);
    let (status, said) = refused(&["diagram"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("tcplab run"), "{said}");
    assert_eq!(refused(&["diagram", "--conn", "eth0"]).0, Some(2));
    assert_eq!(refused(&["diagram", "--width", "20"]).0, Some(2));
}
