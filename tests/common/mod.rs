//! What the integration tests share: a session of their own, programs under the shim, conditions
//! with a deadline, C programs compiled with `cc`.
//!
//! Deliberately nothing about what the programs do: that is in the tests.

// Every test binary uses its own part of this.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tcplab::inspect::{SocketRow, Status};

/// How long a condition may take on a busy machine before a test fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// The `tcplab` command of this build.
pub(crate) fn tcplab_path() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tcplab"))
}

/// The preload library of this build.
pub(crate) fn preload_path() -> PathBuf {
    let profile = tcplab_path().parent().expect("a binary has a directory");
    profile.join("deps").join("libtcplab_preload.so")
}

/// A session of its own: one stack, which ends with this value.
pub(crate) struct Session {
    name: String,
    /// Where its stack tells every transition of every connection.
    log: Option<PathBuf>,
}

impl Session {
    /// A session with default settings. Its stack starts with the first program.
    pub(crate) fn new() -> Session {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Session { name: format!("t{}-{count}", std::process::id()), log: None }
    }

    /// A session whose stack is up already, with these sysctls.
    ///
    /// # Panics
    /// When the stack cannot be started or refuses a sysctl.
    pub(crate) fn with_sysctls(sysctls: &[(&str, &str)]) -> Session {
        Session::new().up(sysctls)
    }

    /// The same, and its stack logs every transition of every connection (see [`Session::log`]).
    ///
    /// # Panics
    /// When the stack cannot be started or refuses a sysctl.
    pub(crate) fn traced(sysctls: &[(&str, &str)]) -> Session {
        let mut session = Session::new();
        let log = format!("{}.log", session.name);
        session.log = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join(log));
        session.up(sysctls)
    }

    fn up(self, sysctls: &[(&str, &str)]) -> Session {
        self.tcplab(["up"]);
        for (name, value) in sysctls {
            self.sysctl(name, value);
        }
        self
    }

    /// What the stack of a traced session has logged so far.
    ///
    /// # Panics
    /// When it cannot be read.
    pub(crate) fn log(&self) -> String {
        let path = self.log.as_ref().expect("the session is traced");
        std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Name as `TCPLAB_SESSION` takes it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// `program`, to be run under the shim in this session.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("LD_PRELOAD", preload_path()).env("TCPLAB_SESSION", &self.name);
        command
    }

    /// Starts `program` under the shim with its output in a file. Ends with the returned value.
    ///
    /// # Panics
    /// When it cannot be started.
    pub(crate) fn spawn<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = S>,
    ) -> Program {
        let mut command = self.command(program);
        command.args(args);
        Program::start(command).expect("the program can be started")
    }

    /// Runs the `tcplab` command in this session and returns what it wrote.
    ///
    /// # Panics
    /// When it fails.
    pub(crate) fn tcplab<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> String {
        let output = self.try_tcplab(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tcplab: {}: {errors}", output.status);
        String::from_utf8(output.stdout).expect("tcplab writes UTF-8")
    }

    /// Runs the `tcplab` command in this session, whatever its exit status.
    ///
    /// # Panics
    /// When it cannot be started.
    pub(crate) fn try_tcplab<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Output {
        let mut command = Command::new(tcplab_path());
        command.args(args).env("TCPLAB_SESSION", &self.name).stdin(Stdio::null());
        if let Some(log) = &self.log {
            command.env("TCPLAB_LOG", "debug,tcplab::tcp=trace").env("TCPLAB_LOG_FILE", log);
        }
        command.output().expect("tcplab can be started")
    }

    /// Sets a sysctl.
    ///
    /// # Panics
    /// When the stack refuses.
    pub(crate) fn sysctl(&self, name: &str, value: &str) {
        self.tcplab(["sysctl", &format!("{name}={value}")]);
    }

    /// Every socket of the session, in every state.
    ///
    /// # Panics
    /// When there is no stack, or its answer is not understood.
    pub(crate) fn sockets(&self) -> Vec<SocketRow> {
        let text = self.tcplab(["ss", "-a", "--json"]);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("ss --json: {e}: {text}"))
    }

    /// What the stack holds.
    ///
    /// # Panics
    /// When there is no stack, or its answer is not understood.
    pub(crate) fn status(&self) -> Status {
        let text = self.tcplab(["status", "--json"]);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("status --json: {e}: {text}"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // No stack has been started, or it is gone already: nothing to clean up.
        let _ = Command::new(tcplab_path())
            .arg("down")
            .env("TCPLAB_SESSION", &self.name)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if let Some(log) = &self.log {
            if std::thread::panicking() {
                eprintln!("the stack's log is {}", log.display());
            } else {
                let _ = std::fs::remove_file(log);
            }
        }
    }
}

/// A running program, leader of a process group of its own; ends with this value.
pub(crate) struct Program {
    child: Child,
    output: PathBuf,
    reaped: Option<ExitStatus>,
}

impl Program {
    /// Starts `command` with stdout and stderr in one file.
    pub(crate) fn start(mut command: Command) -> io::Result<Program> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let output = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("output-{}-{count}", std::process::id()));
        let file = File::options().append(true).create_new(true).open(&output)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()?;
        Ok(Program { child, output, reaped: None })
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: kill() has no memory effects; the child is not reaped, so the pid is its own.
        unsafe { libc::kill(self.child.id().cast_signed(), signal) };
    }

    /// Its exit status, once it has one, or `None` when it runs longer than `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        while self.reaped.is_none() {
            self.reaped = self.child.try_wait().expect("the child is ours");
            if self.reaped.is_none() {
                if Instant::now() >= end {
                    return None;
                }
                std::thread::sleep(Duration::from_millis(3));
            }
        }
        self.reaped
    }

    /// The port it listens on, which the example servers write as "listening on PORT".
    ///
    /// # Panics
    /// When it does not say so in time.
    pub(crate) fn listening_port(&self) -> u16 {
        let end = Instant::now() + DEADLINE;
        loop {
            let output = self.output();
            let line = output.lines().find_map(|l| l.strip_prefix("listening on "));
            if let Some(port) = line.and_then(|p| p.trim().parse().ok()) {
                return port;
            }
            assert!(Instant::now() < end, "the server does not say where it listens: {output}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let group = -self.child.id().cast_signed();
        // SAFETY: kill() has no memory effects. The group is the one started above; while the
        // leader is not reaped, or members live, no other group can have its number.
        unsafe { libc::kill(group, libc::SIGKILL) };
        if self.reaped.is_none() {
            let _ = self.child.wait();
        }
        let _ = std::fs::remove_file(&self.output);
    }
}

/// An exit status in words.
pub(crate) fn describe(status: Option<ExitStatus>) -> String {
    match status {
        None => "TIME LIMIT REACHED, killed".into(),
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit {code}"),
            (None, signal) => format!("killed by signal {}", signal.unwrap_or(0)),
        },
    }
}

/// Says, visibly also in a run that passes, what a test does not do here.
///
/// # Panics
/// With `TCPLAB_REQUIRE_PROGRAMS=1`, where nothing may be skipped.
pub(crate) fn skip(reason: &str) {
    let required = std::env::var_os("TCPLAB_REQUIRE_PROGRAMS").is_some_and(|value| value == "1");
    assert!(!required, "this test cannot run: {reason}");
    skip_here(reason);
}

/// The same where no installation helps: who runs the test, or where, is nothing to require.
pub(crate) fn skip_here(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("?");
    // Not eprint!(): the test harness swallows that.
    let _ = io::stderr().write_all(format!("SKIPPED {test}: {reason}\n").as_bytes());
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within [`DEADLINE`].
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "waited {DEADLINE:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Compiles the C program `source` (path from the root of the package) with `cc` and returns
/// where it is.
///
/// # Panics
/// With what the compiler said, when it does not compile without a warning.
pub(crate) fn compile(source: &str, flags: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let name = source.file_stem().expect("a source file has a name");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = directory.join(name);
    static COMPILED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut compiled = COMPILED.lock().expect("the compiler's complaints end the run");
    if !compiled.insert(program.clone()) {
        return program;
    }
    let fresh = directory.join(format!("{}-{}", name.to_string_lossy(), std::process::id()));
    let output = Command::new("cc")
        .args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"])
        .args(flags)
        .arg(&source)
        .arg("-o")
        .arg(&fresh)
        .output()
        .expect("a C compiler is installed as cc");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", source.display());
    // Test binaries that run at once compile the same program: the last one stays.
    std::fs::rename(&fresh, &program).expect("a file can be renamed in its directory");
    program
}
