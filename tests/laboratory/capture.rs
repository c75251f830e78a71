//! `tcplab capture`: what independent tools (capinfos, tshark) read in its files.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::common::{Program, Session, compile, skip, tcplab_path, wait_for};

const LIMIT: Duration = Duration::from_secs(60);

/// A file that goes with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        Scratch(directory.join(format!("{}-{count}-{name}", std::process::id())))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path of ours")
    }

    fn len(&self) -> u64 {
        std::fs::metadata(&self.0).map_or(0, |data| data.len())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the capture is {}", self.0.display());
        } else {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}

/// `tcplab` with these words, running, its output in a file.
fn tcplab(session: &Session, words: &[&str]) -> Program {
    let mut command = Command::new(tcplab_path());
    command.args(words).env("TCPLAB_SESSION", session.name());
    Program::start(command).expect("tcplab can be started")
}

/// A capture to a file, which has begun.
fn capture(session: &Session, file: &Scratch, words: &[&str]) -> Program {
    let capture = tcplab(session, &[&["capture", "-w", file.path()], words].concat());
    wait_for("the capture to begin", || file.len() > 0);
    capture
}

/// Ends it, and gives what it said.
fn interrupt(mut program: Program) -> String {
    program.signal(libc::SIGINT);
    let status = program.wait(LIMIT);
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", program.output());
    program.output()
}

/// An echo server, and the port it listens on.
fn serve(session: &Session) -> (Program, String) {
    let server = session.spawn(compile("examples/correct_server.c", &[]), ["0"]);
    let port = server.listening_port().to_string();
    (server, port)
}

fn exchange(session: &Session, words: &[&str]) {
    let mut client = session.spawn(compile("examples/client.c", &[]), words);
    assert_eq!(client.wait(LIMIT).and_then(|s| s.code()), Some(0), "{}", client.output());
}

/// What a tool of Wireshark's writes, without a word on stderr.
fn read_with(tool: &str, words: &[&str]) -> Option<String> {
    let output = match Command::new(tool).args(words).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => {
            skip(&format!("the file was not read: {tool}: {error}"));
            return None;
        }
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    let mut errors = errors.lines().filter(|line| !line.starts_with("Running as user"));
    assert_eq!(errors.next(), None, "{tool}");
    assert!(output.status.success(), "{tool}: {}", output.status);
    Some(String::from_utf8(output.stdout).expect("tools write UTF-8"))
}

/// One packet as tshark sees it.
#[derive(Debug)]
struct Packet {
    interface: String,
    flags: u16,
    text_len: usize,
    checksums: [String; 2],
    comment: String,
    captured: usize,
    len: usize,
}

impl Packet {
    const FIELDS: [&'static str; 8] = [
        "frame.interface_name",
        "tcp.flags",
        "tcp.len",
        "ip.checksum.status",
        "tcp.checksum.status",
        "frame.cap_len",
        "frame.len",
        "frame.comment",
    ];

    fn parse(line: &str) -> Option<Packet> {
        let mut words = line.split('\t').map(str::to_owned);
        Some(Packet {
            interface: words.next()?,
            flags: u16::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?,
            text_len: words.next()?.parse().ok()?,
            checksums: [words.next()?, words.next()?],
            captured: words.next()?.parse().ok()?,
            len: words.next()?.parse().ok()?,
            comment: words.next()?,
        })
    }

    fn is_fin(&self) -> bool {
        self.flags & 1 != 0
    }

    fn has_right_checksums(&self) -> bool {
        // Of IPv6 there is no checksum of the header.
        self.checksums.iter().all(|status| ["1", "Good", ""].contains(&status.as_str()))
    }
}

fn packets(file: &Scratch) -> Option<Vec<Packet>> {
    let mut words = vec!["-r", file.path(), "-o", "tcp.check_checksum:TRUE"];
    words.extend(["-o", "ip.check_checksum:TRUE", "-T", "fields"]);
    words.extend(Packet::FIELDS.iter().flat_map(|field| ["-e", field]));
    let text = read_with("tshark", &words)?;
    let packet = |line: &str| Packet::parse(line).unwrap_or_else(|| panic!("tshark: {line}"));
    Some(text.lines().map(packet).collect())
}

#[test]
fn a_capture_is_plain_tcp_with_right_checksums_and_tells_states_and_programs() {
    let session = Session::with_sysctls(&[]);
    let file = Scratch::new("plain.pcapng");
    let (_server, port) = serve(&session);
    let capture = capture(&session, &file, &["--port", &port]);
    exchange(&session, &["-n", "300000", &port]);
    let said = interrupt(capture);
    let Some(packets) = packets(&file) else { return };
    assert!(said.contains(&format!("{} packets captured\n", packets.len())), "{said}");
    assert!(packets.iter().all(Packet::has_right_checksums), "{packets:#?}");
    assert_eq!(packets.iter().map(|packet| packet.text_len).sum::<usize>(), 2 * 300_000);
    assert!(packets.iter().all(|packet| packet.captured == packet.len));
    let out = format!("{}:out", session.name());
    assert!(packets.iter().all(|packet| packet.interface == out));
    for (place, comment) in [
        (0, "client: client["),
        (0, "server: correct_server["),
        (0, "client: CLOSED -> SYN-SENT  (connect())"),
        (0, "server: LISTEN -> SYN-RECV"),
        (1, "client: SYN-SENT -> ESTAB"),
        (2, "server: SYN-RECV -> ESTAB"),
    ] {
        assert!(packets[place].comment.contains(comment), "{:?}", packets[place]);
    }
    let fins: Vec<&Packet> = packets.iter().filter(|packet| packet.is_fin()).collect();
    assert!(fins[0].comment.contains("server: ESTAB -> CLOSE-WAIT"), "{fins:?}");
    assert!(fins[1].comment.contains("client: FIN-WAIT-2 -> TIME-WAIT"), "{fins:?}");
    let last = packets.last().expect("there are packets");
    assert!(last.comment.contains("server: LAST-ACK -> CLOSED"), "{last:?}");
}

#[test]
fn capinfos_finds_a_file_in_order_with_two_interfaces() {
    let session = Session::with_sysctls(&[]);
    let file = Scratch::new("infos.pcapng");
    let (_server, port) = serve(&session);
    let capture = capture(&session, &file, &[]);
    exchange(&session, &[&port, "hello"]);
    interrupt(capture);
    let Some(text) = read_with("capinfos", &[file.path()]) else { return };
    for expected in ["Raw IP", "nanoseconds (9)", "tcplab ", "Number of interfaces in file: 2"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let order = text.lines().find(|line| line.starts_with("Strict time order"));
    assert!(order.is_some_and(|line| line.ends_with("True")), "{text}");
    for end in ["out", "in"] {
        assert!(text.contains(&format!("Name = {}:{end}\n", session.name())), "{text}");
    }
}

#[test]
fn a_dropped_segment_is_in_the_file_and_its_comment_says_who_dropped_it() {
    let session = Session::with_sysctls(&[]);
    let (sender, both) = (Scratch::new("sender.pcapng"), Scratch::new("both.pcapng"));
    let (_server, port) = serve(&session);
    session.tcplab(["rule", "add", "drop fin from client nth 1"]);
    let captures = [capture(&session, &sender, &[]), capture(&session, &both, &["--at", "both"])];
    exchange(&session, &[&port, "hello"]);
    for capture in captures {
        interrupt(capture);
    }
    let Some(packets_sent) = packets(&sender) else { return };
    let fins: Vec<&Packet> = packets_sent.iter().filter(|packet| packet.is_fin()).collect();
    assert_eq!(fins.len(), 3, "{packets_sent:#?}");
    assert!(fins[0].comment.contains("dropped by rule 1"), "{fins:?}");
    assert!(fins[0].comment.contains("client: ESTAB -> FIN-WAIT-1"), "{fins:?}");
    assert!(fins[1].comment.contains("retransmission"), "{fins:?}");
    assert!(fins[1].comment.contains("server: ESTAB -> CLOSE-WAIT"), "{fins:?}");
    let Some(packets) = packets(&both) else { return };
    let (out, r#in): (Vec<_>, Vec<_>) =
        packets.iter().partition(|packet| packet.interface.ends_with(":out"));
    assert_eq!(out.len(), r#in.len() + 1, "all but one arrive");
    assert!(packets.iter().all(Packet::has_right_checksums));
}

#[test]
fn of_long_segments_only_the_wanted_octets_are_in_the_file() {
    const SNAP_LEN: usize = 64;
    let session = Session::with_sysctls(&[]);
    let file = Scratch::new("short.pcapng");
    let (_server, port) = serve(&session);
    let capture = capture(&session, &file, &["-s", &SNAP_LEN.to_string()]);
    exchange(&session, &["-n", "100000", &port]);
    interrupt(capture);
    let Some(packets) = packets(&file) else { return };
    assert!(packets.iter().all(|packet| packet.captured <= SNAP_LEN + 20));
    assert!(packets.iter().any(|packet| packet.len > 10_000), "{packets:#?}");
    assert_eq!(packets.iter().map(|packet| packet.text_len).sum::<usize>(), 2 * 100_000);
}

#[test]
fn ipv6_is_captured_as_ipv6() {
    let session = Session::with_sysctls(&[]);
    let file = Scratch::new("v6.pcapng");
    let capture = capture(&session, &file, &[]);
    let listen = "TCP6-LISTEN:0,bind=[::1]";
    let Ok(socat) = Command::new("socat").arg("-V").output() else {
        return skip("socat is not installed");
    };
    assert!(socat.status.success());
    let mut server = session.spawn("socat", ["-u", listen, "OPEN:/dev/null,wronly"]);
    let mut port = String::new();
    wait_for("socat to listen", || {
        let sockets = session.sockets();
        let listener = sockets.iter().find(|socket| socket.state == "LISTEN");
        port = listener.map(|socket| socket.local.port().to_string()).unwrap_or_default();
        !port.is_empty()
    });
    let peer = format!("TCP6:[::1]:{port}");
    let mut client = session.spawn("socat", ["-u", "SYSTEM:echo hello", &peer]);
    assert!(client.wait(LIMIT).is_some(), "{}", client.output());
    assert!(server.wait(LIMIT).is_some(), "{}", server.output());
    interrupt(capture);
    let Some(packets) = packets(&file) else { return };
    assert!(packets.len() >= 7, "{packets:#?}");
    assert!(packets.iter().all(Packet::has_right_checksums), "{packets:#?}");
    let Some(text) = read_with("tshark", &["-r", file.path(), "-Y", "ipv6"]) else { return };
    assert_eq!(text.lines().count(), packets.len());
}

#[test]
fn run_captures_the_whole_life_of_its_program() {
    let session = Session::with_sysctls(&[]);
    let file = Scratch::new("run.pcapng");
    let (_server, port) = serve(&session);
    let client = compile("examples/client.c", &[]);
    let client = client.to_str().expect("a path of ours");
    session.tcplab(["run", "--capture", file.path(), "--", client, &port, "hello"]);
    let Some(packets) = packets(&file) else { return };
    assert_eq!(packets[0].flags & 0x3f, 2, "it begins with a SYN");
    assert_eq!(packets.iter().filter(|packet| packet.is_fin()).count(), 2);
    assert!(packets.last().is_some_and(|last| last.comment.contains("LAST-ACK -> CLOSED")));
}

#[test]
fn a_capture_is_whole_when_the_stack_ends_under_it() {
    let session = Session::with_sysctls(&[]);
    let file = Scratch::new("down.pcapng");
    let (_server, port) = serve(&session);
    let mut capture = capture(&session, &file, &[]);
    exchange(&session, &[&port, "hello"]);
    session.tcplab(["down"]);
    assert_eq!(capture.wait(LIMIT).and_then(|s| s.code()), Some(0), "{}", capture.output());
    let Some(packets) = packets(&file) else { return };
    assert_eq!(packets.iter().filter(|packet| packet.is_fin()).count(), 2, "{packets:#?}");
}

#[test]
fn a_segment_that_is_corrupted_on_its_way_is_told_at_both_points() {
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve(&session);
    session.tcplab(["rule", "add", "corrupt data from client nth 1"]);
    let file = Scratch::new("corrupt.pcapng");
    let capture = capture(&session, &file, &["--at", "both"]);
    exchange(&session, &[&port, "hello"]);
    interrupt(capture);
    let Some(packets) = packets(&file) else { return };
    let (wrong, right): (Vec<_>, Vec<_>) =
        packets.iter().partition(|packet| !packet.has_right_checksums());
    assert_eq!(wrong.len(), 1, "{packets:#?}");
    assert!(wrong[0].interface.ends_with(":in") && wrong[0].comment.contains("bad checksum"));
    let sent = right.iter().find(|packet| packet.comment.contains("corrupted by rule 1"));
    assert!(sent.is_some_and(|packet| packet.interface.ends_with(":out")), "{right:#?}");
}

#[test]
fn without_a_file_segments_and_states_are_printed_and_the_count_ends_it() {
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve(&session);
    let mut capture = tcplab(&session, &["capture", "--port", &port, "-c", "3"]);
    wait_for("the capture to begin", || capture.output().contains("capturing in session"));
    exchange(&session, &[&port, "hello"]);
    assert_eq!(capture.wait(LIMIT).and_then(|status| status.code()), Some(0));
    let text = capture.output();
    let flags: Vec<&str> =
        text.lines().filter_map(|line| line.split("Flags [").nth(1)?.split(']').next()).collect();
    assert_eq!(flags, ["S", "S.", "."], "{text}");
    for expected in ["CLOSED -> SYN-SENT  (connect())", "LISTEN -> SYN-RECV  (rcv SYN)"] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_capture_that_nobody_reads_costs_bounded_memory_and_tells_its_losses() {
    let session = Session::with_sysctls(&[]);
    let (_server, port) = serve(&session);
    let mut command = Command::new(tcplab_path());
    command.args(["capture", "-w", "-"]).env("TCPLAB_SESSION", session.name());
    let errors = Scratch::new("errors");
    let file = std::fs::File::create(&errors.0).expect("a file can be written there");
    let mut capture = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file)
        .spawn()
        .expect("tcplab can be started");
    wait_for("the capture to begin", || errors.len() > 0);
    exchange(&session, &["-n", "40000000", &port]);
    let resident_mib = session.status().resident_kib / 1024;
    assert!(resident_mib < 200, "the stack keeps {resident_mib} MiB");
    // SAFETY: kill() has no memory effects; the child is not reaped, so the pid is its own.
    unsafe { libc::kill(capture.id().cast_signed(), libc::SIGINT) };
    let mut octets = capture.stdout.take().expect("it was piped");
    let read = std::io::copy(&mut octets, &mut std::io::sink()).expect("a pipe can be read");
    assert!(capture.wait().expect("the child is ours").success());
    let said = std::fs::read_to_string(&errors.0).expect("the file is there");
    assert!(said.contains(" lost, because"), "of 80 MB {read} octets came, and it said: {said}");
}
