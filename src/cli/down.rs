//! `tcplab down`: ends the stack of the session, whatever it holds.

use clap::Args;
use tcplab::client::{Client, Error};
use tcplab::ipc::names::Session;

use super::{Outcome, notice};

/// End the session's stack
///
/// Programs that still use it see their connections reset, and their listeners end. Returns when the
/// session's name is free again; a session that is not running is no failure.
#[derive(Args)]
#[command(after_help = "Example:\n  tcplab down --session ci")]
pub(super) struct Arguments {}

pub(super) fn run(session: &Session, _: &Arguments) -> Outcome {
    match Client::connect(session) {
        Ok(client) => client.down()?,
        Err(Error::NotRunning(_)) => notice(&format!("session {session} was not running")),
        Err(error) => return Err(error.into()),
    }
    Ok(0)
}
