//! Reads an impairment in the grammar of tc-netem(8).
//!
//! ```text
#![doc = include_str!("grammar.txt")]
//! ```
//!
//! `SCOPE` is in `scope.rs`. What `tc qdisc show` prints can be read, too: the names of the
//! probabilities are skipped. Names of parameters may be cut short, as for tc. Not here: `ecn`,
//! since the stack has none; distributions from files.

use super::distribution::Distribution;
use super::loss::Loss;
use super::spec::{Opening, Rate, Slot, Spec};
use crate::link::limits::MAX_LIMIT;
use crate::link::random::Chance;
use crate::link::scope::Scope;
use crate::link::words::{Bare, ParseError, Share, Words, rate, size, time};
use crate::time::Duration;

/// The grammar of impairments, for people.
pub const GRAMMAR: &str = include_str!("grammar.txt");

const PARAMETERS: &str = "limit, delay, distribution, loss, corrupt, duplicate, reorder, gap, rate, \
                          slot, seed, or before them from, to, port, host";
/// Names of parameters in the order of tc, which takes the first that begins with what is given.
const NAMES: [&str; 13] = [
    "limit",
    "latency",
    "delay",
    "loss",
    "drop",
    "reorder",
    "corrupt",
    "gap",
    "duplicate",
    "distribution",
    "rate",
    "slot",
    "seed",
];
const TIME: &str = "a time, like 100ms";
const PERCENT: &str = "a percentage, like 10%";

/// Where an impairment is, and what it does.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::link) struct Impairment {
    pub(in crate::link) scope: Vec<Scope>,
    pub(in crate::link) spec: Spec,
}

impl Impairment {
    /// Reads one.
    pub(in crate::link) fn parse(text: &str) -> Result<Impairment, ParseError> {
        let mut words = Words::of(text)?;
        let mut impairment = Impairment::default();
        while words.peek().is_some() {
            if skip_place(&mut words)? {
                continue;
            }
            match Scope::parse(&mut words)? {
                Some(scope) if !impairment.scope.contains(&scope) => impairment.scope.push(scope),
                Some(_) => {}
                None => impairment.spec.parameter(&mut words)?,
            }
        }
        impairment.spec.check(&words)?;
        // Two that say the same in another order are the same.
        impairment.scope.sort_by_key(Scope::to_string);
        Ok(impairment)
    }
}

/// The words that tell tc where the impairment belongs; there is one place here.
fn skip_place(words: &mut Words<'_>) -> Result<bool, ParseError> {
    match words.peek() {
        Some("root" | "netem") => {
            words.next();
        }
        Some("dev") => {
            words.next();
            words.need("`lo`, the only interface that there is", |dev| {
                (dev == "lo").then_some(())
            })?;
        }
        Some("handle") => {
            words.next();
            words.need("a handle, like 1:", |handle| handle.contains(':').then_some(()))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

/// The next word, where it is a number, as `read` makes it.
fn optional<T>(
    words: &mut Words<'_>,
    what: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, ParseError> {
    match words.peek() {
        Some(word) if is_number(word) => words.need(what, read).map(Some),
        _ => Ok(None),
    }
}

fn percent(words: &mut Words<'_>) -> Result<Share, ParseError> {
    words.need(PERCENT, Share::parse)
}

fn chance(words: &mut Words<'_>) -> Result<Chance, ParseError> {
    let share = percent(words)?;
    let correlation = optional(words, PERCENT, Share::parse)?.unwrap_or_default();
    Ok(Chance { share, correlation })
}

/// A probability of a loss model, with or without its name before it.
fn named(words: &mut Words<'_>, name: &str) -> Result<Option<Share>, ParseError> {
    if words.take(name) {
        return percent(words).map(Some);
    }
    optional(words, PERCENT, Share::parse)
}

fn distribution(words: &mut Words<'_>) -> Result<Distribution, ParseError> {
    words.need(Distribution::NAMES, Distribution::named)
}

fn count(words: &mut Words<'_>) -> Result<u32, ParseError> {
    words.need("a number", |word| word.parse().ok())
}

fn loss(words: &mut Words<'_>) -> Result<Loss, ParseError> {
    match words.peek() {
        Some("state") => {
            words.next();
            let p13 = named(words, "p13")?.ok_or_else(|| words.expected(PERCENT))?;
            let p31 = named(words, "p31")?.unwrap_or(p13.rest());
            let p32 = named(words, "p32")?.unwrap_or(Share::NONE);
            let p23 = named(words, "p23")?.unwrap_or(Share::ALL);
            let p14 = named(words, "p14")?.unwrap_or(Share::NONE);
            Ok(Loss::States { p13, p31, p32, p23, p14 })
        }
        Some("gemodel") => {
            words.next();
            let p = named(words, "p")?.ok_or_else(|| words.expected(PERCENT))?;
            let r = named(words, "r")?.unwrap_or(p.rest());
            let bad = named(words, "1-h")?.unwrap_or(Share::ALL);
            let good = named(words, "1-k")?.unwrap_or(Share::NONE);
            Ok(Loss::Gilbert { p, r, bad, good })
        }
        Some(word) if word == "random" || is_number(word) => {
            words.take("random");
            chance(words).map(Loss::Random)
        }
        _ => Err(words.expected("random, state, gemodel, or a percentage")),
    }
}

fn parse_rate(words: &mut Words<'_>) -> Result<Rate, ParseError> {
    let octets = words.need("a rate, like 1mbit", rate)?;
    let mut rate = Rate { octets, packet_overhead: 0, cell_size: 0, cell_overhead: 0 };
    let signed = |words: &mut Words<'_>, name: &str| {
        let follows = words.peek().is_some_and(|w| is_number(w.trim_start_matches('-')));
        if words.take(name) || follows {
            return words.need("a number of octets", |word| word.parse::<i32>().ok());
        }
        Ok(0)
    };
    rate.packet_overhead = signed(words, "packetoverhead")?;
    if words.take("cellsize") || words.peek().is_some_and(is_number) {
        rate.cell_size = count(words)?;
    }
    rate.cell_overhead = signed(words, "celloverhead")?;
    Ok(rate)
}

fn slot(words: &mut Words<'_>) -> Result<Slot, ParseError> {
    let nanos = |word: &str| time(word, Bare::Nanos);
    let opening = if words.take("distribution") {
        let distribution = distribution(words)?;
        let delay = words.need(TIME, nanos)?;
        let jitter = words
            .need("a time above zero", |word| nanos(word).filter(|jitter| !jitter.is_zero()))?;
        Opening::Drawn(distribution, delay, jitter)
    } else {
        let min = words.need("a time, or `distribution`", nanos)?;
        let max = optional(words, "a time, not below the one before", |word| {
            nanos(word).filter(|max| *max >= min)
        })?;
        Opening::Between(min, max.unwrap_or(min))
    };
    let mut slot = Slot { opening, packets: 0, octets: 0 };
    if words.take("packets") {
        slot.packets = count(words)?;
    }
    if words.take("bytes") {
        slot.octets = words.need("a number of octets", size)?;
    }
    Ok(slot)
}

impl Spec {
    fn parameter(&mut self, words: &mut Words<'_>) -> Result<(), ParseError> {
        if words.peek() == Some("ecn") {
            return Err(words.expected("no `ecn`: this stack has no ECN, so nothing can be marked"));
        }
        let name = words.need(PARAMETERS, |word| {
            NAMES.into_iter().find(|name| name.starts_with(word) && !word.is_empty())
        })?;
        match name {
            "limit" => {
                self.limit = words.need("a number of packets, up to 1000000", |word| {
                    size(word).filter(|limit| *limit <= MAX_LIMIT)
                })?;
            }
            "distribution" => self.delay.distribution = Some(distribution(words)?),
            "loss" | "drop" if self.loss != Loss::None => {
                return Err(words.wrong("loss is given twice"));
            }
            "loss" | "drop" => self.loss = loss(words)?,
            "corrupt" => self.corrupt = chance(words)?,
            "duplicate" => self.duplicate = chance(words)?,
            "reorder" => self.reorder.chance = chance(words)?,
            "gap" => self.reorder.gap = count(words)?,
            "rate" => self.rate = Some(parse_rate(words)?),
            "slot" => self.slot = Some(slot(words)?),
            "seed" => self.seed = Some(words.need("a number", |word| word.parse().ok())?),
            _ => self.delay(words)?,
        }
        Ok(())
    }

    fn delay(&mut self, words: &mut Words<'_>) -> Result<(), ParseError> {
        let micros = |word: &str| time(word, Bare::Micros);
        self.delay.mean = words.need(TIME, micros)?;
        self.delay.jitter = optional(words, TIME, micros)?.unwrap_or(Duration::ZERO);
        if !self.delay.jitter.is_zero() {
            self.delay.correlation = optional(words, PERCENT, Share::parse)?.unwrap_or_default();
        }
        Ok(())
    }

    /// What tc checks when it has read everything.
    fn check(&mut self, words: &Words<'_>) -> Result<(), ParseError> {
        let no_delay = self.delay.mean.is_zero();
        let reorders = self.reorder.chance.share != Share::NONE;
        if reorders && no_delay {
            return Err(words.wrong("reordering not possible without specifying some delay"));
        }
        if reorders && self.reorder.gap == 0 {
            self.reorder.gap = 1;
        }
        if !reorders && self.reorder.gap > 0 {
            return Err(words.wrong("gap specified without reorder probability"));
        }
        if self.delay.distribution.is_some() && (no_delay || self.delay.jitter.is_zero()) {
            return Err(words.wrong("distribution specified but no latency and jitter values"));
        }
        Ok(())
    }
}
