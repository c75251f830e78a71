//! OPEN and the handshake (RFC 9293 3.5, 3.10.1, 3.10.7.2, 3.10.7.3; RFC 7323; RFC 6298).

use super::bench::*;
use super::util::{A, B, Fate, Pair};
use crate::ipc::Errno;
use crate::tcp::{
    Cause, Config, Event, ListenVerdict, ResetReason, State, Timer, arrives_in_listen,
    initial_sequence_number, reset_for, timestamp_offset,
};
use crate::time::{Duration, Instant};
use crate::wire::{Flags, Options, Segment, SeqNum, Timestamps};

#[test]
fn an_active_open_sends_a_syn_and_enters_syn_sent() {
    let mut bench = Bench::connecting(Config { mss: 1460, ..Config::default() });
    let syn = bench.sent_one();
    assert_eq!((syn.flags(), syn.seq()), (SYN, 0));
    assert_eq!(syn.header.options.mss, Some(1460));
    assert_eq!(syn.header.options.window_scale, Some(7));
    assert!(syn.header.options.sack_permitted);
    assert_eq!(syn.header.options.timestamps, Some(Timestamps { val: 1000, ecr: 0 }));
    assert_eq!(syn.header.window, u16::MAX);
    assert_eq!(
        bench.events(),
        [Event::State { from: State::Closed, to: State::SynSent, cause: Cause::Open }]
    );
    assert!(bench.sent().is_empty());
}

#[test]
fn a_syn_ack_opens_and_is_acknowledged() {
    let mut bench = Bench::connecting(plain_config());
    bench.sent();
    bench.events();
    bench.arrive(SYN_ACK, 0, 1, &[]);
    let ack = bench.sent_one();
    assert_eq!((ack.flags(), ack.seq(), ack.ack()), (ACK, 1, 1));
    assert_eq!(
        bench.events(),
        [
            Event::State {
                from: State::SynSent,
                to: State::Established,
                cause: Cause::Segment(SYN_ACK)
            },
            Event::Established
        ]
    );
}

#[test]
fn a_passive_open_answers_with_what_was_offered_only() {
    let mut bench = Bench::accepting(Config::default());
    assert_eq!(bench.tcb.state(), State::SynReceived);
    bench.tcb.config_mut().mss = 1460;
    let again = {
        bench.arrive(SYN, 0, 0, &[]);
        bench.sent_one()
    };
    assert_eq!((again.flags(), again.seq(), again.ack()), (SYN_ACK, 0, 1));
    assert_eq!(again.header.options.timestamps, None);
    assert_eq!(again.header.options.window_scale, None);
    assert!(!again.header.options.sack_permitted);
    assert_eq!(again.header.options.mss, Some(1460));
    bench.arrive(ACK, 1, 1, &[]);
    assert_eq!(bench.tcb.state(), State::Established);
    assert!(bench.events().contains(&Event::Established));
}

#[test]
fn simultaneous_open_passes_syn_received_and_ends_established() {
    let mut pair = Pair::new(3, &Config::default());
    pair.connect(A);
    pair.connect(B);
    pair.run_for(Duration::from_secs(1));
    for end in [A, B] {
        assert_eq!(
            pair.ends[end].states(),
            [State::SynSent, State::SynReceived, State::Established]
        );
    }
    assert_eq!(pair.send(A, b"hello"), 5);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.ends[B].read, b"hello");
    // figure 7: two SYNs, two SYN,ACKs; no RST and nothing retransmitted
    let syns = pair.trace.iter().filter(|line| line.contains("SYN")).count();
    assert_eq!(syns, 4, "{:#?}", pair.trace);
}

#[test]
fn a_connection_to_itself_is_a_simultaneous_open() {
    let mut bench = Bench::connecting(Config::default());
    for _ in 0..3 {
        for out in bench.sent() {
            let segment = Segment { header: out.header, payload: &out.text };
            bench.tcb.handle_segment(bench.now, &segment);
        }
    }
    assert_eq!(bench.tcb.state(), State::Established);
    bench.sent();
    assert_eq!(bench.tcb.send(bench.now, b"me"), 2);
    let out = bench.sent_one();
    bench.tcb.handle_segment(bench.now, &Segment { header: out.header, payload: &out.text });
    assert_eq!(bench.read(), b"me");
}

#[test]
fn a_stale_syn_is_reset_and_the_new_connection_is_made() {
    // RFC 9293 figure 8: an old duplicate SYN reaches the listener first
    let mut pair = Pair::new(5, &Config::default());
    let mut held = false;
    pair.rule = Box::new(move |from, _| {
        let first = from == A && !held;
        held |= from == A;
        if first { Fate::Delay(Duration::from_millis(2)) } else { Fate::Pass }
    });
    pair.connect(A);
    // the program gives up, connects anew from the same port: another ISS
    pair.close(A);
    pair.connect(A);
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.ends[A].state(), State::Established);
    // the listener of this harness has no SYN queue: B was made by the SYN that came first
    assert_eq!(pair.ends[B].state(), State::Established);
}

#[test]
fn syn_retransmissions_come_after_1_2_3_4_5_7_11_19_35_67_seconds_and_fail_after_131() {
    let mut bench = Bench::connecting(Config::default());
    bench.sent();
    let sent = bench.pass(Duration::from_secs(200));
    let seconds: Vec<u64> = sent.iter().map(|(ms, _)| ms / 1000).collect();
    assert_eq!(seconds, [1, 2, 3, 4, 5, 7, 11, 19, 35, 67]);
    assert!(sent.iter().all(|(_, out)| out.flags() == SYN && out.seq() == 0));
    let events = bench.events();
    assert!(events.contains(&Event::State {
        from: State::SynSent,
        to: State::Closed,
        cause: Cause::Timer(Timer::Retransmit)
    }));
    assert!(
        events.contains(&Event::Failed { errno: Errno::ETIMEDOUT, reason: ResetReason::Timeout })
    );
    assert_eq!(bench.tcb.entered().since(Instant::from_nanos(1_000_000_000)).as_secs(), 131);
}

#[test]
fn a_syn_ack_is_retransmitted_five_times_and_forgotten_after_63_seconds() {
    let mut bench = Bench::accepting(plain_config());
    let sent = bench.pass(Duration::from_secs(200));
    let seconds: Vec<u64> = sent.iter().map(|(ms, _)| ms / 1000).collect();
    assert_eq!(seconds, [1, 3, 7, 15, 31]);
    assert!(sent.iter().all(|(_, out)| out.flags() == SYN_ACK));
    assert_eq!(bench.tcb.state(), State::Closed);
    assert_eq!(bench.tcb.entered().since(Instant::from_nanos(1_000_000_000)).as_secs(), 63);
}

#[test]
fn a_rst_with_an_acceptable_ack_refuses_the_connection() {
    let mut bench = Bench::in_state(State::SynSent);
    bench.arrive(RST_ACK, 0, 1, &[]);
    assert_eq!(bench.tcb.state(), State::Closed);
    assert!(
        bench
            .events()
            .contains(&Event::Failed { errno: Errno::ECONNREFUSED, reason: ResetReason::Peer })
    );
}

#[test]
fn a_rst_without_an_acceptable_ack_is_dropped_in_syn_sent() {
    for (flags, ack) in [(RST, 0), (RST_ACK, 0), (RST_ACK, 2)] {
        let mut bench = Bench::in_state(State::SynSent);
        bench.arrive(flags, 0, ack, &[]);
        assert_eq!(bench.tcb.state(), State::SynSent);
        assert!(bench.sent().is_empty());
    }
}

#[test]
fn an_unacceptable_ack_in_syn_sent_is_answered_with_a_rst() {
    for (flags, ack) in [(ACK, 0), (ACK, 2), (SYN_ACK, 77), (FIN_ACK, 9)] {
        let mut bench = Bench::in_state(State::SynSent);
        bench.arrive(flags, 0, ack, &[]);
        let rst = bench.sent_one();
        assert_eq!((rst.flags(), rst.seq()), (RST, ack));
        assert_eq!(rst.reset, Some(ResetReason::UnacceptableAck));
        assert_eq!(bench.tcb.state(), State::SynSent);
    }
}

#[test]
fn an_unacceptable_ack_in_syn_received_is_answered_with_a_rst() {
    for ack in [0, 2, 100] {
        let mut bench = Bench::in_state(State::SynReceived);
        bench.arrive(ACK, 1, ack, &[]);
        let rst = bench.sent_one();
        assert_eq!((rst.flags(), rst.seq()), (RST, ack));
        assert_eq!(bench.tcb.state(), State::SynReceived);
    }
}

#[test]
fn a_syn_in_the_window_of_a_passive_syn_received_returns_it_to_listen() {
    let mut bench = Bench::in_state(State::SynReceived);
    bench.arrive(SYN, 500, 0, &[]);
    let rst = bench.sent_one();
    assert_eq!((rst.flags(), rst.reset), (RST_ACK, Some(ResetReason::SynInWindow)));
    assert_eq!(bench.tcb.state(), State::Closed);
}

#[test]
fn data_in_the_syn_is_kept_until_established() {
    let mut bench = Bench::connecting(plain_config());
    bench.sent();
    bench.arrive(SYN, 0, 0, b"early");
    assert_eq!(bench.tcb.state(), State::SynReceived);
    assert!(!bench.events().contains(&Event::Readable));
    let syn_ack = bench.sent_one();
    assert_eq!((syn_ack.flags(), syn_ack.ack()), (SYN_ACK, 6));
    bench.arrive(ACK, 6, 1, &[]);
    assert!(bench.events().ends_with(&[Event::Established, Event::Readable]));
    assert_eq!(bench.read(), b"early");
}

#[test]
fn data_and_fin_with_the_syn_ack_are_processed_at_once() {
    let mut bench = Bench::in_state(State::SynSent);
    bench.arrive(SYN_ACK | FIN, 0, 1, b"bye");
    assert_eq!(bench.tcb.state(), State::CloseWait);
    assert_eq!(bench.read(), b"bye");
    assert_eq!(bench.sent_one().ack(), 5);
}

#[test]
fn an_mss_of_zero_or_none_means_536_and_a_tiny_one_48() {
    for (offered, expected) in [(None, 536), (Some(0), 536), (Some(1), 48), (Some(900), 900)] {
        let mut bench = Bench::in_state(State::SynSent);
        let options = Options { mss: offered, ..Options::default() };
        bench.arrive_with(SYN_ACK, 0, 1, &[], options);
        assert_eq!(bench.tcb.info(bench.now).mss, expected);
    }
}

#[test]
fn a_window_scale_above_14_is_taken_as_14_and_not_applied_to_the_syn() {
    let config = Config { mss: 1000, ..Config::default() };
    let mut bench = Bench::connecting(config);
    bench.sent();
    let options = Options { mss: Some(1000), window_scale: Some(99), ..Options::default() };
    bench.arrive_with(SYN_ACK, 0, 1, &[], options);
    assert_eq!(bench.tcb.info(bench.now).snd_wnd, u32::from(WINDOW));
    bench.arrive(ACK, 1, 1, &[]);
    assert_eq!(bench.tcb.info(bench.now).snd_wnd, u32::from(WINDOW) << 14);
    assert_eq!(bench.tcb.info(bench.now).wscale, Some((14, 7)));
}

#[test]
fn a_lost_syn_ack_without_timestamps_leaves_an_rto_of_three_seconds() {
    let mut bench = Bench::connecting(plain_config());
    bench.sent();
    bench.pass_ms(1500);
    bench.arrive(SYN_ACK, 0, 1, &[]);
    bench.sent();
    assert_eq!(bench.tcb.info(bench.now).rto, Duration::from_secs(3));
}

#[test]
fn a_listener_drops_rst_resets_ack_and_opens_for_syn() {
    let judge = |flags: Flags| {
        let mut bench = Bench::in_state(State::SynSent);
        bench.arrive(ACK, 0, 9, &[]);
        let mut header = bench.sent_one().header;
        header.flags = flags;
        arrives_in_listen(&Segment { header, payload: &[] })
    };
    assert_eq!(judge(SYN), ListenVerdict::Open);
    assert_eq!(judge(RST), ListenVerdict::Drop);
    assert_eq!(judge(RST | SYN), ListenVerdict::Drop);
    assert_eq!(judge(SYN | FIN), ListenVerdict::Drop);
    assert_eq!(judge(FIN), ListenVerdict::Drop);
    assert!(matches!(judge(ACK), ListenVerdict::Reset(header) if header.flags == RST));
    assert!(matches!(judge(SYN_ACK), ListenVerdict::Reset(_)));
}

#[test]
fn a_segment_without_a_connection_is_answered_as_3_10_7_1_says() {
    let mut bench = Bench::in_state(State::SynSent);
    bench.arrive(ACK, 0, 9, &[]);
    let mut header = bench.sent_one().header;
    header.seq = SeqNum(100);
    header.ack = SeqNum(7);
    header.flags = SYN | FIN;
    let rst = reset_for(&Segment { header, payload: b"abc" }).unwrap();
    assert_eq!((rst.flags, rst.seq, rst.ack), (RST_ACK, SeqNum(0), SeqNum(105)));
    assert_eq!((rst.source_port, rst.destination_port), (80, 40000));
    header.flags = ACK;
    let rst = reset_for(&Segment { header, payload: b"abc" }).unwrap();
    assert_eq!((rst.flags, rst.seq, rst.ack), (RST, SeqNum(7), SeqNum(0)));
    header.flags = RST_ACK;
    assert_eq!(reset_for(&Segment { header, payload: &[] }), None);
}

#[test]
fn initial_sequence_numbers_follow_a_clock_and_are_unrelated_between_4_tuples() {
    let secret = [7; 16];
    let at = |ns| initial_sequence_number(Instant::from_nanos(ns), &tuple(), &secret);
    assert_eq!(at(64_000).diff(at(0)), 1000);
    let mut other = tuple();
    other.local.set_port(40001);
    let distance = initial_sequence_number(Instant::ZERO, &other, &secret).diff(at(0));
    assert!(distance > 1 << 16 && distance < u32::MAX - (1 << 16));
    assert_ne!(initial_sequence_number(Instant::ZERO, &tuple(), &[8; 16]), at(0));
    assert_eq!(timestamp_offset(&tuple(), &secret), timestamp_offset(&tuple(), &secret));
    assert_ne!(timestamp_offset(&tuple(), &secret), at(0).0);
}

/// Linux: tcp_init_transfer. The first timeout is short (RFC 6298 2.1), so one SYN too many may
/// have been sent in vain.
#[test]
fn one_lost_syn_costs_no_window_and_more_leave_one_segment_and_never_a_threshold() {
    for (lost_for_ms, segments) in [(1100, 10), (3100, 1)] {
        let mut active = Bench::connecting(plain_config());
        active.sent();
        active.pass_ms(lost_for_ms);
        active.arrive_with(SYN_ACK, 0, 1, &[], Options { mss: Some(1000), ..Options::default() });
        let mut passive = Bench::accepting(plain_config());
        passive.pass_ms(lost_for_ms);
        passive.arrive(ACK, 1, 1, &[]);
        for mut bench in [active, passive] {
            bench.sent();
            let info = bench.tcb.info(bench.now);
            assert_eq!((info.cwnd, info.ssthresh), (segments * 1000, u32::MAX));
            bench.tcb.send(bench.now, &[7; 10_000]);
            assert_eq!(bench.sent().len(), segments as usize);
        }
    }
}

/// Linux: tcp_check_req.
#[test]
fn a_syn_that_comes_again_gets_the_syn_ack_again_once_in_tcp_invalid_ratelimit() {
    let mut bench = Bench::accepting(plain_config());
    let mut answers = 0;
    for _ in 0..10 {
        bench.arrive(SYN, 0, 0, &[]);
        answers += bench.sent().len();
        bench.now = bench.now + Duration::from_millis(99);
    }
    assert_eq!(answers, 2);
}
