//! Seventh: process the segment text (RFC 9293 3.10.7.4).

use crate::ipc::Errno;
use crate::tcp::buffer::Insert;
use crate::tcp::event::{Dropped, Event, ResetReason};
use crate::tcp::state::State;
use crate::tcp::tcb::{Reading, Tcb};
use crate::time::Instant;

use super::{Arrived, NEXT, Step, drop_it};

impl Tcb {
    pub(super) fn check_text(&mut self, now: Instant, arrived: &mut Arrived<'_>) -> Step {
        if let Some(fin) = self.rcv.fin {
            // nothing comes after the FIN, and text cannot be where it was
            let end = if arrived.fin { fin.add(1) } else { fin };
            arrived.trim_back(arrived.end().since(end));
        }
        if arrived.text.is_empty() {
            return NEXT;
        }
        if !self.state.receives_text() {
            arrived.text = &[];
            return NEXT;
        }
        if self.reading == Reading::Ended && self.state != State::Established {
            // RFC 9293 3.6.1 (RFC 1122 4.2.2.13): the program is gone, the octets are lost
            self.answer_with_reset(arrived, ResetReason::DataAfterClose);
            let cause = arrived.cause();
            self.fail(now, Errno::ECONNRESET, ResetReason::DataAfterClose, cause);
            return drop_it(Dropped::NobodyReads);
        }
        self.store_text(now, arrived);
        NEXT
    }

    /// Puts text where it belongs; also that of a SYN, before the connection is established.
    pub(super) fn store_text(&mut self, now: Instant, arrived: &Arrived<'_>) {
        let ahead = arrived.seq.diff(self.rcv.nxt) as usize;
        let len = arrived.text.len();
        let in_order = ahead == 0 && self.rcv.reassembly.is_empty();
        if !in_order && !self.note_out_of_order(arrived) {
            self.acknowledge_trouble();
            return;
        }
        self.rcv.ring.reserve_total(self.rcv.ring.len() + ahead + len);
        self.rcv.ring.write_ahead(ahead, arrived.text);
        if ahead > 0 {
            // RFC 5681 4.2: tell of the gap at once
            self.counters.out_of_order += 1;
            self.acknowledge_trouble();
            return;
        }
        let old = self.rcv.nxt;
        let end = old.add(len as u32);
        self.rcv.nxt = if in_order { end } else { self.rcv.reassembly.advance(end) };
        let arrived_len = self.rcv.nxt.diff(old);
        self.rcv.ring.commit(arrived_len as usize);
        self.counters.octets_received += u64::from(arrived_len);
        if !in_order {
            // a gap was filled, wholly or in part
            self.acknowledge_trouble();
        }
        self.acknowledge_text(now, len as u32);
        if self.state != State::SynReceived {
            self.events.push(Event::Readable);
        }
        self.tell_urgent();
    }

    /// Enters text in the map; says whether to keep it.
    fn note_out_of_order(&mut self, arrived: &Arrived<'_>) -> bool {
        let right = arrived.seq.add(arrived.text.len() as u32);
        match self.rcv.reassembly.insert(self.rcv.nxt, arrived.seq, right) {
            Insert::New => true,
            Insert::Duplicate => {
                self.note_duplicate(arrived.seq, right);
                false
            }
            // what fills the gap is always taken: it needs no place in the map
            Insert::Full => arrived.seq == self.rcv.nxt,
        }
    }
}
