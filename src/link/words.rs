//! A line of words, and what a number in it means: the common ground of `netem` and `rule`.
//!
//! Every error points at the word it is about. Units are those of tc(8).

use core::fmt;
use core::ops::Range;

use crate::time::Duration;

/// Longest text of an impairment or a rule.
pub(super) const MAX_TEXT: usize = 1024;
/// Characters that are words of their own wherever they stand.
const OPERATORS: [char; 4] = ['<', '>', '=', '!'];

/// What is wrong with a text, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    text: String,
    span: Range<usize>,
    sentence: String,
}

impl fmt::Display for ParseError {
    /// The sentence, the text, and a caret under the word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ParseError { text, span, sentence } = self;
        let width = |range: Range<usize>| text.get(range).map_or(0, |part| part.chars().count());
        let (before, under) = (width(0..span.start), width(span.clone()).max(1));
        write!(f, "{sentence}\n  {text}\n  {:before$}{}", "", "^".repeat(under))
    }
}

impl core::error::Error for ParseError {}

/// The words of a text, read one by one.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    text: &'a str,
    words: Vec<Range<usize>>,
    next: usize,
}

impl<'a> Words<'a> {
    /// Error: the text is longer than [`MAX_TEXT`].
    pub(super) fn of(text: &'a str) -> Result<Words<'a>, ParseError> {
        if text.len() > MAX_TEXT {
            return Err(ParseError {
                text: text.chars().take(40).collect::<String>() + "...",
                span: 0..1,
                sentence: format!("longer than {MAX_TEXT} octets"),
            });
        }
        Ok(Words { text, words: split(text), next: 0 })
    }

    pub(super) fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).and_then(|word| self.text.get(word.clone()))
    }

    pub(super) fn next(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        self.next += 1;
        Some(word)
    }

    /// Takes the next word where it is this one.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let is = self.peek() == Some(word);
        self.next += usize::from(is);
        is
    }

    /// Takes the next word where `read` makes something of it.
    pub(super) fn take_if<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let value = read(self.peek()?)?;
        self.next += 1;
        Some(value)
    }

    /// The next word as `read` makes it. Error: it makes nothing of it; `what` was expected.
    pub(super) fn need<T>(
        &mut self,
        what: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ParseError> {
        self.take_if(read).ok_or_else(|| self.expected(what))
    }

    /// An error about the next word, or the end.
    pub(super) fn expected(&self, what: &str) -> ParseError {
        let sentence = match self.peek() {
            Some(word) => format!("`{word}`: expected {what}"),
            None => format!("expected {what} here"),
        };
        let end = self.text.len();
        let span = self.words.get(self.next).cloned().unwrap_or(end + 1..end + 1);
        self.error(span, sentence)
    }

    /// An error about the word that was read last.
    pub(super) fn wrong(&self, sentence: impl Into<String>) -> ParseError {
        let last = self.next.checked_sub(1).and_then(|last| self.words.get(last));
        self.error(last.cloned().unwrap_or(0..self.text.len()), sentence.into())
    }

    fn error(&self, span: Range<usize>, sentence: String) -> ParseError {
        // Tabs and line ends would move the caret.
        let text = self.text.replace(char::is_control, " ");
        let padding = " ".repeat(span.start.saturating_sub(text.len()));
        ParseError { text: text + &padding, span, sentence }
    }
}

fn split(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for (at, c) in text.char_indices() {
        let operator = OPERATORS.contains(&c);
        if c.is_whitespace() || c.is_control() {
            open = false;
            continue;
        }
        let joins = open
            && words
                .last()
                .is_some_and(|last| text[last.clone()].starts_with(OPERATORS) == operator);
        match words.last_mut() {
            Some(last) if joins => last.end = at + c.len_utf8(),
            _ => words.push(at..at + c.len_utf8()),
        }
        open = true;
    }
    words
}

/// What a time without a unit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bare {
    /// An error.
    Refused,
    /// Microseconds: `delay` of tc.
    Micros,
    /// Nanoseconds: `slot` of tc.
    Nanos,
}

/// Longest time that can be said: a day.
const MAX_TIME_NS: f64 = 86_400e9;

/// A number and the unit behind it.
fn quantity(word: &str) -> Option<(f64, &str)> {
    let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let number: f64 = word[..end].parse().ok()?;
    number.is_finite().then_some((number, &word[end..]))
}

/// `100ms`, `1.5s`; units ns us ms s, also written out as tc does (`msec`, `secs`), and `min`.
pub(super) fn time(word: &str, bare: Bare) -> Option<Duration> {
    let (number, unit) = quantity(word)?;
    let nanos = match (unit, bare) {
        ("", Bare::Micros) => 1e3,
        ("", Bare::Nanos) => 1.0,
        ("", Bare::Refused) => return None,
        (unit, _) => match unit.to_ascii_lowercase().as_str() {
            "s" | "sec" | "secs" => 1e9,
            "ms" | "msec" | "msecs" => 1e6,
            "us" | "usec" | "usecs" => 1e3,
            "ns" | "nsec" | "nsecs" => 1.0,
            "min" => 60e9,
            _ => return None,
        },
    };
    let total = (number * nanos).round();
    (total <= MAX_TIME_NS).then(|| Duration::from_nanos(total as u64))
}

/// `1mbit`, `100KBps`, in octets a second; without a unit bits a second.
pub(super) fn rate(word: &str) -> Option<u64> {
    let (number, unit) = quantity(word)?;
    let unit = unit.to_ascii_lowercase();
    let (prefix, per_octet) = match unit.strip_suffix("bps") {
        Some(prefix) => (prefix, 1.0),
        None => (unit.strip_suffix("bit").unwrap_or(&unit), 8.0),
    };
    let scale = match prefix {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        "ki" => 1024.0,
        "mi" => 1024.0 * 1024.0,
        "gi" => 1024.0 * 1024.0 * 1024.0,
        "ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let octets = number * scale / per_octet;
    (1.0..=1e15).contains(&octets).then_some(octets as u64)
}

/// `64KiB`, `1M`, `1500`, in octets; `k` and `kb` are 1024 as in tc.
pub(super) fn size(word: &str) -> Option<u32> {
    let (number, unit) = quantity(word)?;
    let scale = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let octets = number * scale;
    (octets <= f64::from(u32::MAX)).then_some(octets as u32)
}

/// A share of all: 0 none, `u32::MAX` all, as tc has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(super) struct Share(pub(super) u32);

impl Share {
    pub(super) const NONE: Share = Share(0);
    pub(super) const ALL: Share = Share(u32::MAX);

    /// All but this.
    pub(super) fn rest(self) -> Share {
        Share(u32::MAX - self.0)
    }

    /// `25%`, or `25`, which means the same.
    pub(super) fn parse(word: &str) -> Option<Share> {
        let (number, unit) = quantity(word)?;
        let valid = matches!(unit, "" | "%") && number <= 100.0;
        valid.then(|| Share((number / 100.0 * f64::from(u32::MAX)).round_ties_even() as u32))
    }

    fn percent(self) -> f64 {
        100.0 * f64::from(self.0) / f64::from(u32::MAX)
    }
}

/// With six significant digits, as printf's `%g` does.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.percent();
        // The smallest share is 2e-8 %.
        let magnitude = if percent > 0.0 { percent.log10().floor() as i32 } else { 0 };
        let after = usize::try_from(5 - magnitude).unwrap_or(0);
        let digits = format!("{percent:.after$}");
        let short = match digits.contains('.') {
            true => digits.trim_end_matches('0').trim_end_matches('.'),
            false => &digits,
        };
        write!(f, "{short}%")
    }
}

/// A time with its largest unit that fits, as tc prints it, but exact.
pub(super) struct Printed(pub(super) Duration);

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let (unit, name) = match nanos {
            1_000_000_000.. => (1_000_000_000, "s"),
            1_000_000.. => (1_000_000, "ms"),
            1000.. => (1000, "us"),
            _ => (1, "ns"),
        };
        let digits = format!("{}.{:09}", nanos / unit, nanos % unit * (1_000_000_000 / unit));
        write!(f, "{}{name}", digits.trim_end_matches('0').trim_end_matches('.'))
    }
}
