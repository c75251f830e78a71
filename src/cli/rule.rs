//! `tcplab rule`: rules that name segments by meaning and say what becomes of them.
//!
//! It deliberately knows nothing of the grammar: `link` reads it, here to point at a wrong word,
//! and in the stack.

use core::fmt::Write as _;

use clap::{Args, Subcommand};
use tcplab::client::{Client, Error, this_program};
use tcplab::inspect::{Answer, Command, RuleRow};
use tcplab::ipc::names::Session;
use tcplab::link::{RULE_GRAMMAR, check_rule};

use super::{Failure, Outcome, print, print_json};

/// Drop, delay, duplicate, hold, forge chosen segments: `drop fin from server nth 1`
///
/// A rule names segments by what they mean, not by octets. It takes effect at once, also for
/// connections that live, and stays, with its counts, until it is deleted or the stack ends.
/// Without a stack one is started, and stays until `tcplab down`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, after_help = after_help())]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// List as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Add a rule; its number is printed
    Add {
        /// The rule, in the grammar of `tcplab rule --help`; quoted or not
        #[arg(required = true, value_name = "RULE")]
        words: Vec<String>,
        /// Print the number only
        #[arg(short, long)]
        quiet: bool,
    },
    /// List rules: number, segments acted on and fitted, segments held
    #[command(visible_alias = "show")]
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Let go what rules hold, the oldest first; the rules stay
    Release {
        /// Rule; without it all
        id: Option<u32>,
        /// So many segments of each rule only
        #[arg(short = 'n', long, value_name = "N")]
        count: Option<u32>,
    },
    /// Delete rules; what they hold is lost
    #[command(visible_alias = "delete")]
    Del {
        /// Numbers, or `all`
        #[arg(required = true, value_name = "ID|all")]
        ids: Vec<String>,
    },
    /// Delete all rules
    Flush,
}

fn after_help() -> String {
    format!(
        "Grammar:
{RULE_GRAMMAR}
Examples:
  tcplab rule add drop fin from server nth 1     the server sends its FIN again
  tcplab rule add delay 5s syn nth 1             a late SYN
  tcplab rule add hold data from client nth 1 && ... && tcplab rule release
  tcplab rule add copy data nth 1                ... a ghost: released later
  tcplab rule add drop ack-of-fin from client    the server stays in LAST-ACK
  tcplab rule add 'blackhole port 8080 after 64KiB'
  tcplab rule add reset in accept-queue          accept() gets a dead one
  tcplab rule add 'drop data len > 1000 probability 10%'
  tcplab rule list --json | jq '.[].hits'"
    )
}

pub(super) fn run(session: &Session, arguments: Arguments) -> Outcome {
    match arguments.action {
        None => list(session, arguments.json),
        Some(Action::List { json }) => list(session, json),
        Some(Action::Add { words, quiet }) => {
            let text = checked(&words.join(" "))?;
            let mut client = Client::connect_or_start(session, &this_program()?)?;
            client.ask(&Command::Stay)?;
            let rows = rows(client.ask(&Command::AddRule(text))?)?;
            for RuleRow { id, text, .. } in rows {
                print(&if quiet { format!("{id}\n") } else { format!("rule {id}: {text}\n") })?;
            }
            Ok(0)
        }
        Some(Action::Release { id, count }) => {
            let released = match Client::connect(session)?.ask(&Command::ReleaseHeld(id, count))? {
                Answer::Released(released) => released,
                other => return Err(Error::Foreign(format!("it answered {other:?}")).into()),
            };
            print(&format!("{} released\n", segments(released)))?;
            Ok(0)
        }
        Some(Action::Del { ids }) => delete(session, &ids),
        Some(Action::Flush) => delete(session, &["all".to_owned()]),
    }
}

/// Adds a rule, for `tcplab run --rule`.
pub(super) fn add(client: &mut Client, text: &str) -> Result<(), Failure> {
    client.ask(&Command::AddRule(checked(text)?))?;
    Ok(())
}

fn checked(text: &str) -> Result<String, Failure> {
    check_rule(text).map_err(|error| Failure::usage(error.to_string()))?;
    Ok(text.to_owned())
}

fn rows(answer: Answer) -> Result<Vec<RuleRow>, Error> {
    match answer {
        Answer::Rules(rows) => Ok(rows),
        other => Err(Error::Foreign(format!("it answered {other:?}"))),
    }
}

fn delete(session: &Session, ids: &[String]) -> Outcome {
    let number = |id: &String| match id.as_str() {
        "all" => Ok(None),
        id => id
            .parse()
            .map(Some)
            .map_err(|_| Failure::usage(format!("{id}: expected the number of a rule, or `all`"))),
    };
    let ids = ids.iter().map(number).collect::<Result<Vec<_>, _>>()?;
    let mut client = Client::connect(session)?;
    for id in ids {
        for RuleRow { id, held, .. } in rows(client.ask(&Command::DeleteRules(id))?)? {
            if held > 0 {
                print(&format!("rule {id}: {} held by it are lost\n", segments(held)))?;
            }
        }
    }
    Ok(0)
}

fn segments(count: u64) -> String {
    if count == 1 { "1 segment".to_owned() } else { format!("{count} segments") }
}

fn list(session: &Session, json: bool) -> Outcome {
    let rows = rows(Client::connect(session)?.ask(&Command::Rules)?)?;
    if json {
        print_json(&rows)?;
    } else {
        print(&table(&rows))?;
    }
    Ok(0)
}

fn table(rows: &[RuleRow]) -> String {
    let mut text = String::new();
    if !rows.is_empty() {
        let _ = writeln!(text, "{:>4} {:>7} {:>7} {:>5}  RULE", "ID", "HITS", "MATCHED", "HELD");
    }
    for row in rows {
        let RuleRow { id, hits, matched, held, lost, .. } = row;
        let _ = write!(text, "{id:>4} {hits:>7} {matched:>7} {held:>5}  {}", row.text);
        if row.spent {
            text.push_str("  (spent)");
        }
        if *lost > 0 {
            let _ = write!(text, "  ({lost} lost for want of room)");
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_listed_with_their_counts() {
        let row = RuleRow {
            id: 3,
            text: "drop fin nth 1".to_owned(),
            matched: 2,
            hits: 1,
            held: 0,
            released: 0,
            lost: 0,
            spent: true,
        };
        assert_eq!(
            table(&[row]),
            "  ID    HITS MATCHED  HELD  RULE\n   3       1       2     0  drop fin nth 1  (spent)\n"
        );
        assert_eq!(table(&[]), "");
    }
}
