//! Hostile clients of the control channel and hostile plugs. All of the session's own user: they
//! are its programs gone mad. Strangers are in `strangers`.

use rustix::process::{Pid, Signal, kill_process};
use tcplab::inspect::Command;
use tcplab::ipc::SocketId;
use tcplab::ipc::message::{How, Request, Wait};
use tcplab::ipc::names::Object;
use tcplab::ipc::record::{Call, FILLER_LEN, Plug};

use crate::client::{
    Channel, Numbers, ProgramEnd, assert_rests, assert_serves, encode, held, serve_echo,
    wait_for_base,
};
use crate::common::{Session, wait_for};

/// More than the stack may grow by under any attack of this file, KiB.
const GROWTH_KIB: u64 = 64 * 1024;

/// A request of every kind, with whatever else is in them.
fn requests(numbers: &mut Numbers) -> Vec<Vec<u8>> {
    let id = SocketId(numbers.next() % 8);
    let len = numbers.below(300);
    let value = numbers.octets(len);
    let address = format!("127.0.0.{}:{}", numbers.below(256), numbers.below(65536));
    let address = address.parse().unwrap();
    let number = numbers.next() as i32;
    [
        Request::Hello { version: 9, secret: 1 },
        Request::Bind(address),
        Request::Listen(number),
        Request::Connect(address, Wait::No),
        Request::Connect(address, Wait::Outcome),
        Request::Disconnect,
        Request::Renew(SocketId(numbers.next() % 8)),
        Request::Shutdown(How::Read),
        Request::Shutdown(How::Write),
        Request::Shutdown(How::Both),
        Request::Names,
        Request::SetOption(numbers.below(50) as i32, numbers.below(80) as i32, &value),
        Request::SetOption(number, number, &value),
        Request::GetOption(numbers.below(50) as i32, numbers.below(80) as i32, 4),
        Request::GetOption(6, 11, u32::MAX),
        Request::TakeError,
        Request::TakeReadError,
        Request::OutQueue,
        Request::UnsentQueue,
        Request::WaitClosed,
        Request::Command(&value),
    ]
    .iter()
    .map(|request| encode(id, request))
    .collect()
}

#[test]
fn rubbish_on_the_control_channel_ends_that_connection_only() {
    let session = Session::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
    let (_server, port) = serve_echo(&session);
    assert_serves(&session, port);
    let base = held(&session);
    let mut numbers = Numbers::new(1);
    for round in 0..2000 {
        let channel = Channel::open(&session);
        if round % 4 != 0 {
            assert_eq!(channel.hello(0), None);
        }
        for _ in 0..8 {
            let len = numbers.below(200);
            let mut packet = numbers.octets(len);
            if let Some(kind) = packet.get_mut(4) {
                *kind %= 20;
            }
            if channel.push(&packet).is_err() {
                break;
            }
        }
    }
    assert_serves(&session, port);
    wait_for_base(&session, base);
    assert_rests(&session);
}

#[test]
fn requests_in_any_order_and_cut_anywhere_are_answered_or_refused() {
    let session = Session::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
    let (_server, port) = serve_echo(&session);
    assert_serves(&session, port);
    let base = held(&session);
    let mut numbers = Numbers::new(2);
    for _ in 0..60 {
        let channel = Channel::admitted(&session);
        let mut packets = requests(&mut numbers);
        for at in (1..packets.len()).rev() {
            packets.swap(at, numbers.below(at + 1));
        }
        for packet in &packets {
            // A second request while connect() waits ends the connection, as it should.
            if channel.push(packet).is_err() {
                break;
            }
        }
    }
    for packet in requests(&mut numbers) {
        for cut in 1..packet.len().min(60) {
            let channel = Channel::admitted(&session);
            let _ = channel.push(&packet[..cut]);
        }
    }
    assert_serves(&session, port);
    wait_for_base(&session, base);
}

#[test]
fn a_client_that_never_reads_its_replies_is_not_served_further() {
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve_echo(&session);
    let before = session.status().resident_kib;
    let question = serde_json::to_vec(&Command::Sysctls).unwrap();
    let question = encode(SocketId(0), &Request::Command(&question));
    let channels: Vec<Channel> = (0..8).map(|_| Channel::admitted(&session)).collect();
    for channel in &channels {
        let mut waits = 0;
        while waits < 5 {
            if channel.push(&question).is_err() {
                waits += 1;
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
    }
    assert_rests(&session);
    assert_serves(&session, port);
    let after = session.status().resident_kib;
    assert!(after < before + GROWTH_KIB, "resident KiB: {before}, then {after}");
    // It reads at last: every question is answered, and new ones are.
    for _ in 0..100 {
        channels[0].reply().expect("the stack goes on where it stopped").unwrap();
    }
}

#[test]
fn a_client_has_one_request_under_way() {
    let session = Session::with_sysctls(&[]);
    // Nobody accepts here, so connect() to it waits once the queue is full.
    let full = Channel::admitted(&session);
    let address = "127.0.0.1:80".parse().unwrap();
    assert_eq!(full.ask(SocketId(99), &Request::Bind(address)).unwrap(), Ok(()));
    let _listener = ProgramEnd::new(&session, Some(SocketId(99)));
    assert_eq!(full.ask(SocketId(99), &Request::Listen(0)).unwrap(), Ok(()));
    assert_eq!(full.ask(SocketId(1), &Request::Connect(address, Wait::Outcome)).unwrap(), Ok(()));
    let _connected = ProgramEnd::new(&session, Some(SocketId(1)));
    let _connecting = ProgramEnd::new(&session, Some(SocketId(2)));
    let packet = encode(SocketId(2), &Request::Connect(address, Wait::Outcome));
    let channel = Channel::admitted(&session);
    wait_for("the stack to end the connection", || channel.push(&packet).is_err());
    assert_rests(&session);
}

#[test]
fn thousands_of_control_connections_hinder_nobody() {
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve_echo(&session);
    assert_serves(&session, port);
    let base = held(&session);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let count = limit.current.unwrap_or(4096).min(4096) as usize * 3 / 4;
    let silent: Vec<Channel> = (0..count).map(|_| Channel::open(&session)).collect();
    assert_serves(&session, port);
    assert_rests(&session);
    drop(silent);
    assert_serves(&session, port);
    wait_for_base(&session, base);
}

/// What a plug may be: (name of the program's end, door, octets).
fn bad_plugs(known: SocketId, numbers: &mut Numbers) -> Vec<(Option<SocketId>, Object, Vec<u8>)> {
    let plug = |id, call, filler_len| {
        let plug = Plug { id, call, pid: 1, fd: -1, caller: u64::MAX, filler_len };
        plug.encode().to_vec()
    };
    let other = SocketId::new(0, numbers.next());
    let filler = FILLER_LEN as u32;
    let mut plugs = Vec::new();
    for door in [Object::Connections, Object::Listeners] {
        for octets in [
            Vec::new(),
            numbers.octets(10),
            numbers.octets(64),
            numbers.octets(5000),
            plug(other, Call::Connect, 0),
            plug(known, Call::Accept, 0),
            plug(known, Call::Connect, filler),
            plug(known, Call::Listen, 0)[..63].to_vec(),
            [plug(known, Call::Connect, filler), vec![0; 100]].concat(),
            [plug(known, Call::Listen, filler), vec![0; 100]].concat(),
            [plug(known, Call::Connect, 0), vec![1; 1000]].concat(),
        ] {
            for name in [None, Some(other), Some(known)] {
                plugs.push((name, door, octets.clone()));
            }
        }
    }
    plugs
}

#[test]
fn bad_plugs_harm_their_own_socket_only() {
    let session = Session::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
    let (_server, port) = serve_echo(&session);
    assert_serves(&session, port);
    let base = held(&session);
    let mut numbers = Numbers::new(3);
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let channel = Channel::admitted(&session);
    for state in 0..4 {
        let known = SocketId::new(0, numbers.next());
        for (name, door, octets) in bad_plugs(known, &mut numbers) {
            let end = ProgramEnd::new(&session, name);
            let request = match state {
                0 => None,
                1 => Some(Request::TakeError),
                2 => Some(Request::Connect(address, Wait::No)),
                _ => Some(Request::Listen(1)),
            };
            if let Some(request) = request {
                let _ = channel.ask(known, &request).expect("the stack answers");
            }
            end.plug(&session, door, &octets);
        }
    }
    assert_serves(&session, port);
    drop(channel);
    wait_for_base(&session, base);
}

#[test]
fn a_plug_of_an_unknown_socket_is_turned_away() {
    let session = Session::with_sysctls(&[]);
    for door in [Object::Connections, Object::Listeners] {
        for name in [None, Some(SocketId(4711))] {
            let end = ProgramEnd::new(&session, name);
            end.plug(&session, door, &[0; 64]);
            assert!(end.is_refused());
        }
    }
}

/// A program that says that it writes no more, writes more, and dies.
#[test]
fn octets_after_the_announced_end_do_not_keep_a_socket_alive() {
    let session = Session::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
    let (_server, port) = serve_echo(&session);
    assert_serves(&session, port);
    let base = held(&session);
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let channel = Channel::admitted(&session);
    let id = SocketId(5);
    let end = ProgramEnd::new(&session, Some(id));
    assert_eq!(channel.ask(id, &Request::Connect(address, Wait::Outcome)).unwrap(), Ok(()));
    assert_eq!(channel.ask(id, &Request::Shutdown(How::Write)).unwrap(), Ok(()));
    let plug = Plug { id, call: Call::Connect, pid: 1, fd: 3, caller: 0, filler_len: 0 };
    end.plug(&session, Object::Connections, &[&plug.encode()[..], &[7; 3000]].concat());
    drop((end, channel));
    wait_for_base(&session, base);
}

/// A blocking connect() may be over before the stack looks at the plug, and the program's first
/// octet lies right behind it by then.
#[test]
fn an_urgent_octet_right_behind_the_plug_is_sent_as_urgent() {
    let session = Session::with_sysctls(&[]);
    session.tcplab(["trace", "on"]);
    let (_server, port) = serve_echo(&session);
    let address = format!("127.0.0.1:{port}").parse().unwrap();
    let channel = Channel::admitted(&session);
    let id = SocketId(5);
    let end = ProgramEnd::new(&session, Some(id));
    assert_eq!(channel.ask(id, &Request::Connect(address, Wait::Outcome)).unwrap(), Ok(()));
    let stack = Pid::from_raw(session.status().pid as i32).expect("a process number");
    let plug = Plug { id, call: Call::Connect, pid: 1, fd: 3, caller: 0, filler_len: 0 };
    let before = session.status().descriptors;
    end.plug(&session, Object::Connections, &[]);
    wait_for("the stack to take the end", || session.status().descriptors > before);
    kill_process(stack, Signal::STOP).unwrap();
    end.send(&plug.encode());
    end.send_urgent(b'!');
    kill_process(stack, Signal::CONT).unwrap();
    wait_for("the urgent octet's segment", || session.tcplab(["trace"]).contains("URG"));
}
