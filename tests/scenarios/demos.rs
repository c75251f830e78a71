//! Every scenario as `tcplab demo` shows it: it plays to its end, and all that it says is so. A
//! test has the name of its scene; what its checks leave out is looked at in the other files.

use std::process::{Command, Stdio};

use crate::common::{skip, tcplab_path};

/// Plays one scene.
fn play(name: &str) {
    let mut command = Command::new(tcplab_path());
    let output = command.args(["demo", name]).stdin(Stdio::null()).output();
    let output = output.expect("tcplab can be started");
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{errors}");
    let verdicts = |verdict: &str| told.lines().filter(|l| l.starts_with(verdict)).count();
    assert_eq!(verdicts("  NOT SO  "), 0, "{told}");
    if let Some(reason) = told.lines().find_map(|line| line.strip_prefix("  SKIPPED  ")) {
        skip(reason);
        return;
    }
    let sum = format!("\n{} checks passed in ", verdicts("  ok  "));
    assert!(verdicts("  ok  ") > 1 && told.contains(&sum), "{told}");
}

macro_rules! scenes {
    ($($test:ident = $name:literal;)*) => {
        $(#[test]
        fn $test() {
            play($name);
        })*

        const NAMES: &[&str] = &[$($name),*];
    };
}

scenes! {
    three_way_handshake = "three-way-handshake";
    stale_syn = "stale-syn";
    four_way_close = "four-way-close";
    half_close = "half-close";
    simultaneous_close = "simultaneous-close";
    lost_last_ack = "lost-last-ack";
    no_time_wait = "no-time-wait";
    fin_never_acked = "fin-never-acked";
    time_wait_expires = "time-wait-expires";
    late_fin = "late-fin";
    ghost_segment = "ghost-segment";
    ghost_corruption = "ghost-corruption";
    restart_eaddrinuse = "restart-eaddrinuse";
    client_port_locked = "client-port-locked";
    syn_into_last_ack = "syn-into-last-ack";
    port_exhaustion = "port-exhaustion";
    tw_reuse = "tw-reuse";
    tw_buckets = "tw-buckets";
    fin_timeout = "fin-timeout";
    close_wait_leak = "close-wait-leak";
    last_reference = "last-reference";
    flush_before_fin = "flush-before-fin";
    linger = "linger";
    proxy_502 = "proxy-502";
    server_closes_first = "server-closes-first";
    read_write_after = "read-write-after";
}

#[test]
fn every_scene_of_the_list_is_played_here() {
    let output = Command::new(tcplab_path()).args(["demo", "--list"]).output();
    let list = String::from_utf8(output.expect("tcplab can be started").stdout).expect("UTF-8");
    let names: Vec<&str> = list
        .lines()
        .filter_map(|line| line[2..].strip_prefix('S')?.split_whitespace().nth(1))
        .collect();
    assert_eq!(names, NAMES, "{list}");
}
