//! The way between hosts, and what can be done to segments on it: impairments in the grammar of
//! tc-netem(8), and rules that name segments by meaning.
//!
//! Sans-I/O like `tcp` and `host`: time is an argument, randomness comes from seeds, and the same
//! seed and segments give the same outcome. It stands between [`Host::poll_transmit`] and the wire:
//!
//! 1. [`Link::offer`] each segment, unless the link [`is_transparent`](Link::is_transparent):
//!    then it costs one branch. The [`Verdict`] says whether the caller sends the segment now.
//! 2. [`Link::take_due`] until `None`: what was kept and leaves now, duplicates and forged segments.
//! 3. [`Link::poll_timeout`]: when to ask again.
//!
//! A segment meets the rules first, in the order of their numbers; the first that acts decides.
//! What passes goes through the one impairment whose scope fits it best.
//!
//! | concept | file |
//! | --- | --- |
//! | impairments | `netem/` |
//! | rules | `rule/` |
//! | a segment as both see it; direction, port, address | `sight.rs`, `scope.rs` |
//! | words, numbers, units, errors with a caret | `words.rs` |
//! | what waits for its time | `queue.rs` |
//! | what a rule does; octets made anew | `post.rs`, `forge.rs` |
//! | bounds | `limits.rs` |
//!
//! Not here: a model of routers (each segment is on its own), ECN marks, fragmentation.
//!
//! [`Host::poll_transmit`]: crate::host::Host::poll_transmit

mod forge;
pub mod limits;
mod netem;
mod post;
mod queue;
mod random;
mod rule;
mod scope;
mod sight;
mod words;

#[cfg(test)]
mod tests;

use core::net::IpAddr;

use self::netem::{Impairment, Netem};
use self::post::{Onward, Post, Ruled};
use self::queue::{Parcel, Queue, Store};
use self::random::Dice;
use self::rule::{Law, Rule};
use self::sight::Sight;
use crate::inspect::{NetemRow, NetemVerb, RuleRow};
use crate::time::Instant;
use crate::trace::Fate;

pub use self::netem::GRAMMAR as NETEM_GRAMMAR;
pub use self::rule::GRAMMAR as RULE_GRAMMAR;
pub use self::sight::{Datagram, Ends};
pub use self::words::ParseError;

/// Whether the caller sends a segment itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// It is sent now, as it is.
    Now,
    /// It is not: it is lost, or the link has it.
    Kept,
}

/// What becomes of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether the caller sends it.
    pub way: Way,
    /// What was done to it.
    pub fate: Fate,
}

/// A segment that leaves the link later than it came, or was made in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// Address it comes from.
    pub from: IpAddr,
    /// Address it goes to.
    pub to: IpAddr,
    /// The caller's number for it; `None`: forged.
    pub serial: Option<u64>,
}

/// Rules, impairments, and the segments that they have.
#[derive(Debug)]
pub struct Link {
    seed: u64,
    rules: Vec<Rule>,
    rules_made: u32,
    impairments: Vec<Netem>,
    impairments_made: u32,
    /// What rules have delayed, duplicated, forged or released.
    under_way: Queue,
    store: Store,
    transparent: bool,
}

impl Link {
    /// A link that does nothing. Random numbers of everything without a seed of its own come from
    /// `seed`.
    pub fn new(seed: u64) -> Link {
        Link {
            seed,
            rules: Vec::new(),
            rules_made: 0,
            impairments: Vec::new(),
            impairments_made: 0,
            under_way: Queue::default(),
            store: Store::default(),
            transparent: true,
        }
    }

    /// Nothing is configured and nothing waits: segments need not be offered.
    pub fn is_transparent(&self) -> bool {
        self.transparent
    }

    fn note_change(&mut self) {
        let idle = self.rules.is_empty() && self.impairments.is_empty();
        self.transparent = idle && self.under_way.len() == 0;
    }

    /// A segment is about to be sent.
    pub fn offer(&mut self, now: Instant, datagram: Datagram<'_>, ends: Ends<'_>) -> Verdict {
        let sight = Sight::of(datagram, ends);
        let ruled = sight.as_ref().and_then(|sight| self.rule(now, sight));
        match ruled {
            None => self.impair(now, sight.as_ref(), &datagram),
            Some(Ruled::Ended(fate)) => Verdict { way: Way::Kept, fate },
            Some(Ruled::Goes(onward)) => self.send_on(now, sight.as_ref(), datagram, onward),
        }
    }

    /// The first rule that acts decides.
    fn rule(&mut self, now: Instant, sight: &Sight<'_>) -> Option<Ruled> {
        if sight.opens() {
            for rule in &mut self.rules {
                rule.note_opening(sight.pair());
            }
        }
        let Link { rules, under_way, store, .. } = self;
        let mut judged = rules.iter_mut().filter_map(|rule| Some((rule.judge(sight)?, rule)));
        let (action, rule) = judged.next()?;
        let mut post = Post { now, under_way, store };
        Some(post.obey(sight, action, rule))
    }

    /// Sends a segment and what a rule has added to it through the impairment.
    fn send_on(
        &mut self,
        now: Instant,
        sight: Option<&Sight<'_>>,
        datagram: Datagram<'_>,
        onward: Onward,
    ) -> Verdict {
        let Onward { fate, changed, copies, reset } = onward;
        let octets = changed.as_deref().unwrap_or(datagram.octets);
        let datagram = Datagram { octets, ..datagram };
        let mut verdict = self.impair(now, sight, &datagram);
        let Datagram { from, to, serial, .. } = datagram;
        if verdict.way == Way::Now && changed.is_some() {
            verdict.way = Way::Kept;
            self.keep(now, Parcel { from, to, octets: octets.into(), serial: Some(serial) });
        }
        for _ in 0..copies {
            if self.impair(now, sight, &datagram).way == Way::Now {
                self.keep(now, Parcel { from, to, octets: octets.into(), serial: Some(serial) });
            }
        }
        if let Some(reset) = reset {
            // Behind the segment, wherever that is.
            let due = match verdict.fate {
                Fate::Delayed(_, at_ns) => Instant::from_nanos(at_ns),
                _ => now,
            };
            self.keep(due, Parcel { from, to, octets: reset.into(), serial: None });
        }
        let lost = matches!(verdict.fate, Fate::Lost(_));
        Verdict { way: verdict.way, fate: if lost { verdict.fate } else { fate } }
    }

    fn keep(&mut self, due: Instant, parcel: Parcel) {
        let Link { under_way, store, .. } = self;
        Post { now: due, under_way, store }.send_at(due, parcel);
    }

    /// The impairment whose scope fits best: most conditions, then the oldest.
    fn impair(
        &mut self,
        now: Instant,
        sight: Option<&Sight<'_>>,
        datagram: &Datagram<'_>,
    ) -> Verdict {
        let fitting = self.impairments.iter_mut().rev().filter(|netem| netem.fits(sight));
        match fitting.max_by_key(|netem| netem.precision()) {
            Some(netem) => netem.offer(now, datagram, &mut self.store),
            None => Verdict { way: Way::Now, fate: Fate::Passed },
        }
    }

    /// When [`Link::take_due`] has something again.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.transparent {
            return None;
        }
        let impaired = self.impairments.iter().filter_map(Netem::first_due);
        impaired.chain(self.under_way.first_due()).min()
    }

    /// Writes the next segment whose time has come into `out` (cleared first).
    pub fn take_due(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Due> {
        out.clear();
        let first = self.poll_timeout().filter(|due| *due <= now)?;
        let late = |netem: &&mut Netem| netem.first_due() == Some(first);
        let parcel = match self.impairments.iter_mut().find(late) {
            Some(netem) => netem.pop(now)?,
            None => self.under_way.pop()?,
        };
        self.store.give_back(parcel.octets.len());
        self.note_change();
        out.extend_from_slice(&parcel.octets);
        Some(Due { from: parcel.from, to: parcel.to, serial: parcel.serial })
    }
}

/// Whether a text is an impairment.
///
/// # Errors
/// What is wrong with it, and where.
pub fn check_netem(text: &str) -> Result<(), ParseError> {
    Impairment::parse(text).map(|_| ())
}

/// Whether a text is a rule.
///
/// # Errors
/// What is wrong with it, and where.
pub fn check_rule(text: &str) -> Result<(), ParseError> {
    Law::parse(text).map(|_| ())
}

/// Impairments from outside.
impl Link {
    /// Does what `tcplab netem VERB TEXT` says. Error: one sentence, with a caret where the text is
    /// wrong.
    pub fn set_netem(
        &mut self,
        now: Instant,
        verb: NetemVerb,
        text: &str,
    ) -> Result<NetemRow, String> {
        let impairment = Impairment::parse(text).map_err(|error| error.to_string())?;
        let scope = &impairment.scope;
        let existing = self.impairments.iter_mut().find(|netem| netem.impairment.scope == *scope);
        let netem = match (existing, verb) {
            (Some(_), NetemVerb::Add) => {
                return Err("there is such an impairment already: use `change` or `replace`".into());
            }
            (Some(netem), _) => {
                netem.change(now, impairment);
                netem
            }
            (None, NetemVerb::Change) => {
                return Err("there is no such impairment to change: use `add`".into());
            }
            (None, _) => self.new_netem(now, impairment)?,
        };
        let row = netem.row();
        self.note_change();
        Ok(row)
    }

    fn new_netem(&mut self, now: Instant, impairment: Impairment) -> Result<&mut Netem, String> {
        let number = self.impairments.len();
        if number >= limits::MAX_IMPAIRMENTS {
            return Err(format!("there are {number} impairments: delete some first"));
        }
        self.impairments_made += 1;
        let made = self.impairments_made;
        let seed = Dice::new(self.seed ^ u64::from(made) << 32).next_u32();
        // Handles as the kernel gives them.
        let netem = Netem::new(now, 0x8000 + made, impairment, seed.into());
        self.impairments.push(netem);
        Ok(&mut self.impairments[number])
    }

    /// Deletes the impairment with the scope in `text` (its parameters do not matter), or, where
    /// that is `None`, every one. What they have queued is lost, as with tc. Gives their rows.
    pub fn delete_netem(&mut self, text: Option<&str>) -> Result<Vec<NetemRow>, String> {
        let scope = match text {
            Some(text) => Some(Impairment::parse(text).map_err(|error| error.to_string())?.scope),
            None => None,
        };
        let goes =
            |netem: &mut Netem| scope.as_ref().is_none_or(|scope| *scope == netem.impairment.scope);
        let mut rows = Vec::new();
        for mut netem in self.impairments.extract_if(.., goes) {
            rows.push(netem.row());
            netem.drain().for_each(|parcel| self.store.give_back(parcel.octets.len()));
        }
        self.note_change();
        if rows.is_empty() && scope.is_some() {
            return Err("there is no such impairment: see `tcplab netem show`".into());
        }
        Ok(rows)
    }

    /// Every impairment.
    pub fn netem_rows(&self) -> Vec<NetemRow> {
        self.impairments.iter().map(Netem::row).collect()
    }
}

/// Rules from outside.
impl Link {
    /// Adds a rule. Error: one sentence, with a caret where the text is wrong.
    pub fn add_rule(&mut self, text: &str) -> Result<RuleRow, String> {
        let law = Law::parse(text).map_err(|error| error.to_string())?;
        if self.rules.len() >= limits::MAX_RULES {
            return Err(format!("there are {} rules: delete some first", limits::MAX_RULES));
        }
        self.rules_made += 1;
        let seed = Dice::new(self.seed ^ u64::from(self.rules_made)).next_u64();
        let rule = Rule::new(self.rules_made, law, seed);
        let row = rule.row();
        self.rules.push(rule);
        self.note_change();
        Ok(row)
    }

    /// Deletes a rule, or all. What it holds is lost. Gives the rows.
    pub fn delete_rules(&mut self, id: Option<u32>) -> Result<Vec<RuleRow>, String> {
        let mut rows = Vec::new();
        for mut rule in self.rules.extract_if(.., |rule| id.is_none_or(|id| rule.id == id)) {
            rows.push(rule.row());
            rule.drain().for_each(|parcel| self.store.give_back(parcel.octets.len()));
        }
        self.note_change();
        match id {
            Some(id) if rows.is_empty() => Err(no_rule(id)),
            _ => Ok(rows),
        }
    }

    /// Lets go what a rule holds, or all of them: the `most` oldest of each. The rules stay. Gives
    /// how many segments go out.
    pub fn release(
        &mut self,
        now: Instant,
        id: Option<u32>,
        most: Option<u32>,
    ) -> Result<u64, String> {
        let Link { rules, under_way, .. } = self;
        let mut released = 0;
        let mut found = id.is_none();
        for rule in rules.iter_mut().filter(|rule| id.is_none_or(|id| rule.id == id)) {
            found = true;
            let count = most.map_or(usize::MAX, |most| most as usize).min(rule.held());
            for _ in 0..count {
                let Some(parcel) = rule.release() else { break };
                under_way.push(now, parcel);
                released += 1;
            }
        }
        self.note_change();
        match id {
            Some(id) if !found => Err(no_rule(id)),
            _ => Ok(released),
        }
    }

    /// Every rule.
    pub fn rule_rows(&self) -> Vec<RuleRow> {
        self.rules.iter().map(Rule::row).collect()
    }
}

fn no_rule(id: u32) -> String {
    format!("there is no rule {id}: see `tcplab rule list`")
}
