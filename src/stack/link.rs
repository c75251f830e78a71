//! The stack's use of the link: segments that must go through it, those whose time has come, and
//! what the command line wants changed.

use super::Stack;
use crate::host::Sent;
use crate::inspect::{Answer, Command};
use crate::link::{Datagram, Way};
use crate::time::Instant;
use crate::trace::{Operation, Weight, What};

impl Stack {
    /// The segment that was just written goes through rules and impairments.
    pub(super) fn send_through_link(&mut self, now: Instant, sent: &Sent) {
        let Stack { link, host, wire, segment, recording, .. } = self;
        let &Sent { from, to, sending, .. } = sent;
        let serial = recording.new_serial();
        let datagram = Datagram { from, to, octets: segment, sending, serial };
        let verdict = link.offer(now, datagram, &|tuple| host.end_of(tuple));
        let recorded = recording.note_sent_as(now, serial, sent, segment, verdict.fate);
        if verdict.way == Way::Now {
            recording.note_under_way(to, recorded, segment);
            wire.send(from, to, segment);
        }
    }

    /// Sends what the link has kept until now; gives how many segments, at most `most`.
    pub(super) fn send_due(&mut self, now: Instant, most: usize) -> usize {
        let Stack { link, wire, segment, recording, .. } = self;
        if link.is_transparent() {
            return 0;
        }
        for sent in 0..most {
            let Some(due) = link.take_due(now, segment) else { return sent };
            recording.note_leaves_link(due.to, due.serial, segment);
            wire.send(due.from, due.to, segment);
        }
        most
    }

    /// Answers what concerns rules and impairments.
    pub(super) fn obey_for_link(&mut self, now: Instant, command: Command) -> Answer {
        let link = &mut self.link;
        let operations: Vec<Operation> = match command {
            Command::Netem | Command::Rules => Vec::new(),
            Command::ReleaseHeld(id, _) => {
                let rules = link.rule_rows().into_iter();
                let holding =
                    rules.filter(|rule| rule.held > 0 && id.is_none_or(|id| id == rule.id));
                holding.map(|rule| Operation::Released(rule.id)).collect()
            }
            _ => vec![Operation::LinkChanged],
        };
        let answer = match command {
            Command::SetNetem(verb, text) => {
                link.set_netem(now, verb, &text).map(|row| Answer::Netem(vec![row]))
            }
            Command::DeleteNetem(text) => link.delete_netem(text.as_deref()).map(Answer::Netem),
            Command::Netem => Ok(Answer::Netem(link.netem_rows())),
            Command::AddRule(text) => link.add_rule(&text).map(|row| Answer::Rules(vec![row])),
            Command::DeleteRules(id) => link.delete_rules(id).map(Answer::Rules),
            Command::ReleaseHeld(id, most) => link.release(now, id, most).map(Answer::Released),
            Command::Rules => Ok(Answer::Rules(link.rule_rows())),
            other => Err(format!("{other:?} does not concern the link")),
        };
        for operation in operations.into_iter().filter(|_| answer.is_ok()) {
            self.recording.note(now, Weight::Control, What::Operator(operation));
        }
        answer.unwrap_or_else(Answer::Refused)
    }
}
