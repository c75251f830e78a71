//! The kernel's own TCP sockets, and a watch that sees whether programs under test have one.

// Every test binary uses its own part of this.
#![allow(dead_code)]

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::ground::{Ground, Port};

/// Pause between two looks.
const PERIOD: Duration = Duration::from_millis(25);
/// TCP_LISTEN as `/proc/net/tcp` prints it.
const LISTEN: &str = "0A";
/// TCP_TIME_WAIT.
const TIME_WAIT: &str = "06";

/// A row of `/proc/net/tcp` or `tcp6`.
#[derive(PartialEq, Eq)]
pub(crate) struct Row {
    local_port: u16,
    peer_port: u16,
    state: String,
}

impl Row {
    /// Reads `sl local_address rem_address st ...`.
    fn parse(line: &str) -> Option<Row> {
        let mut words = line.split_ascii_whitespace().skip(1);
        let mut port = || u16::from_str_radix(words.next()?.rsplit_once(':')?.1, 16).ok();
        let (local_port, peer_port) = (port()?, port()?);
        Some(Row { local_port, peer_port, state: words.next()?.to_owned() })
    }

    pub(crate) fn listens_on(&self, port: u16) -> bool {
        self.local_port == port && self.state == LISTEN
    }
}

/// Every TCP socket that the kernel lists.
pub(crate) fn rows() -> Vec<Row> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let text = read("/proc/net/tcp") + &read("/proc/net/tcp6");
    text.lines().filter_map(Row::parse).collect()
}

/// Looks again and again for TCP sockets of the kernel: any on the port, and any that a descendant
/// of this process holds, even one that is neither bound nor connected.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Seen>>,
    expected: Expected,
}

enum Expected {
    Some,
    None,
}

#[derive(Default)]
struct Seen {
    looks: u32,
    /// First socket seen.
    socket: Option<String>,
}

impl Watch {
    /// Begins to look.
    pub(crate) fn start(ground: &Ground, port: &Port) -> Watch {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, port) = (Arc::clone(&stop), port.number());
        let thread = std::thread::spawn(move || {
            let mut seen = Seen::default();
            // What others did on this port of the kernel within the last minute.
            let left_over: Vec<Row> = rows().into_iter().filter(|r| r.state == TIME_WAIT).collect();
            while !stopped.load(Ordering::Relaxed) {
                seen.socket =
                    seen.socket.or_else(|| on_port(port, &left_over)).or_else(of_descendants);
                seen.looks += 1;
                std::thread::sleep(PERIOD);
            }
            seen
        });
        let expected = match ground {
            Ground::Kernel => Expected::Some,
            Ground::Shim(_) => Expected::None,
        };
        Watch { stop, thread: Some(thread), expected }
    }

    /// Ends it.
    ///
    /// # Panics
    /// When a socket was seen under the shim; or none on the kernel, where there must be some.
    pub(crate) fn finish(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("finish() comes once");
        let seen = thread.join().expect("looking does not panic");
        assert!(seen.looks > 0, "nobody looked at the kernel's sockets");
        match (&self.expected, seen.socket) {
            (Expected::None, Some(socket)) => panic!("the kernel's TCP was in use: {socket}"),
            (Expected::Some, None) => panic!("{} looks saw no TCP socket", seen.looks),
            _ => {}
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn on_port(port: u16, left_over: &[Row]) -> Option<String> {
    rows().into_iter().find_map(|row| {
        let Row { local_port, peer_port, state } = &row;
        let on_port = *local_port == port || *peer_port == port;
        (on_port && !left_over.contains(&row))
            .then(|| format!("port {local_port} to port {peer_port}, state {state}"))
    })
}

fn of_descendants() -> Option<String> {
    let own_exe = fs::read_link("/proc/self/exe").ok();
    for pid in descendants_under(std::process::id(), |pid| !is_observer(pid)) {
        let directory = format!("/proc/{pid}");
        let exe = fs::read_link(Path::new(&directory).join("exe")).ok();
        // Between fork() and exec() a child holds copies of this process's own descriptors.
        if exe.is_none() || exe == own_exe {
            continue;
        }
        for entry in fs::read_dir(format!("{directory}/fd")).into_iter().flatten().flatten() {
            if let Some(protocol) = protocol(&entry.path()).filter(|p| p.starts_with("TCP")) {
                let (exe, fd) = (exe.unwrap_or_default(), entry.file_name());
                return Some(format!("{protocol}: {} pid {pid} fd {fd:?}", exe.display()));
            }
        }
    }
    None
}

/// Protocol of the socket behind a link in `/proc/PID/fd`, as the kernel names it.
fn protocol(link: &Path) -> Option<String> {
    if !fs::read_link(link).ok()?.to_str()?.starts_with("socket:") {
        return None;
    }
    let mut name = [0u8; 32];
    let length = rustix::fs::getxattr(link, "system.sockprotoname", &mut name[..]).ok()?;
    Some(String::from_utf8_lossy(&name[..length]).trim_end_matches('\0').to_owned())
}

/// Whether a process only looks on: tshark's helpers open sockets of their own.
fn is_observer(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("tshark"))
}

/// Every process that descends from `root`.
pub(crate) fn descendants(root: u32) -> Vec<u32> {
    descendants_under(root, |_| true)
}

/// Every process that descends from `root`, without those that `enters` refuses and theirs.
fn descendants_under(root: u32, enters: impl Fn(u32) -> bool) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        let children = children.remove(pid).unwrap_or_default();
        found.extend(children.into_iter().filter(|&pid| enters(pid)));
        next += 1;
    }
    found.split_off(1)
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // `pid (name) state parent`: the name may contain anything.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}
