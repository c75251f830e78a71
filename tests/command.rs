//! The `tcplab` command as its user meets it: exit statuses, signals, messages, tables, the demo.

mod common;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{DEADLINE, Program, Session, skip, skip_here, tcplab_path};

/// `tcplab run -- WORDS` in the session, to its end.
fn run(session: &Session, words: &[&str]) -> Output {
    session.try_tcplab(["run", "--"].iter().chain(words).copied())
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Says whether the shim is in it.
const SOURCE: &str = r#"
#include <stdio.h>
#include <string.h>
int main(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, "libtcplab_preload"))
            return puts("hooked") < 0;
    return puts("not hooked") < 0;
}
"#;

/// Compiles that with this compiler and these flags; `None`, with a notice, where that cannot be.
fn compiled(name: &str, compiler: &str, flags: &[&str]) -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let source = program.with_extension("c");
    std::fs::write(&source, SOURCE).unwrap();
    let output = Command::new(compiler).args(flags).arg(&source).arg("-o").arg(&program).output();
    if output.is_ok_and(|output| output.status.success()) {
        return Some(program);
    }
    skip(&format!("{compiler} {flags:?} does not work here"));
    None
}

#[test]
fn run_passes_the_exit_status_through() {
    let session = Session::new();
    assert_eq!(run(&session, &["true"]).status.code(), Some(0));
    assert_eq!(run(&session, &["sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(run(&session, &["sh", "-c", "kill -KILL $$"]).status.code(), Some(128 + 9));
    assert_eq!(run(&session, &["no-such-command-tcplab"]).status.code(), Some(127));
    assert_eq!(run(&session, &["/etc/passwd"]).status.code(), Some(126));
}

#[test]
fn run_adds_nothing_to_the_programs_output() {
    let session = Session::new();
    let output = run(&session, &["sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((output.stdout.as_slice(), stderr(&output).as_str()), (&b"out\n"[..], "err\n"));
}

#[test]
fn run_leaves_low_descriptors_as_they_were() {
    let session = Session::new();
    let native = Command::new("sh").args(["-c", "ls /proc/$$/fd"]).output().unwrap();
    let output = run(&session, &["sh", "-c", "ls /proc/$$/fd"]);
    assert_eq!(String::from_utf8(native.stdout), String::from_utf8(output.stdout));
}

#[test]
fn the_program_finds_the_signal_dispositions_of_its_caller() {
    let session = Session::new();
    let name = session.name();
    let run = format!("{} run --session {name} --", tcplab_path().display());
    for trap in ["", "trap '' PIPE USR1 HUP;"] {
        let status = |run: &str| {
            let script = format!("{trap} {run} grep -E '^Sig(Ign|Blk|Cgt)' /proc/self/status");
            Command::new("sh").args(["-c", &script]).output().unwrap().stdout
        };
        let native = String::from_utf8(status("")).unwrap();
        assert_eq!(String::from_utf8(status(&run)).unwrap(), native);
        assert!(!native.is_empty());
    }
}

#[test]
fn a_caller_that_ignores_sigchld_hears_how_the_program_ended() {
    let session = Session::new();
    let run = |words: &[&str], ends_with: i32| {
        let mut command = Command::new(tcplab_path());
        command.args(["run", "--session", session.name(), "--"]).args(words);
        // SAFETY: between fork and exec, only a system call.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGCHLD, libc::SIG_IGN);
                Ok(())
            });
        }
        let mut program = Program::start(command).unwrap();
        let status = program.wait(DEADLINE);
        assert_eq!(
            status.and_then(|status| status.code()),
            Some(ends_with),
            "{}",
            program.output()
        );
        program.output()
    };
    for (script, ends_with) in [("exit 7", 7), ("sleep 0.2; exit 8", 8), ("kill -9 $$", 137)] {
        run(&["sh", "-c", script], ends_with);
    }
    // The program finds it ignored, too.
    let line = run(&["grep", "^SigIgn", "/proc/self/status"], 0);
    let ignored = u64::from_str_radix(line.trim_start_matches("SigIgn:").trim(), 16).unwrap();
    assert_ne!(ignored & 1 << (libc::SIGCHLD - 1), 0, "{line}");
}

#[test]
fn signals_reach_the_program() {
    let session = Session::new();
    let script = "trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let mut command = Command::new(tcplab_path());
    command.args(["run", "--session", session.name(), "--", "sh", "-c", script]);
    let mut program = Program::start(command).unwrap();
    common::wait_for("the script is ready", || program.output().contains("ready"));
    program.signal(libc::SIGTERM);
    assert_eq!(program.wait(DEADLINE).and_then(|status| status.code()), Some(3));
    assert!(program.output().contains("caught"));
}

#[test]
fn the_program_does_not_outlive_a_killed_run() {
    let session = Session::new();
    let mut command = Command::new(tcplab_path());
    command.args(["run", "--session", session.name(), "--", "sh", "-c", "echo $$; exec sleep 60"]);
    let mut program = Program::start(command).unwrap();
    common::wait_for("the program says its number", || program.output().ends_with('\n'));
    let process = PathBuf::from(format!("/proc/{}/fd/0", program.output().trim()));
    program.signal(libc::SIGKILL);
    assert_eq!(program.wait(DEADLINE).and_then(|status| status.signal()), Some(9));
    common::wait_for("the program ends", || std::fs::read_link(&process).is_err());
}

/// `tcplab run` refuses the program for that reason, and is right: preloading does not hook it.
fn assert_refused(session: &Session, program: &Path, reason: &str) {
    let output = run(session, &[program.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(125), "{}", stderr(&output));
    assert!(output.stdout.is_empty(), "it was not run");
    assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    let preloaded = session.command(program).output().unwrap();
    assert_ne!(preloaded.stdout, b"hooked\n", "{reason}");
}

#[test]
fn a_program_of_the_c_library_is_hooked() {
    let session = Session::new();
    let Some(program) = compiled("command-dynamic", "cc", &[]) else { return };
    assert_eq!(run(&session, &[program.to_str().unwrap()]).stdout, b"hooked\n");
    assert_eq!(session.command(&program).output().unwrap().stdout, b"hooked\n");
}

#[test]
fn a_statically_linked_program_is_not_run() {
    let session = Session::new();
    for (name, compiler, flag) in [
        ("command-static", "cc", "-static"),
        ("command-static-pie", "cc", "-static-pie"),
        ("command-musl-static", "musl-gcc", "-static"),
    ] {
        let Some(program) = compiled(name, compiler, &[flag]) else { continue };
        assert_refused(&session, &program, "statically linked");
    }
}

#[test]
fn a_program_of_musl_is_not_run() {
    let session = Session::new();
    let Some(program) = compiled("command-musl", "musl-gcc", &[]) else { return };
    assert_refused(&session, &program, "musl");
}

#[test]
fn a_setuid_program_of_another_user_is_not_run() {
    let session = Session::new();
    let Some(program) = compiled("command-setuid", "cc", &[]) else { return };
    let nobody = 65534;
    if std::os::unix::fs::chown(&program, Some(nobody), None).is_err() {
        return skip_here("only root can give a file away");
    }
    let flags = rustix::fs::statvfs(&program).unwrap().f_flag;
    if flags.contains(rustix::fs::StatVfsMountFlags::NOSUID) {
        return skip_here("setuid means nothing on this file system");
    }
    std::fs::set_permissions(&program, Permissions::from_mode(0o4755)).unwrap();
    assert_refused(&session, &program, "setuid");
}

#[test]
fn a_program_that_comes_up_without_the_shim_is_ended() {
    let session = Session::new();
    let Some(wrong) = compiled("command-not-the-shim", "cc", &["-shared", "-fPIC"]) else { return };
    for words in [&["true"][..], &["sleep", "60"]] {
        let output = Command::new(tcplab_path())
            .args(["run", "--session", session.name(), "--"])
            .args(words)
            .env("TCPLAB_PRELOAD", &wrong)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(125));
        assert!(stderr(&output).contains("never came up"), "{}", stderr(&output));
    }
}

#[test]
fn an_address_sanitized_program_runs() {
    let session = Session::new();
    let Some(program) = compiled("command-asan", "cc", &["-fsanitize=address"]) else { return };
    let output = run(&session, &[program.to_str().unwrap()]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn a_shim_in_a_directory_with_a_space_is_loaded() {
    let session = Session::new();
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("with a space: and a colon");
    std::fs::create_dir_all(&directory).unwrap();
    let shim = directory.join("libtcplab_preload.so");
    std::fs::copy(common::preload_path(), &shim).unwrap();
    let output = Command::new(tcplab_path())
        .args(["run", "--session", session.name(), "true"])
        .env("TCPLAB_PRELOAD", &shim)
        .output()
        .unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn sysctls_are_set_before_the_program_runs_and_refused_with_a_reason() {
    let session = Session::new();
    let name = "net.tcplab.tcp_msl_ms";
    let good = session.try_tcplab(["run", "--sysctl", &format!("{name}=777"), "--", "true"]);
    assert_eq!(good.status.code(), Some(0));
    assert_eq!(session.tcplab(["sysctl", name]), format!("{name} = 777\n"));
    assert_eq!(session.tcplab(["sysctl", "-n", "net/tcplab/tcp_msl_ms"]), "777\n");
    let bad = session.try_tcplab(["run", "--sysctl", "net.ipv4.no_such=1", "--", "true"]);
    assert_eq!(bad.status.code(), Some(125));
    assert!(stderr(&bad).contains("net.ipv4.no_such"), "{}", stderr(&bad));
    assert_eq!(session.try_tcplab(["sysctl", "net.ipv4.no_such"]).status.code(), Some(1));
}

#[test]
fn a_session_goes_up_and_down() {
    let session = Session::new();
    assert_eq!(session.try_tcplab(["status"]).status.code(), Some(1));
    assert!(session.tcplab(["up"]).starts_with("session "));
    assert!(session.tcplab(["status"]).contains(session.name()));
    session.tcplab(["down"]);
    assert_eq!(session.try_tcplab(["status"]).status.code(), Some(1));
    assert_eq!(session.try_tcplab(["down"]).status.code(), Some(0));
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let session = Session::new();
    for words in [&["ss", "state", "shut"][..], &["--session", "a b", "up"], &["run"], &["fly"]] {
        let output = session.try_tcplab(words.iter().copied());
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure() {
    let session = Session::new();
    session.tcplab(["up"]);
    let mut child = Command::new(tcplab_path())
        .args(["sysctl", "--session", session.name(), "-a"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn all_scenes_of_the_demo_are_summed_up_in_a_table() {
    let output = Command::new(tcplab_path()).args(["demo", "--all"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", stderr(&output));
    assert_eq!(told.lines().filter(|line| line.starts_with("  S")).count(), 26, "{told}");
    assert!(!told.contains("NOT SO"), "{told}");
}

#[test]
fn a_scene_is_named_by_its_number_too_and_an_unknown_one_is_wrong_usage() {
    let demo = |name| Command::new(tcplab_path()).args(["demo", name]).output().unwrap();
    let told = demo("s09");
    assert!(String::from_utf8_lossy(&told.stdout).contains("== S09 time-wait-expires =="));
    let unknown = demo("no-such-scene");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("tcplab demo --list"), "{}", stderr(&unknown));
}

#[test]
fn the_tour_shows_what_it_says() {
    let output = Command::new(tcplab_path()).arg("demo").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn sysctls_are_found_by_pattern_and_read_back_from_a_file() {
    let session = Session::new();
    let names = session.tcplab(["sysctl", "-N", "net.ipv4.tcp_keepalive_*"]);
    assert_eq!(names.lines().count(), 3, "{names}");
    let names = session.tcplab(["sysctl", "-N", "-r", "tw_reuse(_delay)?$"]);
    assert_eq!(names, "net.ipv4.tcp_tw_reuse\nnet.ipv4.tcp_tw_reuse_delay\n");
    let all = session.tcplab(["sysctl", "-a"]);
    assert!(all.lines().all(|line| line.len() <= 80), "{all}");
    let file = std::env::temp_dir().join(format!("tcplab-sysctl-{}", std::process::id()));
    std::fs::write(&file, &all).unwrap();
    session.sysctl("net.ipv4.tcp_fin_timeout", "7");
    let back = session.try_tcplab(["sysctl", "-q", "-p", file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    assert!(back.status.success() && back.stdout.is_empty(), "{}", stderr(&back));
    assert_eq!(session.tcplab(["sysctl", "-a"]), all);
    let unknown = session.try_tcplab(["sysctl", "net.ipv4.tcp_fin_timout"]);
    assert!(stderr(&unknown).contains("the nearest name is net.ipv4.tcp_fin_timeout"));
    assert!(session.try_tcplab(["sysctl", "-e", "net.ipv4.no=1"]).status.success());
}
