//! The call ring: a piece of memory that the stack shares with every program of its session, in
//! which programs leave word of calls that never reach the stack: reads, writes, closes.
//!
//! ```text
//! page 0   magic, owner, level | head
//! page 1.. SLOTS slots of 64 octets: stamp, 7 words
//! ```
//!
//! Any number of writers, one reader, no locks, no system calls: a writer may be a signal handler,
//! a thread that is killed between any two instructions, or a child between vfork and exec.
//!
//! * A writer takes a ticket from `head`, marks the ticket's slot as being written, writes, and
//!   marks it as written. Where another writer is at the slot, which takes a full round of the
//!   ring in the meantime, it gives its record up.
//! * The reader goes through the tickets in order. A slot that was written over is a lost record;
//!   for one that is not finished the reader may wait ([`Taken::Unfinished`]) or not
//!   ([`Reader::skip`]). Every ticket is thus either read or counted as lost.
//! * What is read is validated, and every record carries a check of itself and its ticket: a writer
//!   that was taken for dead may go on after rounds, and write into a later record. A program that
//!   writes nonsense into the memory spoils records, and nothing else.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::record::Api;
use crate::{Errno, SocketId};

/// Slots of a ring: half a mebibyte.
pub const SLOTS: usize = 8192;
/// What the file that is shared is as long as.
pub const RING_LEN: usize = size_of::<Ring>();

/// "tlRg", and the version of the layout.
const MAGIC: u64 = u32::from_le_bytes(*b"tlRg") as u64 | 2 << 32;
const WORDS: usize = 7;
/// A slot that has been in the making for so many rounds was left by a writer that is dead.
const ROUNDS_UNTIL_DEAD: u64 = 4;
/// Bits of words that no entry uses: the third word's second octet, and the top of the sixth. There
/// the check is.
const CHECK_MASKS: [(usize, u64); 2] = [(2, 0xff << 8), (5, 0xffff << 48)];
/// Largest [`Entry::took_ns`] that can be told.
pub const MAX_TOOK_NS: u64 = (1 << 48) - 1;
/// [`Entry::asked`] where the writer did not say.
pub const ASKED_UNKNOWN: u32 = u32::MAX;

/// Which calls leave word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Level {
    /// Those after which something is over: closes, end of file, errors.
    Control = 0,
    /// All.
    Full = 1,
}

/// The memory. All zeros is a ring of nobody at [`Level::Control`].
///
/// Aligned as the kernel maps files, so that it can be mapped over a static one.
#[repr(C)]
#[cfg_attr(target_arch = "x86_64", repr(align(4096)))]
#[cfg_attr(not(target_arch = "x86_64"), repr(align(65536)))]
pub struct Ring {
    magic: AtomicU64,
    owner: AtomicU32,
    level: AtomicU32,
    head: Head,
    slots: Slots,
}

/// On a cache line of its own: every record writes it, and `level` is read by every call.
#[repr(C, align(128))]
struct Head(AtomicU64);

#[repr(C, align(4096))]
struct Slots([Slot; SLOTS]);

/// A stamp of `2 * ticket + 1` says that the record is being written, `2 * ticket + 2` that it is.
#[repr(C, align(64))]
struct Slot {
    stamp: AtomicU64,
    words: [AtomicU64; WORDS],
}

const fn being_written(ticket: u64) -> u64 {
    ticket.wrapping_mul(2).wrapping_add(1)
}

const fn written(ticket: u64) -> u64 {
    ticket.wrapping_mul(2).wrapping_add(2)
}

/// One call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The socket.
    pub socket: SocketId,
    /// Process that made the call.
    pub pid: u32,
    /// Descriptor in that process.
    pub fd: i32,
    /// Which call.
    pub api: Api,
    /// What it returned, -1 with an errno. No read or write moves 2^31 octets at once.
    pub result: i32,
    /// The error it gave.
    pub errno: Option<Errno>,
    /// How often this process has had this outcome on this descriptor, this time included, where
    /// equal outcomes in a row are not all recorded; else 0.
    pub count: u32,
    /// Octets asked for, [`ASKED_UNKNOWN`] where the writer did not say.
    pub asked: u32,
    /// When it began: nanoseconds of `CLOCK_MONOTONIC`.
    pub began_ns: u64,
    /// How long it took, 0 where nobody measured; at most [`MAX_TOOK_NS`] (78 hours) is told.
    pub took_ns: u64,
    /// Return address in the program, 0 where nobody said.
    pub caller: u64,
}

impl Entry {
    fn encode(&self) -> [u64; WORDS] {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        // Linux has no errno above 4095.
        let errno = self.errno.map_or(0, |errno| errno.0 as u16);
        [
            self.socket.0,
            pair(self.pid, self.fd.cast_unsigned()),
            pair(u32::from(self.api as u8) | u32::from(errno) << 16, self.count),
            pair(self.result.cast_unsigned(), self.asked),
            self.began_ns,
            self.took_ns.min(MAX_TOOK_NS),
            self.caller,
        ]
    }

    /// `None` for nonsense.
    fn decode(words: [u64; WORDS]) -> Option<Entry> {
        let [socket, process, call, outcome, began_ns, took_ns, caller] = words;
        let halves = |word: u64| (word as u32, (word >> 32) as u32);
        let (pid, fd) = halves(process);
        let (call, count) = halves(call);
        let (result, asked) = halves(outcome);
        let errno = match call >> 16 {
            0 => None,
            number @ 1..4096 => Some(Errno(number.cast_signed())),
            _ => return None,
        };
        Some(Entry {
            socket: SocketId(socket),
            pid,
            fd: fd.cast_signed(),
            api: Api::of_number(u8::try_from(call & 0xffff).ok()?)?,
            result: result.cast_signed(),
            errno,
            count,
            asked,
            began_ns,
            took_ns,
            caller,
        })
    }
}

/// Puts the check of the record `ticket` into its words.
fn seal(mut words: [u64; WORDS], ticket: u64) -> [u64; WORDS] {
    let mut check = ticket;
    for word in words {
        check = (check ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    check ^= check >> 32;
    for (at, mask) in CHECK_MASKS {
        words[at] |= check & mask;
    }
    words
}

/// Takes the check out of the words; `None` where it is not that of the record `ticket`.
fn unseal(words: [u64; WORDS], ticket: u64) -> Option<[u64; WORDS]> {
    let mut bare = words;
    for (at, mask) in CHECK_MASKS {
        bare[at] &= !mask;
    }
    (seal(bare, ticket) == words).then_some(bare)
}

impl Default for Ring {
    fn default() -> Ring {
        Ring::new()
    }
}

impl Ring {
    /// A ring of nobody.
    pub const fn new() -> Ring {
        Ring {
            magic: AtomicU64::new(0),
            owner: AtomicU32::new(0),
            level: AtomicU32::new(0),
            head: Head(AtomicU64::new(0)),
            slots: Slots([const { Slot::new() }; SLOTS]),
        }
    }

    /// Makes fresh memory the ring of the stack with that process id.
    pub fn prepare(&self, owner: u32) {
        self.owner.store(owner, Ordering::Relaxed);
        self.magic.store(MAGIC, Ordering::Release);
    }

    /// The process id of the stack whose ring this is; `None` for memory that is no ring.
    pub fn owner(&self) -> Option<u32> {
        let is_ring = self.magic.load(Ordering::Acquire) == MAGIC;
        is_ring.then(|| self.owner.load(Ordering::Relaxed))
    }

    /// Every call is to leave word.
    #[inline(always)]
    pub fn is_full(&self) -> bool {
        self.level.load(Ordering::Relaxed) != Level::Control as u32
    }

    /// Says which calls are to leave word.
    pub fn set_level(&self, level: Level) {
        // Writers' caches keep the line as long as nothing changes.
        if self.level.load(Ordering::Relaxed) != level as u32 {
            self.level.store(level as u32, Ordering::Relaxed);
        }
    }

    /// Ticket of the next record.
    pub fn head(&self) -> u64 {
        self.head.0.load(Ordering::Acquire)
    }

    fn slot(&self, ticket: u64) -> &Slot {
        // SLOTS is a power of two: right even where tickets wrap.
        &self.slots.0[(ticket % SLOTS as u64) as usize]
    }

    /// Leaves word of a call.
    pub fn push(&self, entry: &Entry) {
        let ticket = self.head.0.fetch_add(1, Ordering::Relaxed);
        let slot = self.slot(ticket);
        if slot.begin(ticket) {
            slot.write(seal(entry.encode(), ticket));
            slot.end(ticket);
        }
    }
}

impl Slot {
    const fn new() -> Slot {
        Slot { stamp: AtomicU64::new(0), words: [const { AtomicU64::new(0) }; WORDS] }
    }

    /// Takes the slot for the record `ticket`. False where it is another writer's.
    fn begin(&self, ticket: u64) -> bool {
        let mine = being_written(ticket);
        let found = self.stamp.load(Ordering::Relaxed);
        let age = mine.wrapping_sub(found);
        let is_newer = age.cast_signed() <= 0;
        let is_being_written = found % 2 == 1;
        let is_dead = age > ROUNDS_UNTIL_DEAD * 2 * SLOTS as u64;
        if is_newer || is_being_written && !is_dead {
            return false;
        }
        let taken = self.stamp.compare_exchange(found, mine, Ordering::Relaxed, Ordering::Relaxed);
        // The reader that sees one of the words sees the mark.
        fence(Ordering::Release);
        taken.is_ok()
    }

    fn write(&self, words: [u64; WORDS]) {
        for (to, from) in self.words.iter().zip(words) {
            to.store(from, Ordering::Relaxed);
        }
    }

    /// Not by a plain store: a writer that stood still for rounds has been taken for dead.
    fn end(&self, ticket: u64) {
        let (mine, done) = (being_written(ticket), written(ticket));
        let _ = self.stamp.compare_exchange(mine, done, Ordering::Release, Ordering::Relaxed);
    }
}

/// What the reader finds at its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// A record.
    Entry(Entry),
    /// No more.
    Nothing,
    /// A record that its writer has not finished: it is at it, or died.
    Unfinished,
}

/// The one who reads.
#[derive(Debug, Default)]
pub struct Reader {
    next: u64,
    lost: u64,
}

impl Reader {
    /// There is something at the reader's place.
    pub fn has_more(&self, ring: &Ring) -> bool {
        ring.head() != self.next
    }

    /// Takes the next record. What was written over, or is nonsense, is counted and passed by; at
    /// most a whole ring is looked at.
    pub fn take(&mut self, ring: &Ring) -> Taken {
        let waiting = ring.head().wrapping_sub(self.next);
        if waiting > SLOTS as u64 {
            let over = waiting - SLOTS as u64;
            self.lost = self.lost.saturating_add(over);
            self.next = self.next.wrapping_add(over);
        }
        for _ in 0..waiting.min(SLOTS as u64) {
            let slot = ring.slot(self.next);
            let stamp = slot.stamp.load(Ordering::Acquire);
            let ahead = stamp.wrapping_sub(written(self.next)).cast_signed();
            if ahead < 0 {
                return Taken::Unfinished;
            }
            let words = core::array::from_fn(|at| slot.words[at].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            let is_mine = ahead == 0 && slot.stamp.load(Ordering::Relaxed) == stamp;
            let whole = unseal(words, self.next).filter(|_| is_mine);
            self.next = self.next.wrapping_add(1);
            match whole.and_then(Entry::decode) {
                Some(entry) => return Taken::Entry(entry),
                None => self.lost = self.lost.saturating_add(1),
            }
        }
        Taken::Nothing
    }

    /// Gives the record at the reader's place up.
    pub fn skip(&mut self, ring: &Ring) {
        if self.has_more(ring) {
            self.next = self.next.wrapping_add(1);
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Records lost since this was last asked.
    pub fn take_lost(&mut self) -> u64 {
        core::mem::take(&mut self.lost)
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
