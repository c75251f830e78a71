//! What the values of settings look like: how they are read, checked and written, as `/proc/sys`
//! does it.

use core::fmt;

use crate::host::limits::MAX_RESERVED_RANGES;

/// What a value looks like, and its range.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// One number.
    Number(i64, i64),
    /// Three numbers, not descending.
    Triple(i64, i64),
    /// `low high`, two ports.
    PortRange,
    /// `80,8000-8100`, or nothing.
    PortSet,
    /// One of these words.
    Word(&'static [&'static str]),
    /// `rfc6528` or a sequence number.
    Isn,
}

/// A value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value {
    Number(i64),
    Triple([i64; 3]),
    PortRange(u16, u16),
    PortSet(Vec<(u16, u16)>),
    Word(&'static str),
    /// `None`: as RFC 6528 says.
    Isn(Option<u32>),
}

/// How `net.tcplab.isn` names the default.
const RFC_6528: &str = "rfc6528";

impl Form {
    pub(super) fn parse(self, text: &str) -> Option<Value> {
        match self {
            Form::Number(low, high) => {
                let number = number(text.trim())?;
                (low..=high).contains(&number).then_some(Value::Number(number))
            }
            Form::Triple(low, high) => {
                let numbers: Option<Vec<i64>> = text.split_ascii_whitespace().map(number).collect();
                let triple: [i64; 3] = numbers?.try_into().ok()?;
                let legal = triple.is_sorted() && triple.iter().all(|n| (low..=high).contains(n));
                legal.then_some(Value::Triple(triple))
            }
            Form::PortRange => {
                let mut words = text.split_ascii_whitespace();
                let (low, high) = (port(words.next()?)?, port(words.next()?)?);
                (words.next().is_none() && 0 < low && low <= high)
                    .then_some(Value::PortRange(low, high))
            }
            Form::PortSet => port_set(text.trim()).map(Value::PortSet),
            Form::Word(words) => {
                words.iter().find(|&&word| word == text.trim()).map(|word| Value::Word(word))
            }
            Form::Isn if text.trim() == RFC_6528 => Some(Value::Isn(None)),
            Form::Isn => {
                let number = number(text.trim())?.try_into().ok()?;
                Some(Value::Isn(Some(number)))
            }
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::Number(low, high) => write!(f, "a number from {low} to {high}"),
            Form::Triple(low, high) => {
                write!(f, "three numbers from {low} to {high}, none less than the one before")
            }
            Form::PortRange => write!(f, "two ports from 1 to 65535, the lower first"),
            Form::PortSet => write!(f, "ports and ranges as 80,8000-8100"),
            Form::Word(words) => write!(f, "{}", words.join(" or ")),
            Form::Isn => write!(f, "{RFC_6528} or a number from 0 to {}", u32::MAX),
        }
    }
}

impl fmt::Display for Value {
    /// As `/proc/sys` shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write!(f, "{number}"),
            Value::Triple([a, b, c]) => write!(f, "{a}\t{b}\t{c}"),
            Value::PortRange(low, high) => write!(f, "{low}\t{high}"),
            Value::PortSet(ranges) => {
                let one = |&(low, high): &(u16, u16)| match low == high {
                    true => low.to_string(),
                    false => format!("{low}-{high}"),
                };
                write!(f, "{}", ranges.iter().map(one).collect::<Vec<_>>().join(","))
            }
            Value::Word(word) => write!(f, "{word}"),
            Value::Isn(None) => write!(f, "{RFC_6528}"),
            Value::Isn(Some(number)) => write!(f, "{number}"),
        }
    }
}

fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn port(text: &str) -> Option<u16> {
    number(text)?.try_into().ok()
}

/// Sorted ranges that neither touch nor overlap.
fn port_set(text: &str) -> Option<Vec<(u16, u16)>> {
    let mut ranges = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let range = (port(low.trim())?, port(high.trim())?);
        if range.0 > range.1 || ranges.len() == MAX_RESERVED_RANGES {
            return None;
        }
        ranges.push(range);
    }
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let joins = u32::from(next.0) <= u32::from(kept.1) + 1;
        if joins {
            kept.1 = kept.1.max(next.1);
        }
        joins
    });
    Some(ranges)
}
