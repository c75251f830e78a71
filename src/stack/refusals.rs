//! Why calls of programs were refused for want of a port: what `tcplab why` asks, and the last
//! refusals with the facts as they were then.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::Stack;
use super::recording::Caller;
use crate::host::{Explained, SocketKey};
use crate::inspect::Answer;
use crate::inspect::why::{Call, Explanation, Question, Refusal};
use crate::ipc::Errno;
use crate::ipc::message::Request;
use crate::time::Instant;

/// Refusals that are kept.
const MAX_REFUSALS: usize = 64;

/// A refusal, and when it was the last time.
struct Kept {
    at: Instant,
    pid: u32,
    program: String,
    fd: i32,
    times: u64,
    errno: Errno,
    asked: (Call, Option<SocketAddr>),
    explanation: Explanation,
}

/// The last of them.
#[derive(Default)]
pub(super) struct Refusals(VecDeque<Kept>);

impl Refusals {
    /// The same as the last one of this process: counted, not explained again.
    fn repeats(
        &mut self,
        now: Instant,
        pid: u32,
        asked: (Call, Option<SocketAddr>),
        errno: Errno,
    ) -> bool {
        let last = self.0.iter_mut().rev().find(|kept| kept.pid == pid);
        let Some(kept) = last.filter(|kept| kept.asked == asked && kept.errno == errno) else {
            return false;
        };
        kept.times += 1;
        kept.at = now;
        true
    }

    fn keep(&mut self, kept: Kept) {
        if self.0.len() == MAX_REFUSALS {
            self.0.pop_front();
        }
        self.0.push_back(kept);
    }
}

impl Stack {
    /// Keeps why a call was refused, where a port was the reason.
    pub(super) fn note_refusal(
        &mut self,
        now: Instant,
        caller: Caller,
        key: SocketKey,
        request: &Request<'_>,
        errno: Errno,
    ) {
        let asked = match *request {
            Request::Bind(address) => (Call::Bind, Some(address)),
            Request::Listen(_) => (Call::Listen, None),
            Request::Connect(address, _) => (Call::Connect, Some(address)),
            _ => return,
        };
        let for_a_port = matches!(
            errno,
            Errno::EADDRINUSE | Errno::EADDRNOTAVAIL | Errno::EACCES | Errno::ENETUNREACH
        );
        if !for_a_port || self.refusals.repeats(now, caller.pid, asked, errno) {
            return;
        }
        let Some(explained) = self.host.why_refused(now, key, asked.0, asked.1) else { return };
        let explanation = self.name_parties(explained);
        tracing::info!(?explanation, pid = caller.pid, "refused");
        let Caller { pid, fd, .. } = caller;
        self.recording.note_program(pid);
        let program = self.recording.program(pid).unwrap_or_default().to_owned();
        self.refusals.keep(Kept { at: now, pid, program, fd, times: 1, errno, asked, explanation });
    }

    /// Answers what would become of a call.
    pub(super) fn why(&mut self, now: Instant, question: &Question) -> Answer {
        let explained = self.host.why(now, question);
        Answer::Why(Box::new(self.name_parties(explained)))
    }

    /// The last refusals, the latest last.
    pub(super) fn last_refusals(&self, now: Instant) -> Answer {
        let told = self.refusals.0.iter().map(|kept| Refusal {
            age_ms: u64::try_from(now.since(kept.at).as_millis()).unwrap_or(u64::MAX),
            pid: kept.pid,
            program: kept.program.clone(),
            fd: kept.fd,
            times: kept.times,
            explanation: kept.explanation.clone(),
        });
        Answer::Refusals(told.collect())
    }

    /// Adds what only the stack knows of the parties: identity, and who made them.
    fn name_parties(&self, (mut explanation, keys): Explained) -> Explanation {
        for (party, key) in explanation.parties.iter_mut().zip(keys) {
            let index = key.and_then(|key| self.endpoints.by_key(key));
            if let Some(endpoint) = index.and_then(|index| self.endpoints.get(index)) {
                party.socket.id = format!("{:?}", endpoint.id);
                party.opener = endpoint.opener;
            }
        }
        explanation
    }
}
