//! From a command line to a stack: exactly one a session, detached from whoever started it, and
//! a word to the starter when it is ready.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::net::SocketType;

use super::wire::Wire;
use super::{Stack, kernel};
use crate::ipc::names::{Name, Object, Session};

/// Environment variable with the filter of the stack's log (as `RUST_LOG`).
const LOG_VARIABLE: &str = "TCPLAB_LOG";
/// Environment variable with the file that the stack's log goes to.
const LOG_FILE_VARIABLE: &str = "TCPLAB_LOG_FILE";

/// Fewer than these are told in the log.
const FEW_DESCRIPTORS: u64 = 4096;

/// The stack's listeners.
pub(super) struct Doors {
    pub(super) control: OwnedFd,
    pub(super) connections: OwnedFd,
    pub(super) listeners: OwnedFd,
    pub(super) watch: OwnedFd,
}

/// Why a stack could not start, or had to end.
#[derive(Debug)]
pub struct StartError {
    what: &'static str,
    cause: io::Error,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.cause)
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |cause| StartError { what, cause }
}

/// Whether a stack leaves the foreground.
enum Life {
    /// Detached from its starter, to whom it reports on this descriptor.
    Detached(std::fs::File),
    /// In the foreground, for people who watch its log.
    Foreground,
}

/// Becomes the stack of `session` and returns when it ends; at once where another process is it
/// already.
///
/// With `ready_fd` the process detaches itself (its own session, `/` as directory, standard
/// streams closed) and reports `ok` or `error: SENTENCE` there. Without, it stays in the
/// foreground.
///
/// Errors: the kernel refuses a socket that the stack needs, or the event loop fails.
pub fn run(session: Session, ready_fd: Option<RawFd>) -> Result<(), StartError> {
    let mut life = match ready_fd {
        // SAFETY: the starter opened this descriptor for us and told its number; nobody else in
        // this process, which has just begun, knows of it.
        Some(fd) => Life::Detached(unsafe { std::fs::File::from_raw_fd(fd) }),
        None => Life::Foreground,
    };
    match prepare(session, &mut life) {
        Ok(Some(mut stack)) => {
            report(&mut life, "ok\n");
            drop(life);
            tracing::info!(%session, port = stack.wire.port(), "ready");
            stack.serve().map_err(failed("the event loop failed"))
        }
        Ok(None) => {
            report(&mut life, "ok\n");
            Ok(())
        }
        Err(error) => {
            report(&mut life, &format!("error: {error}\n"));
            Err(error)
        }
    }
}

fn report(life: &mut Life, word: &str) {
    if let Life::Detached(starter) = life {
        // A starter that is gone needs no word.
        let _ = starter.write_all(word.as_bytes());
    }
}

fn prepare(session: Session, life: &mut Life) -> Result<Option<Stack>, StartError> {
    if let Life::Detached(_) = life {
        detach().map_err(failed("cannot detach from the program that started the stack"))?;
    }
    start_log(life);
    let Some(doors) = open_doors(&session)? else { return Ok(None) };
    kernel::leave_the_starters_limits();
    tell_low_limits();
    let wire =
        Wire::open().map_err(failed("cannot open a UDP socket on the loopback interface"))?;
    Stack::new(session, doors, wire).map(Some).map_err(failed("cannot set the event loop up"))
}

/// Opens the session's doors; `None` where another stack has them. The control door is the
/// lock, so it is opened first; a client that comes before the others are open waits in its
/// queue.
fn open_doors(session: &Session) -> Result<Option<Doors>, StartError> {
    let open = |object, kind| kernel::listen(&Name::new(session, object), kind);
    let control = match open(Object::Control, SocketType::SEQPACKET) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(None),
        other => other.map_err(failed("cannot open the control socket"))?,
    };
    let door = |object| {
        open(object, SocketType::STREAM).map_err(failed("cannot open a socket for programs"))
    };
    Ok(Some(Doors {
        control,
        connections: door(Object::Connections)?,
        listeners: door(Object::Listeners)?,
        watch: door(Object::Watch)?,
    }))
}

/// Tells in the log of hard limits that a session can run into.
fn tell_low_limits() {
    if let Some(descriptors) = kernel::descriptor_limit().filter(|&limit| limit < FEW_DESCRIPTORS) {
        tracing::warn!(descriptors, "each open socket takes one (see `ulimit -H -n`)");
    }
    if let Some(seconds) = kernel::processor_limit() {
        tracing::warn!(
            seconds,
            "the kernel ends this stack after so much processor time (see `ulimit -H -t`)"
        );
    }
}

/// Leaves the starter's process group, terminal, directory and standard streams.
fn detach() -> io::Result<()> {
    // SAFETY: this process has one thread, so the child may go on as it likes.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        // SAFETY: the parent has nothing to flush or to run at exit.
        _ => unsafe { libc::_exit(0) },
    }
    rustix::process::setsid()?;
    rustix::process::chdir("/")?;
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}

/// Logs to the file that the environment names, in the foreground to stderr, else nowhere.
fn start_log(life: &Life) {
    use tracing_subscriber::{EnvFilter, fmt};
    let filter = std::env::var(LOG_VARIABLE).unwrap_or_else(|_| "info".into());
    let builder = fmt().with_env_filter(EnvFilter::new(filter)).with_ansi(false);
    let file = std::env::var_os(LOG_FILE_VARIABLE)
        .and_then(|path| std::fs::OpenOptions::new().create(true).append(true).open(path).ok());
    match (file, life) {
        (Some(file), _) => builder.with_writer(std::sync::Mutex::new(file)).init(),
        (None, Life::Foreground) => builder.with_writer(io::stderr).init(),
        (None, Life::Detached(_)) => {}
    }
}
