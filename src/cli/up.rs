//! `tcplab up`: starts the stack of the session and tells it to stay.

use clap::Args;
use tcplab::client::{Client, this_program};
use tcplab::inspect::Command;
use tcplab::ipc::names::Session;

use super::{Outcome, print};

/// Start the session's stack now, and keep it until `tcplab down`
///
/// Not needed for programs to run: the first one starts the stack. But a stack that started so
/// leaves when it has been idle for a while, and forgets its sysctls; one that is `up` stays.
#[derive(Args)]
#[command(after_help = "Example:\n  tcplab up --session ci && tcplab status --session ci")]
pub(super) struct Arguments {
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let mut client = Client::connect_or_start(session, &this_program()?)?;
    client.ask(&Command::Stay)?;
    if !arguments.quiet {
        let status = client.status()?;
        print(&format!(
            "session {session} is up: process {}, UDP port {}\n",
            status.pid, status.udp_port
        ))?;
    }
    Ok(0)
}
