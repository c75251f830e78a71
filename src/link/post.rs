//! Does what a rule says: the segment ends here, or goes on changed, copied or followed.

use super::forge::{self, Before};
use super::limits::MAX_UNDER_WAY;
use super::queue::{Parcel, Queue, Store};
use super::rule::{Action, Care, Rule, Toward};
use super::sight::Sight;
use crate::time::{Duration, Instant};
use crate::trace::{Agent, Fate};

/// Whether a segment goes on after the rules.
pub(super) enum Ruled {
    Ended(Fate),
    Goes(Onward),
}

/// A segment that goes on.
pub(super) struct Onward {
    pub(super) fate: Fate,
    /// Its octets where they are not those that were sent.
    pub(super) changed: Option<Vec<u8>>,
    /// How often it goes beside the first time.
    pub(super) copies: u32,
    /// A RST that follows.
    pub(super) reset: Option<Vec<u8>>,
}

impl Onward {
    fn with(fate: Fate) -> Onward {
        Onward { fate, changed: None, copies: 0, reset: None }
    }

    fn changed(fate: Fate, octets: Vec<u8>) -> Ruled {
        Ruled::Goes(Onward { changed: Some(octets), ..Onward::with(fate) })
    }
}

/// Where segments wait that rules have sent on their way.
pub(super) struct Post<'a> {
    pub(super) now: Instant,
    pub(super) under_way: &'a mut Queue,
    pub(super) store: &'a mut Store,
}

fn parcel(sight: &Sight<'_>) -> Parcel {
    let datagram = &sight.datagram;
    let (from, to) = (datagram.from, datagram.to);
    Parcel { from, to, octets: datagram.octets.into(), serial: Some(datagram.serial) }
}

impl Post<'_> {
    /// Sends it at `due`; `false`: there is no room, it is lost.
    pub(super) fn send_at(&mut self, due: Instant, parcel: Parcel) -> bool {
        let fits = self.under_way.len() < MAX_UNDER_WAY && self.store.reserve(parcel.octets.len());
        if fits {
            self.under_way.push(due, parcel);
        }
        fits
    }

    pub(super) fn obey(&mut self, sight: &Sight<'_>, action: Action, rule: &mut Rule) -> Ruled {
        let agent = Agent::Rule(rule.id);
        match action {
            Action::Drop => Ruled::Ended(Fate::Lost(agent)),
            Action::Delay(time) => self.delay(sight, time, rule),
            Action::Hold => Ruled::Ended(match rule.hold(parcel(sight), self.store) {
                true => Fate::Held(agent),
                false => Fate::Lost(Agent::Queue),
            }),
            Action::Copy(time) => self.copy(sight, time, rule),
            Action::Duplicate(copies) => {
                let fate = Fate::Copied(agent, copies);
                Ruled::Goes(Onward { copies, ..Onward::with(fate) })
            }
            Action::Corrupt(Care::Noticed) => {
                let mut octets = sight.datagram.octets.to_vec();
                forge::flip_bit(&mut octets, &mut rule.dice);
                Onward::changed(Fate::Corrupted(agent), octets)
            }
            Action::Corrupt(Care::Unnoticed) if sight.text_len() > 0 => {
                let octets = forge::flip_text_bit(sight, &mut rule.dice);
                Onward::changed(Fate::Corrupted(agent), octets)
            }
            Action::Trim(len) if (len as usize) < sight.text_len() || sight.flags().fin() => {
                Onward::changed(Fate::Trimmed(agent, len), forge::trim(sight, len as usize))
            }
            Action::Reset(toward) => self.reset(sight, toward, agent),
            Action::Corrupt(_) | Action::Trim(_) | Action::Blackhole(_) => {
                Ruled::Goes(Onward::with(Fate::Passed))
            }
        }
    }

    fn delay(&mut self, sight: &Sight<'_>, time: Duration, rule: &mut Rule) -> Ruled {
        let due = self.now + time;
        if self.send_at(due, parcel(sight)) {
            return Ruled::Ended(Fate::Delayed(Agent::Rule(rule.id), due.as_nanos()));
        }
        rule.note_loss();
        Ruled::Ended(Fate::Lost(Agent::Queue))
    }

    fn copy(&mut self, sight: &Sight<'_>, time: Option<Duration>, rule: &mut Rule) -> Ruled {
        let copied = match time {
            None => rule.hold(parcel(sight), self.store),
            Some(time) => {
                let sent = self.send_at(self.now + time, parcel(sight));
                if !sent {
                    rule.note_loss();
                }
                sent
            }
        };
        let agent = Agent::Rule(rule.id);
        let fate = if copied { Fate::Copied(agent, 1) } else { Fate::Passed };
        Ruled::Goes(Onward::with(fate))
    }

    fn reset(&mut self, sight: &Sight<'_>, toward: Toward, agent: Agent) -> Ruled {
        if toward == Toward::Receiver {
            let reset = forge::reset_to_receiver(sight, Before::Segment);
            let fate = if reset.is_some() { Fate::Followed(agent) } else { Fate::Passed };
            return Ruled::Goes(Onward { reset, ..Onward::with(fate) });
        }
        let (from, to) = (sight.datagram.from, sight.datagram.to);
        if let Some(reset) = forge::reset_to_sender(sight) {
            let octets = reset.into();
            self.send_at(self.now, Parcel { from: to, to: from, octets, serial: None });
        }
        if toward == Toward::Both
            && let Some(reset) = forge::reset_to_receiver(sight, Before::Nothing)
        {
            self.send_at(self.now, Parcel { from, to, octets: reset.into(), serial: None });
        }
        Ruled::Ended(Fate::Reset(agent))
    }
}
