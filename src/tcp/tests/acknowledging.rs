//! When and how text is acknowledged (RFC 9293 3.8.6.3, RFC 5681 4.2, RFC 2018, RFC 2883,
//! RFC 7323).

use super::bench::*;
use crate::tcp::{Config, Event, State};
use crate::time::Duration;
use crate::wire::{Options, Timestamps};

/// Past the quick acknowledgments of the start: the program has answered.
fn interactive() -> Bench {
    let mut bench = Bench::established();
    bench.arrive(ACK, 1, 1, b"q");
    bench.read();
    bench.tcb.send(bench.now, b"a");
    bench.sent();
    bench.arrive(ACK, 2, 2, &[]);
    assert!(bench.sent().is_empty());
    bench.events();
    bench
}

fn with_sack() -> Bench {
    Bench::established_with(plain_config(), Options { sack_permitted: true, ..Options::default() })
}

fn blocks(out: &Out) -> Vec<(u32, u32)> {
    out.header.options.sack_blocks().map(|(a, b)| (a.0 - IRS, b.0 - IRS)).collect()
}

#[test]
fn the_first_segments_are_acknowledged_at_once() {
    let mut bench = Bench::established();
    for count in 0..16 {
        bench.arrive(ACK, 1 + count, 1, b"x");
        assert_eq!(bench.sent_one().ack(), 2 + count);
        bench.read();
    }
    bench.arrive(ACK, 17, 1, b"x");
    assert!(bench.sent().is_empty());
}

#[test]
fn an_interactive_conversation_is_acknowledged_after_40_ms_or_with_the_answer() {
    let mut bench = interactive();
    bench.arrive(ACK, 2, 2, b"question");
    assert!(bench.sent().is_empty());
    let sent = bench.pass_ms(100);
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].0, sent[0].1.flags(), sent[0].1.ack()), (40, ACK, 10));

    let mut bench = interactive();
    bench.arrive(ACK, 2, 2, b"question");
    bench.tcb.send(bench.now, b"answer");
    let out = bench.sent_one();
    assert_eq!((out.ack(), out.text.as_slice()), (10, &b"answer"[..]));
    assert!(bench.pass_ms(100).is_empty());
}

#[test]
fn every_second_full_sized_segment_is_acknowledged_at_once() {
    let mut bench = interactive();
    bench.arrive(ACK, 2, 2, &[1; 1000]);
    assert!(bench.sent().is_empty());
    bench.arrive(ACK, 1002, 2, &[1; 1000]);
    assert_eq!(bench.sent_one().ack(), 2002);
    bench.read();
    bench.arrive(ACK, 2002, 2, &[1; 1000]);
    assert!(bench.sent().is_empty());
}

#[test]
fn tcp_quickack_acknowledges_at_once() {
    let mut bench = interactive();
    bench.tcb.config_mut().quickack = true;
    bench.arrive(ACK, 2, 2, b"question");
    assert_eq!(bench.sent_one().ack(), 10);
}

#[test]
fn text_out_of_order_is_acknowledged_at_once_with_the_number_expected() {
    let mut bench = interactive();
    for (seq, text) in [(12, b"cc"), (22, b"dd"), (12, b"cc")] {
        bench.arrive(ACK, seq, 2, text);
        assert_eq!(bench.sent_one().ack(), 2);
    }
    bench.arrive(ACK, 2, 2, b"0123456789");
    assert_eq!(bench.sent_one().ack(), 14);
    assert_eq!(bench.read(), b"0123456789cc");
    assert_eq!(bench.events(), [Event::Readable]);
}

#[test]
fn after_trouble_the_next_segments_are_acknowledged_at_once() {
    let mut bench = interactive();
    bench.arrive(ACK, 3, 2, b"late");
    bench.arrive(ACK, 2, 2, b"x");
    assert_eq!(bench.sent_one().ack(), 7);
    bench.arrive(ACK, 7, 2, b"and on");
    assert_eq!(bench.sent_one().ack(), 13);
}

#[test]
fn sack_blocks_tell_what_is_there_the_latest_first() {
    let mut bench = with_sack();
    bench.arrive(ACK, 11, 1, b"aaa");
    assert_eq!(blocks(&bench.sent_one()), [(11, 14)]);
    bench.arrive(ACK, 21, 1, b"bbb");
    assert_eq!(blocks(&bench.sent_one()), [(21, 24), (11, 14)]);
    bench.arrive(ACK, 14, 1, b"ccc");
    assert_eq!(blocks(&bench.sent_one()), [(11, 17), (21, 24)]);
    bench.arrive(ACK, 1, 1, b"0123456789");
    let out = bench.sent_one();
    assert_eq!((out.ack(), blocks(&out)), (17, vec![(21, 24)]));
}

#[test]
fn duplicate_text_is_told_by_d_sack() {
    let mut bench = with_sack();
    bench.arrive(ACK, 1, 1, b"hello");
    bench.sent();
    bench.arrive(ACK, 1, 1, b"hello");
    let out = bench.sent_one();
    assert_eq!((out.ack(), blocks(&out)), (6, vec![(1, 6)]));
    bench.arrive(ACK, 11, 1, b"xyz");
    bench.sent();
    bench.arrive(ACK, 11, 1, b"xy");
    assert_eq!(blocks(&bench.sent_one()), [(11, 13), (11, 14)]);
    bench.arrive(ACK, 3, 1, b"llo, w");
    let out = bench.sent_one();
    assert_eq!((out.ack(), blocks(&out)), (9, vec![(3, 6), (11, 14)]));
}

#[test]
fn without_sack_permitted_there_are_no_blocks() {
    let mut bench = Bench::established();
    bench.arrive(ACK, 11, 1, b"aaa");
    assert!(blocks(&bench.sent_one()).is_empty());
}

#[test]
fn an_old_segment_is_acknowledged_and_an_empty_one_only_twice_a_second() {
    let mut bench = Bench::established();
    bench.arrive(ACK, 1, 1, b"hello");
    bench.sent();
    for _ in 0..5 {
        bench.arrive(ACK, 1, 1, b"hello");
        assert_eq!(bench.sent_one().ack(), 6);
    }
    let answers: usize = (0..20)
        .map(|_| {
            bench.now = bench.now + Duration::from_millis(100);
            bench.arrive(ACK, 0, 1, &[]);
            bench.sent().len()
        })
        .sum();
    assert_eq!(answers, 4);
}

#[test]
fn text_that_overlaps_what_is_there_is_taken_from_where_it_is_new() {
    let mut bench = Bench::established();
    bench.arrive(ACK, 1, 1, b"hello");
    bench.arrive(ACK, 3, 1, b"LLO, world");
    assert_eq!(bench.read(), b"hello, world");
}

fn with_timestamps() -> Bench {
    let config = Config { mss: 1000, window_scaling: false, ..Config::default() };
    let options =
        Options { timestamps: Some(Timestamps { val: 700, ecr: 1000 }), ..Options::default() };
    Bench::established_with(config, options)
}

#[test]
fn timestamps_echo_the_segment_that_the_acknowledgment_is_for() {
    let mut bench = with_timestamps();
    bench.timestamp = Some(710);
    bench.arrive(ACK, 1, 1, b"abc");
    assert_eq!(bench.sent_one().header.options.timestamps.unwrap().ecr, 710);
    // a segment that is not the next one does not set TS.Recent (RFC 7323 4.3)
    bench.timestamp = Some(720);
    bench.arrive(ACK, 9, 1, b"xyz");
    assert_eq!(bench.sent_one().header.options.timestamps.unwrap().ecr, 710);
    bench.now = bench.now + Duration::from_millis(25);
    bench.tcb.send(bench.now, b"t");
    let option = bench.sent_one().header.options.timestamps.unwrap();
    assert_eq!(option, Timestamps { val: 1025, ecr: 710 });
}

#[test]
fn paws_drops_a_segment_with_an_old_timestamp_and_acknowledges_it() {
    let mut bench = with_timestamps();
    bench.timestamp = Some(800);
    bench.arrive(ACK, 1, 1, b"new");
    bench.sent();
    bench.timestamp = Some(798);
    bench.arrive(ACK, 4, 1, b"ghost");
    assert_eq!(bench.sent_one().ack(), 4);
    assert_eq!(bench.read(), b"new");
    // a RST is not subject to PAWS
    bench.arrive(RST, 4, 0, &[]);
    assert_eq!(bench.tcb.state(), State::Closed);
}

#[test]
fn paws_lets_a_timestamp_pass_that_is_old_because_nothing_came_for_24_days() {
    let mut bench = with_timestamps();
    bench.now = bench.now + Duration::from_secs(25 * 24 * 3600);
    bench.timestamp = Some(700 - 1);
    bench.arrive(ACK, 1, 1, b"long ago");
    assert_eq!(bench.read(), b"long ago");
}

#[test]
fn a_segment_without_timestamps_is_taken_as_linux_takes_it() {
    let mut bench = with_timestamps();
    bench.timestamp = None;
    bench.arrive(ACK, 1, 1, b"bare");
    assert_eq!(bench.read(), b"bare");
}

#[test]
fn urgent_octets_are_told_with_their_place_and_stay_in_the_stream() {
    let mut bench = Bench::established();
    bench.arrive_urgent(1, 1, b"abc!def", 4);
    assert_eq!(bench.events(), [Event::Readable, Event::Urgent { offset: 3, octet: b'!' }]);
    assert_eq!(bench.read(), b"abc!def");
    // announced before it is there
    bench.arrive_urgent(8, 1, b"gh", 5);
    assert_eq!(bench.events(), [Event::Readable]);
    bench.arrive(ACK, 10, 1, b"ij?k");
    assert_eq!(bench.events(), [Event::Readable, Event::Urgent { offset: 4, octet: b'?' }]);
    // an old pointer says nothing
    bench.arrive_urgent(14, 1, b"z", 0);
    assert_eq!(bench.events(), [Event::Readable]);
}

#[test]
fn an_urgent_octet_that_is_sent_is_pointed_past() {
    let mut bench = Bench::established();
    bench.tcb.send(bench.now, b"abc!");
    bench.tcb.mark_urgent(bench.now);
    let out = bench.sent_one();
    assert!(out.header.flags.urg());
    assert_eq!(out.header.urgent, 4);
    bench.tcb.send(bench.now, b"more");
    bench.arrive(ACK, 1, 5, &[]);
    assert!(!bench.sent_one().header.flags.urg());
}

#[test]
fn an_urgent_octet_is_told_however_much_came_since_the_last_one() {
    let mut bench = Bench::established();
    for (further, octet) in [(0, b'a'), (1 << 31, b'b'), (1 << 30, b'c')] {
        bench.skip_received(further);
        bench.read();
        bench.events();
        let next = bench.tcb.rcv.nxt.0.wrapping_sub(IRS);
        bench.arrive_urgent(next, 1, &[octet], 1);
        assert_eq!(bench.events(), [Event::Readable, Event::Urgent { offset: 0, octet }]);
        bench.sent();
    }
}

/// Linux: TCP_PAWS_WINDOW, and "Some OSes send SYN and SYNACK messages with tsval=0".
#[test]
fn paws_bears_a_timestamp_older_by_one_tick_and_takes_zero_for_none() {
    let mut bench = with_timestamps();
    bench.timestamp = Some(699);
    bench.arrive(ACK, 1, 1, b"a tick");
    assert_eq!(bench.read(), b"a tick");
    assert_eq!(bench.tcb.ts.recent(), 700);

    let config = Config { mss: 1000, window_scaling: false, ..Config::default() };
    let zero = Some(Timestamps { val: 0, ecr: 1000 });
    let options = Options { timestamps: zero, ..Options::default() };
    let mut bench = Bench::established_with(config, options);
    bench.timestamp = Some(u32::MAX - 5);
    bench.arrive(ACK, 1, 1, b"new");
    assert_eq!(bench.read(), b"new");
    assert_eq!(bench.tcb.ts.recent(), u32::MAX - 5);
}
