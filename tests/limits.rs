//! Many connections, short connections, programs and stacks killed in the middle: nothing leaks in
//! the stack, and no program hangs.
//!
//! With `TCPLAB_NATIVE=1` the scenarios that need no stack run on the kernel's TCP.
//!
//! Deliberately nothing about speed: that is for `cargo bench`.

mod common;
#[path = "programs/ground.rs"]
mod ground;
#[path = "programs/kernel_tcp.rs"]
mod kernel_tcp;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use common::{Program, Session, compile, describe, wait_for};
use ground::{Ground, Port, finish};
use tcplab::inspect::Status;

/// What a stack may keep of 20,000 connections, KiB: less than 210 octets of each.
const KEPT_KIB: u64 = 4 * 1024;
/// A program whose stack is dead hears of it at once; this much is for a busy machine.
const HEARING_LIMIT: Duration = Duration::from_secs(5);

/// What must come back to what it was.
#[derive(Debug, PartialEq, Eq)]
struct Held {
    sockets: u64,
    tcbs: u64,
    orphans: u64,
    time_wait: u64,
    ports: u64,
    descriptors: u64,
    buffered: u64,
}

impl From<Status> for Held {
    fn from(status: Status) -> Held {
        Held {
            sockets: status.sockets,
            tcbs: status.tcbs,
            orphans: status.orphans,
            time_wait: status.time_wait,
            ports: status.ports,
            descriptors: status.descriptors,
            buffered: status.buffered,
        }
    }
}

/// What the stack holds now; `None` on the kernel, of which nothing is asked.
fn held(ground: &Ground) -> Option<Held> {
    ground.status().map(Held::from)
}

/// Waits until the stack holds what it held at `base`.
fn wait_for_base(ground: &Ground, base: &Option<Held>) {
    let limit = std::time::Instant::now() + common::DEADLINE;
    while held(ground) != *base {
        let now = held(ground);
        assert!(std::time::Instant::now() < limit, "leaked: at first {base:?}, now {now:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn helper(name: &str) -> PathBuf {
    compile(&format!("tests/programs/{name}.c"), &[])
}

/// An echo server with as many descriptors as this user may have.
fn serve_echo(ground: &Ground, port: &Port) -> Program {
    let server = compile("examples/epoll_server.c", &[]);
    let server = server.to_str().expect("the target directory's path is UTF-8");
    let raise = "ulimit -n \"$(ulimit -H -n)\"; exec \"$@\"";
    ground.serve(port, "sh", ["-c", raise, "sh", server, &port.to_string()])
}

/// Makes `count` short connections, each closed by `how`.
fn churn(ground: &Ground, port: &Port, count: u32, how: &str) {
    let said = ground.run(helper("churn"), [&port.to_string(), &count.to_string(), how]);
    assert_eq!(said, format!("{count} connections\n"));
}

/// What the stack holds for a server that has served one connection and holds its listener only.
fn base_of_a_server(ground: &Ground, port: &Port) -> Option<Held> {
    churn(ground, port, 1, "reset");
    wait_for("the server to close its end", || held(ground).is_none_or(|now| now.sockets == 1));
    held(ground)
}

#[test]
fn a_thousand_connections_at_once() {
    const COUNT: u64 = 1000;
    let ground = Ground::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
    let port = ground.port();
    let _server = serve_echo(&ground, &port);
    let base = base_of_a_server(&ground, &port);

    let mut crowd = ground.spawn(helper("crowd"), [port.to_string(), COUNT.to_string()]);
    wait_for("every connection to echo", || crowd.output().contains("connected"));
    if let (Some(base), Some(now)) = (&base, held(&ground)) {
        assert_eq!(now.sockets, base.sockets + 2 * COUNT, "both ends of each");
        assert_eq!(now.tcbs, base.tcbs + 2 * COUNT, "both ends of each");
    }
    crowd.signal(libc::SIGTERM);
    finish("crowd", &mut crowd);

    wait_for_base(&ground, &base);
}

/// 20,000 connections one after another leave nothing behind.
fn short_connections(how: &str, sysctls: &[(&str, &str)]) {
    let ground = Ground::with_sysctls(sysctls);
    let port = ground.port();
    let _server = serve_echo(&ground, &port);
    churn(&ground, &port, 2_000, how);
    // What 2,000 connections left in TIME-WAIT goes first.
    if let Ground::Shim(session) = &ground {
        wait_for("TIME-WAIT to end", || session.status().time_wait == 0);
    }
    let (base, base_kib) = (held(&ground), ground.status().map(|s| s.resident_kib));

    churn(&ground, &port, 20_000, how);

    wait_for_base(&ground, &base);
    let kib = ground.status().map(|s| s.resident_kib);
    assert!(kib <= base_kib.map(|k| k + KEPT_KIB), "resident KiB: {base_kib:?}, then {kib:?}");
}

#[test]
fn twenty_thousand_short_connections_ended_by_reset() {
    short_connections("reset", &[]);
}

#[test]
fn twenty_thousand_short_connections_through_a_short_time_wait() {
    short_connections("fin", &[("net.tcplab.tcp_msl_ms", "50")]);
}

/// A client that has an echo going round without end.
fn start_pump(ground: &Ground, port: &Port) -> Program {
    let pump = ground.spawn(helper("pump"), [port.to_string()]);
    wait_for("some MiB to go round", || pump.output().contains("pumping"));
    pump
}

#[test]
fn a_server_killed_in_mid_transfer_leaves_nothing() {
    let ground = Ground::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
    let port = ground.port();
    let base = held(&ground);
    let mut server = serve_echo(&ground, &port);
    let mut pump = start_pump(&ground, &port);

    server.signal(libc::SIGKILL);
    server.wait(HEARING_LIMIT);

    let said = finish("pump", &mut pump);
    let ends = ["pumping\nend\n", "pumping\nECONNRESET\n", "pumping\nEPIPE\n"];
    assert!(ends.contains(&said.as_str()), "the client saw {said:?}");
    wait_for_base(&ground, &base);
}

#[test]
fn a_client_killed_in_mid_transfer_leaves_nothing() {
    let ground = Ground::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
    let port = ground.port();
    let _server = serve_echo(&ground, &port);
    let base = base_of_a_server(&ground, &port);
    let mut pump = start_pump(&ground, &port);

    pump.signal(libc::SIGKILL);
    pump.wait(HEARING_LIMIT);

    wait_for_base(&ground, &base);
    churn(&ground, &port, 1, "reset");
}

/// Sends SIGKILL to the stack.
fn kill_stack(session: &Session) -> u32 {
    let pid = session.status().pid;
    // SAFETY: kill() has no memory effects; the stack of this test's own session has just answered.
    unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) };
    pid
}

/// Whether a process waits in the kernel.
fn sleeps(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
}

#[test]
fn when_the_stack_is_killed_every_waiting_call_ends_with_an_error() {
    if let Ground::Kernel = Ground::with_sysctls(&[]) {
        return;
    }
    let session = Session::with_sysctls(&[]);
    let ground = Ground::Shim(session);
    let Ground::Shim(session) = &ground else { unreachable!("it has just been made") };
    let port = ground.port();
    let _server = serve_echo(&ground, &port);
    let calls = ["accept", "connect", "read", "write", "poll"];
    let stuck = helper("stuck");
    let mut waiting: Vec<_> =
        calls.iter().map(|call| (call, ground.spawn(&stuck, [&port.to_string(), *call]))).collect();
    for (call, program) in &waiting {
        wait_for(&format!("{call} to wait"), || {
            program.output().contains("waiting") && sleeps(program.pid())
        });
    }

    let killed = kill_stack(session);

    for (call, program) in &mut waiting {
        let status = program.wait(HEARING_LIMIT);
        let said = program.output();
        assert!(status.is_some_and(|s| s.success()), "{call}: {}: {said}", describe(status));
        let result = said.lines().last().unwrap_or_default();
        // A descriptor that is ready, for its error to be fetched, is what poll() reports.
        let right = if **call == "poll" { result == "1" } else { result.starts_with('E') };
        assert!(right, "{call} gave {said}");
    }
    let next = ground.port();
    let _next_server = serve_echo(&ground, &next);
    churn(&ground, &next, 1, "reset");
    assert_ne!(session.status().pid, killed, "the next socket() has started a new stack");
}

#[test]
fn fifty_programs_at_once_start_one_stack() {
    const COUNT: usize = 50;
    if let Ground::Kernel = Ground::with_sysctls(&[]) {
        return;
    }
    let session = Session::new();
    let herd = helper("herd");
    let programs: Vec<Program> =
        (0..COUNT).map(|_| session.spawn(&herd, std::iter::empty::<&str>())).collect();
    let ports: HashSet<u16> = programs.iter().map(Program::listening_port).collect();

    assert_eq!(ports.len(), COUNT, "one port space");
    assert_eq!(session.status().sockets, COUNT as u64);
    wait_for("the other stacks to leave", || stacks_of(&session) == [session.status().pid]);
}

/// Processes that are, or are about to become, the stack of `session`.
fn stacks_of(session: &Session) -> Vec<u32> {
    let name = format!("/{}", session.name());
    let is_stack = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|&b| b == 0).collect();
        words.get(1) == Some(&&b"stack"[..]) && words.iter().any(|w| w.ends_with(name.as_bytes()))
    };
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_stack).collect()
}
