//! Where the stack meets the kernel: unix sockets, ancillary data, ioctls, each as one safe call.
//!
//! Nothing here knows what a connection is.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::ipc::names::{self, Name, Object, Session};
use crate::ipc::ring::{RING_LEN, Ring};
use crate::time::Duration;

/// Connections that may wait for the stack's own accept(): more than a busy second brings.
const STACK_BACKLOG: i32 = 4096;

/// Abstract address of `name`. Our names always fit, so this does not fail.
fn address(name: &Name) -> io::Result<SocketAddrUnix> {
    Ok(SocketAddrUnix::new_abstract_name(name.as_bytes())?)
}

/// A listening socket under an abstract name. Error `AddrInUse`: somebody has the name.
pub(super) fn listen(name: &Name, kind: SocketType) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?;
    rustix::net::bind(&fd, &address(name)?)?;
    rustix::net::listen(&fd, STACK_BACKLOG)?;
    Ok(fd)
}

/// What the name of a connecting socket tells, where it is one of ours.
pub(super) type Identity = Option<(Session, Object)>;

/// Takes one connection, with its identity; `None` when there is none.
pub(super) fn accept(listener: BorrowedFd<'_>) -> io::Result<Option<(OwnedFd, Identity)>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    match rustix::net::acceptfrom_with(listener, flags) {
        Ok((fd, peer)) => Ok(Some((fd, peer.and_then(identity)))),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::CONNABORTED) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// A descriptor kept back for the moment when the descriptor table is full: whoever knocks then
/// is turned away, where he would wait for ever otherwise.
pub(super) struct Spare(Option<OwnedFd>);

impl Spare {
    pub(super) fn new() -> Spare {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        Spare(rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty()).ok())
    }

    /// Takes one connection and closes it. False: not even that, or nobody waits.
    pub(super) fn refuse(&mut self, listener: BorrowedFd<'_>) -> bool {
        self.0 = None;
        let refused = matches!(accept(listener), Ok(Some(_)));
        *self = Spare::new();
        refused
    }
}

fn identity(address: SocketAddrAny) -> Identity {
    let address = SocketAddrUnix::try_from(address).ok()?;
    names::parse(address.abstract_name()?)
}

/// A connected pair: (the stack's end, the program's end under its name).
pub(super) fn pair(program_end: &Name) -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::bind(&theirs, &address(program_end)?)?;
    Ok((ours, theirs))
}

/// SO_SNDBUF of every new `AF_UNIX` socket of this machine (`net.core.wmem_default`).
pub(super) fn default_send_buffer() -> usize {
    let (unix, cloexec) = (AddressFamily::UNIX, SocketFlags::CLOEXEC);
    let socket = rustix::net::socket_with(unix, SocketType::STREAM, cloexec, None);
    // 0 where there is no descriptor left: least is held then.
    socket.and_then(rustix::net::sockopt::socket_send_buffer_size).unwrap_or(0)
}

/// Whether some process still holds the socket of this name. The kernel frees an abstract name
/// with the last descriptor, so trying to take it is the question.
pub(super) fn is_alive(name: &Name) -> bool {
    let probe = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    );
    let (Ok(probe), Ok(address)) = (probe, address(name)) else {
        return true;
    };
    rustix::net::bind(&probe, &address).is_err()
}

/// Whether any program has a socket that was made for the stack with that mark, known to it or not.
pub(super) fn has_sockets(session: &Session, mark: u16) -> bool {
    let table = std::fs::read("/proc/net/unix").unwrap_or_default();
    // The name is the last column, the NUL before an abstract one printed as '@'.
    let name = |line: &[u8]| line.iter().rposition(|&octet| octet == b'@').map(|at| at + 1);
    let names = table.split(|&octet| octet == b'\n').filter_map(|line| line.get(name(line)?..));
    let mut objects = names.filter_map(names::parse);
    let is_of_stack = |object| matches!(object, Object::App(_, id) if id.stack() == mark);
    objects.any(|(of, object)| of == *session && is_of_stack(object))
}

/// User and process of the other end, as they were at connect().
pub(super) fn peer(fd: BorrowedFd<'_>) -> Option<(u32, u32)> {
    let cred = rustix::net::sockopt::socket_peercred(fd).ok()?;
    Some((cred.uid.as_raw(), cred.pid.as_raw_nonzero().get().unsigned_abs()))
}

/// Octets that wait to be read from `fd`.
pub(super) fn pending(fd: BorrowedFd<'_>) -> usize {
    rustix::io::ioctl_fionread(fd).map_or(0, |n| usize::try_from(n).unwrap_or(0))
}

/// Memory of what was written to `fd` and not yet read by the other end; 0 exactly when all is
/// read (the kernel counts whole buffers, not octets).
pub(super) fn unread_by_peer(fd: BorrowedFd<'_>) -> usize {
    let mut value: libc::c_int = 0;
    // SAFETY: TIOCOUTQ writes one int to the pointer given, which outlives the call.
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut value) };
    if done == 0 { usize::try_from(value).unwrap_or(0) } else { 0 }
}

/// Sends `record` with a descriptor on a stream. `Ok(false)`: no room now.
pub(super) fn send_descriptor(
    to: BorrowedFd<'_>,
    record: &[u8],
    descriptor: BorrowedFd<'_>,
) -> io::Result<bool> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [descriptor];
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let octets = [io::IoSlice::new(record)];
    match rustix::net::sendmsg(to, &octets, &mut ancillary, flags) {
        Ok(_) => Ok(true),
        Err(rustix::io::Errno::AGAIN) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Outcome of reading or writing without waiting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// So many octets; 0 on reading is end of file.
    Octets(usize),
    /// Nothing now.
    WouldBlock,
    /// The other end is gone; [`io::ErrorKind::ConnectionReset`] on reading says that it left
    /// octets of ours unread.
    Gone(rustix::io::Errno),
}

fn moved(result: rustix::io::Result<usize>) -> Moved {
    match result {
        Ok(n) => Moved::Octets(n),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Moved::WouldBlock,
        Err(e) => Moved::Gone(e),
    }
}

/// Reads into several buffers.
pub(super) fn read_into(fd: BorrowedFd<'_>, buffers: &mut [io::IoSliceMut<'_>]) -> Moved {
    let mut none = RecvAncillaryBuffer::default();
    let read = rustix::net::recvmsg(fd, buffers, &mut none, RecvFlags::DONTWAIT);
    moved(read.map(|message| message.bytes))
}

/// Reads or peeks into one buffer.
pub(super) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8], flags: RecvFlags) -> Moved {
    moved(rustix::net::recv(fd, buffer, flags | RecvFlags::DONTWAIT).map(|(_, n)| n))
}

/// Sets an option of `SOL_SOCKET` from its octets.
pub(super) fn set_socket_option(fd: BorrowedFd<'_>, name: i32, value: &[u8]) {
    let len = value.len() as libc::socklen_t;
    // SAFETY: the kernel reads `len` octets of `value`, which outlives the call.
    unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, value.as_ptr().cast(), len);
    }
}

/// Makes a kernel socket fit to be the stack's end of a TCP socket: urgent octets are part of the
/// stream ([`at_mark`] tells which one it is).
pub(super) fn prepare_end(fd: BorrowedFd<'_>) {
    let _ = rustix::net::sockopt::set_socket_oobinline(fd, true);
}

/// Gives the stack's end room for a whole receive buffer.
pub(super) fn enlarge_send_buffer(fd: BorrowedFd<'_>) {
    use rustix::net::sockopt;
    if sockopt::set_socket_send_buffer_size_force(fd, END_SEND_BUFFER).is_err() {
        let _ = sockopt::set_socket_send_buffer_size(fd, END_SEND_BUFFER);
    }
}

/// Room for received octets that the program has not read, as far as `net.core.wmem_max` allows:
/// what does not fit stays in the TCB, where a program cannot read it after a RST.
const END_SEND_BUFFER: usize = 4 << 20;

/// Whether the next octet to read is the urgent one.
pub(super) fn at_mark(fd: BorrowedFd<'_>) -> bool {
    let mut value: libc::c_int = 0;
    // SAFETY: SIOCATMARK writes one int to the pointer given, which outlives the call.
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), SIOCATMARK, &raw mut value) };
    done == 0 && value != 0
}

/// `SIOCATMARK` of asm-generic/sockios.h.
const SIOCATMARK: libc::Ioctl = 0x8905;

/// Writes one urgent octet.
pub(super) fn write_urgent(fd: BorrowedFd<'_>, octet: u8) -> Moved {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL | SendFlags::OOB;
    moved(rustix::net::send(fd, &[octet], flags))
}

/// Writes two buffers as one.
pub(super) fn write_from(fd: BorrowedFd<'_>, buffers: (&[u8], &[u8])) -> Moved {
    if buffers.1.is_empty() {
        return send(fd, buffers.0);
    }
    let octets = [io::IoSlice::new(buffers.0), io::IoSlice::new(buffers.1)];
    let mut none = SendAncillaryBuffer::default();
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    moved(rustix::net::sendmsg(fd, &octets, &mut none, flags))
}

/// Sends one packet, or what a stream takes of it.
pub(super) fn send(fd: BorrowedFd<'_>, packet: &[u8]) -> Moved {
    moved(rustix::net::send(fd, packet, SendFlags::DONTWAIT | SendFlags::NOSIGNAL))
}

/// Ends the stream towards the program: it reads what is queued, then 0.
pub(super) fn end_stream(fd: BorrowedFd<'_>) {
    let _ = rustix::net::shutdown(fd.as_fd(), rustix::net::Shutdown::Write);
}

/// Memory for a call ring, and the file by which others map it. Nobody can make it shorter, which
/// would end whoever reads it then. It stays mapped as long as the process runs.
pub(super) fn shared_ring() -> io::Result<(OwnedFd, &'static Ring)> {
    use rustix::fs::{MemfdFlags, SealFlags};
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("tcplab-calls", flags)?;
    rustix::fs::ftruncate(&file, RING_LEN as u64)?;
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    let (readable, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    // SAFETY: a new mapping, at a place that the kernel chooses.
    let place = unsafe {
        libc::mmap(std::ptr::null_mut(), RING_LEN, readable, shared, file.as_raw_fd(), 0)
    };
    if place == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as long and as aligned as a ring, never unmapped, sealed at its length; a ring is
    // made of atomics, of which every value is one.
    Ok((file, unsafe { &*place.cast::<Ring>() }))
}

/// `CLOCK_MONOTONIC`, by which programs date what they leave word of.
pub(super) fn monotonic() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(now).unwrap_or_default()
}
