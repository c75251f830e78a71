//! The language of `tcplab expect`: text to an [`Expectation`], with errors that point at the word.
//!
//! ```text
//! expectation := { condition } what [ relation value ] { condition } [ ( within | for ) DURATION ]
//! condition   := KEY relation VALUE      state port sport dport program pid age reason
//! what        := count                   sockets that meet the conditions
//!              | rst | syn | fin | retransmissions | drops | segments     in the records
//!              | sockets | tcbs | orphans | time_wait | ports             as `tcplab status` has them
//!              | NAME                    a counter of `tcplab status`: TcpExtListenOverflows ...
//!              | CALL [ ADDRESS ]        the last such call of a program: bind listen connect accept ...
//! relation    := = | != | < | <= | > | >=
//! ```
//!
//! Without a relation a number must be at least 1, and a call must have succeeded.

use core::time::Duration;

use tcplab::ipc::Errno;
use tcplab::ipc::record::Api;

use super::super::ss::STATES;
use super::super::units::parse_duration;

/// What must hold, and when.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Expectation {
    /// As it was written.
    pub(super) text: String,
    pub(super) conditions: Vec<Condition>,
    pub(super) what: What,
    pub(super) relation: Relation,
    pub(super) value: Value,
    pub(super) time: Time,
}

/// What is looked at.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum What {
    /// Sockets that meet the conditions.
    Sockets,
    /// Segments of the records.
    Segments(Kind),
    /// Segments that were dropped.
    Drops,
    /// A number of `tcplab status`.
    Status(String),
    /// The last call of this kind, with this address where one is named.
    Call(Api, Option<String>),
}

/// Which segments count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Any,
    Syn,
    Fin,
    Rst,
    Retransmission,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Relation {
    Equal,
    Unequal,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// What it is compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Value {
    Number(u64),
    /// The call succeeded.
    Success,
    /// The call failed with this error.
    Failure(Errno),
}

/// When it must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Time {
    Now,
    /// At some moment, at the latest after this time.
    Within(Duration),
    /// At every moment for so long.
    For(Duration),
}

/// What a socket or record must be like to count.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Condition {
    pub(super) key: Key,
    pub(super) relation: Relation,
    pub(super) value: String,
    /// The value as a number (ports, pids, ages in milliseconds).
    pub(super) number: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    State,
    Port,
    LocalPort,
    PeerPort,
    Program,
    Pid,
    Age,
    Reason,
}

const KEYS: [(&str, Key); 8] = [
    ("state", Key::State),
    ("port", Key::Port),
    ("sport", Key::LocalPort),
    ("dport", Key::PeerPort),
    ("program", Key::Program),
    ("pid", Key::Pid),
    ("age", Key::Age),
    ("reason", Key::Reason),
];

const RELATIONS: [(&str, Relation); 7] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    ("!=", Relation::Unequal),
    ("==", Relation::Equal),
    ("=", Relation::Equal),
    (">", Relation::More),
    ("<", Relation::Less),
];

const SEGMENTS: [(&str, Kind); 5] = [
    ("segments", Kind::Any),
    ("syn", Kind::Syn),
    ("fin", Kind::Fin),
    ("rst", Kind::Rst),
    ("retransmissions", Kind::Retransmission),
];

/// Numbers of `tcplab status` that are no counters.
const STATUS: [&str; 7] =
    ["sockets", "tcbs", "orphans", "time_wait", "ports", "buffered", "descriptors"];

impl Relation {
    pub(super) fn holds<T: PartialOrd>(self, a: &T, b: &T) -> bool {
        match self {
            Relation::Equal => a == b,
            Relation::Unequal => a != b,
            Relation::Less => a < b,
            Relation::AtMost => a <= b,
            Relation::More => a > b,
            Relation::AtLeast => a >= b,
        }
    }
}

/// A word or relation, and where it stands in the text.
#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    text: &'a str,
    at: usize,
}

/// Where the text is not understood, and why; displayed with a mark under the word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Misunderstood {
    text: String,
    at: usize,
    len: usize,
    why: String,
}

impl core::fmt::Display for Misunderstood {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let before = self.text.get(..self.at).unwrap_or_default().chars().count();
        let mark = "^".repeat(self.len.max(1));
        write!(f, "{}\n  {}\n  {:before$}{mark}", self.why, self.text, "")
    }
}

impl Expectation {
    /// Reads one expectation.
    pub(super) fn parse(text: &str) -> Result<Expectation, Misunderstood> {
        let parser = Parser { text, tokens: tokens(text), next: 0 };
        parser.expectation()
    }
}

/// Words, with relations cut out of them: `state=CLOSE-WAIT` is three.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (at, word) in words(text) {
        let mut begin = 0;
        let mut place = 0;
        while place < word.len() {
            let rest = &word[place..];
            let relation = RELATIONS.iter().find(|(sign, _)| rest.starts_with(sign));
            let Some((sign, _)) = relation else {
                place += rest.chars().next().map_or(1, char::len_utf8);
                continue;
            };
            if begin < place {
                tokens.push(Token { text: &word[begin..place], at: at + begin });
            }
            tokens.push(Token { text: &rest[..sign.len()], at: at + place });
            place += sign.len();
            begin = place;
        }
        if begin < word.len() {
            tokens.push(Token { text: &word[begin..], at: at + begin });
        }
    }
    tokens
}

fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_whitespace().map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token<'a>>,
    next: usize,
}

impl<'a> Parser<'a> {
    fn expectation(mut self) -> Result<Expectation, Misunderstood> {
        let mut conditions = Vec::new();
        let mut found = None;
        let mut time = Time::Now;
        while let Some(word) = self.take() {
            if let Some((_, key)) = KEYS.iter().find(|(name, _)| *name == word.text) {
                conditions.push(self.condition(*key)?);
            } else if matches!(word.text, "within" | "for") {
                let limit = self.value("a duration: 500ms, 2s")?;
                let limit =
                    parse_duration(limit.text).map_err(|why| self.misunderstood(limit, &why))?;
                time = if word.text == "for" { Time::For(limit) } else { Time::Within(limit) };
            } else if found.is_some() {
                return Err(self.misunderstood(word, "one word too many"));
            } else {
                found = Some(self.what(word)?);
            }
        }
        let text = self.text.trim().to_owned();
        let (what, relation, value) = match found {
            Some(found) => found,
            None if !conditions.is_empty() => (What::Sockets, Relation::AtLeast, Value::Number(1)),
            None => {
                let end = Token { text: "", at: self.text.len() };
                return Err(self.misunderstood(end, "nothing is expected here"));
            }
        };
        Ok(Expectation { text, conditions, what, relation, value, time })
    }

    fn condition(&mut self, key: Key) -> Result<Condition, Misunderstood> {
        let relation =
            self.relation().ok_or_else(|| self.expected("a relation: = != < <= > >="))?;
        let word = self.value("a value")?;
        let mut value = word.text.to_owned();
        let number = match key {
            Key::State => {
                value = value.to_uppercase();
                if !STATES.contains(&value.as_str()) {
                    let why = format!("not a state; states are {}", STATES.join(" "));
                    return Err(self.misunderstood(word, &why));
                }
                0
            }
            Key::Port | Key::LocalPort | Key::PeerPort => {
                let port = word.text.trim_start_matches(':').parse::<u16>();
                port.map_err(|_| self.misunderstood(word, "not a port"))?.into()
            }
            Key::Pid => {
                let pid = word.text.parse::<u32>();
                pid.map_err(|_| self.misunderstood(word, "not a process id"))?.into()
            }
            Key::Age => {
                let age =
                    parse_duration(word.text).map_err(|why| self.misunderstood(word, &why))?;
                u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
            }
            Key::Program | Key::Reason => 0,
        };
        let ordered = !matches!(relation, Relation::Equal | Relation::Unequal);
        if ordered && matches!(key, Key::State | Key::Program | Key::Reason) {
            return Err(self.misunderstood(word, "names are compared by = or !="));
        }
        Ok(Condition { key, relation, value, number })
    }

    fn what(&mut self, word: Token<'a>) -> Result<(What, Relation, Value), Misunderstood> {
        let what = if word.text == "count" {
            What::Sockets
        } else if word.text == "drops" {
            What::Drops
        } else if let Some((_, kind)) = SEGMENTS.iter().find(|(name, _)| *name == word.text) {
            What::Segments(*kind)
        } else if STATUS.contains(&word.text) || word.text.starts_with("Tcp") {
            What::Status(word.text.to_owned())
        } else if let Some(api) = Api::of_name(word.text) {
            return self.call(api);
        } else {
            let why = "not known: count, rst, syn, fin, retransmissions, drops, segments, a number \
                       or counter of `tcplab status`, or a call such as bind";
            return Err(self.misunderstood(word, why));
        };
        let Some(relation) = self.relation() else {
            return Ok((what, Relation::AtLeast, Value::Number(1)));
        };
        let value = self.value("a number")?;
        let number = value.text.parse();
        let number = number.map_err(|_| self.misunderstood(value, "not a number"))?;
        Ok((what, relation, Value::Number(number)))
    }

    /// After the name of a call: its address, and its outcome.
    fn call(&mut self, api: Api) -> Result<(What, Relation, Value), Misunderstood> {
        let is_clause = |text: &str| {
            matches!(text, "within" | "for") || KEYS.iter().any(|(key, _)| *key == text)
        };
        let address = match self.peek() {
            Some(token) if !is_relation(token.text) && !is_clause(token.text) => {
                self.next += 1;
                Some(token.text.trim_start_matches(':').to_owned())
            }
            _ => None,
        };
        let what = What::Call(api, address);
        let Some(relation) = self.relation() else {
            return Ok((what, Relation::Equal, Value::Success));
        };
        let word = self.value("an outcome: ok, EADDRINUSE, 0")?;
        let value = match word.text {
            "ok" | "success" => Value::Success,
            text => Errno::of_name(&text.to_uppercase())
                .map(Value::Failure)
                .or_else(|| text.parse().ok().map(Value::Number))
                .ok_or_else(|| {
                    self.misunderstood(word, "not an outcome: ok, an errno, a number")
                })?,
        };
        Ok((what, relation, value))
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self) -> Option<Token<'a>> {
        let token = self.peek()?;
        self.next += 1;
        Some(token)
    }

    fn relation(&mut self) -> Option<Relation> {
        let token = self.peek()?;
        let (_, relation) = RELATIONS.iter().find(|(sign, _)| *sign == token.text)?;
        self.next += 1;
        Some(*relation)
    }

    fn value(&mut self, expected: &str) -> Result<Token<'a>, Misunderstood> {
        match self.peek() {
            Some(token) if !is_relation(token.text) => {
                self.next += 1;
                Ok(token)
            }
            _ => Err(self.expected(expected)),
        }
    }

    fn expected(&self, what: &str) -> Misunderstood {
        let end = Token { text: "", at: self.text.len() };
        self.misunderstood(self.peek().unwrap_or(end), &format!("expected {what}"))
    }

    fn misunderstood(&self, token: Token<'_>, why: &str) -> Misunderstood {
        let (text, why) = (self.text.to_owned(), why.to_owned());
        Misunderstood { text, at: token.at, len: token.text.chars().count(), why }
    }
}

fn is_relation(text: &str) -> bool {
    RELATIONS.iter().any(|(sign, _)| *sign == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Expectation {
        Expectation::parse(text).unwrap_or_else(|why| panic!("{why}"))
    }

    #[test]
    fn sockets_are_counted_by_state_within_a_time() {
        let expectation = parse("state=CLOSE-WAIT count=0 within 2s");
        assert_eq!(expectation.what, What::Sockets);
        assert_eq!(expectation.relation, Relation::Equal);
        assert_eq!(expectation.value, Value::Number(0));
        assert_eq!(expectation.time, Time::Within(Duration::from_secs(2)));
        assert_eq!(expectation.conditions[0].value, "CLOSE-WAIT");
    }

    #[test]
    fn conditions_alone_ask_for_one_socket() {
        let expectation = parse("state = listen port=:8080 for 500ms");
        assert_eq!(expectation.relation, Relation::AtLeast);
        assert_eq!(expectation.value, Value::Number(1));
        assert_eq!(expectation.conditions[1].number, 8080);
        assert_eq!(expectation.time, Time::For(Duration::from_millis(500)));
    }

    #[test]
    fn segments_status_and_counters_are_numbers() {
        assert_eq!(parse("rst=0").what, What::Segments(Kind::Rst));
        assert_eq!(parse("retransmissions <= 3").relation, Relation::AtMost);
        assert_eq!(parse("tcbs=0").what, What::Status("tcbs".to_owned()));
        let counter = parse("TcpExtListenOverflows > 2 within 1s");
        assert_eq!(counter.what, What::Status("TcpExtListenOverflows".to_owned()));
    }

    #[test]
    fn the_outcome_of_a_call_is_an_errno_or_success() {
        let bind = parse("bind 8080 = EADDRINUSE");
        assert_eq!(bind.what, What::Call(Api::Bind, Some("8080".to_owned())));
        assert_eq!(bind.value, Value::Failure(Errno::EADDRINUSE));
        assert_eq!(parse("connect 127.0.0.1:80 within 1s").value, Value::Success);
        assert_eq!(parse("read = 0").value, Value::Number(0));
        assert_eq!(parse("accept program=server").what, What::Call(Api::Accept, None));
    }

    #[test]
    fn an_error_points_at_the_word() {
        let error = |text: &str| Expectation::parse(text).unwrap_err().to_string();
        assert!(error("state=CLOSED count=0").contains("\n        ^^^^^^"));
        assert!(error("rst=none").contains("not a number\n  rst=none\n      ^^^^"));
        assert!(error("state").contains("expected a relation"));
        assert!(error("rst=0 fin=0").contains("too many"));
        assert!(error("").contains("nothing is expected"));
        assert!(error("state>ESTAB").contains("= or !="));
        assert!(error("rst=0 within soon").contains("duration"));
    }
}
