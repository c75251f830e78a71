//! Runs a program as if it had been executed in our place, and proves that the shim is in it.
//!
//! The proof: the shim's constructor writes one octet to the descriptor in `TCPLAB_PROOF_FD`. A
//! program that ends without it, or has mapped its C library but not the shim, was not hooked:
//! its TCP would be the kernel's, so it is ended and the failure is loud.
//!
//! Signals sent to this process are passed on. Those of the terminal are not: the program is in
//! the same process group and gets them itself.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::super::preload::FILE_NAME;
use super::super::{Failure, Outcome, dispositions};
use super::check::Examiner;
use super::preflight::{NOT_EXECUTABLE, NOT_FOUND, NOT_RUN};

/// Environment variable with the descriptor for the shim's octet.
pub(crate) const PROOF_VARIABLE: &str = "TCPLAB_PROOF_FD";
/// The program must find the low descriptors as free as without us.
const LOWEST_PROOF_FD: RawFd = 100;
/// How often the maps of a program that has not given its proof are looked at.
const LOOK_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

const PASSED_ON: [libc::c_int; 7] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGWINCH,
];

/// Runs `command` to its end; gives the exit status that this process should have.
pub(super) fn run(mut command: Command, name: &OsStr, examiner: Option<Examiner>) -> Outcome {
    let os = |doing: &str, e: io::Error| Failure {
        sentence: format!("cannot {doing}: {e}"),
        status: NOT_RUN,
    };
    let signals = Signals::block().map_err(|e| os("receive signals", e))?;
    let (proof, token) = proof_pipe().map_err(|e| os("make a pipe", e))?;
    command.env(PROOF_VARIABLE, token.as_raw_fd().to_string());
    let (mask, parent) = (signals.mask_before, std::process::id());
    // SAFETY: the closure runs between fork and exec and makes only system calls.
    unsafe { command.pre_exec(move || become_replaceable(&mask, parent)) };
    let child = command.spawn().map_err(|e| not_executed(name, &e))?;
    drop(token);
    let mut supervisor = Supervisor { child, signals, proof: Some(proof), examiner };
    let status = supervisor.wait(name)?;
    let status = match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, signal) => 128 + signal.unwrap_or(0) as u8,
    };
    supervisor.examiner.map_or(Ok(status), |examiner| examiner.finish(status))
}

fn not_executed(name: &OsStr, error: &io::Error) -> Failure {
    let status = match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    };
    Failure { sentence: format!("'{}' cannot be executed: {error}", name.display()), status }
}

/// In the child: the signal mask and dispositions as our caller gave them to us, and no life
/// without us: who kills this command (`kill -9`, a test harness) means the program.
fn become_replaceable(mask: &libc::sigset_t, parent: u32) -> io::Result<()> {
    // SAFETY: plain system calls; `mask` is a valid set.
    unsafe {
        if libc::sigprocmask(libc::SIG_SETMASK, mask, core::ptr::null_mut()) < 0
            || libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) < 0
        {
            return Err(io::Error::last_os_error());
        }
        dispositions::restore();
        if libc::getppid().cast_unsigned() != parent {
            libc::_exit(NOT_RUN.into());
        }
    }
    Ok(())
}

/// The end that is read, and the end that the program inherits.
fn proof_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (proof, token) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // SAFETY: fcntl() takes a descriptor that `token` keeps open, and plain numbers.
    let high = unsafe { libc::fcntl(token.as_raw_fd(), libc::F_DUPFD, LOWEST_PROOF_FD) };
    // SAFETY: the descriptor is new and nobody else's; or, where the limit of descriptors is
    // below the lowest wanted one, dup() gives one.
    let inherited = unsafe {
        match high {
            0.. => OwnedFd::from_raw_fd(high),
            _ => OwnedFd::from_raw_fd(libc::dup(token.into_raw_fd())),
        }
    };
    Ok((proof, inherited))
}

struct Supervisor {
    child: Child,
    signals: Signals,
    /// Read end of the pipe; `None` once the shim has proved itself.
    proof: Option<OwnedFd>,
    /// Looks at what is leaked; `None` where nobody wants that.
    examiner: Option<Examiner>,
}

impl Supervisor {
    fn wait(&mut self, name: &OsStr) -> Result<ExitStatus, Failure> {
        loop {
            self.sleep();
            self.examine_leaver();
            for signal in self.signals.take() {
                self.examine_before(signal);
                // SAFETY: the child is not reaped yet, so the number is its own.
                unsafe { libc::kill(self.child.id().cast_signed(), signal) };
            }
            self.take_proof();
            let ended = self.child.try_wait().map_err(|e| Failure {
                sentence: format!("cannot wait for '{}': {e}", name.display()),
                status: NOT_RUN,
            })?;
            // What it wrote it wrote before it ended.
            self.take_proof();
            match ended {
                Some(status) if self.proof.is_none() => return Ok(status),
                Some(status) => return Err(not_hooked(name, &format!("it ended ({status})"))),
                None if self.proof.is_some() && self.runs_without_shim() => {
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    return Err(not_hooked(name, "it was killed"));
                }
                None => {}
            }
        }
    }

    /// Looks at a process that waits for that to end.
    fn examine_leaver(&mut self) {
        let Some(examiner) = &mut self.examiner else { return };
        let Some(source) = examiner.source() else { return };
        let mut set = [PollFd::new(&source, PollFlags::IN)];
        if poll(&mut set, Some(&Timespec::default())) == Ok(1) {
            examiner.look_at_leaver();
        }
    }

    /// Looks at all processes before a signal that may end them.
    fn examine_before(&mut self, signal: libc::c_int) {
        if let Some(examiner) = &mut self.examiner
            && signal != libc::SIGWINCH
        {
            examiner.look_at_all();
        }
    }

    /// Until a signal, the end of the child or the proof; or a while, as long as there is none.
    fn sleep(&self) {
        let mut set = vec![PollFd::new(&self.signals.source, PollFlags::IN)];
        set.extend(self.proof.as_ref().map(|proof| PollFd::new(proof, PollFlags::IN)));
        let leavers = self.examiner.as_ref().and_then(Examiner::source);
        set.extend(leavers.as_ref().map(|leavers| PollFd::new(leavers, PollFlags::IN)));
        let limit = self.proof.as_ref().map(|_| &LOOK_INTERVAL);
        let _ = poll(&mut set, limit);
    }

    fn take_proof(&mut self) {
        let Some(proof) = &self.proof else { return };
        let mut octet = [0];
        match rustix::io::read(proof, &mut octet) {
            Ok(1) => self.proof = None,
            // The program has closed it unwritten: the maps or its end will tell.
            Ok(_) => std::thread::sleep(core::time::Duration::from_millis(10)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => {}
        }
    }

    /// The loader maps preloaded libraries before it maps the C library.
    fn runs_without_shim(&self) -> bool {
        let Ok(maps) = fs::read(format!("/proc/{}/maps", self.child.id())) else { return false };
        let maps = String::from_utf8_lossy(&maps);
        let maps_file = |name: &str| maps.lines().any(|line| line.contains(name));
        maps_file("/libc.so.6") && !maps_file(FILE_NAME)
    }
}

fn not_hooked(name: &OsStr, end: &str) -> Failure {
    Failure {
        sentence: format!(
            "the shim never came up in '{}', so its TCP would have been the kernel's: {end}; the \
             loader's own message, if there is one, is above; LD_DEBUG=libs shows what it does",
            name.display()
        ),
        status: NOT_RUN,
    }
}

/// The signals that are passed on, and SIGCHLD, as a descriptor.
struct Signals {
    source: OwnedFd,
    mask_before: libc::sigset_t,
}

impl Signals {
    fn block() -> io::Result<Signals> {
        // SAFETY: both sets are initialised by the calls that get them first; the descriptor is
        // new and nobody else's.
        unsafe {
            let mut set: libc::sigset_t = core::mem::zeroed();
            let mut mask_before: libc::sigset_t = core::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in PASSED_ON.into_iter().chain([libc::SIGCHLD]) {
                libc::sigaddset(&raw mut set, signal);
            }
            if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, &raw mut mask_before) < 0 {
                return Err(io::Error::last_os_error());
            }
            let source = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if source < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Signals { source: OwnedFd::from_raw_fd(source), mask_before })
        }
    }

    /// Signals to pass on: those that a process sent, not the terminal.
    fn take(&self) -> Vec<libc::c_int> {
        const RECORD: usize = size_of::<libc::signalfd_siginfo>();
        let mut taken = Vec::new();
        let mut record = [0; RECORD];
        while rustix::io::read(&self.source, &mut record) == Ok(RECORD) {
            // SAFETY: the kernel has written one whole record, which has no invalid values.
            let info: libc::signalfd_siginfo =
                unsafe { core::ptr::read_unaligned(record.as_ptr().cast()) };
            if info.ssi_code <= libc::SI_USER && info.ssi_signo != libc::SIGCHLD as u32 {
                taken.push(info.ssi_signo as libc::c_int);
            }
        }
        taken
    }
}
