//! Where records are kept: a bounded flight recorder of control events, always on, and a second
//! ring for the bulk of a connection that is filled only while somebody traces.
//!
//! Two rings, so that ten thousand segments of a download do not push the handshake out. What is
//! pushed out is counted. A record that is not wanted costs one comparison.

use std::collections::VecDeque;

use super::record::{Record, Records, What};
use crate::time::{Duration, Instant};

/// Records of control events that are kept.
pub const MAX_CONTROL: usize = 32 * 1024;
/// Records of bulk data that are kept while tracing.
pub const MAX_BULK: usize = 64 * 1024;

/// Which ring a record belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weight {
    /// Opens, closes, refuses, kills: always recorded.
    Control,
    /// Text and its acknowledgments: recorded while somebody traces.
    Bulk,
}

#[derive(Debug, Default)]
struct Ring {
    records: VecDeque<Record>,
    /// Number of the newest record that was pushed out.
    forgotten: u64,
    /// How many were.
    lost: u64,
}

impl Ring {
    fn push(&mut self, record: Record, most: usize) {
        if self.records.len() >= most
            && let Some(oldest) = self.records.pop_front()
        {
            self.forgotten = oldest.number;
            self.lost += 1;
        }
        self.records.push_back(record);
    }

    /// Index of the first record with that number or a later one.
    fn position(&self, number: u64) -> usize {
        self.records.partition_point(|record| record.number < number)
    }
}

/// Both rings.
#[derive(Debug)]
pub struct Recorder {
    control: Ring,
    bulk: Ring,
    next: u64,
    tracing: bool,
    /// Records that got lost on their way here.
    missed: u64,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder {
            control: Ring::default(),
            bulk: Ring::default(),
            next: 1,
            tracing: false,
            missed: 0,
        }
    }
}

impl Recorder {
    /// Bulk is recorded, too.
    pub fn is_tracing(&self) -> bool {
        self.tracing
    }

    /// Begins or ends the recording of bulk. What was recorded stays until it is pushed out.
    pub fn set_tracing(&mut self, tracing: bool) {
        self.tracing = tracing;
    }

    /// A record of this weight would be kept.
    pub fn wants(&self, weight: Weight) -> bool {
        weight == Weight::Control || self.tracing
    }

    /// Records what happened at `at`, `real` after the stack began. Nothing where that is not
    /// wanted.
    pub fn note(&mut self, at: Instant, real: Duration, weight: Weight, what: What) {
        if !self.wants(weight) {
            return;
        }
        let record = Record {
            number: self.next,
            at_ns: at.as_nanos(),
            real_ns: u64::try_from(real.as_nanos()).unwrap_or(u64::MAX),
            what,
        };
        self.next += 1;
        match weight {
            Weight::Control => self.control.push(record, MAX_CONTROL),
            Weight::Bulk => self.bulk.push(record, MAX_BULK),
        }
    }

    /// So many records got lost before they came here.
    pub fn note_missed(&mut self, count: u64) {
        self.missed += count;
    }

    /// Records that got lost before they came here, ever.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Number of the next record.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Records from number `since` on, at most `most` of them, both rings merged.
    pub fn since(&self, since: u64, most: usize) -> Records {
        let mut control = self.control.records.range(self.control.position(since)..).peekable();
        let mut bulk = self.bulk.records.range(self.bulk.position(since)..).peekable();
        let mut records = Vec::new();
        while records.len() < most {
            let first = match (control.peek(), bulk.peek()) {
                (Some(a), Some(b)) if a.number < b.number => control.next(),
                (Some(_), None) => control.next(),
                _ => bulk.next(),
            };
            match first {
                Some(record) => records.push(*record),
                None => break,
            }
        }
        let next = records.last().map_or(self.next.max(since), |record| record.number + 1);
        Records { records, lost: self.lost(since), next, ..Records::default() }
    }

    /// Records that were made, are not there any more, and might have been wanted by who asks
    /// for those from `since` on.
    fn lost(&self, since: u64) -> u64 {
        let of = |ring: &Ring| {
            let wanted = (ring.forgotten + 1).saturating_sub(since.max(1));
            ring.lost.min(wanted)
        };
        of(&self.control) + of(&self.bulk) + self.missed
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Operation;
    use super::*;

    fn note(recorder: &mut Recorder, weight: Weight) {
        let what = What::Operator(Operation::SysctlSet);
        recorder.note(Instant::ZERO, Duration::ZERO, weight, what);
    }

    #[test]
    fn bulk_is_recorded_only_while_somebody_traces() {
        let mut recorder = Recorder::default();
        note(&mut recorder, Weight::Bulk);
        recorder.set_tracing(true);
        note(&mut recorder, Weight::Bulk);
        assert_eq!(recorder.since(0, usize::MAX).records.len(), 1);
    }

    #[test]
    fn both_rings_are_read_in_the_order_of_what_happened() {
        let mut recorder = Recorder::default();
        recorder.set_tracing(true);
        for weight in [Weight::Bulk, Weight::Control, Weight::Control, Weight::Bulk] {
            note(&mut recorder, weight);
        }
        let records = recorder.since(2, 2);
        let numbers: Vec<u64> = records.records.iter().map(|record| record.number).collect();
        assert_eq!(numbers, [2, 3]);
        assert_eq!(records.next, 4);
        assert_eq!(recorder.since(records.next, usize::MAX).records.len(), 1);
        assert_eq!(recorder.since(5, usize::MAX).next, 5);
    }

    #[test]
    fn what_is_pushed_out_is_counted_and_bulk_pushes_out_no_control() {
        let mut recorder = Recorder::default();
        recorder.set_tracing(true);
        note(&mut recorder, Weight::Control);
        for _ in 0..MAX_BULK + 3 {
            note(&mut recorder, Weight::Bulk);
        }
        let all = recorder.since(0, usize::MAX);
        assert_eq!(all.records.len(), 1 + MAX_BULK);
        assert_eq!(all.lost, 3);
        assert_eq!(recorder.since(all.next, usize::MAX).lost, 0);
    }
}
