//! The watch door: commands that follow what happens (`tcplab trace`, `tcplab capture`, `top`).
//!
//! A watcher has a place in the recorder and moves on as fast as its command reads; nothing is
//! queued for it but one buffer. So a slow one costs no memory: what the recorder has forgotten
//! before it was read is counted, and told in the stream. What is said on it is in
//! [`crate::inspect::watch`]. While nobody watches, a turn of the stack spends one branch here.

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::time::SystemTime;

use rustix::net::RecvFlags;
use serde::Serialize;
use slab::Slab;

use super::kernel::{self, Moved};
use super::octets::{Found, Octets, Seen};
use super::poller::{self, Interest, Readiness, Token};
use super::recording::Recording;
use super::{RealTime, Stack};
use crate::inspect::watch::{Bulk, MAX_SUBSCRIPTION, OctetsWanted, Subscription, Told};
use crate::time::Instant;
use crate::trace::{Record, Recorder, What};

/// Commands that watch at once.
const MAX_WATCHERS: usize = 32;
/// Octets that wait for one command to read, before what its last record adds.
const MAX_OUTBOX: usize = 256 * 1024;
/// Octets passed on to one command in one turn, so that programs have theirs.
const MAX_PER_TURN: usize = 1 << 20;
/// Records looked at in one go.
const BATCH: usize = 256;
/// Processes whose names one watcher was told; of more they are told again.
const MAX_PROGRAMS_TOLD: usize = 4096;

/// A command at the door.
struct Watcher {
    fd: OwnedFd,
    generation: u32,
    /// Its user needs no secret.
    admitted: bool,
    /// It has ended its writing.
    has_ended: bool,
    phase: Phase,
    outbox: VecDeque<u8>,
}

enum Phase {
    /// Its first line, as far as it has come.
    Asking(Vec<u8>),
    /// It is told what happens.
    Watching(Watching),
    /// It is told what is in its outbox.
    Leaving,
}

/// What a watcher wants, and how far it is.
struct Watching {
    bulk: Bulk,
    octets: Option<OctetsWanted>,
    /// Number of the first record that was made after it came.
    began: u64,
    /// Number of the next record it is told.
    next: u64,
    /// Number of the first record it is not told any more.
    until: Option<u64>,
    programs: BTreeSet<u32>,
    lost_records: u64,
    lost_octets: u64,
    /// Records that had got lost on their way to the recorder when it was looked at last.
    missed: u64,
}

/// All of them.
#[derive(Default)]
pub(super) struct Watchers {
    slab: Slab<Watcher>,
    generation: u32,
    /// One has been told a turn's worth, and could be told more.
    hungry: bool,
}

impl Watchers {
    pub(super) fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// The next turn must not wait.
    pub(super) fn are_hungry(&self) -> bool {
        self.hungry
    }

    fn find(&mut self, index: u32, generation: u32) -> Option<&mut Watcher> {
        let watcher = self.slab.get_mut(index as usize);
        watcher.filter(|watcher| watcher.generation == generation)
    }

    fn watching(&self) -> impl Iterator<Item = &Watching> {
        self.slab.iter().filter_map(|(_, watcher)| match &watcher.phase {
            Phase::Watching(watching) => Some(watching),
            _ => None,
        })
    }

    /// Makes room for one more: whoever has not said for longest what it wants must go.
    fn make_room(&mut self) -> bool {
        if self.slab.len() < MAX_WATCHERS {
            return true;
        }
        let asking = self.slab.iter().filter(|(_, w)| matches!(w.phase, Phase::Asking(_)));
        let oldest = asking.min_by_key(|(_, w)| w.generation).map(|(index, _)| index);
        oldest.is_some_and(|index| self.slab.try_remove(index).is_some())
    }
}

impl Stack {
    /// Commands knock.
    pub(super) fn admit_watchers(&mut self) {
        while let Some((fd, _)) = self.accept_at(|doors| &doors.watch) {
            let (uid, _) = kernel::peer(fd.as_fd()).unwrap_or((u32::MAX, 0));
            let admitted = self.admits(uid);
            if !self.watchers.make_room() {
                let sentence =
                    format!("{MAX_WATCHERS} commands watch this session already: end one");
                let line = line_of(&Told::Refused { sentence });
                kernel::write_from(fd.as_fd(), (&line, &[]));
                continue;
            }
            self.watchers.generation = poller::next_generation(self.watchers.generation);
            let generation = self.watchers.generation;
            let entry = self.watchers.slab.vacant_entry();
            // MAX_WATCHERS bounds the index.
            let token = Token::Watcher(entry.key() as u32, generation);
            if self.poller.add(fd.as_fd(), token, Interest::ReadWrite).is_ok() {
                let phase = Phase::Asking(Vec::new());
                let outbox = VecDeque::new();
                let has_ended = false;
                entry.insert(Watcher { fd, generation, admitted, has_ended, phase, outbox });
            }
        }
    }

    /// The kernel says that a watcher may be read or written.
    pub(super) fn note_watcher(
        &mut self,
        now: Instant,
        index: u32,
        generation: u32,
        readiness: Readiness,
    ) {
        let Some(watcher) = self.watchers.find(index, generation) else { return };
        if !readiness.readable {
            return;
        }
        match watcher.read() {
            Heard::Nothing => {}
            Heard::Line(line) => self.subscribe(now, index, &line),
            Heard::Nonsense => {
                // One that was killed with something unread: nobody wants its bulk any more.
                self.watchers.slab.try_remove(index as usize);
                self.note_watched(now);
            }
        }
    }

    fn subscribe(&mut self, now: Instant, index: u32, line: &[u8]) {
        let subscription = serde_json::from_slice::<Subscription>(line);
        let Some(watcher) = self.watchers.slab.get_mut(index as usize) else { return };
        let secret = subscription.as_ref().ok().and_then(|wanted| wanted.secret.as_deref());
        let secret = secret.and_then(|hex| u128::from_str_radix(hex, 16).ok());
        let by_secret = secret.is_some_and(|secret| secret != 0 && secret == self.secret);
        let refusal = match &subscription {
            _ if !watcher.admitted && !by_secret => Some(
                "this session belongs to another user, and the secret is not its own".to_owned(),
            ),
            Ok(_) => None,
            Err(error) => Some(format!(
                "the stack does not understand what is to be watched ({error}): use the tcplab \
                 that started it, or `tcplab down` first"
            )),
        };
        let (Ok(subscription), None) = (subscription, &refusal) else {
            watcher.tell(&Told::Refused { sentence: refusal.unwrap_or_default() });
            watcher.phase = Phase::Leaving;
            return;
        };
        let (recorder, _) = self.recording.parts();
        let (began, missed) = (recorder.next(), recorder.missed());
        let real_ns = u64::try_from(self.recording.real().as_nanos()).unwrap_or(u64::MAX);
        watcher.tell(&Told::Began {
            session: self.session.to_string(),
            epoch_ns: epoch_ns(self.began),
            real_ns,
            at_ns: now.as_nanos(),
            next: began,
        });
        let Subscription { since, bulk, octets, secret: _ } = subscription;
        watcher.phase = Phase::Watching(Watching {
            bulk,
            octets,
            began,
            next: since.map_or(began, |since| since.max(1)),
            until: None,
            programs: BTreeSet::new(),
            lost_records: 0,
            lost_octets: 0,
            missed,
        });
        self.note_watched(now);
    }

    /// Records what watchers want, and no more.
    fn note_watched(&mut self, now: Instant) {
        let bulk = self.watchers.watching().any(|watching| watching.bulk == Bulk::Recorded);
        let wanted = self.watchers.watching().filter_map(|w| w.octets.clone()).collect();
        self.recording.set_watched(now, bulk);
        self.recording.parts().1.want(wanted);
    }

    /// Tells watchers what has happened since they were told last.
    pub(super) fn serve_watchers(&mut self, now: Instant) {
        if self.watchers.is_empty() {
            return;
        }
        let mut gone = Vec::new();
        self.watchers.hungry = false;
        for (index, watcher) in &mut self.watchers.slab {
            watcher.has_ended |= self.ends;
            match watcher.serve(&mut self.recording) {
                Served::All => {}
                Served::Some => self.watchers.hungry = true,
                Served::Gone => gone.push(index),
            }
        }
        let told = self.watchers.watching().filter(|w| w.octets.is_some()).map(|w| w.next).min();
        if let Some(told) = told {
            self.recording.parts().1.forget_before(told);
        }
        if !gone.is_empty() {
            for index in gone {
                self.watchers.slab.remove(index);
            }
            self.note_watched(now);
        }
    }
}

/// What came from a watcher.
enum Heard {
    Nothing,
    /// Its first line.
    Line(Vec<u8>),
    /// Not a line, or the end where one was expected.
    Nonsense,
}

/// How far serving a watcher went.
enum Served {
    /// It knows all there is, or will be written to when it has read.
    All,
    /// There is more.
    Some,
    /// It is not there any more.
    Gone,
}

impl Watcher {
    fn read(&mut self) -> Heard {
        let mut piece = [0; MAX_SUBSCRIPTION];
        loop {
            let len = match kernel::receive(self.fd.as_fd(), &mut piece, RecvFlags::empty()) {
                Moved::WouldBlock => return Heard::Nothing,
                Moved::Gone(_) => return Heard::Nonsense,
                Moved::Octets(len) => len,
            };
            match &mut self.phase {
                Phase::Asking(_) if len == 0 => return Heard::Nonsense,
                Phase::Asking(line) => {
                    line.extend_from_slice(&piece[..len]);
                    if line.len() > MAX_SUBSCRIPTION {
                        return Heard::Nonsense;
                    }
                    if line.ends_with(b"\n") {
                        return Heard::Line(std::mem::take(line));
                    }
                }
                _ if len == 0 => {
                    self.has_ended = true;
                    return Heard::Nothing;
                }
                // Nobody asks for more than one line.
                _ => {}
            }
        }
    }

    /// Fills the outbox and empties it into the socket, by turns.
    fn serve(&mut self, recording: &mut Recording) -> Served {
        let mut sent = 0;
        loop {
            let more = self.fill(recording);
            while !self.outbox.is_empty() {
                match kernel::write_from(self.fd.as_fd(), self.outbox.as_slices()) {
                    Moved::Octets(len) => {
                        self.outbox.drain(..len);
                        sent += len;
                    }
                    Moved::WouldBlock => return Served::All,
                    Moved::Gone(_) => return Served::Gone,
                }
            }
            match (&self.phase, more) {
                (Phase::Leaving, _) => return Served::Gone,
                (_, false) => return Served::All,
                (_, true) if sent >= MAX_PER_TURN => return Served::Some,
                _ => {}
            }
        }
    }

    /// Writes records to the outbox until it is full. False when there are no more.
    fn fill(&mut self, recording: &mut Recording) -> bool {
        let Phase::Watching(watching) = &mut self.phase else { return false };
        if self.has_ended && watching.until.is_none() {
            watching.until = Some(recording.parts().0.next());
        }
        while self.outbox.len() < MAX_OUTBOX {
            let records = recording.parts().0.since(watching.next, BATCH).records;
            if records.is_empty() || watching.until.is_some_and(|until| watching.next >= until) {
                watching.tell_losses(recording.parts().0, &mut self.outbox);
                if watching.until.is_some() {
                    self.tell(&Told::End {});
                    self.phase = Phase::Leaving;
                }
                return false;
            }
            for record in &records {
                if self.outbox.len() >= MAX_OUTBOX
                    || watching.until.is_some_and(|until| record.number >= until)
                {
                    break;
                }
                watching.tell(record, recording, &mut self.outbox);
            }
        }
        true
    }

    fn tell(&mut self, told: &Told) {
        put(told, &mut self.outbox);
    }
}

impl Watching {
    fn tell(&mut self, record: &Record, recording: &mut Recording, out: &mut VecDeque<u8>) {
        self.lost_records += record.number - self.next;
        self.next = record.number;
        self.tell_losses(recording.parts().0, out);
        self.next += 1;
        if let What::Call(call) = &record.what
            && let Some(name) = recording.program(call.pid)
        {
            if self.programs.len() >= MAX_PROGRAMS_TOLD {
                self.programs.clear();
            }
            if self.programs.insert(call.pid) {
                put(&Told::Program { pid: call.pid, name: name.to_owned() }, out);
            }
        }
        put(record, out);
        if record.number >= self.began {
            self.tell_octets(record, recording.parts().1, out);
        }
    }

    fn tell_octets(&mut self, record: &Record, octets: &Octets, out: &mut VecDeque<u8>) {
        let Some(wanted) = &self.octets else { return };
        let (seen, ends) = match &record.what {
            What::Segment(segment) => (Seen::Sent, [segment.from, segment.to]),
            What::Arrival(arrival) => {
                let seen = if arrival.serial.is_some() { Seen::Arrived } else { Seen::Foreign };
                (seen, [arrival.from, arrival.to])
            }
            _ => return,
        };
        match octets.find(record.number, wanted, seen, ends) {
            Found::NotWanted => {}
            Found::Lost => self.lost_octets += 1,
            Found::Kept(kept) => {
                let captured = kept.octets.len().min(wanted.most as usize);
                put(&Told::Octets { len: kept.len as u32, captured: captured as u32 }, out);
                out.extend(&kept.octets[..captured]);
            }
        }
    }

    fn tell_losses(&mut self, recorder: &Recorder, out: &mut VecDeque<u8>) {
        self.lost_records += recorder.missed() - self.missed;
        self.missed = recorder.missed();
        let (records, octets) = (self.lost_records, self.lost_octets);
        if records + octets > 0 {
            put(&Told::Lost { before: self.next, records, octets }, out);
            (self.lost_records, self.lost_octets) = (0, 0);
        }
    }
}

/// Writes a line.
fn put(value: &impl Serialize, out: &mut VecDeque<u8>) {
    // Plain data, written to memory: this does not fail.
    let _ = serde_json::to_writer(&mut *out, value);
    out.push_back(b'\n');
}

fn line_of(told: &Told) -> Vec<u8> {
    let mut out = VecDeque::new();
    put(told, &mut out);
    out.into()
}

/// Wall-clock time of `began`.
fn epoch_ns(began: RealTime) -> u64 {
    let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(epoch.saturating_sub(began.elapsed()).as_nanos()).unwrap_or(u64::MAX)
}
