use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::vec::Vec;

use super::*;

fn ring() -> Arc<Ring> {
    let ring = Arc::new(Ring::new());
    ring.prepare(7);
    ring
}

/// An entry all parts of which follow from `seed`.
fn entry(seed: u32) -> Entry {
    let wide = |step: u64| u64::from(seed).wrapping_add(step).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Entry {
        socket: SocketId(wide(1)),
        pid: seed,
        fd: wide(2) as i32,
        api: Api::ALL[seed as usize % Api::ALL.len()],
        result: wide(3) as i32,
        errno: seed.is_multiple_of(3).then_some(Errno((seed % 4095 + 1).cast_signed())),
        count: wide(4) as u32,
        asked: wide(5) as u32,
        began_ns: wide(6),
        took_ns: wide(7) & MAX_TOOK_NS,
        caller: wide(8),
    }
}

/// Everything that is there now.
fn drain(ring: &Ring, reader: &mut Reader) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        match reader.take(ring) {
            Taken::Entry(entry) => entries.push(entry),
            Taken::Nothing => return entries,
            Taken::Unfinished => reader.skip(ring),
        }
    }
}

/// What a writer does that is killed at the worst moment.
fn die_in_the_middle(ring: &Ring) -> u64 {
    let ticket = ring.head.0.fetch_add(1, Ordering::Relaxed);
    assert!(ring.slot(ticket).begin(ticket));
    ticket
}

#[test]
fn every_entry_survives_the_ring() {
    let (ring, mut reader) = (ring(), Reader::default());
    let written: Vec<Entry> = (0..100).map(entry).collect();
    written.iter().for_each(|entry| ring.push(entry));
    assert_eq!(drain(&ring, &mut reader), written);
    assert_eq!(reader.take(&ring), Taken::Nothing);
    assert_eq!(reader.take_lost(), 0);
}

#[test]
fn the_layout_is_what_is_mapped() {
    assert_eq!(RING_LEN % 4096, 0);
    assert_eq!(size_of::<Slot>(), 64);
    assert_eq!(core::mem::offset_of!(Ring, slots) % 4096, 0);
    assert_ne!(core::mem::offset_of!(Ring, level) / 64, core::mem::offset_of!(Ring, head) / 64);
    assert!(SLOTS.is_power_of_two());
}

#[test]
fn memory_of_zeros_is_nobodys_ring_and_asks_for_little() {
    let ring = Ring::new();
    assert_eq!(ring.owner(), None);
    assert!(!ring.is_full());
    ring.prepare(9);
    assert_eq!(ring.owner(), Some(9));
    ring.set_level(Level::Full);
    assert!(ring.is_full());
}

#[test]
fn what_was_written_over_is_counted_and_the_newest_are_kept() {
    let (ring, mut reader) = (ring(), Reader::default());
    let all = SLOTS as u32 + 3;
    (0..all).for_each(|seed| ring.push(&entry(seed)));
    let read = drain(&ring, &mut reader);
    assert_eq!(read.len(), SLOTS);
    assert_eq!((read[0], read[SLOTS - 1]), (entry(3), entry(all - 1)));
    assert_eq!((reader.take_lost(), reader.take_lost()), (3, 0));
}

#[test]
fn a_writer_that_died_in_the_middle_holds_nobody_up() {
    let (ring, mut reader) = (ring(), Reader::default());
    ring.push(&entry(0));
    die_in_the_middle(&ring);
    ring.push(&entry(1));
    assert_eq!(reader.take(&ring), Taken::Entry(entry(0)));
    assert_eq!(reader.take(&ring), Taken::Unfinished);
    reader.skip(&ring);
    assert_eq!(reader.take(&ring), Taken::Entry(entry(1)));
    assert_eq!(reader.take_lost(), 1);
}

#[test]
fn a_writer_that_died_before_it_marked_its_slot_holds_nobody_up() {
    let (ring, mut reader) = (ring(), Reader::default());
    ring.head.0.fetch_add(1, Ordering::Relaxed);
    ring.push(&entry(1));
    assert_eq!(reader.take(&ring), Taken::Unfinished);
    reader.skip(&ring);
    assert_eq!(reader.take(&ring), Taken::Entry(entry(1)));
}

#[test]
fn the_slot_of_a_dead_writer_is_used_again_after_some_rounds() {
    let (ring, mut reader) = (ring(), Reader::default());
    let dead = die_in_the_middle(&ring);
    let rounds = u32::try_from(ROUNDS_UNTIL_DEAD + 1).unwrap();
    let mut lost = Vec::new();
    for round in 0..rounds {
        (0..SLOTS as u32).for_each(|at| ring.push(&entry(round * SLOTS as u32 + at)));
        drain(&ring, &mut reader);
        lost.push(reader.take_lost());
    }
    // Its own record; then one a round, until it is known to be dead. The slot of the last round's
    // last record is its slot.
    assert_eq!(lost.iter().sum::<u64>(), u64::from(rounds), "{lost:?}");
    ring.slot(dead).end(dead);
    (0..SLOTS as u32).for_each(|at| ring.push(&entry(at)));
    assert_eq!(drain(&ring, &mut reader).len(), SLOTS);
}

#[test]
fn two_writers_at_one_slot_never_mix() {
    let ring = ring();
    let slow = die_in_the_middle(&ring);
    let slot = ring.slot(slow);
    // A round later: gives way. After many rounds: takes over, and the slow one cannot finish.
    assert!(!slot.begin(slow + SLOTS as u64));
    let late = slow + (ROUNDS_UNTIL_DEAD + 1) * SLOTS as u64;
    assert!(slot.begin(late));
    slot.end(slow);
    assert_eq!(slot.stamp.load(Ordering::Relaxed), being_written(late));
    assert!(!slot.begin(slow));
}

#[test]
fn tickets_that_wrap_and_a_head_that_jumps_do_no_harm() {
    let (ring, mut reader) = (ring(), Reader::default());
    for head in [u64::MAX - 2, 5, 1 << 63, 0] {
        ring.head.0.store(head, Ordering::Relaxed);
        (0..10).for_each(|seed| ring.push(&entry(seed)));
        drain(&ring, &mut reader);
        assert!(!reader.has_more(&ring));
    }
}

#[test]
fn nonsense_is_counted_as_lost() {
    let (ring, mut reader) = (ring(), Reader::default());
    for seed in 0..4 {
        ring.push(&entry(seed));
    }
    // no such call, no such errno: told as if they were meant
    for (ticket, call) in [(0, 0xff), (1, 4096 << 16)] {
        let mut words = entry(7).encode();
        words[2] = call;
        ring.slot(ticket).write(seal(words, ticket));
    }
    ring.slot(2).words.iter().for_each(|word| word.store(u64::MAX, Ordering::Relaxed));
    assert_eq!(drain(&ring, &mut reader), [entry(3)]);
    assert_eq!(reader.take_lost(), 3);
}

/// A writer that stood still for rounds goes on when its slot has long been another's.
#[test]
fn a_record_that_a_late_writer_spoils_is_counted_as_lost() {
    let (ring, mut reader) = (ring(), Reader::default());
    let late = die_in_the_middle(&ring);
    let rounds = ROUNDS_UNTIL_DEAD + 2;
    for at in 0..rounds * SLOTS as u64 {
        ring.push(&entry(at as u32));
    }
    let slot = ring.slot(late);
    let words = seal(entry(4711).encode(), late);
    for (to, from) in slot.words.iter().zip(words).skip(WORDS / 2) {
        to.store(from, Ordering::Relaxed);
    }
    slot.end(late);
    let read = drain(&ring, &mut reader);
    assert!(read.iter().all(|found| *found == entry(found.pid)));
    assert_eq!(read.len(), SLOTS - 1);
    assert_eq!(reader.take_lost(), (rounds - 1) * SLOTS as u64 + 2);
}

/// Writers as fast as they can, some of them dying in the middle: what is read is whole, in each
/// writer's order, and with what is lost makes up everything.
#[test]
fn many_writers_and_a_reader_lose_nothing_uncounted() {
    const WRITERS: u32 = 4;
    const EACH: u32 = 50_000;
    let ring = ring();
    let done = Arc::new(AtomicBool::new(false));
    let deaths = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (ring, deaths) = (Arc::clone(&ring), Arc::clone(&deaths));
            std::thread::spawn(move || {
                for at in 0..EACH {
                    if at % 10_000 == 5000 {
                        let ticket = ring.head.0.fetch_add(1, Ordering::Relaxed);
                        ring.slot(ticket).begin(ticket);
                        deaths.fetch_add(1, Ordering::Relaxed);
                    }
                    ring.push(&entry(writer * EACH + at));
                }
            })
        })
        .collect();
    let reading = {
        let (ring, done) = (Arc::clone(&ring), Arc::clone(&done));
        std::thread::spawn(move || {
            let (mut reader, mut last, mut read) = (Reader::default(), [None; 4], 0);
            loop {
                let is_last = done.load(Ordering::Acquire);
                for found in drain(&ring, &mut reader) {
                    assert_eq!(found, entry(found.pid));
                    let last = &mut last[(found.pid / EACH) as usize];
                    assert!(last.is_none_or(|last| last < found.pid));
                    *last = Some(found.pid);
                    read += 1;
                }
                if is_last {
                    return (read, reader.take_lost());
                }
            }
        })
    };
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    done.store(true, Ordering::Release);
    let (read, lost) = reading.join().unwrap();
    let all = u64::from(WRITERS * EACH) + deaths.load(Ordering::Relaxed);
    assert_eq!(read + lost, all);
    assert!(read > 0);
}
