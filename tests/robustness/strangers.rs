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

use crate::client::{Channel, address, assert_serves, identity, owner, serve_echo};
use crate::common::{Session, compile};

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
