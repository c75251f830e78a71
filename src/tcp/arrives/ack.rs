//! Fifth: check the ACK field (RFC 9293 3.10.7.4, RFC 5961 5, RFC 5681, RFC 6298).

use crate::tcp::event::{Dropped, Event, ResetReason};
use crate::tcp::flight::Acknowledged;
use crate::tcp::limits::FALLBACK_RTO;
use crate::tcp::state::State;
use crate::tcp::tcb::{Fin, Retransmits, Tcb};
use crate::time::Instant;
use crate::wire::SeqNum;

use super::{Arrived, DONE, NEXT, Step, drop_it};

impl Tcb {
    pub(super) fn check_ack(&mut self, now: Instant, arrived: &Arrived<'_>) -> Step {
        if !arrived.header.flags.ack() {
            return drop_it(Dropped::NoAck);
        }
        let ack = arrived.header.ack;
        if self.state == State::SynReceived {
            self.check_ack_of_syn(now, arrived)?;
        } else if ack.after(self.snd.nxt) {
            // "If the ACK acks something not yet sent, then send an ACK"
            return self.challenge(now);
        } else if ack.before(self.snd.una.sub(self.snd.max_wnd)) {
            // RFC 5961 5.2: too old to be of this flight
            return self.challenge(now);
        }
        self.take_acknowledgment(now, arrived);
        self.check_ack_of_fin(now, arrived)
    }

    fn check_ack_of_syn(&mut self, now: Instant, arrived: &Arrived<'_>) -> Step {
        let ack = arrived.header.ack;
        if !ack.after(self.snd.una) || ack.after(self.snd.nxt) {
            self.answer_with_reset(arrived, ResetReason::UnacceptableAck);
            return drop_it(Dropped::BadAck);
        }
        self.snd.wl1 = arrived.seq;
        self.snd.wl2 = ack;
        self.set_send_window(arrived);
        self.become_established(now, arrived);
        NEXT
    }

    /// The handshake is over.
    pub(super) fn become_established(&mut self, now: Instant, arrived: &Arrived<'_>) {
        self.transition(now, State::Established, arrived.cause());
        self.events.push(Event::Established);
        if !self.rcv.ring.is_empty() {
            self.events.push(Event::Readable);
        }
        self.begin_transfer();
        self.retransmits = Retransmits::default();
        self.alive.hear(now);
    }

    fn take_acknowledgment(&mut self, now: Instant, arrived: &Arrived<'_>) {
        let ack = arrived.header.ack;
        let outstanding = self.flight.outstanding();
        let old_window = self.snd.wnd;
        let progress = ack.after(self.snd.una);
        let stale = ack.before(self.snd.una);
        self.update_send_window(arrived);
        if stale {
            return;
        }
        let sack_news = self.take_sack_blocks(arrived.header);
        if progress {
            let acked = self.advance_una(now, arrived);
            self.recover_on_progress(now, acked, outstanding);
        }
        // RFC 5681 2: a duplicate acknowledgment; with SACK, one that tells something
        let plain = !progress && arrived.len() == 0 && self.snd.wnd == old_window;
        let duplicate = if self.sack { sack_news } else { plain && outstanding > 0 };
        self.detect_loss(now, duplicate && !progress);
        self.probe_answered(now);
    }

    /// SND.UNA moves on: octets leave the ring, the timer starts afresh.
    fn advance_una(&mut self, now: Instant, arrived: &Arrived<'_>) -> u32 {
        let ack = arrived.header.ack;
        let acked = ack.diff(self.snd.una);
        let taken = self.flight.acknowledge(ack);
        self.snd.una = ack;
        let octets = ack.since(self.snd.ring_seq).min(self.snd.ring.len() as u32);
        self.snd.ring.pop_front(octets as usize);
        self.snd.ring.rewind_if_empty();
        self.snd.ring_seq = self.snd.ring_seq.add(octets);
        self.counters.octets_acked += u64::from(octets);
        if self.snd.up.is_some_and(|up| !up.after(ack)) {
            self.snd.up = None;
        }
        if self.snd.small.is_some_and(|end| !end.after(ack)) {
            self.snd.small = None;
        }
        self.sample_round_trip(now, arrived, taken);
        self.retransmits = Retransmits::default();
        self.restart_retransmit_timer(now);
        acked
    }

    /// RFC 6298 3 (Karn): a segment sent twice gives no sample, unless a timestamp tells which
    /// one is acknowledged (RFC 7323 4).
    pub(super) fn sample_round_trip(
        &mut self,
        now: Instant,
        arrived: &Arrived<'_>,
        taken: Acknowledged,
    ) {
        let echo = arrived.header.options.timestamps.filter(|_| self.ts.enabled);
        if let Some(sent_at) = taken.sample_from {
            self.rtt.sample(now.since(sent_at));
        } else if let Some(rtt) = echo.and_then(|option| self.ts.round_trip(now, option)) {
            self.rtt.sample(rtt);
        } else if taken.retransmitted
            && !self.rtt.has_sample()
            && self.snd.una == self.snd.iss.add(1)
        {
            self.rtt.set_initial(FALLBACK_RTO);
            self.rtt.reset_backoff();
        }
    }

    /// "If SND.UNA =< SEG.ACK =< SND.NXT, the send window should be updated", unless the segment
    /// is older than the one that set it (MUST-33..35 of 3.8.6; SND.WL1, SND.WL2).
    fn update_send_window(&mut self, arrived: &Arrived<'_>) {
        let ack = arrived.header.ack;
        let newer = self.snd.wl1.before(arrived.seq)
            || (self.snd.wl1 == arrived.seq && !self.snd.wl2.after(ack));
        if !ack.before(self.snd.una) && newer {
            self.snd.wl1 = arrived.seq;
            self.snd.wl2 = ack;
            self.set_send_window(arrived);
        }
    }

    /// SND.WND := SEG.WND, scaled but in a SYN (RFC 7323 2.2).
    pub(super) fn set_send_window(&mut self, arrived: &Arrived<'_>) {
        let shift = if arrived.header.flags.syn() { 0 } else { self.snd.shift };
        self.snd.wnd = u32::from(arrived.header.window) << shift;
        self.snd.max_wnd = self.snd.max_wnd.max(self.snd.wnd);
        self.note_segment_size();
    }

    /// FIN-WAIT-1, CLOSING, LAST-ACK: "if our FIN is now acknowledged".
    fn check_ack_of_fin(&mut self, now: Instant, arrived: &Arrived<'_>) -> Step {
        let Fin::Sent(fin) = self.snd.fin else { return NEXT };
        if !self.snd.una.after(fin) {
            return NEXT;
        }
        self.snd.fin = Fin::Acknowledged;
        self.events.push(Event::FinAcked);
        match self.state {
            State::FinWait1 => {
                self.transition(now, State::FinWait2, arrived.cause());
                if self.refuses_fin_wait_2() {
                    self.answer_with_reset(arrived, ResetReason::NoFinWait2);
                    self.transition(now, State::Closed, arrived.cause());
                    self.events.push(Event::Closed);
                    return DONE;
                }
            }
            State::Closing => self.transition(now, State::TimeWait, arrived.cause()),
            State::LastAck => {
                self.transition(now, State::Closed, arrived.cause());
                self.events.push(Event::Closed);
                return DONE;
            }
            _ => {}
        }
        NEXT
    }

    /// <SEQ=SEG.ACK><CTL=RST>, as for a segment without a connection.
    pub(super) fn answer_with_reset(&mut self, arrived: &Arrived<'_>, reason: ResetReason) {
        let segment_len = arrived.header.sequence_len(arrived.text.len());
        self.queue_reset_for(arrived.header, segment_len, reason);
    }
}

/// `una < ack <= nxt`: acknowledges something in flight.
pub(super) fn acknowledges(ack: SeqNum, una: SeqNum, nxt: SeqNum) -> bool {
    ack.after(una) && !ack.after(nxt)
}
