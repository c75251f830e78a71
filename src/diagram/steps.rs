//! What happened to a connection, in the order of cause and effect.
//!
//! Real time orders it. Two things are put right: a call comes before what it caused, though the
//! stack may have learned of the call later; and of a segment that was under way for no time worth
//! telling, sending and arrival are put together unless something came between.

use crate::ipc::record::Api;
use crate::tcp::Cause;
use crate::trace::{
    Argument, Arrival, Call, Expiry, Fate, Operation, Record, Records, Refusal, Segment, Sending,
    Transition, What,
};

use super::connections::{Connection, Side};
use super::picture::Detail;
use crate::wire::SeqNum;

/// A segment that the link sends on sooner is not delayed.
const MIN_DELAY_NS: u64 = 1_000_000;
/// A segment that nobody delays has arrived at once, unless a busy machine took longer than this.
const AT_ONCE_NS: u64 = 100_000_000;
/// A call that takes longer is drawn from its beginning to its return, whichever it is.
const LONG_CALL_NS: u64 = 1_000_000;
/// A call that the stack has learned of later than this after what it caused did not cause it.
const REPORT_LIMIT_NS: u64 = 1_000_000_000;

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step<'r> {
    /// A call begins, and returns later.
    Begin(&'r Call),
    /// It returns.
    Return(&'r Call),
    /// A call that returns at once.
    Whole(&'r Call),
    Sent(&'r Segment),
    Arrived(&'r Arrival),
    State(&'r Transition),
    Expired(&'r Expiry),
    Refused(&'r Refusal),
    Operated(Operation),
    /// So many octets of text were sent, and nobody recorded it.
    Unrecorded(u32),
    /// Many segments with text: how many, octets, lost ones, ones sent again.
    Bulk(usize, u64, usize, usize),
    /// Many calls: how many, octets.
    Calls(Api, usize, u64),
    /// The same call with the same outcome, so many times, until that stack time.
    Repeated(&'r Call, u64, u64),
}

/// The same with its time and place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<'r> {
    pub(super) side: Side,
    pub(super) real_ns: u64,
    pub(super) at_ns: u64,
    pub(super) step: Step<'r>,
}

/// Everything that happened to `connection`; calls that only ask are for who wants all.
pub(super) fn of<'r>(
    connection: &Connection<'r>,
    records: &'r Records,
    detail: Detail,
) -> Vec<Event<'r>> {
    let clock = Clock::of(records);
    let mut events: Vec<Event<'r>> = Vec::new();
    let asks = |what: &What| matches!(what, What::Call(c) if matches!(c.api, Api::GetOption | Api::Names | Api::Ioctl));
    for member in &connection.members {
        if detail == Detail::Folded && asks(&member.record.what) {
            continue;
        }
        push(&mut events, member.side, member.record, &clock);
    }
    // What the user did before the first segment is another connection's business.
    let sent = |what: &What| matches!(what, What::Segment(_) | What::Arrival(_));
    let numbers = || connection.members.iter().map(|member| member.record);
    let first = numbers().filter(|r| sent(&r.what)).map(|r| r.number).min().unwrap_or(u64::MAX);
    let last = numbers().map(|record| record.number).max().unwrap_or(0);
    for record in records.records.iter().filter(|record| record.number >= first) {
        let What::Operator(operation) = record.what else { continue };
        // Of what came after the last thing that happened, the clock tells why more did not.
        if record.number < last || connection.is_alive() && moves_clock(operation) {
            push(&mut events, Side::Client, record, &clock);
        }
    }
    events.sort_by_key(|event| event.real_ns);
    put_calls_before_effects(&mut events);
    put_timers_before_effects(&mut events);
    put_accept_before_use(&mut events);
    join_flights(&mut events);
    join_calls(&mut events);
    tell_unrecorded(events)
}

fn moves_clock(operation: Operation) -> bool {
    use Operation::{Advanced, Paused, Resumed, Scaled};
    matches!(operation, Advanced(_) | Scaled(_) | Paused | Resumed)
}

fn push<'r>(events: &mut Vec<Event<'r>>, side: Side, record: &'r Record, clock: &Clock) {
    let Record { at_ns, real_ns, .. } = *record;
    let step = match &record.what {
        What::Segment(segment) => Step::Sent(segment),
        What::Arrival(arrival) => Step::Arrived(arrival),
        What::State(transition) => Step::State(transition),
        What::Timer(expiry) => Step::Expired(expiry),
        What::Dropped(refusal) => Step::Refused(refusal),
        What::Operator(operation) => Step::Operated(*operation),
        What::Call(call) => {
            // Where nobody measured the call, the stack was told of it when it was made.
            let at_ns = if call.took_ns == 0 { at_ns } else { clock.at(real_ns, Near::Later) };
            if !may_wait(call) {
                return events.push(Event { side, real_ns, at_ns, step: Step::Whole(call) });
            }
            events.push(Event { side, real_ns, at_ns, step: Step::Begin(call) });
            let real_ns = real_ns.saturating_add(call.took_ns);
            let at_ns = clock.at(real_ns, Near::Earlier);
            return events.push(Event { side, real_ns, at_ns, step: Step::Return(call) });
        }
    };
    events.push(Event { side, real_ns, at_ns, step });
}

/// Its beginning and its return are two things.
fn may_wait(call: &Call) -> bool {
    let waits = matches!(call.api, Api::Connect | Api::Accept | Api::Read);
    call.took_ns > 0 && (waits || call.took_ns >= LONG_CALL_NS)
}

/// Stack time at a moment of real time.
struct Clock(Vec<(u64, u64)>);

impl Clock {
    fn of(records: &Records) -> Clock {
        let known = records.records.iter().filter(|r| !matches!(r.what, What::Call(_)));
        let mut points: Vec<_> = known.map(|record| (record.real_ns, record.at_ns)).collect();
        points.push((records.real_now_ns, records.now_ns));
        points.sort_unstable();
        Clock(points)
    }

    /// As far from the nearest known moment as real time says, and between its neighbours.
    fn at(&self, real_ns: u64, when_equal: Near) -> u64 {
        let after = self.0.partition_point(|&(real, _)| real <= real_ns);
        let before = after.checked_sub(1).and_then(|index| self.0.get(index));
        match (before, self.0.get(after)) {
            (Some(&(past, from)), Some(&(future, to))) => {
                let (since, left) = (real_ns - past, future - real_ns);
                let near = since < left || since == left && when_equal == Near::Earlier;
                let at = if near { from + since } else { to.saturating_sub(left) };
                at.clamp(from, to.max(from))
            }
            (Some(&(past, from)), None) => from + (real_ns - past),
            (None, Some(&(future, to))) => to.saturating_sub(future - real_ns),
            (None, None) => 0,
        }
    }
}

/// Which of two moments is taken that are as far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Near {
    Earlier,
    Later,
}

/// Puts a call before the change of state that it made.
fn put_calls_before_effects<'r>(events: &mut Vec<Event<'r>>) {
    let mut used: Vec<*const Call> = Vec::new();
    for place in 0..events.len() {
        let Step::State(transition) = events[place].step else { continue };
        let (side, real_ns) = (events[place].side, events[place].real_ns);
        let causes = |event: &Event<'r>| {
            let (Step::Begin(call) | Step::Whole(call)) = event.step else { return None };
            let same_socket = transition.end.socket.is_none()
                || call.end.socket.is_none()
                || transition.end.socket == call.end.socket;
            let is_it = event.side == side && same_socket && makes(call.api, transition.cause);
            (is_it && !used.contains(&core::ptr::from_ref(call))).then_some(call)
        };
        if let Some(call) = events[..place].iter().rev().find_map(causes) {
            used.push(call);
            continue;
        }
        let later = events[place..].iter().position(|event| causes(event).is_some());
        let Some(later) = later.map(|offset| place + offset) else { continue };
        if events[later].real_ns - real_ns <= REPORT_LIMIT_NS {
            if let Some(call) = causes(&events[later]) {
                used.push(call);
            }
            let mut call = events.remove(later);
            (call.real_ns, call.at_ns) = (real_ns, events[place].at_ns);
            events.insert(place, call);
        }
    }
}

/// Puts a timer before the segments that it made its TCP send at that very time.
fn put_timers_before_effects(events: &mut Vec<Event<'_>>) {
    for place in 0..events.len() {
        let Step::Expired(_) = events[place].step else { continue };
        let (side, at_ns) = (events[place].side, events[place].at_ns);
        let made = |event: &Event<'_>| match event.step {
            Step::Sent(segment) => event.side == side && segment.sending != Sending::First,
            _ => false,
        };
        let before = events[..place].iter().rev().take_while(|event| event.at_ns == at_ns);
        let Some(back) = before.enumerate().filter(|(_, event)| made(event)).last() else {
            continue;
        };
        let first = place - 1 - back.0;
        let timer = events.remove(place);
        events.insert(first, timer);
    }
}

/// Puts accept(), of which the stack may learn late, before the calls on what it returned.
fn put_accept_before_use(events: &mut Vec<Event<'_>>) {
    let accepted = |event: &Event<'_>| match event.step {
        Step::Whole(call) => match call.argument {
            Argument::Accepted(end) => Some((event.side, end.socket?)),
            _ => None,
        },
        _ => None,
    };
    let Some((place, (side, socket))) =
        events.iter().enumerate().find_map(|(place, event)| Some((place, accepted(event)?)))
    else {
        return;
    };
    let uses = |event: &Event<'_>| match event.step {
        Step::Begin(call) | Step::Whole(call) => call.end.socket == Some(socket),
        _ => false,
    };
    let first = events[..place].iter().position(|event| event.side == side && uses(event));
    if let Some(first) = first {
        let mut accept = events.remove(place);
        (accept.real_ns, accept.at_ns) = (events[first].real_ns, events[first].at_ns);
        events.insert(first, accept);
    }
}

fn makes(api: Api, cause: Cause) -> bool {
    match cause {
        Cause::Open => api == Api::Connect,
        Cause::Listen => api == Api::Listen,
        Cause::Close | Cause::Shutdown | Cause::Abort => {
            matches!(api, Api::Close | Api::Shutdown)
        }
        _ => false,
    }
}

/// A segment that left at `sent_ns` and came at `arrived_ns` was under way for no time worth
/// telling.
pub(super) fn is_at_once(segment: &Segment, sent_ns: u64, arrived_ns: u64) -> bool {
    let delayed = match segment.fate {
        Fate::Lost(_) | Fate::Reset(_) | Fate::Held(_) => true,
        Fate::Delayed(_, due_ns) => due_ns.saturating_sub(sent_ns) >= MIN_DELAY_NS,
        _ => false,
    };
    !delayed && arrived_ns.saturating_sub(sent_ns) < AT_ONCE_NS
}

/// Puts arrivals next to sendings, where nothing happened to the receiver in between.
fn join_flights(events: &mut Vec<Event<'_>>) {
    for place in 0..events.len() {
        let Event { step: Step::Sent(segment), side, at_ns, .. } = events[place] else { continue };
        let arrives = |event: &Event<'_>| matches!(event.step, Step::Arrived(a) if a.serial == Some(segment.serial));
        // Reading and writing is between a program and its TCP: no segment comes upon that.
        let aside = |event: &Event<'_>| match event.step {
            Step::Begin(call) | Step::Return(call) | Step::Whole(call) => {
                !matches!(call.api, Api::Connect | Api::Shutdown | Api::Close)
            }
            _ => false,
        };
        let later = events[place + 1..].iter().position(|event| {
            let meets = event.side == side.other() && !aside(event);
            arrives(event) || meets || matches!(event.step, Step::Operated(_))
        });
        let Some(later) = later.map(|offset| place + 1 + offset) else { continue };
        if arrives(&events[later]) && is_at_once(segment, at_ns, events[later].at_ns) {
            let arrival = events.remove(later);
            events.insert(place + 1, arrival);
        }
    }
}

/// A call in which nothing else happened is drawn at once.
fn join_calls(events: &mut Vec<Event<'_>>) {
    let mut place = 0;
    while place + 1 < events.len() {
        if let (Step::Begin(call), Step::Return(other)) =
            (events[place].step, events[place + 1].step)
            && core::ptr::eq(call, other)
            && call.took_ns < LONG_CALL_NS
        {
            events.remove(place);
            events[place].step = Step::Whole(call);
        }
        place += 1;
    }
}

/// Where the call stands that made a side send what comes next; else the end.
fn before_cause(events: &[Event<'_>], side: Side) -> usize {
    let leads = |event: &&Event<'_>| {
        let ends = |api| matches!(api, Api::Close | Api::Shutdown);
        let is_cause = match event.step {
            Step::Begin(call) | Step::Whole(call) => ends(call.api),
            Step::State(transition) => makes(Api::Close, transition.cause),
            _ => false,
        };
        is_cause && event.side == side
    };
    events.len() - events.iter().rev().take_while(leads).count()
}

/// Tells of text that there is no record of, where the numbers of a segment say that it was sent
/// before.
fn tell_unrecorded(events: Vec<Event<'_>>) -> Vec<Event<'_>> {
    let mut next: [Option<SeqNum>; 2] = [None; 2];
    // The first numbers that each side's segments count from, so that those of an older
    // connection on the same addresses are not compared with these.
    let mut first: [Option<u32>; 2] = [None; 2];
    let mut told = Vec::with_capacity(events.len());
    for event in events {
        if let Step::Sent(segment) = event.step
            && segment.sending != Sending::Reply
        {
            let own = (segment.sending == Sending::First).then_some(SeqNum(segment.seq));
            let other = segment.flags.ack().then_some(SeqNum(segment.ack));
            if first[event.side as usize] != segment.isn {
                first[event.side as usize] = segment.isn;
                next[event.side as usize] = None;
            }
            for side in Side::BOTH {
                let (seq, isn) = match side == event.side {
                    true => (own, segment.isn),
                    false => (other, segment.peer_isn),
                };
                if isn != first[side as usize] {
                    continue;
                }
                let (Some(seq), Some(known)) = (seq, &mut next[side as usize]) else { continue };
                let octets = seq.since(*known);
                if octets > 0 {
                    let place = before_cause(&told, event.side);
                    told.insert(place, Event { side, step: Step::Unrecorded(octets), ..event });
                    *known = seq;
                }
            }
            let known = &mut next[event.side as usize];
            *known = Some(known.map_or(segment.end(), |known| known.later(segment.end())));
        }
        told.push(event);
    }
    told
}
