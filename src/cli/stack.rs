//! `tcplab stack` (hidden): is the stack process. Programs and the other subcommands start it;
//! by hand it is only of use under a debugger.

use clap::Args;
use tcplab::ipc::names::Session;

use super::{Failure, Outcome};

/// Be the stack process of the session
#[derive(Args)]
#[command(hide = true)]
pub(super) struct Arguments {
    /// Descriptor to write `ok` or `error: ...` to when it is known
    #[arg(long, value_name = "N")]
    ready_fd: Option<i32>,
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Outcome {
    match tcplab::stack::run(*session, arguments.ready_fd) {
        Ok(()) => Ok(0),
        Err(error) => Err(Failure::new(error.to_string())),
    }
}
