//! The stage of a demo: a session of its own, the programs that act in it, what is seen of their
//! sockets, and the text that tells it.

use core::time::Duration;
use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use tcplab::client::{Client, this_program};
use tcplab::ipc::names::Session;

use super::super::ss::{self, Socket};
use super::super::{Failure, Outcome, print, sysctl};
use super::programs::{Language, Program, Workshop};

/// MSL of the demo's session: TIME-WAIT lasts twice as long.
pub(super) const MSL_MS: u64 = 750;
/// TIME-WAIT of the demo's session.
pub(super) const TIME_WAIT: Duration = Duration::from_millis(2 * MSL_MS);
/// How long something that must happen is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the stack is looked at meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(3);

/// A session with programs in it, and the telling of it.
pub(super) struct Stage {
    // The order is that of the end: first the stack, then the directory of the programs.
    session: Session,
    client: Option<Client>,
    workshop: Workshop,
    tcplab: PathBuf,
    style: Style,
    actors: u32,
    checks: u32,
    failed: u32,
    begun: Instant,
}

impl Stage {
    /// Starts a stack with a short TIME-WAIT.
    pub(super) fn set() -> Result<Stage, Failure> {
        let begun = Instant::now();
        let name = format!("demo-{}", std::process::id());
        let uid = rustix::process::geteuid().as_raw();
        let session = Session::parse(name.as_bytes(), uid)
            .map_err(|rule| Failure::new(format!("session {name}: {rule}")))?;
        let workshop = Workshop::open()?;
        let tcplab = this_program()?;
        let mut client = Client::connect_or_start(&session, &tcplab)?;
        sysctl::set(&mut client, &format!("net.tcplab.tcp_msl_ms={MSL_MS}"))?;
        let language = match workshop.language() {
            Language::C => "the C programs in examples/",
            Language::Python => "Python programs (there is no cc here)",
        };
        let stage = Stage {
            session,
            client: Some(client),
            workshop,
            tcplab,
            style: Style::of_stdout(),
            actors: 0,
            checks: 0,
            failed: 0,
            begun,
        };
        stage.write(&format!(
            "Unmodified programs ({language}) on a TCP of their own: the stack of session \
             {session}.\nIts MSL is {MSL_MS} ms, so TIME-WAIT lasts {} s instead of Linux's 60. \
             (`--session {}` is left out below.)\n",
            TIME_WAIT.as_secs_f32(),
            session.name()
        ))?;
        Ok(stage)
    }

    /// Ends the stack and says how the checks came out.
    pub(super) fn close(mut self) -> Outcome {
        if let Some(client) = self.client.take() {
            client.down()?;
        }
        let (checks, failed) = (self.checks, self.failed);
        let took = self.begun.elapsed().as_secs_f32();
        let sum = match failed {
            0 => self.style.good(&format!("{checks} checks passed")),
            _ => self.style.bad(&format!("{failed} of {checks} checks FAILED")),
        };
        self.write(&format!("\n{sum} in {took:.1} s\n"))?;
        Ok(u8::from(failed > 0))
    }

    /// Begins a scene.
    pub(super) fn open(&self, name: &str, title: &str) -> io::Result<()> {
        self.write(&format!("\n{}  {title}\n", self.style.heading(&format!("== {name} =="))))
    }

    /// Tells something.
    pub(super) fn say(&self, sentence: &str) -> io::Result<()> {
        self.write(&format!("\n  {sentence}\n"))
    }

    /// Tells something that belongs to the check before.
    pub(super) fn note(&self, sentence: &str) -> io::Result<()> {
        self.write(&format!("      {sentence}\n"))
    }

    /// Says what is expected, and whether it is so.
    pub(super) fn check(&mut self, holds: bool, sentence: &str) -> io::Result<()> {
        self.checks += 1;
        let mark = if holds {
            self.style.good("ok")
        } else {
            self.failed += 1;
            self.style.bad("NOT SO")
        };
        self.write(&format!("  {mark}  {sentence}\n"))
    }

    /// Starts a program as a user would, and shows the line.
    pub(super) fn start(&mut self, program: Program, arguments: &[&str]) -> Result<Actor, Failure> {
        let line = format!("tcplab run -- ./{} {}", program.name, quoted(arguments));
        self.write(&format!("  {} {}\n", self.style.faint("$"), self.style.command(&line)))?;
        self.actors += 1;
        let output = self.workshop.directory().join(format!("{}.out", self.actors));
        let words = self.workshop.command(program)?;
        let spawn = || {
            let file = File::create(&output)?;
            let mut command = Command::new(&self.tcplab);
            command
                .args(["run", "--session", &self.session.to_string(), "--"])
                .args(words)
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(file.try_clone()?)
                .stderr(file);
            // An interrupted demo leaves no programs behind.
            // SAFETY: the closure runs between fork and exec and makes one system call.
            unsafe {
                command.pre_exec(|| {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    Ok(())
                });
            }
            command.spawn()
        };
        let child = spawn().map_err(|e| Failure::new(format!("cannot run {line}: {e}")))?;
        Ok(Actor { name: program.name, child, output })
    }

    /// Starts a server and waits until it listens on `port`.
    pub(super) fn serve(
        &mut self,
        program: Program,
        arguments: &[&str],
        port: u16,
    ) -> Result<Actor, Failure> {
        let mut server = self.start(program, arguments)?;
        let sight = self.until(port, |sight| sight.count("LISTEN") == 1)?;
        if sight.count("LISTEN") != 1 {
            let said = server.output();
            let end = server.ended().map_or_else(String::new, |status| format!(" ({status})"));
            let name = server.name;
            return Err(Failure::new(format!("{name} does not listen on {port}{end}: {said}")));
        }
        Ok(server)
    }

    /// Runs a program to its end and shows what it printed.
    pub(super) fn run(
        &mut self,
        program: Program,
        arguments: &[&str],
    ) -> Result<(bool, String), Failure> {
        let actor = self.start(program, arguments)?;
        self.finish(actor)
    }

    /// Waits for the end of a program and shows what it printed; whether it ended well.
    pub(super) fn finish(&mut self, mut actor: Actor) -> Result<(bool, String), Failure> {
        let begun = Instant::now();
        let status = loop {
            match actor.ended() {
                Some(status) => break status,
                None if begun.elapsed() > PATIENCE => {
                    return Err(Failure::new(format!("{} does not end", actor.name)));
                }
                None => std::thread::sleep(LOOK_INTERVAL),
            }
        };
        let output = actor.output();
        for line in output.lines().filter(|line| !line.is_empty()) {
            self.write(&format!(
                "    {} {line}\n",
                self.style.faint(&format!("{} |", actor.name))
            ))?;
        }
        Ok((status.success(), output))
    }

    /// The sockets with `port` on either end, as they are now.
    pub(super) fn sight(&mut self, port: u16) -> Result<Sight, Failure> {
        let client = self.client.as_mut().ok_or_else(|| Failure::new("the stage is closed"))?;
        let mut sockets = ss::sockets(client)?;
        sockets.retain(|socket| {
            socket.row.local.port() == port || socket.row.peer.is_some_and(|p| p.port() == port)
        });
        Ok(Sight { port, sockets })
    }

    /// Looks until `seen`, or until patience ends: what was seen last.
    pub(super) fn until(
        &mut self,
        port: u16,
        seen: impl Fn(&Sight) -> bool,
    ) -> Result<Sight, Failure> {
        let begun = Instant::now();
        loop {
            let sight = self.sight(port)?;
            if seen(&sight) || begun.elapsed() > PATIENCE {
                return Ok(sight);
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Shows sockets as `tcplab ss -tanpo` does.
    pub(super) fn show(&self, sight: &Sight) -> io::Result<()> {
        let mut text = format!(
            "  {} {}\n",
            self.style.faint("$"),
            self.style.command(&format!(
                "tcplab ss -tanpo '( sport = :{0} or dport = :{0} )'",
                sight.port
            ))
        );
        for line in ss::table_tanpo(&sight.sockets).lines() {
            text.push_str(&format!("    {} {line}\n", self.style.faint("|")));
        }
        self.write(&text)
    }

    /// A counter of the stack, by its kernel name.
    pub(super) fn counter(&mut self, name: &str) -> Result<u64, Failure> {
        let client = self.client.as_mut().ok_or_else(|| Failure::new("the stage is closed"))?;
        let counters = client.status()?.counters;
        Ok(counters.iter().find(|(counter, _)| counter == name).map_or(0, |(_, value)| *value))
    }

    /// Sets a sysctl, and shows the line.
    pub(super) fn sysctl(&mut self, assignment: &str) -> Result<(), Failure> {
        let line = format!("tcplab sysctl {assignment}");
        self.write(&format!("  {} {}\n", self.style.faint("$"), self.style.command(&line)))?;
        let client = self.client.as_mut().ok_or_else(|| Failure::new("the stage is closed"))?;
        // The words of a shell line: quotes go.
        sysctl::set(client, &assignment.replace('\'', ""))
    }

    fn write(&self, text: &str) -> io::Result<()> {
        print(text)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            let _ = client.down();
        }
    }
}

/// What was seen of the sockets with a port.
pub(super) struct Sight {
    port: u16,
    pub(super) sockets: Vec<Socket>,
}

impl Sight {
    /// How many are in that state.
    pub(super) fn count(&self, state: &str) -> usize {
        self.sockets.iter().filter(|socket| socket.row.state == state).count()
    }

    /// The server's socket in that state, or listening.
    pub(super) fn server(&self, state: &str) -> Option<&Socket> {
        self.find(state, |socket| socket.row.local.port() == self.port)
    }

    /// The client's socket in that state.
    pub(super) fn client(&self, state: &str) -> Option<&Socket> {
        self.find(state, |socket| socket.row.local.port() != self.port)
    }

    fn find(&self, state: &str, side: impl Fn(&Socket) -> bool) -> Option<&Socket> {
        self.sockets.iter().find(|socket| socket.row.state == state && side(socket))
    }
}

/// A running program.
pub(super) struct Actor {
    name: &'static str,
    child: Child,
    output: PathBuf,
}

impl Actor {
    /// What it has printed so far.
    pub(super) fn output(&self) -> String {
        fs::read(&self.output).map_or_else(
            |_| String::new(),
            |text| String::from_utf8_lossy(&text).trim_end().to_owned(),
        )
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // The program ends with the `tcplab run` that supervises it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Holds the processes of a socket still, so that one can look; they go on when this ends.
pub(super) struct Held(Vec<i32>);

impl Held {
    /// Stops every process that holds `socket`.
    pub(super) fn stop(socket: &Socket) -> Held {
        let mut processes: Vec<i32> =
            socket.holders.iter().map(|holder| holder.pid.cast_signed()).collect();
        processes.dedup();
        signal(&processes, libc::SIGSTOP);
        Held(processes)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        signal(&self.0, libc::SIGCONT);
    }
}

/// The words as one would type them.
fn quoted(words: &[&str]) -> String {
    let quote = |word: &&str| match word.is_empty() || word.contains([' ', '*']) {
        true => format!("'{word}'"),
        false => (*word).to_owned(),
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

fn signal(processes: &[i32], number: libc::c_int) {
    for &process in processes {
        // SAFETY: kill() takes plain numbers; the processes are the demo's own.
        unsafe { libc::kill(process, number) };
    }
}

/// Colour, on a terminal and where it is not unwanted.
#[derive(Clone, Copy)]
enum Style {
    Plain,
    Coloured,
}

impl Style {
    fn of_stdout() -> Style {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match io::stdout().is_terminal() && !unwanted {
            true => Style::Coloured,
            false => Style::Plain,
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Style::Plain => text.to_owned(),
            Style::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }

    fn heading(self, text: &str) -> String {
        self.paint("1;36", text)
    }

    fn command(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }
}
