//! What `/proc` says of the processes that hold sockets, as far as it tells whether they mean to.

use std::fs;

use serde::Serialize;

use super::super::preload::FILE_NAME;
use crate::cli::ss::holders::Holder;

/// A descriptor of a socket, and the process that has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(in crate::cli) struct Possessor {
    /// Process, descriptor, command name.
    #[serde(flatten)]
    pub(in crate::cli) holder: Holder,
    /// Programs that it starts get the descriptor, too (`FD_CLOEXEC` is not set).
    pub(in crate::cli) passes_on: bool,
    /// The shim is in it. Without, it can only have been given the descriptor.
    pub(in crate::cli) has_shim: bool,
    /// How long the process has lived, ms.
    pub(in crate::cli) process_age_ms: u64,
}

impl Possessor {
    /// Asks `/proc`. A process that is gone or may not be looked at is given the benefit of the
    /// doubt.
    pub(in crate::cli) fn of(holder: &Holder) -> Possessor {
        let Holder { pid, fd, .. } = *holder;
        let flags = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).unwrap_or_default();
        let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
        let maps = String::from_utf8_lossy(&maps);
        Possessor {
            holder: Holder { name: whole_name(pid, &holder.name), ..holder.clone() },
            passes_on: passes_on(&flags),
            has_shim: maps.is_empty() || maps.contains(FILE_NAME),
            process_age_ms: process_age_ms(pid).unwrap_or(0),
        }
    }
}

/// The kernel keeps 15 octets of a name; that of the program's file tells the rest.
fn whole_name(pid: u32, name: &str) -> String {
    const KEPT: usize = 15;
    let file = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let file = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.len() >= KEPT && file.starts_with(name) { file } else { name.to_owned() }
}

/// Reads `/proc/PID/fdinfo/FD`, which shows `O_CLOEXEC` among the flags, in octal.
fn passes_on(fdinfo: &str) -> bool {
    let flags = fdinfo.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|octal| i32::from_str_radix(octal.trim(), 8).ok());
    flags.is_some_and(|flags| flags & libc::O_CLOEXEC == 0)
}

fn process_age_ms(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = uptime.split(' ').next()?.parse().ok()?;
    let started_ms = start_ticks(&stat)? * 1000 / rustix::param::clock_ticks_per_second();
    Some(((seconds * 1000.0) as u64).saturating_sub(started_ms))
}

/// Field 22 of `/proc/PID/stat`; the second one is the name, in parentheses, of any characters.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Whether the environment that the process was started with has that entry.
pub(in crate::cli) fn has_variable(pid: u32, name: &str, value: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let wanted = format!("{name}={value}");
    environment.split(|octet| *octet == 0).any(|entry| entry == wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn the_flag_of_a_descriptor_is_found() {
        let file = fs::File::open("/dev/null").unwrap();
        let fdinfo = |fd: i32| fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
        assert!(!passes_on(&fdinfo(file.as_raw_fd())));
        // SAFETY: the descriptor is open, and the second one is closed below.
        let copy = unsafe { libc::dup(file.as_raw_fd()) };
        assert!(passes_on(&fdinfo(copy)));
        // SAFETY: `copy` is ours.
        unsafe { libc::close(copy) };
        assert!(!passes_on(""));
    }

    #[test]
    fn the_start_of_a_process_is_found_behind_any_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4711 99 1";
        assert_eq!(start_ticks(stat), Some(4711));
        assert_eq!(start_ticks("nothing"), None);
        assert!(process_age_ms(std::process::id()).is_some());
    }
}
