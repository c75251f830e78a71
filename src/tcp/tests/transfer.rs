//! Octets arrive exactly, in order and once, whatever the link does.

use super::util::{A, B, Fate, Link, Pair, pattern, transfer};
use crate::tcp::{Config, State};
use crate::time::Duration;

fn ethernet() -> Config {
    Config { mss: 1460, ..Config::default() }
}

#[test]
fn a_clean_link_carries_octets_without_a_retransmission() {
    for config in [ethernet(), Config::default()] {
        let mut pair = Pair::established(1, &config);
        let octets = pattern(5_000_000);
        assert!(transfer(&mut pair, A, &octets, Duration::from_secs(20)));
        assert!(transfer(&mut pair, B, &octets, Duration::from_secs(20)));
        for end in [A, B] {
            let now = pair.now;
            assert_eq!(pair.ends[end].tcb().info(now).total_retrans, 0);
        }
    }
}

#[test]
fn a_path_with_loss_duplication_and_reordering_delivers_every_octet() {
    for seed in 0..40 {
        let mut config = ethernet();
        config.sack = seed % 2 == 0;
        config.timestamps = seed % 4 < 2;
        config.window_scaling = seed % 8 < 4;
        config.nodelay = seed % 3 == 0;
        let mut pair = Pair::established(seed, &config);
        pair.link = Link {
            delay: Duration::from_millis(3),
            jitter: Duration::from_millis(seed % 5),
            loss: seed % 11,
            duplication: seed % 7,
        };
        let octets = pattern(200_000 + seed as usize * 777);
        assert!(transfer(&mut pair, A, &octets, Duration::from_secs(900)), "seed {seed}, a to b");
        assert!(transfer(&mut pair, B, &octets, Duration::from_secs(900)), "seed {seed}, b to a");
    }
}

#[test]
fn both_directions_at_once_survive_a_bad_path_and_a_close() {
    for seed in 100..120 {
        let mut pair = Pair::established(seed, &ethernet());
        pair.link =
            Link { jitter: Duration::from_millis(4), loss: 5, duplication: 3, ..Link::default() };
        let octets = pattern(60_000);
        assert_eq!(pair.send(A, &octets), octets.len());
        assert_eq!(pair.send(B, &octets), octets.len());
        pair.shutdown(A);
        pair.shutdown(B);
        let end = pair.now + Duration::from_secs(300);
        let done = pair.run_until(end, |pair| {
            pair.ends.iter().all(|end| matches!(end.state(), State::TimeWait | State::Closed))
        });
        assert!(done, "seed {seed}");
        assert_eq!(pair.ends[A].read, octets);
        assert_eq!(pair.ends[B].read, octets);
    }
}

#[test]
fn the_same_seed_gives_the_same_segments() {
    let run = |seed| {
        let mut pair = Pair::established(seed, &ethernet());
        pair.link =
            Link { jitter: Duration::from_millis(2), loss: 4, duplication: 4, ..Link::default() };
        transfer(&mut pair, A, &pattern(100_000), Duration::from_secs(100));
        pair.trace
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn three_duplicate_acknowledgments_retransmit_at_once() {
    for sack in [false, true] {
        let config = Config { sack, ..ethernet() };
        let mut pair = Pair::established(1, &config);
        let mut seen = 0;
        pair.rule = Box::new(move |from, segment| {
            seen += u32::from(from == A && !segment.payload.is_empty());
            if from == A && seen == 5 && !segment.payload.is_empty() {
                Fate::Drop
            } else {
                Fate::Pass
            }
        });
        let octets = pattern(60_000);
        // two round trips and the acknowledgments; an RTO would take 200 ms more
        assert!(transfer(&mut pair, A, &octets, Duration::from_millis(100)), "sack {sack}");
        let now = pair.now;
        let info = pair.ends[A].tcb().info(now);
        assert_eq!(info.total_retrans, 1, "sack {sack}");
    }
}

#[test]
fn a_loss_in_a_flight_of_two_segments_does_not_wait_for_the_timer() {
    for sack in [false, true] {
        let config = Config { sack, nodelay: true, ..ethernet() };
        let mut pair = Pair::established(1, &config);
        // an acknowledgment that moves the window is no duplicate: let it settle
        assert!(transfer(&mut pair, A, b"warm", Duration::from_secs(1)));
        pair.run_for(Duration::from_millis(10));
        let mut seen = 0;
        pair.rule = Box::new(move |from, segment| {
            seen += u32::from(from == A && !segment.payload.is_empty());
            if seen == 1 && from == A { Fate::Drop } else { Fate::Pass }
        });
        assert!(transfer(&mut pair, A, &pattern(2000), Duration::from_millis(50)), "sack {sack}");
    }
}

#[test]
fn a_lost_tail_is_retransmitted_by_the_timer() {
    let mut pair = Pair::established(1, &ethernet());
    let mut dropped = false;
    pair.rule = Box::new(move |from, segment| {
        let last = from == A && !segment.payload.is_empty() && !dropped;
        dropped |= last;
        if last { Fate::Drop } else { Fate::Pass }
    });
    let start = pair.now;
    assert!(transfer(&mut pair, A, b"all there is", Duration::from_secs(2)));
    let elapsed = pair.now.since(start);
    assert!(elapsed >= Duration::from_millis(200), "{elapsed:?}");
    assert!(elapsed < Duration::from_millis(300), "{elapsed:?}");
}

#[test]
fn several_losses_in_one_window_are_repaired_with_sack_without_a_timeout() {
    let mut pair = Pair::established(1, &ethernet());
    assert!(transfer(&mut pair, A, &pattern(300_000), Duration::from_secs(5)));
    let mut seen = 0;
    pair.rule = Box::new(move |from, segment| {
        let text = from == A && !segment.payload.is_empty();
        seen += u32::from(text);
        if text && matches!(seen, 3 | 5 | 6 | 9) { Fate::Drop } else { Fate::Pass }
    });
    assert!(transfer(&mut pair, A, &pattern(100_000), Duration::from_millis(190)));
    let now = pair.now;
    assert_eq!(pair.ends[A].tcb().info(now).total_retrans, 4);
}

#[test]
fn the_window_grows_with_the_bandwidth_delay_product() {
    let mut pair = Pair::new(1, &ethernet());
    pair.link.delay = Duration::from_millis(50);
    pair.connect(A);
    pair.run_for(Duration::from_secs(1));
    let octets = pattern(20_000_000);
    let start = pair.now;
    assert!(transfer(&mut pair, A, &octets, Duration::from_secs(60)));
    let elapsed = pair.now.since(start);
    // with the initial 128 KiB it would take 15 s
    assert!(elapsed < Duration::from_secs(6), "{elapsed:?}");
}

#[test]
fn sequence_numbers_wrap_without_anybody_noticing() {
    for seed in 0..3 {
        let mut pair = Pair::new(seed, &Config::default());
        pair.link.loss = seed;
        let near_wrap = crate::wire::SeqNum(u32::MAX - 100_000);
        let config = pair.ends[A].config.clone();
        let tcb = crate::tcp::Tcb::connect(pair.now, config, Pair::tuple(A), near_wrap, 0);
        pair.ends[A].tcb = Some(tcb);
        pair.drain();
        pair.run_for(Duration::from_secs(10));
        assert!(transfer(&mut pair, A, &pattern(3_000_000), Duration::from_secs(200)));
    }
}
