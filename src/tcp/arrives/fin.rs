//! Eighth: check the FIN bit (RFC 9293 3.10.7.4).

use crate::tcp::event::Event;
use crate::tcp::state::State;
use crate::tcp::tcb::Tcb;
use crate::time::Instant;
use crate::wire::SeqNum;

use super::Arrived;

impl Tcb {
    /// A FIN counts when everything before it is there; until then it is remembered.
    pub(super) fn check_fin(&mut self, now: Instant, arrived: &Arrived<'_>) {
        if arrived.fin && self.rcv.fin.is_none() {
            self.note_fin(arrived.seq.add(arrived.text.len() as u32));
        }
        let in_sequence = self.rcv.fin == Some(self.rcv.nxt);
        if !in_sequence || !self.state.receives_text() {
            return;
        }
        self.rcv.nxt = self.rcv.nxt.add(1);
        self.rcv.edge = self.rcv.edge.later(self.rcv.nxt);
        self.ack.now = true;
        self.events.push(Event::PeerClosed);
        let to = match self.state {
            State::Established => State::CloseWait,
            // our FIN is not acknowledged, else step five had left FIN-WAIT-1
            State::FinWait1 => State::Closing,
            State::FinWait2 => State::TimeWait,
            _ => return,
        };
        self.transition(now, to, arrived.cause());
    }

    /// One that contradicts text behind it is not believed.
    fn note_fin(&mut self, fin: SeqNum) {
        let contradicted = self.rcv.reassembly.end().is_some_and(|end| end.after(fin));
        if !contradicted {
            self.rcv.fin = Some(fin);
        }
        self.ack.now = true;
    }
}
