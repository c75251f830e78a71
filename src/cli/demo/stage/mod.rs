//! The stage of a scene: a session of its own, the programs that act in it, what is seen of their
//! sockets, and the text that tells it.
//!
//! | what | file |
//! | --- | --- |
//! | the session, checks | `mod.rs` |
//! | programs | `actors.rs` |
//! | sysctls, the clock, rules | `controls.rs` |
//! | sockets, counters | `looking.rs` |
//! | what was recorded | `history.rs` |
//! | text | `telling.rs` |

mod actors;
mod controls;
mod history;
mod looking;
mod telling;

use core::time::Duration;
use std::io;
use std::path::PathBuf;

use tcplab::client::{Client, this_program};
use tcplab::inspect::Command;
use tcplab::ipc::names::Session;

use super::super::Failure;
use super::programs::Workshop;

pub(super) use actors::{Actor, Caller, Held, Pair};
pub(super) use history::Side;
pub(super) use looking::{Columns, Sight};
pub(super) use telling::{Style, Teller, Verdict};

/// Port of the server in every scene: each has a session, and so a machine, of its own.
pub(super) const SERVER: u16 = 8080;
/// How long something that must happen is waited for: on a busy machine, too.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// How often the stack is looked at meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// A session with programs in it, and the telling of it.
pub(super) struct Stage<'a> {
    session: Session,
    client: Option<Client>,
    workshop: &'a Workshop,
    tcplab: PathBuf,
    teller: &'a mut Teller,
    checks: u32,
    failed: u32,
    skipped: bool,
}

/// How the checks of a scene came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub(super) checks: u32,
    pub(super) failed: u32,
    pub(super) skipped: bool,
}

impl<'a> Stage<'a> {
    /// Starts a stack for the scene.
    pub(super) fn set(
        workshop: &'a Workshop,
        teller: &'a mut Teller,
        [id, name, title]: [&str; 3],
    ) -> Result<Stage<'a>, Failure> {
        teller.heading(id, name, title)?;
        let session = format!("demo-{}-{}", std::process::id(), id.to_ascii_lowercase());
        let uid = rustix::process::geteuid().as_raw();
        let session = Session::parse(session.as_bytes(), uid)
            .map_err(|rule| Failure::new(format!("session {session}: {rule}")))?;
        let tcplab = this_program()?;
        let mut client = Client::connect_or_start(&session, &tcplab)?;
        client.ask(&Command::SetTracing(true))?;
        let client = Some(client);
        Ok(Stage {
            session,
            client,
            workshop,
            tcplab,
            teller,
            checks: 0,
            failed: 0,
            skipped: false,
        })
    }

    /// Plays on it and strikes it; a scene that cannot go on has failed.
    pub(super) fn play(
        mut self,
        scene: impl FnOnce(&mut Stage) -> Result<(), Failure>,
    ) -> Result<Tally, Failure> {
        if let Err(failure) = scene(&mut self) {
            if failure.sentence.is_empty() {
                // Whoever read the story has read enough.
                return Err(failure);
            }
            self.check(false, &failure.sentence)?;
        }
        if let Some(client) = self.client.take() {
            client.down()?;
        }
        Ok(Tally { checks: self.checks, failed: self.failed, skipped: self.skipped })
    }

    /// Tells something.
    pub(super) fn say(&mut self, sentence: &str) -> io::Result<()> {
        self.teller.say(sentence)
    }

    /// Tells something that belongs to the check before.
    pub(super) fn note(&mut self, sentence: &str) -> io::Result<()> {
        self.teller.note(sentence)
    }

    /// Says what is expected, and whether it is so.
    pub(super) fn check(&mut self, holds: bool, sentence: &str) -> io::Result<()> {
        self.checks += 1;
        self.failed += u32::from(!holds);
        self.teller.check(if holds { Verdict::Holds } else { Verdict::Fails }, sentence)
    }

    /// Says that, and why, the scene is not shown here.
    pub(super) fn skip(&mut self, sentence: &str) -> io::Result<()> {
        self.skipped = true;
        self.teller.check(Verdict::Skipped, sentence)
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let _ = client.down();
        }
    }
}
