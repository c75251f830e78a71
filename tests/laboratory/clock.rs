//! `tcplab clock`: what takes minutes and hours of TCP's time takes milliseconds of ours. No test
//! here waits for time to pass.

use std::time::Duration;

use serde::Deserialize;

use crate::common::{Session, wait_for};
use crate::ground::Ground;

/// Most that may pass by itself in a test; less than what the clock is put forward by.
const A_LITTLE: Duration = Duration::from_secs(20);

/// What `tcplab clock --json` tells.
#[derive(Deserialize, Debug)]
struct Clock {
    time_ns: u64,
    real_ns: u64,
    scale: String,
    paused: bool,
    behind_ns: u64,
    next_timer_ns: Option<u64>,
}

impl Clock {
    fn time(&self) -> Duration {
        Duration::from_nanos(self.time_ns)
    }

    fn real(&self) -> Duration {
        Duration::from_nanos(self.real_ns)
    }
}

fn ground(sysctls: &[(&str, &str)]) -> Ground {
    Ground::Shim(Session::traced(sysctls))
}

fn session(ground: &Ground) -> &Session {
    ground.session().expect("the ground is the shim's")
}

fn clock(ground: &Ground, words: &[&str]) -> Clock {
    let line = ["clock"].into_iter().chain(words.iter().copied()).chain(["--json"]);
    let text = session(ground).tcplab(line);
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("clock --json: {e}: {text}"))
}

fn count(ground: &Ground, state: &str) -> usize {
    ground.in_state(state).len()
}

#[test]
fn time_wait_is_over_after_60_seconds_and_not_before() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    pair.server.call("close s", "0");
    pair.reach("TIME-WAIT", "gone");
    clock(&ground, &["pause"]);
    // What has passed by itself since is in the timer that `ss` shows.
    let left = pair.client_end().unwrap().row.timer.unwrap().left_ms;
    assert!(left > 60_000 - 20_000, "{left}");
    clock(&ground, &["advance", &format!("{}ms", left - 1)]);
    assert_eq!(count(&ground, "TIME-WAIT"), 1);
    clock(&ground, &["advance", "2ms"]);
    assert_eq!(count(&ground, "TIME-WAIT"), 0);
}

#[test]
fn fin_wait_2_of_an_orphan_is_over_after_tcp_fin_timeout() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    pair.client.call("close c", "0");
    pair.reach("FIN-WAIT-2", "CLOSE-WAIT");
    clock(&ground, &["advance", "60s"]);
    pair.reach("gone", "CLOSE-WAIT");
}

/// A connect() that nobody answers: the listener's accept queue is full, so it drops every SYN.
#[test]
fn a_connect_times_out_after_its_last_syn_each_sent_at_its_own_time() {
    let ground = ground(&[]);
    clock(&ground, &["pause"]);
    let (mut server, mut client) = (ground.actor(), ground.actor());
    server.calls(&[("socket l", "0"), ("bind l 127.0.0.1:0", "0"), ("listen l 0", "0")]);
    let at = server.name("l");
    client.calls(&[("socket a", "0"), (&format!("connect a {at}"), "0"), ("socket c", "0")]);
    client.begin(&format!("connect c {at}"));
    wait_for("the SYN", || count(&ground, "SYN-SENT") == 1);
    let sent = || {
        let timer = ground.in_state("SYN-SENT").pop()?.row.timer?;
        Some((timer.count, timer.left_ms))
    };
    // Four at intervals of a second (tcp_syn_linear_timeouts), then with back-off.
    let mut seen = vec![sent().unwrap()];
    while let Some(left) = clock(&ground, &[]).next_timer_ns {
        clock(&ground, &["advance", &format!("{left}ns")]);
        match sent() {
            Some(now) => seen.push(now),
            None => break,
        }
    }
    // Timers of others end, too.
    seen.dedup_by_key(|(count, _)| *count);
    let expected = [1, 1, 1, 1, 1, 2, 4, 8, 16, 32, 64];
    let expected = expected.iter().enumerate().map(|(n, s)| (u32::try_from(n).unwrap(), s * 1000));
    assert_eq!(seen, expected.collect::<Vec<_>>());
    client.returns("ETIMEDOUT");
}

#[test]
fn one_long_advance_plays_what_a_long_wait_would() {
    let ground = ground(&[]);
    let (mut server, mut client) = (ground.actor(), ground.actor());
    server.calls(&[("socket l", "0"), ("bind l 127.0.0.1:0", "0"), ("listen l 0", "0")]);
    let at = server.name("l");
    client.calls(&[("socket a", "0"), (&format!("connect a {at}"), "0"), ("socket c", "0")]);
    client.begin(&format!("connect c {at}"));
    wait_for("the SYN", || count(&ground, "SYN-SENT") == 1);
    clock(&ground, &["advance", "50s"]);
    let row = ground.in_state("SYN-SENT").pop().expect("it still tries").row;
    // Sent again after 1, 2, 3, 4, 5, 7, 11, 19, 35 seconds; next after 67.
    let timer = row.timer.expect("it waits");
    assert_eq!(timer.count, 9, "{timer:?}");
    // The accept queue has room again: that SYN is heard, and nobody has waited for it.
    server.call("accept l s", "0");
    clock(&ground, &["advance", "17s"]);
    client.returns("0");
    server.call("accept l s2", "0");
}

#[test]
fn an_idle_connection_is_probed_after_two_hours_and_lives() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    pair.client.call("keepalive c", "0");
    let before = ground.counter("TcpOutSegs");
    clock(&ground, &["advance", "1h59m"]);
    assert_eq!(ground.counter("TcpOutSegs"), before);
    clock(&ground, &["advance", "2m"]);
    assert_eq!(ground.counter("TcpOutSegs"), before + 2, "a probe and its answer");
    clock(&ground, &["advance", "20h"]);
    assert_eq!(ground.counter("TcpOutSegs"), before + 22, "one every two hours");
    pair.client.call("write c abc", "3");
    pair.server.call("read s", "3 abc");
}

/// 7200 s of silence, then nine probes 75 s apart that nobody answers.
#[test]
fn a_dead_peer_is_noticed_by_keep_alive_after_2_h_11_min_15_s() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    pair.client.call("keepalive c", "0");
    clock(&ground, &["pause"]);
    session(&ground).tcplab(["netem", "add", "loss", "100%"]);
    let heard = pair.client_end().unwrap().row.timer.unwrap().left_ms;
    clock(&ground, &["advance", &format!("{}ms", heard + 9 * 75_000 - 10)]);
    pair.reach("ESTAB", "ESTAB");
    clock(&ground, &["advance", "20ms"]);
    pair.reach("gone", "ESTAB");
    pair.client.call("read c", "ETIMEDOUT");
}

/// The well-known 924.6 s of tcp_retries2 = 15, and the last back-off of them.
#[test]
fn a_peer_that_acknowledges_nothing_is_given_up_after_tcp_retries2() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    session(&ground).tcplab(["netem", "add", "loss", "100%"]);
    pair.client.call("write c abc", "3");
    clock(&ground, &["advance", "15m"]);
    pair.reach("ESTAB", "ESTAB");
    clock(&ground, &["advance", "150s"]);
    pair.reach("gone", "ESTAB");
    pair.client.call("read c", "ETIMEDOUT");
}

/// What is under way on a slow link arrives on the way, and is answered there.
#[test]
fn an_advance_carries_segments_over_a_slow_link() {
    let ground = ground(&[]);
    let (mut server, mut client) = (ground.actor(), ground.actor());
    let at = server.listen();
    clock(&ground, &["pause"]);
    session(&ground).tcplab(["netem", "add", "delay", "10s"]);
    client.call("socket c", "0");
    client.begin(&format!("connect c {at}"));
    wait_for("the SYN", || count(&ground, "SYN-SENT") == 1);
    clock(&ground, &["advance", "19s"]);
    assert_eq!(count(&ground, "SYN-SENT"), 1);
    // tc rounds delays to ticks, and so does netem here.
    clock(&ground, &["advance", "1001ms"]);
    client.returns("0");
    clock(&ground, &["advance", "10s"]);
    server.call("accept l s", "0");
}

#[test]
fn close_with_so_linger_waits_in_stack_time() {
    let ground = ground(&[]);
    let mut pair = crate::actor::Pair::with_small_buffers(&ground);
    pair.client.call("linger c 1 30", "0");
    // More than the receiver takes, which does not read.
    pair.client.call("rcvbuf c 65536", "0");
    assert_ne!(pair.client.ask("write_what_fits c 4000000"), "0");
    pair.client.begin("close c");
    pair.reach("FIN-WAIT-1", "ESTAB");
    assert!(pair.client.blocks_for(Duration::from_millis(20)));
    clock(&ground, &["advance", "30s"]);
    pair.client.returns("0");
    pair.reach("FIN-WAIT-1", "ESTAB");
}

/// The window of a receiver that does not read is probed for as long as it answers, unless the
/// program has said how long it is patient.
#[test]
fn tcp_user_timeout_ends_a_connection_whose_peer_takes_nothing() {
    let ground = ground(&[]);
    let mut pair = crate::actor::Pair::with_small_buffers(&ground);
    pair.client.call("user_timeout_ms c 90000", "0");
    assert_ne!(pair.client.ask("write_what_fits c 4000000"), "0");
    clock(&ground, &["advance", "60s"]);
    pair.reach("ESTAB", "ESTAB");
    clock(&ground, &["advance", "5m"]);
    pair.reach("gone", "ESTAB");
    pair.client.call("write c abc", "ETIMEDOUT");
}

#[test]
fn a_paused_clock_lets_segments_flow_and_no_timer_run() {
    let ground = ground(&[("net.tcplab.tcp_msl_ms", "1")]);
    let paused = clock(&ground, &["pause"]);
    assert!(paused.paused);
    let mut pair = ground.pair();
    pair.client.call("write c abc", "3");
    pair.server.calls(&[("read s", "3 abc"), ("write s defg", "4"), ("close s", "0")]);
    pair.client.calls(&[("read c", "4 defg"), ("read c", "0"), ("close c", "0")]);
    pair.reach("gone", "TIME-WAIT");
    let later = clock(&ground, &[]);
    assert_eq!(later.time_ns, paused.time_ns);
    assert!(later.real_ns > paused.real_ns);
    // 2 ms of TIME-WAIT are over in an instant when time passes again.
    clock(&ground, &["resume"]);
    pair.reach("gone", "gone");
}

#[test]
fn a_scaled_clock_runs_as_much_faster() {
    let ground = ground(&[]);
    let before = clock(&ground, &["scale", "1000x"]);
    assert_eq!(before.scale, "1000x");
    let mut pair = ground.pair();
    pair.client.call("close c", "0");
    pair.server.call("close s", "0");
    // A minute of TIME-WAIT.
    pair.reach("gone", "gone");
    let after = clock(&ground, &[]);
    let (time, real) = (after.time() - before.time(), after.real() - before.real());
    assert!(time >= Duration::from_secs(60) && time <= real * 1001, "{time:?} in {real:?}");
    let slow = clock(&ground, &["scale", "0.001x"]);
    let later = clock(&ground, &[]);
    let (time, real) = (later.time() - slow.time(), later.real() - slow.real());
    assert!(time <= real / 500, "{time:?} in {real:?}");
}

#[test]
fn run_sets_the_scale_first() {
    let session = Session::new();
    let ground = Ground::Shim(session);
    let run = session_run(&ground, &["run", "--clock-scale", "0.25x", "--", "true"]);
    assert!(run.status.success(), "{run:?}");
    assert_eq!(clock(&ground, &[]).scale, "0.25x");
}

fn session_run(ground: &Ground, line: &[&str]) -> std::process::Output {
    session(ground).try_tcplab(line.iter().copied())
}

#[test]
fn an_advance_of_a_year_is_done_when_the_command_returns() {
    let ground = ground(&[]);
    let mut pair = ground.pair();
    pair.client.call("keepalive c", "0");
    pair.server.call("keepalive s", "0");
    let before = clock(&ground, &[]);
    let after = clock(&ground, &["advance", "365d"]);
    assert_eq!(after.behind_ns, 0);
    let passed = after.time() - before.time();
    assert!(passed >= Duration::from_secs(365 * 24 * 3600), "{passed:?}");
    assert!(passed <= Duration::from_secs(365 * 24 * 3600) + A_LITTLE, "{passed:?}");
    // Each end probes when two hours of silence are over: the answer to the other's is none.
    assert!(ground.counter("TcpOutSegs") > 2 * 12 * 365);
    pair.client.call("write c abc", "3");
    pair.server.call("read s", "3 abc");
}

#[test]
fn what_the_clock_cannot_do_is_answered_with_what_it_can() {
    let ground = ground(&[]);
    for (line, sentence) in [
        (["clock", "advance", "60"], "write 500ms, 60s, 1m30s or 2h"),
        (["clock", "advance", "400d"], "advance at most 366d at a time"),
        (["clock", "scale", "2000x"], "from 1/1000x to 1000x"),
    ] {
        let output = session_run(&ground, &line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{line:?}: {said}");
        assert!(said.contains(sentence), "{line:?}: {said}");
    }
    let nobody = Session::new();
    let output = nobody.try_tcplab(["clock", "advance", "1s"]);
    assert_eq!(output.status.code(), Some(1));
}
