//! What the shim, the stack process and the command say to each other.
//!
//! Three things, nothing else: the abstract names under which kernel objects are found
//! ([`names`]), the messages on the control channel ([`message`]), and the fixed-size records
//! that travel on the sockets themselves ([`record`]). No allocation, no system call: the shim
//! uses this crate from signal handlers.

pub mod message;
pub mod names;
pub mod record;
pub mod ring;

/// Version of everything in this crate; both sides refuse to talk to another one.
pub const PROTOCOL_VERSION: u16 = 3;

/// Identity of one emulated socket for its whole life, chosen by the shim at `socket()` and by
/// the stack for accepted connections. It is written in the kernel name of the socket, so it
/// survives `dup`, `fork`, `exec` and `SCM_RIGHTS`.
///
/// The upper 16 bits say which stack the socket was made for ([`SocketId::stack`]): when that dies,
/// what it knew of the socket is gone, and the next one must not take it for new.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u64);

impl SocketId {
    const NUMBER_BITS: u32 = 48;
    const NUMBER: u64 = (1 << Self::NUMBER_BITS) - 1;

    /// An identity of a socket made for `stack`, from a number that no other one has in its lower 48
    /// bits.
    pub fn new(stack: u16, number: u64) -> SocketId {
        SocketId(u64::from(stack) << Self::NUMBER_BITS | number & Self::NUMBER)
    }

    /// The mark of the stack that the socket was made for; 0: of whichever there is.
    pub fn stack(self) -> u16 {
        (self.0 >> Self::NUMBER_BITS) as u16
    }
}

impl core::fmt::Debug for SocketId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Address family the program asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Domain {
    /// `AF_INET`
    V4,
    /// `AF_INET6`
    V6,
}

/// A Linux errno value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

impl core::fmt::Debug for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Errno({})", self.0)
    }
}

macro_rules! errnos {
    ($($name:ident),* $(,)?) => {
        #[allow(missing_docs, reason = "each is the errno of the same name")]
        impl Errno { $(pub const $name: Errno = Errno(libc::$name);)* }
        impl Errno {
            /// Symbolic name, `"E?"` for one this crate does not use.
            pub fn name(self) -> &'static str {
                match self.0 { $(libc::$name => stringify!($name),)* _ => "E?" }
            }

            /// The errno with that symbolic name; `None` for one this crate does not use.
            pub fn of_name(name: &str) -> Option<Errno> {
                match name { $(stringify!($name) => Some(Errno::$name),)* _ => None }
            }
        }
    };
}
errnos!(
    EPERM,
    EINTR,
    EIO,
    EBADF,
    EAGAIN,
    ENOMEM,
    EACCES,
    EFAULT,
    EINVAL,
    ENFILE,
    EMFILE,
    ENOTTY,
    EPIPE,
    EDOM,
    ENOTSOCK,
    EDESTADDRREQ,
    EMSGSIZE,
    EPROTOTYPE,
    ENOPROTOOPT,
    EPROTONOSUPPORT,
    EOPNOTSUPP,
    EAFNOSUPPORT,
    EADDRINUSE,
    EADDRNOTAVAIL,
    ENETDOWN,
    ENETUNREACH,
    ECONNABORTED,
    ECONNRESET,
    ENOBUFS,
    EISCONN,
    ENOTCONN,
    ETIMEDOUT,
    ECONNREFUSED,
    EHOSTUNREACH,
    EALREADY,
    EINPROGRESS,
    EPROTO,
    ENOENT,
    ENODEV,
);
