//! What a rule says: its action and its conditions, as data.

use core::ops::RangeInclusive;

use crate::link::scope::Scope;
use crate::link::sight::Sight;
use crate::link::words::Share;
use crate::tcp::State;
use crate::time::Duration;
use crate::trace::Sending;
use crate::wire::Flags;

/// What is done to a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::link) enum Action {
    Drop,
    Delay(Duration),
    Duplicate(u32),
    Hold,
    /// `None`: until released.
    Copy(Option<Duration>),
    Corrupt(Care),
    Trim(u32),
    Reset(Toward),
    Blackhole(u32),
}

/// Whether the receiver finds that octets were changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::link) enum Care {
    Noticed,
    Unnoticed,
}

/// Who gets a RST.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::link) enum Toward {
    Sender,
    Receiver,
    Both,
}

/// A kind of segment, by meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Any,
    Syn,
    SynAck,
    Ack,
    Data,
    Fin,
    Rst,
    Psh,
    Urg,
    AckOfFin,
}

impl Kind {
    pub(super) fn named(name: &str) -> Option<Kind> {
        Some(match name {
            "any" => Kind::Any,
            "syn" => Kind::Syn,
            "syn-ack" => Kind::SynAck,
            "ack" => Kind::Ack,
            "data" => Kind::Data,
            "fin" => Kind::Fin,
            "rst" => Kind::Rst,
            "psh" => Kind::Psh,
            "urg" => Kind::Urg,
            "ack-of-fin" => Kind::AckOfFin,
            _ => return None,
        })
    }

    fn fits(self, sight: &Sight<'_>) -> bool {
        let flags = sight.flags();
        match self {
            Kind::Any => true,
            Kind::Syn => flags.syn() && !flags.ack(),
            Kind::SynAck => flags.syn() && flags.ack(),
            Kind::Ack => {
                let marked = flags.intersects(Flags::SYN | Flags::FIN | Flags::RST);
                flags.ack() && !marked && sight.text_len() == 0
            }
            Kind::Data => sight.text_len() > 0,
            Kind::Fin => flags.fin(),
            Kind::Rst => flags.rst(),
            Kind::Psh => flags.contains(Flags::PSH),
            Kind::Urg => flags.urg(),
            Kind::AckOfFin => sight.acknowledges_fin(),
        }
    }
}

/// How a number compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Relation {
    Below,
    AtMost,
    Equal,
    Unequal,
    AtLeast,
    Above,
}

impl Relation {
    pub(super) fn written(sign: &str) -> Option<Relation> {
        Some(match sign {
            "<" => Relation::Below,
            "<=" => Relation::AtMost,
            "=" | "==" => Relation::Equal,
            "!=" => Relation::Unequal,
            ">=" => Relation::AtLeast,
            ">" => Relation::Above,
            _ => return None,
        })
    }

    fn holds(self, left: usize, right: usize) -> bool {
        match self {
            Relation::Below => left < right,
            Relation::AtMost => left <= right,
            Relation::Equal => left == right,
            Relation::Unequal => left != right,
            Relation::AtLeast => left >= right,
            Relation::Above => left > right,
        }
    }
}

/// What must hold for a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Condition {
    Kind(Kind),
    Scope(Scope),
    State(State),
    PeerState(State),
    TextLen(Relation, u32),
    Retransmission,
    InAcceptQueue,
    Not(Box<Condition>),
}

impl Condition {
    fn holds(&self, sight: &Sight<'_>) -> bool {
        match self {
            Condition::Kind(kind) => kind.fits(sight),
            Condition::Scope(scope) => scope.fits(sight),
            Condition::State(state) => sight.state() == *state,
            Condition::PeerState(state) => sight.peer_state() == *state,
            Condition::TextLen(relation, len) => relation.holds(sight.text_len(), *len as usize),
            Condition::Retransmission => sight.datagram.sending == Sending::Again,
            Condition::InAcceptQueue => sight.is_for_accept_queue(),
            Condition::Not(condition) => !condition.holds(sight),
        }
    }
}

/// What `nth` counts separately.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Per {
    Rule,
    Connection,
}

/// `nth N..M [per connection]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Nth {
    pub(super) which: RangeInclusive<u64>,
    pub(super) per: Per,
}

/// A rule as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::link) struct Law {
    pub(super) action: Action,
    pub(super) conditions: Vec<Condition>,
    pub(super) nth: Option<Nth>,
    pub(super) probability: Option<Share>,
    pub(super) times: Option<u64>,
    pub(in crate::link) seed: Option<u64>,
    /// With one space between words.
    pub(super) text: String,
}

impl Law {
    /// Every condition but `nth`, `probability` and `times`.
    pub(super) fn fits(&self, sight: &Sight<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.holds(sight))
    }
}
