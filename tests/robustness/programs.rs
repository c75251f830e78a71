//! Programs that vanish, stand still, ask without end, or use everything up.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity};

use crate::client::{assert_rests, assert_serves, held, helper, serve_echo, wait_for_base};
use crate::common::{DEADLINE, Program, Session, describe, tcplab_path, wait_for};

/// Waits for the program's end, which must be a success, and returns what it wrote.
fn finish(mut program: Program) -> String {
    let status = program.wait(2 * DEADLINE);
    let output = program.output();
    assert!(status.is_some_and(|s| s.success()), "{}: {output}", describe(status));
    output
}

#[test]
fn programs_killed_in_every_call_leave_nothing() {
    let session = Session::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
    let (_server, port) = serve_echo(&session);
    assert_serves(&session, port);
    let base = held(&session);
    let vanish = session.spawn(helper("vanish"), [port.to_string(), "3000".into()]);
    let said = finish(vanish);
    assert!(said.contains("killed"), "{said}");
    wait_for_base(&session, base);
    assert_serves(&session, port);
    assert_rests(&session);
}

#[test]
fn sockets_in_which_nothing_happens_cost_nothing() {
    let session = Session::with_sysctls(&[("net.ipv4.tcp_syn_retries", "2")]);
    let base = held(&session);
    let idle = session.spawn(helper("idle"), std::iter::empty::<&str>());
    wait_for("every state to be reached", || idle.output().contains("idle"));
    let sockets = session.sockets();
    for state in ["LISTEN", "ESTAB", "CLOSE-WAIT", "FIN-WAIT-1", "FIN-WAIT-2", "SYN-SENT"] {
        assert!(sockets.iter().any(|row| row.state == state), "no {state}: {sockets:#?}");
    }
    let kib = session.status().resident_kib;
    assert!(kib < 128 * 1024, "resident KiB: {kib}");
    assert_rests(&session);
    drop(idle);
    // FIN-WAIT-2 stays for a minute, as on the kernel; the programs' sockets are gone.
    wait_for("its sockets to go", || session.status().sockets == base[0]);
}

#[test]
fn options_set_over_and_over() {
    let session = Session::with_sysctls(&[]);
    let base = held(&session);
    let options = session.spawn(helper("options"), ["50000"]);
    assert_eq!(finish(options), "50000\n");
    wait_for_base(&session, base);
}

#[test]
fn signals_interrupt_only_calls_that_wait() {
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve_echo(&session);
    for how in ["restart", "interrupt"] {
        let program = helper("interrupted");
        let interrupted = session.spawn(program, [&port.to_string(), "700", how]);
        assert_eq!(finish(interrupted), "signals, and no harm\n", "{how}");
    }
}

/// `tcplab up` by a shell that has said `limits`; what the stack logs goes to `log`.
fn up_with(session: &Session, limits: &str, log: &Path) {
    let script = format!("{limits}; exec '{}' up", tcplab_path().display());
    let mut command = Command::new("sh");
    command.args(["-c", &script]).env("TCPLAB_SESSION", session.name()).env("TCPLAB_LOG_FILE", log);
    // SAFETY: between fork and exec, only system calls; the parameters outlive theirs.
    unsafe {
        command.pre_exec(|| {
            let mut one = CpuSet::new();
            one.set(rustix::thread::sched_getcpu());
            rustix::thread::sched_setaffinity(None, &one)?;
            let parameters = libc::sched_param { sched_priority: 0 };
            libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters);
            Ok(())
        });
    }
    let up = command.output().expect("there is a shell");
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
}

/// Whoever starts the stack starts it for all.
#[test]
fn the_starters_own_limits_are_not_the_stacks() {
    let session = Session::new();
    let limits = "ulimit -S -t 10; ulimit -S -f 0; ulimit -S -d 2000000; ulimit -S -v 2000000; \
                  ulimit -S -s 1000; ulimit -S -n 64; ulimit -S -l 8";
    up_with(&session, limits, Path::new("/dev/null"));
    let pid = session.status().pid;

    let table = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    for name in ["cpu time", "file size", "data size", "address space", "stack size", "open files"]
    {
        let row = table.lines().find_map(|line| line.strip_prefix(&format!("Max {name}")));
        let numbers: Vec<&str> = row.unwrap_or("").split_whitespace().collect();
        assert_eq!(numbers.first(), numbers.get(1), "{name}:\n{table}");
    }
    let stack = rustix::process::Pid::from_raw(pid.cast_signed());
    let (own, its) = (sched_getaffinity(None).unwrap(), sched_getaffinity(stack).unwrap());
    assert!(its.count() >= own.count(), "{own:?}, {its:?}");
    // SAFETY: plain numbers.
    assert_eq!(unsafe { libc::sched_getscheduler(pid.cast_signed()) }, libc::SCHED_OTHER);
}

#[test]
fn a_stack_says_that_its_hard_limits_are_low() {
    let name = format!("limits-{}.log", std::process::id());
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let session = Session::new();
    up_with(&session, "ulimit -n 64; ulimit -t 1000", &log);
    let told = std::fs::read_to_string(&log).unwrap();
    assert!(told.contains("descriptors=64") && told.contains("seconds=1000"), "{told}");
    let _ = std::fs::remove_file(log);
}

/// A stack that has no descriptor left turns programs away at once, and goes on with the others.
#[test]
fn a_stack_without_descriptors_lets_nobody_hang() {
    const LIMIT: u32 = 64;
    let session = Session::new();
    let up = format!("ulimit -n {LIMIT}; exec '{}' up", tcplab_path().display());
    let up = std::process::Command::new("sh")
        .args(["-c", &up])
        .env("TCPLAB_SESSION", session.name())
        .output()
        .expect("there is a shell");
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
    session.sysctl("net.tcplab.tcp_msl_ms", "50");
    let (_server, port) = serve_echo(&session);
    assert_serves(&session, port);
    let base = held(&session);

    let began = Instant::now();
    let greedy = session.spawn(helper("greedy"), [port.to_string(), (4 * LIMIT).to_string()]);
    wait_for("the greedy program to have tried", || greedy.output().contains("refused"));
    assert!(began.elapsed() < Duration::from_secs(5), "nothing waited: {:?}", began.elapsed());
    drop(greedy);

    wait_for_base(&session, base);
    assert_serves(&session, port);
    assert_rests(&session);
}

/// The program itself runs out of descriptors: each call says so, and closing one helps.
#[test]
fn a_program_without_descriptors_hears_emfile() {
    let session = Session::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
    let (_server, port) = serve_echo(&session);
    assert_serves(&session, port);
    let base = held(&session);
    let script = format!("ulimit -n 40; exec '{}' {port} 100", helper("greedy").display());
    let greedy = session.spawn("sh", ["-c", &script]);
    wait_for("it to run out", || greedy.output().contains("refused"));
    assert!(greedy.output().contains("EMFILE"), "{}", greedy.output());
    drop(greedy);
    wait_for_base(&session, base);
}

#[test]
fn a_server_restarted_without_end_while_clients_connect() {
    let session = Session::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
    let base = held(&session);
    let restart = session.spawn(helper("restart"), ["40"]);
    let said = finish(restart);
    assert!(said.contains("40 servers"), "{said}");
    wait_for_base(&session, base);
}

/// Workers with a listener each (`SO_REUSEPORT`), and workers that share one: every connection is
/// served once.
#[test]
fn thirty_two_workers_share_the_connections() {
    for how in ["share", "reuseport"] {
        let session = Session::with_sysctls(&[("net.tcplab.tcp_msl_ms", "50")]);
        let base = held(&session);
        let workers = session.spawn(helper("workers"), [how, "32", "400"]);
        assert_eq!(finish(workers), "400 answers\n", "{how}");
        wait_for_base(&session, base);
    }
}
