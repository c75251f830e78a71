//! A ring of octets that grows on demand; no allocation once it has its size.
//!
//! Behind the octets that count ([`Ring::len`]) others may be written already
//! ([`Ring::write_ahead`]): text that arrived out of order, until [`Ring::commit`] reaches it.

/// Smallest capacity once anything is stored.
const START_CAPACITY: usize = 4096;
/// An empty ring larger than this gives its memory back, so that a thousand idle connections that
/// were busy once do not hold a thousand full buffers.
const KEEP_CAPACITY: usize = 512 * 1024;

/// Ring of octets; capacity is 0 or a power of two.
#[derive(Debug, Default)]
pub(in crate::tcp) struct Ring {
    data: Vec<u8>,
    head: usize,
    len: usize,
}

impl Ring {
    /// Octets stored.
    pub(in crate::tcp) fn len(&self) -> usize {
        self.len
    }

    /// Nothing is stored.
    pub(in crate::tcp) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Octets of memory.
    pub(in crate::tcp) fn capacity(&self) -> usize {
        self.data.len()
    }

    /// Makes sure that `total` octets from the front have a place.
    pub(in crate::tcp) fn reserve_total(&mut self, total: usize) {
        if total <= self.capacity() {
            return;
        }
        let mut data = vec![0; total.next_power_of_two().max(START_CAPACITY)];
        // octets written ahead move too: the whole old ring, in order
        let (tail, front) = (&self.data[self.head..], &self.data[..self.head]);
        data[..tail.len()].copy_from_slice(tail);
        data[tail.len()..self.data.len()].copy_from_slice(front);
        self.data = data;
        self.head = 0;
    }

    /// `len` octets from `offset` on; they must be stored.
    pub(in crate::tcp) fn slices(&self, offset: usize, len: usize) -> (&[u8], &[u8]) {
        debug_assert!(offset + len <= self.len, "view past the end of a ring");
        if len == 0 {
            return (&[], &[]);
        }
        let start = self.index(offset);
        let first = len.min(self.capacity() - start);
        (&self.data[start..start + first], &self.data[..len - first])
    }

    /// One stored octet.
    pub(in crate::tcp) fn octet(&self, offset: usize) -> Option<u8> {
        (offset < self.len).then(|| self.data[self.index(offset)])
    }

    /// Up to `max` free octets behind the stored ones, to be filled before [`Ring::commit`].
    pub(in crate::tcp) fn free_slices(&mut self, max: usize) -> (&mut [u8], &mut [u8]) {
        let len = max.min(self.capacity() - self.len);
        if len == 0 {
            return (&mut [], &mut []);
        }
        let start = self.index(self.len);
        let first = len.min(self.capacity() - start);
        let (front, tail) = self.data.split_at_mut(start);
        (&mut tail[..first], &mut front[..len - first])
    }

    /// Counts the next `len` octets, written before, as stored.
    pub(in crate::tcp) fn commit(&mut self, len: usize) {
        debug_assert!(self.len + len <= self.capacity(), "commit past the end of a ring");
        self.len = (self.len + len).min(self.capacity());
    }

    /// Writes octets `ahead` octets behind the end without counting them as stored; the place
    /// must be reserved.
    pub(in crate::tcp) fn write_ahead(&mut self, ahead: usize, octets: &[u8]) {
        let offset = self.len + ahead;
        debug_assert!(offset + octets.len() <= self.capacity(), "write past the end of a ring");
        if octets.is_empty() {
            return;
        }
        let start = self.index(offset);
        let first = octets.len().min(self.capacity() - start);
        self.data[start..start + first].copy_from_slice(&octets[..first]);
        self.data[..octets.len() - first].copy_from_slice(&octets[first..]);
    }

    /// Forgets up to `len` octets at the front.
    pub(in crate::tcp) fn pop_front(&mut self, len: usize) {
        let len = len.min(self.len);
        if len > 0 {
            self.head = self.index(len);
            self.len -= len;
        }
    }

    /// An empty ring with nothing written ahead starts at its beginning again, so that short
    /// exchanges stay in the same few cache lines.
    pub(in crate::tcp) fn rewind_if_empty(&mut self) {
        if self.len == 0 {
            self.head = 0;
            if self.capacity() > KEEP_CAPACITY {
                self.clear();
            }
        }
    }

    /// Gives all memory back.
    pub(in crate::tcp) fn clear(&mut self) {
        *self = Ring::default();
    }

    fn index(&self, offset: usize) -> usize {
        (self.head + offset) & (self.capacity() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    fn all(ring: &Ring) -> Vec<u8> {
        let (a, b) = ring.slices(0, ring.len());
        [a, b].concat()
    }

    #[test]
    fn octets_leave_in_the_order_they_came_across_the_seam_and_through_growth() {
        let mut ring = Ring::default();
        let mut expected = std::collections::VecDeque::new();
        let mut next = 0u8;
        for round in 0..2000usize {
            let len = (round * 37) % 300;
            ring.reserve_total(ring.len() + len);
            let octets: Vec<u8> = (0..len)
                .map(|_| {
                    next = next.wrapping_add(1);
                    next
                })
                .collect();
            ring.write_ahead(0, &octets);
            ring.commit(len);
            expected.extend(octets);
            let gone = (round * 31) % 290;
            ring.pop_front(gone);
            expected.drain(..gone.min(expected.len()));
            assert_eq!(all(&ring), Vec::from(expected.clone()));
        }
    }

    #[test]
    fn octets_written_ahead_survive_growth_and_count_when_committed() {
        let mut ring = Ring::default();
        ring.reserve_total(4096);
        ring.write_ahead(0, &[0; 4000]);
        ring.commit(4000);
        ring.pop_front(4000);
        ring.write_ahead(3, b"def");
        ring.reserve_total(9000);
        ring.write_ahead(0, b"abc");
        ring.commit(6);
        assert_eq!(all(&ring), b"abcdef");
        assert_eq!(ring.octet(5), Some(b'f'));
        assert_eq!(ring.octet(6), None);
    }

    #[test]
    fn an_empty_ring_has_no_memory_and_no_slices() {
        let mut ring = Ring::default();
        assert_eq!(ring.capacity(), 0);
        assert_eq!(ring.slices(0, 0), (&[][..], &[][..]));
        assert_eq!(ring.free_slices(9).0.len(), 0);
        ring.pop_front(5);
        assert!(ring.is_empty());
    }
}
