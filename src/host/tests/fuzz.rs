//! Arbitrary calls and arbitrary datagrams: nothing panics, nothing leaks, whatever the order.

use super::*;
use crate::ipc::message::How;
use crate::tcp::ResetReason;
use crate::wire::{self, Flags, Header, Options, SeqNum};

/// xorshift
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

const ADDRESSES: [&str; 7] = [
    "127.0.0.1:80",
    "0.0.0.0:80",
    "127.0.0.1:81",
    "[::1]:80",
    "[::]:80",
    "[::ffff:127.0.0.1]:80",
    "127.0.0.1:0",
];
const OPTIONS: [(i32, i32); 8] = [
    (libc::SOL_SOCKET, libc::SO_REUSEADDR),
    (libc::SOL_SOCKET, libc::SO_REUSEPORT),
    (libc::SOL_SOCKET, libc::SO_RCVBUF),
    (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
    (libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT),
    (libc::IPPROTO_TCP, libc::TCP_CORK),
    (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT),
    (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
];

const BAD_WIRE: &str = "delay 5ms 5ms loss 5% duplicate 10% corrupt 5%";

fn forged(dice: &mut Dice) -> Vec<u8> {
    let mut octets = Vec::new();
    let header = Header {
        source_port: dice.of(&[80, 81, 32_768, 32_770, 40_000]),
        destination_port: dice.of(&[80, 81, 32_768, 32_770, 40_000]),
        seq: SeqNum(dice.below(1 << 32) as u32),
        ack: SeqNum(dice.below(1 << 32) as u32),
        flags: Flags(dice.below(64) as u8),
        window: dice.below(1 << 16) as u16,
        urgent: 0,
        options: Options::default(),
    };
    let (from, to) = ("127.0.0.1".parse().unwrap(), "127.0.0.1".parse().unwrap());
    wire::emit(from, to, &header, (b"abc", &[]), &mut octets);
    let cut = octets.len() - dice.below(2) as usize * dice.below(24) as usize;
    octets.truncate(cut);
    octets
}

/// One thing that a program, a peer or the clock does.
fn step(lab: &mut Lab, dice: &mut Dice, sockets: &mut Vec<SocketKey>) {
    let s = if sockets.is_empty() { None } else { Some(dice.of(sockets)) };
    let to = address(dice.of(&ADDRESSES));
    match (dice.below(16), s) {
        (0 | 1, _) | (_, None) => {
            let domain = dice.of(&[Domain::V4, Domain::V6]);
            sockets.push(lab.socket(domain));
        }
        (2, Some(s)) => drop(lab.call(|host, _| host.bind(s, to))),
        (3, Some(s)) => drop(lab.listen(s, dice.below(4) as i32 - 1)),
        (4 | 5, Some(s)) => {
            let _ = lab.0.call_only(0, |host, now| host.connect(now, s, to));
        }
        (6, Some(s)) => drop(lab.call(|host, now| host.disconnect(now, s))),
        (7, Some(s)) => {
            let how = dice.of(&[How::Read, How::Write, How::Both]);
            let _ = lab.call(|host, now| host.shutdown(now, s, how));
        }
        (8, Some(s)) => {
            let how = dice.of(&[Release::Graceful, Release::Abort(ResetReason::UnreadData)]);
            lab.call(|host, now| host.release(now, s, how));
            sockets.retain(|other| *other != s);
        }
        (9, Some(s)) => {
            let (level, name) = dice.of(&OPTIONS);
            let _ = lab.set(s, level, name, dice.below(3) as i32);
        }
        (10 | 11, Some(s)) => lab.call(|host, now| {
            let (a, b) = host.send_reserve(s, 5000);
            let len = a.len() + b.len();
            host.send_commit(now, s, len);
        }),
        (12, Some(s)) => drop(lab.read(s)),
        (13, _) => lab.0.run_for(Duration::from_millis(dice.below(3000))),
        (14, _) => {
            let octets = forged(dice);
            let ip = "127.0.0.1".parse().unwrap();
            lab.call(|host, now| host.handle_datagram(now, ip, ip, &octets));
        }
        (_, Some(_)) => sockets.extend(lab.accept()),
    }
}

#[test]
fn arbitrary_calls_neither_panic_nor_leak() {
    let mut opened = 0;
    for seed in 1..=300_u64 {
        let mut lab = Lab::new();
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (seed << 20));
        let mut sockets = vec![lab.listener("127.0.0.1:80")];
        for _ in 0..3 {
            let (client, server) = lab.connection("127.0.0.1:80");
            sockets.extend([client, server]);
        }
        lab.0.netem(dice.of(&["loss 0%", "loss 20%", BAD_WIRE]));
        for _ in 0..200 {
            step(&mut lab, &mut dice, &mut sockets);
        }
        while let Some(child) = lab.accept() {
            sockets.push(child);
        }
        for s in sockets {
            lab.close(s);
        }
        lab.0.clear_links();
        lab.0.run_for(Duration::from_secs(7200));
        let status = lab.host().status();
        let left = (status.sockets, status.tcbs, status.orphans, status.time_wait, status.ports);
        assert_eq!(left, (0, 0, 0, 0, 0), "seed {seed}: {:?}", lab.host().rows(lab.0.now()));
        assert!(lab.host().is_idle());
        opened += lab.counter("TcpPassiveOpens");
    }
    assert!(opened > 1000, "only {opened} connections: the dice are bad");
}
