//! Where a scenario runs: under the shim in a session of its own, or, with `TCPLAB_NATIVE=1`, on
//! the kernel's TCP in a network namespace of its own, which proves the scenario itself: the same
//! programs, the same calls, the same assertions.
//!
//! Deliberately no expectations: these are in the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tcplab::inspect::SocketRow;

use crate::actor::{Actor, Pair};
use crate::capture::Capture;
use crate::common::{Program, Session, compile, describe, skip, wait_for};

/// Longest run of a program that does its job and ends.
const JOB_LIMIT: Duration = Duration::from_secs(20);

/// Whose TCP the programs of a scenario use.
pub(crate) enum Ground {
    /// The kernel's.
    Kernel(Namespace),
    /// Ours.
    Shim(Session),
}

/// A socket with its holders, as `tcplab ss --json` tells.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(crate) struct Socket {
    /// What the stack says.
    #[serde(flatten)]
    pub(crate) row: SocketRow,
    /// Who holds it; always empty on the kernel.
    pub(crate) holders: Vec<Holder>,
}

/// One descriptor of a socket.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(crate) struct Holder {
    /// Process.
    pub(crate) pid: u32,
    /// Descriptor in it.
    pub(crate) fd: u32,
}

impl Ground {
    /// The ground that the environment asks for, with these sysctls; `None`, with a notice, where
    /// it cannot be had. `net.tcplab.*` are ours only.
    pub(crate) fn new(sysctls: &[(&str, &str)]) -> Option<Ground> {
        if std::env::var_os("TCPLAB_NATIVE").is_none_or(|value| value != "1") {
            return Some(Ground::Shim(Session::traced(sysctls)));
        }
        let Some(namespace) = Namespace::new() else {
            skip("TCPLAB_NATIVE=1 needs unshare, nsenter, ip and the right to use them");
            return None;
        };
        let ground = Ground::Kernel(namespace);
        for (name, value) in sysctls.iter().filter(|(name, _)| !name.starts_with("net.tcplab.")) {
            ground.sysctl(name, value);
        }
        Some(ground)
    }

    /// Sets a sysctl.
    ///
    /// # Panics
    /// When it is refused.
    pub(crate) fn sysctl(&self, name: &str, value: &str) {
        match self {
            Ground::Kernel(_) => drop(self.run("sysctl", ["-qw", &format!("{name}={value}")])),
            Ground::Shim(session) => session.sysctl(name, value),
        }
    }

    /// Our session, where it is ours.
    pub(crate) fn session(&self) -> Option<&Session> {
        match self {
            Ground::Kernel(_) => None,
            Ground::Shim(session) => Some(session),
        }
    }

    /// `program`, to be run here.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Ground::Kernel(namespace) => namespace.command(program),
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

    /// A program that makes the calls it is told.
    pub(crate) fn actor(&self) -> Actor {
        Actor::start(self.command(built("tests/scenarios/actor.c")))
    }

    /// Two actors with a connection between them.
    pub(crate) fn pair(&self) -> Pair<'_> {
        Pair::connected(self)
    }

    /// Every socket here. On the kernel, what `/proc/net/tcp` tells.
    pub(crate) fn sockets(&self) -> Vec<Socket> {
        match self {
            Ground::Kernel(namespace) => namespace.sockets(),
            Ground::Shim(session) => {
                let text = session.tcplab(["ss", "-a", "--json"]);
                serde_json::from_str(&text).unwrap_or_else(|e| panic!("ss --json: {e}: {text}"))
            }
        }
    }

    /// The one socket with this local and, if any, this remote address.
    ///
    /// # Panics
    /// When there are several.
    pub(crate) fn socket(&self, local: SocketAddr, peer: Option<SocketAddr>) -> Option<Socket> {
        let mut sockets = self.sockets();
        sockets.retain(|socket| socket.row.local == local && socket.row.peer == peer);
        assert!(sockets.len() < 2, "one 4-tuple, one socket: {sockets:?}");
        sockets.pop()
    }

    /// Sockets in `state`.
    pub(crate) fn in_state(&self, state: &str) -> Vec<Socket> {
        self.sockets().into_iter().filter(|socket| socket.row.state == state).collect()
    }

    /// Waits until `count` sockets are in `state`.
    pub(crate) fn await_count(&self, state: &str, count: usize) -> Vec<Socket> {
        let mut found = Vec::new();
        wait_for(&format!("{count} sockets in {state}"), || {
            found = self.in_state(state);
            found.len() == count
        });
        found
    }

    /// A counter by its name in `nstat`.
    ///
    /// # Panics
    /// When there is none of that name.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let counters = match self {
            Ground::Kernel(namespace) => namespace.counters(),
            Ground::Shim(session) => session.status().counters,
        };
        let found = counters.iter().find(|(counter, _)| counter == name);
        found.unwrap_or_else(|| panic!("no counter {name}: {counters:?}")).1
    }

    /// A capture of all segments here; `None`, with a notice, where that is not allowed.
    pub(crate) fn capture(&self) -> Option<Capture> {
        Capture::start(self)
    }
}

/// A C program, compiled once in a run, however many tests want it at the same time.
pub(crate) fn built(source: &'static str) -> PathBuf {
    static PROGRAMS: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    // A test that failed to compile a program has said so.
    let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    programs.entry(source).or_insert_with(|| compile(source, &[])).clone()
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

/// `127.0.0.1:port`
pub(crate) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A network namespace with a loopback interface; ends with this value.
pub(crate) struct Namespace {
    /// Keeps the namespace until its standard input is closed.
    keeper: Child,
}

impl Namespace {
    fn new() -> Option<Namespace> {
        let mut keeper = Command::new("unshare")
            .args(["-n", "sh", "-c", "ip link set lo up && echo up && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let output = keeper.stdout.take().expect("it was piped");
        BufReader::new(output).read_line(&mut line).ok()?;
        let namespace = Namespace { keeper };
        (line == "up\n").then_some(namespace)
    }

    /// Its file in `/proc`.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.keeper.id())
    }

    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path())).arg("--").arg(program);
        command
    }

    fn read(&self, table: &str) -> String {
        let path = format!("/proc/{}/net/{table}", self.keeper.id());
        std::fs::read_to_string(Path::new(&path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    fn sockets(&self) -> Vec<Socket> {
        let rows = self.read("tcp");
        // The file comes in pieces: a table that changes meanwhile may show a socket twice.
        let mut seen = BTreeSet::new();
        let sockets = rows.lines().skip(1).map(|l| kernel_socket(l).expect("a row of tcp(4)"));
        sockets.filter(|socket| seen.insert((socket.row.local, socket.row.peer))).collect()
    }

    /// `Tcp: names` and `Tcp: values`, line by line.
    fn counters(&self) -> Vec<(String, u64)> {
        let text = self.read("snmp") + &self.read("netstat");
        let lines: Vec<&str> = text.lines().collect();
        let mut counters = Vec::new();
        for pair in lines.chunks_exact(2) {
            let group = pair[0].split(':').next().unwrap_or_default();
            let (names, values) = (pair[0].split(' '), pair[1].split(' '));
            for (name, value) in names.zip(values).skip(1) {
                // Some are negative (TcpMaxConn); nobody asks for them.
                counters.push((format!("{group}{name}"), value.parse().unwrap_or(0)));
            }
        }
        counters
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// One line of `/proc/net/tcp`.
fn kernel_socket(line: &str) -> Option<Socket> {
    const STATES: [&str; 13] = [
        "",
        "ESTAB",
        "SYN-SENT",
        "SYN-RECV",
        "FIN-WAIT-1",
        "FIN-WAIT-2",
        "TIME-WAIT",
        "UNCONN",
        "CLOSE-WAIT",
        "LAST-ACK",
        "LISTEN",
        "CLOSING",
        "SYN-RECV",
    ];
    let mut words = line.split_whitespace().skip(1);
    let local = kernel_address(words.next()?)?;
    let peer = kernel_address(words.next()?)?;
    let state = STATES.get(usize::from_str_radix(words.next()?, 16).ok()?)?;
    let (send_q, recv_q) = words.next()?.split_once(':')?;
    let row = SocketRow {
        id: String::new(),
        state: (*state).to_owned(),
        recv_q: u64::from_str_radix(recv_q, 16).ok()?,
        send_q: u64::from_str_radix(send_q, 16).ok()?,
        local,
        peer: (peer.port() != 0).then_some(peer),
        v6only: false,
        timer: None,
        age_ms: 0,
        closed_first: None,
        reset: None,
        accepted: true,
        orphan: false,
        uid: 0,
        info: String::new(),
        usage: Default::default(),
    };
    Some(Socket { row, holders: Vec::new() })
}

fn kernel_address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let ip = u32::from_str_radix(ip, 16).ok()?.to_ne_bytes();
    Some((ip, u16::from_str_radix(port, 16).ok()?).into())
}
