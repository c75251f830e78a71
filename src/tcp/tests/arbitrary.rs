//! Whatever arrives, in whatever state: no panic, bounds are kept, and the machine comes to rest.

use super::bench::*;
use super::util::Random;
use crate::tcp::{Release, ResetReason, State};
use crate::time::Duration;
use crate::wire::{Flags, Header, Options, Segment, SeqNum, Timestamps};

/// Numbers near where they hurt.
fn near(random: &mut Random, base: u32) -> SeqNum {
    let offset = match random.below(6) {
        0 => random.next() as u32,
        1 => 0u32.wrapping_sub(random.below(70_000) as u32),
        2 => random.below(200_000) as u32,
        _ => random.below(8) as u32,
    };
    SeqNum(base.wrapping_add(offset))
}

fn options(random: &mut Random) -> Options {
    let mut options = Options::default();
    if random.percent(10) {
        options.mss = Some(random.next() as u16);
        options.window_scale = Some(random.next() as u8);
    }
    options.sack_permitted = random.percent(30);
    if random.percent(30) {
        let val = near(random, 1000).0;
        options.timestamps = Some(Timestamps { val, ecr: near(random, 1000).0 });
    }
    for slot in 0..random.below(4) as usize {
        options.sack[slot] = Some((near(random, ISS), near(random, ISS)));
    }
    options
}

fn arbitrary(random: &mut Random, bench: &mut Bench, text: &[u8]) {
    let header = Header {
        source_port: 80,
        destination_port: 40000,
        seq: near(random, IRS),
        ack: near(random, ISS),
        flags: if random.percent(70) { ACK } else { Flags(random.next() as u8) },
        window: if random.percent(20) { random.below(3) as u16 } else { random.next() as u16 },
        urgent: random.below(9) as u16,
        options: options(random),
    };
    let most = if random.percent(5) { text.len() as u64 } else { 40 };
    let len = random.below(most) as usize;
    bench.tcb.handle_segment(bench.now, &Segment { header, payload: &text[..len] });
}

fn call(random: &mut Random, bench: &mut Bench, text: &[u8]) {
    match random.below(60) {
        0 => bench.tcb.shutdown_write(bench.now),
        1 => bench.tcb.release(bench.now, Release::Graceful),
        2 if random.percent(20) => {
            bench.tcb.release(bench.now, Release::Abort(ResetReason::Aborted));
        }
        3..20 => {
            let len = random.below(5000) as usize;
            bench.tcb.send(bench.now, &text[..len]);
        }
        20..24 => bench.tcb.mark_urgent(bench.now),
        24 => bench.tcb.config_mut().mss = random.below(3000) as u16,
        25 => bench.tcb.config_mut().cork = random.percent(50),
        26 => bench.tcb.config_mut().nodelay = random.percent(50),
        27..35 => {
            bench.tcb.consume(bench.now, random.below(3000) as usize);
        }
        35..40 => bench.tcb.set_unread(bench.now, random.below(3000) as usize),
        40..50 => drop(bench.pass_ms(random.below(400))),
        50 => drop(bench.pass(Duration::from_secs(random.below(30)))),
        _ => {}
    }
}

#[test]
fn no_segment_and_no_call_in_any_state_panics() {
    let text = vec![0x5a; 70_000];
    for seed in 0..400 {
        let mut random = Random(seed);
        let states: Vec<State> =
            State::ALL.into_iter().filter(|state| *state != State::Listen).collect();
        let mut bench = Bench::in_state(states[random.below(states.len() as u64) as usize]);
        for _ in 0..120 {
            arbitrary(&mut random, &mut bench, &text);
            bench.sent();
            call(&mut random, &mut bench, &text);
            bench.sent();
            bench.events();
            let info = bench.tcb.info(bench.now);
            assert!(bench.tcb.queues().send <= 4 << 20);
            assert!(info.rcv_wnd <= 65_535 << 14);
            assert!(bench.tcb.buffered() <= 32 << 20);
        }
        // left alone by peer and program, it comes to rest
        bench.tcb.release(bench.now, Release::Graceful);
        bench.sent();
        bench.pass(Duration::from_secs(100_000));
        assert_eq!(bench.tcb.state(), State::Closed, "seed {seed}");
        assert_eq!(bench.tcb.poll_timeout(), None);
    }
}
