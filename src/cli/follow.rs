//! Following a session: the loop that `trace -f`, `capture` and `run --trace --capture` share.
//!
//! It ends when somebody says so (a signal, a pipe, a time), and then only after the stack has told
//! everything that happened until that moment; or when the stack ends.

use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::Instant;

use rustix::pipe::{PipeFlags, pipe_with};
use tcplab::client::{ANSWER_LIMIT, Error};
use tcplab::inspect::watch::Line;
use tcplab::watch::{Began, Next, Watch};

use super::{Failure, notice};

/// How often a sink is asked whether something is due.
const TICK: Duration = Duration::from_millis(20);

/// Whether a sink wants more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    More,
    Enough,
}

/// Whether a stream has more to read at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stream {
    /// What was read last is not the newest that happened.
    Flows,
    /// All that was told has been read.
    Rests,
}

/// What is made of a stream.
pub(super) trait Sink {
    /// The stack told something.
    fn line(&mut self, line: Line) -> Result<Want, Failure>;

    /// Octets of the segment of the last record, and how many the segment has.
    fn octets(&mut self, _octets: Vec<u8>, _len: usize) -> Result<Want, Failure> {
        Ok(Want::More)
    }

    /// A moment has passed: what is due can be written.
    fn tick(&mut self, stream: Stream) -> Result<(), Failure>;

    /// The last thing that is asked of it.
    fn end(&mut self) -> Result<(), Failure>;
}

/// Why a stream ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// It was told to.
    Finished,
    /// The stack has ended.
    StackGone,
}

/// Reads the stream until `stop` can be read, `until` has come, the sink has enough, or the stack
/// ends. Errors of the stream come after what was read of it has been given to the sink.
pub(super) fn follow(
    mut watch: Watch,
    stop: Option<&OwnedFd>,
    until: Option<Instant>,
    sink: &mut impl Sink,
) -> Result<Ended, Failure> {
    let mut finishing = None;
    let mut ticked = Instant::now();
    let ended = loop {
        if ticked.elapsed() >= TICK {
            sink.tick(Stream::Flows)?;
            ticked = Instant::now();
        }
        if finishing.is_none() && until.is_some_and(|until| until <= Instant::now()) {
            watch.finish();
            finishing = Some(Instant::now());
        }
        let stop = stop.filter(|_| finishing.is_none()).map(AsFd::as_fd);
        let want = match watch.next(Some(TICK), stop) {
            Ok(Next::Line(line)) => sink.line(line)?,
            Ok(Next::Octets(octets, len)) => sink.octets(octets, len)?,
            Ok(Next::Timeout) => {
                sink.tick(Stream::Rests)?;
                match finishing {
                    Some(since) if since.elapsed() > ANSWER_LIMIT => {
                        break Err(Error::Silent(watch.stack_pid()));
                    }
                    _ => Want::More,
                }
            }
            Ok(Next::Stop) => {
                watch.finish();
                finishing = Some(Instant::now());
                Want::More
            }
            Ok(Next::End) => break Ok(Ended::Finished),
            Ok(Next::Gone) => break Ok(Ended::StackGone),
            Err(error) => break Err(error),
        };
        if want == Want::Enough {
            break Ok(Ended::Finished);
        }
    };
    sink.end()?;
    Ok(ended?)
}

/// The stack's real time, as far as its stream has been read: what is known later than this may
/// still come.
pub(super) struct Moment {
    /// Of the newest record, in nanoseconds.
    newest_ns: u64,
    began_ns: u64,
    began: Instant,
}

impl Moment {
    pub(super) fn new(began: &Began) -> Moment {
        Moment { newest_ns: 0, began_ns: began.real_ns, began: Instant::now() }
    }

    /// A record of that time was read.
    pub(super) fn note(&mut self, real_ns: u64) {
        self.newest_ns = self.newest_ns.max(real_ns);
    }

    /// A reader that is late does not take what it has not read yet for what has not happened.
    pub(super) fn now_ns(&self, stream: Stream) -> u64 {
        let since = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        match stream {
            Stream::Flows => self.newest_ns,
            Stream::Rests => self.began_ns.saturating_add(since),
        }
    }
}

/// Says that a stream ended because the stack did.
pub(super) fn tell_end(ended: Ended) {
    if ended == Ended::StackGone {
        notice("the stack has ended");
    }
}

/// A descriptor that can be read when this process is told to end (SIGINT, SIGTERM, SIGHUP); from
/// now on these signals do nothing else.
pub(super) fn stop_signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised before it is used; the descriptor is new and nobody else's.
    unsafe {
        let mut set: libc::sigset_t = core::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            libc::sigaddset(&raw mut set, signal);
        }
        let none = core::ptr::null_mut();
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, none) < 0 {
            return Err(io::Error::last_os_error());
        }
        match libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            fd @ 0.. => Ok(OwnedFd::from_raw_fd(fd)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// A thread that follows beside what this process does, until it is told to end.
pub(super) struct Beside {
    /// Closed when it is to end.
    stop: OwnedFd,
    thread: std::thread::JoinHandle<Result<Ended, Failure>>,
}

impl Beside {
    /// Starts the thread. Signals are for the others.
    pub(super) fn start(watch: Watch, mut sink: impl Sink + Send + 'static) -> io::Result<Beside> {
        let (told, stop) = pipe_with(PipeFlags::CLOEXEC)?;
        let before = block_signals()?;
        let thread = std::thread::Builder::new()
            .name("follow".to_owned())
            .spawn(move || follow(watch, Some(&told), None, &mut sink));
        // SAFETY: `before` is the mask that this thread had.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, core::ptr::null_mut())
        };
        Ok(Beside { stop, thread: thread? })
    }

    /// Ends it: everything that happened until now is given to its sink before.
    pub(super) fn finish(self) -> Result<(), Failure> {
        drop(self.stop);
        match self.thread.join() {
            Ok(outcome) => outcome.map(|_| ()),
            Err(_) => Err(Failure::new("the thread that followed the session panicked")),
        }
    }
}

/// Blocks every signal in this thread; the mask it had.
fn block_signals() -> io::Result<libc::sigset_t> {
    // SAFETY: both sets are initialised by the calls that get them.
    unsafe {
        let mut all: libc::sigset_t = core::mem::zeroed();
        let mut before: libc::sigset_t = core::mem::zeroed();
        libc::sigfillset(&raw mut all);
        match libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) {
            0 => Ok(before),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}
