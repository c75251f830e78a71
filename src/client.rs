//! The command's side of the control channel: find the stack of a session, start it where it is
//! wanted, ask it questions.
//!
//! One question at a time, each answered by text in one or more packets (`ipc::message`). It
//! deliberately keeps no state: a client is a connected socket and a number for the next tag.

use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno as OsError;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_peercred};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::inspect::{Answer, Command, SocketRow, Status};
use crate::ipc::message::{Header, MAX_TEXT, More, Reply, Request};
use crate::ipc::names::{Name, Object, SECRET_VARIABLE, Session};
use crate::ipc::{Domain, Errno, PROTOCOL_VERSION, SocketId};
use crate::trace::Records;

/// How long a new stack may take to be ready.
pub const START_LIMIT: Duration = Duration::from_secs(10);
/// How long a stack may take to answer.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long a stack may take to leave after [`Command::Down`].
const LEAVE_LIMIT: Duration = Duration::from_secs(5);
/// What failed when there is no connection.
const CONNECTING: &str = "connect to the stack";
/// Octets that a packet carries beside its text.
const PACKET_OVERHEAD: usize = 64;

/// Why a session could not be asked; displayed as one sentence with the remedy.
#[derive(Debug)]
pub enum Error {
    /// No stack has the session.
    NotRunning(Session),
    /// The control channel failed while doing what is named.
    Channel(&'static str, io::Error),
    /// The stack gave no answer in time.
    Silent(u32),
    /// The stack is of another version, or another program altogether.
    Foreign(String),
    /// Another user's process (its id, the user) has the session's name.
    Held(Session, i32, u32),
    /// The stack does not admit this user.
    NotAdmitted(Session),
    /// A stack could not be started; the reason.
    Start(String),
    /// The stack refused; its sentence.
    Refused(String),
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Error::NotRunning(session) => write!(
                f,
                "session {session} is not running; start it with `tcplab up` or by running a \
                 program in it"
            ),
            Error::Channel(doing, error) => write!(
                f,
                "cannot {doing}: {error}; if the stack is broken, kill its process and try again"
            ),
            Error::Silent(pid) => write!(
                f,
                "the stack (process {pid}) has not answered for {} s; it hangs or is stopped: \
                 continue it (kill -CONT {pid}) or kill it",
                ANSWER_LIMIT.as_secs()
            ),
            Error::Foreign(what) => write!(
                f,
                "the stack of this session speaks another language ({what}); end it with the \
                 command that started it, or kill it"
            ),
            Error::Held(session, pid, uid) => write!(
                f,
                "the name of session {session} is held by process {pid} of user {uid}, who does \
                 not own it; end that process, or use another session"
            ),
            Error::NotAdmitted(session) => write!(
                f,
                "session {session} belongs to another user; set {SECRET_VARIABLE} to the secret \
                 that a program started by `tcplab run` in that session finds in its environment"
            ),
            Error::Start(reason) => write!(f, "the stack could not be started: {reason}"),
            Error::Refused(sentence) => f.write_str(sentence),
        }
    }
}

impl core::error::Error for Error {}

/// A connection to the stack of a session.
pub struct Client {
    channel: OwnedFd,
    session: Session,
    secret: u128,
    stack_pid: u32,
    next_tag: u32,
    /// Tag of the request whose answer is outstanding.
    awaited: u32,
}

impl Client {
    /// Connects to the stack of `session`, which must be running.
    pub fn connect(session: &Session) -> Result<Client, Error> {
        let (channel, stack_pid) = open_door(session, Object::Control, SocketType::SEQPACKET)?;
        let failed = |e: OsError| Error::Channel(CONNECTING, e.into());
        for side in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&channel, side, Some(ANSWER_LIMIT)).map_err(failed)?;
        }
        let (secret, next_tag, awaited) = (0, 1, 0);
        let mut client =
            Client { channel, session: *session, secret, stack_pid, next_tag, awaited };
        client.hello()?;
        Ok(client)
    }

    /// Connects to the stack of `session`; starts one where none is running. `program` is the
    /// `tcplab` command.
    pub fn connect_or_start(session: &Session, program: &Path) -> Result<Client, Error> {
        match Client::connect(session) {
            Err(Error::NotRunning(_)) => {}
            outcome => return outcome,
        }
        if session.uid() != rustix::process::geteuid().as_raw() {
            return Err(Error::Start(format!(
                "session {session} belongs to another user, who must start it"
            )));
        }
        start(session, program)?;
        Client::connect(session)
    }

    /// Session this client talks to.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Secret of the session, 0 where the stack did not tell it.
    pub fn secret(&self) -> u128 {
        self.secret
    }

    /// Process of the stack.
    pub fn stack_pid(&self) -> u32 {
        self.stack_pid
    }

    /// Asks, and waits for the whole answer. [`Answer::Refused`] comes as [`Error::Refused`].
    pub fn ask(&mut self, command: &Command) -> Result<Answer, Error> {
        let question = serde_json::to_vec(command).map_err(|e| Error::Foreign(e.to_string()))?;
        let text = self.exchange(&Request::Command(&question))?;
        answer_of(&text)
    }

    /// Asks, without waiting for the answer; [`Client::finish`] does. Until then nothing else may
    /// be asked. The client can be read from (`AsFd`) when the answer is there.
    pub fn begin(&mut self, command: &Command) -> Result<(), Error> {
        let question = serde_json::to_vec(command).map_err(|e| Error::Foreign(e.to_string()))?;
        self.awaited = self.send(&Request::Command(&question))?;
        Ok(())
    }

    /// The answer to what was asked by [`Client::begin`].
    pub fn finish(&mut self) -> Result<Answer, Error> {
        let text = self.receive_text(self.awaited)?;
        answer_of(&text)
    }

    /// Every socket of the session.
    pub fn sockets(&mut self) -> Result<Vec<SocketRow>, Error> {
        match self.ask(&Command::Sockets)? {
            Answer::Sockets(rows) => Ok(rows),
            other => Err(unexpected(&other)),
        }
    }

    /// What the stack holds.
    pub fn status(&mut self) -> Result<Status, Error> {
        match self.ask(&Command::Status)? {
            Answer::Status(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }

    /// Everything that the stack remembers to have happened.
    pub fn records(&mut self) -> Result<Records, Error> {
        let mut all = Records::default();
        loop {
            let question = Command::Records { since: all.next, most: usize::MAX };
            let part = match self.ask(&question)? {
                Answer::Records(part) => part,
                other => return Err(unexpected(&other)),
            };
            let is_last = part.records.is_empty();
            all.records.extend(part.records);
            // What was pushed out between two answers is lost, too.
            all.lost += part.lost;
            (all.next, all.programs) = (part.next, part.programs);
            (all.now_ns, all.real_now_ns) = (part.now_ns, part.real_now_ns);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Ends the stack, and returns when its name is free.
    pub fn down(mut self) -> Result<(), Error> {
        self.ask(&Command::Down)?;
        let session = self.session;
        let pid = self.stack_pid;
        drop(self);
        let begun = Instant::now();
        while begun.elapsed() < LEAVE_LIMIT {
            if matches!(Client::connect(&session), Err(Error::NotRunning(_))) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(Error::Silent(pid))
    }

    fn hello(&mut self) -> Result<(), Error> {
        let secret = std::env::var(SECRET_VARIABLE).ok();
        let secret = secret.and_then(|hex| u128::from_str_radix(&hex, 16).ok()).unwrap_or(0);
        let tag = self.send(&Request::Hello { version: PROTOCOL_VERSION, secret })?;
        let mut packet = vec![0; PACKET_OVERHEAD];
        match self.receive(tag, &mut packet)? {
            Reply::Hello { secret, pid, .. } => {
                self.secret = secret;
                self.stack_pid = pid;
                Ok(())
            }
            Reply::Error(Errno::EACCES | Errno::EPERM) => Err(Error::NotAdmitted(self.session)),
            other => Err(Error::Foreign(format!("it answered {other:?} to the greeting"))),
        }
    }

    fn exchange(&mut self, request: &Request<'_>) -> Result<Vec<u8>, Error> {
        let tag = self.send(request)?;
        self.receive_text(tag)
    }

    fn receive_text(&mut self, tag: u32) -> Result<Vec<u8>, Error> {
        let mut packet = vec![0; MAX_TEXT + PACKET_OVERHEAD];
        let mut whole = Vec::new();
        loop {
            match self.receive(tag, &mut packet)? {
                Reply::Text(text, more) => {
                    whole.extend_from_slice(text);
                    if more == More::No {
                        return Ok(whole);
                    }
                }
                Reply::Error(errno) => {
                    return Err(Error::Refused(format!("the stack refused: {}", errno.name())));
                }
                other => return Err(Error::Foreign(format!("it answered {other:?}"))),
            }
        }
    }

    fn send(&mut self, request: &Request<'_>) -> Result<u32, Error> {
        let tag = self.next_tag;
        self.next_tag = self.next_tag.wrapping_add(1);
        let mut packet = vec![0; MAX_TEXT];
        let header = Header { tag, id: SocketId(0), fd: -1, domain: Domain::V4 };
        let len = request
            .encode(header, &mut packet)
            .map_err(|_| Error::Refused(format!("the request is longer than {MAX_TEXT} octets")))?;
        retry(|| send(&self.channel, &packet[..len], SendFlags::NOSIGNAL))
            .map_err(|e| self.failed("ask the stack", e))?;
        Ok(tag)
    }

    fn receive<'p>(&self, tag: u32, packet: &'p mut [u8]) -> Result<Reply<'p>, Error> {
        let (len, _) = retry(|| recv(&self.channel, &mut *packet, RecvFlags::empty()))
            .map_err(|e| self.failed("hear from the stack", e))?;
        if len == 0 {
            let gone = io::Error::new(io::ErrorKind::UnexpectedEof, "it ended");
            return Err(Error::Channel("hear from the stack", gone));
        }
        match Reply::decode(&packet[..len]) {
            Ok((answered, reply)) if answered == tag => Ok(reply),
            _ => Err(Error::Foreign("a reply without form".to_owned())),
        }
    }

    fn failed(&self, doing: &'static str, error: OsError) -> Error {
        match error {
            OsError::AGAIN => Error::Silent(self.stack_pid),
            error => Error::Channel(doing, error.into()),
        }
    }
}

/// Connects to a door of the stack of `session`; the id of its process.
pub(crate) fn open_door(
    session: &Session,
    door: Object,
    kind: SocketType,
) -> Result<(OwnedFd, u32), Error> {
    let failed = |e: OsError| Error::Channel(CONNECTING, e.into());
    let channel =
        socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).map_err(failed)?;
    let name = Name::new(session, door);
    let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(failed)?;
    match connect(&channel, &address) {
        Ok(()) => {}
        Err(OsError::CONNREFUSED) => return Err(Error::NotRunning(*session)),
        Err(e) => return Err(failed(e)),
    }
    // Anybody may bind an abstract name. A stack is run by the session's owner, by root, or by
    // this very user.
    let peer = socket_peercred(&channel).map_err(failed)?;
    let pid = peer.pid.as_raw_nonzero().get();
    let trusted = [session.uid(), 0, rustix::process::geteuid().as_raw()];
    if !trusted.contains(&peer.uid.as_raw()) {
        return Err(Error::Held(*session, pid, peer.uid.as_raw()));
    }
    Ok((channel, pid.unsigned_abs()))
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

fn answer_of(text: &[u8]) -> Result<Answer, Error> {
    match serde_json::from_slice(text) {
        Ok(Answer::Refused(sentence)) => Err(Error::Refused(sentence)),
        Ok(answer) => Ok(answer),
        Err(e) => Err(Error::Foreign(e.to_string())),
    }
}

fn unexpected(answer: &Answer) -> Error {
    Error::Foreign(format!("it answered {answer:?}"))
}

fn retry<T>(mut call: impl FnMut() -> Result<T, OsError>) -> Result<T, OsError> {
    loop {
        match call() {
            Err(OsError::INTR) => {}
            outcome => return outcome,
        }
    }
}

/// The `tcplab` command that is running.
pub fn this_program() -> Result<PathBuf, Error> {
    std::env::current_exe()
        .map_err(|e| Error::Start(format!("the path of this command is unknown ({e})")))
}

/// Starts `tcplab stack` and waits until it is ready; that another was faster is as good.
fn start(session: &Session, program: &Path) -> Result<(), Error> {
    let os = |doing: &str, e: io::Error| Error::Start(format!("cannot {doing}: {e}"));
    let (ready, told) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| os("make a pipe", e.into()))?;
    let told_fd = told.as_raw_fd();
    let mut command = std::process::Command::new(program);
    command
        .args(["stack", "--session", &session.to_string(), "--ready-fd", &told_fd.to_string()])
        .env_remove("LD_PRELOAD")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // SAFETY: the closure runs between fork and exec and makes only system calls.
    unsafe { command.pre_exec(move || keep_only(told_fd)) };
    let mut child = command.spawn().map_err(|e| os(&format!("run {}", program.display()), e))?;
    drop(told);
    let sentence = read_readiness(&ready).inspect_err(|_| {
        let _ = child.kill();
    })?;
    match sentence.trim_end() {
        "ok" => {
            // It has detached itself: what was spawned has ended.
            let _ = child.wait();
            Ok(())
        }
        "" => {
            let _ = child.wait();
            Err(Error::Start(format!(
                "it ended before it was ready; `tcplab stack --session {session}` in the \
                 foreground shows why"
            )))
        }
        other => Err(Error::Start(other.strip_prefix("error: ").unwrap_or(other).to_owned())),
    }
}

/// A stack outlives its starter: it must not keep the starter's pipes and files open.
fn keep_only(kept: RawFd) -> io::Result<()> {
    // SAFETY: both calls take plain numbers and touch no memory of this process.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
        if libc::fcntl(kept, libc::F_SETFD, 0) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn read_readiness(ready: &OwnedFd) -> Result<String, Error> {
    let begun = Instant::now();
    let mut sentence = Vec::new();
    let os = |e: OsError| Error::Start(format!("cannot read from its pipe: {e}"));
    while !sentence.ends_with(b"\n") {
        let left = START_LIMIT.saturating_sub(begun.elapsed());
        let left = Timespec::try_from(left).unwrap_or_default();
        let mut set = [PollFd::new(ready, PollFlags::IN)];
        match poll(&mut set, Some(&left)) {
            Ok(0) => {
                let limit = START_LIMIT.as_secs();
                return Err(Error::Start(format!("it was not ready within {limit} s")));
            }
            Ok(_) => {}
            Err(OsError::INTR) => continue,
            Err(e) => return Err(os(e)),
        }
        let mut piece = [0; 256];
        match rustix::io::read(ready, &mut piece) {
            Ok(0) => break,
            Ok(len) => sentence.extend_from_slice(&piece[..len]),
            Err(OsError::INTR) => {}
            Err(e) => return Err(os(e)),
        }
    }
    Ok(String::from_utf8_lossy(&sentence).into_owned())
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
