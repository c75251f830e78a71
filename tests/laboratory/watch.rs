//! The watch door under rough treatment: it must serve as before.

use std::io::{Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};

use tcplab::client::Client;
use tcplab::ipc::names::Session as Name;

use crate::common::{DEADLINE, Session, skip, wait_for};

fn knock(session: &Session) -> UnixStream {
    // Of the process, whoever this thread is.
    let uid = std::fs::metadata("/proc/self").expect("there is a /proc").uid();
    let name = format!("tcplab/{uid}/{}/watch", session.name());
    let address = SocketAddr::from_abstract_name(name).expect("the name fits");
    let stream = UnixStream::connect_addr(&address).expect("the door is open");
    stream.set_read_timeout(Some(DEADLINE)).expect("a time limit can be set");
    stream
}

/// What the stack says to a whole conversation.
fn say(session: &Session, words: &[u8]) -> String {
    let mut stream = knock(session);
    // One that is refused may be told so before it has said anything.
    let _ = stream.write_all(words);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = String::new();
    // A stack that closes with something unread resets the stream.
    let _ = stream.read_to_string(&mut answer);
    answer
}

const PLAIN: &[u8] = b"{\"since\":0,\"bulk\":\"unchanged\"}\n";

#[test]
fn a_conversation_begins_and_ends() {
    let session = Session::with_sysctls(&[]);
    let answer = say(&session, PLAIN);
    let kind = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).expect("a line is JSON");
        value["kind"].as_str().expect("every line has a kind").to_owned()
    };
    assert_eq!(answer.lines().next().map(kind).as_deref(), Some("began"));
    assert_eq!(answer.lines().last().map(kind).as_deref(), Some("end"));
}

#[test]
fn nonsense_is_refused_and_the_next_one_is_served() {
    let session = Session::with_sysctls(&[]);
    let too_long = [&[b'x'; 10_000][..], b"\n"].concat();
    let refused: [&[u8]; 3] = [b"hello\n", b"{}\n", b"[1,2,3]\n"];
    for words in refused {
        let answer = say(&session, words);
        assert!(answer.contains("refused") && answer.contains("tcplab down"), "{answer}");
    }
    for words in [&too_long[..], b"no end of line", b"", b"\0\0\0"] {
        assert_eq!(say(&session, words), "");
    }
    assert!(say(&session, PLAIN).ends_with("{\"kind\":\"end\"}\n"));
}

#[test]
fn those_who_say_nothing_keep_nobody_out_and_those_who_watch_are_bounded() {
    let session = Session::with_sysctls(&[]);
    let silent: Vec<UnixStream> = (0..100).map(|_| knock(&session)).collect();
    let mut watching = Vec::new();
    let refused = loop {
        let mut stream = knock(&session);
        // One that is refused may be told so before it has said anything.
        let _ = stream.write_all(PLAIN);
        let mut first = vec![0; 1024];
        let len = stream.read(&mut first).expect("the stack answers");
        let first = String::from_utf8_lossy(&first[..len]).into_owned();
        if first.contains("refused") {
            break first;
        }
        assert!(first.contains("began"), "{first}");
        watching.push(stream);
        assert!(watching.len() < 1000, "there is a bound");
    };
    assert!(refused.contains("already: end one"), "{refused}");
    drop(silent);
    watching.pop();
    wait_for("room for one", || say(&session, PLAIN).contains("began"));
}

#[test]
fn a_watcher_that_goes_away_is_forgotten_with_what_it_wanted() {
    let session = Session::with_sysctls(&[]);
    let before = session.status().descriptors;
    let is_over = |trace: &str| {
        let last = trace.lines().rfind(|line| line.contains("full tracing"));
        last.is_some_and(|line| line.contains("full tracing ends"))
    };
    for _ in 0..20 {
        let mut stream = knock(&session);
        stream.write_all(b"{\"bulk\":\"recorded\"}\n").expect("the stack listens");
        let mut octet = [0];
        stream.read_exact(&mut octet).expect("the stack answers");
    }
    wait_for("the last one to be forgotten", || {
        session.status().descriptors == before && is_over(&session.tcplab(["trace"]))
    });
}

#[test]
fn another_user_needs_the_secret() {
    const STRANGER: u32 = 65534;
    let session = Session::with_sysctls(&[]);
    let uid = rustix::process::geteuid().as_raw();
    if uid != 0 {
        return skip("only root can become another user");
    }
    let name = Name::parse(session.name().as_bytes(), uid).expect("a session name");
    let secret = Client::connect(&name).expect("the owner is admitted").secret();
    let with = |secret: u128| format!("{{\"bulk\":\"unchanged\",\"secret\":\"{secret:032x}\"}}\n");
    let answers = std::thread::scope(|scope| {
        let stranger = scope.spawn(|| {
            // SAFETY: no memory is touched; as a bare system call it changes this thread only.
            let changed =
                unsafe { libc::syscall(libc::SYS_setresuid, STRANGER, STRANGER, STRANGER) };
            assert_eq!(changed, 0, "root may become anybody");
            [PLAIN.to_vec(), with(0).into(), with(secret ^ 1).into(), with(secret).into()]
                .map(|words: Vec<u8>| say(&session, &words).contains("\"began\""))
        });
        stranger.join().expect("the stranger does not panic")
    });
    assert_eq!(answers, [false, false, false, true]);
}
