//! `tcplab leaks`: sockets that programs have forgotten, with what they did last.
//!
//! | concept | file |
//! | --- | --- |
//! | what counts as a leak | `finding.rs` |
//! | who holds it | `holders.rs` |
//! | where it was accepted | `site.rs` |
//! | in words | `sentence.rs` |
//! | for people, programs, CI | `report.rs` |

pub(super) mod finding;
mod holders;
mod report;
mod sentence;
mod site;

use core::time::Duration;

use clap::Args;
use tcplab::client::{Client, Error};
use tcplab::ipc::names::Session;

use self::finding::{Case, Finding};
use self::holders::Possessor;
pub(super) use self::holders::has_variable;
pub(super) use self::report::{Form, report};
use self::site::Sites;
use super::{Failure, Outcome, print, ss, units};

/// Exit status where leaks were found.
const FOUND: u8 = 1;
/// Exit status where it cannot be told.
const UNKNOWN: u8 = 2;

/// Find connections that programs have forgotten to close, to read or to accept
///
/// Four kinds, each reported in one sentence with process, descriptor, addresses, age, what the
/// program did, and where in its source the socket came from:
///
///   close-wait   the peer has closed, the program has not: it never read the end, stopped reading,
///                read 0 and went on (takes it for "nothing yet"), or read the end and never closed
///   fin-wait2    the program has ended its own direction, and neither reads nor closes
///   unaccepted   a connection waits for accept()
///   inherited    a program was started with a socket that it does not use (no SOCK_CLOEXEC)
///
/// A program that still sends its answer after the peer's FIN leaks nothing, nor does one that
/// waits for a peer in this session. Ages are in the stack's time (see `tcplab clock`). Reads of
/// the end within C's stdio are not seen.
///
/// Exit status: 0 no leak, 1 leaks, 2 it cannot be told (no stack, wrong usage).
#[derive(Args)]
#[command(verbatim_doc_comment)]
#[command(after_help = "Examples:
  tcplab leaks                                what is older than a second
  tcplab leaks --older 0s --state close-wait  every connection in CLOSE-WAIT
  ./exercise && tcplab leaks --github         fail the build, and annotate the source
  tcplab leaks --json | jq -r '.[] | .site.file'")]
pub(super) struct Arguments {
    /// Only what has lasted so long: 500ms, 1s, 2m
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration, default_value = "1s")]
    older: Duration,
    /// Only sockets in this state (as `tcplab ss` names it); may be repeated
    #[arg(long, value_name = "STATE", value_parser = parse_state)]
    state: Vec<String>,
    /// As JSON: an array of findings
    #[arg(long, group = "form")]
    json: bool,
    /// As JUnit XML: a failed test case for each finding
    #[arg(long, group = "form")]
    junit: bool,
    /// As GitHub workflow commands: annotations at the lines where the sockets came from
    #[arg(long, group = "form")]
    github: bool,
}

fn parse_state(text: &str) -> Result<String, String> {
    let state = text.to_ascii_uppercase();
    match ss::STATES.contains(&state.as_str()) {
        true => Ok(state),
        false => {
            let states = ss::STATES.join(" ").to_ascii_lowercase();
            Err(format!("'{text}' is not a state; states are: {states}"))
        }
    }
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let look = || {
        let mut client = Client::connect(session)?;
        look(&mut client, arguments.older)
    };
    let unknown = |error: Error| Failure { status: UNKNOWN, ..Failure::from(error) };
    let Found { mut findings, looked_at } = look().map_err(unknown)?;
    findings
        .retain(|finding| arguments.state.is_empty() || arguments.state.contains(&finding.state));
    let form = match (arguments.json, arguments.junit, arguments.github) {
        (true, ..) => Form::Json,
        (_, true, _) => Form::Junit,
        (.., true) => Form::Github,
        _ => Form::Text,
    };
    print(&report(form, &findings, looked_at))?;
    Ok(if findings.is_empty() { 0 } else { FOUND })
}

/// What a look at a session came to.
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    /// Sockets that were looked at.
    pub(super) looked_at: usize,
}

/// Looks for leaks that have lasted `older`.
pub(super) fn look(client: &mut Client, older: Duration) -> Result<Found, Error> {
    let stack = client.stack_pid();
    let cases: Vec<Case> = ss::sockets(client)?
        .into_iter()
        .map(|socket| {
            // The stack has the ends that wait to be accepted.
            let holders = socket.holders.iter().filter(|holder| holder.pid != stack);
            Case { possessors: holders.map(Possessor::of).collect(), row: socket.row }
        })
        .collect();
    let older_ms = u64::try_from(older.as_millis()).unwrap_or(u64::MAX);
    let mut findings = finding::judge(&cases, older_ms);
    let mut sites = Sites::default();
    for finding in &mut findings {
        finding.site = locate(&mut sites, finding);
    }
    Ok(Found { findings, looked_at: cases.len() })
}

/// Where the socket came from. A process that is gone may have a forked child with the same
/// program at the same place; one that has started another program has not.
fn locate(sites: &mut Sites, finding: &Finding) -> Option<site::Site> {
    let origin = finding.origin().filter(|origin| origin.caller != 0)?;
    let runs_another = |pid: u32| finding.usage.inherited.iter().any(|holding| holding.pid == pid);
    let holders = finding.holders.iter().map(|possessor| possessor.holder.pid);
    core::iter::once(origin.pid)
        .chain(holders)
        .filter(|pid| !runs_another(*pid))
        .find_map(|pid| sites.find(pid, origin.caller))
}
