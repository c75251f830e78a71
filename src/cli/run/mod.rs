//! `tcplab run`: runs a program with its TCP over the session's stack.
//!
//! Checks first that a library can be preloaded (`preflight`), then runs the program and makes
//! sure that it was (`supervise`). The program's end is this command's end.

mod elf;
mod preflight;
mod supervise;

use std::ffi::{OsStr, OsString};
use std::process::Command;

use clap::Args;
use tcplab::client::{Client, this_program};
use tcplab::ipc::names::{SECRET_VARIABLE, SESSION_VARIABLE, Session};

use self::preflight::{NOT_RUN, Refusal};
use super::{Failure, Outcome, preload, sysctl};

/// Environment variable that names the `tcplab` command to the shim.
const STACK_VARIABLE: &str = "TCPLAB_STACK";
const ASAN_VARIABLE: &str = "ASAN_OPTIONS";
/// Address-sanitized programs insist on their library being the first one; ours may be.
const ASAN_OPTION: &str = "verify_asan_link_order=0";

/// Run a program with its TCP over the session's stack
///
/// The program and its children are unmodified; everything but their TCP is untouched. Fails, and
/// does not run the program, where it cannot be preloaded: statically linked, Go, musl, setuid.
/// Signals are passed on. The exit status is the program's (128+n when signal n ended it), 127
/// when it is not found, 126 when it cannot be executed, 125 when it was not run or not hooked.
#[derive(Args)]
#[command(after_help = "Examples:
  tcplab run -- python3 -m http.server 8000
  tcplab run --session ci --sysctl net.tcplab.tcp_msl_ms=500 -- ./server
  tcplab run -- sh -c './server & ./client'

Without this command: LD_PRELOAD=/path/to/libtcplab_preload.so ./server")]
pub(super) struct Arguments {
    /// Set a parameter of the stack first; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) sysctl: Vec<String>,
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
    let mut command = prepare(session, program, &arguments.sysctl).map_err(failed)?;
    command.args(rest);
    supervise::run(command, program)
}

/// The program with the environment that makes its TCP ours; the stack is running.
pub(super) fn prepare(
    session: &Session,
    program: &OsStr,
    sysctls: &[String],
) -> Result<Command, Failure> {
    let tcplab = this_program()?;
    let shim = preload::find(&tcplab)?;
    let mut client = Client::connect_or_start(session, &tcplab)?;
    for assignment in sysctls {
        sysctl::set(&mut client, assignment)?;
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
    Ok(command)
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
