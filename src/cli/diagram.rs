//! `tcplab diagram`: the sequence diagram of a connection, drawn from what happened.
//!
//! What is drawn is in `tcplab::diagram`; here is which connection, in which form, and where to.

use core::time::Duration;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tcplab::client::Client;
use tcplab::diagram::{
    Charset, Connection, Connections, Detail, MIN_WIDTH, Opening, Picture, Side, TextStyle,
    mermaid, svg, text,
};
use tcplab::inspect::watch::Ends;
use tcplab::ipc::SocketId;
use tcplab::ipc::names::Session;
use tcplab::tcp::State;
use tcplab::trace::Records;

use super::units::{duration, parse_duration};
use super::{Failure, Outcome, print};

/// Columns where there is no terminal to ask.
const DEFAULT_WIDTH: usize = 80;
/// Digits of the identity of a socket.
const ID_DIGITS: usize = 16;

/// Draw what happened to a connection as a sequence diagram
///
/// Four lifelines: the client's program, its TCP, the server's TCP, its program. Calls with their
/// results (those that wait from their beginning to their return), segments with control bits and
/// relative numbers, states where they change, timers that ran out, segments that were lost, held
/// or not taken, and by whom. Times are stack time since the first row.
///
/// It is drawn afterwards: the stack always remembers how the last connections were opened and
/// closed. Text and its acknowledgments, read() and write(), are there only if tracing was on
/// (`tcplab trace on`).
///
/// Without --conn: the connection that is alive, if it is the only one, else the last that ended.
#[derive(Args)]
#[command(after_help = "\
In text: | is a lifeline, # the program waits in a call, : there is no TCB, X a segment is lost or
not taken (with --ascii; else box drawing characters). Colours go with NO_COLOR=1.

Examples:
  tcplab diagram                          the last connection, on the terminal
  tcplab diagram --list                   which there are
  tcplab diagram --conn 3                 the third of the list
  tcplab diagram --conn :40000-:8080      by its ends, or by one of them
  tcplab diagram -o close.svg             a figure for a page; .mmd for Mermaid
  tcplab diagram --all --since 10s        every one of the last ten seconds (stack time)")]
pub(super) struct Arguments {
    /// Connection: number in the list, CLIENT:PORT-SERVER:PORT, one end, port, or socket id
    #[arg(long, short, value_name = "CONN")]
    conn: Option<String>,
    /// List the connections that can be drawn
    #[arg(long, short, conflicts_with_all = ["format", "output", "all"])]
    list: bool,
    /// Draw every connection (that --conn means)
    #[arg(long, short)]
    all: bool,
    /// Only connections to which something has happened in so much stack time: 500ms, 10s, 1m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    since: Option<Duration>,
    /// Form [default: as the name of FILE says, else text]
    #[arg(long, short, value_enum)]
    format: Option<Format>,
    /// Write to a file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Every segment of text, not many as one
    #[arg(long)]
    full: bool,
    /// Text in plain ASCII
    #[arg(long)]
    ascii: bool,
    /// Columns of text, at least 72 [default: those of the terminal, else 80]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(MIN_WIDTH as i64..))]
    width: Option<u16>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// Characters, for a terminal
    Text,
    /// A figure
    Svg,
    /// The language of mermaid.js, for Markdown
    Mermaid,
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let records = Client::connect(session)?.records()?;
    let connections = Connections::of(&records);
    let since_ns = arguments.since.map_or(0, |since| {
        records.now_ns.saturating_sub(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    });
    let choice = match &arguments.conn {
        Some(text) => Choice::parse(text, connections.all().len())?,
        None => Choice::Any,
    };
    let meant =
        |connection: &Connection<'_>| connection.last_ns() >= since_ns && choice.admits(connection);
    if arguments.list {
        print(&list(&records, connections.all().iter().filter(|c| meant(c))))?;
        return Ok(0);
    }
    let chosen: Vec<_> = match arguments.all {
        true => connections.all().iter().filter(|c| meant(c)).collect(),
        false => connections.obvious(meant).into_iter().collect(),
    };
    if chosen.is_empty() {
        return Err(nothing(session, &connections));
    }
    let style = Style::of(arguments);
    if style.format == Format::Svg && chosen.len() > 1 {
        return Err(Failure::usage(
            "one SVG file holds one diagram: say which with --conn, or use --format text",
        ));
    }
    let detail = if arguments.full { Detail::Full } else { Detail::Folded };
    let mut drawing = String::new();
    for connection in chosen {
        if !drawing.is_empty() {
            drawing.push('\n');
        }
        let picture = Picture::of(connection, &records, &connections, detail);
        drawing.push_str(&style.draw(&picture));
    }
    match &arguments.output {
        Some(path) => std::fs::write(path, drawing)
            .map_err(|e| Failure::new(format!("cannot write {}: {e}", path.display())))?,
        None => print(&drawing)?,
    }
    Ok(0)
}

fn nothing(session: &Session, connections: &Connections<'_>) -> Failure {
    Failure::new(match connections.all() {
        [] => format!(
            "no connection has been made in session {session} yet; run programs in it with \
             `tcplab run`"
        ),
        [_] => "the one connection there is is not meant: see `tcplab diagram --list`".to_owned(),
        all => format!("none of {} connections is meant: see `tcplab diagram --list`", all.len()),
    })
}

/// Which connections are meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Choice {
    Any,
    Number(usize),
    Socket(SocketId),
    Ends(Ends),
}

impl Choice {
    /// Reads the value of `--conn` where there are `count` connections.
    fn parse(text: &str, count: usize) -> Result<Choice, Failure> {
        let number = text.parse::<usize>().ok().filter(|number| (1..=count).contains(number));
        if let Some(number) = number {
            return Ok(Choice::Number(number));
        }
        let is_id = text.len() == ID_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        if let (true, Ok(id)) = (is_id, u64::from_str_radix(text, 16)) {
            return Ok(Choice::Socket(SocketId(id)));
        }
        text.parse().map(Choice::Ends).map_err(|_| {
            Failure::usage(format!(
                "--conn '{text}' is neither a number of `tcplab diagram --list` nor an end of a \
                 connection: write 3, :40000-:8080, 127.0.0.1:8080 or 8080"
            ))
        })
    }

    fn admits(&self, connection: &Connection<'_>) -> bool {
        match self {
            Choice::Any => true,
            Choice::Number(number) => connection.number == *number,
            Choice::Socket(id) => connection.has_socket(*id),
            Choice::Ends(ends) => ends.admit(&connection.addresses),
        }
    }
}

/// How a picture is drawn.
struct Style {
    format: Format,
    text: TextStyle,
}

impl Style {
    fn of(arguments: &Arguments) -> Style {
        let by_name = arguments.output.as_deref().and_then(format_of_name);
        let format = arguments.format.or(by_name).unwrap_or(Format::Text);
        let on_terminal = arguments.output.is_none() && io::stdout().is_terminal();
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let columns = match arguments.width {
            Some(width) => width.into(),
            None if on_terminal => rustix::termios::tcgetwinsize(io::stdout())
                .map_or(DEFAULT_WIDTH, |size| usize::from(size.ws_col)),
            None => DEFAULT_WIDTH,
        };
        let charset = if arguments.ascii { Charset::Ascii } else { Charset::Unicode };
        let text = TextStyle {
            width: columns.max(MIN_WIDTH),
            charset,
            coloured: on_terminal && !unwanted,
        };
        Style { format, text }
    }

    fn draw(&self, picture: &Picture) -> String {
        match self.format {
            Format::Text => text(picture, self.text),
            Format::Svg => svg(picture),
            Format::Mermaid => mermaid(picture),
        }
    }
}

fn format_of_name(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "svg" => Some(Format::Svg),
        "mmd" | "mermaid" => Some(Format::Mermaid),
        "txt" => Some(Format::Text),
        _ => None,
    }
}

/// The connections that can be drawn, one a line.
fn list<'c, 'r: 'c>(
    records: &Records,
    connections: impl Iterator<Item = &'c Connection<'r>>,
) -> String {
    let header = ["No", "Client", "Program", "State", "Server", "Program", "State", "Began"];
    let mut rows = vec![header.map(str::to_owned)];
    for connection in connections {
        let began = records.now_ns.saturating_sub(connection.began_ns());
        let program = |side| programs(records, connection, side);
        let state = |side| state(connection, side);
        let how = match connection.opening {
            Opening::Active => "",
            Opening::Simultaneous => ", by both",
            Opening::Unseen => ", or before",
        };
        rows.push([
            connection.number.to_string(),
            connection.addresses[0].to_string(),
            program(Side::Client),
            state(Side::Client),
            connection.addresses[1].to_string(),
            program(Side::Server),
            state(Side::Server),
            format!("{} ago{how}", duration(rounded(began))),
        ]);
    }
    let mut widths = [0; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 8]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// To milliseconds, or to seconds where it is long.
fn rounded(nanos: u64) -> Duration {
    let millis = Duration::from_millis(nanos / 1_000_000);
    if millis.as_secs() >= 10 { Duration::from_secs(millis.as_secs()) } else { millis }
}

fn programs(records: &Records, connection: &Connection<'_>, side: Side) -> String {
    let name = |pid: u32| {
        let known = records.programs.iter().find(|(known, _)| *known == pid);
        known.map_or(String::new(), |(_, name)| name.clone())
    };
    let pids = connection.processes(side);
    let words: Vec<_> = pids.iter().map(|&pid| format!("{}[{pid}]", name(pid))).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(",") }
}

fn state(connection: &Connection<'_>, side: Side) -> String {
    match connection.state(side) {
        None => "-".to_owned(),
        Some(State::Closed) => "CLOSED".to_owned(),
        Some(state) => state.ss_name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_named_in_many_ways() {
        let choice = |text| Choice::parse(text, 3).unwrap();
        assert_eq!(choice("3"), Choice::Number(3));
        assert_eq!(choice("4"), Choice::Ends(Ends::port(4)), "there are only three");
        assert_eq!(choice(":3"), Choice::Ends(Ends::port(3)));
        assert_eq!(choice("00000000000000ff"), Choice::Socket(SocketId(255)));
        assert!(matches!(choice(":40000-127.0.0.1:80"), Choice::Ends(_)));
        assert_eq!(Choice::parse("eth0", 3).unwrap_err().status, super::super::USAGE);
    }

    #[test]
    fn the_name_of_the_file_says_the_form() {
        let format = |name| format_of_name(Path::new(name));
        assert_eq!(format("a/b.svg"), Some(Format::Svg));
        assert_eq!(format("b.MMD"), Some(Format::Mermaid));
        assert_eq!(format("b.txt"), Some(Format::Text));
        assert_eq!(format("b"), None);
    }
}
