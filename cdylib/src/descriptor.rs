//! Which descriptors are ours, and what they have become.
//!
//! The truth is the kernel's: the abstract name of the socket ([`identify`]) and of its peer
//! ([`Socket::role`]). The table here is a hint per number, so that calls on other descriptors
//! cost one load and one branch, and reads and writes on ours no system call of our own. A hint
//! that is too high is found out and lowered; one that is too low does not arise, because
//! every call that can make one of our descriptors appear under a number is hooked, and those
//! present at the start are looked at by [`scan`].

use core::sync::atomic::{AtomicU8, Ordering};

use libc::c_int;
use tcplab_ipc::names::{Name, Object, Role, Session};
use tcplab_ipc::{Domain, SocketId};

use crate::{calls, guard, sys};

/// Numbers with a hint; those beyond are asked every time.
const HINTS: usize = 65536;

/// What a number is believed to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Hint {
    /// Not ours.
    Foreign = 0,
    /// Perhaps ours: ask.
    Unknown = 1,
    /// Ours; octets flow, or have flowed.
    Connection = 2,
    /// Ours; a connect() that was not waited for, `SO_SNDBUF` still at its minimum.
    Connecting = 3,
    /// Ours; listening.
    Listener = 4,
    /// As `Connection`, and the `connect()` that was not waited for is over: the next one says 0.
    Established = 5,
}

impl Hint {
    /// Octets flow, or have flowed, and the send buffer is as the program wants it.
    #[inline(always)]
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Hint::Connection | Hint::Established)
    }
}

static TABLE: [AtomicU8; HINTS] = [const { AtomicU8::new(0) }; HINTS];

/// What `fd` is believed to be.
#[inline(always)]
pub(crate) fn hint(fd: c_int) -> Hint {
    match TABLE.get(fd as u32 as usize) {
        Some(entry) => match entry.load(Ordering::Relaxed) {
            0 => Hint::Foreign,
            2 => Hint::Connection,
            3 => Hint::Connecting,
            4 => Hint::Listener,
            5 => Hint::Established,
            _ => Hint::Unknown,
        },
        None if fd < 0 => Hint::Foreign,
        None => Hint::Unknown,
    }
}

/// Remembers what `fd` is. In memory that is not ours (between vfork and exec) only "ask" is
/// noted, which can never be wrong.
pub(crate) fn note(fd: c_int, hint: Hint) {
    let Some(entry) = TABLE.get(fd as u32 as usize) else { return };
    let old = entry.load(Ordering::Relaxed);
    if old == hint as u8 {
        return;
    }
    if guard::owns_memory() {
        entry.store(hint as u8, Ordering::Relaxed);
    } else if old == Hint::Foreign as u8 {
        entry.store(Hint::Unknown as u8, Ordering::Relaxed);
    }
}

/// One of our sockets, as its kernel name says.
#[derive(Clone, Copy)]
pub(crate) struct Socket {
    /// Number under which it was asked.
    pub(crate) fd: c_int,
    /// Session it belongs to: that of whoever made it.
    pub(crate) session: Session,
    /// Family the program asked for.
    pub(crate) domain: Domain,
    /// Identity.
    pub(crate) id: SocketId,
}

impl Socket {
    /// What the socket has become.
    pub(crate) fn role(&self) -> Role {
        let Ok((address, len)) = sys::getpeername(self.fd) else { return Role::Fresh };
        match Name::parse_sockaddr(&address, len) {
            Some((_, Object::Listeners)) => Role::Listener,
            _ => Role::Connection,
        }
    }

    /// Whether `O_NONBLOCK` is set.
    pub(crate) fn is_nonblocking(&self) -> bool {
        sys::fcntl(self.fd, libc::F_GETFL, 0).is_ok_and(|flags| flags & libc::O_NONBLOCK != 0)
    }
}

/// The socket of ours that `fd` is; asks the kernel.
pub(crate) fn identify(fd: c_int) -> Option<Socket> {
    let (address, len) = sys::getsockname(fd).ok()?;
    match Name::parse_sockaddr(&address, len)? {
        (session, Object::App(domain, id)) => Some(Socket { fd, session, domain, id }),
        _ => None,
    }
}

/// The socket of ours that `fd` is. Asks the kernel only where the hint does not rule it out.
#[inline]
pub(crate) fn ours(fd: c_int) -> Option<Socket> {
    if hint(fd) == Hint::Foreign {
        return None;
    }
    let socket = identify(fd);
    if socket.is_none() {
        note(fd, Hint::Foreign);
    }
    socket
}

/// Asks the kernel what `fd` is and remembers it.
pub(crate) fn classify(fd: c_int) -> Hint {
    let hint = match identify(fd) {
        None => Hint::Foreign,
        Some(socket) => match socket.role() {
            Role::Fresh => Hint::Unknown,
            Role::Listener => Hint::Listener,
            // Perhaps with filler before it: the first write looks.
            Role::Connection => Hint::Connecting,
        },
    };
    note(fd, hint);
    hint
}

/// The number `to` has become a copy of `from`.
pub(crate) fn copied(from: c_int, to: c_int) {
    let hint = hint(from);
    note(to, hint);
}

/// Whether any number is believed to be ours.
pub(crate) fn any_is_ours() -> bool {
    TABLE.iter().any(|entry| entry.load(Ordering::Relaxed) != Hint::Foreign as u8)
}

/// Looks at every descriptor of the process, as inherited.
pub(crate) fn scan() {
    let Ok(directory) = sys::open(b"/proc/self/fd\0", libc::O_RDONLY | libc::O_CLOEXEC) else {
        // No /proc: the numbers a parent can have meant are low.
        (0..1024).for_each(found_at_start);
        return;
    };
    let mut entries = [0u8; 4096];
    while let Ok(len) = sys::getdents(directory, &mut entries) {
        let mut rest = entries.get(..len).unwrap_or(&[]);
        if rest.is_empty() {
            break;
        }
        // struct linux_dirent64: ino u64, off i64, reclen u16, type u8, name.
        while let Some(&[low, high]) = rest.get(16..18) {
            let entry_len = usize::from(u16::from_ne_bytes([low, high])).max(19);
            if let Some(fd) = rest.get(19..entry_len).and_then(number) {
                found_at_start(fd);
            }
            rest = rest.get(entry_len..).unwrap_or(&[]);
        }
    }
    sys::close(directory);
}

/// The program was started with this descriptor.
fn found_at_start(fd: c_int) {
    if classify(fd) != Hint::Foreign {
        calls::inherited(fd);
    }
}

/// The decimal number before the first NUL; `None` where something else stands there.
fn number(name: &[u8]) -> Option<c_int> {
    let digits = name.split(|&octet| octet == 0).next()?;
    core::str::from_utf8(digits).ok()?.parse().ok()
}
