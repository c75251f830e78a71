//! Programs that are about to end and wait until somebody has looked at what they still hold:
//! those run by `tcplab run --check`.
//!
//! The program asks ([`crate::ipc::message::Request::Leaving`]) and gets its reply when its
//! examiner, the `tcplab run` with the same token, has looked. An examiner that is not there, or
//! goes, keeps nobody.

use super::Stack;
use super::endpoint::Waiter;
use crate::inspect::Answer;
use crate::ipc::message::Reply;

/// Who looks.
struct Examiner {
    token: u64,
    /// Its last question for the next program; answered where `asks` is false.
    waiter: Waiter,
    asks: bool,
}

/// Who waits.
struct Leaver {
    token: u64,
    pid: u32,
    waiter: Waiter,
    /// Its examiner knows.
    told: bool,
}

/// Both.
#[derive(Default)]
pub(super) struct Leavers {
    examiners: Vec<Examiner>,
    waiting: Vec<Leaver>,
}

impl Leavers {
    /// The next program that an examiner is to be told of.
    fn next(&mut self) -> Option<(Waiter, u32)> {
        for examiner in self.examiners.iter_mut().filter(|examiner| examiner.asks) {
            let of_his = |leaver: &&mut Leaver| leaver.token == examiner.token && !leaver.told;
            if let Some(leaver) = self.waiting.iter_mut().find(of_his) {
                (leaver.told, examiner.asks) = (true, false);
                return Some((examiner.waiter, leaver.pid));
            }
        }
        None
    }

    /// Takes those who need not wait any longer: nobody examines them.
    fn take_unexamined(&mut self) -> Vec<Waiter> {
        let Leavers { examiners, waiting } = self;
        let has_examiner =
            |leaver: &Leaver| examiners.iter().any(|examiner| examiner.token == leaver.token);
        waiting.extract_if(.., |leaver| !has_examiner(leaver)).map(|leaver| leaver.waiter).collect()
    }

    /// Takes those of whom an examiner was told: it has looked.
    fn take_examined(&mut self, token: u64) -> Vec<Waiter> {
        let examined = |leaver: &mut Leaver| leaver.token == token && leaver.told;
        self.waiting.extract_if(.., examined).map(|leaver| leaver.waiter).collect()
    }

    /// Forgets what a client that is gone has asked.
    pub(super) fn forget(&mut self, is_his: impl Fn(&Waiter) -> bool) {
        self.waiting.retain(|leaver| !is_his(&leaver.waiter));
        self.examiners.retain(|examiner| !is_his(&examiner.waiter));
    }
}

impl Stack {
    /// A program is about to end.
    pub(super) fn leave(&mut self, waiter: Waiter, pid: u32, token: u64) {
        self.leavers.waiting.push(Leaver { token, pid, waiter, told: false });
        self.clients.note_waiting(waiter);
        self.see_leavers_off();
    }

    /// An examiner has looked at the last program it was told of, and asks for the next; the
    /// answer comes when there is one.
    pub(super) fn examine(&mut self, waiter: Waiter, token: u64) {
        for examined in self.leavers.take_examined(token) {
            self.clients.reply(examined, &Reply::Done);
        }
        self.leavers.examiners.retain(|examiner| examiner.token != token);
        self.leavers.examiners.push(Examiner { token, waiter, asks: true });
        self.clients.note_waiting(waiter);
        self.see_leavers_off();
    }

    /// Tells examiners of programs, and lets programs without an examiner go.
    pub(super) fn see_leavers_off(&mut self) {
        for unexamined in self.leavers.take_unexamined() {
            self.clients.reply(unexamined, &Reply::Done);
        }
        while let Some((examiner, pid)) = self.leavers.next() {
            let answer = serde_json::to_vec(&Answer::Leaver(pid)).unwrap_or_default();
            self.clients.reply_text(examiner, &answer);
        }
    }
}
