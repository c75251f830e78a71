//! TIME-WAIT without its TCB (RFC 9293 3.10.7.4, RFC 6191, RFC 1337): what Linux calls a timewait
//! minisocket. No buffers, no descriptor; it only answers.

use crate::time::{Duration, Instant};
use crate::wire::{Flags, Header, Options, Segment, SeqNum};

use super::limits::ISS_DISTANCE;
use super::tcb::{FourTuple, Origin, Tcb};
use super::timestamps::TimestampState;

/// A connection in TIME-WAIT: no buffers, no descriptor.
#[derive(Clone, Debug)]
pub struct TimeWait {
    tuple: FourTuple,
    origin: Origin,
    snd_nxt: SeqNum,
    rcv_nxt: SeqNum,
    /// as on the wire
    window: u16,
    ts: TimestampState,
    length: Duration,
    entered: Instant,
    expires: Instant,
    invalid_interval: Duration,
    last_invalid: Option<Instant>,
}

/// What a segment did to it (Linux tcp_timewait_state_process, RFC 9293 3.10.7.4, RFC 6191).
/// Whatever it is, [`TimeWait::expires`] may have moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeWaitVerdict {
    /// Nothing to answer.
    Drop,
    /// Answer with this.
    Ack {
        /// The acknowledgment.
        header: Header,
        /// 2MSL started afresh.
        restart: bool,
    },
    /// TIME-WAIT is over (RST, unless tcp_rfc1337).
    Delete,
    /// A new SYN that may take the 4-tuple over.
    NewConnection {
        /// The new connection's ISS must be this or later.
        iss_floor: SeqNum,
    },
}

impl TimeWait {
    /// What stays of a connection that entered TIME-WAIT now.
    pub(super) fn of(tcb: &Tcb, now: Instant) -> TimeWait {
        let length = tcb.time_wait_length();
        TimeWait {
            tuple: tcb.tuple,
            origin: tcb.origin,
            snd_nxt: tcb.snd.nxt,
            rcv_nxt: tcb.rcv.nxt,
            window: (tcb.rcv.window() >> tcb.rcv.shift).min(u32::from(u16::MAX)) as u16,
            ts: tcb.ts,
            length,
            entered: now,
            expires: now + length,
            invalid_interval: tcb.config.invalid_interval,
            last_invalid: None,
        }
    }

    /// Both ends.
    pub fn tuple(&self) -> FourTuple {
        self.tuple
    }

    /// Which OPEN made the connection.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The sequence number after our FIN.
    pub fn fin_end(&self) -> SeqNum {
        self.snd_nxt
    }

    /// When 2MSL are over.
    pub fn expires(&self) -> Instant {
        self.expires
    }

    /// When it was entered.
    pub fn entered(&self) -> Instant {
        self.entered
    }

    /// A segment of the 4-tuple arrived.
    pub fn handle_segment(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        rfc1337: bool,
    ) -> TimeWaitVerdict {
        let header = &segment.header;
        let option = header.options.timestamps.filter(|_| self.ts.enabled);
        let old = option.is_some_and(|option| self.ts.is_old(now, option, 0));
        let empty = segment.sequence_len() == 0;
        if !old && header.seq == self.rcv_nxt && (empty || header.flags.rst()) {
            if header.flags.rst() {
                // RFC 1337: TIME-WAIT assassination, prevented where the sysctl says so
                return if rfc1337 { TimeWaitVerdict::Drop } else { TimeWaitVerdict::Delete };
            }
            self.restart(now);
            if let Some(option) = option {
                self.ts.set_recent(now, option);
            }
            return TimeWaitVerdict::Drop;
        }
        if !old && self.may_take_over(header) {
            return TimeWaitVerdict::NewConnection { iss_floor: self.iss_floor() };
        }
        if header.flags.rst() {
            return TimeWaitVerdict::Drop;
        }
        // a SYN without ACK may be a new connection with an unlucky ISN: it must not hold the
        // 4-tuple for another 2MSL
        let restart = old || header.flags.ack();
        if restart {
            self.restart(now);
        }
        if (empty || header.flags.syn()) && !self.invalid_answer_allowed(now) {
            return TimeWaitVerdict::Drop;
        }
        TimeWaitVerdict::Ack { header: self.acknowledgment(now), restart }
    }

    /// Linux: tcp_invalid_ratelimit, for what might be an answer itself, and for SYNs.
    fn invalid_answer_allowed(&mut self, now: Instant) -> bool {
        let interval = self.invalid_interval;
        let allowed = self.last_invalid.is_none_or(|last| now.since(last) >= interval);
        if allowed {
            self.last_invalid = Some(now);
        }
        allowed
    }

    /// A SYN later than all of the old connection, by number or by timestamp (RFC 6191).
    fn may_take_over(&self, header: &Header) -> bool {
        let flags = header.flags;
        let newer = header.options.timestamps.is_some_and(|option| self.ts.is_newer(option));
        flags.syn() && !flags.rst() && !flags.ack() && (header.seq.after(self.rcv_nxt) || newer)
    }

    /// tcp_tw_reuse: may `connect()` take the 4-tuple after `delay` in TIME-WAIT? Gives the ISS
    /// floor. Only with timestamps: they tell old segments from new ones.
    pub fn reusable(&self, now: Instant, delay: Duration) -> Option<SeqNum> {
        let allowed = self.ts.enabled && now.since(self.entered) >= delay;
        allowed.then(|| self.iss_floor())
    }

    fn iss_floor(&self) -> SeqNum {
        self.snd_nxt.add(ISS_DISTANCE)
    }

    fn restart(&mut self, now: Instant) {
        self.expires = now + self.length;
    }

    /// What it answers.
    pub fn acknowledgment(&self, now: Instant) -> Header {
        Header {
            source_port: self.tuple.local.port(),
            destination_port: self.tuple.remote.port(),
            seq: self.snd_nxt,
            ack: self.rcv_nxt,
            flags: Flags::ACK,
            window: self.window,
            urgent: 0,
            options: Options {
                timestamps: self.ts.enabled.then(|| self.ts.option(now)),
                ..Options::default()
            },
        }
    }
}
