//! Flow control (RFC 9293 3.8.6): zero windows, probes, silly windows, and the promise never to
//! take an offered octet back.

use super::bench::*;
use super::util::{A, B, Link, Pair, Random, pattern};
use crate::tcp::{Config, State};
use crate::time::Duration;

/// Offers 10000 octets without scaling.
fn small_buffer() -> Bench {
    let config = Config { receive_buffer: 10_000, ..plain_config() };
    Bench::established_with(config, crate::wire::Options::default())
}

#[test]
fn the_window_follows_what_the_program_has_really_read() {
    let mut bench = small_buffer();
    bench.arrive(ACK, 1, 1, &[1; 4000]);
    assert_eq!(bench.sent_one().header.window, 6000);
    bench.tcb.consume(bench.now, 4000);
    assert!(bench.sent().is_empty());
    bench.arrive(ACK, 4001, 1, &[1; 1000]);
    assert_eq!(bench.sent_one().header.window, 5000, "handed over is not read");
    bench.tcb.consume(bench.now, 1000);
    bench.tcb.set_unread(bench.now, 0);
    assert_eq!(bench.sent_one().header.window, 10_000);
}

#[test]
fn a_window_update_is_sent_when_it_is_worth_two_segments_or_half_the_buffer() {
    let mut bench = small_buffer();
    bench.arrive(ACK, 1, 1, &[1; 5000]);
    assert_eq!(bench.sent_one().header.window, 5000);
    bench.tcb.consume(bench.now, 5000);
    bench.tcb.set_unread(bench.now, 4000);
    assert!(bench.sent().is_empty(), "one segment is not");
    bench.tcb.set_unread(bench.now, 3000);
    assert_eq!(bench.sent_one().header.window, 7000);
    assert!(bench.tcb.wants_read_progress() || bench.tcb.info(bench.now).rcv_wnd >= 5000);
}

#[test]
fn a_closed_window_opens_by_a_full_segment_or_half_the_buffer_only() {
    let mut bench = small_buffer();
    bench.arrive(ACK, 1, 1, &[1; 10_000]);
    assert_eq!(bench.sent_one().header.window, 0);
    bench.tcb.consume(bench.now, 10_000);
    assert!(bench.tcb.wants_read_progress());
    bench.tcb.set_unread(bench.now, 9_500);
    assert!(bench.sent().is_empty());
    bench.tcb.set_unread(bench.now, 9_000);
    assert_eq!(bench.sent_one().header.window, 1000);
}

#[test]
fn text_beyond_the_window_is_cut_off_and_acknowledged() {
    let mut bench = small_buffer();
    bench.arrive(FIN_ACK, 1, 1, &[1; 12_000]);
    let out = bench.sent_one();
    assert_eq!((out.ack(), out.header.window), (10_001, 0));
    assert_eq!(bench.read().len(), 10_000);
    assert_eq!(bench.tcb.state(), State::Established);
}

#[test]
fn with_a_window_of_zero_acks_and_bare_fins_are_processed_and_text_is_not() {
    let mut bench = small_buffer();
    bench.tcb.send(bench.now, b"hello");
    bench.sent();
    bench.arrive(ACK, 1, 1, &[1; 10_000]);
    bench.sent();
    bench.arrive(ACK, 10_001, 6, b"probe");
    let out = bench.sent_one();
    assert_eq!((out.ack(), out.header.window), (10_001, 0));
    assert_eq!(bench.tcb.queues().send, 0, "the ACK of the probe counted");
    bench.arrive(FIN_ACK, 10_001, 6, &[]);
    assert_eq!(bench.tcb.state(), State::CloseWait);
    assert_eq!(bench.sent_one().ack(), 10_002);
    assert_eq!(bench.read().len(), 10_000);
}

#[test]
fn a_closed_window_is_probed_with_back_off_as_long_as_the_peer_answers() {
    let mut bench = Bench::established();
    bench.window = 0;
    bench.arrive(ACK, 1, 1, &[]);
    bench.tcb.send(bench.now, b"waiting");
    assert!(bench.sent().is_empty());
    let mut times = Vec::new();
    for _ in 0..40 {
        let at = bench.tcb.poll_timeout().expect("the persist timer runs");
        times.push(at.since(bench.now).as_millis());
        bench.now = at;
        bench.tcb.handle_timeout(at);
        let probe = bench.sent_one();
        assert_eq!((probe.flags(), probe.seq(), probe.text.len()), (ACK, 0, 0));
        bench.arrive(ACK, 1, 1, &[]);
    }
    assert_eq!(times[..4], [200, 400, 800, 1600]);
    assert_eq!(times[39], 120_000);
    assert_eq!(bench.tcb.state(), State::Established);
    bench.window = 1000;
    bench.arrive(ACK, 1, 1, &[]);
    assert_eq!(bench.sent_one().text, b"waiting");
}

#[test]
fn an_unanswered_probe_gives_up_after_tcp_retries2() {
    let mut bench = Bench::established();
    bench.tcb.config_mut().retries2 = 3;
    bench.window = 0;
    bench.arrive(ACK, 1, 1, &[]);
    bench.tcb.send(bench.now, b"waiting");
    assert_eq!(bench.tcb.info(bench.now).timer, None);
    bench.sent();
    assert_eq!(bench.tcb.info(bench.now).timer.unwrap().name, "persist");
    assert_eq!(bench.pass(Duration::from_secs(1000)).len(), 3);
    assert_eq!(bench.tcb.state(), State::Closed);
}

#[test]
fn a_sliver_of_window_is_not_used_at_once_but_by_the_probe() {
    let mut bench = Bench::established();
    bench.window = 300;
    bench.arrive(ACK, 1, 1, &[]);
    bench.tcb.send(bench.now, &[1; 900]);
    assert!(bench.sent().is_empty());
    let sent = bench.pass_ms(250);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1.text.len(), 300);
}

#[test]
fn an_old_segment_does_not_shrink_the_send_window() {
    let mut bench = Bench::established();
    bench.arrive(ACK, 1, 1, b"newer");
    bench.window = 5;
    bench.arrive(ACK, 1, 1, b"newer");
    bench.tcb.send(bench.now, &[1; 1000]);
    assert_eq!(bench.sent().last().unwrap().text.len(), 1000);
}

#[test]
fn a_fin_waits_for_the_window_as_text_does() {
    let mut bench = Bench::established();
    bench.window = 0;
    bench.arrive(ACK, 1, 1, &[]);
    bench.tcb.shutdown_write(bench.now);
    assert!(bench.sent().is_empty());
    assert_eq!(bench.tcb.state(), State::FinWait1);
    bench.window = 1;
    bench.arrive(ACK, 1, 1, &[]);
    assert_eq!(bench.sent_one().flags(), FIN_ACK);
}

/// Whatever is read, however slowly: the right edge of the window never moves back but by the
/// rounding of the scale (RFC 7323 2.4), and what is held never exceeds the buffer by more.
#[test]
fn the_right_edge_of_the_window_never_moves_back() {
    for seed in 0..20 {
        let mut random = Random(seed);
        let config = Config { mss: 1000, timestamps: false, ..Config::default() };
        let options =
            crate::wire::Options { window_scale: Some(7), ..crate::wire::Options::default() };
        let mut bench = Bench::established_with(config, options);
        let (mut seq, mut edge, mut unread) = (1u32, 0u32, 0usize);
        for _ in 0..3000 {
            let window = bench.tcb.info(bench.now).rcv_wnd as usize;
            let len = (random.below(1200) as usize).min(window);
            bench.arrive(ACK, seq, 1, &vec![9; len]);
            seq += len as u32;
            for out in bench.sent() {
                let right = out.ack() + (u32::from(out.header.window) << 7);
                assert!(right + 128 > edge, "seed {seed}: {right} after {edge}");
                edge = edge.max(right);
            }
            let (first, second) = bench.tcb.received();
            let there = first.len() + second.len();
            bench.tcb.consume(bench.now, there);
            unread += there;
            unread -= random.below(unread as u64 / 2 + 2).min(unread as u64) as usize;
            bench.tcb.set_unread(bench.now, unread);
            let held = bench.tcb.queues().recv;
            let limit = bench.tcb.info(bench.now).rcv_space as usize;
            assert!(held <= limit + 128, "{held} held, {limit} allowed");
        }
        assert!(seq > 100_000, "seed {seed}: it goes on ({seq})");
    }
}

#[test]
fn a_slow_reader_gets_every_octet() {
    for seed in 0..6 {
        let config = Config { mss: 1460, receive_buffer: 20_000, ..Config::default() };
        let mut pair = Pair::established(seed, &config);
        pair.link = Link { loss: 3 * (seed % 2), ..Link::default() };
        pair.ends[B].reads = false;
        let octets = pattern(150_000);
        assert_eq!(pair.send(A, &octets), octets.len());
        pair.shutdown(A);
        let mut random = Random(seed);
        let mut read = Vec::new();
        let mut rounds = 0;
        while pair.ends[B].state() != State::CloseWait || read.len() < octets.len() {
            pair.run_for(Duration::from_millis(50 + random.below(300)));
            let max = random.below(9000) as usize;
            let now = pair.now;
            let tcb = pair.ends[B].tcb();
            let (first, second) = tcb.received();
            let all: Vec<u8> = first.iter().chain(second).copied().take(max).collect();
            tcb.consume(now, all.len());
            tcb.set_unread(now, 0);
            read.extend(all);
            pair.drain();
            rounds += 1;
            assert!(rounds < 5000, "seed {seed}: stuck at {}", read.len());
        }
        assert_eq!(read, octets);
    }
}

/// Linux: tcp_sequence. A peer whose text filled the window and was lost acknowledges from there.
#[test]
fn a_segment_without_text_at_the_right_edge_of_the_window_is_acceptable() {
    let mut bench = Bench::established();
    bench.tcb.send(bench.now, b"x");
    let out = bench.sent_one();
    let edge = out.ack() + u32::from(out.header.window);
    bench.arrive(ACK, edge + 1, 2, &[]);
    assert_eq!((bench.sent().len(), bench.tcb.queues().send), (1, 1));
    bench.arrive(ACK, edge, 2, &[]);
    assert_eq!((bench.sent().len(), bench.tcb.queues().send), (0, 0));
    // a RST there may be forged: it is challenged, no longer dropped
    bench.now = bench.now + Duration::from_secs(2);
    bench.arrive(RST, edge, 0, &[]);
    assert_eq!(bench.sent_one().flags(), ACK);
    assert_eq!(bench.tcb.state(), State::Established);
}
