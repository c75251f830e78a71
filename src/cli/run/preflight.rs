//! Can a library be preloaded into this command at all? Asked before it runs, because the loader
//! says nothing when it cannot: the program would simply use the kernel's TCP.
//!
//! Follows the way the kernel and execvp() take: `PATH`, `#!` lines, `/usr/bin/env`. What it
//! cannot foresee (a launcher that executes something else) is left to the proof in `supervise`.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags, access, getxattr, statvfs};

use super::elf::Elf;

/// Exit status of `env` for a command that is not found.
pub(super) const NOT_FOUND: u8 = 127;
/// Exit status of `env` for a command that cannot be executed.
pub(super) const NOT_EXECUTABLE: u8 = 126;
/// Exit status of `env` for its own failures.
pub(super) const NOT_RUN: u8 = 125;
/// Interpreters of interpreters that Linux follows (`BINPRM_MAX_RECURSION` and the first).
const MAX_SCRIPTS: usize = 5;
/// Octets of a `#!` line that Linux reads (`BINPRM_BUF_SIZE`).
const SCRIPT_HEAD: usize = 256;
/// `execvp()` without `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Why the command is not run: a sentence with the remedy, and the exit status.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) sentence: String,
    pub(super) status: u8,
}

fn refuse<T>(status: u8, sentence: String) -> Result<T, Refusal> {
    Err(Refusal { sentence, status })
}

/// Checks `command` as execvp() would find it; gives the file.
pub(super) fn check(command: &OsStr) -> Result<PathBuf, Refusal> {
    let found = resolve(command)?;
    follow(&found, MAX_SCRIPTS)?;
    Ok(found)
}

fn resolve(command: &OsStr) -> Result<PathBuf, Refusal> {
    let shown = command.display();
    if command.as_bytes().contains(&b'/') {
        let path = PathBuf::from(command);
        return match path.metadata() {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                refuse(NOT_FOUND, format!("'{shown}': no such file"))
            }
            Err(e) => refuse(NOT_EXECUTABLE, format!("'{shown}': {e}")),
            Ok(metadata) if executable(&path, &metadata) => Ok(path),
            Ok(metadata) if metadata.is_dir() => {
                refuse(NOT_EXECUTABLE, format!("'{shown}' is a directory"))
            }
            Ok(_) => refuse(
                NOT_EXECUTABLE,
                format!("'{shown}' is not executable; allow it with chmod +x"),
            ),
        };
    }
    let search = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let mut denied = None;
    for directory in std::env::split_paths(&search) {
        let path = if directory.as_os_str().is_empty() {
            Path::new(".").join(command)
        } else {
            directory.join(command)
        };
        match path.metadata() {
            Ok(metadata) if executable(&path, &metadata) => return Ok(path),
            Ok(_) => denied = denied.or(Some(path)),
            Err(_) => {}
        }
    }
    match denied {
        Some(path) => {
            refuse(NOT_EXECUTABLE, format!("'{shown}': {} is not executable", path.display()))
        }
        None => refuse(NOT_FOUND, format!("'{shown}': no such command in PATH")),
    }
}

fn executable(path: &Path, metadata: &Metadata) -> bool {
    metadata.is_file() && access(path, Access::EXEC_OK).is_ok()
}

fn follow(path: &Path, scripts_left: usize) -> Result<(), Refusal> {
    let shown = path.display();
    let metadata = path.metadata();
    let Ok(file) = File::open(path) else {
        // Executable but not readable: the loader can, we cannot. The proof will tell.
        return metadata.map_or(Ok(()), |metadata| check_privilege(path, &metadata));
    };
    let unreadable = |e| Refusal { sentence: format!("'{shown}': {e}"), status: NOT_EXECUTABLE };
    if let Some(elf) = Elf::read(&file).map_err(unreadable)? {
        check_privilege(path, &metadata.map_err(unreadable)?)?;
        return check_elf(path, &elf);
    }
    let Some(interpreter) = script_interpreter(&file) else {
        // execvp() gives a file without a form of its own to the shell.
        return follow(Path::new("/bin/sh"), scripts_left.saturating_sub(1));
    };
    if scripts_left == 0 {
        return refuse(
            NOT_EXECUTABLE,
            format!("'{shown}': its #! lines lead through more than {MAX_SCRIPTS} files"),
        );
    }
    let (program, argument) = interpreter;
    let path = resolve(&program).map_err(|refusal| Refusal {
        sentence: format!("'{shown}' needs an interpreter: {}", refusal.sentence),
        status: NOT_FOUND,
    })?;
    follow(&path, scripts_left - 1)?;
    match argument.as_deref().filter(|_| path.file_name() == Some(OsStr::new("env"))) {
        Some(words) => match env_target(words) {
            Some(target) => follow(&resolve(&target)?, scripts_left - 1),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// `#! program [one argument]`
fn script_interpreter(mut file: &File) -> Option<(OsString, Option<OsString>)> {
    let mut head = [0; SCRIPT_HEAD];
    let len = file.read(&mut head).ok()?;
    let line = head[..len].strip_prefix(b"#!")?.split(|&b| b == b'\n').next()?.trim_ascii();
    let end = line.iter().position(|b| b" \t".contains(b)).unwrap_or(line.len());
    if end == 0 {
        return None;
    }
    let argument = Some(line[end..].trim_ascii()).filter(|argument| !argument.is_empty());
    let owned = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    Some((owned(&line[..end]), argument.map(owned)))
}

/// The command in `env [-S] [-options] [NAME=VALUE]... command`.
fn env_target(words: &OsStr) -> Option<OsString> {
    let words = words.as_bytes();
    let words = words.strip_prefix(b"-S").unwrap_or(words);
    let mut words = words.split(|b| b" \t".contains(b)).filter(|word| !word.is_empty());
    let target = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))?;
    Some(OsString::from_vec(target.to_vec()))
}

fn check_elf(path: &Path, elf: &Elf) -> Result<(), Refusal> {
    let shown = path.display();
    let own = File::open("/proc/self/exe").and_then(|file| Elf::read(&file)).ok().flatten();
    if let Some(own) = own.filter(|own| own.kind != elf.kind) {
        return refuse(
            NOT_RUN,
            format!(
                "'{shown}' is a program for {}, and the shim is built for {}; run a {} build of it",
                elf.kind, own.kind, own.kind
            ),
        );
    }
    if elf.go {
        return refuse(
            NOT_RUN,
            format!(
                "'{shown}' is a Go program: it makes its system calls without the C library, so \
                 a preloaded library never sees them; there is no remedy in LD_PRELOAD"
            ),
        );
    }
    match elf.interpreter.as_deref() {
        None => refuse(
            NOT_RUN,
            format!(
                "'{shown}' is statically linked: nothing can be preloaded into it; link it \
                 dynamically (without -static)"
            ),
        ),
        Some(loader) if loader.contains("/ld-musl-") => refuse(
            NOT_RUN,
            format!(
                "'{shown}' is linked against musl ({loader}), and the shim against glibc; use a \
                 glibc build of it"
            ),
        ),
        Some(_) => Ok(()),
    }
}

/// Programs that gain rights when they start are protected from preloading by the loader
/// (`AT_SECURE`, see ld.so(8) "Secure-execution mode").
fn check_privilege(path: &Path, metadata: &Metadata) -> Result<(), Refusal> {
    let no_new_privileges = rustix::thread::no_new_privs().unwrap_or(false);
    let mount = statvfs(path).map(|mount| mount.f_flag);
    if no_new_privileges || mount.is_ok_and(|flags| flags.contains(StatVfsMountFlags::NOSUID)) {
        return Ok(());
    }
    let file = Rights {
        mode: metadata.mode(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        capabilities: getxattr(path, "security.capability", &mut [0u8; 64][..]).is_ok(),
    };
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    let Some(gain) = file.gained_by(uid.as_raw(), gid.as_raw()) else { return Ok(()) };
    refuse(
        NOT_RUN,
        format!(
            "'{}' {gain}, and the loader ignores LD_PRELOAD for such programs; run a copy of it \
             without that (cp drops it), or run it as the user it belongs to",
            path.display()
        ),
    )
}

struct Rights {
    mode: u32,
    uid: u32,
    gid: u32,
    capabilities: bool,
}

impl Rights {
    /// What a process of this user and group gains by executing the file.
    fn gained_by(&self, uid: u32, gid: u32) -> Option<String> {
        let group_executable = self.mode & libc::S_IXGRP != 0;
        if self.mode & libc::S_ISUID != 0 && self.uid != uid {
            Some(format!("is setuid (user {})", self.uid))
        } else if self.mode & libc::S_ISGID != 0 && group_executable && self.gid != gid {
            Some(format!("is setgid (group {})", self.gid))
        } else if self.capabilities && uid != 0 {
            Some("has file capabilities".to_owned())
        } else {
            None
        }
    }
}

#[cfg(test)]
#[path = "preflight_tests.rs"]
mod tests;
