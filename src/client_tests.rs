//! The client against a stack that is a thread of the test and says what the test wants.

use rustix::net::{accept, bind, listen};

use super::*;

/// A session of this test only.
fn session(name: &str) -> Session {
    let name = format!("client-{name}-{}", std::process::id());
    Session::parse(name.as_bytes(), rustix::process::geteuid().as_raw()).unwrap()
}

/// Answers one connection: every request gets the packets that `answer` makes of it.
fn play_stack(
    session: &Session,
    answer: impl Fn(u32, Request<'_>) -> Vec<Vec<u8>> + Send + 'static,
) -> std::thread::JoinHandle<()> {
    let door = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .unwrap();
    let name = Name::new(session, Object::Control);
    bind(&door, &SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap()).unwrap();
    listen(&door, 1).unwrap();
    std::thread::spawn(move || {
        let channel = accept(&door).unwrap();
        let mut packet = vec![0; MAX_TEXT];
        while let Ok((len @ 1.., _)) = recv(&channel, &mut packet[..], RecvFlags::empty()) {
            let (header, request) = Request::decode(&packet[..len]).unwrap();
            for reply in answer(header.tag, request) {
                let _ = send(&channel, &reply, SendFlags::NOSIGNAL);
            }
        }
    })
}

fn reply(tag: u32, reply: &Reply<'_>) -> Vec<u8> {
    let mut packet = vec![0; MAX_TEXT + PACKET_OVERHEAD];
    let len = reply.encode(tag, &mut packet).unwrap();
    packet.truncate(len);
    packet
}

fn welcome(tag: u32) -> Vec<Vec<u8>> {
    vec![reply(tag, &Reply::Hello { secret: 99, pid: 4, stack: 1 })]
}

#[test]
fn a_session_without_a_stack_is_not_running() {
    let session = session("none");
    assert!(matches!(Client::connect(&session), Err(Error::NotRunning(s)) if s == session));
}

#[test]
fn an_answer_in_several_packets_is_put_together() {
    let session = session("long");
    let row = r#"{"sockets":[]}"#;
    let stack = play_stack(&session, move |tag, request| match request {
        Request::Hello { .. } => welcome(tag),
        _ => {
            let (a, b) = row.as_bytes().split_at(5);
            vec![
                reply(tag, &Reply::Text(a, More::Yes)),
                reply(tag, &Reply::Text(b"", More::Yes)),
                reply(tag, &Reply::Text(b, More::No)),
            ]
        }
    });
    let mut client = Client::connect(&session).unwrap();
    assert_eq!((client.secret(), client.stack_pid()), (99, 4));
    assert_eq!(client.sockets().unwrap(), []);
    assert_eq!(client.sockets().unwrap(), []);
    drop(client);
    stack.join().unwrap();
}

#[test]
fn a_refusal_is_the_stacks_own_sentence() {
    let session = session("refusal");
    let _stack = play_stack(&session, |tag, request| match request {
        Request::Hello { .. } => welcome(tag),
        _ => vec![reply(tag, &Reply::Text(br#"{"refused":"no such sysctl"}"#, More::No))],
    });
    let mut client = Client::connect(&session).unwrap();
    let error = client.ask(&Command::GetSysctl("x".to_owned())).unwrap_err();
    assert_eq!(error.to_string(), "no such sysctl");
}

#[test]
fn a_stack_that_does_not_admit_us_is_told_with_the_remedy() {
    let session = session("closed");
    let _stack = play_stack(&session, |tag, _| vec![reply(tag, &Reply::Error(Errno::EACCES))]);
    let Err(error) = Client::connect(&session) else { panic!("admitted") };
    assert!(error.to_string().contains(SECRET_VARIABLE), "{error}");
}

#[test]
fn what_is_not_a_stack_is_not_believed() {
    let session = session("foreign");
    let _stack = play_stack(&session, |_, _| vec![b"what?".to_vec()]);
    assert!(matches!(Client::connect(&session), Err(Error::Foreign(_))));
}

#[test]
fn a_stack_that_fails_to_start_is_told_with_its_reason() {
    let directory = std::env::temp_dir().join(format!("tcplab-start-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let program = directory.join("stack");
    let start_with = |text: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        start(&session("start"), &program).map_err(|error| error.to_string())
    };
    let told = start_with("#!/bin/sh\neval \"echo 'error: no more ports' >&$5\"\n").unwrap_err();
    assert_eq!(told, "the stack could not be started: no more ports");
    let ended = start_with("#!/bin/sh\nexit 3\n").unwrap_err();
    assert!(ended.contains("ended before it was ready"), "{ended}");
    assert_eq!(start_with("#!/bin/sh\neval \"echo ok >&$5\"\n"), Ok(()));
    std::fs::remove_dir_all(&directory).unwrap();
}
