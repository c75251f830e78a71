//! A client of the control channel and of the doors that keeps to no rule, and how the stack is
//! seen to have survived it.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect,
    recv, send, socket_with,
};
use tcplab::inspect::Status;
use tcplab::ipc::message::{Header, MAX_TEXT, Reply, Request};
use tcplab::ipc::names::{Name, Object};
use tcplab::ipc::{Domain, PROTOCOL_VERSION, SocketId};

use crate::common::{DEADLINE, Program, Session, compile};

/// The same numbers in every run.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let x = self.0 ^ self.0 >> 33;
        x.wrapping_mul(0xff51_afd7_ed55_8ccd) ^ x >> 29
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn octets(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// The session as `ipc::names` has it.
pub(crate) fn identity(session: &Session) -> tcplab::ipc::names::Session {
    tcplab::ipc::names::Session::parse(session.name().as_bytes(), owner()).expect("a legal name")
}

/// User of the tests' sessions, also for a thread that has become somebody else.
pub(crate) fn owner() -> u32 {
    static OWNER: OnceLock<u32> = OnceLock::new();
    *OWNER.get_or_init(|| rustix::process::geteuid().as_raw())
}

/// An address of the session.
pub(crate) fn address(session: &Session, object: Object) -> SocketAddrUnix {
    let name = Name::new(&identity(session), object);
    SocketAddrUnix::new_abstract_name(name.as_bytes()).expect("our names fit")
}

fn socket(kind: SocketType) -> OwnedFd {
    socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("a unix socket")
}

/// A control connection that says what it likes. Nothing it does waits longer than the tests'
/// deadline.
pub(crate) struct Channel(OwnedFd);

impl Channel {
    pub(crate) fn open(session: &Session) -> Channel {
        let fd = socket(SocketType::SEQPACKET);
        connect(&fd, &address(session, Object::Control)).expect("there is a stack");
        for side in [rustix::net::sockopt::Timeout::Recv, rustix::net::sockopt::Timeout::Send] {
            rustix::net::sockopt::set_socket_timeout(&fd, side, Some(DEADLINE)).unwrap();
        }
        Channel(fd)
    }

    /// One that has said Hello.
    pub(crate) fn admitted(session: &Session) -> Channel {
        let channel = Channel::open(session);
        assert_eq!(channel.hello(0), None, "its owner is admitted");
        channel
    }

    /// Says Hello; the errno that came back.
    pub(crate) fn hello(&self, secret: u128) -> Option<i32> {
        self.ask(SocketId(0), &Request::Hello { version: PROTOCOL_VERSION, secret })
            .expect("Hello is answered")
            .err()
    }

    /// Sends octets as a packet, without waiting for room.
    pub(crate) fn push(&self, packet: &[u8]) -> io::Result<()> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        Ok(send(&self.0, packet, flags).map(drop)?)
    }

    /// Sends a request and waits for its reply: the errno in it, or an error where the stack has
    /// closed the connection.
    pub(crate) fn ask(&self, id: SocketId, request: &Request<'_>) -> io::Result<Result<(), i32>> {
        send(&self.0, &encode(id, request), SendFlags::NOSIGNAL)?;
        self.reply()
    }

    /// The next reply.
    pub(crate) fn reply(&self) -> io::Result<Result<(), i32>> {
        let mut packet = vec![0; MAX_TEXT + 64];
        let (len, _) = recv(&self.0, &mut packet[..], RecvFlags::empty())?;
        match Reply::decode(&packet[..len]) {
            Ok((_, Reply::Error(errno))) => Ok(Err(errno.0)),
            Ok(_) => Ok(Ok(())),
            Err(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A request as octets.
pub(crate) fn encode(id: SocketId, request: &Request<'_>) -> Vec<u8> {
    let mut packet = vec![0; MAX_TEXT];
    let header = Header { tag: 7, id, fd: -1, domain: Domain::V4 };
    let len = request.encode(header, &mut packet).expect("the request fits");
    packet.truncate(len);
    packet
}

/// A program's end: a stream socket with the name that a shim gives it, where one is wanted.
pub(crate) struct ProgramEnd(OwnedFd);

impl ProgramEnd {
    pub(crate) fn new(session: &Session, name: Option<SocketId>) -> ProgramEnd {
        let fd = socket(SocketType::STREAM);
        if let Some(id) = name {
            bind(&fd, &address(session, Object::App(Domain::V4, id))).expect("the name is free");
        }
        ProgramEnd(fd)
    }

    /// One under any abstract name.
    pub(crate) fn named(name: &[u8]) -> ProgramEnd {
        let fd = socket(SocketType::STREAM);
        let name = SocketAddrUnix::new_abstract_name(name).expect("it is short enough");
        bind(&fd, &name).expect("the name is free");
        ProgramEnd(fd)
    }

    pub(crate) fn plug(&self, session: &Session, door: Object, octets: &[u8]) {
        connect(&self.0, &address(session, door)).expect("the door is open");
        self.send(octets);
    }

    pub(crate) fn send(&self, octets: &[u8]) {
        // The stack may have turned us away before this.
        let _ = send(&self.0, octets, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }

    /// Sends one octet as urgent (MSG_OOB).
    pub(crate) fn send_urgent(&self, octet: u8) {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT | SendFlags::OOB;
        assert_eq!(send(&self.0, &[octet], flags), Ok(1));
    }

    /// Whether the stack closes its end.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused_within(DEADLINE)
    }

    /// Whether it does so in that time.
    pub(crate) fn is_refused_within(&self, limit: Duration) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
        let limit = Timespec::try_from(limit).expect("a short time");
        poll(&mut fds, Some(&limit)).is_ok_and(|n| n == 1)
            && fds[0].revents().contains(PollFlags::HUP)
    }
}

/// What must come back to what it was.
fn counts(session: &Session) -> [u64; 7] {
    let Status { sockets, tcbs, orphans, time_wait, ports, descriptors, buffered, .. } =
        session.status();
    [sockets, tcbs, orphans, time_wait, ports, descriptors, buffered]
}

/// The same, once what came before has settled.
pub(crate) fn held(session: &Session) -> [u64; 7] {
    loop {
        let before = counts(session);
        std::thread::sleep(Duration::from_millis(100));
        if counts(session) == before {
            return before;
        }
    }
}

/// Waits until the stack holds no more than it held at `base`.
pub(crate) fn wait_for_base(session: &Session, base: [u64; 7]) {
    let limit = Instant::now() + DEADLINE;
    loop {
        let now = counts(session);
        if now.iter().zip(&base).all(|(now, base)| now <= base) {
            return;
        }
        assert!(
            Instant::now() < limit,
            "[sockets, TCBs, orphans, TIME-WAIT, ports, descriptors, octets] were {base:?}, \
             are {now:?}: {}",
            session.tcplab(["ss", "-anoe"])
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Clock ticks (10 ms) of CPU time that a process has used.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the stack lives");
    let (_, fields) = stat.rsplit_once(") ").expect("the form of /proc/PID/stat");
    fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// The stack, with nothing to do, uses (nearly) no CPU time.
pub(crate) fn assert_rests(session: &Session) {
    let pid = session.status().pid;
    let before = cpu_ticks(pid);
    std::thread::sleep(Duration::from_secs(1));
    let used = cpu_ticks(pid) - before;
    assert!(used <= 5, "a stack with nothing to do used {} ms in a second", used * 10);
}

/// An echo server with as many descriptors as this user may have, and its port.
pub(crate) fn serve_echo(session: &Session) -> (Program, u16) {
    let server = compile("examples/epoll_server.c", &[]);
    let raise = "ulimit -n \"$(ulimit -H -n)\"; exec \"$@\"";
    let server = server.to_str().expect("the target directory's path is UTF-8");
    let program = session.spawn("sh", ["-c", raise, "sh", server, "0"]);
    let port = program.listening_port();
    (program, port)
}

/// The program `name` of this directory.
pub(crate) fn helper(name: &str) -> PathBuf {
    compile(&format!("tests/robustness/{name}.c"), &[])
}

/// Makes some connections that carry an octet there and back: the session works.
pub(crate) fn assert_serves(session: &Session, port: u16) {
    let churn = compile("tests/programs/churn.c", &[]);
    let mut churn = session.spawn(churn, [port.to_string(), "20".into(), "reset".into()]);
    let status = churn.wait(DEADLINE);
    let output = churn.output();
    assert!(status.is_some_and(|s| s.success()), "{}: {output}", crate::common::describe(status));
}
