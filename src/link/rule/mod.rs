//! A rule at work: whether a segment is the one that is meant, how often it was, and what the rule
//! holds.
//!
//! | concept | file |
//! | --- | --- |
//! | action and conditions as data | `law.rs` |
//! | the grammar, and who reads it | `grammar.txt`, `parse.rs` |
//! | what is remembered of a connection | `connections.rs` |

mod connections;
mod law;
mod parse;

use std::collections::VecDeque;

use self::connections::{Connections, Escape};
use self::law::Per;
use super::limits::MAX_HELD;
use super::queue::{Parcel, Store};
use super::random::Dice;
use super::sight::{Pair, Sight};
use crate::inspect::RuleRow;

pub use self::parse::GRAMMAR;

pub(super) use self::law::{Action, Care, Law, Toward};

/// A rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: u32,
    law: Law,
    pub(super) dice: Dice,
    connections: Connections,
    matched: u64,
    hits: u64,
    held: VecDeque<Parcel>,
    released: u64,
    lost: u64,
}

impl Rule {
    pub(super) fn new(id: u32, law: Law, seed: u64) -> Rule {
        let dice = Dice::new(law.seed.unwrap_or(seed));
        Rule {
            id,
            law,
            dice,
            connections: Connections::default(),
            matched: 0,
            hits: 0,
            held: VecDeque::new(),
            released: 0,
            lost: 0,
        }
    }

    /// A new connection begins: what is remembered of an old one on its 4-tuple is over.
    pub(super) fn note_opening(&mut self, pair: Pair) {
        self.connections.forget(pair);
    }

    /// What the rule does to the segment; `None`: nothing.
    pub(super) fn judge(&mut self, sight: &Sight<'_>) -> Option<Action> {
        if self.is_spent() || !self.law.fits(sight) {
            return None;
        }
        self.matched += 1;
        let action = match self.law.action {
            Action::Blackhole(after) => {
                match self.connections.of(sight.pair()).escape(sight, after) {
                    Escape::Whole => return None,
                    Escape::Text(len) => Action::Trim(len as u32),
                    Escape::Nothing => Action::Drop,
                }
            }
            action => action,
        };
        if !self.is_its_turn(sight) {
            return None;
        }
        let chance = self.law.probability;
        if chance.is_some_and(|share| share.0 < self.dice.next_u32()) {
            return None;
        }
        self.hits += 1;
        Some(action)
    }

    fn is_its_turn(&mut self, sight: &Sight<'_>) -> bool {
        let Some(nth) = &self.law.nth else { return true };
        let count = match nth.per {
            Per::Rule => self.matched,
            Per::Connection => {
                let memory = self.connections.of(sight.pair());
                memory.seen += 1;
                memory.seen
            }
        };
        nth.which.contains(&count)
    }

    /// It never acts again.
    fn is_spent(&self) -> bool {
        let past = self
            .law
            .nth
            .as_ref()
            .is_some_and(|nth| nth.per == Per::Rule && self.matched >= *nth.which.end());
        past || self.law.times.is_some_and(|times| self.hits >= times)
    }

    /// Keeps a segment until it is released; `false`: there is no room, it is lost.
    pub(super) fn hold(&mut self, parcel: Parcel, store: &mut Store) -> bool {
        let fits = self.held.len() < MAX_HELD && store.reserve(parcel.octets.len());
        if fits {
            self.held.push_back(parcel);
        } else {
            self.lost += 1;
        }
        fits
    }

    /// A segment of this rule found no room elsewhere.
    pub(super) fn note_loss(&mut self) {
        self.lost += 1;
    }

    /// Segments that are held.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// The oldest of them, let go.
    pub(super) fn release(&mut self) -> Option<Parcel> {
        let parcel = self.held.pop_front()?;
        self.released += 1;
        Some(parcel)
    }

    /// Everything that is held: the rule is being deleted.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Parcel> {
        self.held.drain(..)
    }

    pub(super) fn row(&self) -> RuleRow {
        RuleRow {
            id: self.id,
            text: self.law.text.clone(),
            matched: self.matched,
            hits: self.hits,
            held: self.held.len() as u64,
            released: self.released,
            lost: self.lost,
            spent: self.is_spent(),
        }
    }
}
