//! How the octets of SENDs become segments (RFC 9293 3.7, 3.8.6.2.1, 3.9.1.2; RFC 5681).

use super::bench::*;
use crate::tcp::{Config, Event, State};
use crate::time::Duration;
use crate::wire::{Flags, Options, Timestamps};

fn lengths(all: &[Out]) -> Vec<usize> {
    all.iter().map(|out| out.text.len()).collect()
}

#[test]
fn text_is_cut_into_full_segments_and_the_last_one_is_pushed() {
    let mut bench = Bench::established();
    bench.tcb.send(bench.now, &[7; 2500]);
    let all = bench.sent();
    assert_eq!(lengths(&all), [1000, 1000, 500]);
    let pushed: Vec<bool> = all.iter().map(|out| out.header.flags.contains(Flags::PSH)).collect();
    assert_eq!(pushed, [false, false, true]);
    assert_eq!(all.iter().map(Out::seq).collect::<Vec<_>>(), [1, 1001, 2001]);
}

#[test]
fn timestamps_and_sack_blocks_take_their_octets_from_the_text() {
    let config = Config { mss: 1000, window_scaling: false, ..Config::default() };
    let options = Options {
        timestamps: Some(Timestamps { val: 5, ecr: 1000 }),
        sack_permitted: true,
        ..Options::default()
    };
    let mut bench = Bench::established_with(config, options);
    bench.tcb.send(bench.now, &[7; 988]);
    assert_eq!(lengths(&bench.sent()), [988]);
    bench.arrive(ACK, 101, 989, b"gap");
    bench.tcb.send(bench.now, &[7; 1964]);
    let all = bench.sent();
    assert_eq!(lengths(&all), [976, 976, 12]);
    assert!(all.iter().all(|out| out.header.encoded_len() + out.text.len() <= 1020));
}

#[test]
fn nagle_holds_a_small_segment_while_another_one_is_unacknowledged() {
    let mut bench = Bench::established();
    bench.tcb.send(bench.now, b"first");
    assert_eq!(lengths(&bench.sent()), [5]);
    bench.tcb.send(bench.now, b"second");
    bench.tcb.send(bench.now, b"third");
    assert!(bench.sent().is_empty());
    bench.arrive(ACK, 1, 6, &[]);
    assert_eq!(bench.sent_one().text, b"secondthird");
}

#[test]
fn nagle_forgets_a_small_segment_that_was_acknowledged() {
    let mut bench = Bench::established();
    bench.tcb.send(bench.now, b"head");
    bench.sent();
    bench.arrive(ACK, 1, 5, &[]);
    // its number lies ahead again
    bench.skip_sent((1 << 31) + 1000);
    bench.tcb.send(bench.now, b"tail");
    assert_eq!(bench.sent_one().text, b"tail");
}

#[test]
fn nagle_does_not_hold_a_full_segment_nor_the_last_one() {
    let mut bench = Bench::established();
    bench.tcb.send(bench.now, b"first");
    bench.sent();
    bench.tcb.send(bench.now, &[1; 1003]);
    assert_eq!(lengths(&bench.sent()), [1000]);
    bench.tcb.shutdown_write(bench.now);
    let out = bench.sent_one();
    assert_eq!((out.text.len(), out.flags()), (3, FIN_ACK));
}

#[test]
fn tcp_nodelay_sends_at_once() {
    let mut bench = Bench::established();
    bench.tcb.config_mut().nodelay = true;
    for octet in [b"a", b"b", b"c"] {
        bench.tcb.send(bench.now, octet);
        assert_eq!(bench.sent_one().text, octet);
    }
}

#[test]
fn tcp_cork_holds_a_partial_segment_for_200_ms_at_most() {
    let mut bench = Bench::established();
    bench.tcb.config_mut().cork = true;
    bench.tcb.send(bench.now, &[1; 1200]);
    assert_eq!(lengths(&bench.sent()), [1000]);
    bench.arrive(ACK, 1, 1001, &[]);
    assert!(bench.sent().is_empty());
    let sent = bench.pass_ms(250);
    assert_eq!(sent.len(), 1);
    assert!((199..=210).contains(&sent[0].0), "{}", sent[0].0);
    assert_eq!(sent[0].1.text.len(), 200);
    bench.arrive(ACK, 1, 1201, &[]);
    bench.tcb.send(bench.now, b"held");
    assert!(bench.sent().is_empty());
    bench.tcb.config_mut().cork = false;
    assert_eq!(bench.sent_one().text, b"held");
}

#[test]
fn a_segment_is_at_most_half_the_largest_window() {
    let mut bench = Bench::established();
    bench.tcb.config_mut().mss = 60_000;
    bench.tcb.send(bench.now, &[1; 100]);
    bench.sent();
    assert_eq!(bench.tcb.info(bench.now).mss, 1000, "the peer's MSS counts as well");
    let config = Config { mss: 60_000, ..plain_config() };
    let bench =
        Bench::established_with(config, Options { mss: Some(60_000), ..Options::default() });
    assert_eq!(bench.tcb.info(bench.now).mss, u32::from(WINDOW) / 2);
}

#[test]
fn the_initial_window_is_ten_segments() {
    let mut bench = Bench::established();
    bench.tcb.send(bench.now, &[1; 50_000]);
    assert_eq!(bench.sent().len(), 10);
    bench.arrive(ACK, 1, 2001, &[]);
    assert_eq!(bench.sent().len(), 4, "slow start: one more for each acknowledged");
}

#[test]
fn after_an_idle_rto_the_window_is_the_initial_one_again() {
    let mut bench = Bench::established();
    for round in 0..4 {
        bench.tcb.send(bench.now, &[1; 10_000]);
        let count = bench.sent().len() as u32;
        bench.arrive(ACK, 1, 1 + 10_000 * (round + 1), &[]);
        assert_eq!(count, 10);
    }
    assert!(bench.tcb.info(bench.now).cwnd > 10_000);
    bench.pass_ms(1000);
    bench.tcb.send(bench.now, &[1; 50_000]);
    assert_eq!(bench.sent().len(), 10);
}

#[test]
fn a_send_buffer_takes_what_it_has_room_for_and_says_when_there_is_more() {
    let mut bench = Bench::established();
    bench.tcb.config_mut().send_buffer = 5000;
    assert_eq!(bench.tcb.send(bench.now, &[1; 9000]), 5000);
    assert_eq!(bench.tcb.send_space(), 0);
    assert_eq!(bench.tcb.send(bench.now, &[1; 10]), 0);
    bench.sent();
    bench.arrive(ACK, 1, 1001, &[]);
    assert!(!bench.events().contains(&Event::Writable), "a fifth is not enough to wake anybody");
    bench.arrive(ACK, 1, 3001, &[]);
    assert_eq!(bench.events(), [Event::Writable]);
    bench.arrive(ACK, 1, 5001, &[]);
    assert!(bench.events().is_empty());
    assert_eq!(bench.tcb.send_space(), 5000);
}

/// The limit shrinks: by SO_SNDBUF, and with the congestion window of a timeout.
#[test]
fn a_program_that_finds_no_room_is_told_of_room_however_the_room_went() {
    let mut set = Bench::established();
    set.tcb.send(set.now, &[1; 10_000]);
    set.sent();
    let mut lost = Bench::established_with(
        Config { initial_window: 1000, window_scaling: true, ..plain_config() },
        Options { window_scale: Some(8), ..Options::default() },
    );
    lost.arrive(ACK, 1, 1, &[]);
    lost.tcb.send(lost.now, &[1; 400_000]);
    lost.sent();
    lost.pass_ms(300);
    let config = Config { send_buffer: 5000, ..set.tcb.config().clone() };
    set.tcb.configure(config);
    for (mut bench, octets) in [(set, 10_000), (lost, 400_000)] {
        bench.events();
        assert_eq!(bench.tcb.send_space(), 0);
        bench.arrive(ACK, 1, 1 + octets, &[]);
        assert_eq!(bench.events(), [Event::Writable]);
    }
}

#[test]
fn a_larger_send_buffer_is_told_at_once_to_a_program_that_waits_for_room() {
    let mut bench = Bench::established();
    let small = Config { send_buffer: 5000, ..bench.tcb.config().clone() };
    let large = Config { send_buffer: 50_000, ..small.clone() };
    bench.tcb.configure(small);
    assert_eq!(bench.tcb.send(bench.now, &[1; 9000]), 5000);
    bench.events();
    bench.tcb.configure(large);
    assert_eq!(bench.events(), [Event::Writable]);
}

#[test]
fn octets_sent_before_the_handshake_is_over_follow_it() {
    let mut bench = Bench::connecting(plain_config());
    assert_eq!(bench.tcb.send(bench.now, b"early bird"), 10);
    assert_eq!(bench.sent_one().flags(), SYN);
    bench.arrive(SYN_ACK, 0, 1, &[]);
    assert_eq!(bench.sent_one().text, b"early bird");
}

#[test]
fn the_queues_are_counted_as_linux_counts_them() {
    let mut bench = Bench::in_state(State::SynSent);
    assert_eq!(bench.tcb.queues().send, 1);
    bench = Bench::established();
    bench.tcb.send(bench.now, &[1; 15_000]);
    bench.sent();
    assert_eq!((bench.tcb.queues().send, bench.tcb.queues().unsent), (15_000, 5000));
    bench.tcb.shutdown_write(bench.now);
    assert_eq!((bench.tcb.queues().send, bench.tcb.queues().unsent), (15_001, 5001));
    bench.arrive(ACK, 1, 10_001, b"12345");
    assert_eq!((bench.tcb.queues().recv, bench.tcb.queues().send), (5, 5001));
    bench.tcb.consume(bench.now, 3);
    assert_eq!(bench.tcb.queues().recv, 5);
    bench.tcb.set_unread(bench.now, 1);
    assert_eq!(bench.tcb.queues().recv, 3);
}

#[test]
fn a_retransmission_is_cut_to_the_segment_size_of_now() {
    let mut bench = Bench::established();
    bench.tcb.send(bench.now, &[1; 1000]);
    bench.sent();
    bench.tcb.config_mut().mss = 400;
    let sent = bench.pass_ms(1000);
    let lengths: Vec<_> = sent.iter().map(|(ms, out)| (*ms, out.text.len())).collect();
    assert_eq!(lengths[..3], [(200, 400), (200, 400), (200, 200)]);
}

#[test]
fn an_acknowledgment_of_half_a_segment_leaves_the_other_half_to_be_sent_again() {
    let mut bench = Bench::established();
    bench.tcb.send(bench.now, b"0123456789");
    bench.sent();
    bench.arrive(ACK, 1, 5, &[]);
    let sent = bench.pass(Duration::from_secs(3));
    assert_eq!((sent[0].1.seq(), sent[0].1.text.as_slice()), (5, &b"456789"[..]));
}
