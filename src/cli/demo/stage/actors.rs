//! The programs of a demo: started as a user would, ended with their scene.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::super::super::Failure;
use super::super::super::ss::Socket;
use super::super::programs::{CALLS, Program};
use super::{LOOK_INTERVAL, PATIENCE, Stage};

/// A running program.
pub(in super::super) struct Actor {
    name: &'static str,
    child: Child,
    output: PathBuf,
}

impl Actor {
    /// What it has printed so far.
    pub(in super::super) fn output(&self) -> String {
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

/// A program that makes the calls it is told (`examples/calls.c`).
pub(in super::super) struct Caller {
    role: &'static str,
    child: Child,
    calls: Option<ChildStdin>,
    answers: Receiver<String>,
    /// The call that has not returned yet.
    open: String,
    /// What [`Stage::blocks_for`] has found.
    early: Option<String>,
}

impl Drop for Caller {
    fn drop(&mut self) {
        drop(self.calls.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two of them with a connection between them.
pub(in super::super) struct Pair {
    pub(in super::super) client: Caller,
    pub(in super::super) server: Caller,
}

impl Stage<'_> {
    /// Starts a program as a user would, and shows the line.
    pub(in super::super) fn start(
        &mut self,
        program: Program,
        arguments: &[&str],
    ) -> Result<Actor, Failure> {
        let words = self.workshop.command(program)?;
        let words: Vec<&str> =
            words.iter().map(String::as_str).chain(arguments.iter().copied()).collect();
        let line = format!("./{} {}", program.name, quoted(arguments));
        self.start_words(program.name, line.trim_end(), &words)
    }

    /// Starts a program that is installed on this machine; `line` is what is shown.
    pub(in super::super) fn start_installed(
        &mut self,
        line: &str,
        words: &[&str],
    ) -> Result<Actor, Failure> {
        self.start_words("installed", line, words)
    }

    fn start_words(
        &mut self,
        name: &'static str,
        line: &str,
        words: &[&str],
    ) -> Result<Actor, Failure> {
        self.teller.command(&format!("tcplab run -- {line}"))?;
        let output = self.workshop.file(&format!("{name}.out"));
        let mut command = self.command(words);
        let mut spawn = || {
            let file = File::create(&output)?;
            command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()
        };
        let child = spawn().map_err(|e| Failure::new(format!("cannot run {line}: {e}")))?;
        Ok(Actor { name, child, output })
    }

    /// A directory with these files, gone with the demo.
    pub(in super::super) fn directory(
        &self,
        name: &str,
        files: &[(&str, &str)],
    ) -> Result<PathBuf, Failure> {
        let directory = self.workshop.file(name);
        let make = || {
            fs::create_dir(&directory)?;
            files.iter().try_for_each(|(name, text)| fs::write(directory.join(name), text))
        };
        make()
            .map_err(|e| Failure::new(format!("cannot write to {}: {e}", directory.display())))?;
        Ok(directory)
    }

    /// Starts a server and waits until it listens on `port`.
    pub(in super::super) fn serve(
        &mut self,
        program: Program,
        arguments: &[&str],
        port: u16,
    ) -> Result<Actor, Failure> {
        let mut server = self.start(program, arguments)?;
        let begun = Instant::now();
        while self.sight(port)?.count("LISTEN") != 1 {
            if let Some(status) = server.ended() {
                let said = server.output();
                return Err(Failure::new(format!("{} ended ({status}): {said}", server.name)));
            }
            if begun.elapsed() > PATIENCE {
                let said = server.output();
                return Err(Failure::new(format!("{} does not listen: {said}", server.name)));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        Ok(server)
    }

    /// Runs a program to its end and shows what it printed; whether it ended well.
    pub(in super::super) fn run(
        &mut self,
        program: Program,
        arguments: &[&str],
    ) -> Result<(bool, String), Failure> {
        let actor = self.start(program, arguments)?;
        self.finish(actor)
    }

    /// Waits for the end of a program and shows what it printed; whether it ended well.
    pub(in super::super) fn finish(&mut self, mut actor: Actor) -> Result<(bool, String), Failure> {
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
        self.teller.output(actor.name, &output)?;
        Ok((status.success(), output))
    }

    /// Ctrl-C: `tcplab run` passes the signal on.
    pub(in super::super) fn interrupt(&mut self, mut actor: Actor) -> Result<(), Failure> {
        self.teller.output(actor.name, "^C")?;
        signal(&[actor.child.id().cast_signed()], libc::SIGINT);
        actor.child.wait().map_err(|e| Failure::new(format!("cannot wait: {e}")))?;
        Ok(())
    }

    /// A program that makes the calls it is told.
    pub(in super::super) fn caller(&mut self, role: &'static str) -> Result<Caller, Failure> {
        let line = format!("{:<28} {}", run_line(CALLS), self.teller.style().faint("# the "));
        let line = line + &self.teller.style().faint(role);
        self.teller.command(&line)?;
        let words = self.workshop.command(CALLS)?;
        let mut command = self.command(&words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child =
            command.spawn().map_err(|e| Failure::new(format!("cannot run {}: {e}", CALLS.name)))?;
        let calls = child.stdin.take();
        let (sender, answers) = channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Caller { role, child, calls, answers, open: String::new(), early: None })
    }

    /// Two of them with a connection between them, the client's end on its port.
    pub(in super::super) fn pair(&mut self) -> Result<Pair, Failure> {
        let mut pair = self.strangers()?;
        self.join(&mut pair)?;
        Ok(pair)
    }

    /// Two of them; the server listens.
    pub(in super::super) fn strangers(&mut self) -> Result<Pair, Failure> {
        let (mut server, client) = (self.caller("server")?, self.caller("client")?);
        self.call(&mut server, &format!("listen {}", super::SERVER), "0")?;
        Ok(Pair { client, server })
    }

    /// Connects them.
    pub(in super::super) fn join(&mut self, pair: &mut Pair) -> Result<(), Failure> {
        self.call(&mut pair.client, &format!("connect {}", super::SERVER), "0")?;
        self.call(&mut pair.server, "accept", "0")?;
        self.until(super::SERVER, |sight| {
            sight.client("ESTAB").is_some() && sight.server("ESTAB").is_some()
        })?;
        Ok(())
    }

    /// Tells it to make a call, and does not wait for its return.
    pub(in super::super) fn begin(
        &mut self,
        caller: &mut Caller,
        call: &str,
    ) -> Result<(), Failure> {
        let gone = |_| Failure::new(format!("the {} has ended before {call}", caller.role));
        if let Some(calls) = &mut caller.calls {
            writeln!(calls, "{call}").map_err(gone)?;
        }
        caller.open = call.to_owned();
        Ok(())
    }

    /// Whether the call that was begun has not returned for `time`.
    pub(in super::super) fn blocks_for(&mut self, caller: &mut Caller, time: Duration) -> bool {
        if caller.early.is_some() {
            return false;
        }
        match caller.answers.recv_timeout(time) {
            Ok(answer) => {
                caller.early = Some(answer);
                false
            }
            Err(error) => error == RecvTimeoutError::Timeout,
        }
    }

    /// What the call that was begun has returned.
    pub(in super::super) fn answer(&mut self, caller: &mut Caller) -> Result<String, Failure> {
        let (call, answer) = Stage::answer_quietly(caller)?;
        self.teller.call(caller.role, &call, &answer)?;
        Ok(answer)
    }

    /// The call that was begun, and what it has returned; not told.
    fn answer_quietly(caller: &mut Caller) -> Result<(String, String), Failure> {
        let call = core::mem::take(&mut caller.open);
        let early = caller.early.take();
        let line = early.map_or_else(|| caller.answers.recv_timeout(PATIENCE), Ok);
        let line = line.map_err(|error| {
            let what = match error {
                RecvTimeoutError::Timeout => "does not return from",
                RecvTimeoutError::Disconnected => "has ended in",
            };
            Failure::new(format!("the {} {what} {call}", caller.role))
        })?;
        let answer = line.split_once(" = ").map_or(line.as_str(), |(_, answer)| answer).to_owned();
        Ok((call, answer))
    }

    /// Makes a call and does not tell it.
    pub(in super::super) fn ask_quietly(
        &mut self,
        caller: &mut Caller,
        call: &str,
    ) -> Result<String, Failure> {
        self.begin(caller, call)?;
        Stage::answer_quietly(caller).map(|(_, answer)| answer)
    }

    /// Tells a call that was made so many times.
    pub(in super::super) fn say_again(
        &mut self,
        caller: &Caller,
        call: &str,
        answer: &str,
        times: usize,
    ) -> Result<(), Failure> {
        Ok(self.teller.call(caller.role, call, &format!("{answer}, {times} times"))?)
    }

    /// Makes a call; what it returned.
    pub(in super::super) fn ask(
        &mut self,
        caller: &mut Caller,
        call: &str,
    ) -> Result<String, Failure> {
        self.begin(caller, call)?;
        self.answer(caller)
    }

    /// Makes a call that must return `expected`, or the scene cannot go on.
    pub(in super::super) fn call(
        &mut self,
        caller: &mut Caller,
        call: &str,
        expected: &str,
    ) -> Result<(), Failure> {
        let answer = self.ask(caller, call)?;
        if answer == expected {
            return Ok(());
        }
        let role = caller.role;
        Err(Failure::new(format!("the {role}'s {call} returned {answer}, not {expected}")))
    }

    /// The program ends.
    pub(in super::super) fn exit(&mut self, mut caller: Caller) -> Result<(), Failure> {
        drop(caller.calls.take());
        caller.child.wait().map_err(|e| Failure::new(format!("cannot wait: {e}")))?;
        self.teller.call(caller.role, "exit", "0")?;
        Ok(())
    }

    /// `tcplab run -- WORDS`, without standard streams.
    fn command(&self, words: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(&self.tcplab);
        command.args(["run", "--session", &self.session.to_string(), "--"]).args(words);
        // An interrupted demo leaves no programs behind.
        // SAFETY: the closure runs between fork and exec and makes one system call.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        command
    }
}

fn run_line(program: Program) -> String {
    format!("tcplab run -- ./{}", program.name)
}

/// The words as one would type them.
fn quoted(words: &[&str]) -> String {
    let quote = |word: &&str| match word.is_empty() || word.contains([' ', '*']) {
        true => format!("'{word}'"),
        false => (*word).to_owned(),
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// Holds the processes of a socket still, so that one can look; they go on when this ends.
pub(in super::super) struct Held(Vec<i32>);

impl Held {
    /// Stops every process that holds `socket`.
    pub(in super::super) fn stop(socket: &Socket) -> Held {
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

fn signal(processes: &[i32], number: libc::c_int) {
    for &process in processes {
        // SAFETY: kill() takes plain numbers; the processes are the demo's own.
        unsafe { libc::kill(process, number) };
    }
}
