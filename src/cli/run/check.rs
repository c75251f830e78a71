//! `tcplab run --check`: what the program and its children have leaked, looked at before they end.
//!
//! Looked at is:
//!
//! * each process with this run's token when it ends by itself (`exit`, `_exit`, return from
//!   `main`): its shim waits until we have looked;
//! * all of them before a signal that may end them is passed on to the program;
//! * those that are left when the program itself has ended.
//!
//! Not seen is a process that is killed otherwise: by another's signal, by the terminal's, by its
//! own crash. A leak that is found twice is told once, as it was the last time.

use core::time::Duration;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use clap::ValueEnum;
use tcplab::client::{Client, Error};
use tcplab::inspect::{Answer, Command};
use tcplab::ipc::names::CHECK_VARIABLE;

use super::super::leaks::finding::Finding;
use super::super::leaks::{Form, has_variable, look, report};
use super::super::{Failure, notice, units};
use super::preflight::NOT_RUN;

/// Exit status of `tcplab run` where the program ended well and leaks were found: what leak
/// sanitizers use.
pub(super) const LEAKED: u8 = 23;

/// What can be checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Check {
    /// Sockets that are not closed, not read, not accepted (see `tcplab leaks`)
    Leaks,
}

/// Options of the check.
#[derive(clap::Args, Debug)]
pub(super) struct Options {
    /// Look for leaks before the program ends (as `tcplab leaks` does), and end with 23 where the
    /// program ended with 0 and has some
    #[arg(long, value_name = "WHAT", num_args = 0..=1, default_missing_value = "leaks", require_equals = true)]
    check: Option<Check>,
    /// Leaks only that have lasted so long: 500ms, 1s, 2m
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration, default_value = "1s")]
    check_older: Duration,
    /// Form of the report
    #[arg(long, value_enum, value_name = "FORM", default_value = "text")]
    check_form: Form,
    /// Write the report there, and not on stderr
    #[arg(long, value_name = "FILE")]
    check_output: Option<PathBuf>,
}

/// One that looks, where that is wanted.
pub(super) struct Examiner {
    /// Waits for programs that are about to end.
    waiting: Client,
    /// Looks.
    looking: Client,
    token: u64,
    older: Duration,
    form: Form,
    output: Option<PathBuf>,
    findings: Vec<Finding>,
    looked_at: usize,
    /// Why it cannot look any more.
    broken: Option<Error>,
}

impl Examiner {
    /// An examiner of the program that `command` will run, where `options` ask for one.
    pub(super) fn prepare(
        options: &Options,
        client: &Client,
        command: &mut std::process::Command,
    ) -> Result<Option<Examiner>, Failure> {
        if options.check.is_none() {
            return Ok(None);
        }
        let session = client.session();
        let mut examiner = Examiner {
            waiting: Client::connect(session)?,
            looking: Client::connect(session)?,
            token: token(),
            older: options.check_older,
            form: options.check_form,
            output: options.check_output.clone(),
            findings: Vec::new(),
            looked_at: 0,
            broken: None,
        };
        examiner.waiting.begin(&Command::NextLeaver(examiner.token))?;
        command.env(CHECK_VARIABLE, examiner.token.to_string());
        Ok(Some(examiner))
    }

    /// Readable when a program is about to end.
    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.broken.is_none().then(|| self.waiting.as_fd())
    }

    /// Looks at the program that is about to end, and lets it.
    pub(super) fn look_at_leaver(&mut self) {
        let outcome = self.waiting.finish().and_then(|answer| {
            if let Answer::Leaver(pid) = answer {
                self.look(&|holder| holder == pid)?;
            }
            self.waiting.begin(&Command::NextLeaver(self.token))
        });
        self.broken = self.broken.take().or(outcome.err());
    }

    /// Looks at every program of this run.
    pub(super) fn look_at_all(&mut self) {
        let token = self.token.to_string();
        let outcome = self.look(&|holder| has_variable(holder, CHECK_VARIABLE, &token));
        self.broken = self.broken.take().or(outcome.err());
    }

    fn look(&mut self, is_meant: &dyn Fn(u32) -> bool) -> Result<(), Error> {
        let found = look(&mut self.looking, self.older)?;
        self.looked_at = self.looked_at.max(found.looked_at);
        for finding in found.findings.into_iter().filter(|finding| finding.concerns(is_meant)) {
            let same = |known: &Finding| {
                known.id == finding.id && known.kind.name() == finding.kind.name()
            };
            match self.findings.iter_mut().find(|known| same(known)) {
                Some(known) => *known = finding,
                None => self.findings.push(finding),
            }
        }
        Ok(())
    }

    /// Reports, and gives the exit status for a program that ended with `status`.
    pub(super) fn finish(mut self, status: u8) -> Result<u8, Failure> {
        if self.broken.is_none() {
            self.look_at_all();
        }
        let has_leaks = !self.findings.is_empty();
        let text = report(self.form, &self.findings, self.looked_at);
        match &self.output {
            Some(path) => fs::write(path, text).map_err(|e| {
                Failure::new(format!("the report cannot be written to {}: {e}", path.display()))
            })?,
            None if self.form != Form::Text => eprint!("{text}"),
            None if has_leaks => {
                for finding in &self.findings {
                    notice(&format!("leak: {finding}"));
                }
            }
            None => {}
        }
        if let Some(error) = &self.broken {
            notice(&format!("not all leaks can be told: {error}"));
        }
        Ok(match status {
            0 if has_leaks => LEAKED,
            0 if self.broken.is_some() => NOT_RUN,
            status => status,
        })
    }
}

/// A number that no other run of the session has.
fn token() -> u64 {
    let mut bits = [0; 8];
    // Without a source of randomness the process id and the time are as good.
    if getrandom::fill(&mut bits).is_err() {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        return (u64::from(std::process::id()) << 32 ^ now.as_nanos() as u64).max(1);
    }
    u64::from_le_bytes(bits).max(1)
}
