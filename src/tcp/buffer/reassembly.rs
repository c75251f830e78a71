//! Which octets after RCV.NXT are there already, and which blocks SACK tells (RFC 2018 4).
//!
//! Runs are kept sorted and apart; the octets themselves lie in the receive ring.

use crate::tcp::limits::MAX_OUT_OF_ORDER_RUNS;
use crate::wire::{MAX_SACK_BLOCKS, SeqNum};

/// A run of octets, `[left, right)`.
type Run = (SeqNum, SeqNum);

/// What became of a piece of text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::tcp) enum Insert {
    /// At least one octet is new.
    New,
    /// All of it was there.
    Duplicate,
    /// It would make one run too many ([`MAX_OUT_OF_ORDER_RUNS`]).
    Full,
}

/// Map of the octets that arrived out of order.
#[derive(Debug, Default)]
pub(in crate::tcp) struct Reassembly {
    /// sorted by distance from RCV.NXT, never touching
    runs: Vec<Run>,
    /// left edges of runs as of their last arrival, newest first
    recent: [Option<SeqNum>; MAX_SACK_BLOCKS],
}

impl Reassembly {
    /// Nothing is out of order.
    pub(in crate::tcp) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Sequence number after the last octet held.
    pub(in crate::tcp) fn end(&self) -> Option<SeqNum> {
        self.runs.last().map(|run| run.1)
    }

    /// Octets held out of order.
    #[cfg(test)]
    fn octets(&self) -> usize {
        self.runs.iter().map(|&(left, right)| right.diff(left) as usize).sum()
    }

    /// Notes `[left, right)`, all of it at or after `nxt`.
    pub(in crate::tcp) fn insert(&mut self, nxt: SeqNum, left: SeqNum, right: SeqNum) -> Insert {
        let (from, to) = (left.diff(nxt), right.diff(nxt));
        // runs [first, last) touch or overlap the new one
        let first = self.runs.partition_point(|run| run.1.diff(nxt) < from);
        let last = self.runs.partition_point(|run| run.0.diff(nxt) <= to);
        if first == last {
            if self.runs.len() >= MAX_OUT_OF_ORDER_RUNS {
                return Insert::Full;
            }
            self.runs.insert(first, (left, right));
            self.remember(left);
            return Insert::New;
        }
        let (old_left, old_right) = (self.runs[first].0, self.runs[last - 1].1);
        let merged_left = if old_left.diff(nxt) < from { old_left } else { left };
        let merged_right = if old_right.diff(nxt) > to { old_right } else { right };
        let duplicate = last - first == 1 && (merged_left, merged_right) == (old_left, old_right);
        self.runs[first] = (merged_left, merged_right);
        self.runs.drain(first + 1..last);
        self.remember(merged_left);
        if duplicate { Insert::Duplicate } else { Insert::New }
    }

    /// RCV.NXT moved to `nxt`: runs that it reached are taken out; returns where it ends up.
    pub(in crate::tcp) fn advance(&mut self, nxt: SeqNum) -> SeqNum {
        let mut end = nxt;
        let reached = self.runs.iter().take_while(|run| !run.0.after(nxt)).count();
        for (_, right) in self.runs.drain(..reached) {
            end = end.later(right);
        }
        end
    }

    /// The run that contains `seq`.
    fn run_at(&self, seq: SeqNum) -> Option<Run> {
        self.runs.iter().copied().find(|run| seq.within(run.0, run.1))
    }

    /// Blocks for the SACK option: `dsack` first, then the most recent runs (RFC 2018 4, RFC 2883).
    pub(in crate::tcp) fn blocks(
        &self,
        dsack: Option<Run>,
        max: usize,
    ) -> [Option<Run>; MAX_SACK_BLOCKS] {
        let mut blocks = [None; MAX_SACK_BLOCKS];
        let mut count = 0;
        let runs = self.recent.iter().flatten().filter_map(|&seq| self.run_at(seq));
        for (position, run) in dsack.into_iter().chain(runs).enumerate() {
            let is_dsack = position == 0 && dsack.is_some();
            let repeated = blocks[usize::from(dsack.is_some())..].contains(&Some(run));
            if count < max.min(MAX_SACK_BLOCKS) && (is_dsack || !repeated) {
                blocks[count] = Some(run);
                count += 1;
            }
        }
        blocks
    }

    fn remember(&mut self, left: SeqNum) {
        let at = self.recent.iter().position(|&seq| seq == Some(left));
        let end = at.unwrap_or(MAX_SACK_BLOCKS - 1);
        self.recent.copy_within(..end, 1);
        self.recent[0] = Some(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NXT: SeqNum = SeqNum(u32::MAX - 10);

    fn insert(map: &mut Reassembly, left: u32, right: u32) -> Insert {
        map.insert(NXT, NXT.add(left), NXT.add(right))
    }

    #[test]
    fn overlapping_and_touching_runs_become_one_across_the_wrap() {
        let mut map = Reassembly::default();
        assert_eq!(insert(&mut map, 10, 20), Insert::New);
        assert_eq!(insert(&mut map, 30, 40), Insert::New);
        assert_eq!(insert(&mut map, 12, 18), Insert::Duplicate);
        assert_eq!(insert(&mut map, 20, 30), Insert::New);
        assert_eq!(map.runs, [(NXT.add(10), NXT.add(40))]);
        assert_eq!(map.octets(), 30);
        assert_eq!(map.advance(NXT.add(5)), NXT.add(5));
        assert_eq!(map.advance(NXT.add(10)), NXT.add(40));
        assert!(map.is_empty());
    }

    #[test]
    fn the_first_block_is_the_run_of_the_latest_segment() {
        let mut map = Reassembly::default();
        insert(&mut map, 10, 20);
        insert(&mut map, 30, 40);
        insert(&mut map, 50, 60);
        insert(&mut map, 20, 25);
        let blocks = map.blocks(None, 3);
        assert_eq!(blocks[0], Some((NXT.add(10), NXT.add(25))));
        assert_eq!(blocks[1], Some((NXT.add(50), NXT.add(60))));
        assert_eq!(blocks[2], Some((NXT.add(30), NXT.add(40))));
        let dsack = Some((NXT.add(12), NXT.add(14)));
        assert_eq!(map.blocks(dsack, 2)[..2], [dsack, blocks[0]]);
    }

    #[test]
    fn runs_are_bounded() {
        let mut map = Reassembly::default();
        for run in 0..MAX_OUT_OF_ORDER_RUNS as u32 {
            assert_eq!(insert(&mut map, 10 * run + 1, 10 * run + 2), Insert::New);
        }
        assert_eq!(insert(&mut map, 100_000, 100_001), Insert::Full);
        assert_eq!(insert(&mut map, 2, 3), Insert::New);
    }

    /// Against a plain array of flags.
    #[test]
    fn any_order_of_pieces_gives_the_same_octets() {
        let mut state = 7u64;
        let mut random = |limit: u32| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as u32 % limit
        };
        for _ in 0..300 {
            let mut map = Reassembly::default();
            let mut there = [false; 400];
            for _ in 0..60 {
                let left = 1 + random(300);
                let right = left + 1 + random(60);
                let new = there[left as usize..right as usize].iter().any(|&octet| !octet);
                there[left as usize..right as usize].fill(true);
                let expected = if new { Insert::New } else { Insert::Duplicate };
                assert_eq!(insert(&mut map, left, right), expected);
                assert_eq!(map.octets(), there.iter().filter(|&&octet| octet).count());
            }
            let gap = there[1..].iter().position(|&octet| octet).unwrap() as u32 + 1;
            let end = there[gap as usize..].iter().position(|&octet| !octet).unwrap() as u32 + gap;
            assert_eq!(map.advance(NXT.add(gap)), NXT.add(end));
        }
    }
}
