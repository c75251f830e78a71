//! The stack's clock: stack time as a function of real time, which can be put forward, made
//! faster or slower, and paused.
//!
//! It never goes back, and it never passes a deadline that has not been served: as long as a timer
//! is due, it is the time of that timer, however late the process is ([`Clock::read`]). So timers
//! run in order and each at its own time, whether real time, a large scale or `advance` has made
//! several of them due at once.
//!
//! It asks no other clock: real time is an argument. Housekeeping of the process itself (when to
//! leave, when to look for closed sockets) goes by real time and is not here.

use super::RealTime;
use crate::inspect::clock::Scale;
use crate::time::{Duration, Instant};

/// Where stack time ends: 292 years, so that no deadline after it overflows.
const END: Instant = Instant::from_nanos(u64::MAX / 2);

/// The clock of one stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Stack time was `base` when real time was `anchor`.
    base: Instant,
    anchor: RealTime,
    scale: Scale,
    pace: Pace,
    /// What was read last.
    latest: Instant,
    /// It is this until what is done at this time is done.
    held: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pace {
    Running,
    Paused,
}

impl Clock {
    /// Begins at zero and goes with real time.
    pub(super) fn new(real: RealTime) -> Clock {
        Clock {
            base: Instant::ZERO,
            anchor: real,
            scale: Scale::REAL,
            pace: Pace::Running,
            latest: Instant::ZERO,
            held: false,
        }
    }

    /// Stays what it was when it was read last, until it is let go: what a timer has caused is
    /// done at the time of that timer.
    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// Goes on.
    pub(super) fn let_go(&mut self) {
        self.held = false;
    }

    /// Stack time now, where `deadline` is the earliest that has not been served: not later than
    /// that.
    pub(super) fn read(&mut self, real: RealTime, deadline: Option<Instant>) -> Instant {
        if self.held {
            return self.latest;
        }
        let target = self.target(real);
        self.latest = self.latest.max(deadline.map_or(target, |at| target.min(at)));
        self.latest
    }

    /// Stack time as it is once everything due is done.
    pub(super) fn target(&self, real: RealTime) -> Instant {
        let passed = match self.pace {
            Pace::Running => self.scale.stack_time(real.saturating_duration_since(self.anchor)),
            Pace::Paused => Duration::ZERO,
        };
        (self.base + passed).min(END)
    }

    /// Real time until it is `at`; `None` while it stands still before that.
    pub(super) fn until(&self, real: RealTime, at: Instant) -> Option<Duration> {
        let target = self.target(real);
        match self.pace {
            _ if at <= target => Some(Duration::ZERO),
            Pace::Paused => None,
            Pace::Running => Some(self.scale.real_time(at.since(target))),
        }
    }

    /// Puts it forward; `false` where that would pass the end of stack time.
    #[must_use]
    pub(super) fn advance(&mut self, real: RealTime, by: Duration) -> bool {
        self.rebase(real);
        let fits = by <= END.since(self.base);
        if fits {
            self.base = self.base + by;
        }
        fits
    }

    pub(super) fn set_scale(&mut self, real: RealTime, scale: Scale) {
        self.rebase(real);
        self.scale = scale;
    }

    pub(super) fn pause(&mut self, real: RealTime) {
        self.rebase(real);
        self.pace = Pace::Paused;
    }

    pub(super) fn resume(&mut self, real: RealTime) {
        self.rebase(real);
        self.pace = Pace::Running;
    }

    pub(super) fn scale(&self) -> Scale {
        self.scale
    }

    pub(super) fn is_paused(&self) -> bool {
        self.pace == Pace::Paused
    }

    /// Counts from now on, so that what changes next does not change the past.
    fn rebase(&mut self, real: RealTime) {
        // Whoever asks for a change may have looked at the real clock a little before the last
        // reading was taken: time that has been told is not taken back.
        self.base = self.target(real).max(self.latest);
        self.anchor = real.max(self.anchor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + SECOND * u32::try_from(seconds).unwrap()
    }

    fn scale(text: &str) -> Scale {
        text.parse().unwrap()
    }

    #[test]
    fn it_goes_with_real_time() {
        let began = RealTime::now();
        let mut clock = Clock::new(began);
        assert_eq!(clock.read(began, None), Instant::ZERO);
        assert_eq!(clock.read(began + SECOND * 7, None), at(7));
        assert_eq!(clock.until(began + SECOND * 7, at(9)), Some(SECOND * 2));
        assert_eq!(clock.until(began + SECOND * 7, at(6)), Some(Duration::ZERO));
    }

    #[test]
    fn a_change_of_scale_does_not_change_the_past() {
        let began = RealTime::now();
        let mut clock = Clock::new(began);
        clock.set_scale(began + SECOND, scale("20x"));
        assert_eq!(clock.read(began + SECOND * 2, None), at(21));
        assert_eq!(clock.until(began + SECOND * 2, at(41)), Some(SECOND));
        clock.set_scale(began + SECOND * 2, scale("1/2"));
        assert_eq!(clock.read(began + SECOND * 4, None), at(22));
    }

    #[test]
    fn paused_it_stands_still_and_can_be_put_forward() {
        let began = RealTime::now();
        let mut clock = Clock::new(began);
        clock.pause(began + SECOND);
        assert_eq!(clock.read(began + SECOND * 100, None), at(1));
        assert_eq!(clock.until(began + SECOND * 100, at(2)), None);
        assert!(clock.advance(began + SECOND * 100, SECOND * 3));
        assert_eq!(clock.read(began + SECOND * 100, None), at(4));
        clock.resume(began + SECOND * 200);
        clock.resume(began + SECOND * 201);
        assert_eq!(clock.read(began + SECOND * 203, None), at(7));
    }

    #[test]
    fn it_does_not_pass_a_deadline_that_has_not_been_served() {
        let began = RealTime::now();
        let mut clock = Clock::new(began);
        assert!(clock.advance(began, SECOND * 60));
        assert_eq!(clock.read(began, Some(at(10))), at(10));
        assert_eq!(clock.read(began, Some(at(20))), at(20));
        assert_eq!(clock.read(began, Some(at(90))), at(60));
    }

    #[test]
    fn held_it_does_not_even_reach_the_next_deadline() {
        let began = RealTime::now();
        let mut clock = Clock::new(began);
        assert!(clock.advance(began, SECOND * 60));
        assert_eq!(clock.read(began, Some(at(10))), at(10));
        clock.hold();
        assert_eq!(clock.read(began + SECOND, Some(at(20))), at(10));
        clock.let_go();
        assert_eq!(clock.read(began + SECOND, Some(at(20))), at(20));
    }

    #[test]
    fn it_never_goes_back() {
        let began = RealTime::now();
        let mut clock = Clock::new(began);
        assert_eq!(clock.read(began + SECOND * 10, None), at(10));
        assert_eq!(clock.read(began + SECOND * 10, Some(at(5))), at(10));
        assert_eq!(clock.read(began + SECOND * 4, None), at(10));
        clock.set_scale(began + SECOND * 4, scale("0.001"));
        assert_eq!(clock.read(began + SECOND * 5, None), at(10) + SECOND / 1000);
    }

    #[test]
    fn stack_time_ends_before_it_overflows() {
        let began = RealTime::now();
        let mut clock = Clock::new(began);
        assert!(!clock.advance(began, Duration::MAX));
        assert_eq!(clock.read(began, None), Instant::ZERO);
        assert!(clock.advance(began, END.since(Instant::ZERO)));
        assert_eq!(clock.read(began + SECOND, None), END);
        assert!(!clock.advance(began + SECOND, SECOND));
    }
}
