//! Timers (RFC 6298, RFC 9293 3.8.1, 3.8.3, 3.8.4, 3.10.8; Linux's limits).

use super::bench::*;
use crate::ipc::Errno;
use crate::tcp::{Event, KeepAlive, Release, ResetReason, State};
use crate::time::Duration;

fn timed_out(bench: &mut Bench) -> bool {
    let failed = Event::Failed { errno: Errno::ETIMEDOUT, reason: ResetReason::Timeout };
    bench.events().contains(&failed)
}

/// ESTABLISHED with a measured round trip of about nothing: RTO 200 ms.
fn measured() -> Bench {
    let mut bench = Bench::established();
    assert_eq!(bench.tcb.info(bench.now).rto, Duration::from_millis(200));
    bench.events();
    bench
}

#[test]
fn retransmissions_back_off_exponentially() {
    let mut bench = measured();
    bench.tcb.send(bench.now, b"hello?");
    bench.sent();
    let sent = bench.pass_ms(7000);
    let times: Vec<u64> = sent.iter().map(|(ms, _)| *ms).collect();
    assert_eq!(times, [200, 600, 1400, 3000, 6200]);
    assert!(sent.iter().all(|(_, out)| out.text == b"hello?" && out.seq() == 1));
    assert_eq!(bench.tcb.info(bench.now).retransmits, 5);
    assert_eq!(bench.tcb.info(bench.now).timer.unwrap().name, "on");
}

#[test]
fn tcp_retries2_gives_up_with_etimedout() {
    let mut bench = measured();
    bench.tcb.send(bench.now, b"hello?");
    bench.sent();
    let opened = bench.now;
    let sent = bench.pass(Duration::from_secs(7200));
    assert!(timed_out(&mut bench));
    let lasted = bench.tcb.entered().since(opened).as_secs_f64();
    // the well-known 924.6 s after the first retransmission, at the next time-out
    assert!((924.0..1050.0).contains(&lasted), "{lasted}");
    assert_eq!(sent.len(), 16);
    assert!(sent.iter().all(|(_, out)| out.reset.is_none()));
}

#[test]
fn tcp_user_timeout_ends_retransmission_on_time() {
    let mut bench = measured();
    bench.tcb.config_mut().user_timeout = Some(Duration::from_secs(5));
    bench.tcb.send(bench.now, b"hello?");
    bench.sent();
    let opened = bench.now;
    bench.pass(Duration::from_secs(100));
    assert!(timed_out(&mut bench));
    let lasted = bench.tcb.entered().since(opened);
    assert_eq!(lasted, Duration::from_millis(5200));
}

#[test]
fn a_peer_that_shrinks_its_window_to_zero_and_answers_is_not_given_up() {
    let mut bench = measured();
    bench.tcb.send(bench.now, b"hello?");
    bench.sent();
    bench.window = 0;
    for _ in 0..100 {
        bench.pass(Duration::from_secs(60));
        bench.arrive(ACK, 1, 1, &[]);
    }
    assert_eq!(bench.tcb.state(), State::Established);
    bench.pass(Duration::from_secs(1000));
    assert_eq!(bench.tcb.state(), State::Closed);
}

#[test]
fn tcp_user_timeout_ends_probing_on_time() {
    let mut bench = measured();
    bench.tcb.config_mut().user_timeout = Some(Duration::from_secs(5));
    bench.window = 0;
    bench.arrive(ACK, 1, 1, &[]);
    bench.tcb.send(bench.now, b"waiting");
    bench.sent();
    let opened = bench.now;
    bench.pass(Duration::from_secs(100));
    assert!(timed_out(&mut bench));
    assert_eq!(bench.tcb.entered().since(opened), Duration::from_millis(5200));
}

#[test]
fn the_retransmission_timer_restarts_with_new_acknowledgments_and_stops_with_the_last() {
    let mut bench = measured();
    bench.tcb.config_mut().nodelay = true;
    bench.tcb.send(bench.now, b"a");
    bench.sent();
    bench.tcb.send(bench.now, b"b");
    bench.sent();
    bench.pass_ms(150);
    bench.arrive(ACK, 1, 2, &[]);
    assert!(bench.pass_ms(150).is_empty());
    bench.arrive(ACK, 1, 3, &[]);
    assert_eq!(bench.tcb.poll_timeout(), None);
}

#[test]
fn karn_a_retransmitted_segment_gives_no_sample_and_back_off_stays() {
    let mut bench = measured();
    bench.tcb.send(bench.now, b"slow");
    bench.sent();
    bench.pass_ms(700);
    let before = bench.tcb.info(bench.now);
    assert_eq!(before.backoff, 2);
    bench.arrive(ACK, 1, 5, &[]);
    let after = bench.tcb.info(bench.now);
    assert_eq!((after.srtt, after.backoff), (before.srtt, 2));
    bench.tcb.send(bench.now, b"fast");
    bench.sent();
    bench.arrive(ACK, 1, 9, &[]);
    assert_eq!(bench.tcb.info(bench.now).backoff, 0);
}

#[test]
fn after_a_timeout_all_is_sent_again_in_slow_start() {
    let mut bench = measured();
    bench.tcb.send(bench.now, &[1; 5000]);
    assert_eq!(bench.sent().len(), 5);
    let sent = bench.pass_ms(200);
    assert_eq!(sent.iter().map(|(_, out)| out.seq()).collect::<Vec<_>>(), [1]);
    bench.arrive(ACK, 1, 1001, &[]);
    assert_eq!(bench.sent().iter().map(Out::seq).collect::<Vec<_>>(), [1001, 2001]);
    bench.arrive(ACK, 1, 5001, &[]);
    assert!(bench.sent().is_empty());
    assert_eq!(bench.tcb.queues().send, 0);
}

#[test]
fn keep_alive_probes_after_silence_and_gives_up_with_a_reset() {
    let mut bench = Bench::established();
    assert_eq!(bench.tcb.poll_timeout(), None, "off unless asked for");
    let keepalive =
        KeepAlive { idle: Duration::from_secs(60), interval: Duration::from_secs(10), probes: 3 };
    bench.tcb.config_mut().keepalive = Some(keepalive);
    let sent = bench.pass(Duration::from_secs(75));
    let seen: Vec<_> =
        sent.iter().map(|(ms, out)| (ms / 1000, out.seq(), out.text.len())).collect();
    assert_eq!(seen, [(60, 0, 0), (70, 0, 0)]);
    assert_eq!(bench.tcb.info(bench.now).timer.unwrap().name, "keepalive");
    // an answer starts it afresh
    bench.arrive(ACK, 1, 1, &[]);
    let sent = bench.pass(Duration::from_secs(200));
    let seconds: Vec<u64> = sent.iter().map(|(ms, _)| ms / 1000).collect();
    assert_eq!(seconds, [60, 70, 80, 90]);
    assert_eq!(sent[3].1.reset, Some(ResetReason::Timeout));
    assert!(timed_out(&mut bench));
}

#[test]
fn keep_alive_waits_while_octets_are_unacknowledged() {
    let mut bench = measured();
    let keepalive =
        KeepAlive { idle: Duration::from_secs(1), interval: Duration::from_secs(1), probes: 1 };
    bench.tcb.config_mut().keepalive = Some(keepalive);
    bench.tcb.send(bench.now, b"x");
    bench.sent();
    bench.pass(Duration::from_secs(20));
    assert_eq!(bench.tcb.state(), State::Established);
}

#[test]
fn no_timer_runs_on_an_idle_connection() {
    for state in [State::Established, State::CloseWait, State::FinWait2, State::Closed] {
        assert_eq!(Bench::in_state(state).tcb.poll_timeout(), None, "{state}");
    }
}

#[test]
fn an_orphan_with_a_closed_window_is_given_up() {
    let mut bench = measured();
    bench.window = 0;
    bench.arrive(ACK, 1, 1, &[]);
    bench.tcb.send(bench.now, b"never wanted");
    bench.tcb.release(bench.now, Release::Graceful);
    bench.sent();
    bench.pass(Duration::from_secs(3600));
    assert_eq!(bench.tcb.state(), State::Closed);
}

/// Linux: tcp_probe_timer. Answers keep a probing connection alive (MUST-37) only while a program
/// holds it.
#[test]
fn an_orphan_is_given_up_also_where_a_closed_window_answers_probes() {
    for (orphan_retries, held, ends) in [(0, false, true), (3, false, true), (3, true, false)] {
        let mut bench = measured();
        bench.tcb.config_mut().orphan_retries = orphan_retries;
        bench.window = 0;
        bench.arrive(ACK, 1, 1, &[]);
        bench.tcb.send(bench.now, b"never wanted");
        if !held {
            bench.tcb.release(bench.now, Release::Graceful);
        }
        bench.sent();
        for _ in 0..100 {
            let Some(at) = bench.tcb.poll_timeout() else { break };
            bench.now = at;
            bench.tcb.handle_timeout(at);
            bench.sent();
            bench.arrive(ACK, 1, 1, &[]);
            bench.sent();
        }
        assert_eq!(bench.tcb.state() == State::Closed, ends, "{orphan_retries} {held}");
    }
}
