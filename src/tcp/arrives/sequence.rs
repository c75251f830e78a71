//! First: check sequence number (RFC 9293 3.10.7.4, MUST-70..73; RFC 7323 5.3 for PAWS).
//!
//! Leaves of the segment what lies in the receive window.

use crate::tcp::event::Dropped;
use crate::tcp::limits::PAWS_WINDOW;
use crate::tcp::state::State;
use crate::tcp::tcb::{Origin, Tcb};
use crate::time::Instant;
use crate::wire::SeqNum;

use super::{Arrived, NEXT, Step, drop_it};

impl Tcb {
    pub(super) fn check_sequence(&mut self, now: Instant, arrived: &mut Arrived<'_>) -> Step {
        self.check_timestamp(now, arrived)?;
        self.check_handshake_again(now, arrived)?;
        let window = self.rcv.window();
        if !is_acceptable(arrived.seq, arrived.len(), self.rcv.nxt, window) {
            if window == 0 && arrived.seq == self.rcv.nxt {
                self.fit_zero_window(now, arrived);
                return self.note_timestamp(now, arrived);
            }
            return self.refuse(now, arrived, Dropped::Unacceptable);
        }
        if arrived.syn {
            // RFC 5961 4.2: what to do with it does not depend on its number, so none is cut off
            return NEXT;
        }
        let header_seq = arrived.seq;
        let early = self.rcv.nxt.since(arrived.seq);
        if early > 0 {
            self.note_duplicate(header_seq, header_seq.add(early));
            arrived.trim_front(early);
        }
        let late = arrived.end().since(self.rcv.edge);
        if late > 0 {
            arrived.trim_back(late);
            self.ack.now = true;
        }
        self.note_timestamp(now, arrived)
    }

    /// RFC 7323 5.3 R1. A RST is looked at whatever its timestamp (R0).
    fn check_timestamp(&mut self, now: Instant, arrived: &Arrived<'_>) -> Step {
        let old = self.ts.enabled
            && !arrived.header.flags.rst()
            && arrived
                .header
                .options
                .timestamps
                .is_some_and(|option| self.ts.is_old(now, option, PAWS_WINDOW));
        if old { self.refuse(now, arrived, Dropped::OldTimestamp) } else { NEXT }
    }

    /// RFC 7323 5.3 R3, for segments that were acceptable.
    fn note_timestamp(&mut self, now: Instant, arrived: &Arrived<'_>) -> Step {
        if self.ts.enabled
            && !arrived.header.flags.rst()
            && let Some(option) = arrived.header.options.timestamps
        {
            self.ts.note(now, arrived.header.seq, option);
        }
        NEXT
    }

    /// SYN-RECEIVED meets the peer's SYN once more.
    fn check_handshake_again(&mut self, now: Instant, arrived: &mut Arrived<'_>) -> Step {
        let again = self.state == State::SynReceived && arrived.syn && arrived.seq == self.rcv.irs;
        if !again || arrived.header.flags.rst() {
            return NEXT;
        }
        if arrived.header.flags.ack() {
            // simultaneous open (RFC 9293 figure 7, line 6): the peer answered our SYN with its
            // own SYN again; only the ACK is news
            arrived.strip_syn();
            return NEXT;
        }
        if self.origin == Origin::Passive {
            // Linux: a retransmitted SYN gets the SYN+ACK again, within tcp_invalid_ratelimit
            if self.invalid_answer_allowed(now) {
                self.flight.mark_head_lost();
                self.recovery.forced = true;
            }
            return drop_it(Dropped::DuplicateSyn);
        }
        NEXT
    }

    /// "If an incoming segment is not acceptable, an acknowledgment should be sent in reply
    /// (unless the RST bit is set)." A SYN is challenged, which is the same with a limit.
    fn refuse(&mut self, now: Instant, arrived: &Arrived<'_>, dropped: Dropped) -> Step {
        if arrived.header.flags.rst() {
            return if self.is_from_before_the_fin(arrived) { NEXT } else { drop_it(dropped) };
        }
        if arrived.syn {
            return self.challenge(now);
        }
        let old_end = arrived.seq.add(arrived.text.len() as u32);
        if !arrived.text.is_empty() && !old_end.after(self.rcv.nxt) {
            self.note_duplicate(arrived.seq, old_end);
        }
        self.answer_unacceptable(now, arrived);
        drop_it(dropped)
    }

    /// MUST-66: with a window of zero the ACK, URG and RST of a segment at RCV.NXT still count.
    /// Its text does not, and its FIN only when no text is before it (Linux).
    fn fit_zero_window(&mut self, now: Instant, arrived: &mut Arrived<'_>) {
        if !arrived.text.is_empty() {
            self.answer_unacceptable(now, arrived);
            arrived.text = &[];
            arrived.fin = false;
        }
    }

    /// Octets that came twice; RFC 2883 lets the next acknowledgment say so.
    pub(super) fn note_duplicate(&mut self, left: SeqNum, right: SeqNum) {
        self.counters.duplicates += u64::from(right.diff(left));
        if self.sack && self.config.dsack && right.after(left) {
            self.ack.dsack = Some((left, right));
        }
        self.acknowledge_trouble();
    }
}

/// RFC 9293 table 6. Linux (tcp_sequence): an empty segment may also be just behind the window,
/// where a peer is that has filled it.
fn is_acceptable(seq: SeqNum, len: u32, nxt: SeqNum, window: u32) -> bool {
    let in_window = |seq: SeqNum| seq.diff(nxt) < window;
    match (len, window) {
        (0, _) => seq.diff(nxt) <= window,
        (_, 0) => false,
        (len, _) => {
            in_window(seq)
                || in_window(seq.add(len - 1))
                || (seq.before(nxt) && seq.add(len).after(nxt))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_cases_of_the_acceptability_test() {
        let nxt = SeqNum(u32::MAX - 4);
        assert!(is_acceptable(nxt, 0, nxt, 0));
        assert!(!is_acceptable(nxt.add(1), 0, nxt, 0));
        assert!(is_acceptable(nxt.add(9), 0, nxt, 10));
        assert!(is_acceptable(nxt.add(10), 0, nxt, 10));
        assert!(!is_acceptable(nxt.add(11), 0, nxt, 10));
        assert!(!is_acceptable(nxt.add(10), 1, nxt, 10));
        assert!(!is_acceptable(nxt.sub(1), 0, nxt, 10));
        assert!(!is_acceptable(nxt, 1, nxt, 0));
        assert!(is_acceptable(nxt.sub(5), 6, nxt, 10));
        assert!(!is_acceptable(nxt.sub(5), 5, nxt, 10));
        assert!(is_acceptable(nxt.add(9), 100, nxt, 10));
        assert!(is_acceptable(nxt.sub(5), 100, nxt, 10));
    }
}
