//! Hostile datagrams at the stack's UDP port, from an ordinary UDP socket of this machine, while
//! connections are at work.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::client::{
    Numbers, assert_rests, assert_serves, held, helper, serve_echo, wait_for_base,
};
use crate::common::{DEADLINE, Program, Session, compile, describe};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;

/// A socket that reaches the stack's UDP port, from an address of its own.
fn attacker(session: &Session, from: Ipv4Addr) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).expect("loopback has every address of 127/8");
    socket.connect((Ipv4Addr::LOCALHOST, session.status().udp_port)).unwrap();
    socket
}

/// A segment without text; a checksum of 0 is not verified, so every field can be anything.
fn segment(numbers: &mut Numbers, from: u16, to: u16, flags: u8) -> [u8; 20] {
    let mut segment = [0; 20];
    segment[0..2].copy_from_slice(&from.to_be_bytes());
    segment[2..4].copy_from_slice(&to.to_be_bytes());
    segment[4..8].copy_from_slice(&(numbers.next() as u32).to_be_bytes());
    segment[8..12].copy_from_slice(&(numbers.next() as u32).to_be_bytes());
    segment[12] = 5 << 4;
    segment[13] = flags;
    segment[14..16].copy_from_slice(&(numbers.next() as u16).to_be_bytes());
    segment
}

/// An echo that goes round without end; a wrong octet or an error ends it.
fn start_pump(session: &Session, port: u16) -> Program {
    let pump = session.spawn(compile("tests/programs/pump.c", &[]), [port.to_string()]);
    crate::common::wait_for("some MiB to go round", || pump.output().contains("pumping"));
    pump
}

/// Ports of the connections to `port`.
fn clients_of(session: &Session, port: u16) -> Vec<u16> {
    let server = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let sockets = session.sockets();
    sockets.iter().filter(|row| row.peer == server).map(|row| row.local.port()).collect()
}

#[test]
fn datagrams_of_rubbish_are_counted_and_forgotten() {
    let session = Session::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
    let (_server, port) = serve_echo(&session);
    assert_serves(&session, port);
    let base = held(&session);
    let socket = attacker(&session, Ipv4Addr::LOCALHOST);
    let mut numbers = Numbers::new(4);
    for _ in 0..20_000 {
        let len = numbers.below(80);
        let _ = socket.send(&numbers.octets(len));
    }
    for len in [0, 1, 19, 20, 60, 1472, 65_000, 65_507] {
        let _ = socket.send(&numbers.octets(len));
    }
    assert_serves(&session, port);
    let counters = session.status().counters;
    let errors = counters.iter().find(|(name, _)| name == "TcpInErrs").map(|(_, count)| *count);
    assert!(errors > Some(1000), "TcpInErrs: {errors:?}");
    wait_for_base(&session, base);
    assert_rests(&session);
}

#[test]
fn segments_with_every_flag_for_every_socket_stop_no_transfer() {
    let session = Session::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
    let (_server, port) = serve_echo(&session);
    assert_serves(&session, port);
    let base = held(&session);
    let mut pump = start_pump(&session, port);
    let clients = clients_of(&session, port);
    let socket = attacker(&session, Ipv4Addr::LOCALHOST);
    let mut numbers = Numbers::new(5);
    for _ in 0..20_000 {
        let flags = numbers.next() as u8;
        let known = clients[numbers.below(clients.len())];
        let any = numbers.next() as u16;
        let (from, to) = match numbers.below(4) {
            0 => (known, port),
            1 => (port, known),
            2 => (any, port),
            _ => (any, any.wrapping_add(1)),
        };
        // What a blind attacker achieves with text or RST in a window of megabytes is TCP's own
        // weakness (RFC 5961 1.2): here are only segments that can be told from the peer's.
        let harmless = if flags & (SYN | RST) == 0 { flags & !FIN & !0x10 } else { flags & !RST };
        let _ = socket.send(&segment(&mut numbers, from, to, harmless));
    }
    assert!(pump.wait(Duration::ZERO).is_none(), "it pumps on: {}", pump.output());
    assert_serves(&session, port);
    drop(pump);
    wait_for_base(&session, base);
}

#[test]
fn a_flood_of_syn_fills_one_queue_and_no_more() {
    let session = Session::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
    let (_server, port) = serve_echo(&session);
    assert_serves(&session, port);
    let base = held(&session);
    let kib = session.status().resident_kib;
    let mut numbers = Numbers::new(6);
    let attackers: Vec<UdpSocket> =
        (2..34).map(|last| attacker(&session, Ipv4Addr::new(127, 0, 0, last))).collect();
    for from in 1..=1000 {
        for socket in &attackers {
            let _ = socket.send(&segment(&mut numbers, from, port, SYN));
        }
    }
    assert_serves(&session, port);
    let after = session.status().resident_kib;
    assert!(after < kib + 64 * 1024, "resident KiB: {kib}, then {after}");
    // Our own SYN,ACKs are answered by RST, since nobody has these sockets.
    wait_for_base(&session, base);
    assert_rests(&session);
}

/// Floods overrun the UDP socket's receive buffer again and again, so segments are really lost;
/// the transfer arrives whole nevertheless.
#[test]
fn lost_datagrams_are_sent_again() {
    let session = Session::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
    let transfer = helper("transfer");
    let server = session.spawn(&transfer, ["0"]);
    let port = server.listening_port();
    let flooding = AtomicBool::new(true);
    let socket = attacker(&session, Ipv4Addr::LOCALHOST);
    let (status, output) = std::thread::scope(|scope| {
        scope.spawn(|| {
            // A data offset of 0: refused at once, so that the flood costs little but room.
            let rubbish = vec![0; 60_000];
            while flooding.load(Ordering::Relaxed) {
                for _ in 0..200 {
                    let _ = socket.send(&rubbish);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let mut client = session.spawn(&transfer, [port.to_string()]);
        let status = client.wait(2 * DEADLINE);
        flooding.store(false, Ordering::Relaxed);
        (status, client.output())
    });
    assert!(status.is_some_and(|s| s.success()), "{}: {output}", describe(status));
}
