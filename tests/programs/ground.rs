//! Where a scenario runs: under the shim in a session of its own, or, with `TCPLAB_NATIVE=1`, on
//! the kernel's TCP, which proves the scenario itself. And what a scenario needs there: programs
//! that are installed, a port, a directory.
//!
//! Deliberately no expectations: these are in the tests.

// Every test binary uses its own part of this.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once};
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tcplab::inspect::Status;

use crate::common::{Program, Session, describe, wait_for};

/// How long a program may take for its whole job on a slow, busy machine.
const JOB_LIMIT: Duration = Duration::from_secs(180);

/// Whose TCP the programs of a scenario use.
pub(crate) enum Ground {
    /// The kernel's: proves that the scenario is right.
    Kernel,
    /// Ours.
    Shim(Session),
}

impl Ground {
    /// The ground that the environment asks for, with these sysctls where it is ours.
    pub(crate) fn with_sysctls(sysctls: &[(&str, &str)]) -> Ground {
        if asked("TCPLAB_NATIVE") { Ground::Kernel } else { Ground::ours(sysctls) }
    }

    /// A session of its own.
    pub(crate) fn ours(sysctls: &[(&str, &str)]) -> Ground {
        Ground::Shim(Session::with_sysctls(sysctls))
    }

    /// The ground for a scenario with these programs, or `None` (and a notice) where one of them
    /// is not installed.
    pub(crate) fn with_programs(programs: &[&str]) -> Option<Ground> {
        let missing: Vec<_> = programs.iter().copied().filter(|p| find(p).is_none()).collect();
        if !missing.is_empty() {
            skip(&format!("not installed: {}", missing.join(", ")));
            return None;
        }
        Some(Ground::with_sysctls(&[]))
    }

    /// `program`, to be run here.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Ground::Kernel => Command::new(program),
            Ground::Shim(session) => session.command(program),
        }
    }

    /// Starts `program` here; ends with the returned value.
    pub(crate) fn spawn<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = S>,
    ) -> Program {
        let mut command = self.command(program);
        command.args(args);
        Program::start(command).expect("the program can be started")
    }

    /// Runs `program` here to its end and returns what it wrote.
    ///
    /// # Panics
    /// When it fails, with what it wrote.
    pub(crate) fn run<S: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = S>,
    ) -> String {
        let name = program.as_ref().to_string_lossy().into_owned();
        finish(&name, &mut self.spawn(program, args))
    }

    /// Starts `program` here, waits until it listens on `port`.
    pub(crate) fn serve<S: AsRef<OsStr>>(
        &self,
        port: &Port,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = S>,
    ) -> Program {
        let mut server = self.spawn(program, args);
        wait_for(&format!("a listener on port {port}"), || {
            if let Some(status) = server.wait(Duration::ZERO) {
                panic!("the server ended ({}): {}", describe(Some(status)), server.output());
            }
            self.listens(port.number())
        });
        server
    }

    fn listens(&self, port: u16) -> bool {
        match self {
            Ground::Kernel => super::kernel_tcp::rows().iter().any(|r| r.listens_on(port)),
            Ground::Shim(session) => session
                .sockets()
                .iter()
                .any(|row| row.state == "LISTEN" && row.local.port() == port),
        }
    }

    /// A port for a server.
    pub(crate) fn port(&self) -> Port {
        Port::reserve(self)
    }

    /// What our stack holds; `None` on the kernel.
    pub(crate) fn status(&self) -> Option<Status> {
        match self {
            Ground::Kernel => None,
            Ground::Shim(session) => Some(session.status()),
        }
    }
}

/// Waits for the end of `program` and returns what it wrote.
///
/// # Panics
/// When it fails or takes for ever, with what it wrote.
pub(crate) fn finish(name: &str, program: &mut Program) -> String {
    let status = program.wait(JOB_LIMIT);
    let output = program.output();
    assert!(status.is_some_and(|s| s.success()), "{name}: {}:\n{output}", describe(status));
    output
}

/// A port for a server. Under the shim the kernel's port of that number is taken (bound, not
/// listening) meanwhile: a server that fell through to the kernel would fail with EADDRINUSE, and
/// nobody else on this machine can make the port appear in `/proc/net/tcp`.
pub(crate) struct Port {
    number: u16,
    _reserved: Option<Socket>,
}

impl Port {
    fn reserve(ground: &Ground) -> Port {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket of the kernel");
        let any = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
        socket.bind(&any.into()).expect("the kernel has a free port");
        let address = socket.local_addr().expect("a bound socket has an address");
        let number = address.as_socket().expect("it is an IP socket").port();
        let _reserved = matches!(ground, Ground::Shim(_)).then_some(socket);
        Port { number, _reserved }
    }

    /// Its number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number.fmt(f)
    }
}

/// A directory for one test, removed at its end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Directory {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("directory-{}-{count}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("a directory can be made in the target directory");
        Directory(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Path of `name` in it, as the command lines want it.
    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("the target directory's path is UTF-8").to_owned()
    }

    /// Writes a file of `octets` octets that repeat nowhere near, and returns its path.
    pub(crate) fn filled(&self, name: &str, octets: usize) -> String {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut data = Vec::with_capacity(octets + 8);
        while data.len() < octets {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            data.extend_from_slice(&state.to_le_bytes());
        }
        data.truncate(octets);
        let path = self.file(name);
        std::fs::write(&path, data).expect("a file can be written in the target directory");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What a program left open or running may still be written; the next `cargo clean` has it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether two files hold the same octets.
pub(crate) fn same_octets(one: &str, other: &str) -> bool {
    let read = |path| std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    read(one) == read(other)
}

/// Path of a file beside the tests.
pub(crate) fn source(name: &str) -> String {
    format!("{}/tests/programs/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Where `program` is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // nginx lives where a user's PATH may not lead.
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    directories.map(|d| d.join(program)).find(|p| p.is_file())
}

fn asked(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}

/// Says, visibly also in a run that passes and once more at its end, that this test does nothing.
///
/// # Panics
/// With `TCPLAB_REQUIRE_PROGRAMS=1`, where nothing may be skipped.
pub(crate) fn skip(reason: &str) {
    static AT_EXIT: Once = Once::new();
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("?");
    assert!(!asked("TCPLAB_REQUIRE_PROGRAMS"), "{test} cannot run: {reason}");
    let line = format!("SKIPPED {test}: {reason}\n");
    // Not eprint!(): the test harness swallows that.
    let _ = std::io::stderr().write_all(line.as_bytes());
    SKIPPED.lock().expect("no one panics with the list").push(line);
    AT_EXIT.call_once(|| {
        // SAFETY: registers a function without arguments that lives as long as the program.
        unsafe { libc::atexit(list_skipped) };
    });
}

static SKIPPED: Mutex<Vec<String>> = Mutex::new(Vec::new());

extern "C" fn list_skipped() {
    if let Ok(lines) = SKIPPED.lock() {
        let text = format!("\n{} test(s) did nothing:\n{}", lines.len(), lines.concat());
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}
