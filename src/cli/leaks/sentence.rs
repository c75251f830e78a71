//! A finding as one sentence.

use core::fmt;
use core::time::Duration;

use super::finding::{AfterEnd, Finding, Kind};
use super::holders::Possessor;
use crate::cli::units;

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.subject())?;
        let (tuple, age) = (self.tuple(), age(self.age_ms));
        match self.kind {
            Kind::CloseWait { after } => {
                write!(f, ": {tuple} in CLOSE-WAIT for {age}: {}", what_after(after))?;
                match self.usage.written_after_end {
                    0 => {}
                    octets => write!(f, ", wrote {octets} octets after it")?,
                }
            }
            Kind::FinWait2 { unread: 0 } => write!(
                f,
                ": {tuple} in FIN-WAIT-2 for {age}: ended its own direction and never closed, \
                 though the peer sends nothing"
            )?,
            Kind::FinWait2 { unread } => write!(
                f,
                ": {tuple} in FIN-WAIT-2 for {age}: ended its own direction and never closed, with \
                 {} unread",
                count(unread, "octet")
            )?,
            Kind::Unaccepted { connections: 1 } => {
                write!(f, ": {tuple} waits for accept() for {age}")?;
            }
            Kind::Unaccepted { connections } => {
                write!(f, ": {connections} connections wait for accept(), {tuple} for {age}")?
            }
            Kind::Inherited => write!(
                f,
                ": was started with {} and does not use it; lacks SOCK_CLOEXEC",
                match self.peer {
                    Some(_) => format!("the connection {tuple} ({})", self.state),
                    None => format!("the listener {tuple}"),
                }
            )?,
        }
        if let Some(error) = &self.usage.last_error {
            write!(f, "; last error: {error}")?;
        }
        self.write_origin(f)
    }
}

impl Finding {
    /// `server (pid 7) fd 4, worker (pid 8) fd 4 5`.
    fn subject(&self) -> String {
        let mut text = String::new();
        let mut last = None;
        for Possessor { holder, .. } in &self.holders {
            if last == Some(holder.pid) {
                text += &format!(" {}", holder.fd);
                continue;
            }
            let comma = if text.is_empty() { "" } else { ", " };
            text += &format!("{comma}{} (pid {}) fd {}", holder.name, holder.pid, holder.fd);
            last = Some(holder.pid);
        }
        match (text.is_empty(), self.origin()) {
            (false, _) => text,
            (true, Some(origin)) => format!("pid {} fd {}", origin.pid, origin.fd),
            (true, None) => "a process that cannot be looked at".to_owned(),
        }
    }

    /// `127.0.0.1:80 - 127.0.0.1:5000`.
    pub(in crate::cli) fn tuple(&self) -> String {
        match self.peer {
            Some(peer) => format!("{} - {peer}", self.local),
            None => self.local.to_string(),
        }
    }

    fn write_origin(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(origin) = self.origin() else { return Ok(()) };
        let is_by_other = !self.holders.iter().any(|possessor| possessor.holder.pid == origin.pid);
        if self.site.is_none() && !is_by_other {
            return Ok(());
        }
        write!(f, "; {}", origin.call.done())?;
        if let Some(site) = &self.site {
            write!(f, " at {site}")?;
        }
        if is_by_other {
            write!(f, " by pid {}", origin.pid)?;
        }
        Ok(())
    }
}

fn what_after(after: AfterEnd) -> String {
    match after {
        AfterEnd::NeverRead => "never read the end".to_owned(),
        AfterEnd::StoppedReading { unread } => {
            format!("stopped reading with {} unread", count(unread, "octet"))
        }
        AfterEnd::IgnoresEnd { times } => format!("read 0 {times} times and went on"),
        AfterEnd::NeverCloses => "read the end and never closed".to_owned(),
    }
}

/// `1 octet`, `2 octets`.
pub(super) fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// An age with no more digits than one reads.
fn age(ms: u64) -> String {
    let rounded = match ms {
        0..1000 => ms,
        1000..10_000 => ms / 100 * 100,
        _ => ms / 1000 * 1000,
    };
    units::duration(Duration::from_millis(rounded))
}
