//! SEGMENT ARRIVES in SYN-SENT (RFC 9293 3.10.7.3), and what a SYN's options agree on.

use crate::ipc::Errno;
use crate::tcp::event::{Dropped, ResetReason};
use crate::tcp::limits::{DEFAULT_MSS, MAX_WINDOW_SCALE};
use crate::tcp::state::State;
use crate::tcp::tcb::{Retransmits, Tcb};
use crate::time::Instant;
use crate::wire::{Options, Segment};

use super::ack::acknowledges;
use super::{Arrived, DONE, NEXT, Step, drop_it};

/// The SYN that made a listener open a connection, taken into its new TCB.
pub(in crate::tcp) fn accept_syn(tcb: &mut Tcb, now: Instant, syn: &Segment<'_>) {
    let mut arrived = Arrived::new(syn);
    tcb.take_syn(now, &mut arrived);
    tcb.keep_syn_text(now, &mut arrived);
}

impl Tcb {
    pub(super) fn arrives_in_syn_sent(&mut self, now: Instant, arrived: &mut Arrived<'_>) -> Step {
        let header = arrived.header;
        let acceptable_ack =
            header.flags.ack() && acknowledges(header.ack, self.snd.una, self.snd.nxt);
        // first: check the ACK bit
        if header.flags.ack() && !acceptable_ack {
            if !header.flags.rst() {
                self.answer_with_reset(arrived, ResetReason::UnacceptableAck);
            }
            return drop_it(Dropped::BadAck);
        }
        // second: check the RST bit
        if header.flags.rst() {
            if acceptable_ack {
                self.fail(now, Errno::ECONNREFUSED, ResetReason::Peer, arrived.cause());
            }
            return DONE;
        }
        // fourth: check the SYN bit
        if !arrived.syn {
            return drop_it(Dropped::NotSyn);
        }
        self.take_syn(now, arrived);
        if acceptable_ack {
            self.open_actively(now, arrived)
        } else {
            self.open_simultaneously(now, arrived);
            NEXT
        }
    }

    /// Our SYN is acknowledged: ESTABLISHED, and the rest of the segment counts.
    fn open_actively(&mut self, now: Instant, arrived: &mut Arrived<'_>) -> Step {
        let taken = self.flight.acknowledge(arrived.header.ack);
        self.snd.una = arrived.header.ack;
        self.sample_round_trip(now, arrived, taken);
        self.rtt.reset_backoff();
        self.restart_retransmit_timer(now);
        self.become_established(now, arrived);
        self.ack.now = true;
        self.check_text_and_rest(now, arrived)
    }

    /// Both ends opened at once: our SYN goes out again, now with an ACK. Text and FIN wait in
    /// the buffer for ESTABLISHED.
    fn open_simultaneously(&mut self, now: Instant, arrived: &mut Arrived<'_>) {
        self.transition(now, State::SynReceived, arrived.cause());
        self.flight.mark_head_lost();
        self.recovery.forced = true;
        self.retransmits = Retransmits::default();
        self.rtt.reset_backoff();
        self.keep_syn_text(now, arrived);
    }

    /// IRS, window and options of the peer's SYN.
    fn take_syn(&mut self, now: Instant, arrived: &mut Arrived<'_>) {
        let header = arrived.header;
        self.rcv.irs = header.seq;
        arrived.strip_syn();
        self.rcv.nxt = arrived.seq;
        self.rcv.edge = self.rcv.nxt.add(self.syn_window());
        self.ts.last_ack_sent = self.rcv.nxt;
        self.agree(now, &header.options);
        self.snd.wl1 = header.seq;
        self.snd.wl2 = header.ack;
        self.set_send_window(arrived);
    }

    /// Text and FIN that came with a SYN (RFC 9293 3.10.7.2: "queued for processing later").
    fn keep_syn_text(&mut self, now: Instant, arrived: &mut Arrived<'_>) {
        arrived.trim_back(arrived.end().since(self.rcv.edge));
        if !arrived.text.is_empty() {
            self.store_text(now, arrived);
        }
        if arrived.fin {
            self.rcv.fin = Some(arrived.seq.add(arrived.text.len() as u32));
        }
    }

    /// What both ends want is used (RFC 7323 1.3, RFC 2018 2).
    fn agree(&mut self, now: Instant, peer: &Options) {
        let offered = peer.mss.filter(|&mss| mss > 0).unwrap_or(DEFAULT_MSS);
        self.snd.peer_mss = offered.max(self.config.min_send_mss);
        match peer.window_scale.filter(|_| self.config.window_scaling) {
            Some(shift) => {
                self.scaling = true;
                self.snd.shift = shift.min(MAX_WINDOW_SCALE);
            }
            None => self.rcv.shift = 0,
        }
        self.sack = self.config.sack && peer.sack_permitted;
        self.ts.enabled = self.config.timestamps && peer.timestamps.is_some();
        if let Some(option) = peer.timestamps.filter(|_| self.ts.enabled) {
            self.ts.set_recent(now, option);
        }
    }
}
