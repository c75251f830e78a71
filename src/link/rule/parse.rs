//! Reads a rule. The grammar:
//!
//! ```text
#![doc = include_str!("grammar.txt")]
//! ```
//!
//! Errors point at the word and say what could stand there.

use super::law::{Action, Care, Condition, Kind, Law, Nth, Per, Relation, Toward};
use crate::link::limits::MAX_COPIES;
use crate::link::scope::Scope;
use crate::link::words::{Bare, ParseError, Share, Words, size, time};
use crate::tcp::State;

/// The grammar of rules, for people.
pub const GRAMMAR: &str = include_str!("grammar.txt");

const ACTIONS: &str =
    "an action (drop, delay, duplicate, hold, copy, corrupt, trim, reset, blackhole)";
const CONDITIONS: &str = "a kind of segment (any, syn, syn-ack, ack, data, fin, rst, psh, urg, \
                          ack-of-fin) or a condition (not, from, to, port, host, state, peer, \
                          len, retransmission, in, nth, probability, times, seed)";
/// Text of a connection that `blackhole` lets pass: less than half the sequence space.
const MAX_AFTER: u32 = 1 << 30;

impl Law {
    /// Reads a rule.
    pub(in crate::link) fn parse(text: &str) -> Result<Law, ParseError> {
        let mut words = Words::of(text)?;
        let (action, toward) = action(&mut words)?;
        let mut law = Law {
            action,
            conditions: Vec::new(),
            nth: None,
            probability: None,
            times: None,
            seed: None,
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        while words.peek().is_some() {
            law.read_next(&mut words)?;
        }
        let waits = law.conditions.contains(&Condition::InAcceptQueue);
        if waits && toward == Named::No && matches!(law.action, Action::Reset(_)) {
            law.action = Action::Reset(Toward::Receiver);
        }
        Ok(law)
    }

    fn read_next(&mut self, words: &mut Words<'_>) -> Result<(), ParseError> {
        let counts = matches!(words.peek(), Some("nth" | "probability" | "times"));
        if counts && matches!(self.action, Action::Blackhole(_)) {
            return Err(words.expected(
                "no count or chance: a black hole swallows everything that fits, for good",
            ));
        }
        match words.peek() {
            Some("nth") => {
                words.next();
                self.nth = Some(nth(words)?);
            }
            Some("probability") => {
                words.next();
                self.probability = Some(words.need("a percentage, like 10%", Share::parse)?);
            }
            Some("times") => {
                words.next();
                self.times = Some(words.need("a number above zero", positive)?);
            }
            Some("seed") => {
                words.next();
                self.seed = Some(words.need("a number", |word| word.parse().ok())?);
            }
            Some("after") if matches!(self.action, Action::Blackhole(_)) => {
                self.action = Action::Blackhole(after(words)?);
            }
            _ => self.conditions.push(condition(words)?),
        }
        Ok(())
    }
}

/// Whether the rule says who gets the RST.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Named {
    Yes,
    No,
}

fn positive(word: &str) -> Option<u64> {
    word.parse().ok().filter(|number| *number > 0)
}

fn duration(word: &str) -> Option<crate::time::Duration> {
    time(word, Bare::Refused)
}

fn action(words: &mut Words<'_>) -> Result<(Action, Named), ParseError> {
    const NAMES: [&str; 9] =
        ["drop", "delay", "duplicate", "hold", "copy", "corrupt", "trim", "reset", "blackhole"];
    let name = words.need(ACTIONS, |word| NAMES.into_iter().find(|name| *name == word))?;
    let action = match name {
        "drop" => Action::Drop,
        "delay" => Action::Delay(words.need("a time with a unit, like 5s", duration)?),
        "duplicate" => Action::Duplicate(copies(words)?),
        "hold" => Action::Hold,
        "copy" => Action::Copy(words.take_if(duration)),
        "corrupt" if words.take("unnoticed") => Action::Corrupt(Care::Unnoticed),
        "corrupt" => Action::Corrupt(Care::Noticed),
        "trim" => Action::Trim(words.need("a number of octets", size)?),
        "reset" => {
            let toward = words.take_if(|word| match word {
                "sender" => Some(Toward::Sender),
                "receiver" => Some(Toward::Receiver),
                "both" => Some(Toward::Both),
                _ => None,
            });
            let named = if toward.is_some() { Named::Yes } else { Named::No };
            return Ok((Action::Reset(toward.unwrap_or(Toward::Sender)), named));
        }
        _ if words.peek() == Some("after") => Action::Blackhole(after(words)?),
        _ => Action::Blackhole(0),
    };
    Ok((action, Named::No))
}

fn copies(words: &mut Words<'_>) -> Result<u32, ParseError> {
    match words.peek() {
        Some(word) if word.starts_with(|c: char| c.is_ascii_digit()) => words
            .need("a number of copies from 1 to 100", |word| {
                word.parse().ok().filter(|copies| (1..=MAX_COPIES).contains(copies))
            }),
        _ => Ok(1),
    }
}

fn after(words: &mut Words<'_>) -> Result<u32, ParseError> {
    words.next();
    words.need("a size, like 64KiB, up to 1GiB", |word| size(word).filter(|s| *s <= MAX_AFTER))
}

fn nth(words: &mut Words<'_>) -> Result<Nth, ParseError> {
    let which = words.need("a number, N.. or N..M, counted from 1", |word| {
        let Some((first, last)) = word.split_once("..") else {
            return positive(word).map(|only| only..=only);
        };
        let last = if last.is_empty() { u64::MAX } else { positive(last)? };
        positive(first).filter(|first| *first <= last).map(|first| first..=last)
    })?;
    let per = if words.take("per") {
        words.need("`connection`", |word| (word == "connection").then_some(Per::Connection))?
    } else {
        Per::Rule
    };
    Ok(Nth { which, per })
}

fn condition(words: &mut Words<'_>) -> Result<Condition, ParseError> {
    if words.take("not") {
        if words.peek() == Some("not") {
            return Err(words.expected("one `not`, not two"));
        }
        return Ok(Condition::Not(Box::new(condition(words)?)));
    }
    if let Some(kind) = words.take_if(Kind::named) {
        return Ok(Condition::Kind(kind));
    }
    if let Some(scope) = Scope::parse(words)? {
        return Ok(Condition::Scope(scope));
    }
    match words.peek() {
        Some("state") => {
            words.next();
            state(words).map(Condition::State)
        }
        Some("peer") => {
            words.next();
            words.need("`state`", |word| (word == "state").then_some(()))?;
            state(words).map(Condition::PeerState)
        }
        Some("len") => {
            words.next();
            let relation = words.need("one of < <= = != >= >", Relation::written)?;
            Ok(Condition::TextLen(relation, words.need("a number of octets", size)?))
        }
        Some("retransmission") => {
            words.next();
            Ok(Condition::Retransmission)
        }
        Some("in") => {
            words.next();
            words.need("`accept-queue`", |word| (word == "accept-queue").then_some(()))?;
            Ok(Condition::InAcceptQueue)
        }
        Some("after") => Err(words.expected("no `after`: only a black hole has a beginning")),
        _ => Err(words.expected(CONDITIONS)),
    }
}

fn state(words: &mut Words<'_>) -> Result<State, ParseError> {
    words.need("a state, like FIN-WAIT-2 or ESTAB", |word| {
        let named = |state: &&State| {
            word.eq_ignore_ascii_case(state.ss_name())
                || word.eq_ignore_ascii_case(state.rfc_name())
        };
        State::ALL.iter().find(named).copied()
    })
}
