//! Many segments of text in a row, and the calls that sent and read them, told as one; so are calls
//! that a program makes again and again with the same outcome.

use std::collections::BTreeMap;

use super::connections::Side;
use super::steps::{Event, Step};
use crate::ipc::record::Api;
use crate::tcp::Timer;
use crate::trace::{Fate, Sending};
use crate::wire::Flags;

/// So many segments with text in a row are drawn one by one.
const MAX_DRAWN: usize = 4;

/// So many calls of the same kind in a row are drawn one by one.
const MAX_ALIKE: usize = 2;

/// Folds calls of the same kind in a row: of those that move octets the sum is told, of others
/// (a program that takes end of file for "nothing yet") how many there were.
pub(super) fn fold_calls(events: Vec<Event<'_>>) -> Vec<Event<'_>> {
    let mut folded = Vec::with_capacity(events.len());
    // Of equal outcomes some are recorded, with their count so far.
    let mut counted: BTreeMap<(Side, i32, u8, i64), u32> = BTreeMap::new();
    for run in events.chunk_by(is_alike) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let (Step::Whole(call), Step::Whole(newest)) = (first.step, last.step) else {
            folded.extend(run);
            continue;
        };
        let told = counted.entry((first.side, call.fd, call.api as u8, call.value)).or_default();
        let before = if newest.times > *told { *told } else { 0 };
        *told = newest.times;
        let count = run.len().max((newest.times - before) as usize);
        if count <= MAX_ALIKE || count == 1 {
            folded.extend(run);
            continue;
        }
        let octets: u64 = run.iter().map(octets_of).sum();
        let step = match octets {
            0 => Step::Repeated(call, count as u64, last.at_ns),
            octets => Step::Calls(call.api, run.len(), octets),
        };
        folded.push(Event { step, ..*first });
    }
    folded
}

fn is_alike(one: &Event<'_>, next: &Event<'_>) -> bool {
    let (Step::Whole(a), Step::Whole(b)) = (one.step, next.step) else { return false };
    let same = (a.api, a.fd, a.pid, a.errno) == (b.api, b.fd, b.pid, b.errno);
    let moves = (octets_of(one) > 0, octets_of(next) > 0);
    let equal = moves == (false, false) && a.value == b.value && a.argument == b.argument;
    one.side == next.side && same && (moves == (true, true) || equal)
}

/// Octets that a call has moved.
fn octets_of(event: &Event<'_>) -> u64 {
    match event.step {
        Step::Whole(call) if matches!(call.api, Api::Read | Api::Write | Api::Sendfile) => {
            u64::try_from(call.value).unwrap_or(0)
        }
        _ => 0,
    }
}

/// Folds every long run of text.
pub(super) fn fold<'r>(events: Vec<Event<'r>>) -> Vec<Event<'r>> {
    let mut folded = Vec::with_capacity(events.len());
    let mut rest = events.as_slice();
    // Arrivals after the end of a run, of segments in it.
    let mut told: Vec<u64> = Vec::new();
    while let Some(first) = rest.first() {
        let length = rest.iter().take_while(|event| is_bulk(event)).count();
        let run = trimmed(&rest[..length]);
        let (start, end) = run;
        if end == 0 || texts(&rest[start..end]) <= MAX_DRAWN {
            let taken = length.max(1);
            let missing = |event: &&Event<'_>| !is_told(event, &told);
            folded.extend(rest[..taken].iter().filter(missing));
            rest = &rest[taken..];
            continue;
        }
        folded.extend(&rest[..start]);
        told.extend(rest[start..end].iter().filter_map(|event| match event.step {
            Step::Sent(segment) => Some(segment.serial),
            _ => None,
        }));
        summarise(&rest[start..end], first, &mut folded);
        rest = &rest[end..];
    }
    folded
}

fn is_told(event: &Event<'_>, told: &[u64]) -> bool {
    matches!(event.step, Step::Arrived(a) if a.serial.is_some_and(|s| told.contains(&s)))
}

fn is_bulk(event: &Event<'_>) -> bool {
    let plain = |flags: Flags| !flags.intersects(Flags::SYN | Flags::FIN | Flags::RST);
    match event.step {
        Step::Sent(segment) => plain(segment.flags),
        Step::Arrived(arrival) => plain(arrival.flags),
        Step::Expired(expiry) => expiry.timer == Timer::DelayedAck,
        Step::Begin(call) | Step::Return(call) | Step::Whole(call) => {
            let transfers = matches!(call.api, Api::Read | Api::Write | Api::Sendfile);
            transfers && call.value != 0
        }
        _ => false,
    }
}

/// Where text begins and ends in a run.
fn trimmed(run: &[Event<'_>]) -> (usize, usize) {
    let has_text = |event: &Event<'_>| match event.step {
        Step::Sent(segment) => segment.text_len > 0,
        Step::Arrived(arrival) => arrival.text_len > 0,
        Step::Begin(_) | Step::Return(_) | Step::Whole(_) => true,
        _ => false,
    };
    let start = run.iter().position(has_text).unwrap_or(0);
    (start, run.iter().rposition(has_text).map_or(0, |last| last + 1))
}

fn texts(run: &[Event<'_>]) -> usize {
    run.iter().filter(|e| matches!(e.step, Step::Sent(segment) if segment.text_len > 0)).count()
}

#[derive(Default)]
struct Sum {
    count: usize,
    octets: u64,
    lost: usize,
    again: usize,
}

fn summarise<'r>(run: &[Event<'r>], first: &Event<'r>, folded: &mut Vec<Event<'r>>) {
    let mut sent: BTreeMap<Side, Sum> = BTreeMap::new();
    let mut calls: BTreeMap<(bool, Side), (Api, usize, u64)> = BTreeMap::new();
    for event in run {
        match event.step {
            Step::Sent(segment) if segment.text_len > 0 => {
                let sum = sent.entry(event.side).or_default();
                sum.count += 1;
                sum.lost += usize::from(matches!(segment.fate, Fate::Lost(_) | Fate::Reset(_)));
                match segment.sending {
                    Sending::Again => sum.again += 1,
                    _ => sum.octets += u64::from(segment.text_len),
                }
            }
            Step::Return(call) | Step::Whole(call) => {
                let reads = call.api == Api::Read;
                let entry = calls.entry((reads, event.side)).or_insert((call.api, 0, 0));
                entry.1 += 1;
                entry.2 += u64::try_from(call.value).unwrap_or(0);
            }
            _ => {}
        }
    }
    let mut push = |side, step| folded.push(Event { side, step, ..*first });
    for (&(_, side), &(api, count, octets)) in calls.range(..(true, Side::Client)) {
        push(side, Step::Calls(api, count, octets));
    }
    for (side, Sum { count, octets, lost, again }) in sent {
        push(side, Step::Bulk(count, octets, lost, again));
    }
    for (&(_, side), &(api, count, octets)) in calls.range((true, Side::Client)..) {
        push(side, Step::Calls(api, count, octets));
    }
}
