//! `tcplab capture`: the segments of a session as a file that Wireshark opens with nothing to set,
//! or as text, live.
//!
//! The stack tells records and octets, the library makes packets and lines of them
//! ([`tcplab::capture`]); here is what is asked for, and where it goes.

use core::time::Duration;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use clap::{Args, ValueEnum};
use tcplab::capture::pcapng::{self, MAX_PACKET, Statistics};
use tcplab::capture::text::{Counting, Text, Verbosity};
use tcplab::capture::{Annotator, Clock, Direction, Packet, Point};
use tcplab::client::{Client, this_program};
use tcplab::inspect::watch::{Bulk, Ends, Line, OctetsWanted, Subscription, Told};
use tcplab::ipc::names::Session;
use tcplab::trace::{Numbers, What};
use tcplab::watch::{Began, Watch};

use super::follow::{self, Moment, Sink, Stream, Want, follow};
use super::units::parse_duration;
use super::{Failure, Outcome, notice};

/// Interfaces of the file, in their order.
const INTERFACES: [Direction; 2] = [Direction::Out, Direction::In];

/// Capture the session's segments to a file for Wireshark, or as text
///
/// The file is pcapng with the segments as plain TCP over IP, whatever carried them. Comments tell
/// what octets do not: the programs, retransmissions, why a RST was sent, what netem and rules did,
/// which change of state a segment made. Until interrupted, or as -c and --duration say.
///
/// A segment is written as its sender gave it to the link, on interface SESSION:out; one that was
/// dropped there says so in its comment. With --at receiver it is written as it arrived, after netem
/// and rules, on SESSION:in; with --at both on both, and Wireshark takes the second for a
/// retransmission.
///
/// Without -w: text as tcpdump's, and between the segments changes of state, timers (-v), and why
/// segments were dropped.
#[derive(Args)]
#[command(after_help = "Examples:
  tcplab capture -w file.pcapng           until interrupted
  tcplab capture --port 8080              text
  tcplab capture -w - | tshark -r - -T fields -e frame.comment
  tcplab run --capture file.pcapng -- ./client
  tshark -r file.pcapng -Y 'frame.comment contains \"dropped\"'")]
pub(super) struct Arguments {
    /// Write pcapng to this file, `-` for stdout
    #[arg(short, value_name = "FILE")]
    write: Option<std::path::PathBuf>,
    /// Connections, by one end or both: 127.0.0.1:8080, :8080, :40000-:8080; may be repeated
    #[arg(long, value_name = "CONN")]
    conn: Vec<Ends>,
    /// Connections with this port at one end; may be repeated
    #[arg(long, value_name = "PORT")]
    port: Vec<u16>,
    /// End after so many packets
    #[arg(short, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Octets of each segment at most
    #[arg(short, value_name = "SNAPLEN", default_value_t = MAX_PACKET,
          value_parser = clap::value_parser!(u32).range(1..=262_144))]
    snap_len: u32,
    /// End after this time: 500ms, 10s, 1m30s
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Where segments are looked at
    #[arg(long, value_enum, value_name = "POINT", default_value_t = At::Sender)]
    at: At,
    /// Time of packets: real time, or the stack's own (see `tcplab clock`)
    #[arg(long, value_enum, value_name = "CLOCK", default_value_t = ClockName::Wall)]
    clock: ClockName,
    /// Sequence numbers as on the wire, in text
    #[arg(short = 'S')]
    absolute: bool,
    /// Timers and what was done to the stack, too, in text
    #[arg(short, long)]
    verbose: bool,
    /// Numbers; names are never shown (taken for the sake of `tcpdump -n`)
    #[arg(short, long)]
    numeric: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum At {
    /// As they were sent
    Sender,
    /// As they arrived
    Receiver,
    /// Both
    Both,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ClockName {
    /// Wall-clock time
    Wall,
    /// Stack time, counted from the wall-clock time at which the stack began
    Stack,
}

impl Arguments {
    fn ends(&self) -> Vec<Ends> {
        let ports = self.port.iter().copied().map(Ends::port);
        self.conn.iter().copied().chain(ports).collect()
    }

    fn at(&self) -> Point {
        match self.at {
            At::Sender => Point::Sender,
            At::Receiver => Point::Receiver,
            At::Both => Point::Both,
        }
    }

    fn clock(&self) -> Clock {
        match self.clock {
            ClockName::Wall => Clock::Wall,
            ClockName::Stack => Clock::Stack,
        }
    }
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Outcome {
    Client::connect_or_start(session, &this_program()?)?;
    let stop = follow::stop_signals()?;
    let until = arguments.duration.map(|duration| Instant::now() + duration);
    match &arguments.write {
        None => {
            let subscription =
                Subscription { since: Some(0), bulk: Bulk::Recorded, ..Subscription::default() };
            let (watch, began) = Watch::open(session, &subscription)?;
            tell_begin(session);
            let mut sink = Printer::new(&began, arguments);
            follow::tell_end(follow(watch, Some(&stop), until, &mut sink)?);
        }
        Some(path) => {
            let out = open(path)?;
            let wanted =
                OctetsWanted { at: arguments.at(), most: arguments.snap_len, of: arguments.ends() };
            let (watch, mut sink) = writer(session, out, wanted, arguments.clock())?;
            tell_begin(session);
            sink.most = arguments.count.unwrap_or(u64::MAX);
            follow::tell_end(follow(watch, Some(&stop), until, &mut sink)?);
            notice(&sink.summary());
        }
    }
    Ok(0)
}

/// From now on nothing is missed: programs may be started.
fn tell_begin(session: &Session) {
    notice(&format!("capturing in session {session}; interrupt to end"));
}

/// Captures the whole session to a file beside what this process does.
pub(super) fn beside(session: &Session, path: &Path) -> Result<follow::Beside, Failure> {
    let wanted = OctetsWanted { at: Point::Sender, most: MAX_PACKET, of: Vec::new() };
    let (watch, sink) = writer(session, open(path)?, wanted, Clock::Wall)?;
    follow::Beside::start(watch, sink)
        .map_err(|e| Failure::new(format!("cannot start a thread: {e}")))
}

fn open(path: &Path) -> Result<Box<dyn Write + Send>, Failure> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(BufWriter::new(io::stdout())));
    }
    let file = File::create(path)
        .map_err(|e| Failure::new(format!("cannot write '{}': {e}", path.display())))?;
    Ok(Box::new(BufWriter::new(file)))
}

fn writer(
    session: &Session,
    out: Box<dyn Write + Send>,
    wanted: OctetsWanted,
    clock: Clock,
) -> Result<(Watch, Writer), Failure> {
    let (at, snap_len) = (wanted.at, wanted.most);
    // The past tells who listens, and who opened which connection.
    let subscription = Subscription {
        since: Some(0),
        bulk: Bulk::Recorded,
        octets: Some(wanted),
        ..Subscription::default()
    };
    let (watch, began) = Watch::open(session, &subscription)?;
    let mut writer = Writer {
        annotator: Annotator::new(at, clock, began.epoch_ns),
        moment: Moment::new(&began),
        from: began.next,
        most: u64::MAX,
        written: [0; INTERFACES.len()],
        lost: 0,
        times: None,
        out,
    };
    writer.begin(session.name(), snap_len)?;
    Ok((watch, writer))
}

/// Writes a file.
struct Writer {
    annotator: Annotator,
    moment: Moment,
    /// Number of the first record of interest.
    from: u64,
    /// Packets to write.
    most: u64,
    /// Packets written, by interface.
    written: [u64; INTERFACES.len()],
    /// Packets, or what would have told of them, that were lost.
    lost: u64,
    /// Of the first and of the last packet.
    times: Option<(u64, u64)>,
    out: Box<dyn Write + Send>,
}

impl Writer {
    fn begin(&mut self, session: &str, snap_len: u32) -> Result<(), Failure> {
        let application = concat!("tcplab ", env!("CARGO_PKG_VERSION"));
        self.out.write_all(&pcapng::section(application))?;
        for direction in INTERFACES {
            let (name, description) = match direction {
                Direction::Out => ("out", "as they were sent, before netem and rules"),
                Direction::In => ("in", "as they arrived, after netem and rules"),
            };
            let name = format!("{session}:{name}");
            let description = format!("segments of tcplab session {session} {description}");
            // Of a segment so many octets are captured, of a packet those of its IP header more.
            let snap_len = snap_len.saturating_add(tcplab::capture::HEADER_ROOM as u32);
            let block = pcapng::interface(&name, &description, snap_len.min(MAX_PACKET));
            self.out.write_all(&block)?;
        }
        Ok(self.out.flush()?)
    }

    fn total(&self) -> u64 {
        self.written.iter().sum()
    }

    fn write(&mut self, packet: &Packet) -> Result<(), Failure> {
        let interface = INTERFACES.iter().position(|d| *d == packet.direction).unwrap_or(0);
        self.written[interface] += 1;
        let (first, _) = self.times.unwrap_or((packet.at_ns, packet.at_ns));
        self.times = Some((first, packet.at_ns));
        let block = pcapng::packet(&pcapng::Packet {
            interface: interface as u32,
            at_ns: packet.at_ns,
            octets: &packet.octets,
            len: packet.len,
            direction: packet.direction,
            comments: &packet.comments,
        });
        Ok(self.out.write_all(&block)?)
    }

    fn write_due(&mut self, stream: Stream) -> Result<(), Failure> {
        let now_ns = self.moment.now_ns(stream);
        while self.total() < self.most
            && let Some(packet) = self.annotator.next(now_ns)
        {
            self.write(&packet)?;
        }
        Ok(())
    }

    fn want(&self) -> Want {
        // What is held back counts: without this a capture of one packet would wait for a second.
        if self.total() + self.annotator.waiting() as u64 >= self.most {
            Want::Enough
        } else {
            Want::More
        }
    }

    fn summary(&self) -> String {
        let total = self.total();
        let packets = if total == 1 { "packet" } else { "packets" };
        match self.lost {
            0 => format!("{total} {packets} captured"),
            lost => format!(
                "{total} {packets} captured; {lost} lost, because they came faster than they \
                 could be written (-s and --port make it less)"
            ),
        }
    }
}

impl Sink for Writer {
    fn line(&mut self, line: Line) -> Result<Want, Failure> {
        match line {
            Line::Record(record) => {
                self.moment.note(record.real_ns);
                self.annotator.record(&record);
            }
            Line::Told(Told::Program { pid, name }) => self.annotator.learn_program(pid, name),
            // What was forgotten before the capture began is none of it.
            Line::Told(Told::Lost { before, records, octets }) if before > self.from => {
                self.lost += records + octets;
            }
            Line::Told(_) => {}
        }
        Ok(Want::More)
    }

    fn octets(&mut self, octets: Vec<u8>, len: usize) -> Result<Want, Failure> {
        self.annotator.octets(&octets, len);
        self.write_due(Stream::Flows)?;
        Ok(self.want())
    }

    fn tick(&mut self, stream: Stream) -> Result<(), Failure> {
        self.write_due(stream)?;
        Ok(self.out.flush()?)
    }

    fn end(&mut self) -> Result<(), Failure> {
        while self.total() < self.most
            && let Some(packet) = self.annotator.release()
        {
            self.write(&packet)?;
        }
        let (begin_ns, end_ns) = self.times.unwrap_or_default();
        for (interface, received) in self.written.into_iter().enumerate() {
            let dropped = if interface == 0 { self.lost } else { 0 };
            let statistics = Statistics { begin_ns, end_ns, received: received + dropped, dropped };
            self.out.write_all(&pcapng::statistics(interface as u32, &statistics))?;
        }
        Ok(self.out.flush()?)
    }
}

/// Prints text.
struct Printer {
    text: Text,
    ends: Vec<Ends>,
    from: u64,
    left: u64,
    out: io::Stdout,
}

impl Printer {
    fn new(began: &Began, arguments: &Arguments) -> Printer {
        let text = Text {
            at: arguments.at(),
            clock: arguments.clock(),
            epoch_ns: began.epoch_ns,
            counting: if arguments.absolute { Counting::Absolute } else { Counting::Relative },
            verbosity: if arguments.verbose { Verbosity::Verbose } else { Verbosity::Normal },
            numbers: Numbers::default(),
        };
        Printer {
            text,
            ends: arguments.ends(),
            from: began.next,
            left: arguments.count.unwrap_or(u64::MAX),
            out: io::stdout(),
        }
    }

    fn admits(&self, what: &What) -> bool {
        let addresses = match what {
            What::Segment(segment) => vec![segment.from, segment.to],
            What::Arrival(arrival) => vec![arrival.from, arrival.to],
            What::State(change) => ends_of(&change.end),
            What::Dropped(refusal) => ends_of(&refusal.end),
            What::Timer(expiry) => ends_of(&expiry.end),
            What::Call(_) | What::Operator(_) => return true,
        };
        self.ends.is_empty() || self.ends.iter().any(|ends| ends.admit(&addresses))
    }
}

fn ends_of(end: &tcplab::trace::End) -> Vec<core::net::SocketAddr> {
    [end.local, end.remote].into_iter().flatten().collect()
}

impl Sink for Printer {
    fn line(&mut self, line: Line) -> Result<Want, Failure> {
        match line {
            Line::Record(record) if record.number < self.from => self.text.learn(&record),
            Line::Record(record) if self.admits(&record.what) => {
                if let Some(line) = self.text.line(&record) {
                    writeln!(self.out, "{line}")?;
                    let is_packet = matches!(record.what, What::Segment(_) | What::Arrival(_));
                    self.left -= u64::from(is_packet);
                }
            }
            Line::Told(Told::Lost { before, records, .. }) if before > self.from => {
                writeln!(self.out, "-- {records} records lost")?
            }
            Line::Record(_) | Line::Told(_) => {}
        }
        Ok(if self.left == 0 { Want::Enough } else { Want::More })
    }

    fn tick(&mut self, _stream: Stream) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    fn end(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }
}
