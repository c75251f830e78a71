//! TIME-WAIT (RFC 9293 3.10.7.4, RFC 1337, RFC 6191; Linux tcp_timewait_state_process).

use super::bench::*;
use crate::tcp::{Config, State, TimeWait, TimeWaitVerdict};
use crate::time::{Duration, Instant};
use crate::wire::{Flags, Header, Options, Segment, SeqNum, Timestamps};

/// After the close of a connection with timestamps: the peer's last was 900.
fn with_timestamps() -> (TimeWait, Instant) {
    let config = Config { mss: 1000, ..Config::default() };
    let options =
        Options { timestamps: Some(Timestamps { val: 900, ecr: 1000 }), ..Options::default() };
    let mut bench = Bench::established_with(config, options);
    bench.tcb.shutdown_write(bench.now);
    bench.sent();
    bench.arrive(FIN_ACK, 1, 2, &[]);
    bench.sent();
    assert_eq!(bench.tcb.state(), State::TimeWait);
    let now = bench.now;
    (bench.tcb.into_time_wait(now), now)
}

fn without_timestamps() -> (TimeWait, Instant) {
    let bench = Bench::in_state(State::TimeWait);
    let now = bench.now;
    (bench.tcb.into_time_wait(now), now)
}

fn judge(
    (time_wait, now): &mut (TimeWait, Instant),
    flags: Flags,
    seq: u32,
    val: Option<u32>,
    rfc1337: bool,
) -> TimeWaitVerdict {
    let timestamps = val.map(|val| Timestamps { val, ecr: 0 });
    let header = Header {
        source_port: 80,
        destination_port: 40000,
        seq: SeqNum(IRS + seq),
        ack: SeqNum(ISS + 2),
        flags,
        window: 100,
        urgent: 0,
        options: Options { timestamps, ..Options::default() },
    };
    *now = *now + Duration::from_secs(1);
    time_wait.handle_segment(*now, &Segment { header, payload: &[] }, rfc1337)
}

#[test]
fn a_retransmitted_fin_is_acknowledged_and_restarts_2msl() {
    let mut state = without_timestamps();
    let before = state.0.expires();
    let TimeWaitVerdict::Ack { header, restart } = judge(&mut state, FIN_ACK, 1, None, false)
    else {
        panic!("an acknowledgment expected");
    };
    assert!(restart);
    assert_eq!((header.flags, header.seq, header.ack), (ACK, SeqNum(ISS + 2), SeqNum(IRS + 2)));
    assert_eq!(state.0.expires().since(before), Duration::from_secs(1));
}

#[test]
fn a_late_segment_of_text_is_acknowledged() {
    let (mut time_wait, now) = without_timestamps();
    let mut header = reset_header();
    header.flags = ACK;
    header.seq = SeqNum(IRS);
    let segment = Segment { header, payload: b"ghost" };
    for _ in 0..3 {
        let verdict = time_wait.handle_segment(now, &segment, false);
        assert!(matches!(verdict, TimeWaitVerdict::Ack { restart: true, .. }));
    }
}

fn reset_header() -> Header {
    Header {
        source_port: 80,
        destination_port: 40000,
        seq: SeqNum(IRS + 2),
        ack: SeqNum(0),
        flags: RST,
        window: 0,
        urgent: 0,
        options: Options::default(),
    }
}

#[test]
fn a_rst_ends_time_wait_unless_tcp_rfc1337_is_set() {
    assert_eq!(judge(&mut without_timestamps(), RST, 2, None, false), TimeWaitVerdict::Delete);
    assert_eq!(judge(&mut without_timestamps(), RST, 2, None, true), TimeWaitVerdict::Drop);
    assert_eq!(judge(&mut without_timestamps(), RST, 77, None, false), TimeWaitVerdict::Drop);
}

#[test]
fn a_bare_acknowledgment_restarts_2msl_without_an_answer() {
    let mut state = without_timestamps();
    let before = state.0.expires();
    assert_eq!(judge(&mut state, ACK, 2, None, false), TimeWaitVerdict::Drop);
    assert!(state.0.expires() > before);
}

#[test]
fn a_later_syn_takes_the_connection_over() {
    let floor = SeqNum(ISS + 2).add(65537);
    let taken = TimeWaitVerdict::NewConnection { iss_floor: floor };
    assert_eq!(judge(&mut without_timestamps(), SYN, 3, None, false), taken);
    // an earlier number with a later timestamp (RFC 6191)
    assert_eq!(judge(&mut with_timestamps(), SYN, 0, Some(901), false), taken);
}

#[test]
fn an_old_syn_is_acknowledged_and_does_not_restart_2msl() {
    for (mut state, seq, val) in
        [(without_timestamps(), 0, None), (with_timestamps(), 0, Some(900))]
    {
        let before = state.0.expires();
        let verdict = judge(&mut state, SYN, seq, val, false);
        assert!(matches!(verdict, TimeWaitVerdict::Ack { restart: false, .. }), "{verdict:?}");
        assert_eq!(state.0.expires(), before);
    }
    // one with an old timestamp is an old duplicate for sure
    let verdict = judge(&mut with_timestamps(), SYN, 9, Some(800), false);
    assert!(matches!(verdict, TimeWaitVerdict::Ack { restart: true, .. }), "{verdict:?}");
}

#[test]
fn reuse_needs_timestamps_and_a_second() {
    let (time_wait, now) = with_timestamps();
    let second = Duration::from_secs(1);
    assert_eq!(time_wait.reusable(now, second), None);
    assert_eq!(time_wait.reusable(now + second, second), Some(SeqNum(ISS + 2).add(65537)));
    let (time_wait, now) = without_timestamps();
    assert_eq!(time_wait.reusable(now + Duration::from_secs(30), second), None);
}

#[test]
fn the_tcb_in_time_wait_behaves_as_the_small_one() {
    let mut bench = Bench::in_state(State::TimeWait);
    bench.pass(Duration::from_secs(50));
    bench.arrive(FIN_ACK, 1, 2, &[]);
    assert_eq!(bench.sent_one().ack(), 2);
    bench.pass(Duration::from_secs(50));
    assert_eq!(bench.tcb.state(), State::TimeWait);
    bench.arrive(SYN, 50, 0, &[]);
    assert_eq!(bench.tcb.state(), State::TimeWait);
    bench.arrive(RST, 2, 0, &[]);
    assert_eq!(bench.tcb.state(), State::Closed);
}

#[test]
fn in_time_wait_one_tick_is_old_already() {
    let verdict = judge(&mut with_timestamps(), SYN, 9, Some(899), false);
    assert!(matches!(verdict, TimeWaitVerdict::Ack { restart: true, .. }), "{verdict:?}");
}

#[test]
fn an_old_syn_is_acknowledged_once_in_tcp_invalid_ratelimit() {
    let (mut time_wait, now) = without_timestamps();
    let header = Header { flags: SYN, seq: SeqNum(IRS), ..reset_header() };
    let mut judge = |ms| {
        let segment = Segment { header, payload: &[] };
        time_wait.handle_segment(now + Duration::from_millis(ms), &segment, false)
    };
    assert!(matches!(judge(0), TimeWaitVerdict::Ack { .. }));
    assert_eq!(judge(499), TimeWaitVerdict::Drop);
    assert!(matches!(judge(500), TimeWaitVerdict::Ack { .. }));
}
