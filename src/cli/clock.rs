//! `tcplab clock`: the stack's own time, put forward, made faster, paused.
//!
//! The stack keeps the time and does what becomes due; a long advance is done in pieces, and this
//! command asks for the next until nothing is left.

use core::time::Duration;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Instant;

use clap::{Args, Subcommand};
use tcplab::client::{Client, Error, this_program};
use tcplab::inspect::clock::{ClockCommand, ClockRow, Scale};
use tcplab::inspect::{Answer, Command};
use tcplab::ipc::names::Session;

use super::units::{duration, parse_duration};
use super::{Failure, Outcome, print, print_json};

/// Longest single advance. More is a slip of the keyboard, and a day has twelve keep-alive probes
/// a connection.
const MOST_ADVANCE: Duration = Duration::from_secs(366 * 24 * 3600);
/// After so long a command shows how far it is.
const SHOW_PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// Show or change the stack's own time
///
/// Every timer of TCP goes by it: retransmission, connect timeout, keep-alive, TIME-WAIT,
/// FIN-WAIT-2, TCP_USER_TIMEOUT, SO_LINGER. Time never goes back and timers run in order, each at
/// its own time: `advance 131s` sends the SYNs of a connect() one after the other and hears the
/// answer to the first before the second.
///
/// The clocks of the programs are untouched: sleep(), poll() timeouts, and SO_RCVTIMEO and
/// SO_SNDTIMEO, which the kernel keeps, take real time. A program learns what an advance has done
/// when it runs next; nobody waits for it between two timers.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Durations: a number with us, ms, s, m, h or d, or several: 500ms, 60s, 1m30s, 2h.

Examples:
  tcplab clock                     stack time, scale, when a timer runs next
  tcplab clock advance 60s         TIME-WAIT is over
  tcplab clock advance 2h11m15s    a dead peer is noticed by keep-alive
  tcplab clock scale 20x           a connect() to nowhere fails after 6.6 s, not 131
  tcplab clock pause && ./look && tcplab clock resume"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// As JSON, times in nanoseconds
    #[arg(long, global = true)]
    json: bool,
    /// Do not print how the clock stands afterwards
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Show stack time, scale, and when a timer runs next
    Show,
    /// Put the clock forward and run every timer that becomes due, in order
    ///
    /// Returns when everything due is done. Works on a paused clock, too, which stays paused.
    Advance {
        /// How far, as 500ms, 60s, 1m30s, 2h
        #[arg(value_parser = parse_duration)]
        by: Duration,
    },
    /// Make stack time pass faster or slower than real time, from 1/1000x to 1000x
    ///
    /// What is quick in real time is slow in stack time: at 1000x a round trip of 50 us over the
    /// loopback interface is one of 50 ms, and at less than 200 ms a segment is sent again. The
    /// stack stays until `tcplab down`, so that the scale is not forgotten.
    Scale {
        /// Stack time in a second of real time, as 20x, 0.5x, 1/3x; 1x is real time
        #[arg(value_name = "FACTOR")]
        factor: Scale,
    },
    /// Stop the clock: no timer runs
    ///
    /// Segments still flow and programs are served, so a healthy connection opens, carries data
    /// and closes. But nothing happens that waits for a timer: nothing lost is sent again, no
    /// delayed acknowledgment is sent (a small write that Nagle's algorithm holds back for one
    /// waits), TIME-WAIT does not end, no connection times out. `clock advance` takes steps. The
    /// stack stays until `tcplab down`.
    Pause,
    /// Let a paused clock go on, from where it stopped
    Resume,
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let row = match arguments.action {
        None | Some(Action::Show) => ask(&mut Client::connect(session)?, ClockCommand::Show)?,
        Some(Action::Advance { by }) => advance(&mut Client::connect(session)?, by)?,
        Some(Action::Scale { factor }) => keep(session, ClockCommand::Scale(factor))?,
        Some(Action::Pause) => keep(session, ClockCommand::Pause)?,
        Some(Action::Resume) => ask(&mut Client::connect(session)?, ClockCommand::Resume)?,
    };
    if arguments.json {
        print_json(&row)?;
    } else if !arguments.quiet {
        print(&text(&row))?;
    }
    Ok(0)
}

/// Sets the scale, for `tcplab run --clock-scale`.
pub(super) fn set_scale(client: &mut Client, scale: Scale) -> Result<(), Failure> {
    ask(client, ClockCommand::Scale(scale))?;
    Ok(())
}

/// Changes the clock of a stack that keeps it so: it is started, and stays.
fn keep(session: &Session, command: ClockCommand) -> Result<ClockRow, Failure> {
    let mut client = Client::connect_or_start(session, &this_program()?)?;
    client.ask(&Command::Stay)?;
    Ok(ask(&mut client, command)?)
}

/// Puts the clock forward, and returns when everything due is done.
pub(super) fn advance(client: &mut Client, by: Duration) -> Result<ClockRow, Failure> {
    if by > MOST_ADVANCE {
        let most = duration(MOST_ADVANCE);
        return Err(Failure::usage(format!("advance at most {most} at a time")));
    }
    let begun = Instant::now();
    let mut shown = false;
    let mut row = ask(client, ClockCommand::Advance(by))?;
    while row.behind_ns > 0 {
        if begun.elapsed() > SHOW_PROGRESS_AFTER && io::stderr().is_terminal() {
            show_progress(by, row.behind_ns);
            shown = true;
        }
        row = ask(client, ClockCommand::CatchUp)?;
    }
    if shown {
        let _ = write!(io::stderr(), "\r\x1b[K");
    }
    Ok(row)
}

fn show_progress(by: Duration, behind_ns: u64) {
    // Where the clock runs, more than what was asked for may be left.
    let left = Duration::from_nanos(behind_ns);
    let done = by.saturating_sub(left);
    let percent = done.as_nanos() * 100 / by.as_nanos().max(1);
    let text = format!("{percent:3}% of {}", duration(by));
    // That nobody sees it is no reason to stop.
    let _ = write!(io::stderr(), "\r{text}\x1b[K");
}

/// Asks something of the clock of a stack.
pub(super) fn ask(client: &mut Client, command: ClockCommand) -> Result<ClockRow, Error> {
    match client.ask(&Command::Clock(command))? {
        Answer::Clock(row) => Ok(row),
        other => Err(Error::Foreign(format!("it answered {other:?}"))),
    }
}

fn text(row: &ClockRow) -> String {
    let time = |nanos| duration(Duration::from_nanos(nanos));
    let pace = if row.paused { "paused" } else { "running" };
    let next = row
        .next_timer_ns
        .map_or_else(|| "no timer runs".to_owned(), |left| format!("a timer in {}", time(left)));
    format!("stack time {}, {pace} at {}, {next}\n", time(row.time_ns), row.scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_told_in_one_line() {
        let mut row = ClockRow {
            time_ns: 62_500_000_000,
            real_ns: 2_500_000_000,
            scale: "20x".parse().unwrap(),
            paused: false,
            behind_ns: 0,
            next_timer_ns: Some(59_800_000_000),
        };
        assert_eq!(text(&row), "stack time 1m2.5s, running at 20x, a timer in 59.8s\n");
        row.paused = true;
        row.next_timer_ns = None;
        assert_eq!(text(&row), "stack time 1m2.5s, paused at 20x, no timer runs\n");
    }
}
