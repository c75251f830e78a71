//! What people run their programs under and beside: sanitizers, debuggers, tracers, shells,
//! sandboxes, other preloaded libraries. The program talks to an echo server over our TCP and ends
//! as it would without us.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::client::{assert_serves, helper, serve_echo};
use crate::common::{
    DEADLINE, Program, Session, compile, describe, preload_path, skip, tcplab_path,
};

/// How long a slow tool may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// Whether `program` is in `PATH`; says so where it is not.
fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if !found {
        skip(&format!("not installed: {program}"));
    }
    found
}

/// Runs `words` by `tcplab run` to the end, which must be a success; what was written.
fn run(session: &Session, words: &[&str]) -> String {
    let (status, output) = run_to_end(session, words);
    assert_eq!(status, "exit 0", "{words:?}: {output}");
    output
}

/// Runs `words` by `tcplab run` to the end, whatever it is.
fn run_to_end(session: &Session, words: &[&str]) -> (String, String) {
    let mut command = Command::new(tcplab_path());
    command.args(["run", "--session", session.name(), "--"]).args(words);
    let mut program = Program::start(command).expect("tcplab can be started");
    let status = program.wait(LIMIT);
    (describe(status), program.output())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the target directory's path is UTF-8")
}

/// The client that makes short connections and checks every echo.
fn churn() -> PathBuf {
    compile("tests/programs/churn.c", &[])
}

/// Compiles a C program that a test brings along, under a name of its own; `None`, with a notice,
/// where these flags do not work here.
fn compiled(name: &str, source: &str, flags: &[&str]) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let output = Command::new("cc")
        .args(["-std=gnu11", "-g", "-pthread"])
        .args(flags)
        .arg(source)
        .arg("-o")
        .arg(&program)
        .output();
    if output.is_ok_and(|output| output.status.success()) {
        return Some(program);
    }
    skip(&format!("cc {flags:?} does not work here"));
    None
}

#[test]
fn address_sanitizer_on_both_ends() {
    let session = Session::with_sysctls(&[]);
    let flags = ["-fsanitize=address", "-fno-omit-frame-pointer"];
    let Some(server) = compiled("asan_server", "examples/echo_server.c", &flags) else { return };
    let Some(client) = compiled("asan_churn", "tests/programs/churn.c", &flags) else { return };
    let mut command = Command::new(tcplab_path());
    command.args(["run", "--session", session.name(), "--", text(&server), "0"]);
    let server = Program::start(command).expect("tcplab can be started");
    let port = server.listening_port().to_string();
    let said = run(&session, &[text(&client), &port, "20", "fin"]);
    assert_eq!(said, "20 connections\n");
    assert!(!server.output().contains("Sanitizer"), "{}", server.output());
}

#[test]
fn thread_and_undefined_behaviour_sanitizers() {
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve_echo(&session);
    for sanitizer in ["undefined", "thread"] {
        let flags = [format!("-fsanitize={sanitizer}")];
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let name = format!("{sanitizer}_churn");
        let Some(client) = compiled(&name, "tests/programs/churn.c", &flags) else { continue };
        let said = run(&session, &[text(&client), &port.to_string(), "20", "fin"]);
        assert_eq!(said, "20 connections\n", "{sanitizer}");
    }
}

#[test]
fn valgrind_finds_no_error() {
    if !installed("valgrind") {
        return;
    }
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve_echo(&session);
    let said = run(
        &session,
        &["valgrind", "-q", "--error-exitcode=9", text(&churn()), &port.to_string(), "5", "fin"],
    );
    assert_eq!(said, "5 connections\n");
}

#[test]
fn gdb_runs_the_program() {
    if !installed("gdb") {
        return;
    }
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve_echo(&session);
    let port = port.to_string();
    let words = ["gdb", "-batch", "-nx", "-ex", "run", "--args", text(&churn()), &port, "5", "fin"]
        .map(String::from);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = run(&session, &words);
    assert!(said.contains("5 connections"), "{said}");
    assert!(said.contains("exited normally"), "{said}");
}

#[test]
fn strace_follows_the_program() {
    if !installed("strace") {
        return;
    }
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve_echo(&session);
    let said = run(
        &session,
        &["strace", "-f", "-e", "trace=socket", text(&churn()), &port.to_string(), "5", "fin"],
    );
    assert!(said.contains("5 connections"), "{said}");
    assert!(!said.contains("AF_INET,"), "no socket of the kernel's TCP: {said}");
}

#[test]
fn bash_talks_by_dev_tcp() {
    if !installed("bash") {
        return;
    }
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve_echo(&session);
    let script = format!(
        "exec 5<>/dev/tcp/127.0.0.1/{port} && echo hello >&5 && read -r line <&5 && echo \"$line\"; \
         (echo from a child >&5); head -n 1 <&5; exec 5>&-"
    );
    assert_eq!(run(&session, &["bash", "-c", &script]), "hello\nfrom a child\n");
}

#[test]
fn python_with_asyncio_threads_and_subprocesses() {
    if !installed("python3") {
        return;
    }
    let session = Session::with_sysctls(&[]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/robustness/mixed.py");
    assert_eq!(run(&session, &["python3", text(&script)]), "asyncio threads subprocess\n");
}

#[test]
fn perl_serves_perl() {
    if !installed("perl") {
        return;
    }
    let session = Session::with_sysctls(&[]);
    let script = r#"
        use IO::Socket::INET;
        my $l = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "listen: $!";
        if (fork() == 0) { my $s = $l->accept; print $s uc(<$s>); exit 0 }
        my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $l->sockport) or die "$!";
        print $c "hello\n"; print scalar(<$c>); wait;
    "#;
    assert_eq!(run(&session, &["perl", "-e", script]), "HELLO\n");
}

#[test]
fn a_program_without_standard_descriptors() {
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve_echo(&session);
    let name = format!("bare-{}", std::process::id());
    let result = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let script = format!(
        "'{}' {port} 5 fin <&- >&- 2>&-; echo $? > '{}'",
        churn().display(),
        result.display()
    );
    let said = run(&session, &["sh", "-c", &script]);
    assert_eq!(said, "");
    // Its connections were descriptors 0 to 2; its puts() went into a socket or nowhere.
    assert_eq!(std::fs::read_to_string(&result).unwrap(), "0\n");
    let _ = std::fs::remove_file(result);
}

/// What the program put at the place of its stderr is not written to by us.
#[test]
fn a_complaint_goes_to_the_original_stderr_only() {
    if !installed("bash") {
        return;
    }
    let session = Session::new();
    let name = format!("stderr-{}", std::process::id());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let script = format!("exec 2>'{}'; exec 5<>/dev/tcp/127.0.0.1/80", file.display());
    let output = session
        .command("bash")
        .args(["-c", &script])
        .env("TCPLAB_STACK", "/nonexistent")
        .output()
        .expect("bash is installed");
    assert!(!output.status.success());
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains("Network is down") && !written.contains("tcplab"), "{written}");
    let _ = std::fs::remove_file(file);
}

/// The kernel kills a sandboxed program for a call that it does not expect.
#[test]
fn a_sandboxed_program_reads_and_writes() {
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve_echo(&session);
    assert_eq!(run(&session, &[text(&helper("sandboxed")), &port.to_string()]), "echoed\n");
}

/// liburing makes its system calls without libc.
#[test]
fn a_program_that_would_use_io_uring_falls_back() {
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve_echo(&session);
    let flags = ["-Wl,--no-as-needed", "-luring"];
    let Some(program) = compiled("uring", "tests/robustness/uring.c", &flags) else { return };
    let said = run(&session, &[text(&program), &port.to_string()]);
    let calls = ["queue_init", "queue_init_params", "queue_init_mem", "setup"];
    let refused: String = calls.map(|call| format!("{call}: ENOSYS\n")).concat();
    assert_eq!(said, refused + "probe: none\nechoed\n");
}

/// A server that becomes nobody in an empty root directory stays in its session, and so do the
/// children it makes there.
#[test]
fn a_program_that_drops_its_root_and_its_privileges() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("NOTICE: only root can become another user");
    }
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve_echo(&session);
    let name = format!("jail-{}", std::process::id());
    let jail = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&jail).unwrap();
    let said = run(&session, &[text(&helper("dropping")), &port.to_string(), text(&jail)]);
    assert_eq!(said, "child echoed\nparent echoed\n");
    let _ = std::fs::remove_dir(jail);
}

#[test]
fn another_preloaded_library_before_or_after_ours() {
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve_echo(&session);
    let flags = ["-shared", "-fPIC"];
    let Some(other) = compiled("counting.so", "tests/robustness/counting.c", &flags) else {
        return;
    };
    let ours = preload_path();
    for (first, second) in [(&ours, &other), (&other, &ours)] {
        let both = [first.as_os_str(), second.as_os_str()].join(OsStr::new(":"));
        let output = session
            .command(churn())
            .args([&port.to_string(), "5", "fin"])
            .env("LD_PRELOAD", both)
            .output()
            .expect("it is compiled");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.starts_with("5 connections\n"), "{said}{output:?}");
        let sockets = session.status().counters;
        let opens = sockets.iter().find(|(name, _)| name == "TcpActiveOpens").map(|c| c.1);
        assert!(opens >= Some(5), "{first:?} before {second:?}: {opens:?}");
    }
}

#[test]
fn two_sessions_have_the_same_port_each() {
    let sessions = [Session::with_sysctls(&[]), Session::with_sysctls(&[])];
    let server = compile("examples/epoll_server.c", &[]);
    let servers = sessions.each_ref().map(|session| session.spawn(&server, ["80"]));
    for (session, server) in sessions.iter().zip(&servers) {
        assert_eq!(server.listening_port(), 80);
        assert_serves(session, 80);
    }
    let [one, two] = sessions.each_ref().map(|session| session.status().udp_port);
    assert_ne!(one, two);
}

#[test]
fn timeout_around_run_and_inside_it() {
    let session = Session::with_sysctls(&[]);
    if !installed("timeout") {
        return;
    }
    assert_eq!(run_to_end(&session, &["timeout", "0.2", "sleep", "60"]).0, "exit 124");
    let began = Instant::now();
    let status = Command::new("timeout")
        .arg("0.5")
        .arg(tcplab_path())
        .args(["run", "--session", session.name(), "--", "sleep", "60"])
        .status()
        .expect("timeout is installed");
    assert_eq!(status.code(), Some(124));
    assert!(began.elapsed() < DEADLINE, "the program has ended with it: {:?}", began.elapsed());
}

#[test]
fn a_pipeline_ends_when_its_program_does() {
    // The stack that the program starts must not keep the pipe open.
    let session = Session::new();
    let script = format!("'{}' 1 1 fin | cat; echo done", churn().display());
    let began = Instant::now();
    let output = session.command("sh").args(["-c", &script]).output().expect("there is a shell");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n");
    assert!(began.elapsed() < DEADLINE, "{:?}", began.elapsed());
    assert_eq!(session.status().sockets, 0, "it has started a stack");
}
