//! STATUS (RFC 9293 3.10.6): what `ss`, TCP_INFO and the ioctls show.

use crate::tcp::config::Config;
use crate::tcp::state::State;
use crate::tcp::tcb::{Fin, FourTuple, Grip, Origin, Tcb};
use crate::tcp::time_wait::TimeWait;
use crate::tcp::timers::Timer;
use crate::time::{Duration, Instant};
use crate::wire::SeqNum;

/// Queue lengths in octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// In order and unread, what was handed over included (`ss` Recv-Q).
    pub recv: usize,
    /// Not acknowledged, SYN and FIN included as Linux counts them (`ss` Send-Q, SIOCOUTQ).
    pub send: usize,
    /// Never sent (SIOCOUTQNSD).
    pub unsent: usize,
}

/// A running timer as `ss -o` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningTimer {
    /// on, keepalive, timewait, persist
    pub name: &'static str,
    /// Time left.
    pub left: Duration,
    /// Retransmissions or probes so far.
    pub count: u32,
}

/// What `TCP_INFO` and `ss -i -o` show; names follow `struct tcp_info`. Sizes are octets unless
/// said otherwise.
#[derive(Clone, Debug, Default)]
pub struct Info {
    /// Retransmission timeout with back-off.
    pub rto: Duration,
    /// Doublings of the RTO.
    pub backoff: u32,
    /// Smoothed round trip.
    pub srtt: Duration,
    /// Its variance.
    pub rttvar: Duration,
    /// Smallest round trip.
    pub min_rtt: Duration,
    /// Delay of acknowledgments.
    pub ato: Duration,
    /// Congestion window.
    pub cwnd: u32,
    /// Slow start threshold, `u32::MAX` before any loss.
    pub ssthresh: u32,
    /// Octets of text in a full segment.
    pub mss: u32,
    /// MSS announced to the peer.
    pub advmss: u32,
    /// Duplicate acknowledgments that tell of a loss.
    pub reordering: u32,
    /// Largest segment seen from the peer.
    pub rcv_mss: u32,
    /// The peer's window.
    pub snd_wnd: u32,
    /// The window offered.
    pub rcv_wnd: u32,
    /// Octets that the receive window may cover.
    pub rcv_space: u32,
    /// Shift of the peer's window, and of ours; `None` without scaling.
    pub wscale: Option<(u8, u8)>,
    /// Timestamps are used.
    pub timestamps: bool,
    /// SACK is used.
    pub sack: bool,
    /// Congestion control.
    pub congestion: &'static str,
    /// Retransmissions of the oldest segment.
    pub retransmits: u32,
    /// Unanswered probes (persist or keep-alive).
    pub probes: u32,
    /// Segments in flight.
    pub unacked_segments: u32,
    /// Octets in flight that the peer has out of order.
    pub sacked: u32,
    /// Octets taken for lost.
    pub lost: u32,
    /// Segments ever retransmitted.
    pub total_retrans: u32,
    /// Segments received.
    pub segs_in: u64,
    /// Segments sent.
    pub segs_out: u64,
    /// Octets acknowledged by the peer.
    pub bytes_acked: u64,
    /// Octets received in order.
    pub bytes_received: u64,
    /// Octets sent, retransmissions included.
    pub bytes_sent: u64,
    /// Octets retransmitted.
    pub bytes_retrans: u64,
    /// Out-of-order segments received.
    pub rcv_ooopack: u64,
    /// Duplicate octets received.
    pub duplicate_octets: u64,
    /// Since something was last sent.
    pub last_sent: Duration,
    /// Since something was last received.
    pub last_received: Duration,
    /// Running timer.
    pub timer: Option<RunningTimer>,
}

impl Tcb {
    /// State.
    pub fn state(&self) -> State {
        self.state
    }

    /// When it was entered.
    pub fn entered(&self) -> Instant {
        self.entered
    }

    /// Both ends.
    pub fn tuple(&self) -> FourTuple {
        self.tuple
    }

    /// The sequence number after our FIN, once that was sent.
    pub fn fin_end(&self) -> Option<SeqNum> {
        match self.snd.fin {
            Fin::None | Fin::Queued => None,
            Fin::Sent(seq) => Some(seq.add(1)),
            Fin::Acknowledged => Some(self.snd.nxt),
        }
    }

    /// Which OPEN made it.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Other settings. Another congestion control takes over with the window as it is.
    pub fn configure(&mut self, config: Config) {
        if config.congestion != self.config.congestion {
            let (window, threshold) = (self.congestion.window(), self.congestion.threshold());
            let mss = self.segment_size();
            self.congestion = config.congestion.start(mss, config.initial_window);
            self.congestion.adopt(window, threshold);
        }
        self.config = config;
        self.note_send_space();
    }

    /// Settings, to change where nothing else follows from them.
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// No program holds it.
    pub fn is_orphan(&self) -> bool {
        self.grip == Grip::Orphan
    }

    /// The peer's FIN was reached in sequence.
    pub fn peer_has_closed(&self) -> bool {
        self.rcv.fin_reached()
    }

    /// Initial sequence numbers: ours, the peer's.
    pub fn initial_sequence_numbers(&self) -> (SeqNum, SeqNum) {
        (self.snd.iss, self.rcv.irs)
    }

    /// Queue lengths.
    pub fn queues(&self) -> Queues {
        let (send, unsent) = match self.state {
            State::Closed => self.left_behind,
            _ => self.send_queue(),
        };
        Queues { recv: self.rcv.unread_total(), send, unsent }
    }

    /// What is not acknowledged and what was never sent, SYN and FIN included.
    pub(in crate::tcp) fn send_queue(&self) -> (usize, usize) {
        let unsent = self.snd.unsent() as usize + usize::from(self.snd.fin == Fin::Queued);
        let syn = matches!(self.state, State::SynSent | State::SynReceived)
            && self.snd.nxt == self.snd.iss;
        let flight = self.snd.nxt.since(self.snd.una) as usize;
        (flight + unsent + usize::from(syn), unsent)
    }

    /// Octets of memory in buffers.
    pub fn buffered(&self) -> usize {
        self.snd.ring.capacity() + self.rcv.ring.capacity()
    }

    /// Numbers for TCP_INFO and `ss`.
    pub fn info(&self, now: Instant) -> Info {
        Info {
            rto: self.rtt.timeout(self.config.rto_min, self.config.rto_max),
            backoff: self.rtt.backoff(),
            srtt: self.rtt.smoothed(),
            rttvar: self.rtt.variance(),
            min_rtt: self.rtt.least().unwrap_or_default(),
            ato: self.config.delayed_ack,
            cwnd: self.congestion.window(),
            ssthresh: self.congestion.threshold(),
            mss: self.segment_size(),
            advmss: u32::from(self.config.mss),
            reordering: self.config.reordering,
            rcv_mss: self.ack.full_size,
            snd_wnd: self.snd.wnd,
            rcv_wnd: self.rcv.window(),
            rcv_space: u32::try_from(self.rcv.limit).unwrap_or(u32::MAX),
            wscale: self.scaling.then_some((self.snd.shift, self.rcv.shift)),
            timestamps: self.ts.enabled,
            sack: self.sack,
            congestion: self.congestion.name(),
            retransmits: self.retransmits.count,
            probes: self.probing.unanswered.max(self.alive.probes),
            unacked_segments: self.flight.segments() as u32,
            sacked: self.flight.sacked_octets(),
            lost: self.flight.lost_octets(),
            total_retrans: self.counters.retransmissions,
            segs_in: self.counters.segments_in,
            segs_out: self.counters.segments_out,
            bytes_acked: self.counters.octets_acked,
            bytes_received: self.counters.octets_received,
            bytes_sent: self.counters.octets_sent,
            bytes_retrans: self.counters.octets_retransmitted,
            rcv_ooopack: self.counters.out_of_order,
            duplicate_octets: self.counters.duplicates,
            last_sent: now.since(self.snd.sent_at),
            last_received: now.since(self.alive.heard),
            timer: self.running_timer(now),
        }
    }

    /// The one timer that `ss -o` would show.
    fn running_timer(&self, now: Instant) -> Option<RunningTimer> {
        let shown = [
            (Timer::Retransmit, self.retransmits.count),
            (Timer::Persist, self.probing.unanswered),
            (Timer::FinWait2, 0),
            (Timer::TimeWait, 0),
        ];
        let tabled = shown.into_iter().find_map(|(timer, count)| {
            let name = match timer {
                Timer::Retransmit => "on",
                Timer::Persist => "persist",
                _ => "timewait",
            };
            Some(RunningTimer { name, left: self.timers.get(timer)?.since(now), count })
        });
        tabled.or_else(|| {
            let left = self.keepalive_deadline()?.since(now);
            Some(RunningTimer { name: "keepalive", left, count: self.alive.probes })
        })
    }

    /// In state TIME-WAIT: the small thing that stays, made when the state was entered and kept
    /// up to date since. The TCB may live on beside it while the program reads what it received,
    /// but segments go to the small one then.
    pub fn time_wait(&self) -> Option<TimeWait> {
        self.time_wait.clone().filter(|_| self.state == State::TimeWait)
    }

    /// In state TIME-WAIT: the small thing that stays.
    pub fn into_time_wait(mut self, now: Instant) -> TimeWait {
        match self.time_wait.take() {
            Some(time_wait) => time_wait,
            None => TimeWait::of(&self, now),
        }
    }
}
