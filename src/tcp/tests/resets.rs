//! RST: who sends it and why, whom it kills, and what the program is told (RFC 9293 3.10.7,
//! RFC 5961).

use super::bench::*;
use crate::ipc::Errno;
use crate::tcp::{Dropped, Event, Release, ResetReason, State};
use crate::time::Duration;

const SYNCHRONIZED: [State; 6] = [
    State::Established,
    State::FinWait1,
    State::FinWait2,
    State::CloseWait,
    State::Closing,
    State::LastAck,
];

/// RCV.NXT of a bench in this state, relative to IRS.
fn next(state: State) -> u32 {
    if matches!(state, State::CloseWait | State::Closing | State::LastAck) { 2 } else { 1 }
}

#[test]
fn a_rst_with_exactly_the_next_sequence_number_resets_with_linux_errno() {
    for state in SYNCHRONIZED {
        let mut bench = Bench::in_state(state);
        bench.arrive(RST, next(state), 0, &[]);
        assert_eq!(bench.tcb.state(), State::Closed);
        let errno = if state == State::CloseWait { Errno::EPIPE } else { Errno::ECONNRESET };
        let events = bench.events();
        assert!(events.contains(&Event::Failed { errno, reason: ResetReason::Peer }), "{state}");
        assert_eq!(events.last(), Some(&Event::Closed));
        assert!(bench.sent().is_empty());
        assert_eq!(bench.tcb.poll_timeout(), None);
    }
}

#[test]
fn a_rst_elsewhere_in_the_window_is_challenged_and_one_outside_is_dropped() {
    for state in SYNCHRONIZED {
        let mut bench = Bench::in_state(state);
        bench.arrive(RST, next(state) + 100, 0, &[]);
        assert_eq!(bench.sent_one().flags(), ACK, "{state}");
        assert_eq!(bench.tcb.state(), state);
        bench.now = bench.now + Duration::from_secs(2);
        bench.arrive(RST, 2_000_000, 0, &[]);
        assert!(bench.sent().is_empty());
        assert_eq!(bench.tcb.state(), state);
    }
}

/// Linux: tcp_reset_check.
#[test]
fn a_rst_from_before_the_peers_fin_resets_once_that_is_reached() {
    for state in SYNCHRONIZED {
        let mut bench = Bench::in_state(state);
        bench.arrive(RST, next(state) - 1, 0, &[]);
        assert!(bench.sent().is_empty());
        let left = if next(state) == 2 { State::Closed } else { state };
        assert_eq!(bench.tcb.state(), left);
    }
}

#[test]
fn a_syn_in_a_synchronized_state_is_challenged_whatever_its_number() {
    for state in SYNCHRONIZED {
        for seq in [0, next(state), next(state) + 9, 3_000_000] {
            let mut bench = Bench::in_state(state);
            bench.arrive(SYN, seq, 0, &[]);
            let out = bench.sent_one();
            assert_eq!((out.flags(), out.ack()), (ACK, next(state)), "{state} {seq}");
            assert_eq!(bench.tcb.state(), state);
        }
    }
}

/// RFC 5961 4.2.
#[test]
fn a_syn_before_the_window_whose_text_reaches_into_it_is_challenged() {
    for state in SYNCHRONIZED {
        for flags in [SYN, SYN_ACK] {
            let mut bench = Bench::in_state(state);
            bench.arrive(flags, next(state) - 1, 1, b"text");
            assert_eq!(bench.sent_one().ack(), next(state), "{state}");
            assert!(bench.read().is_empty());
            let challenged =
                |event: &Event| matches!(event, Event::Dropped { why: Dropped::Challenged, .. });
            assert!(bench.events().iter().any(challenged));
        }
    }
}

#[test]
fn challenge_acks_are_limited() {
    let mut bench = Bench::established();
    for _ in 0..10 {
        bench.arrive(RST, 100, 0, &[]);
    }
    assert_eq!(bench.sent().len(), 1);
    bench.arrive(SYN, 100, 0, &[]);
    assert!(bench.sent().is_empty());
    bench.now = bench.now + Duration::from_millis(500);
    bench.arrive(SYN, 100, 0, &[]);
    assert_eq!(bench.sent().len(), 1);
    bench.tcb.config_mut().challenge_ack_limit = 0;
    bench.now = bench.now + Duration::from_secs(500);
    bench.arrive(SYN, 100, 0, &[]);
    assert!(bench.sent().is_empty());
}

#[test]
fn a_reset_leaves_queued_octets_readable() {
    let mut bench = Bench::established();
    bench.arrive(ACK, 1, 1, b"tail");
    bench.arrive(RST, 5, 0, &[]);
    assert_eq!(bench.tcb.state(), State::Closed);
    assert_eq!(bench.tcb.queues().recv, 4);
    assert_eq!(bench.read(), b"tail");
}

#[test]
fn text_after_the_program_has_closed_is_reset() {
    for state in [State::FinWait1, State::FinWait2] {
        let mut bench = Bench::in_state(state);
        bench.tcb.release(bench.now, Release::Graceful);
        bench.sent();
        bench.events();
        bench.arrive(ACK, 1, 2, b"anybody there?");
        let rst = bench.sent_one();
        assert_eq!((rst.flags(), rst.seq()), (RST, 2), "{state}");
        assert_eq!(rst.reset, Some(ResetReason::DataAfterClose));
        assert_eq!(bench.tcb.state(), State::Closed);
    }
}

#[test]
fn text_after_shutdown_of_writing_only_is_received() {
    let mut bench = Bench::in_state(State::FinWait2);
    bench.arrive(ACK, 1, 2, b"more");
    assert_eq!(bench.read(), b"more");
    bench.tcb.shutdown_read();
    bench.arrive(ACK, 5, 2, b"more");
    assert_eq!(bench.sent().last().unwrap().reset, Some(ResetReason::DataAfterClose));
}

#[test]
fn a_close_with_unread_octets_is_a_reset() {
    for state in [State::Established, State::FinWait2] {
        let mut bench = Bench::in_state(state);
        let acked = if state == State::FinWait2 { 2 } else { 1 };
        bench.arrive(ACK, 1, acked, b"unread");
        bench.sent();
        bench.tcb.release(bench.now, Release::Graceful);
        let rst = bench.sent_one();
        assert_eq!((rst.flags(), rst.seq(), rst.ack()), (RST_ACK, acked, 7));
        assert_eq!(rst.reset, Some(ResetReason::UnreadData));
        assert_eq!(bench.tcb.state(), State::Closed);
    }
}

/// Linux: __tcp_close, whatever the state.
#[test]
fn a_close_with_unread_octets_is_a_reset_after_both_fins_too() {
    for state in [State::Closing, State::LastAck] {
        let mut bench = Bench::established();
        bench.arrive(ACK, 1, 1, b"unread");
        if state == State::Closing {
            bench.tcb.shutdown_write(bench.now);
            bench.sent();
        }
        bench.arrive(FIN_ACK, 7, 1, &[]);
        bench.tcb.shutdown_write(bench.now);
        bench.sent();
        assert_eq!(bench.tcb.state(), state);
        bench.tcb.release(bench.now, Release::Graceful);
        let rst = bench.sent_one();
        assert_eq!((rst.flags(), rst.seq(), rst.ack()), (RST_ACK, 2, 8), "{state}");
        assert_eq!(rst.reset, Some(ResetReason::UnreadData));
        assert_eq!(bench.tcb.state(), State::Closed);
    }
}

#[test]
fn abort_sends_a_rst_where_the_rfc_says_so_and_none_elsewhere() {
    for state in State::ALL.into_iter().filter(|state| *state != State::Listen) {
        let mut bench = Bench::in_state(state);
        bench.tcb.release(bench.now, Release::Abort(ResetReason::LingerZero));
        let resets: Vec<_> = bench.sent().iter().filter_map(|out| out.reset).collect();
        let expected = matches!(
            state,
            State::SynReceived
                | State::Established
                | State::FinWait1
                | State::FinWait2
                | State::CloseWait
        );
        assert_eq!(resets.len(), usize::from(expected), "{state}");
        let left = if state == State::TimeWait { State::TimeWait } else { State::Closed };
        assert_eq!(bench.tcb.state(), left);
    }
}

#[test]
fn a_rst_that_aborts_has_the_next_sequence_number_and_the_peer_accepts_it() {
    let mut bench = Bench::established();
    bench.tcb.send(bench.now, b"abc");
    bench.sent();
    bench.tcb.send(bench.now, b"never sent: Nagle");
    bench.tcb.release(bench.now, Release::Abort(ResetReason::LingerZero));
    let rst = bench.sent_one();
    assert_eq!((rst.seq(), rst.ack()), (4, 1));
}

#[test]
fn an_ack_of_something_not_yet_sent_is_answered_with_an_ack() {
    for state in SYNCHRONIZED {
        let mut bench = Bench::in_state(state);
        bench.arrive(ACK, next(state), 9999, &[]);
        assert_eq!(bench.sent_one().flags(), ACK, "{state}");
        assert_eq!(bench.tcb.state(), state);
    }
}

#[test]
fn an_ack_older_than_the_largest_window_is_challenged_and_its_text_dropped() {
    let mut bench = Bench::established();
    let too_old = 0u32.wrapping_sub(u32::from(WINDOW) + 5);
    bench.arrive(ACK, 1, too_old, b"forged");
    assert_eq!(bench.sent_one().ack(), 1);
    assert!(bench.read().is_empty());
}

#[test]
fn a_segment_without_ack_is_dropped_in_every_synchronized_state() {
    for state in SYNCHRONIZED {
        let mut bench = Bench::in_state(state);
        bench.arrive(FIN, next(state), 0, b"text");
        assert!(bench.sent().is_empty(), "{state}");
        assert!(bench.read().is_empty());
        assert_eq!(bench.tcb.state(), state);
    }
}

#[test]
fn a_rst_in_passive_syn_received_ends_it() {
    let mut bench = Bench::in_state(State::SynReceived);
    bench.arrive(RST, 1, 0, &[]);
    assert_eq!(bench.tcb.state(), State::Closed);
    assert!(bench.sent().is_empty());
}

#[test]
fn nothing_happens_after_the_end() {
    let mut bench = Bench::in_state(State::Closed);
    bench.arrive(ACK, 1, 1, b"hello");
    bench.arrive(SYN, 0, 0, &[]);
    bench.tcb.shutdown_write(bench.now);
    assert_eq!(bench.tcb.send(bench.now, b"x"), 0);
    let only_dropped = |event: &Event| matches!(event, Event::Dropped { why: Dropped::Over, .. });
    assert!(bench.sent().is_empty() && bench.read().is_empty());
    assert!(bench.events().iter().all(only_dropped));
    assert_eq!(bench.tcb.poll_timeout(), None);
}
