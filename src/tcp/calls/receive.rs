//! RECEIVE (RFC 9293 3.10.3): octets out of the receive ring, and the window that follows what
//! the program has really read.

use crate::tcp::tcb::{Reading, Tcb};
use crate::time::{Duration, Instant};

/// The window is made this many times what the program reads in a round trip: twice for slow
/// start's doubling (Linux: DRS), twice for a program that reads in bursts.
const WINDOW_PER_ROUND: u128 = 4;
/// Shortest time over which reading is measured.
const MEASURE_AT_LEAST: Duration = Duration::from_millis(1);

impl Tcb {
    /// In-order octets not yet handed to the program.
    pub fn received(&self) -> (&[u8], &[u8]) {
        self.rcv.ring.slices(0, self.rcv.ring.len())
    }

    /// `len` of them went into the program's kernel socket; they count as unread until
    /// [`Tcb::set_unread`] says otherwise.
    pub fn consume(&mut self, now: Instant, len: usize) {
        let len = len.min(self.rcv.ring.len());
        self.rcv.ring.pop_front(len);
        if self.rcv.reassembly.is_empty() {
            self.rcv.ring.rewind_if_empty();
        }
        self.rcv.consumed += len as u64;
        self.rcv.unread += len;
        self.note_reading(now);
    }

    /// Octets handed over that the program has not read yet: they count against the window. May
    /// queue a window update.
    pub fn set_unread(&mut self, now: Instant, octets: usize) {
        self.rcv.unread = octets;
        self.note_reading(now);
        // Linux: only reading brings an update, so a handshake has three segments.
        if self.rcv.consumed > 0 && self.window_update_due() {
            self.ack.now = true;
        }
    }

    /// So much is unread, or the offered window so small, that the host should watch the program's
    /// reading.
    pub fn wants_read_progress(&self) -> bool {
        self.rcv.unread > 0
            && self.state.receives_text()
            && (self.rcv.unread_total() > self.rcv.limit / 2 || self.window_stays_closed())
    }

    /// `shutdown(SHUT_RD)`: from FIN-WAIT on, octets that arrive are answered with RST (Linux).
    pub fn shutdown_read(&mut self) {
        self.reading = Reading::Ended;
    }

    /// Grows the window where the program reads faster than a window a round trip.
    fn note_reading(&mut self, now: Instant) {
        let read = self.rcv.consumed.saturating_sub(self.rcv.unread as u64);
        let (since, before) = self.rcv.read_mark;
        let elapsed = now.since(since);
        let round = self.rtt.least().unwrap_or(MEASURE_AT_LEAST);
        if elapsed < round.max(MEASURE_AT_LEAST) {
            return;
        }
        let octets = u128::from(read.saturating_sub(before));
        let per_round = octets * round.as_nanos() / elapsed.as_nanos().max(1);
        let wanted = usize::try_from(WINDOW_PER_ROUND * per_round).unwrap_or(usize::MAX);
        let limit = self.rcv.limit.max(wanted).min(self.config.receive_buffer);
        self.rcv.limit = limit.max(self.rcv.limit.min(self.config.receive_buffer));
        self.rcv.read_mark = (now, read);
    }
}
