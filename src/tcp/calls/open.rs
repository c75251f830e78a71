//! OPEN (RFC 9293 3.10.1): active, and the passive one's second half, when a SYN has come.

use crate::tcp::arrives::accept_syn;
use crate::tcp::buffer::{Reassembly, Ring};
use crate::tcp::config::Config;
use crate::tcp::event::{Cause, EventQueue};
use crate::tcp::flight::Flight;
use crate::tcp::limits::{DEFAULT_MSS, INITIAL_WINDOW_SEGMENTS, MAX_WINDOW_SCALE};
use crate::tcp::recovery::Recovery;
use crate::tcp::rtt::RttEstimator;
use crate::tcp::state::State;
use crate::tcp::tcb::{
    Counters, Fin, FourTuple, Grip, InvalidAnswers, Origin, Rcv, Reading, Retransmits, Snd, Tcb,
};
use crate::tcp::timers::{AckPolicy, Alive, Probing, TimerTable};
use crate::tcp::timestamps::TimestampState;
use crate::time::Instant;
use crate::wire::{Segment, SeqNum};

impl Tcb {
    /// Active OPEN: SYN-SENT, a SYN is queued. `iss` and `ts_offset` come from the host (RFC 6528,
    /// RFC 7323 5.4).
    pub fn connect(
        now: Instant,
        config: Config,
        tuple: FourTuple,
        iss: SeqNum,
        ts_offset: u32,
    ) -> Tcb {
        let mut tcb = Tcb::new(now, config, tuple, iss, ts_offset, Origin::Active);
        tcb.transition(now, State::SynSent, Cause::Open);
        tcb
    }

    /// Passive OPEN: `syn` was acceptable to a listener. SYN-RECEIVED, a SYN+ACK is queued.
    pub fn accept(
        now: Instant,
        config: Config,
        tuple: FourTuple,
        iss: SeqNum,
        ts_offset: u32,
        syn: &Segment<'_>,
    ) -> Tcb {
        let mut tcb = Tcb::new(now, config, tuple, iss, ts_offset, Origin::Passive);
        tcb.state = State::Listen;
        tcb.transition(now, State::SynReceived, Cause::Segment(syn.header.flags));
        accept_syn(&mut tcb, now, syn);
        tcb
    }

    fn new(
        now: Instant,
        config: Config,
        tuple: FourTuple,
        iss: SeqNum,
        ts_offset: u32,
        origin: Origin,
    ) -> Tcb {
        let mss = u32::from(config.mss.max(1));
        Tcb {
            tuple,
            state: State::Closed,
            entered: now,
            origin,
            grip: Grip::Held,
            reading: Reading::Open,
            snd: new_snd(now, iss),
            rcv: new_rcv(now, &config),
            scaling: false,
            sack: false,
            ts: TimestampState::new(ts_offset),
            rtt: RttEstimator::new(config.rto_initial),
            flight: Flight::default(),
            recovery: Recovery::new(),
            congestion: config.congestion.start(mss, config.initial_window),
            left_behind: (0, 0),
            retransmits: Retransmits::default(),
            ack: AckPolicy::new(now),
            probing: Probing::default(),
            alive: Alive::new(now),
            timers: TimerTable::default(),
            events: EventQueue::default(),
            reset: None,
            invalid: InvalidAnswers::default(),
            counters: Counters::default(),
            time_wait: None,
            config,
        }
    }
}

fn new_snd(now: Instant, iss: SeqNum) -> Snd {
    Snd {
        iss,
        una: iss,
        nxt: iss,
        wnd: 0,
        max_wnd: 0,
        wl1: SeqNum(0),
        wl2: SeqNum(0),
        up: None,
        shift: 0,
        peer_mss: DEFAULT_MSS,
        ring: Ring::default(),
        ring_seq: iss.add(1),
        fin: Fin::None,
        small: None,
        was_full: false,
        takes_rest: false,
        sent_at: now,
    }
}

fn new_rcv(now: Instant, config: &Config) -> Rcv {
    let limit = config
        .receive_initial
        .max(INITIAL_WINDOW_SEGMENTS * usize::from(config.mss))
        .min(config.receive_buffer)
        .max(1);
    Rcv {
        irs: SeqNum(0),
        nxt: SeqNum(0),
        edge: SeqNum(0),
        shift: if config.window_scaling { scale_for(config.receive_buffer) } else { 0 },
        ring: Ring::default(),
        reassembly: Reassembly::default(),
        limit,
        unread: 0,
        fin: None,
        up: None,
        consumed: 0,
        read_mark: (now, 0),
    }
}

/// The smallest shift with which the window field can say all of the buffer (Linux: 7 for the
/// default 6 MiB).
fn scale_for(buffer: usize) -> u8 {
    let bits = usize::BITS - buffer.leading_zeros();
    bits.saturating_sub(16).min(u32::from(MAX_WINDOW_SCALE)) as u8
}

#[cfg(test)]
mod tests {
    use super::scale_for;

    #[test]
    fn the_window_scale_is_what_the_buffer_needs() {
        assert_eq!(scale_for(6_291_456), 7);
        assert_eq!(scale_for(65_535), 0);
        assert_eq!(scale_for(65_536), 1);
        assert_eq!(scale_for(usize::MAX), 14);
        assert_eq!(scale_for(0), 0);
    }
}
