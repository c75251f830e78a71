//! A `tcplab` command that was typed at the prompt: run as a process of its own, so that it takes
//! and says exactly what it would in a shell.

use core::time::Duration;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tcplab::client::this_program;
use tcplab::ipc::names::Session;

/// Output of a command that is shown.
const MAX_OUTPUT: u64 = 1 << 20;
/// Between having closed its output and having ended nothing takes long.
const WAIT_STEP: Duration = Duration::from_millis(5);

/// A command that runs.
pub(super) struct Job {
    child: Arc<Mutex<Child>>,
}

/// A command that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// Words after `tcplab`.
    pub(super) words: Vec<String>,
    /// What it wrote, errors included.
    pub(super) output: String,
    /// It did what it was told.
    pub(super) is_success: bool,
}

impl Job {
    /// Starts `tcplab WORDS` in the session. `ended` is called when it has ended.
    pub(super) fn start(
        session: &Session,
        words: Vec<String>,
        ended: impl FnOnce(Ended) + Send + 'static,
    ) -> Result<Job, String> {
        let program = this_program().map_err(|error| error.to_string())?;
        let (read, write) = io::pipe().map_err(|e| format!("cannot make a pipe: {e}"))?;
        let errors = write.try_clone().map_err(|e| format!("cannot make a pipe: {e}"))?;
        let mut command = Command::new(program);
        command
            .arg(OsString::from(format!("--session={session}")))
            .args(&words)
            .stdin(Stdio::null())
            .stdout(write)
            .stderr(errors)
            // The keys of the terminal are for us.
            .process_group(0);
        let child = command.spawn().map_err(|e| format!("cannot run tcplab: {e}"))?;
        // Our copies of the pipe's end must not keep it open.
        drop(command);
        let child = Arc::new(Mutex::new(child));
        let job = Job { child: Arc::clone(&child) };
        thread::spawn(move || {
            let output = all(read);
            let status = wait(&child);
            ended(Ended { words, output, is_success: status.is_ok_and(|s| s.success()) });
        });
        Ok(job)
    }

    /// Ends it.
    pub(super) fn kill(&self) {
        // It may have ended by itself.
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).kill();
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What was written until nobody can write any more, or as much as is shown.
fn all(read: impl Read) -> String {
    let mut octets = Vec::new();
    // What was read before an error is as true.
    let _ = read.take(MAX_OUTPUT).read_to_end(&mut octets);
    String::from_utf8_lossy(&octets).into_owned()
}

/// Waits without holding the lock, so that it can be killed meanwhile.
fn wait(child: &Mutex<Child>) -> io::Result<ExitStatus> {
    loop {
        let status = child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()?;
        match status {
            Some(status) => return Ok(status),
            None => thread::sleep(WAIT_STEP),
        }
    }
}
