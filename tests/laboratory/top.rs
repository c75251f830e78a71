//! `tcplab top` in a pseudo terminal: what is on its screen while real programs run, and that the
//! terminal is left as it was, whatever ends it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{DEADLINE, Program, Session, compile, tcplab_path, wait_for};

const COLUMNS: u16 = 100;
const LINES: u16 = 30;

/// As much of a terminal as is needed to know what is on its screen.
#[derive(Default)]
struct Screen {
    cells: Vec<Vec<char>>,
    line: usize,
    column: usize,
    /// Octets of a control sequence, or of a character, that is not yet whole.
    pending: Vec<u8>,
    /// Modes that were set and not reset, as `?1049`.
    modes: BTreeSet<String>,
}

impl Screen {
    fn take(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.pending.push(octet);
            match self.pending[..] {
                [0x1b] | [0x1b, b'['] => {}
                [0x1b, b'[', .., last] if last < 0x40 => {}
                [0x1b, b'[', ..] => self.control(),
                _ => self.character(),
            }
        }
    }

    fn control(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let text = String::from_utf8_lossy(&pending[2..]).into_owned();
        let (arguments, command) = text.split_at(text.len() - 1);
        match command {
            "H" => {
                let mut numbers = arguments.split(';').map(|n| n.parse().unwrap_or(1_usize) - 1);
                self.line = numbers.next().unwrap_or(0);
                self.column = numbers.next().unwrap_or(0);
            }
            "J" => self.cells.clear(),
            "h" => drop(self.modes.insert(arguments.to_owned())),
            "l" => drop(self.modes.remove(arguments)),
            _ => {}
        }
    }

    fn character(&mut self) {
        let Ok(text) = std::str::from_utf8(&self.pending) else { return };
        let Some(c) = text.chars().next() else { return };
        self.pending.clear();
        if c.is_control() {
            return;
        }
        let lines = self.cells.len().max(self.line + 1);
        self.cells.resize(lines, Vec::new());
        let line = &mut self.cells[self.line];
        let width = line.len().max(self.column + 1);
        line.resize(width, ' ');
        line[self.column] = c;
        self.column += 1;
    }

    fn text(&self) -> String {
        self.cells.iter().map(|line| line.iter().collect::<String>() + "\n").collect()
    }
}

/// `tcplab top` on a terminal of its own.
struct Top {
    child: Child,
    keys: File,
    /// The terminal stays open, so that its settings can be read afterwards.
    terminal: OwnedFd,
    settings: Vec<u8>,
    screen: Arc<Mutex<Screen>>,
}

impl Top {
    fn start(session: &Session, arguments: &[&str]) -> Top {
        let (master, terminal) = open_terminal();
        let screen = Arc::new(Mutex::new(Screen::default()));
        let (seen, mut output) = (Arc::clone(&screen), master.try_clone().expect("a copy"));
        thread::spawn(move || {
            let mut octets = [0; 4096];
            while let Ok(len @ 1..) = output.read(&mut octets) {
                seen.lock().expect("nobody panics").take(&octets[..len]);
            }
        });
        let stdio = || Stdio::from(terminal.try_clone().expect("a copy"));
        let mut command = Command::new(tcplab_path());
        command
            .args(["top", "--interval", "50ms"])
            .args(arguments)
            .env("TCPLAB_SESSION", session.name())
            .env("TERM", "xterm-256color")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio());
        // SAFETY: the closure runs between fork and exec and makes only system calls; descriptor 0
        // is the terminal.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let settings = settings(&terminal);
        let child = command.spawn().expect("tcplab can be started");
        Top { child, keys: master, terminal, settings, screen }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    fn signal(&self, signal: i32) {
        // SAFETY: kill() has no memory effects; the child is not reaped, so the pid is its own.
        unsafe { libc::kill(self.child.id().cast_signed(), signal) };
    }

    /// Nothing is set but that the cursor is shown.
    fn has_given_back(&self) -> bool {
        let screen = self.screen.lock().expect("nobody panics");
        screen.modes.iter().eq(["?25"])
    }

    fn text(&self) -> String {
        self.screen.lock().expect("nobody panics").text()
    }

    /// Waits until a line of the screen has all these words.
    fn wait_for_line(&self, words: &[&str]) {
        let has_all = |line: &str| words.iter().all(|word| line.contains(word));
        let end = Instant::now() + DEADLINE;
        while !self.text().lines().any(has_all) {
            assert!(Instant::now() < end, "{words:?} is not on the screen:\n{}", self.text());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for its end; the terminal must be as it was.
    fn wait(mut self) -> ExitStatus {
        let mut status = None;
        wait_for("the end of top", || {
            status = self.child.try_wait().expect("the child is ours");
            status.is_some()
        });
        assert_eq!(settings(&self.terminal), self.settings, "settings of the terminal");
        // What it wrote last may still be under way to the thread that reads.
        wait_for("the screen to be given back", || self.has_given_back());
        status.expect("it has ended")
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Both ends of a new pseudo terminal.
fn open_terminal() -> (File, OwnedFd) {
    let (mut master, mut terminal) = (-1, -1);
    let size = libc::winsize { ws_row: LINES, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
    let none = std::ptr::null_mut();
    // SAFETY: the numbers and the size are ours; name and settings are not asked for.
    let outcome = unsafe {
        libc::openpty(&raw mut master, &raw mut terminal, none, none.cast(), &raw const size)
    };
    assert_eq!(outcome, 0, "{}", std::io::Error::last_os_error());
    for fd in [master, terminal] {
        // SAFETY: fcntl() with these arguments has no memory effects.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    // SAFETY: both descriptors are new and nobody else's.
    unsafe { (File::from_raw_fd(master), OwnedFd::from_raw_fd(terminal)) }
}

/// Settings of a terminal, to be compared.
fn settings(terminal: &OwnedFd) -> Vec<u8> {
    // SAFETY: all zeros is a valid termios, and the call fills it in.
    let settings = unsafe {
        let mut settings: libc::termios = std::mem::zeroed();
        libc::tcgetattr(terminal.as_raw_fd(), &raw mut settings);
        settings
    };
    format!("{settings:?}").into_bytes()
}

/// A server and a client that stay connected.
fn connected(session: &Session) -> (Program, Program, String) {
    let server = session.spawn(compile("examples/correct_server.c", &[]), ["0"]);
    let port = server.listening_port().to_string();
    // It waits for the server's end, which waits for the client's.
    let client = session.spawn(compile("examples/client.c", &[]), ["-e", &port, "hello"]);
    (server, client, port)
}

#[test]
fn listeners_and_connections_are_on_the_screen_and_q_gives_the_terminal_back() {
    let session = Session::new();
    let (server, client, port) = connected(&session);
    let mut top = Top::start(&session, &[]);
    let end = format!(":{port}");
    top.wait_for_line(&["LISTEN", &end, &format!("correct_server[{}]", server.pid())]);
    top.wait_for_line(&["ESTAB", &end, &format!("client[{}]", client.pid())]);
    top.wait_for_line(&["SYN-RECV -> ESTAB"]);
    assert!(top.screen.lock().unwrap().modes.contains("?1049"));
    top.press("/sport = ");
    top.press(&format!(":{port}\r"));
    top.wait_for_line(&["Sockets 2 of 3", &format!("filter: sport = :{port}")]);
    top.press("j\r");
    top.wait_for_line(&[" > ", "(Esc: back)"]);
    top.wait_for_line(&["what happened to it"]);
    top.press("qq");
    assert_eq!(top.wait().code(), Some(0));
}

#[test]
fn what_is_typed_is_run_as_the_command_that_it_is() {
    let session = Session::new();
    let (_server, _client, _) = connected(&session);
    let mut top = Top::start(&session, &[]);
    top.wait_for_line(&["ESTAB"]);
    top.press("cadvance 30s\r");
    top.wait_for_line(&["stack time 30.", "running at 1x"]);
    top.wait_for_line(&["clock put forward by 30s"]);
    top.press("idelay 5ms\r");
    top.wait_for_line(&["tcplab top", "1 impairment"]);
    assert!(session.tcplab(["netem", "show"]).contains("delay 5ms"));
    top.press("cpauze\r");
    top.wait_for_line(&["unrecognized subcommand 'pauze'"]);
    top.press("\x03");
    assert_eq!(top.wait().code(), Some(0));
}

#[test]
fn a_stack_that_ends_is_told_and_the_next_one_found() {
    let session = Session::with_sysctls(&[]);
    let top = Top::start(&session, &[]);
    top.wait_for_line(&["tcplab top", "pid"]);
    session.tcplab(["down"]);
    top.wait_for_line(&["is not running"]);
    let (_server, _client, port) = connected(&session);
    top.wait_for_line(&["LISTEN", &format!(":{port}")]);
    top.signal(libc::SIGTERM);
    assert_eq!(top.wait().code(), Some(128 + libc::SIGTERM));
}

#[test]
fn stopped_and_continued_it_draws_everything_again() {
    let session = Session::with_sysctls(&[]);
    let mut top = Top::start(&session, &[]);
    top.wait_for_line(&["? help"]);
    top.signal(libc::SIGTSTP);
    wait_for("the screen to be given back", || top.has_given_back());
    assert_eq!(settings(&top.terminal), top.settings);
    top.screen.lock().unwrap().cells.clear();
    top.signal(libc::SIGCONT);
    top.wait_for_line(&["? help"]);
    assert_ne!(settings(&top.terminal), top.settings);
    top.press("q");
    assert_eq!(top.wait().code(), Some(0));
}

#[test]
fn a_terminal_that_hangs_up_ends_it() {
    let session = Session::with_sysctls(&[]);
    let mut top = Top::start(&session, &[]);
    top.wait_for_line(&["? help"]);
    top.signal(libc::SIGHUP);
    wait_for("the end of top", || top.child.try_wait().expect("ours").is_some());
}

#[test]
fn without_a_terminal_it_offers_one_frame_which_has_every_row() {
    let session = Session::new();
    let (_server, _client, port) = connected(&session);
    let refused = session.try_tcplab(["top"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--once"));
    wait_for("both ends of the connection in a frame", || {
        let frame = session.tcplab(["top", "--once", "--interval", "50ms"]);
        let rows = |state: &str| {
            let of_port = |line: &&str| line.starts_with(state) && line.contains(&port);
            frame.lines().filter(of_port).count()
        };
        rows("ESTAB ") == 2 && rows("LISTEN ") == 1
    });
    let filtered = session.tcplab(["top", "--once", "-i", "50ms", "state", "listening"]);
    assert!(filtered.contains("Sockets 1 of 3, filter: state listening"), "{filtered}");
}
