//! What the command line asks, answered as JSON.

use super::Stack;
use super::endpoint::Waiter;
use crate::inspect::{Answer, Command, SocketRow, Status};
use crate::time::Instant;
use crate::trace::{Operation, Weight, What};

impl Stack {
    /// Answers one command, now; `None`: later.
    pub(super) fn command(&mut self, now: Instant, waiter: Waiter, text: &[u8]) -> Option<Vec<u8>> {
        let answer = match serde_json::from_slice(text) {
            Ok(Command::NextLeaver(token)) => {
                self.examine(waiter, token);
                return None;
            }
            Ok(command) => self.obey(now, command),
            Err(error) => Answer::Refused(format!(
                "the stack does not understand this command ({error}): use the tcplab that started it, or `tcplab down` first"
            )),
        };
        Some(serde_json::to_vec(&answer).unwrap_or_default())
    }

    fn obey(&mut self, now: Instant, command: Command) -> Answer {
        let sysctl = |row| match row {
            Ok(row) => Answer::Sysctl(row),
            Err(sentence) => Answer::Refused(sentence),
        };
        match command {
            Command::Sockets => {
                self.sweep(now);
                for index in self.endpoints.select(|endpoint| endpoint.output.handed > 0) {
                    self.ask_unread(now, index);
                }
                Answer::Sockets(self.rows(now))
            }
            Command::Status => {
                self.sweep(now);
                Answer::Status(self.status())
            }
            Command::Sysctls => Answer::Sysctls(self.host.sysctls()),
            Command::GetSysctl(name) => sysctl(self.host.sysctl(&name)),
            Command::SetSysctl(name, value) => {
                let row = self.host.set_sysctl(&name, &value);
                if row.is_ok() {
                    let set = What::Operator(Operation::SysctlSet);
                    self.recording.note(now, Weight::Control, set);
                }
                sysctl(row)
            }
            Command::Records { since, most } => self.records(now, since, most),
            Command::SetTracing(tracing) => {
                self.recording.set_tracing(now, tracing);
                Answer::Done
            }
            Command::Why(question) => {
                self.sweep(now);
                self.why(now, &question)
            }
            Command::Refusals => self.last_refusals(now),
            Command::Clock(command) => self.clock_command(command),
            Command::SetNetem(..)
            | Command::DeleteNetem(_)
            | Command::Netem
            | Command::AddRule(_)
            | Command::DeleteRules(_)
            | Command::ReleaseHeld(..)
            | Command::Rules => self.obey_for_link(now, command),
            // Answered when there is one, not here.
            Command::NextLeaver(_) => Answer::Done,
            Command::Stay => {
                self.stays = true;
                Answer::Done
            }
            Command::Down => {
                tracing::info!("told to end");
                self.ends = true;
                Answer::Done
            }
        }
    }

    fn rows(&self, now: Instant) -> Vec<SocketRow> {
        let with_id = |(key, mut row): (Option<_>, SocketRow)| {
            let endpoint = key.and_then(|key| self.endpoints.by_key(key));
            if let Some((index, endpoint)) =
                endpoint.and_then(|index| Some((index, self.endpoints.get(index)?)))
            {
                row.id = format!("{:?}", endpoint.id);
                row.usage = self.usage(now, index);
            }
            row
        };
        self.host.rows(now).into_iter().map(with_id).collect()
    }

    fn status(&self) -> Status {
        let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Status {
            pid: std::process::id(),
            session: self.session.to_string(),
            uptime_s: self.began.elapsed().as_secs(),
            udp_port: self.wire.port(),
            // read_dir's own descriptor is one of them.
            descriptors: descriptors.saturating_sub(1) as u64,
            resident_kib: resident_kib(),
            ..self.host.status()
        }
    }
}

fn resident_kib() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64 / 1024
}
