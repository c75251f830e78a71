//! When what is done: timers in the order of stack time, the process's housekeeping by real time.
//!
//! Time passes in steps ([`Stack::step`]): to the earliest deadline, what is due then, segments
//! until the wire is quiet, to the next. So it is in real time, and so it is when `tcplab clock`
//! puts the clock forward by hours: a connect() that times out sends its SYNs one after the other,
//! and an answer to the first is heard before the second.

use super::{RealTime, SWEEP_INTERVAL, Stack, kernel};
use crate::inspect::Answer;
use crate::inspect::clock::{ClockCommand, ClockRow};
use crate::time::{Duration, Instant};
use crate::trace::{Operation, Weight, What};

/// How long a stack that nobody asked to stay waits for another socket.
const IDLE_EXIT: Duration = Duration::from_secs(30);
/// Steps in one turn, so that a clock that is behind does not keep programs from being served.
const MAX_STEPS: u32 = 256;
/// How long a command may keep the stack from serving programs.
const COMMAND_LIMIT: Duration = Duration::from_millis(100);
/// Exchanges after which a wire is taken for one that will not be quiet: programs send as fast as
/// segments are carried.
const MAX_EXCHANGES: u32 = 4;

/// How much time must not pass in one go while segments are under way.
const FAR_BEHIND: Duration = Duration::from_secs(1);

/// What a step came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// Something was due, and is done.
    Done,
    /// Nothing is due.
    Idle,
}

/// When the segments of a step are exchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Segments {
    /// Before the next step.
    Now,
    /// With those that are on the wire already.
    Later,
}

impl Stack {
    /// Stack time now.
    pub(super) fn now(&mut self) -> Instant {
        let deadline = self.first_deadline();
        let real = RealTime::now();
        self.recording.note_time(real);
        self.clock.read(real, deadline)
    }

    /// The earliest of all deadlines in stack time.
    fn first_deadline(&self) -> Option<Instant> {
        let machine = [self.host.poll_timeout(), self.link.poll_timeout()];
        machine.into_iter().chain([self.lingering.first_deadline()]).flatten().min()
    }

    /// Does what is due, in order.
    pub(super) fn run_timers(&mut self) {
        let real = RealTime::now();
        self.release_due(real);
        for _ in 0..MAX_STEPS {
            // While programs send as fast as they can, the wire is never quiet: then the timers
            // of a moment run together, as they do on a busy machine, but not those of minutes.
            let now = self.now();
            let together = self.wire_is_busy && self.clock.target(real).since(now) < FAR_BEHIND;
            let segments = if together { Segments::Later } else { Segments::Now };
            if self.step(segments) == Step::Idle || self.wire_is_busy && !together {
                return;
            }
        }
    }

    /// Lets time pass to the earliest deadline, if it has come, and does what is due then. Time
    /// stands still while segments are exchanged: their answers are not late because more is due.
    fn step(&mut self, segments: Segments) -> Step {
        let now = self.now();
        if self.first_deadline().is_none_or(|at| at > now) {
            return Step::Idle;
        }
        self.host.handle_timeout(now);
        self.end_due_lingers(now);
        if segments == Segments::Now {
            self.clock.hold();
            self.exchange_until_quiet();
            self.clock.let_go();
        }
        Step::Done
    }

    /// Puts the clock forward and does what becomes due; `false` where stack time would end.
    fn advance(&mut self, by: Duration) -> bool {
        // What is on the wire now arrives now.
        self.exchange_until_quiet();
        let fits = self.clock.advance(RealTime::now(), by);
        self.catch_up();
        fits
    }

    /// Does what is due, as far as [`COMMAND_LIMIT`] allows; the turns that follow go on.
    fn catch_up(&mut self) {
        let begun = RealTime::now();
        while begun.elapsed() < COMMAND_LIMIT && self.step(Segments::Now) == Step::Done {}
    }

    fn exchange_until_quiet(&mut self) {
        for _ in 0..MAX_EXCHANGES {
            self.exchange();
            if !self.wire_is_busy {
                return;
            }
        }
    }

    /// Obeys a command about the clock, and tells how it stands.
    pub(super) fn clock_command(&mut self, command: ClockCommand) -> Answer {
        self.record_clock(command);
        let real = RealTime::now();
        match command {
            ClockCommand::Show => {}
            ClockCommand::Advance(by) => {
                if !self.advance(by) {
                    return Answer::Refused(
                        "stack time ends after 292 years: advance by less".to_owned(),
                    );
                }
            }
            ClockCommand::CatchUp => self.catch_up(),
            ClockCommand::Scale(scale) => self.clock.set_scale(real, scale),
            ClockCommand::Pause => self.clock.pause(real),
            ClockCommand::Resume => self.clock.resume(real),
        }
        Answer::Clock(self.clock_row())
    }

    /// Records what was done to the clock, before it is done.
    fn record_clock(&mut self, command: ClockCommand) {
        let operation = match command {
            ClockCommand::Show | ClockCommand::CatchUp => return,
            ClockCommand::Advance(by) => Operation::Advanced(nanos(by)),
            ClockCommand::Scale(scale) => Operation::Scaled(scale),
            ClockCommand::Pause => Operation::Paused,
            ClockCommand::Resume => Operation::Resumed,
        };
        let now = self.now();
        self.recording.note(now, Weight::Control, What::Operator(operation));
    }

    fn clock_row(&mut self) -> ClockRow {
        let real = RealTime::now();
        let now = self.now();
        let deadline = self.first_deadline();
        let behind = match deadline.is_some_and(|at| at <= now) {
            true => self.clock.target(real).since(now),
            false => Duration::ZERO,
        };
        ClockRow {
            time_ns: now.as_nanos(),
            real_ns: nanos(real.saturating_duration_since(self.began)),
            scale: self.clock.scale(),
            paused: self.clock.is_paused(),
            behind_ns: nanos(behind),
            next_timer_ns: deadline.map(|at| nanos(at.since(now))),
        }
    }

    /// Looks for closed sockets, and leaves when there is nothing left to own.
    pub(super) fn keep_house(&mut self) {
        let real = RealTime::now();
        if self.next_sweep.is_some_and(|at| at <= real) {
            let now = self.now();
            self.sweep(now);
            self.exchange();
        }
        let nobody_asks = self.clients.is_empty() && self.watchers.is_empty();
        let idle = !self.stays && nobody_asks && self.host.is_idle();
        match self.idle_since {
            _ if !idle => self.idle_since = None,
            None => self.idle_since = Some(real),
            Some(since) if real.saturating_duration_since(since) < IDLE_EXIT => {}
            // Made for this stack, and not named to it yet.
            Some(_) if kernel::has_sockets(&self.session, self.mark) => {
                self.idle_since = Some(real)
            }
            Some(_) => {
                tracing::info!("idle for {IDLE_EXIT:?}: leaving");
                self.ends = true;
            }
        }
    }

    /// How long the poller may wait; `None`: for ever.
    pub(super) fn until_next_duty(&self) -> Option<Duration> {
        if self.wire_is_busy || self.clients.has_ready() || self.watchers.are_hungry() {
            return Some(Duration::ZERO);
        }
        let real = RealTime::now();
        let timer = self.first_deadline().and_then(|at| self.clock.until(real, at));
        let idle = self.idle_since.map(|since| since + IDLE_EXIT);
        let house = [self.next_sweep, self.release_at, idle].into_iter().flatten().min();
        let house = house.map(|at| at.saturating_duration_since(real));
        let calls = self.calls.until_next_look(self.recording.is_tracing());
        [timer, house, calls].into_iter().flatten().min()
    }

    /// There is a socket now whose closing the kernel will not tell us.
    pub(super) fn sweep_soon(&mut self) {
        self.next_sweep.get_or_insert_with(|| RealTime::now() + SWEEP_INTERVAL);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
