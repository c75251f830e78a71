//! Who holds a socket: every process with a descriptor of it, found in `/proc`.
//!
//! The program's end of a socket has its identity as its abstract name, so `/proc/net/unix` gives
//! the inode and `/proc/PID/fd` the descriptors: forked children and receivers of SCM_RIGHTS
//! included. As with `ss`, other users' processes are seen by root only.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use serde::Serialize;
use tcplab::ipc::names::{Object, Session, parse};

/// One descriptor of a socket.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub(in crate::cli) struct Holder {
    /// Process.
    pub(in crate::cli) pid: u32,
    /// Descriptor in it.
    pub(in crate::cli) fd: u32,
    /// Its command name, as `ps -o comm`.
    pub(in crate::cli) name: String,
}

/// The kernel socket under an emulated one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::cli) struct Held {
    /// Inode of the program's end.
    pub(in crate::cli) inode: u64,
    /// Descriptors of it, by process and number.
    pub(in crate::cli) holders: Vec<Holder>,
}

/// Sockets of a session by their identity as in `SocketRow::id`.
pub(in crate::cli) type HeldById = HashMap<String, Held>;

/// Finds every socket of the session and its holders.
pub(in crate::cli) fn find(session: &Session) -> HeldById {
    let table = fs::read("/proc/net/unix").unwrap_or_default();
    let mut by_inode: BTreeMap<u64, (String, Held)> = BTreeMap::new();
    for (inode, id) in sockets(&table, session) {
        by_inode.insert(inode, (id, Held { inode, holders: Vec::new() }));
    }
    if !by_inode.is_empty() {
        scan(Path::new("/proc"), |inode, holder| {
            if let Some((_, held)) = by_inode.get_mut(&inode) {
                held.holders.push(holder());
            }
        });
    }
    by_inode
        .into_values()
        .map(|(id, mut held)| {
            held.holders.sort();
            (id, held)
        })
        .collect()
}

/// (inode, identity) of the lines of `/proc/net/unix` that are programs' ends.
fn sockets<'a>(
    table: &'a [u8],
    session: &'a Session,
) -> impl Iterator<Item = (u64, String)> + use<'a> {
    table.split(|&b| b == b'\n').filter_map(move |line| {
        // Num RefCount Protocol Flags Type St Inode Path
        let mut words = core::str::from_utf8(line).ok()?.split_ascii_whitespace().skip(6);
        let (inode, path) = (words.next()?, words.next()?);
        match parse(path.strip_prefix('@')?.as_bytes())? {
            (owner, Object::App(_, id)) if owner == *session => {
                Some((inode.parse().ok()?, format!("{id:?}")))
            }
            _ => None,
        }
    })
}

/// Calls `found` for every descriptor of a socket in every process that may be looked at.
fn scan(proc: &Path, mut found: impl FnMut(u64, &dyn Fn() -> Holder)) {
    for process in entries(proc) {
        let Some(pid) = number(&process) else { continue };
        for descriptor in entries(&process.join("fd")) {
            // Descriptors come and go while we look: whatever cannot be read is gone.
            let Ok(target) = fs::read_link(&descriptor) else { continue };
            let inode = target.to_str().and_then(|target| {
                target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
            });
            let (Some(inode), Some(fd)) = (inode, number(&descriptor)) else { continue };
            found(inode, &|| {
                let name = fs::read(process.join("comm")).unwrap_or_default();
                let name = String::from_utf8_lossy(name.trim_ascii_end()).into_owned();
                Holder { pid, fd, name }
            });
        }
    }
}

fn entries(directory: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn number(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, socket};
    use tcplab::ipc::names::Name;
    use tcplab::ipc::{Domain, SocketId};

    use super::*;

    #[test]
    fn only_programs_ends_of_the_session_are_taken() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 12 /run/x@tcplab/0/s/4/0000000000000001
0000000000000000: 00000002 00000000 00000000 0001 03 34 @tcplab/0/s/4/0000000000000abc
0000000000000000: 00000002 00000000 00000000 0001 03 35 @tcplab/0/other/4/0000000000000abc
0000000000000000: 00000002 00000000 00000000 0001 03 36 @tcplab/0/s/conn
0000000000000000: 00000002 00000000 00010000 0005 01 37 @tcplab/0/s/ctl
";
        let session = Session::parse(b"s", 0).unwrap();
        let found = sockets(table, &session).collect::<Vec<_>>();
        assert_eq!(found, [(34, "0000000000000abc".to_owned())]);
    }

    #[test]
    fn every_descriptor_of_a_socket_is_found() {
        let name = format!("holders-{}", std::process::id());
        let session = Session::parse(name.as_bytes(), 4711).unwrap();
        let name = Name::new(&session, Object::App(Domain::V6, SocketId(77)));
        let first = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        bind(&first, &SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap()).unwrap();
        let second = first.try_clone().unwrap();
        let held = &find(&session)["000000000000004d"];
        let pid = std::process::id();
        let mut descriptors: Vec<u32> = held.holders.iter().map(|holder| holder.fd).collect();
        descriptors.sort_unstable();
        let mut expected = [first.as_raw_fd(), second.as_raw_fd()].map(i32::cast_unsigned);
        expected.sort_unstable();
        assert_eq!(descriptors, expected);
        assert!(held.holders.iter().all(|holder| holder.pid == pid && !holder.name.is_empty()));
        assert_ne!(held.inode, 0);
    }
}
