//! What one rule remembers of each connection; bounded: the one not seen for longest is forgotten.

use std::collections::BTreeMap;

use crate::link::limits::MAX_CONNECTIONS;
use crate::link::sight::{Pair, Sight};
use crate::wire::SeqNum;

/// What a rule knows of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// Segments that fitted.
    pub(super) seen: u64,
    /// `blackhole`: where the text ends that may pass, for each direction.
    edges: [Option<SeqNum>; 2],
    /// `blackhole`: nothing passes any more.
    closed: bool,
    used: u64,
}

/// Connections of a rule.
#[derive(Debug, Default)]
pub(super) struct Connections {
    table: BTreeMap<Pair, Memory>,
    clock: u64,
}

/// How much of a segment gets past a black hole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Escape {
    Whole,
    Text(usize),
    Nothing,
}

impl Connections {
    pub(super) fn forget(&mut self, pair: Pair) {
        self.table.remove(&pair);
    }

    pub(super) fn of(&mut self, pair: Pair) -> &mut Memory {
        if self.table.len() >= MAX_CONNECTIONS && !self.table.contains_key(&pair) {
            let oldest = self.table.iter().min_by_key(|(_, memory)| memory.used);
            if let Some(oldest) = oldest.map(|(pair, _)| *pair) {
                self.table.remove(&oldest);
            }
        }
        self.clock += 1;
        let memory = self.table.entry(pair).or_default();
        memory.used = self.clock;
        memory
    }
}

impl Memory {
    /// `blackhole after`: text is counted by its sequence numbers, so that a retransmission counts
    /// once, from the SYN, or from the first segment seen.
    pub(super) fn escape(&mut self, sight: &Sight<'_>, after: u32) -> Escape {
        let header = &sight.segment.header;
        self.closed |= after == 0;
        if self.closed {
            return Escape::Nothing;
        }
        let start = header.seq.add(header.flags.syn().into());
        let direction = usize::from(sight.tuple.local < sight.tuple.remote);
        let edge = *self.edges[direction].get_or_insert(start.add(after));
        let text_len = sight.text_len();
        let end = start.add(text_len as u32);
        if text_len == 0 && !header.flags.fin() || end.before(edge) {
            return Escape::Whole;
        }
        self.closed = true;
        let room = edge.since(start) as usize;
        match room {
            _ if room >= text_len && !header.flags.fin() => Escape::Whole,
            0 => Escape::Nothing,
            room => Escape::Text(room.min(text_len)),
        }
    }
}
