//! What an independent decoder sees on the loopback: complete TCP segments in UDP datagrams.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::{Program, wait_for};
use crate::ground::{Directory, Ground, finish, skip};
use crate::kernel_tcp::Watch;

const OCTETS: usize = 250_000;
const SENTENCE: &str = "a sentence that can be found in the capture";

/// One decoded segment, from tshark's fields.
#[derive(Debug)]
struct Segment {
    source_port: u16,
    syn: bool,
    ack: bool,
    fin: bool,
    octets: usize,
    /// "1" or "Good", and what was sent and what is right.
    checksum: [String; 3],
}

impl Segment {
    const FIELDS: [&'static str; 8] = [
        "tcp.srcport",
        "tcp.flags.syn",
        "tcp.flags.ack",
        "tcp.flags.fin",
        "tcp.len",
        "tcp.checksum.status",
        "tcp.checksum",
        "tcp.checksum_calculated",
    ];

    fn parse(line: &str) -> Option<Segment> {
        let mut words = line.split('\t');
        let mut word = || words.next();
        let source_port = word()?.parse().ok()?;
        // "1" or "True", as the version goes.
        let mut flag = || word().map(|text| text == "1" || text == "True");
        let (syn, ack, fin) = (flag()?, flag()?, flag()?);
        let octets = word()?.parse().ok()?;
        let mut text = || word().unwrap_or_default().to_owned();
        Some(Segment { source_port, syn, ack, fin, octets, checksum: [text(), text(), text()] })
    }
}

/// A running capture of the loopback interface.
struct Capture {
    tshark: Program,
    file: String,
}

impl Capture {
    /// `None`, with a notice, where this user may not capture.
    fn start(directory: &Directory, filter: &str) -> Option<Capture> {
        let file = directory.file("capture.pcapng");
        // Datagrams to a port of our own tell when the capture has really begun.
        let probe = UdpSocket::bind(("127.0.0.1", 0)).expect("the kernel has a free port");
        let address = probe.local_addr().expect("a bound socket has an address");
        let filter = format!("{filter} or udp port {}", address.port());
        let mut command = Command::new("tshark");
        command.args(["-i", "lo", "-f", &filter, "-w", &file]);
        let mut tshark = Program::start(command).expect("tshark can be started");
        let mut refused = false;
        let mut empty_octets = None;
        wait_for("the capture to begin", || {
            refused = tshark.wait(Duration::from_millis(50)).is_some();
            let octets = std::fs::metadata(&file).map_or(0, |m| m.len());
            let begun = octets > *empty_octets.get_or_insert(octets);
            probe.send_to(b"probe", address).expect("the loopback takes a datagram");
            if octets == 0 {
                empty_octets = None;
            }
            refused || begun
        });
        if refused {
            skip(&format!("no right to capture: {}", tshark.output().trim_end()));
            return None;
        }
        Some(Capture { tshark, file })
    }

    /// Segments seen so far, by tshark's own decoding.
    fn segments(&self, decode: &[&str], filter: &str) -> Vec<Segment> {
        let mut command = Command::new("tshark");
        command.args(["-r", &self.file, "-o", "tcp.check_checksum:TRUE"]).args(decode);
        command.args(["-Y", filter, "-T", "fields"]);
        for field in Segment::FIELDS {
            command.args(["-e", field]);
        }
        let output = command.output().expect("tshark can be started");
        // The file may end in the middle of a packet while it is written; what is whole counts.
        String::from_utf8_lossy(&output.stdout).lines().filter_map(Segment::parse).collect()
    }
}

#[test]
fn tshark_decodes_the_datagrams_as_tcp() {
    let Some(ground) = Ground::with_programs(&["tshark", "socat"]) else { return };
    let (port, directory) = (ground.port(), Directory::new());
    let (filter, decode) = match ground.status() {
        Some(status) => {
            let udp = status.udp_port;
            (format!("udp port {udp}"), vec!["-d".into(), format!("udp.port=={udp},tcp")])
        }
        None => (format!("tcp port {port}"), Vec::new()),
    };
    let decode: Vec<&str> = decode.iter().map(String::as_str).collect();
    let Some(mut capture) = Capture::start(&directory, &filter) else { return };
    let watch = Watch::start(&ground, &port);
    transfer(&ground, &directory, &port);
    watch.finish();

    let on_port = format!("tcp.port=={port}");
    let mut segments = Vec::new();
    wait_for("both FINs and the last ACK in the capture", || {
        segments = capture.segments(&decode, &on_port);
        let last_fin = segments.iter().rposition(|s| s.fin);
        segments.iter().filter(|s| s.fin).count() >= 2 && last_fin < Some(segments.len() - 1)
    });
    let sentence = capture.segments(&decode, &format!("{on_port} && tcp contains \"{SENTENCE}\""));
    capture.tshark.signal(libc::SIGINT);
    finish("tshark", &mut capture.tshark);

    assert_eq!(sentence.len(), 1, "the request is in one segment");
    check(&segments, port.number(), &ground);
}

/// A client sends a sentence and its FIN; the server answers with [`OCTETS`] octets.
fn transfer(ground: &Ground, directory: &Directory, port: &crate::ground::Port) {
    let answer = directory.filled("answer", OCTETS);
    let request = directory.file("request");
    std::fs::write(&request, SENTENCE).expect("a file can be written there");
    let copy = directory.file("copy");
    let listen = format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr");
    let job = format!("SYSTEM:cat >/dev/null; cat {answer}");
    let mut server = ground.serve(port, "socat", ["-t", "30", &listen, &job]);
    let files = format!("OPEN:{request},rdonly!!CREATE:{copy}");
    ground.run("socat", ["-t", "30", &files, &format!("TCP:127.0.0.1:{port}")]);
    finish("socat", &mut server);
    assert!(Path::new(&copy).exists() && crate::ground::same_octets(&answer, &copy));
}

fn check(segments: &[Segment], port: u16, ground: &Ground) {
    let [first, second, third, ..] = segments else { panic!("too few segments: {segments:?}") };
    assert!(first.syn && !first.ack && first.source_port != port, "SYN: {first:?}");
    assert!(second.syn && second.ack && second.source_port == port, "SYN+ACK: {second:?}");
    assert!(!third.syn && third.ack && third.source_port != port, "ACK: {third:?}");
    let sent = |server: bool| -> usize {
        segments.iter().filter(|s| (s.source_port == port) == server).map(|s| s.octets).sum()
    };
    assert_eq!(sent(false), SENTENCE.len(), "octets of the client");
    assert_eq!(sent(true), OCTETS, "octets of the server");
    let fins: Vec<bool> =
        segments.iter().filter(|s| s.fin).map(|s| s.source_port == port).collect();
    assert_eq!(fins, [false, true], "the client's FIN, then the server's");
    if let Ground::Shim(_) = ground {
        // The kernel leaves its checksums on the loopback to hardware that is not there.
        let bad = segments.iter().find(|s| !["1", "Good"].contains(&s.checksum[0].as_str()));
        assert!(bad.is_none(), "checksum: {bad:?}");
    }
}
