//! `tcplab run`: runs a program with its TCP over the session's stack.
//!
//! Checks first that a library can be preloaded (`preflight`), then runs the program and makes
//! sure that it was (`supervise`). The program's end is this command's end.

mod check;
pub(super) mod elf;
mod preflight;
mod supervise;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use tcplab::client::{Client, this_program};
use tcplab::inspect::clock::Scale;
use tcplab::ipc::names::{SECRET_VARIABLE, SESSION_VARIABLE, Session};

use self::check::Examiner;
use self::preflight::{NOT_RUN, Refusal};
use super::follow::Beside;
use super::{Failure, Outcome, capture, clock, netem, notice, preload, rule, sysctl, trace};

/// Environment variable that names the `tcplab` command to the shim.
const STACK_VARIABLE: &str = "TCPLAB_STACK";
/// What `--trace` without a file means.
const STDERR: &str = "-";
const ASAN_VARIABLE: &str = "ASAN_OPTIONS";
/// Address-sanitized programs insist on their library being the first one; ours may be.
const ASAN_OPTION: &str = "verify_asan_link_order=0";

/// Run a program with its TCP over the session's stack
///
/// The program and its children are unmodified; everything but their TCP is untouched. Fails, and
/// does not run the program, where it cannot be preloaded: statically linked, Go, musl, setuid.
/// Signals are passed on. The exit status is the program's (128+n when signal n ended it), 127
/// when it is not found, 126 when it cannot be executed, 125 when it was not run or not hooked;
/// with --check 23 when it ended with 0 and has leaked.
///
/// --check looks at each process of the program when it ends (exit, _exit, return from main), at
/// all of them before SIGTERM and the like are passed on, and at those that are left at the end.
/// A process that is killed otherwise (SIGKILL, Ctrl-C at the terminal, a crash) is not seen.
#[derive(Args)]
#[command(after_help = "Examples:
  tcplab run -- python3 -m http.server 8000
  tcplab run --session ci --sysctl net.tcplab.tcp_msl_ms=500 -- ./server
  tcplab run -- sh -c './server & ./client'
  tcplab run --check --check-older 0s -- ./server_test
  tcplab run --trace --capture file.pcapng -- ./client
  tcplab run --netem 'delay 50ms loss 1%' --rule 'drop syn nth 1' -- ./client

Without this command: LD_PRELOAD=/path/to/libtcplab_preload.so ./server")]
pub(super) struct Arguments {
    /// Set a parameter of the stack first; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) sysctl: Vec<String>,
    /// Make the stack's time pass so much faster first, as 20x (see `tcplab clock`)
    #[arg(long, value_name = "FACTOR")]
    clock_scale: Option<Scale>,
    /// Write what happens in the session while the program runs (see `tcplab trace`) to this file,
    /// else to stderr
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true,
          default_missing_value = STDERR)]
    trace: Option<PathBuf>,
    /// Capture the session's segments while the program runs (see `tcplab capture`) to this file
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// Impair segments first, as `tcplab netem replace`; stays; may be repeated
    #[arg(long, value_name = "IMPAIRMENT")]
    netem: Vec<String>,
    /// Add a rule first, as `tcplab rule add`; stays; may be repeated
    #[arg(long, value_name = "RULE")]
    rule: Vec<String>,
    #[command(flatten)]
    check: check::Options,
    /// Program and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CMD"
    )]
    pub(super) command: Vec<OsString>,
}

pub(super) fn run(session: &Session, arguments: Arguments) -> Outcome {
    let failed = |failure: Failure| Failure { status: NOT_RUN.max(failure.status), ..failure };
    let [program, rest @ ..] = arguments.command.as_slice() else {
        return Err(Failure::usage("no program to run"));
    };
    preflight::check(program)?;
    let (mut command, client) = prepare(session, program, &arguments).map_err(failed)?;
    command.args(rest);
    let examiner = Examiner::prepare(&arguments.check, &client, &mut command).map_err(failed)?;
    drop(client);
    let beside = observe(session, &arguments).map_err(failed)?;
    let outcome = supervise::run(command, program, examiner);
    for observer in beside {
        // The program's own end is what this command ends with.
        if let Err(failure) = observer.finish()
            && !failure.sentence.is_empty()
        {
            notice(&failure.sentence);
        }
    }
    outcome
}

/// What follows the session as long as the program runs.
fn observe(session: &Session, arguments: &Arguments) -> Result<Vec<Beside>, Failure> {
    let mut observers = Vec::new();
    if let Some(path) = &arguments.capture {
        observers.push(capture::beside(session, path)?);
    }
    if let Some(path) = &arguments.trace {
        observers.push(trace::beside(session, trace_file(path)?)?);
    }
    Ok(observers)
}

fn trace_file(path: &Path) -> Result<Box<dyn Write + Send>, Failure> {
    if path.as_os_str() == STDERR {
        return Ok(Box::new(io::stderr()));
    }
    let file = File::create(path)
        .map_err(|e| Failure::new(format!("cannot write '{}': {e}", path.display())))?;
    Ok(Box::new(file))
}

/// The program with the environment that makes its TCP ours; the stack is running.
fn prepare(
    session: &Session,
    program: &OsStr,
    settings: &Arguments,
) -> Result<(Command, Client), Failure> {
    let tcplab = this_program()?;
    let shim = preload::find(&tcplab)?;
    let mut client = Client::connect_or_start(session, &tcplab)?;
    for assignment in &settings.sysctl {
        sysctl::set(&mut client, assignment)?;
    }
    if let Some(scale) = settings.clock_scale {
        clock::set_scale(&mut client, scale)?;
    }
    for text in &settings.netem {
        netem::set(&mut client, text)?;
    }
    for text in &settings.rule {
        rule::add(&mut client, text)?;
    }
    let mut command = Command::new(program);
    command
        .env("LD_PRELOAD", preload::variable(&shim)?)
        .env(SESSION_VARIABLE, session.to_string())
        .env(STACK_VARIABLE, tcplab)
        .env(ASAN_VARIABLE, asan_options(std::env::var_os(ASAN_VARIABLE)));
    if client.secret() != 0 {
        command.env(SECRET_VARIABLE, format!("{:032x}", client.secret()));
    }
    Ok((command, client))
}

fn asan_options(before: Option<OsString>) -> OsString {
    match before.filter(|options| !options.is_empty()) {
        // The last of two equal options counts.
        Some(mut options) => {
            options.push(":");
            options.push(ASAN_OPTION);
            options
        }
        None => ASAN_OPTION.into(),
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure { sentence: refusal.sentence, status: refusal.status }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_for_address_sanitizer_are_added_to_what_is_there() {
        assert_eq!(asan_options(None), ASAN_OPTION);
        assert_eq!(
            asan_options(Some("detect_leaks=0".into())),
            "detect_leaks=0:verify_asan_link_order=0"
        );
    }
}
