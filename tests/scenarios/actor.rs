//! Programs that make the calls they are told, in the order the test tells (see `actor.c`), and
//! two of them with a connection between them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::common::{DEADLINE, wait_for};
use crate::ground::{Ground, Socket};

/// A running `actor`, leader of a process group of its own; ends with this value.
pub(crate) struct Actor {
    process: Child,
    calls: Option<ChildStdin>,
    answers: Receiver<String>,
    /// What [`Actor::blocks_for`] has found.
    early: Option<String>,
    /// What it was told and what it answered, for whoever has to find out why a test fails.
    transcript: String,
}

impl Actor {
    pub(crate) fn start(mut command: Command) -> Actor {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("the actor can be started");
        let calls = process.stdin.take();
        let output = process.stdout.take().expect("it was piped");
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Actor { process, calls, answers, early: None, transcript: String::new() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Tells it to make a call, and does not wait for its return.
    pub(crate) fn begin(&mut self, call: &str) {
        self.transcript += &format!("{call}\n");
        let calls = self.calls.as_mut().expect("the actor has not been told to exit");
        writeln!(calls, "{call}").expect("the actor listens");
    }

    /// What the call has returned.
    ///
    /// # Panics
    /// When it does not return in time, or the actor is gone.
    pub(crate) fn answer(&mut self) -> String {
        match self.early.take().map_or_else(|| self.answers.recv_timeout(DEADLINE), Ok) {
            Ok(answer) => {
                self.transcript += &format!("    = {answer}\n");
                answer
            }
            Err(RecvTimeoutError::Timeout) => panic!("no return:\n{}", self.transcript),
            Err(RecvTimeoutError::Disconnected) => panic!("actor gone:\n{}", self.transcript),
        }
    }

    /// The call that was begun must return `expected`.
    ///
    /// # Panics
    /// When it returns something else, with all calls so far.
    #[track_caller]
    pub(crate) fn returns(&mut self, expected: &str) {
        let answer = self.answer();
        assert_eq!(answer, expected, "all calls:\n{}", self.transcript);
    }

    /// Makes a call and returns what it returned.
    pub(crate) fn ask(&mut self, call: &str) -> String {
        self.begin(call);
        self.answer()
    }

    /// Makes a call that must return `expected`.
    ///
    /// # Panics
    /// When it returns something else, with all calls so far.
    #[track_caller]
    pub(crate) fn call(&mut self, call: &str, expected: &str) {
        let answer = self.ask(call);
        assert_eq!(answer, expected, "{call}; all calls:\n{}", self.transcript);
    }

    /// Makes calls that must return what is said beside each.
    #[track_caller]
    pub(crate) fn calls(&mut self, script: &[(&str, &str)]) {
        for (call, expected) in script {
            self.call(call, expected);
        }
    }

    /// Whether the call that was begun blocks for `time`; if not, what it returned comes next.
    pub(crate) fn blocks_for(&mut self, time: Duration) -> bool {
        match self.answers.recv_timeout(time) {
            Ok(answer) => {
                self.early = Some(answer);
                false
            }
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => panic!("actor gone:\n{}", self.transcript),
        }
    }

    /// The address of its socket `name`.
    pub(crate) fn name(&mut self, name: &str) -> SocketAddr {
        let answer = self.ask(&format!("name {name}"));
        answer.parse().unwrap_or_else(|_| panic!("name {name}: {answer}:\n{}", self.transcript))
    }

    /// A listening socket `l` on a port that the system chose; its address.
    pub(crate) fn listen(&mut self) -> SocketAddr {
        self.calls(&[("socket l", "0"), ("bind l 127.0.0.1:0", "0"), ("listen l", "0")]);
        self.name("l")
    }

    /// Lets it exit and waits until it is gone.
    pub(crate) fn exit(&mut self) {
        drop(self.calls.take());
        wait_for("the actor to exit", || {
            self.process.try_wait().expect("the child is ours").is_some()
        });
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let group = -self.process.id().cast_signed();
        // SAFETY: kill() has no memory effects. The group is the actor's own; once the actor and
        // its children are reaped there is no such group, unless a new one got its number, which
        // the kernel hands out again only after all others.
        unsafe { libc::kill(group, libc::SIGKILL) };
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("calls of actor {}:\n{}", self.process.id(), self.transcript);
        }
    }
}

/// A client with its end `c`, a server with its end `s` and its listener `l`.
pub(crate) struct Pair<'a> {
    ground: &'a Ground,
    pub(crate) client: Actor,
    pub(crate) server: Actor,
    pub(crate) client_at: SocketAddr,
    pub(crate) server_at: SocketAddr,
}

impl<'a> Pair<'a> {
    pub(crate) fn connected(ground: &'a Ground) -> Pair<'a> {
        let (mut client, mut server) = (ground.actor(), ground.actor());
        client.call("socket c", "0");
        server.listen();
        Pair::connect(ground, client, server)
    }

    /// Receivers that close their window soon when their program does not read.
    pub(crate) fn with_small_buffers(ground: &'a Ground) -> Pair<'a> {
        let (mut client, mut server) = (ground.actor(), ground.actor());
        client.calls(&[("socket c", "0"), ("rcvbuf c 65536", "0")]);
        server.calls(&[("socket l", "0"), ("rcvbuf l 65536", "0")]);
        server.calls(&[("bind l 127.0.0.1:0", "0"), ("listen l", "0")]);
        Pair::connect(ground, client, server)
    }

    /// Connects `c` of the client with `l` of the server.
    pub(crate) fn connect(ground: &'a Ground, mut client: Actor, mut server: Actor) -> Pair<'a> {
        let server_at = server.name("l");
        client.call(&format!("connect c {server_at}"), "0");
        server.call("accept l s", "0");
        let client_at = client.name("c");
        let mut pair = Pair { ground, client, server, client_at, server_at };
        pair.reach("ESTAB", "ESTAB");
        pair
    }

    /// Where it is.
    pub(crate) fn ground(&self) -> &'a Ground {
        self.ground
    }

    /// The client's end in `tcplab ss`, if it is there.
    pub(crate) fn client_end(&self) -> Option<Socket> {
        self.ground.socket(self.client_at, Some(self.server_at))
    }

    /// The server's end in `tcplab ss`, if it is there.
    pub(crate) fn server_end(&self) -> Option<Socket> {
        self.ground.socket(self.server_at, Some(self.client_at))
    }

    /// Waits until the ends are in these states; "gone": no longer there.
    #[track_caller]
    pub(crate) fn reach(&mut self, client: &str, server: &str) {
        let state = |end: Option<Socket>| end.map_or("gone".to_owned(), |socket| socket.row.state);
        let end = Instant::now() + DEADLINE;
        loop {
            let now = (state(self.client_end()), state(self.server_end()));
            if (now.0.as_str(), now.1.as_str()) == (client, server) {
                return;
            }
            let Pair {
                client: Actor { transcript: c, .. },
                server: Actor { transcript: s, .. },
                ..
            } = self;
            assert!(
                Instant::now() < end,
                "{now:?} is not ({client}, {server}); client:\n{c}\nserver:\n{s}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
