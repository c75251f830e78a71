//! One TCB on a bench: segments are put in by hand and what comes out is looked at.

use core::net::SocketAddr;

use crate::tcp::{Config, Event, FourTuple, ResetReason, State, Tcb};
use crate::time::{Duration, Instant};
use crate::wire::{Flags, Header, Options, Segment, SeqNum, Timestamps};

/// Our ISS.
pub(super) const ISS: u32 = 1000;
/// The peer's ISS.
pub(super) const IRS: u32 = 5000;
/// The peer's window in hand-made segments.
pub(super) const WINDOW: u16 = 60_000;

pub(super) const SYN: Flags = Flags::SYN;
pub(super) const ACK: Flags = Flags::ACK;
pub(super) const FIN: Flags = Flags::FIN;
pub(super) const RST: Flags = Flags::RST;
pub(super) const URG: Flags = Flags::URG;
pub(super) const SYN_ACK: Flags = Flags(0x12);
pub(super) const FIN_ACK: Flags = Flags(0x11);
pub(super) const RST_ACK: Flags = Flags(0x14);

/// What a TCB sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Out {
    pub(super) header: Header,
    pub(super) text: Vec<u8>,
    pub(super) reset: Option<ResetReason>,
}

impl Out {
    /// Control bits without PSH.
    pub(super) fn flags(&self) -> Flags {
        self.header.flags.without(Flags::PSH)
    }

    /// Sequence number, relative to our ISS.
    pub(super) fn seq(&self) -> u32 {
        self.header.seq.0.wrapping_sub(ISS)
    }

    /// Acknowledgment number, relative to the peer's ISS.
    pub(super) fn ack(&self) -> u32 {
        self.header.ack.0.wrapping_sub(IRS)
    }
}

/// A TCB, its clock, and what it said.
pub(super) struct Bench {
    pub(super) tcb: Tcb,
    pub(super) now: Instant,
    /// Timestamp of hand-made segments, where they carry one.
    pub(super) timestamp: Option<u32>,
    pub(super) window: u16,
}

pub(super) fn tuple() -> FourTuple {
    let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
    FourTuple { local: at("127.0.0.1:40000"), remote: at("127.0.0.1:80") }
}

/// Settings of an Ethernet-like path without timestamps, so that numbers are easy to follow.
pub(super) fn plain_config() -> Config {
    Config { mss: 1000, timestamps: false, window_scaling: false, ..Config::default() }
}

impl Bench {
    /// After an active OPEN, before anything was sent.
    pub(super) fn connecting(config: Config) -> Bench {
        let now = Instant::from_nanos(1_000_000_000);
        let tcb = Tcb::connect(now, config, tuple(), SeqNum(ISS), 0);
        Bench { tcb, now, timestamp: None, window: WINDOW }
    }

    /// SYN-RECEIVED by passive OPEN, the SYN+ACK sent.
    pub(super) fn accepting(config: Config) -> Bench {
        let now = Instant::from_nanos(1_000_000_000);
        let header = header(SYN, IRS, 0, WINDOW, Options { mss: Some(1000), ..Options::default() });
        let syn = Segment { header, payload: &[] };
        let tcb = Tcb::accept(now, config, tuple(), SeqNum(ISS), 0, &syn);
        let mut bench = Bench { tcb, now, timestamp: None, window: WINDOW };
        bench.sent();
        bench
    }

    /// ESTABLISHED by active OPEN, all sent and told.
    pub(super) fn established() -> Bench {
        Bench::established_with(plain_config(), Options::default())
    }

    /// ESTABLISHED with these settings and these options in the peer's SYN.
    pub(super) fn established_with(config: Config, peer: Options) -> Bench {
        let mut bench = Bench::connecting(config);
        bench.sent();
        let options = Options { mss: Some(peer.mss.unwrap_or(1000)), ..peer };
        bench.timestamp = peer.timestamps.map(|option| option.val);
        bench.arrive_with(SYN_ACK, 0, 1, &[], options);
        bench.sent();
        bench.events();
        assert_eq!(bench.tcb.state(), State::Established);
        bench
    }

    /// In any state a TCB can be in, on the shortest way from `established`.
    pub(super) fn in_state(state: State) -> Bench {
        let mut bench = match state {
            State::SynSent => Bench::connecting(plain_config()),
            State::SynReceived => Bench::accepting(plain_config()),
            _ => Bench::established(),
        };
        match state {
            State::FinWait1 | State::FinWait2 | State::Closing | State::TimeWait => {
                bench.tcb.shutdown_write(bench.now);
                bench.sent();
            }
            State::CloseWait | State::LastAck => bench.arrive(FIN_ACK, 1, 1, &[]),
            State::Closed => bench.arrive(RST, 1, 0, &[]),
            _ => {}
        }
        match state {
            State::FinWait2 => bench.arrive(ACK, 1, 2, &[]),
            State::Closing => bench.arrive(FIN_ACK, 1, 1, &[]),
            State::TimeWait => bench.arrive(FIN_ACK, 1, 2, &[]),
            State::LastAck => bench.tcb.shutdown_write(bench.now),
            _ => {}
        }
        bench.sent();
        bench.events();
        assert_eq!(bench.tcb.state(), state);
        bench
    }

    /// A segment with relative numbers arrives.
    pub(super) fn arrive(&mut self, flags: Flags, seq: u32, ack: u32, text: &[u8]) {
        self.arrive_with(flags, seq, ack, text, Options::default());
    }

    pub(super) fn arrive_with(
        &mut self,
        flags: Flags,
        seq: u32,
        ack: u32,
        text: &[u8],
        mut options: Options,
    ) {
        if let Some(val) = self.timestamp {
            let ecr = options.timestamps.map_or(0, |option| option.ecr);
            options.timestamps = Some(Timestamps { val, ecr });
        }
        let ack = if flags.ack() { ISS.wrapping_add(ack) } else { 0 };
        let header = header(flags, IRS.wrapping_add(seq), ack, self.window, options);
        self.tcb.handle_segment(self.now, &Segment { header, payload: text });
    }

    /// A segment whose urgent pointer says `urgent`.
    pub(super) fn arrive_urgent(&mut self, seq: u32, ack: u32, text: &[u8], urgent: u16) {
        let mut header = header(ACK | URG, IRS + seq, ISS + ack, self.window, Options::default());
        header.urgent = urgent;
        self.tcb.handle_segment(self.now, &Segment { header, payload: text });
    }

    /// All segments that are sent now.
    pub(super) fn sent(&mut self) -> Vec<Out> {
        let mut all = Vec::new();
        while let Some(out) = self.tcb.poll_transmit(self.now) {
            let text = [out.payload.0, out.payload.1].concat();
            all.push(Out { header: out.header, text, reset: out.reset });
            assert!(all.len() < 10_000, "a TCB that never stops sending");
        }
        all
    }

    /// The one segment that is sent now.
    pub(super) fn sent_one(&mut self) -> Out {
        let mut all = self.sent();
        assert_eq!(all.len(), 1, "one segment expected: {all:?}");
        all.remove(0)
    }

    /// All events.
    pub(super) fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.tcb.poll_event()).collect()
    }

    /// Time goes on, timers run out; what was sent on the way, with when (ms since the start).
    pub(super) fn pass(&mut self, duration: Duration) -> Vec<(u64, Out)> {
        let start = self.now;
        let end = self.now + duration;
        let mut all = Vec::new();
        let mut rounds = 0;
        while let Some(at) = self.tcb.poll_timeout().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.tcb.handle_timeout(self.now);
            let ms = self.now.since(start).as_millis() as u64;
            all.extend(self.sent().into_iter().map(|out| (ms, out)));
            rounds += 1;
            assert!(rounds < 100_000, "a timer that never stops");
        }
        self.now = end;
        all
    }

    pub(super) fn pass_ms(&mut self, ms: u64) -> Vec<(u64, Out)> {
        self.pass(Duration::from_millis(ms))
    }

    /// All in-order octets, handed to a program that reads at once.
    pub(super) fn read(&mut self) -> Vec<u8> {
        let (a, b) = self.tcb.received();
        let octets = [a, b].concat();
        self.tcb.consume(self.now, octets.len());
        self.tcb.set_unread(self.now, 0);
        octets
    }

    /// As if `octets` had been received.
    pub(super) fn skip_received(&mut self, octets: u32) {
        let Tcb { rcv, snd, ts, .. } = &mut self.tcb;
        for number in [&mut rcv.nxt, &mut rcv.edge, &mut snd.wl1, &mut ts.last_ack_sent] {
            *number = number.add(octets);
        }
    }

    /// As if `octets` had been sent and acknowledged.
    pub(super) fn skip_sent(&mut self, octets: u32) {
        let snd = &mut self.tcb.snd;
        assert_eq!(snd.una, snd.nxt);
        for number in [&mut snd.una, &mut snd.nxt, &mut snd.ring_seq, &mut snd.wl2] {
            *number = number.add(octets);
        }
    }
}

fn header(flags: Flags, seq: u32, ack: u32, window: u16, options: Options) -> Header {
    Header {
        source_port: 80,
        destination_port: 40000,
        seq: SeqNum(seq),
        ack: SeqNum(ack),
        flags,
        window,
        urgent: 0,
        options,
    }
}
