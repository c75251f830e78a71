//! The filters of `ss`: `state NAME`, `exclude NAME`, and expressions over ports and addresses.
//!
//! The grammar is that of ss(8) without its rarer predicates (`dev`, `fwmark`, `cgroup`, `autobound`).

use core::net::IpAddr;

use tcplab::inspect::SocketRow;

/// States as `ss` prints them, in the order of its documentation.
pub(in crate::cli) const STATES: [&str; 11] = [
    "ESTAB",
    "SYN-SENT",
    "SYN-RECV",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "TIME-WAIT",
    "UNCONN",
    "CLOSE-WAIT",
    "LAST-ACK",
    "LISTEN",
    "CLOSING",
];

/// A set of states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::cli) struct States(u16);

impl States {
    const NONE: States = States(0);
    /// Every state.
    pub(in crate::cli) const ALL: States = States((1 << STATES.len()) - 1);
    /// What `ss` shows unless asked for other states.
    pub(in crate::cli) const DEFAULT: States = States::ALL
        .without(States::of("LISTEN"))
        .without(States::of("UNCONN"))
        .without(States::of("TIME-WAIT"))
        .without(States::of("SYN-RECV"));
    /// `-l`
    pub(in crate::cli) const LISTENING: States = States::of("LISTEN").with(States::of("UNCONN"));

    const fn of(name: &str) -> States {
        let mut index = 0;
        while index < STATES.len() {
            if equal(STATES[index].as_bytes(), name.as_bytes()) {
                return States(1 << index);
            }
            index += 1;
        }
        States::NONE
    }

    const fn with(self, other: States) -> States {
        States(self.0 | other.0)
    }

    const fn without(self, other: States) -> States {
        States(self.0 & !other.0)
    }

    /// The states that `name` means in `ss`: one of them, or a group.
    fn named(name: &str) -> Option<States> {
        let unsettled = States::of("LISTEN").with(States::of("UNCONN"));
        let bucket = States::of("SYN-RECV").with(States::of("TIME-WAIT"));
        Some(match name {
            "all" => States::ALL,
            "connected" => States::ALL.without(unsettled),
            "synchronized" => States::ALL.without(unsettled).without(States::of("SYN-SENT")),
            "bucket" => bucket,
            "big" => States::ALL.without(bucket),
            "established" => States::of("ESTAB"),
            "listening" => States::of("LISTEN"),
            "closed" | "unconnected" => States::of("UNCONN"),
            "syn-rcv" => States::of("SYN-RECV"),
            other => match States::of(&other.to_ascii_uppercase()) {
                States::NONE => return None,
                one => one,
            },
        })
    }

    /// Whether the set contains the state of that name.
    pub(in crate::cli) fn contains(self, state: &str) -> bool {
        self.0 & States::of(state).0 != 0
    }

    /// Whether all rows are in the same state, so that no column need tell it.
    pub(in crate::cli) fn is_single(self) -> bool {
        self.0.count_ones() == 1
    }
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// What the words after the options ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::cli) struct Filter {
    /// States named, `None` where none is.
    pub(in crate::cli) states: Option<States>,
    /// Condition on ports and addresses.
    condition: Option<Condition>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Condition {
    Port(End, Relation, u16),
    Address(End, Network, Option<u16>),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Local,
    Peer,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Relation {
    Equal,
    Unequal,
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// An address with the number of leading bits that count; `None`: any address.
type Network = Option<(IpAddr, u8)>;

impl Filter {
    /// Reads the words; the error is one sentence.
    pub(in crate::cli) fn parse(words: &[String]) -> Result<Filter, String> {
        // `( sport = :80 )` may come as one word or as several, and `(` needs no space.
        let text = words.join(" ").replace('(', " ( ").replace(')', " ) ");
        let mut parser = Parser { words: text.split_whitespace().peekable() };
        let states = parser.states()?;
        let condition = match parser.words.peek() {
            Some(_) => Some(parser.any()?),
            None => None,
        };
        match parser.words.next() {
            Some(word) => Err(format!("'{word}' is one word too many in the filter")),
            None => Ok(Filter { states, condition }),
        }
    }

    /// Whether the condition holds for a socket (states are not looked at).
    pub(in crate::cli) fn admits(&self, row: &SocketRow) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.holds(row))
    }
}

impl Condition {
    fn holds(&self, row: &SocketRow) -> bool {
        match self {
            Condition::Port(end, relation, port) => {
                let (_, has) = end.of(row);
                match relation {
                    Relation::Equal => has == *port,
                    Relation::Unequal => has != *port,
                    Relation::AtLeast => has >= *port,
                    Relation::AtMost => has <= *port,
                    Relation::Above => has > *port,
                    Relation::Below => has < *port,
                }
            }
            Condition::Address(end, network, port) => {
                let (address, has) = end.of(row);
                network.is_none_or(|network| contains(network, address))
                    && port.is_none_or(|port| port == has)
            }
            Condition::Not(inner) => !inner.holds(row),
            Condition::And(a, b) => a.holds(row) && b.holds(row),
            Condition::Or(a, b) => a.holds(row) || b.holds(row),
        }
    }
}

impl End {
    fn of(self, row: &SocketRow) -> (Option<IpAddr>, u16) {
        let address = match self {
            End::Local => Some(row.local),
            End::Peer => row.peer,
        };
        (address.map(|a| a.ip().to_canonical()), address.map_or(0, |a| a.port()))
    }
}

fn contains((network, bits): (IpAddr, u8), address: Option<IpAddr>) -> bool {
    let leading = |a: u128, b: u128, width: u32| {
        let ignored = width.saturating_sub(bits.into());
        a.checked_shr(ignored).unwrap_or(0) == b.checked_shr(ignored).unwrap_or(0)
    };
    match (network, address) {
        (IpAddr::V4(n), Some(IpAddr::V4(a))) => {
            leading(u32::from(n).into(), u32::from(a).into(), 32)
        }
        (IpAddr::V6(n), Some(IpAddr::V6(a))) => leading(n.into(), a.into(), 128),
        _ => false,
    }
}

struct Parser<'a> {
    words: core::iter::Peekable<core::str::SplitWhitespace<'a>>,
}

impl Parser<'_> {
    fn states(&mut self) -> Result<Option<States>, String> {
        let mut states = None;
        while let Some(verb) = self.words.next_if(|word| matches!(*word, "state" | "exclude")) {
            let name = self.words.next().ok_or_else(|| format!("'{verb}' needs a state"))?;
            let named = States::named(name).ok_or_else(|| {
                format!("'{name}' is not a state; states are: {}", STATES.join(" ").to_lowercase())
            })?;
            states = Some(match (verb, states) {
                ("state", before) => before.unwrap_or(States::NONE).with(named),
                (_, before) => before.unwrap_or(States::ALL).without(named),
            });
        }
        Ok(states)
    }

    fn any(&mut self) -> Result<Condition, String> {
        let mut left = self.every()?;
        while self.words.next_if(|word| matches!(*word, "or" | "||" | "|")).is_some() {
            left = Condition::Or(Box::new(left), Box::new(self.every()?));
        }
        Ok(left)
    }

    fn every(&mut self) -> Result<Condition, String> {
        let mut left = self.one()?;
        loop {
            let joined = self.words.next_if(|word| matches!(*word, "and" | "&&" | "&")).is_some();
            let follows =
                self.words.peek().is_some_and(|word| !matches!(*word, ")" | "or" | "||" | "|"));
            if !joined && !follows {
                return Ok(left);
            }
            left = Condition::And(Box::new(left), Box::new(self.one()?));
        }
    }

    fn one(&mut self) -> Result<Condition, String> {
        let Some(word) = self.words.next() else {
            return Err("the filter ends in the middle".to_owned());
        };
        match word {
            "not" | "!" => Ok(Condition::Not(Box::new(self.one()?))),
            "(" => {
                let inner = self.any()?;
                match self.words.next() {
                    Some(")") => Ok(inner),
                    _ => Err("a '(' of the filter is not closed".to_owned()),
                }
            }
            "sport" => self.port(End::Local),
            "dport" => self.port(End::Peer),
            "src" => self.address(End::Local),
            "dst" => self.address(End::Peer),
            other => Err(format!(
                "'{other}' is not part of a filter; use state, exclude, sport, dport, src, dst \
                 (as ss)"
            )),
        }
    }

    fn port(&mut self, end: End) -> Result<Condition, String> {
        let relation = match self.words.peek().copied() {
            Some("=" | "==" | "eq") => Some(Relation::Equal),
            Some("!=" | "ne" | "neq") => Some(Relation::Unequal),
            Some(">=" | "ge" | "geq") => Some(Relation::AtLeast),
            Some("<=" | "le" | "leq") => Some(Relation::AtMost),
            Some(">" | "gt") => Some(Relation::Above),
            Some("<" | "lt") => Some(Relation::Below),
            _ => None,
        };
        if relation.is_some() {
            self.words.next();
        }
        let word = self.words.next().unwrap_or_default();
        let port = word.strip_prefix(':').unwrap_or(word).parse();
        let port = port.map_err(|_| format!("'{word}' is not a port; write `sport = :80`"))?;
        Ok(Condition::Port(end, relation.unwrap_or(Relation::Equal), port))
    }

    fn address(&mut self, end: End) -> Result<Condition, String> {
        self.words.next_if(|word| matches!(*word, "=" | "==" | "eq"));
        let word = self.words.next().unwrap_or_default();
        let bad =
            || format!("'{word}' is not an address; write `dst 127.0.0.1:80` or `src 10.0.0.0/8`");
        let (address, port) = split_port(word);
        let port = match port {
            None | Some("*") => None,
            Some(port) => Some(port.parse().map_err(|_| bad())?),
        };
        if matches!(address, "" | "*") {
            return Ok(Condition::Address(end, None, port));
        }
        let (address, bits) = match address.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().map_err(|_| bad())?)),
            None => (address, None),
        };
        let address = address.trim_matches(['[', ']']).parse().map_err(|_| bad())?;
        let whole = if matches!(address, IpAddr::V4(_)) { 32 } else { 128 };
        Ok(Condition::Address(end, Some((address, bits.unwrap_or(whole))), port))
    }
}

/// `ADDRESS[:PORT]`; an IPv6 address with a port is in brackets.
fn split_port(word: &str) -> (&str, Option<&str>) {
    match word.rsplit_once(':') {
        Some((address, port)) if !address.contains(':') || address.ends_with(']') => {
            (address, Some(port))
        }
        _ => (word, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::row;
    use super::*;

    fn filter(text: &str) -> Result<Filter, String> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        Filter::parse(&words)
    }

    fn admits(text: &str) -> bool {
        let row = row("ESTAB", "127.0.0.1:80", Some("127.0.0.7:40000"));
        filter(text).unwrap().admits(&row)
    }

    #[test]
    fn states_are_added_and_excluded() {
        let states = |text| filter(text).unwrap().states.unwrap();
        assert!(states("state time-wait").is_single());
        assert!(states("state time-wait state close-wait").contains("CLOSE-WAIT"));
        assert_eq!(states("state all"), States::ALL);
        assert!(!states("exclude listening").contains("LISTEN"));
        assert!(states("exclude listening").contains("ESTAB"));
        assert!(!states("state connected exclude established").contains("ESTAB"));
        assert!(filter("state closing-time").unwrap_err().contains("not a state"));
    }

    #[test]
    fn the_default_leaves_out_what_ss_leaves_out() {
        for out in ["LISTEN", "UNCONN", "TIME-WAIT", "SYN-RECV"] {
            assert!(!States::DEFAULT.contains(out));
        }
        assert!(States::DEFAULT.contains("CLOSE-WAIT"));
    }

    #[test]
    fn conditions_on_ports_and_addresses_hold_as_in_ss() {
        assert!(admits("sport = :80"));
        assert!(admits("( sport = :80 or sport = :443 )"));
        assert!(admits("(sport :80) and dst 127.0.0.7"));
        assert!(admits("dport >= :40000 dst 127.0.0.0/8"));
        assert!(admits("not dport = :80"));
        assert!(admits("dst 127.0.0.7:40000"));
        assert!(!admits("dst [::1]:40000"));
        assert!(!admits("sport = :80 and dport < :40000"));
        assert!(!admits("src 10.0.0.0/8"));
    }

    #[test]
    fn a_filter_without_sense_is_told_so() {
        for bad in ["sport = http", "( sport = :1", "sport", "state", "foo", "src 1.2.3.4/x"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
