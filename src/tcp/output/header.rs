//! Headers of outgoing segments: window, options, urgent pointer.

use crate::tcp::arrives::reset_answer;
use crate::tcp::event::ResetReason;
use crate::tcp::tcb::{PendingReset, Tcb};
use crate::time::Instant;
use crate::wire::{Flags, Header, Options, SeqNum, Timestamps};

impl Tcb {
    /// The header of a segment that leaves now; what it acknowledges counts as sent.
    pub(super) fn header(
        &mut self,
        now: Instant,
        seq: SeqNum,
        flags: Flags,
        text_len: u32,
    ) -> Header {
        let options = if flags.syn() { self.syn_options(now, flags) } else { self.options(now) };
        let window = if flags.syn() { self.syn_window() as u16 } else { self.offer_window() };
        let (urgent, urg) = self.urgent_pointer(seq, text_len);
        let flags = if urg { flags | Flags::URG } else { flags };
        let ack = if flags.ack() { self.rcv.nxt } else { SeqNum(0) };
        if flags.ack() {
            self.acknowledgment_sent();
            self.ts.last_ack_sent = self.rcv.nxt;
        }
        self.plain_header(seq, ack, flags, window, urgent, options)
    }

    fn plain_header(
        &self,
        seq: SeqNum,
        ack: SeqNum,
        flags: Flags,
        window: u16,
        urgent: u16,
        options: Options,
    ) -> Header {
        Header {
            source_port: self.tuple.local.port(),
            destination_port: self.tuple.remote.port(),
            seq,
            ack,
            flags,
            window,
            urgent,
            options,
        }
    }

    /// A SYN offers what the settings say, a SYN+ACK what was agreed on (RFC 7323 2.2, 3.2).
    fn syn_options(&self, now: Instant, flags: Flags) -> Options {
        let agreed = flags.ack();
        let timestamps = if agreed { self.ts.enabled } else { self.config.timestamps };
        let scaling = self.config.window_scaling && (!agreed || self.scaling);
        Options {
            mss: Some(self.config.mss),
            window_scale: scaling.then_some(self.rcv.shift),
            sack_permitted: if agreed { self.sack } else { self.config.sack },
            timestamps: timestamps.then(|| self.ts.option(now)),
            ..Options::default()
        }
    }

    fn options(&self, now: Instant) -> Options {
        let mut options = Options {
            timestamps: self.ts.enabled.then(|| self.ts.option(now)),
            ..Options::default()
        };
        if self.tells_blocks() {
            options.sack = self.rcv.reassembly.blocks(self.ack.dsack, self.max_blocks());
        }
        options
    }

    fn tells_blocks(&self) -> bool {
        self.sack && (self.ack.dsack.is_some() || !self.rcv.reassembly.is_empty())
    }

    fn max_blocks(&self) -> usize {
        if self.ts.enabled { 3 } else { 4 }
    }

    /// Octets that SACK blocks take in the next header.
    pub(super) fn sack_option_len(&self) -> u32 {
        if !self.tells_blocks() {
            return 0;
        }
        let blocks = self.rcv.reassembly.blocks(self.ack.dsack, self.max_blocks());
        4 + 8 * blocks.iter().flatten().count() as u32
    }

    /// RFC 9293 3.8.5; a pointer that does not fit says "further on" (Linux: 0xffff).
    fn urgent_pointer(&self, seq: SeqNum, text_len: u32) -> (u16, bool) {
        let Some(up) = self.snd.up.filter(|up| up.after(seq)) else { return (0, false) };
        let ahead = up.diff(seq);
        match u16::try_from(ahead) {
            Ok(pointer) => (pointer, true),
            Err(_) if text_len > 0 => (u16::MAX, true),
            Err(_) => (0, false),
        }
    }

    /// <SEQ=SND.NXT><ACK=RCV.NXT><CTL=RST,ACK>: ABORT, or a timer gave up.
    pub(in crate::tcp) fn queue_reset(&mut self, reason: ResetReason, now: Instant) {
        let timestamps: Option<Timestamps> = self.ts.enabled.then(|| self.ts.option(now));
        let options = Options { timestamps, ..Options::default() };
        let flags = Flags::RST | Flags::ACK;
        let header = self.plain_header(self.snd.nxt, self.rcv.nxt, flags, 0, 0, options);
        self.reset = Some(PendingReset { header, reason });
    }

    /// The RST that RFC 9293 3.10.7 demands in answer to a segment.
    pub(in crate::tcp) fn queue_reset_for(
        &mut self,
        header: &Header,
        sequence_len: u32,
        reason: ResetReason,
    ) {
        self.reset = Some(PendingReset { header: reset_answer(header, sequence_len), reason });
    }
}
