//! SEGMENT ARRIVES (RFC 9293 3.10.7): the steps in the RFC's order, one a file.
//!
//! Each step says whether the next one is to look at the segment, or why it was dropped.

mod ack;
mod closed;
mod fin;
mod listen;
mod reset;
mod sequence;
mod syn;
mod syn_sent;
mod text;
mod urg;

use core::ops::ControlFlow;

pub(super) use closed::reset_answer;
pub use closed::reset_for;
pub use listen::{ListenVerdict, arrives_in_listen};
pub(super) use syn_sent::accept_syn;

use crate::time::Instant;
use crate::wire::{Header, Segment, SeqNum};

use super::event::{Cause, Dropped, Event};
use super::state::State;
use super::tcb::Tcb;
use super::time_wait::TimeWaitVerdict;
use super::timers::Timer;

/// Whether the next step follows; where not, why the segment was dropped, if it was.
type Step = ControlFlow<Option<Dropped>>;
const NEXT: Step = ControlFlow::Continue(());
/// The segment is dealt with.
const DONE: Step = ControlFlow::Break(None);

fn drop_it(why: Dropped) -> Step {
    ControlFlow::Break(Some(why))
}

/// A segment on its way through the steps; trimmed to the window by the first.
#[derive(Clone, Copy, Debug)]
struct Arrived<'a> {
    header: &'a Header,
    /// First sequence number of `text` (of the FIN, when there is no text).
    seq: SeqNum,
    text: &'a [u8],
    syn: bool,
    fin: bool,
}

impl<'a> Arrived<'a> {
    fn new(segment: &'a Segment<'a>) -> Arrived<'a> {
        Arrived {
            header: &segment.header,
            seq: segment.header.seq,
            text: segment.payload,
            syn: segment.header.flags.syn(),
            fin: segment.header.flags.fin(),
        }
    }

    /// SEG.LEN
    fn len(&self) -> u32 {
        self.text.len() as u32 + u32::from(self.syn) + u32::from(self.fin)
    }

    /// Sequence number after the segment.
    fn end(&self) -> SeqNum {
        self.seq.add(self.len())
    }

    /// What made a transition, if this segment did.
    fn cause(&self) -> Cause {
        Cause::Segment(self.header.flags)
    }

    /// The SYN is dealt with.
    fn strip_syn(&mut self) {
        if core::mem::take(&mut self.syn) {
            self.seq = self.seq.add(1);
        }
    }

    /// Drops the first `len` octets of sequence space: text, FIN.
    fn trim_front(&mut self, len: u32) {
        let text = (len as usize).min(self.text.len());
        self.text = &self.text[text..];
        self.seq = self.seq.add(text as u32);
        if len as usize > text {
            self.fin = false;
        }
    }

    /// Drops the last `len` octets of sequence space: FIN, text.
    fn trim_back(&mut self, len: u32) {
        let mut left = len as usize;
        if self.fin && left > 0 {
            self.fin = false;
            left -= 1;
        }
        self.text = &self.text[..self.text.len().saturating_sub(left)];
    }
}

impl Tcb {
    /// A segment of this connection arrived.
    pub fn handle_segment(&mut self, now: Instant, segment: &Segment<'_>) {
        self.counters.segments_in += 1;
        let mut arrived = Arrived::new(segment);
        let step = match self.state {
            State::Closed | State::Listen => drop_it(Dropped::Over),
            State::SynSent => self.arrives_in_syn_sent(now, &mut arrived),
            State::TimeWait => self.arrives_in_time_wait(now, segment),
            _ => self.arrives_synchronized(now, &mut arrived),
        };
        if let ControlFlow::Break(Some(why)) = step {
            let (flags, seq) = (segment.header.flags, segment.header.seq);
            let text_len = segment.payload.len() as u32;
            self.events.push(Event::Dropped { flags, seq, text_len, why });
        }
        self.note_send_space();
    }

    /// RFC 9293 3.10.7.4, "otherwise".
    fn arrives_synchronized(&mut self, now: Instant, arrived: &mut Arrived<'_>) -> Step {
        self.check_sequence(now, arrived)?;
        self.check_reset(now, arrived)?;
        self.check_syn(now, arrived)?;
        self.check_ack(now, arrived)?;
        self.check_text_and_rest(now, arrived)
    }

    /// Steps six to eight, also for the segment that ended SYN-SENT.
    fn check_text_and_rest(&mut self, now: Instant, arrived: &mut Arrived<'_>) -> Step {
        self.alive.hear(now);
        self.check_urg(arrived);
        self.check_text(now, arrived)?;
        self.check_fin(now, arrived);
        NEXT
    }

    /// TIME-WAIT while the host has not yet taken the small form of it.
    fn arrives_in_time_wait(&mut self, now: Instant, segment: &Segment<'_>) -> Step {
        let Some(time_wait) = &mut self.time_wait else {
            return drop_it(Dropped::Over);
        };
        let verdict = time_wait.handle_segment(now, segment, false);
        self.timers.set(Timer::TimeWait, time_wait.expires());
        match verdict {
            TimeWaitVerdict::Ack { .. } => self.ack.now = true,
            TimeWaitVerdict::Delete => {
                self.transition(now, State::Closed, Cause::Segment(segment.header.flags));
                self.events.push(Event::Closed);
            }
            TimeWaitVerdict::Drop | TimeWaitVerdict::NewConnection { .. } => {}
        }
        NEXT
    }

    /// An acknowledgment as answer to a segment that is not acceptable. An empty one might be such
    /// an answer itself: those are limited, or two ends could go on for ever. Linux
    /// (tcp_oow_rate_limited): a FIN that comes again is not, but a SYN is.
    fn answer_unacceptable(&mut self, now: Instant, arrived: &Arrived<'_>) {
        let is_sent_again = arrived.len() > 0 && !arrived.syn;
        if is_sent_again || self.invalid_answer_allowed(now) {
            self.ack.now = true;
        }
    }

    /// RFC 5961 7: challenge ACKs are throttled.
    fn challenge(&mut self, now: Instant) -> Step {
        let second = now.as_nanos() / 1_000_000_000;
        if self.invalid.second != second {
            self.invalid.second = second;
            self.invalid.count = 0;
        }
        if self.invalid.count < self.config.challenge_ack_limit && self.invalid_answer_allowed(now)
        {
            self.invalid.count += 1;
            self.ack.now = true;
            self.ack.challenges = true;
        }
        drop_it(Dropped::Challenged)
    }

    /// Linux: tcp_invalid_ratelimit.
    fn invalid_answer_allowed(&mut self, now: Instant) -> bool {
        let interval = self.config.invalid_interval;
        let allowed = self.invalid.last.is_none_or(|last| now.since(last) >= interval);
        if allowed {
            self.invalid.last = Some(now);
        }
        allowed
    }
}
