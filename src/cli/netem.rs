//! `tcplab netem`: impairments of the way between hosts, in the grammar of tc-netem(8).
//!
//! It deliberately knows no parameter: `link` reads them, here to point at a wrong word, and in the
//! stack.

use core::fmt::Write as _;

use clap::{Args, Subcommand};
use tcplab::client::{Client, Error, this_program};
use tcplab::inspect::{Answer, Command, NetemRow, NetemVerb};
use tcplab::ipc::names::Session;
use tcplab::link::{NETEM_GRAMMAR, check_netem};

use super::{Failure, Outcome, print, print_json};

/// Impair segments: delay, jitter, loss, corruption, duplication, reordering, rate
///
/// The grammar is that of tc-netem(8), and a line for tc may be pasted with `dev lo root netem` or
/// without. Every segment passes once, as on `lo`: `delay 100ms` makes a round trip of 200 ms.
/// Beyond tc an impairment can be limited to one direction, to ports or to an address; of several
/// that fit a segment the one with most such words counts. Random numbers repeat with the same
/// `seed`.
///
/// Takes effect at once, also for connections that live. `change` and `replace` set every parameter
/// anew; `del` loses what is queued. Without a stack one is started, and stays until `tcplab down`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, after_help = after_help())]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    show: Show,
}

#[derive(Args, Default)]
struct Show {
    /// Statistics, too
    #[arg(short, long)]
    statistics: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// As tc has it: `dev lo`
    #[arg(hide = true)]
    words: Vec<String>,
}

#[derive(Args)]
struct Words {
    /// What, in the grammar of `tcplab netem --help`
    #[arg(value_name = "IMPAIRMENT", allow_negative_numbers = true)]
    words: Vec<String>,
}

#[derive(Subcommand)]
enum Action {
    /// Show all, as `tc qdisc show` does
    #[command(visible_alias = "list")]
    Show(Show),
    /// Add an impairment
    Add(Words),
    /// Change the one with the same direction, ports and address
    Change(Words),
    /// Change it, or add it where there is none
    Replace(Words),
    /// Delete it (its parameters need not be given), or `all`
    #[command(visible_alias = "delete")]
    Del(Words),
}

fn after_help() -> String {
    format!(
        "Grammar:
{NETEM_GRAMMAR}
Examples:
  tcplab netem add delay 100ms 10ms 25% distribution normal
  tcplab netem add dev lo root netem loss 1%
  tcplab netem add from server port 8080 rate 1mbit
  tcplab netem change delay 20ms loss gemodel 1% 10% seed 7
  tcplab netem show -s
  tcplab netem del all"
    )
}

pub(super) fn run(session: &Session, arguments: Arguments) -> Outcome {
    let (verb, words) = match arguments.action {
        None => return show(session, &arguments.show),
        Some(Action::Show(options)) => return show(session, &options),
        Some(Action::Add(words)) => (NetemVerb::Add, words),
        Some(Action::Change(words)) => (NetemVerb::Change, words),
        Some(Action::Replace(words)) => (NetemVerb::Replace, words),
        Some(Action::Del(words)) => return delete(session, &words.words),
    };
    let text = checked(&words.words.join(" "))?;
    let mut client = Client::connect_or_start(session, &this_program()?)?;
    client.ask(&Command::Stay)?;
    client.ask(&Command::SetNetem(verb, text))?;
    Ok(0)
}

/// Adds or replaces an impairment, for `tcplab run --netem`.
pub(super) fn set(client: &mut Client, text: &str) -> Result<(), Failure> {
    client.ask(&Command::SetNetem(NetemVerb::Replace, checked(text)?))?;
    Ok(())
}

fn checked(text: &str) -> Result<String, Failure> {
    check_netem(text).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(text.to_owned())
}

fn delete(session: &Session, words: &[String]) -> Outcome {
    let all = words == ["all"];
    let text = if all { None } else { Some(checked(&words.join(" "))?) };
    Client::connect(session)?.ask(&Command::DeleteNetem(text))?;
    Ok(0)
}

fn show(session: &Session, options: &Show) -> Outcome {
    checked(&options.words.join(" "))?;
    let rows = match Client::connect(session)?.ask(&Command::Netem)? {
        Answer::Netem(rows) => rows,
        other => return Err(Error::Foreign(format!("it answered {other:?}")).into()),
    };
    if options.json {
        print_json(&rows)?;
    } else {
        print(&table(&rows, options.statistics))?;
    }
    Ok(0)
}

fn table(rows: &[NetemRow], statistics: bool) -> String {
    let mut text = String::new();
    for row in rows {
        let NetemRow { handle, scope, parameters, .. } = row;
        let _ = writeln!(text, "qdisc netem {handle} dev lo root{scope} {parameters}");
        if statistics {
            text.push_str(&counts(row));
        }
    }
    text
}

/// Two lines as `tc -s` prints them, and one with what it does not tell.
fn counts(row: &NetemRow) -> String {
    format!(
        " Sent {} bytes {} pkt (dropped {}, overlimits 0 requeues 0) \n \
         backlog {}b {}p requeues 0\n \
         lost {} overflowed {} duplicated {} corrupted {} reordered {}\n",
        row.sent_octets,
        row.sent_packets,
        row.dropped,
        row.queued_octets,
        row.queued_packets,
        row.lost,
        row.overflowed,
        row.duplicated,
        row.corrupted,
        row.reordered
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impairments_print_as_tc_prints_them() {
        let row = NetemRow {
            handle: "8001:".to_owned(),
            scope: " from server".to_owned(),
            parameters: "limit 1000 delay 100ms  10ms 25% loss 1% seed 7".to_owned(),
            sent_octets: 1234,
            sent_packets: 10,
            dropped: 3,
            overflowed: 1,
            lost: 2,
            duplicated: 0,
            corrupted: 0,
            reordered: 0,
            queued_octets: 60,
            queued_packets: 1,
        };
        let text = table(&[row], true);
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some(
                "qdisc netem 8001: dev lo root from server \
                 limit 1000 delay 100ms  10ms 25% loss 1% seed 7"
            )
        );
        assert_eq!(
            lines.next(),
            Some(" Sent 1234 bytes 10 pkt (dropped 3, overlimits 0 requeues 0) ")
        );
        assert_eq!(lines.next(), Some(" backlog 60b 1p requeues 0"));
    }
}
