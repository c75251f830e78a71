//! The `tcplab` command line: syntax by clap, one subcommand a file, and what all share: the
//! session, output that survives a closed pipe, and failures as one sentence with the remedy.
//!
//! Exit status: 0 done, 1 not done, 2 wrong usage; `run` has those of `env` (125, 126, 127, else
//! the program's own). It deliberately prints nothing on stdout that was not asked for.

mod capture;
mod clock;
mod demo;
mod diagram;
mod dispositions;
mod down;
mod expect;
mod follow;
mod leaks;
mod man;
mod netem;
mod preload;
mod rule;
mod run;
mod ss;
mod stack;
mod status;
mod sysctl;
mod top;
mod trace;
mod units;
mod up;
mod why;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tcplab::client;
use tcplab::ipc::names::{DEFAULT_SESSION, SESSION_VARIABLE, Session};

/// Usage that clap cannot check, as clap ends for usage that it can.
const USAGE: u8 = 2;

/// Your own TCP under unmodified programs.
///
/// Programs run by `tcplab run` do their TCP over the tcplab stack of a session instead of the
/// kernel's. The stack starts by itself, outlives its programs (so TIME-WAIT does too), and
/// leaves when it is idle.
#[derive(Parser)]
#[command(
    name = "tcplab",
    version,
    arg_required_else_help = true,
    after_help = "\
Examples:
  tcplab demo                                     see what it does, in ten seconds
  tcplab run -- python3 -m http.server 8000 &     a server over this stack
  tcplab run -- curl -s http://127.0.0.1:8000/    a client over it
  tcplab ss -tanp                                 its sockets, with their holders
  tcplab sysctl net.tcplab.tcp_msl_ms=500         TIME-WAIT of one second
"
)]
struct Cli {
    /// Session: NAME, or UID/NAME for another user's [default: $TCPLAB_SESSION, else `default`]
    #[arg(long, global = true, value_name = "S")]
    session: Option<OsString>,
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    Run(run::Arguments),
    Ss(ss::Arguments),
    Sysctl(sysctl::Arguments),
    Clock(clock::Arguments),
    Why(why::Arguments),
    Trace(trace::Arguments),
    Capture(capture::Arguments),
    Netem(netem::Arguments),
    Rule(rule::Arguments),
    Up(up::Arguments),
    Down(down::Arguments),
    Status(status::Arguments),
    Top(top::Arguments),
    Expect(expect::Arguments),
    Leaks(leaks::Arguments),
    Diagram(diagram::Arguments),
    Demo(demo::Arguments),
    Man(man::Arguments),
    Completions(man::Completions),
    Stack(stack::Arguments),
}

/// Why a subcommand ends without success: one sentence, and the exit status.
#[derive(Debug)]
struct Failure {
    sentence: String,
    status: u8,
}

impl Failure {
    fn new(sentence: impl Into<String>) -> Failure {
        Failure { sentence: sentence.into(), status: 1 }
    }

    fn usage(sentence: impl Into<String>) -> Failure {
        Failure { sentence: sentence.into(), status: USAGE }
    }

    /// A failure that has been told already.
    fn silent(status: u8) -> Failure {
        Failure { sentence: String::new(), status }
    }
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Failure {
        Failure::new(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            // Whoever read our output has read enough: `tcplab ss | head`.
            io::ErrorKind::BrokenPipe => Failure::silent(0),
            _ => Failure::new(format!("cannot write the output: {error}")),
        }
    }
}

/// What a subcommand gives back: the exit status, or the failure.
type Outcome = Result<u8, Failure>;

/// Runs the command line of this process.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    dispositions::notice_children();
    let outcome = session(cli.session).and_then(|session| match cli.command {
        Subcommands::Run(arguments) => run::run(&session, arguments),
        Subcommands::Ss(arguments) => ss::run(&session, &arguments),
        Subcommands::Sysctl(arguments) => sysctl::run(&session, &arguments),
        Subcommands::Clock(arguments) => clock::run(&session, &arguments),
        Subcommands::Trace(arguments) => trace::run(&session, &arguments),
        Subcommands::Capture(arguments) => capture::run(&session, &arguments),
        Subcommands::Netem(arguments) => netem::run(&session, arguments),
        Subcommands::Rule(arguments) => rule::run(&session, arguments),
        Subcommands::Why(arguments) => why::run(&session, &arguments),
        Subcommands::Up(arguments) => up::run(&session, &arguments),
        Subcommands::Down(arguments) => down::run(&session, &arguments),
        Subcommands::Status(arguments) => status::run(&session, &arguments),
        Subcommands::Top(arguments) => top::run(&session, &arguments),
        Subcommands::Expect(arguments) => expect::run(&session, &arguments),
        Subcommands::Leaks(arguments) => leaks::run(&session, &arguments),
        Subcommands::Diagram(arguments) => diagram::run(&session, &arguments),
        Subcommands::Demo(arguments) => demo::run(&arguments),
        Subcommands::Man(arguments) => man::run(Cli::command(), &arguments),
        Subcommands::Completions(arguments) => man::complete(Cli::command(), &arguments),
        Subcommands::Stack(arguments) => stack::run(&session, &arguments),
    });
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            if !failure.sentence.is_empty() {
                notice(&failure.sentence);
            }
            ExitCode::from(failure.status)
        }
    }
}

/// The session that is meant: the option, else the environment, else the user's default.
fn session(option: Option<OsString>) -> Result<Session, Failure> {
    let (text, origin) = match (option, std::env::var_os(SESSION_VARIABLE)) {
        (Some(text), _) => (text, "--session"),
        (None, Some(text)) => (text, SESSION_VARIABLE),
        (None, None) => (DEFAULT_SESSION.into(), ""),
    };
    let uid = rustix::process::geteuid().as_raw();
    Session::parse(text.as_bytes(), uid)
        .map_err(|rule| Failure::usage(format!("{origin} '{}': {rule}", text.display())))
}

/// Says something on stderr; nobody can be told that this failed.
fn notice(sentence: &str) {
    let _ = writeln!(io::stderr(), "tcplab: {sentence}");
}

/// Writes to stdout, all at once.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes a value as JSON to stdout.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|e| Failure::new(format!("cannot write the answer as JSON: {e}")))?;
    text.push('\n');
    Ok(print(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_takes_the_programs_own_options_without_a_separator() {
        let cli =
            Cli::try_parse_from(["tcplab", "run", "--sysctl", "a=1", "curl", "-v", "--", "x"]);
        let Ok(Cli { command: Subcommands::Run(run), .. }) = cli else { panic!("not parsed") };
        assert_eq!(run.command, ["curl", "-v", "--", "x"]);
        assert_eq!(run.sysctl, ["a=1"]);
    }

    #[test]
    fn the_options_of_ss_may_be_written_together() {
        let cli = Cli::try_parse_from(["tcplab", "ss", "-tanpoie4H", "state", "time-wait"]);
        assert!(cli.is_ok());
    }

    #[test]
    fn a_session_is_named_before_or_after_the_subcommand() {
        for line in [["tcplab", "--session", "x", "up"], ["tcplab", "up", "--session", "x"]] {
            assert_eq!(Cli::try_parse_from(line).unwrap().session, Some("x".into()));
        }
    }

    #[test]
    fn a_bad_session_name_is_wrong_usage() {
        assert_eq!(session(Some("a b".into())).unwrap_err().status, USAGE);
    }
}
