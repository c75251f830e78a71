//! What passes on the loopback during a scenario: tcpdump writes it, tshark, an independent
//! decoder, reads it. Marks, datagrams to a port of our own, tell what had happened when.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::common::{Program, skip, wait_for};
use crate::ground::{Ground, Namespace};

/// Enough of each frame for all headers and for marks.
const SNAP_LENGTH: &str = "256";
/// Before the text of a mark: what the end of the capture is recognised by.
const MARK: &str = "tcplab mark: ";
const THE_END: &str = "the end";

/// One TCP segment.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Segment {
    /// Seconds since 1970.
    pub(crate) at: f64,
    pub(crate) from: u16,
    pub(crate) to: u16,
    /// "SYN", "SYN ACK", "FIN ACK", "RST" ...; PSH does not count.
    pub(crate) flags: String,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) octets: usize,
}

/// What was captured, in order.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Seen {
    Segment(Segment),
    Mark(String),
}

/// A running capture.
pub(crate) struct Capture {
    tcpdump: Program,
    file: PathBuf,
    marks: UdpSocket,
    marks_at: SocketAddr,
    /// UDP port of the segments; `None`: plain TCP.
    port: Option<u16>,
}

impl Capture {
    pub(crate) fn start(ground: &Ground) -> Option<Capture> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        if let Some(missing) = ["tcpdump", "tshark"].into_iter().find(|p| !installed(p)) {
            skip(&format!("segments not checked: {missing} is not installed"));
            return None;
        }
        let (marks, port) = match ground {
            Ground::Kernel(namespace) => (socket_in(namespace), None),
            Ground::Shim(session) => (udp_socket(), Some(session.status().udp_port)),
        };
        let marks_at = marks.local_addr().expect("a bound socket has an address");
        let segments = port.map_or("tcp".to_owned(), |port| format!("udp port {port}"));
        let file = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("capture-{}-{count}.pcap", std::process::id()));
        let mut command = match ground {
            Ground::Kernel(_) => ground.command("tcpdump"),
            Ground::Shim(_) => Command::new("tcpdump"),
        };
        command
            .args(["-i", "lo", "-s", SNAP_LENGTH, "-U", "--immediate-mode", "-Z", "root", "-w"])
            .arg(&file)
            .arg(format!("{segments} or udp port {}", marks_at.port()));
        let mut tcpdump = Program::start(command).expect("tcpdump can be started");
        let mut refused = false;
        wait_for("tcpdump to listen", || {
            refused = tcpdump.wait(Duration::ZERO).is_some();
            refused || tcpdump.output().contains("listening on")
        });
        if refused {
            skip(&format!("segments not checked: {}", tcpdump.output().trim_end()));
            return None;
        }
        Some(Capture { tcpdump, file, marks, marks_at, port })
    }

    /// Writes down that something happens now.
    pub(crate) fn mark(&self, what: &str) {
        let text = format!("{MARK}{what}");
        self.marks.send_to(text.as_bytes(), self.marks_at).expect("the loopback takes a datagram");
    }

    /// Ends the capture: everything that was sent until now.
    pub(crate) fn finish(mut self) -> Vec<Seen> {
        self.mark(THE_END);
        let end = format!("{MARK}{THE_END}");
        wait_for("the end of the capture", || {
            let octets = std::fs::read(&self.file).unwrap_or_default();
            octets.windows(end.len()).any(|window| window == end.as_bytes())
        });
        self.tcpdump.signal(libc::SIGINT);
        let _ = self.tcpdump.wait(Duration::from_secs(5));
        let dropped = self.tcpdump.output();
        assert!(dropped.contains("\n0 packets dropped by kernel"), "tcpdump: {dropped}");
        let mut seen = self.decode();
        seen.retain(|s| *s != Seen::Mark(THE_END.to_owned()));
        seen
    }

    fn decode(&self) -> Vec<Seen> {
        let mut command = Command::new("tshark");
        command.arg("-r").arg(&self.file).args(["-o", "tcp.desegment_tcp_streams:FALSE"]);
        if let Some(port) = self.port {
            command.args(["-d", &format!("udp.port=={port},tcp")]);
        }
        command.args(["-T", "fields"]);
        let fields = ["frame.time_epoch", "tcp.srcport", "tcp.dstport", "tcp.flags"];
        for field in fields.into_iter().chain(["tcp.seq_raw", "tcp.ack_raw", "tcp.len"]) {
            command.args(["-e", field]);
        }
        command.args(["-e", "udp.payload"]);
        let output = command.output().expect("tshark can be started");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tshark: {errors}");
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        lines.lines().map(|l| seen(l).unwrap_or_else(|| panic!("tshark: {l}"))).collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_file(&self.file);
        } else {
            eprintln!("the capture is {}, UDP port {:?}", self.file.display(), self.port);
        }
    }
}

/// The segments only.
pub(crate) fn segments(seen: &[Seen]) -> Vec<Segment> {
    let segment = |s: &Seen| if let Seen::Segment(s) = s { Some(s.clone()) } else { None };
    seen.iter().filter_map(segment).collect()
}

/// What was captured between two marks (`None`: the end).
///
/// # Panics
/// When a mark is not there.
pub(crate) fn between<'a>(seen: &'a [Seen], from: &str, to: Option<&str>) -> &'a [Seen] {
    let at = |mark: &str| {
        let found = seen.iter().position(|s| *s == Seen::Mark(mark.to_owned()));
        found.unwrap_or_else(|| panic!("no mark '{mark}': {seen:#?}"))
    };
    &seen[at(from) + 1..to.map_or(seen.len(), at)]
}

fn seen(line: &str) -> Option<Seen> {
    let mut words = line.split('\t');
    let mut word = || words.next();
    let at = word()?.parse().ok()?;
    let (from, to, flags) = (word()?, word()?, word()?);
    let (seq, ack, octets) = (word()?, word()?, word()?);
    if from.is_empty() {
        let text = unhex(&word()?.replace(':', ""))?;
        return Some(Seen::Mark(text.strip_prefix(MARK)?.to_owned()));
    }
    Some(Seen::Segment(Segment {
        at,
        from: from.parse().ok()?,
        to: to.parse().ok()?,
        flags: flag_names(u16::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?),
        seq: seq.parse().ok()?,
        ack: ack.parse().ok()?,
        octets: octets.parse().ok()?,
    }))
}

fn flag_names(bits: u16) -> String {
    let names = [(0x02, "SYN"), (0x01, "FIN"), (0x04, "RST"), (0x10, "ACK"), (0x20, "URG")];
    let names: Vec<&str> = names.iter().filter(|(bit, _)| bits & bit != 0).map(|n| n.1).collect();
    names.join(" ")
}

fn unhex(text: &str) -> Option<String> {
    let octet = |i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok();
    let octets: Option<Vec<u8>> = (0..text.len()).step_by(2).map(octet).collect();
    String::from_utf8(octets?).ok()
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: BTreeSet<PathBuf> =
        std::env::split_paths(&path).chain(["/usr/sbin".into()]).collect();
    directories.iter().any(|directory| directory.join(program).is_file())
}

fn udp_socket() -> UdpSocket {
    UdpSocket::bind(("127.0.0.1", 0)).expect("the kernel has a free port")
}

/// A socket lives in the namespace of the thread that made it, for ever.
fn socket_in(namespace: &Namespace) -> UdpSocket {
    let file = File::open(namespace.path()).expect("the namespace is there");
    let in_namespace = move || {
        use std::os::fd::AsRawFd as _;
        // SAFETY: setns() with a network namespace changes this new thread only.
        let entered = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(entered, 0, "{}", std::io::Error::last_os_error());
        udp_socket()
    };
    std::thread::spawn(in_namespace).join().expect("who may make the namespace may enter it")
}
