//! `tcplab top`: what a session's stack does, as it does it.
//!
//! | concept | file |
//! | --- | --- |
//! | looks at the stack | `source.rs` |
//! | what is shown, as values | `model.rs`, `columns.rs`, `events.rs` |
//! | what keys do | `keys.rs`, `prompt.rs` |
//! | the picture | `view.rs`, `panels.rs`, `rows.rs`, `covers.rs`, `theme.rs` |
//! | the terminal | `terminal.rs`, `live.rs` |
//! | commands typed at the prompt | `job.rs` |
//!
//! It deliberately changes nothing by itself: what is typed at its prompts is run as the `tcplab`
//! command that it is.

mod columns;
mod covers;
mod events;
#[cfg(test)]
mod fixtures;
mod job;
mod keys;
mod live;
mod model;
mod panels;
mod prompt;
mod rows;
mod source;
mod terminal;
mod theme;
mod view;

use core::time::Duration;
use std::io::{self, IsTerminal as _};

use clap::Args;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use tcplab::ipc::names::Session;

use self::columns::{Column, Sort};
use self::keys::{Form, Screen};
use self::model::Model;
use self::source::Source;
use self::theme::Theme;
use super::ss::filter::Filter;
use super::units::{duration, parse_duration};
use super::{Failure, Outcome, print};

/// More often nobody can read it, and looking would be the most that the stack does.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);
const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);
/// Width of a frame for a pipe, where COLUMNS says nothing else: all columns fit in.
const WIDTH_ONCE: u16 = 132;

/// Watch a session live: sockets by state, connections, rates, timers, events
///
/// The table is that of `tcplab ss -aepo`. Rates are per second of real time, ages and timers in
/// stack time. Press ? for the keys: sort, filter, details and diagram of a connection, and a
/// prompt for `tcplab` commands that impair the link or move the clock.
///
/// It waits for a stack that is not running, and for the next when one ends. A stack that is
/// watched does not leave for being idle.
///
/// FILTER is that of `tcplab ss`: `state NAME`, `exclude NAME`, and expressions over sport, dport,
/// src, dst.
#[derive(Args)]
#[command(after_help = "Examples:
  tcplab top
  tcplab top state close-wait            leaks only
  tcplab top --sort recv-q '( sport = :8080 )'
  tcplab top --once | grep CLOSE-WAIT    one frame as text, for pipes and tests

Set NO_COLOR for a picture without colours.")]
pub(super) struct Arguments {
    /// Print one frame as text; its rates are those of one interval
    #[arg(short = '1', long)]
    once: bool,
    /// How often to look, as 500ms, 2s
    #[arg(short, long, value_name = "TIME", default_value = "500ms", value_parser = interval)]
    interval: Duration,
    /// Sort by this column
    #[arg(short, long, value_enum, value_name = "COLUMN")]
    sort: Option<Column>,
    /// Sort the other way round
    #[arg(short, long)]
    reverse: bool,
    /// State and expression as ss has them
    #[arg(value_name = "FILTER", trailing_var_arg = true)]
    filter: Vec<String>,
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if (SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&interval) {
        Ok(interval)
    } else {
        let (shortest, longest) = (duration(SHORTEST_INTERVAL), duration(LONGEST_INTERVAL));
        Err(format!("'{text}' is not between {shortest} and {longest}"))
    }
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let text = arguments.filter.join(" ");
    let filter = Filter::parse(&arguments.filter).map_err(Failure::usage)?;
    let filter = (!text.is_empty()).then_some(filter);
    let sort = Sort { column: arguments.sort, reversed: arguments.reverse };
    let form = if arguments.once { Form::Once } else { Form::Live };
    let screen = Screen::new(session.to_string(), Model::new(filter, sort), text, form);
    match form {
        Form::Once => once(session, screen, arguments.interval),
        Form::Live if !is_terminal() => Err(Failure::usage(
            "top needs a terminal as its input and output; `tcplab top --once` prints one frame \
             as text",
        )),
        Form::Live => live::run(session, screen, arguments.interval),
    }
}

fn is_terminal() -> bool {
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
}

/// Prints one frame.
fn once(session: &Session, mut screen: Screen, interval: Duration) -> Outcome {
    let mut source = Source::new(session);
    screen.model.see(source.look()?);
    std::thread::sleep(interval);
    screen.model.see(source.look()?);
    print(&frame_text(&screen, width_once()))?;
    Ok(0)
}

fn width_once() -> u16 {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let of_terminal = || match io::stdout().is_terminal() {
        true => ratatui::crossterm::terminal::size().ok().map(|(width, _)| width),
        false => None,
    };
    columns.or_else(of_terminal).filter(|width| *width > 0).unwrap_or(WIDTH_ONCE)
}

/// A frame as lines without trailing blanks.
fn frame_text(screen: &Screen, width: u16) -> String {
    let backend = TestBackend::new(width, view::height_once(screen, width));
    let Ok(mut terminal) = Terminal::new(backend);
    let Ok(_) = terminal.draw(|frame| {
        view::draw(frame, screen, Theme::Plain);
    });
    text_of(terminal.backend().buffer())
}

/// The cells of a buffer as lines without trailing blanks.
fn text_of(buffer: &ratatui::buffer::Buffer) -> String {
    let lines = buffer.content().chunks(usize::from(buffer.area.width).max(1));
    lines
        .map(|cells| {
            let line: String = cells.iter().map(|cell| cell.symbol()).collect();
            format!("{}\n", line.trim_end())
        })
        .collect()
}
