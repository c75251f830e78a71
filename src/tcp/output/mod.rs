//! What is sent, and when: the only place where segments of a connection are made.
//!
//! [`Tcb::poll_transmit`] asks for the next segment in a fixed order: a RST, the SYN, what is lost,
//! new text and FIN, probes, a bare acknowledgment. Each of them carries the acknowledgment.

mod header;
mod text;
mod window;

use crate::time::Instant;
use crate::trace::{Sending, Weight};
use crate::wire::{Flags, SeqNum};

use super::event::Outgoing;
use super::flight::Sent;
use super::state::State;
use super::tcb::{Fin, PendingReset, Tcb};

/// The next segment.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Reset,
    /// Occupies sequence space: SYN, text, FIN; new or again.
    Sequenced(Sent, Sending),
    /// Nothing but an acknowledgment with this sequence number.
    Bare(SeqNum, Sending),
}

impl Tcb {
    /// The next segment to send; call until `None`.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Outgoing<'_>> {
        let plan = self.next_plan(now);
        if plan.is_none() {
            self.arm_persist_timer(now);
        }
        let plan = plan?;
        self.counters.segments_out += 1;
        match plan {
            Plan::Reset => {
                let PendingReset { header, reason } = self.reset.take()?;
                let (sending, weight) = (Sending::First, Weight::Control);
                Some(Outgoing { header, payload: (&[], &[]), reset: Some(reason), sending, weight })
            }
            Plan::Bare(seq, sending) => {
                let weight = self.weight_of_bare(sending);
                let header = self.header(now, seq, Flags::ACK, 0);
                Some(Outgoing { header, payload: (&[], &[]), reset: None, sending, weight })
            }
            Plan::Sequenced(sent, sending) => Some(self.sequenced(now, sent, sending)),
        }
    }

    fn next_plan(&mut self, now: Instant) -> Option<Plan> {
        if self.reset.is_some() {
            return Some(Plan::Reset);
        }
        let sequenced = match self.state {
            State::SynSent | State::SynReceived => self.plan_syn(now),
            state if state.sends_text() => self.plan_sequenced(now),
            _ => None,
        };
        if let Some((sent, sending)) = sequenced {
            return Some(Plan::Sequenced(sent, sending));
        }
        self.plan_bare()
    }

    /// Retransmissions before new text (RFC 6675 5 C).
    fn plan_sequenced(&mut self, now: Instant) -> Option<(Sent, Sending)> {
        // a program that closed in SYN-RECEIVED may be here before its SYN was sent
        if self.snd.nxt == self.snd.iss {
            return self.plan_syn(now);
        }
        let again = self.plan_retransmission(now).map(|sent| (sent, Sending::Again));
        again.or_else(|| self.plan_text(now).map(|sent| (sent, Sending::First)))
    }

    fn plan_syn(&mut self, now: Instant) -> Option<(Sent, Sending)> {
        if self.snd.nxt != self.snd.iss {
            return self.plan_retransmission(now).map(|sent| (sent, Sending::Again));
        }
        let sent = Sent {
            seq: self.snd.iss,
            len: 1,
            syn: true,
            fin: false,
            sent_at: now,
            retransmitted: false,
            sacked: false,
            lost: false,
        };
        self.push_new(now, sent);
        Some((sent, Sending::First))
    }

    fn plan_bare(&mut self) -> Option<Plan> {
        if core::mem::take(&mut self.probing.due) || core::mem::take(&mut self.alive.due) {
            // Linux: an old sequence number makes the peer answer
            return Some(Plan::Bare(self.snd.una.sub(1), Sending::Probe));
        }
        let speaks = !matches!(self.state, State::Closed | State::Listen | State::SynSent);
        (self.ack.now && speaks).then_some(Plan::Bare(self.snd.nxt, Sending::First))
    }

    /// Enters a segment that was never sent before in the flight.
    fn push_new(&mut self, now: Instant, sent: Sent) {
        self.flight.push(sent);
        self.snd.nxt = sent.end();
        if sent.fin {
            self.snd.fin = Fin::Sent(sent.end().sub(1));
        }
        if !self.timers.is_set(super::timers::Timer::Retransmit) {
            self.restart_retransmit_timer(now);
        }
    }

    fn sequenced(&mut self, now: Instant, sent: Sent, sending: Sending) -> Outgoing<'_> {
        let text_len = sent.text_len();
        let header = self.header(now, sent.seq, self.flags_of(&sent), text_len);
        self.snd.sent_at = now;
        self.counters.octets_sent += u64::from(text_len);
        if text_len > 0 {
            self.note_answer(now);
        }
        // the SYN is before the ring's first octet and has no text
        let offset = sent.seq.since(self.snd.ring_seq) as usize;
        let payload = self.snd.ring.slices(offset, text_len as usize);
        let opens_or_closes = sent.syn || sent.fin || sending != Sending::First;
        let weight = if opens_or_closes { Weight::Control } else { Weight::Bulk };
        Outgoing { header, payload, reset: None, sending, weight }
    }

    /// A bare acknowledgment is bulk, a window update too, unless it ends the handshake, probes,
    /// challenges (RFC 5961), or can be about nothing but the peer's FIN.
    fn weight_of_bare(&self, sending: Sending) -> Weight {
        let no_text_yet = self.rcv.nxt == self.rcv.irs.add(1);
        let first = no_text_yet && self.snd.nxt == self.snd.iss.add(1);
        if first || sending == Sending::Probe || self.rcv.fin_reached() || self.ack.challenges {
            Weight::Control
        } else {
            Weight::Bulk
        }
    }

    fn flags_of(&self, sent: &Sent) -> Flags {
        let mut flags = Flags::NONE;
        if sent.syn {
            flags |= Flags::SYN;
        }
        if self.state != State::SynSent {
            flags |= Flags::ACK;
        }
        if sent.fin {
            flags |= Flags::FIN;
        }
        // "the push flag" of a SEND that is now complete (RFC 9293 3.9.1.2, MUST-60)
        let text_end = sent.seq.add(sent.text_len());
        if sent.text_len() > 0 && text_end == self.snd.text_end() {
            flags |= Flags::PSH;
        }
        flags
    }
}
