//! CLOSE (RFC 9293 3.6, 3.10.4): four segments, half-close, both at once, orphans.

use super::bench::*;
use super::util::{A, B, Fate, Pair, pattern, transfer};
use crate::tcp::{Cause, Config, Event, Release, ResetReason, State, Timer};
use crate::time::Duration;

#[test]
fn a_close_takes_four_segments_and_the_states_of_figure_5() {
    let mut pair = Pair::established(1, &Config::default());
    pair.shutdown(A);
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.ends[A].state(), State::FinWait2);
    assert_eq!(pair.ends[B].state(), State::CloseWait);
    assert!(pair.ends[B].events.contains(&Event::PeerClosed));
    pair.close(B);
    pair.run_for(Duration::from_millis(50));
    assert_eq!(
        pair.ends[A].states()[1..],
        [State::Established, State::FinWait1, State::FinWait2, State::TimeWait]
    );
    assert_eq!(
        pair.ends[B].states()[1..],
        [State::Established, State::CloseWait, State::LastAck, State::Closed]
    );
    let bits: Vec<&str> = pair.trace.iter().map(|line| line.split(' ').nth(2).unwrap()).collect();
    assert_eq!(bits, ["FIN,ACK", "ACK", "FIN,ACK", "ACK"]);
    assert!(pair.ends[B].events.contains(&Event::State {
        from: State::CloseWait,
        to: State::LastAck,
        cause: Cause::Close
    }));
    assert!(pair.ends[A].events.contains(&Event::FinAcked));
}

#[test]
fn a_half_closed_connection_carries_octets_the_other_way() {
    let mut pair = Pair::established(1, &Config::default());
    pair.shutdown(A);
    pair.run_for(Duration::from_millis(50));
    assert!(transfer(&mut pair, B, &pattern(1 << 20), Duration::from_secs(10)));
    assert_eq!(pair.send(A, b"too late"), 0);
    pair.close(B);
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.ends[A].state(), State::TimeWait);
}

#[test]
fn simultaneous_close_passes_closing_and_both_end_in_time_wait() {
    let mut pair = Pair::established(1, &Config::default());
    pair.shutdown(A);
    pair.shutdown(B);
    pair.run_for(Duration::from_millis(50));
    for end in [A, B] {
        assert_eq!(
            pair.ends[end].states()[1..],
            [State::Established, State::FinWait1, State::Closing, State::TimeWait]
        );
    }
}

#[test]
fn a_fin_with_the_ack_of_our_fin_goes_straight_to_time_wait() {
    let mut bench = Bench::in_state(State::FinWait1);
    bench.arrive(FIN_ACK, 1, 2, b"last");
    assert_eq!(bench.tcb.state(), State::TimeWait);
    assert_eq!(bench.read(), b"last");
    assert_eq!(bench.sent_one().ack(), 6);
}

#[test]
fn octets_queued_before_close_are_sent_before_the_fin() {
    let mut pair = Pair::established(1, &Config::default());
    pair.ends[B].reads = false;
    let octets = pattern(250_000);
    assert_eq!(pair.send(A, &octets), octets.len());
    pair.close(A);
    assert_eq!(pair.ends[A].state(), State::FinWait1);
    pair.run_for(Duration::from_secs(3));
    pair.ends[B].reads = true;
    pair.drain();
    let end = pair.now + Duration::from_secs(10);
    assert!(pair.run_until(end, |pair| pair.ends[B].state() == State::CloseWait));
    assert_eq!(pair.ends[B].read, octets);
}

#[test]
fn the_last_segment_of_text_carries_the_fin() {
    let mut bench = Bench::established();
    bench.tcb.send(bench.now, b"bye");
    bench.tcb.shutdown_write(bench.now);
    let out = bench.sent_one();
    assert_eq!((out.flags(), out.text.as_slice()), (FIN_ACK, &b"bye"[..]));
    bench.arrive(ACK, 1, 5, &[]);
    assert_eq!(bench.tcb.state(), State::FinWait2);
}

#[test]
fn a_fin_that_arrives_before_the_text_waits_for_it() {
    let mut bench = Bench::established();
    bench.arrive(FIN_ACK, 4, 1, b"def");
    assert_eq!(bench.tcb.state(), State::Established);
    assert_eq!(bench.sent_one().ack(), 1);
    bench.arrive(ACK, 1, 1, b"abc");
    assert_eq!(bench.tcb.state(), State::CloseWait);
    assert_eq!(bench.read(), b"abcdef");
    assert_eq!(bench.sent_one().ack(), 8);
}

#[test]
fn text_behind_the_fin_does_not_exist() {
    let mut bench = Bench::established();
    bench.arrive(FIN_ACK, 4, 1, &[]);
    bench.arrive(ACK, 1, 1, b"abcdefgh");
    assert_eq!(bench.tcb.state(), State::CloseWait);
    assert_eq!(bench.read(), b"abc");
}

#[test]
fn a_retransmitted_fin_is_acknowledged_again_in_close_wait_closing_and_last_ack() {
    for state in [State::CloseWait, State::Closing, State::LastAck] {
        let mut bench = Bench::in_state(state);
        bench.arrive(FIN_ACK, 1, 1, &[]);
        assert_eq!(bench.sent_one().ack(), 2, "{state}");
        assert_eq!(bench.tcb.state(), state);
    }
}

#[test]
fn a_fin_that_comes_again_and_again_is_acknowledged_every_time() {
    for state in [State::CloseWait, State::Closing, State::LastAck] {
        let mut bench = Bench::in_state(state);
        for _ in 0..3 {
            bench.arrive(FIN_ACK, 1, 1, &[]);
            assert_eq!(bench.sent_one().ack(), 2, "{state}");
        }
        // one with a SYN is a challenge's matter
        bench.arrive(SYN | FIN_ACK, 0, 1, &[]);
        assert_eq!(bench.sent().len(), 1, "{state}");
        bench.arrive(SYN | FIN_ACK, 0, 1, &[]);
        assert!(bench.sent().is_empty(), "{state}");
    }
}

#[test]
fn a_lost_last_ack_makes_the_fin_come_again_and_restarts_time_wait() {
    let mut pair = Pair::established(1, &Config::default());
    pair.shutdown(A);
    pair.run_for(Duration::from_millis(50));
    let mut dropped = false;
    pair.rule = Box::new(move |from, _| {
        let drop = from == A && !dropped;
        dropped |= drop;
        if drop { Fate::Drop } else { Fate::Pass }
    });
    pair.close(B);
    pair.run_for(Duration::from_millis(50));
    assert_eq!(pair.ends[B].state(), State::LastAck);
    let entered = pair.now;
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.ends[B].state(), State::Closed);
    let expires = pair.ends[A].tcb().time_wait().unwrap().expires();
    assert!(expires.since(entered) > Duration::from_secs(60));
    assert!(!pair.ends[B].events.iter().any(|event| matches!(event, Event::Failed { .. })));
}

#[test]
fn a_fin_never_acknowledged_is_given_up_for_an_orphan() {
    let mut bench = Bench::established();
    bench.tcb.release(bench.now, Release::Graceful);
    assert_eq!(bench.sent_one().flags(), FIN_ACK);
    let sent = bench.pass(Duration::from_secs(3600));
    // Linux: tcp_orphan_retries 0 means 8 while the path may be alive: 102.2 s after the first
    assert_eq!(sent.len(), 9, "{:?}", sent.iter().map(|(ms, _)| ms).collect::<Vec<_>>());
    assert_eq!(bench.tcb.state(), State::Closed);
    bench = Bench::established();
    bench.tcb.config_mut().orphan_retries = 2;
    bench.tcb.release(bench.now, Release::Graceful);
    bench.sent();
    assert_eq!(bench.pass(Duration::from_secs(3600)).len(), 3);
}

#[test]
fn a_fin_that_a_living_program_sent_is_tried_for_fifteen_minutes() {
    let mut bench = Bench::established();
    bench.tcb.shutdown_write(bench.now);
    bench.sent();
    let opened = bench.now;
    bench.pass(Duration::from_secs(7200));
    assert_eq!(bench.tcb.state(), State::Closed);
    let lasted = bench.tcb.entered().since(opened).as_secs();
    assert!((924..1100).contains(&lasted), "{lasted}");
}

#[test]
fn an_orphan_leaves_fin_wait_2_after_tcp_fin_timeout_and_a_held_one_stays() {
    let mut bench = Bench::in_state(State::FinWait2);
    assert!(bench.pass(Duration::from_secs(100_000)).is_empty());
    assert_eq!(bench.tcb.state(), State::FinWait2);
    bench.tcb.release(bench.now, Release::Graceful);
    assert!(bench.sent().is_empty());
    bench.pass(Duration::from_secs(59));
    assert_eq!(bench.tcb.state(), State::FinWait2);
    bench.events();
    assert!(bench.pass(Duration::from_secs(2)).is_empty(), "it ends silently");
    let cause = Cause::Timer(Timer::FinWait2);
    assert_eq!(
        bench.events(),
        [Event::State { from: State::FinWait2, to: State::Closed, cause }, Event::Closed]
    );
}

#[test]
fn an_orphan_that_enters_fin_wait_2_later_is_timed_as_well() {
    let mut bench = Bench::established();
    bench.tcb.release(bench.now, Release::Graceful);
    bench.sent();
    bench.arrive(ACK, 1, 2, &[]);
    assert_eq!(bench.tcb.state(), State::FinWait2);
    bench.pass(Duration::from_secs(61));
    assert_eq!(bench.tcb.state(), State::Closed);
}

/// Linux: tcp_fin_time.
#[test]
fn an_orphan_stays_in_fin_wait_2_for_three_and_a_half_rto_at_least() {
    let mut bench = Bench::established();
    let config = bench.tcb.config_mut();
    (config.fin_timeout, config.rto_min) = (Some(Duration::from_secs(1)), Duration::from_secs(2));
    bench.tcb.release(bench.now, Release::Graceful);
    bench.sent();
    bench.arrive(ACK, 1, 2, &[]);
    bench.pass_ms(6990);
    assert_eq!(bench.tcb.state(), State::FinWait2);
    bench.pass_ms(20);
    assert_eq!(bench.tcb.state(), State::Closed);
}

#[test]
fn a_linger2_below_zero_resets_instead_of_waiting_in_fin_wait_2() {
    let mut bench = Bench::in_state(State::FinWait2);
    bench.tcb.config_mut().fin_timeout = Some(Duration::ZERO);
    bench.tcb.release(bench.now, Release::Graceful);
    assert_eq!(bench.sent_one().reset, Some(ResetReason::NoFinWait2));
    assert_eq!(bench.tcb.state(), State::Closed);
}

/// Linux: tcp_rcv_state_process, FIN_WAIT1.
#[test]
fn with_linger2_below_zero_the_acknowledgment_of_an_orphans_fin_is_answered_with_a_reset() {
    let mut bench = Bench::established();
    bench.tcb.config_mut().fin_timeout = Some(Duration::ZERO);
    bench.tcb.release(bench.now, Release::Graceful);
    bench.sent();
    bench.arrive(ACK, 1, 2, &[]);
    let rst = bench.sent_one();
    assert_eq!((rst.flags(), rst.seq(), rst.reset), (RST, 2, Some(ResetReason::NoFinWait2)));
    assert_eq!(bench.tcb.state(), State::Closed);
    assert_eq!(bench.events().last(), Some(&Event::Closed));
    // while a program holds it, it waits
    let mut bench = Bench::established();
    bench.tcb.config_mut().fin_timeout = Some(Duration::ZERO);
    bench.tcb.shutdown_write(bench.now);
    bench.sent();
    bench.arrive(ACK, 1, 2, &[]);
    assert!(bench.sent().is_empty());
    assert_eq!(bench.tcb.state(), State::FinWait2);
}

#[test]
fn close_in_syn_sent_deletes_the_tcb_without_a_segment() {
    let mut bench = Bench::in_state(State::SynSent);
    bench.tcb.release(bench.now, Release::Graceful);
    assert!(bench.sent().is_empty());
    assert_eq!(bench.tcb.state(), State::Closed);
    assert_eq!(bench.events().last(), Some(&Event::Closed));
}

#[test]
fn close_in_syn_received_sends_a_fin_and_enters_fin_wait_1() {
    let mut bench = Bench::in_state(State::SynReceived);
    bench.tcb.release(bench.now, Release::Graceful);
    assert_eq!(bench.tcb.state(), State::FinWait1);
    assert_eq!(bench.sent_one().flags(), FIN_ACK);
    bench.arrive(ACK, 1, 2, &[]);
    assert_eq!(bench.tcb.state(), State::FinWait2);
}

#[test]
fn close_again_and_close_after_the_end_do_nothing() {
    for state in State::ALL.into_iter().filter(|state| *state != State::Listen) {
        let mut bench = Bench::in_state(state);
        bench.tcb.shutdown_write(bench.now);
        bench.sent();
        bench.tcb.shutdown_write(bench.now);
        bench.tcb.release(bench.now, Release::Graceful);
        bench.tcb.release(bench.now, Release::Abort(ResetReason::Aborted));
        assert!(bench.sent().is_empty(), "{state}");
    }
}

#[test]
fn time_wait_ends_after_2msl_without_a_segment() {
    let mut bench = Bench::in_state(State::TimeWait);
    bench.pass(Duration::from_secs(59));
    assert_eq!(bench.tcb.state(), State::TimeWait);
    assert!(bench.pass(Duration::from_secs(2)).is_empty());
    assert_eq!(bench.tcb.state(), State::Closed);
}
