//! Ends of sockets that are gone, closed when there is nothing else to do.
//!
//! Up to Linux 6.18 each close of an `AF_UNIX` socket sets the kernel looking for garbage while any
//! descriptor of such a socket is under way to a program, as those of new connections are. That
//! costs more than all the rest of a close, and nobody waits for it.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

/// How many are kept.
const MAX_RETIRED: usize = 64;

/// Ends whose programs have closed theirs: nobody sees when they are closed.
#[derive(Default)]
pub(super) struct Retired(VecDeque<OwnedFd>);

impl Retired {
    /// Closes an end later.
    pub(super) fn add(&mut self, end: OwnedFd) {
        if self.0.len() == MAX_RETIRED {
            self.close_one();
        }
        self.0.push_back(end);
    }

    /// Closes the oldest. False: there is none.
    pub(super) fn close_one(&mut self) -> bool {
        self.0.pop_front().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn ends_wait_to_be_closed_but_only_so_many() {
        let mut retired = Retired::default();
        assert!(!retired.close_one());
        (0..2 * MAX_RETIRED).for_each(|_| retired.add(end()));
        assert_eq!(retired.0.len(), MAX_RETIRED);
        let closed = std::iter::from_fn(|| retired.close_one().then_some(())).count();
        assert_eq!(closed, MAX_RETIRED);
    }
}
