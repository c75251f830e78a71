//! `tcplab expect`: assertions over what the stack holds and has recorded, for tests in a shell.

mod grammar;
mod judge;

use core::time::Duration;
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use tcplab::client::Client;
use tcplab::ipc::names::Session;

use self::grammar::{Expectation, Time};
use self::judge::{Facts, Verdict};
use super::{Failure, Outcome, print, print_json};

/// How often the stack is looked at while an expectation waits.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Check what must hold in the session; for tests of servers in a shell and in CI
///
/// An expectation is: conditions, what is looked at, a relation with a value, and when.
///
///   conditions   state=CLOSE-WAIT  port=8080  sport=  dport=  program=nginx  pid=  age>5s  reason=
///   what         count (of sockets), rst, syn, fin, retransmissions, drops, segments (recorded),
///                sockets tcbs orphans time_wait ports and every counter of `tcplab status`,
///                or the last call of a program: bind 8080, connect 127.0.0.1:80, accept, read ...
///   relation     = != < <= > >=    without one: at least 1, or that the call succeeded
///   value        a number; of a call also ok or an errno
///   when         nothing: now;  within 2s: at some moment until then;  for 2s: all the time
///
/// Times of `within` and `for` are real time, `age` is the stack's. Records of bulk data exist only
/// while something traces (`tcplab trace on`); SYN, FIN, RST and retransmissions always do, as far
/// back as the flight recorder goes. Exit status: 0 all hold, 1 one does not, 2 not understood.
#[derive(Args)]
#[command(verbatim_doc_comment)]
#[command(after_help = "Examples:
  tcplab expect 'state=LISTEN port=8080 within 5s'       wait until the server is up
  tcplab expect 'state=CLOSE-WAIT count=0 within 2s'     no leak
  tcplab expect 'rst=0' 'retransmissions=0'              a clean exchange
  tcplab expect 'bind 8080 = EADDRINUSE'                 what the last bind() of 8080 got
  tcplab expect 'state=TIME-WAIT sport=8080 count<=100'
  mark=$(tcplab expect --mark); ./exercise; tcplab expect --since $mark 'rst=0'")]
pub(super) struct Arguments {
    /// What must hold
    #[arg(value_name = "EXPECTATION", required_unless_present = "mark")]
    expectations: Vec<String>,
    /// Look only at records from this number on (see --mark)
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    since: u64,
    /// Print the number of the next record, for --since: what happened before does not count then
    #[arg(long, conflicts_with = "expectations")]
    mark: bool,
    /// Say nothing of what holds
    #[arg(short, long)]
    quiet: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// One expectation and what came of it.
#[derive(Debug, Serialize)]
struct Report {
    expectation: String,
    holds: bool,
    found: String,
    took_ms: u64,
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Outcome {
    if arguments.mark {
        let mut facts = Facts::new(Client::connect(session)?, 0);
        facts.look()?;
        print(&format!("{}\n", facts.next()))?;
        return Ok(0);
    }
    let parse = |text: &String| Expectation::parse(text);
    let expectations: Result<Vec<Expectation>, _> =
        arguments.expectations.iter().map(parse).collect();
    let expectations = expectations.map_err(|why| Failure::usage(why.to_string()))?;
    let mut facts = Facts::new(Client::connect(session)?, arguments.since);
    let mut reports = Vec::new();
    for expectation in &expectations {
        reports.push(check(&mut facts, expectation)?);
    }
    let failed = reports.iter().filter(|report| !report.holds).count();
    if arguments.json {
        print_json(&reports)?;
    } else {
        for report in reports.iter().filter(|report| !report.holds || !arguments.quiet) {
            print(&line(report))?;
        }
    }
    Ok(u8::from(failed > 0))
}

fn line(report: &Report) -> String {
    let Report { expectation, holds, found, .. } = report;
    match holds {
        true => format!("ok      {expectation}\n"),
        false => format!("NOT SO  {expectation}\n        {}\n", found.replace('\n', "\n        ")),
    }
}

fn check(facts: &mut Facts, expectation: &Expectation) -> Result<Report, Failure> {
    let begun = Instant::now();
    let verdict = loop {
        facts.look()?;
        let verdict = facts.judge(expectation)?;
        let over = match expectation.time {
            Time::Now => true,
            Time::Within(limit) => verdict.holds || begun.elapsed() >= limit,
            Time::For(limit) => !verdict.holds || begun.elapsed() >= limit,
        };
        if over {
            break verdict;
        }
        std::thread::sleep(LOOK_INTERVAL);
    };
    let Verdict { holds, found } = verdict;
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Report { expectation: expectation.text.clone(), holds, found, took_ms })
}
