//! Other users: they may open the control channel of a session, and that is all. Needs root.
//!
//! Linux keeps the user per thread (credentials(7)): a thread becomes a stranger by a bare system
//! call, the test does not.

use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with};
use tcplab::client::Client;
use tcplab::ipc::SocketId;
use tcplab::ipc::message::Request;
use tcplab::ipc::names::Object;
use tcplab::ipc::record::{Call, Plug};

use crate::client::{Channel, ProgramEnd, address, assert_serves, identity, owner, serve_echo};
use crate::common::{Session, compile, wait_for};

const STRANGER: u32 = 65534;

/// Does `deed` as another user; `None`, with a notice, where this one may not become one.
fn as_stranger<T: Send>(deed: impl FnOnce() -> T + Send) -> Option<T> {
    if owner() != 0 {
        eprintln!("NOTICE: only root can become another user");
        return None;
    }
    let done = std::thread::scope(|scope| {
        let stranger = scope.spawn(|| {
            // SAFETY: no memory is touched; as a bare system call it changes this thread only.
            let changed =
                unsafe { libc::syscall(libc::SYS_setresuid, STRANGER, STRANGER, STRANGER) };
            assert_eq!(changed, 0, "root may become anybody");
            deed()
        });
        stranger.join()
    });
    Some(done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

#[test]
fn another_user_needs_the_secret() {
    let session = Session::with_sysctls(&[]);
    let secret = Client::connect(&identity(&session)).expect("the owner is admitted").secret();
    assert_ne!(secret, 0);
    let answers = as_stranger(|| {
        let asks = |channel: &Channel| {
            let address = "127.0.0.1:8080".parse().unwrap();
            channel.ask(SocketId(1), &Request::Bind(address)).expect("an answer")
        };
        let (silent, guesser, guest) =
            (Channel::open(&session), Channel::open(&session), Channel::open(&session));
        let hellos = [guesser.hello(0), guesser.hello(secret ^ 1), guest.hello(secret)];
        (hellos, [asks(&silent), asks(&guesser), asks(&guest)])
    });
    if let Some(answers) = answers {
        let refused = Some(libc::EACCES);
        let hellos = [refused, refused, None];
        assert_eq!(answers, (hellos, [Err(libc::EACCES), Err(libc::EACCES), Ok(())]));
    }
}

#[test]
fn another_user_is_told_how_he_is_admitted() {
    let session = Session::with_sysctls(&[]);
    let Some(error) = as_stranger(|| match Client::connect(&identity(&session)) {
        Ok(_) => String::from("admitted"),
        Err(error) => error.to_string(),
    }) else {
        return;
    };
    assert!(error.contains("belongs to another user"), "{error}");
    assert!(error.contains("TCPLAB_SECRET"), "{error}");
}

/// A stranger who takes the session's name before its stack does gets no secret and no traffic.
#[test]
fn a_stranger_who_holds_the_name_is_not_taken_for_the_stack() {
    let session = Session::new();
    let Some(squatter) = as_stranger(|| -> OwnedFd {
        let door =
            socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        bind(&door, &address(&session, Object::Control)).expect("the name is free");
        // The credentials that others see are those of the moment of listen().
        listen(&door, 16).unwrap();
        door
    }) else {
        return;
    };
    let churn = compile("tests/programs/churn.c", &[]);
    let output = session.command(churn).args(["1", "1", "fin"]).output().expect("it is compiled");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("Network is down"), "{errors}");
    assert!(errors.contains("another user's"), "{errors}");
    let status = session.try_tcplab(["status"]);
    let errors = String::from_utf8_lossy(&status.stderr);
    assert!(errors.contains(&format!("user {STRANGER}")), "{errors}");
    drop(squatter);
    let (_server, port) = serve_echo(&session);
    assert_serves(&session, port);
}

/// Connections that show no secret are turned away when there are many, and keep nobody else out.
#[test]
fn strangers_without_the_secret_shut_no_session() {
    const CROWD: usize = 500;
    const BOUND: u64 = 64;
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve_echo(&session);
    let base = session.status().descriptors;
    let crowd = as_stranger(|| (0..CROWD).map(|_| Channel::open(&session)).collect::<Vec<_>>());
    let Some(crowd) = crowd else { return };
    let held = session.status().descriptors - base;
    assert!((BOUND..BOUND + 8).contains(&held), "{held} descriptors for {} strangers", crowd.len());
    assert_serves(&session, port);
    drop(crowd);
    wait_for("the strangers to be forgotten", || session.status().descriptors < base + 8);
}

/// A name that looks like that of a program's socket is not taken for it.
#[test]
fn a_stranger_is_not_taken_for_the_socket_that_he_names() {
    let session = Session::with_sysctls(&[]);
    let id = SocketId(0xabcdef);
    let bound = Channel::admitted(&session);
    let address_80 = "127.0.0.1:80".parse().unwrap();
    assert_eq!(bound.ask(id, &Request::Bind(address_80)).unwrap(), Ok(()));
    assert_eq!(bound.ask(id, &Request::Listen(8)).unwrap(), Ok(()));
    let plug = Plug { id, call: Call::Listen, pid: 1, fd: 3, caller: 0, filler_len: 0 }.encode();
    // With the true name in place, the stack does not take the socket for a closed one.
    let owners = ProgramEnd::new(&session, Some(id));
    for spelling in ["4/0000000000ABCDEF", "4/+000000000abcdef", "6/0000000000abcdef"] {
        let name = format!("tcplab/{}/{}/{spelling}", owner(), session.name());
        let alias = ProgramEnd::named(name.as_bytes());
        alias.plug(&session, Object::Listeners, &plug);
        assert!(alias.is_refused(), "{name}");
    }
    owners.plug(&session, Object::Listeners, &plug);
    session.status();
    assert!(!owners.is_refused_within(std::time::Duration::from_millis(50)));
}
