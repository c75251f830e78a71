//! What is done to the stack: sysctls, the clock, rules. Each shows the command that does it.

use std::process::{self, Stdio};

use tcplab::client::Error;
use tcplab::inspect::clock::ClockCommand;
use tcplab::inspect::{Answer, Command};

use super::super::super::units::parse_duration;
use super::super::super::{Failure, clock, sysctl};
use super::Stage;

impl Stage<'_> {
    /// Sets a sysctl, and shows the line.
    pub(in super::super) fn sysctl(&mut self, assignment: &str) -> Result<(), Failure> {
        self.teller.command(&format!("tcplab sysctl {assignment}"))?;
        // The words of a shell line: quotes go.
        sysctl::set(self.client()?, &assignment.replace('\'', ""))
    }

    /// Puts the clock forward: everything due is done when this returns.
    pub(in super::super) fn advance(&mut self, by: &str) -> Result<(), Failure> {
        self.teller.command(&format!("tcplab clock advance {by}"))?;
        let by = parse_duration(by).map_err(Failure::new)?;
        clock::advance(self.client()?, by)?;
        Ok(())
    }

    /// Stops the clock: nothing is sent again while the scene is being set.
    pub(in super::super) fn pause(&mut self) -> Result<(), Failure> {
        self.clock("pause", ClockCommand::Pause)
    }

    /// Lets it go on.
    pub(in super::super) fn resume(&mut self) -> Result<(), Failure> {
        self.clock("resume", ClockCommand::Resume)
    }

    fn clock(&mut self, word: &str, command: ClockCommand) -> Result<(), Failure> {
        self.teller.command(&format!("tcplab clock {word}"))?;
        clock::ask(self.client()?, command)?;
        Ok(())
    }

    /// Runs a command of `tcplab` that looks at the session; its exit status and what it printed.
    pub(in super::super) fn tcplab(
        &mut self,
        words: &[&str],
    ) -> Result<(Option<i32>, String), Failure> {
        self.teller.command(&format!("tcplab {}", words.join(" ")))?;
        let mut command = process::Command::new(&self.tcplab);
        command.args(words).args(["--session", &self.session.to_string()]);
        let output = command
            .stdin(Stdio::null())
            .output()
            .map_err(|e| Failure::new(format!("cannot run tcplab {}: {e}", words.join(" "))))?;
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told).into_owned();
        self.teller.sentences(&told)?;
        Ok((output.status.code(), told))
    }

    /// Adds a rule; its number.
    pub(in super::super) fn rule(&mut self, text: &str) -> Result<u32, Failure> {
        self.teller.command(&format!("tcplab rule add '{text}'"))?;
        match self.client()?.ask(&Command::AddRule(text.to_owned()))? {
            Answer::Rules(rows) if rows.len() == 1 => Ok(rows[0].id),
            other => Err(Error::Foreign(format!("it answered {other:?}")).into()),
        }
    }

    /// Lets go the segment that the rule has held for longest.
    pub(in super::super) fn release_one(&mut self, rule: u32) -> Result<(), Failure> {
        self.release(rule, Some(1))
    }

    /// Lets go all that the rule holds.
    pub(in super::super) fn release_all(&mut self, rule: u32) -> Result<(), Failure> {
        self.release(rule, None)
    }

    fn release(&mut self, rule: u32, most: Option<u32>) -> Result<(), Failure> {
        let count = most.map_or_else(String::new, |most| format!(" --count {most}"));
        self.teller.command(&format!("tcplab rule release {rule}{count}"))?;
        match self.client()?.ask(&Command::ReleaseHeld(Some(rule), most))? {
            Answer::Released(0) => Err(Failure::new(format!("rule {rule} holds nothing"))),
            Answer::Released(_) => Ok(()),
            other => Err(Error::Foreign(format!("it answered {other:?}")).into()),
        }
    }
}
