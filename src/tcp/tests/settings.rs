//! What each setting changes, where the tests of its mechanism take the default only.

use super::bench::*;
use super::util::{A, B, Fate, Pair, pattern, transfer};
use crate::tcp::{Algorithm, Config, Event, State};
use crate::time::{Duration, Instant};
use crate::wire::Options;

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// When segments were sent, in ms.
fn times(sent: &[(u64, Out)]) -> Vec<u64> {
    sent.iter().map(|(ms, _)| *ms).collect()
}

/// Retransmissions of a SYN with these settings, in ms.
fn syns(config: Config) -> Vec<u64> {
    let mut bench = Bench::connecting(config);
    bench.sent();
    times(&bench.pass(Duration::from_secs(600)))
}

#[test]
fn tcp_syn_linear_timeouts_come_before_back_off_and_tcp_syn_retries_after() {
    let config = |syn_linear_timeouts, syn_retries| Config {
        syn_linear_timeouts,
        syn_retries,
        ..plain_config()
    };
    assert_eq!(syns(config(0, 3)), [1000, 3000, 7000]);
    assert_eq!(syns(config(2, 2)), [1000, 2000, 3000, 5000]);
    // Linux: the time that the retries without linear ones would take is a limit, too
    assert_eq!(gives_up(Bench::connecting(config(4, 1))), (vec![1000, 2000], 3000));
}

#[test]
fn the_first_timeout_and_the_longest_are_settings() {
    let config = Config {
        rto_initial: millis(100),
        rto_max: millis(300),
        syn_linear_timeouts: 0,
        syn_retries: 5,
        ..plain_config()
    };
    assert_eq!(syns(config), [100, 300, 600, 900, 1200]);
}

#[test]
fn tcp_synack_retries_ends_a_half_open_connection() {
    let mut bench = Bench::accepting(Config { synack_retries: 1, ..plain_config() });
    assert_eq!(times(&bench.pass(Duration::from_secs(60))), [1000]);
    assert_eq!(bench.tcb.state(), State::Closed);
}

#[test]
fn tcp_rto_min_is_the_least_distance_of_the_timeout_from_the_round_trip() {
    for (min, expected) in [(millis(200), 200), (millis(5), 5)] {
        let config = Config { rto_min: min, ..plain_config() };
        let mut bench = Bench::established_with(config, Options::default());
        bench.tcb.send(bench.now, b"hello?");
        bench.sent();
        assert_eq!(times(&bench.pass(millis(expected + 1))), [expected]);
    }
}

#[test]
fn tcp_dsack_off_tells_no_duplicates() {
    for dsack in [true, false] {
        let config = Config { dsack, ..plain_config() };
        let options = Options { sack_permitted: true, ..Options::default() };
        let mut bench = Bench::established_with(config, options);
        bench.arrive(ACK, 1, 1, b"abc");
        bench.sent();
        bench.arrive(ACK, 1, 1, b"abc");
        let told = bench.sent_one().header.options.sack_blocks().count();
        assert_eq!(told, usize::from(dsack));
    }
}

#[test]
fn tcp_reordering_is_the_count_of_duplicates_that_tell_of_a_loss() {
    for reordering in [2, 3, 7] {
        let config = Config { reordering, ..plain_config() };
        let mut bench = Bench::established_with(config, Options::default());
        bench.tcb.send(bench.now, &[7; 10_000]);
        assert_eq!(bench.sent().len(), 10);
        let mut duplicates = 0;
        loop {
            bench.arrive(ACK, 1, 1, &[]);
            duplicates += 1;
            if bench.sent().iter().any(|out| out.seq() == 1) {
                break;
            }
            assert!(duplicates < 20);
        }
        assert_eq!(duplicates, reordering);
    }
}

#[test]
fn tcp_min_snd_mss_is_the_least_that_a_peer_can_impose() {
    for (least, expected) in [(48, 48), (536, 536)] {
        let config = Config { min_send_mss: least, ..plain_config() };
        let options = Options { mss: Some(1), ..Options::default() };
        let mut bench = Bench::established_with(config, options);
        bench.tcb.send(bench.now, &[7; 600]);
        assert_eq!(bench.sent()[0].text.len(), expected);
    }
}

#[test]
fn tcp_pingpong_thresh_is_the_count_of_answers_before_acknowledgments_wait_for_them() {
    for threshold in [1, 3] {
        let config = Config { pingpong_threshold: threshold, ..plain_config() };
        let mut bench = Bench::established_with(config, Options::default());
        let mut acknowledged_alone = 0;
        for round in 0..5 {
            bench.arrive(ACK, 1 + round, 1 + round, b"q");
            acknowledged_alone += bench.sent().len();
            bench.tcb.send(bench.now, b"a");
            bench.sent();
        }
        assert_eq!(acknowledged_alone, usize::from(threshold));
    }
}

#[test]
fn tcp_stdurg_takes_the_urgent_pointer_for_that_of_the_octet_itself() {
    for (stdurg, octet) in [(false, b'c'), (true, b'd')] {
        let config = Config { stdurg, ..plain_config() };
        let mut bench = Bench::established_with(config, Options::default());
        bench.arrive_urgent(1, 1, b"abcdef", 3);
        let told = bench.events().into_iter().find_map(|event| match event {
            Event::Urgent { octet, .. } => Some(octet),
            _ => None,
        });
        assert_eq!(told, Some(octet));
    }
}

#[test]
fn tcp_invalid_ratelimit_is_the_least_time_between_answers() {
    for (interval, expected) in [(millis(0), 10), (millis(100), 5), (millis(500), 2)] {
        let config = Config { invalid_interval: interval, ..plain_config() };
        let mut bench = Bench::established_with(config, Options::default());
        let mut answers = 0;
        for _ in 0..10 {
            // Far outside the window.
            bench.arrive(ACK, 3_000_000_000, 1, &[]);
            answers += bench.sent().len();
            bench.now = bench.now + millis(99);
        }
        assert_eq!(answers, expected, "{interval:?}");
    }
}

#[test]
fn the_delay_of_acknowledgments_is_a_setting() {
    for delay in [0, 40, 500] {
        let config = Config { delayed_ack: millis(delay), ..plain_config() };
        let mut bench = Bench::established_with(config, Options::default());
        // The program answers: its acknowledgments wait for company.
        bench.arrive(ACK, 1, 1, b"q");
        bench.tcb.send(bench.now, b"a");
        bench.sent();
        bench.now = bench.now + millis(1);
        bench.arrive(ACK, 2, 2, b"q");
        let waited = bench.sent().is_empty();
        let later = times(&bench.pass(millis(600)));
        match delay {
            0 => assert!(!waited || later == [0]),
            _ => assert_eq!((waited, later), (true, vec![delay])),
        }
    }
}

#[test]
fn tcp_slow_start_after_idle_off_keeps_the_window() {
    for falls_back in [true, false] {
        let config = Config { slow_start_after_idle: falls_back, ..Config::default() };
        let mut pair = Pair::established(1, &Config { mss: 1448, ..config });
        assert!(transfer(&mut pair, A, &pattern(300_000), Duration::from_secs(10)));
        let now = pair.now;
        let before = pair.ends[A].tcb().info(now).cwnd;
        assert!(before > 20 * 1448);
        pair.run_for(Duration::from_secs(60));
        pair.send(A, b"after a while");
        let now = pair.now;
        let after = pair.ends[A].tcb().info(now).cwnd;
        assert_eq!(after < before, falls_back, "{before} {after}");
    }
}

#[test]
fn congestion_control_is_a_setting() {
    let window_after_loss = |congestion| {
        let mut pair = Pair::established(1, &Config { mss: 1448, congestion, ..Config::default() });
        let mut seen = 0;
        pair.rule = Box::new(move |from, segment| {
            seen += u32::from(from == A && !segment.payload.is_empty());
            if from == A && seen == 40 && !segment.payload.is_empty() {
                seen += 1;
                return Fate::Drop;
            }
            Fate::Pass
        });
        assert!(transfer(&mut pair, A, &pattern(150_000), Duration::from_secs(10)));
        let now = pair.now;
        pair.ends[A].tcb().info(now).ssthresh
    };
    // CUBIC keeps seven tenths (RFC 9438 4.6), Reno a half (RFC 5681 3.1).
    assert!(window_after_loss(Algorithm::Cubic) > window_after_loss(Algorithm::Reno));
}

#[test]
fn the_first_window_is_a_setting_and_grows_up_to_another() {
    let windows = |receive_initial, receive_buffer| {
        let config = Config {
            mss: 1448,
            receive_initial,
            receive_buffer,
            timestamps: false,
            ..Config::default()
        };
        let mut pair = Pair::established(1, &config);
        let window = |pair: &mut Pair, now: Instant| pair.ends[B].tcb().info(now).rcv_wnd;
        let now = pair.now;
        let first = window(&mut pair, now);
        assert!(transfer(&mut pair, A, &pattern(2_000_000), Duration::from_secs(60)));
        let now = pair.now;
        (first, window(&mut pair, now))
    };
    let (first, later) = windows(20_000, 20_000);
    assert!(first <= 20_480 && later <= first, "{first} {later}");
    let (first, later) = windows(20_000, 1_000_000);
    assert!(first <= 20_480 && later > 40_000, "{first} {later}");
}

/// Retransmissions of `bench`'s SYN, and when it gave up, in ms.
fn gives_up(mut bench: Bench) -> (Vec<u64>, u64) {
    bench.sent();
    let start = bench.now;
    let sent = times(&bench.pass(Duration::from_secs(1000)));
    assert_eq!(bench.tcb.state(), State::Closed);
    (sent, bench.tcb.entered().since(start).as_millis() as u64)
}

#[test]
fn tcp_user_timeout_ends_an_active_open_early_and_never_late() {
    for (patience, retries, expected) in [
        (millis(600_000), 1, (vec![1000], 3000)),
        (millis(2500), 6, (vec![1000], 2500)),
        (millis(500), 6, (vec![1000], 1001)),
    ] {
        let config = Config {
            user_timeout: Some(patience),
            syn_linear_timeouts: 0,
            syn_retries: retries,
            ..plain_config()
        };
        assert_eq!(gives_up(Bench::connecting(config)), expected, "{patience:?}");
    }
}

/// Linux: a request socket knows no user timeout.
#[test]
fn tcp_user_timeout_does_not_count_for_a_passive_open() {
    for patience in [millis(500), millis(600_000)] {
        let config = Config { user_timeout: Some(patience), synack_retries: 2, ..plain_config() };
        assert_eq!(gives_up(Bench::accepting(config)), (vec![1000, 3000], 7000), "{patience:?}");
    }
}

/// Linux: the limits of time and the first probe of a closed window follow a constant.
#[test]
fn tcp_rto_min_changes_neither_how_long_tcp_retries2_lasts_nor_the_first_probe() {
    let config = Config { rto_min: millis(5), ..plain_config() };
    let mut bench = Bench::established_with(config.clone(), Options::default());
    bench.tcb.send(bench.now, b"hello?");
    bench.sent();
    let opened = bench.now;
    bench.pass(Duration::from_secs(7200));
    let lasted = bench.tcb.entered().since(opened).as_secs();
    assert!((924..1100).contains(&lasted), "{lasted}");

    let mut bench = Bench::established_with(config, Options::default());
    bench.window = 0;
    bench.arrive(ACK, 1, 1, &[]);
    bench.tcb.send(bench.now, b"waiting");
    bench.sent();
    assert_eq!(times(&bench.pass(millis(700))), [200, 600]);
}
