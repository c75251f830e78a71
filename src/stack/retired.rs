//! Ends of sockets that are gone, closed together a little later.
//!
//! Up to Linux 6.18 each close of an `AF_UNIX` socket sets the kernel looking for garbage while any
//! descriptor of such a socket is under way to a program, as those of new connections are. That
//! costs more than all the rest of a close, and once for many closes that follow each other.

use std::os::fd::OwnedFd;

use super::RealTime;
use crate::time::Duration;

/// How many are kept.
const MAX_RETIRED: usize = 64;
/// How long the first of them is kept.
const MAX_RETIREMENT: Duration = Duration::from_millis(1);

/// Ends whose programs have closed theirs: nobody sees when they are closed.
#[derive(Default)]
pub(super) struct Retired {
    ends: Vec<OwnedFd>,
    until: Option<RealTime>,
}

impl Retired {
    /// Closes an end later.
    pub(super) fn add(&mut self, end: OwnedFd) {
        self.ends.push(end);
        self.until.get_or_insert_with(|| RealTime::now() + MAX_RETIREMENT);
    }

    /// Closes all where it is time, or there are many.
    pub(super) fn close_due(&mut self, real: RealTime) {
        if self.ends.len() >= MAX_RETIRED || self.until.is_some_and(|until| until <= real) {
            self.ends.clear();
            self.until = None;
        }
    }

    /// When they are to be closed.
    pub(super) fn until(&self) -> Option<RealTime> {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn ends_are_closed_when_there_are_many_or_their_time_has_come() {
        let (began, mut retired) = (RealTime::now(), Retired::default());
        retired.add(end());
        retired.close_due(began);
        assert_eq!(retired.ends.len(), 1);
        retired.close_due(retired.until().unwrap());
        assert_eq!((retired.ends.len(), retired.until()), (0, None));
        (0..MAX_RETIRED).for_each(|_| retired.add(end()));
        retired.close_due(began);
        assert_eq!((retired.ends.len(), retired.until()), (0, None));
    }
}
