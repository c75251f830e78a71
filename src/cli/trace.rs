//! `tcplab trace`: what programs asked, what segments said, which states changed and why, in one
//! stream; afterwards or as it happens.
//!
//! The stack tells records, this file selects, orders and prints them. Order is that of real time;
//! programs tell of a call when it has returned, so a stream that is followed is held back for a
//! moment.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::time::Instant;

use clap::{Args, ValueEnum};
use tcplab::client::{Client, this_program};
use tcplab::inspect::watch::{Bulk, Ends, Line, Subscription, Told};
use tcplab::inspect::{Answer, Command};
use tcplab::ipc::names::Session;
use tcplab::trace::Record;
use tcplab::trace::line::{Detail, Lines, Time};
use tcplab::trace::select::{Kind, Selection, Selector};
use tcplab::watch::{Began, Watch};

use super::follow::{self, Moment, Sink, Stream, Want, follow};
use super::{Failure, Outcome};

/// How long a record waits for those of calls that began before it.
const HOLD: Duration = Duration::from_millis(100);

/// Show what happened: calls, segments, states with their cause, timers, drops
///
/// Without -f: what the stack remembers. It always remembers the control events of the last
/// connections (opening, closing, resets, states, calls); text and its acknowledgments only while
/// tracing is on (`tcplab trace on`) or somebody follows with -f.
///
/// One line a record: time in seconds since the stack began, in stack time; who (the program that
/// called, or the end of a connection, without address where that is 127.0.0.1); what. `>` leaves,
/// `<` arrives, `x` is dropped. Segments arrive when they leave unless another line says otherwise;
/// -v shows every arrival.
#[derive(Args)]
#[command(after_help = "Examples:
  tcplab trace                            what has happened
  tcplab trace -f                         what happens, text too
  tcplab trace --port 8080 --kind state,call
  tcplab trace --conn :40000-:8080        one connection
  tcplab trace -f --program nginx
  tcplab trace --kind drop --json | jq .fate
  tcplab run --trace=trace.txt -- ./server

With --json: one object a line. `kind` is call, segment, arrival, state, timer, dropped or operator
(records, documented in tcplab::trace::record), program (the name of a process) or lost (a count of
records that are not there any more).")]
pub(super) struct Arguments {
    /// Record everything from now on, or control events only
    #[arg(value_enum, conflicts_with_all = ["follow", "json", "since", "last"])]
    switch: Option<Switch>,
    /// Follow: what happens from now on, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// As JSON, one record a line
    #[arg(long)]
    json: bool,
    /// Every arrival, and all options of segments
    #[arg(short, long)]
    verbose: bool,
    /// Local time of day in place of stack time
    #[arg(long)]
    wall: bool,
    /// Connections, by one end or both: 127.0.0.1:8080, :8080, :40000-:8080; may be repeated
    #[arg(long, value_name = "CONN")]
    conn: Vec<Ends>,
    /// Connections with this port at one end; may be repeated
    #[arg(long, value_name = "PORT")]
    port: Vec<u16>,
    /// Kinds of records
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    kind: Vec<KindName>,
    /// Calls of this process, and the connections it uses; may be repeated
    #[arg(long, value_name = "PID")]
    pid: Vec<u32>,
    /// The same for programs of this name
    #[arg(long, value_name = "NAME")]
    program: Vec<String>,
    /// From this time on, in seconds as in the first column
    #[arg(long, value_name = "SECONDS", conflicts_with = "follow")]
    since: Option<f64>,
    /// The last so many only
    #[arg(long, value_name = "N", conflicts_with = "follow")]
    last: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// Kinds of records, as they are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum KindName {
    /// Calls of programs
    Call,
    /// Segments
    Segment,
    /// Changes of state
    State,
    /// Timers that ran out
    Timer,
    /// Segments that were lost or not taken
    Drop,
    /// What the user did to the stack
    Operator,
}

impl From<KindName> for Kind {
    fn from(name: KindName) -> Kind {
        match name {
            KindName::Call => Kind::Call,
            KindName::Segment => Kind::Segment,
            KindName::State => Kind::State,
            KindName::Timer => Kind::Timer,
            KindName::Drop => Kind::Drop,
            KindName::Operator => Kind::Operator,
        }
    }
}

impl Arguments {
    fn selection(&self) -> Selection {
        let ports = self.port.iter().copied().map(Ends::port);
        Selection {
            kinds: self.kind.iter().copied().map(Kind::from).collect(),
            ends: self.conn.iter().copied().chain(ports).collect(),
            pids: self.pid.clone(),
            programs: self.program.clone(),
        }
    }
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Outcome {
    if let Some(switch) = arguments.switch {
        let mut client = Client::connect_or_start(session, &this_program()?)?;
        return match client.ask(&Command::SetTracing(switch == Switch::On))? {
            Answer::Done => Ok(0),
            other => Err(Failure::new(format!("the stack answered {other:?}"))),
        };
    }
    let (bulk, until) = match arguments.follow {
        true => (Bulk::Recorded, None),
        false => (Bulk::Unchanged, Some(Instant::now())),
    };
    if arguments.follow {
        Client::connect_or_start(session, &this_program()?)?;
    }
    let subscription = Subscription { since: Some(0), bulk, ..Subscription::default() };
    let (watch, began) = Watch::open(session, &subscription)?;
    let mut tracer = Tracer::new(&began, arguments, Box::new(io::stdout()));
    let stop = match arguments.follow {
        true => Some(follow::stop_signals()?),
        false => None,
    };
    let ended = follow(watch, stop.as_ref(), until, &mut tracer)?;
    if arguments.follow {
        follow::tell_end(ended);
    }
    Ok(0)
}

/// Follows the session beside what this process does, from now on, and writes to `out`.
pub(super) fn beside(
    session: &Session,
    out: Box<dyn Write + Send>,
) -> Result<follow::Beside, Failure> {
    let subscription = Subscription { bulk: Bulk::Recorded, ..Subscription::default() };
    let (watch, began) = Watch::open(session, &subscription)?;
    let format = Format { lines: Lines::new(Time::Stack, Detail::News), json: false };
    let tracer = Tracer {
        selector: Selector::new(Selection::default()),
        order: Order::AsTheyCome(Moment::new(&began)),
        shown_from: began.next,
        waiting: BTreeMap::new(),
        lost: 0,
        format,
        out,
    };
    follow::Beside::start(watch, tracer)
        .map_err(|e| Failure::new(format!("cannot start a thread: {e}")))
}

/// Makes lines of a stream of records.
struct Tracer {
    selector: Selector,
    order: Order,
    /// Number of the first record that is of interest; from those before it is learned.
    shown_from: u64,
    /// By real time: held back.
    waiting: BTreeMap<(u64, u64), Record>,
    /// Records that were lost and are not told yet.
    lost: u64,
    format: Format,
    out: Box<dyn Write + Send>,
}

/// When records are shown.
enum Order {
    /// A moment after they came.
    AsTheyCome(Moment),
    /// All in the end: those from that stack time on, and of these the last so many.
    AtTheEnd { since_ns: u64, last: usize },
}

/// How a record is written.
struct Format {
    lines: Lines,
    json: bool,
}

impl Format {
    fn write(&mut self, record: &Record, text: &mut String) {
        let line = match self.json {
            true => serde_json::to_string(record).ok(),
            false => self.lines.line(record),
        };
        if let Some(line) = line {
            text.push_str(&line);
            text.push('\n');
        }
    }

    fn write_lost(&self, lost: u64, text: &mut String) {
        let line = match (self.json, lost) {
            (true, _) => {
                serde_json::to_string(&Told::Lost { before: 0, records: lost, octets: 0 }).ok()
            }
            (false, 1) => Some("-- 1 record is lost".to_owned()),
            (false, _) => Some(format!("-- {lost} records are lost")),
        };
        text.push_str(&line.unwrap_or_default());
        text.push('\n');
    }
}

impl Tracer {
    fn new(began: &Began, arguments: &Arguments, out: Box<dyn Write + Send>) -> Tracer {
        let time = if arguments.wall { Time::Wall(began.epoch_ns) } else { Time::Stack };
        let detail = if arguments.verbose { Detail::All } else { Detail::News };
        let (order, shown_from) = match arguments.follow {
            true => (Order::AsTheyCome(Moment::new(began)), began.next),
            false => {
                let since = Duration::try_from_secs_f64(arguments.since.unwrap_or(0.0));
                let since_ns = since.map_or(0, |since| since.as_nanos());
                let since_ns = u64::try_from(since_ns).unwrap_or(u64::MAX);
                let last = arguments.last.unwrap_or(usize::MAX);
                (Order::AtTheEnd { since_ns, last }, 0)
            }
        };
        Tracer {
            selector: Selector::new(arguments.selection()),
            order,
            shown_from,
            waiting: BTreeMap::new(),
            lost: 0,
            format: Format { lines: Lines::new(time, detail), json: arguments.json },
            out,
        }
    }

    fn take(&mut self, record: Record) {
        if let Order::AsTheyCome(moment) = &mut self.order {
            moment.note(record.real_ns);
        }
        self.selector.learn(&record);
        if record.number < self.shown_from {
            self.format.lines.learn(&record);
        } else {
            self.waiting.insert((record.real_ns, record.number), record);
        }
    }

    /// Writes the records that were held back for long enough.
    fn write_due(&mut self, stream: Stream) -> Result<(), Failure> {
        let Order::AsTheyCome(moment) = &self.order else { return Ok(()) };
        let due_ns = moment.now_ns(stream).saturating_sub(HOLD.as_nanos() as u64);
        let later = self.waiting.split_off(&(due_ns, u64::MAX));
        let due = std::mem::replace(&mut self.waiting, later);
        self.write(due.into_values())
    }

    fn write(&mut self, records: impl Iterator<Item = Record>) -> Result<(), Failure> {
        let mut text = String::new();
        if self.lost > 0 {
            self.format.write_lost(std::mem::take(&mut self.lost), &mut text);
        }
        for record in records {
            if self.selector.admits(&record) {
                self.format.write(&record, &mut text);
            } else {
                self.format.lines.learn(&record);
            }
        }
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.flush()?)
    }

    /// Writes all that is wanted of the past.
    fn write_all(&mut self, since_ns: u64, last: usize) -> Result<(), Failure> {
        let mut wanted = VecDeque::new();
        for record in std::mem::take(&mut self.waiting).into_values() {
            if record.at_ns >= since_ns && self.selector.admits(&record) {
                wanted.push_back(record);
            } else {
                self.format.lines.learn(&record);
            }
        }
        let skipped = wanted.len().saturating_sub(last);
        for record in wanted.drain(..skipped) {
            self.format.lines.learn(&record);
        }
        self.write(wanted.into_iter())
    }
}

impl Sink for Tracer {
    fn line(&mut self, line: Line) -> Result<Want, Failure> {
        match line {
            Line::Record(record) => self.take(record),
            Line::Told(Told::Program { pid, name }) => {
                self.selector.learn_program(pid, &name);
                if self.format.json {
                    let told = Told::Program { pid, name };
                    let text = serde_json::to_string(&told).unwrap_or_default();
                    writeln!(self.out, "{text}")?;
                } else {
                    self.format.lines.learn_program(pid, name);
                }
            }
            // What was forgotten before it was asked for is not lost.
            Line::Told(Told::Lost { before, records, .. }) if before > self.shown_from => {
                self.lost += records;
            }
            Line::Told(_) => {}
        }
        if self.waiting.len() % 1024 == 1023 {
            self.write_due(Stream::Flows)?;
        }
        Ok(Want::More)
    }

    fn tick(&mut self, stream: Stream) -> Result<(), Failure> {
        self.write_due(stream)
    }

    fn end(&mut self) -> Result<(), Failure> {
        match self.order {
            Order::AtTheEnd { since_ns, last } => self.write_all(since_ns, last),
            Order::AsTheyCome(_) => {
                let all = std::mem::take(&mut self.waiting);
                self.write(all.into_values())
            }
        }
    }
}
