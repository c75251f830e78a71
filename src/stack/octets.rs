//! Octets of recorded segments, for as long as it takes to pass them on to who captures.
//!
//! A queue beside the recorder, by number of record, bounded in octets: when commands do not keep
//! up the oldest go, and are told as lost. Empty, and one comparison a segment, while nobody
//! captures.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::inspect::watch::OctetsWanted;

/// Octets that wait to be passed on.
const MAX_KEPT: usize = 32 << 20;

/// Where a segment is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// Leaving its TCP.
    Sent,
    /// Arriving, sent by this stack.
    Arrived,
    /// Arriving from elsewhere.
    Foreign,
}

/// Octets of one segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Number of its record.
    number: u64,
    /// Octets of the whole segment.
    pub(super) len: usize,
    /// Its first octets.
    pub(super) octets: Vec<u8>,
}

/// What waits to be passed on, and what is wanted.
#[derive(Debug, Default)]
pub(super) struct Octets {
    wanted: Vec<OctetsWanted>,
    queue: VecDeque<Kept>,
    total: usize,
}

/// What a watcher that wants octets gets of a segment's record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// Its octets.
    Kept(&'a Kept),
    /// It wants none of this segment.
    NotWanted,
    /// They were there.
    Lost,
}

impl Octets {
    /// Says what is wanted from now on.
    pub(super) fn want(&mut self, wanted: Vec<OctetsWanted>) {
        self.wanted = wanted;
        if self.wanted.is_empty() {
            self.queue = VecDeque::new();
            self.total = 0;
        }
    }

    /// Somebody captures.
    pub(super) fn are_wanted(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Keeps the octets of the segment with that record, where they are wanted.
    pub(super) fn keep(&mut self, number: u64, seen: Seen, ends: [SocketAddr; 2], octets: &[u8]) {
        let wanting = self.wanted.iter().filter(|wanted| wants(wanted, seen, ends));
        let Some(most) = wanting.map(|wanted| wanted.most as usize).max() else { return };
        let kept = octets[..octets.len().min(most)].to_vec();
        self.total += kept.len();
        self.queue.push_back(Kept { number, len: octets.len(), octets: kept });
        while self.total > MAX_KEPT && self.queue.len() > 1 {
            self.forget_oldest();
        }
    }

    /// What one who wants `wanted` gets of the segment with that record.
    pub(super) fn find(
        &self,
        number: u64,
        wanted: &OctetsWanted,
        seen: Seen,
        ends: [SocketAddr; 2],
    ) -> Found<'_> {
        if !wants(wanted, seen, ends) {
            return Found::NotWanted;
        }
        let place = self.queue.binary_search_by_key(&number, |kept| kept.number);
        place.map_or(Found::Lost, |place| Found::Kept(&self.queue[place]))
    }

    /// Records before that number have been passed on.
    pub(super) fn forget_before(&mut self, number: u64) {
        while self.queue.front().is_some_and(|kept| kept.number < number) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(kept) = self.queue.pop_front() {
            self.total -= kept.octets.len();
        }
    }
}

fn wants(wanted: &OctetsWanted, seen: Seen, ends: [SocketAddr; 2]) -> bool {
    let here = match seen {
        Seen::Sent => wanted.at.sees_sent(),
        Seen::Arrived => wanted.at.sees_arrived(),
        Seen::Foreign => true,
    };
    here && (wanted.of.is_empty() || wanted.of.iter().any(|one| one.admit(&ends)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Point;
    use crate::inspect::watch::Ends;

    fn ends() -> [SocketAddr; 2] {
        [([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into()]
    }

    fn wanted(at: Point, most: u32, of: &[u16]) -> OctetsWanted {
        OctetsWanted { at, most, of: of.iter().copied().map(Ends::port).collect() }
    }

    #[test]
    fn octets_are_kept_only_where_somebody_wants_them() {
        let mut octets = Octets::default();
        octets.keep(1, Seen::Sent, ends(), &[1; 100]);
        assert!(octets.queue.is_empty());
        let senders = wanted(Point::Sender, 10, &[2]);
        octets.want(vec![senders.clone(), wanted(Point::Receiver, 20, &[3])]);
        octets.keep(2, Seen::Sent, ends(), &[2; 100]);
        octets.keep(3, Seen::Arrived, ends(), &[3; 100]);
        let kept = Kept { number: 2, len: 100, octets: vec![2; 10] };
        assert_eq!(octets.find(2, &senders, Seen::Sent, ends()), Found::Kept(&kept));
        assert_eq!(octets.find(3, &senders, Seen::Arrived, ends()), Found::NotWanted);
        assert_eq!(octets.find(1, &senders, Seen::Sent, ends()), Found::Lost);
        octets.forget_before(3);
        assert_eq!((octets.queue.len(), octets.total), (0, 0));
    }

    #[test]
    fn the_oldest_octets_go_when_nobody_takes_them() {
        let mut octets = Octets::default();
        octets.want(vec![wanted(Point::Sender, u32::MAX, &[])]);
        let segment = vec![0; 1 << 20];
        for number in 0..40 {
            octets.keep(number, Seen::Sent, ends(), &segment);
        }
        assert_eq!(octets.queue.len(), MAX_KEPT >> 20);
        assert_eq!(octets.queue.front().map(|kept| kept.number), Some(8));
    }
}
