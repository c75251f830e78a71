//! Socket addresses between the program's memory and values, with the kernel's rules for their
//! lengths.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use core::{mem, ptr};

use libc::{c_int, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, socklen_t};
use tcplab_ipc::{Domain, Errno};

/// `SIN6_LEN_RFC2133`: a `sockaddr_in6` without its scope is enough.
const IN6_MIN_LEN: usize = 24;

/// Lowest address that may be mapped (`vm.mmap_min_addr` is never less on Linux distributions).
const LOWEST_MAPPED: usize = 4096;

/// Whether the program's pointer cannot be one: null, or a small number. The kernel answers
/// EFAULT; other bad pointers fault, as they do in libc's own code.
pub(crate) fn is_bad<T>(pointer: *const T) -> bool {
    pointer.addr() < LOWEST_MAPPED
}

/// An address as the program gave it.
pub(crate) struct Given {
    storage: sockaddr_storage,
    len: usize,
}

/// What `connect()` was asked.
pub(crate) enum Target {
    /// Connect.
    Peer(SocketAddr),
    /// `AF_UNSPEC`: dissolve the connection.
    Nobody,
}

impl Given {
    /// Copies an address out of the program's memory.
    ///
    /// # Safety
    /// `address` is null or points to `len` readable octets.
    pub(crate) unsafe fn read(address: *const sockaddr, len: socklen_t) -> Result<Given, Errno> {
        let len = len as usize;
        if len > size_of::<sockaddr_storage>() {
            return Err(Errno::EINVAL);
        }
        if is_bad(address) && len != 0 {
            return Err(Errno::EFAULT);
        }
        // SAFETY: all octets zero is a valid sockaddr_storage.
        let mut storage: sockaddr_storage = unsafe { mem::zeroed() };
        // SAFETY: the caller's promise; `len` fits the storage.
        unsafe {
            ptr::copy_nonoverlapping(
                address.cast::<u8>(),
                ptr::from_mut(&mut storage).cast::<u8>(),
                len,
            );
        }
        Ok(Given { storage, len })
    }

    fn family(&self) -> c_int {
        c_int::from(self.storage.ss_family)
    }

    /// The address for a socket of `domain`, as `connect()` takes it.
    pub(crate) fn target(&self, domain: Domain) -> Result<Target, Errno> {
        if self.len < size_of::<libc::sa_family_t>() {
            return Err(Errno::EINVAL);
        }
        if self.family() == libc::AF_UNSPEC {
            return Ok(Target::Nobody);
        }
        self.of_domain(domain).map(Target::Peer)
    }

    /// The address for a socket of `domain`, as `bind()` takes it.
    pub(crate) fn local(&self, domain: Domain) -> Result<SocketAddr, Errno> {
        // Linux: AF_UNSPEC passes for AF_INET where the address is the wildcard.
        if domain == Domain::V4
            && self.len >= size_of::<sockaddr_in>()
            && self.family() == libc::AF_UNSPEC
            && self.v4().ip().is_unspecified()
        {
            return Ok(SocketAddr::V4(self.v4()));
        }
        self.of_domain(domain)
    }

    fn of_domain(&self, domain: Domain) -> Result<SocketAddr, Errno> {
        let (min_len, family) = match domain {
            Domain::V4 => (size_of::<sockaddr_in>(), libc::AF_INET),
            Domain::V6 => (IN6_MIN_LEN, libc::AF_INET6),
        };
        if self.len < min_len {
            return Err(Errno::EINVAL);
        }
        if self.family() != family {
            return Err(Errno::EAFNOSUPPORT);
        }
        Ok(match domain {
            Domain::V4 => SocketAddr::V4(self.v4()),
            Domain::V6 => SocketAddr::V6(self.v6()),
        })
    }

    fn v4(&self) -> SocketAddrV4 {
        // SAFETY: the storage is larger and as aligned; integers only.
        let raw = unsafe { &*ptr::from_ref(&self.storage).cast::<sockaddr_in>() };
        let ip = Ipv4Addr::from(u32::from_be(raw.sin_addr.s_addr));
        SocketAddrV4::new(ip, u16::from_be(raw.sin_port))
    }

    fn v6(&self) -> SocketAddrV6 {
        // SAFETY: the storage is larger and as aligned; integers only.
        let raw = unsafe { &*ptr::from_ref(&self.storage).cast::<sockaddr_in6>() };
        let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
        // Flow information is kept as it stands in memory: it goes back the same way.
        SocketAddrV6::new(ip, u16::from_be(raw.sin6_port), raw.sin6_flowinfo, raw.sin6_scope_id)
    }
}

/// Gives `address` to the program: as much as fits, and the whole length.
///
/// # Safety
/// `len` points to a length, and `out` to so many writable octets.
pub(crate) unsafe fn write(
    address: SocketAddr,
    out: *mut sockaddr,
    len: *mut socklen_t,
) -> Result<(), Errno> {
    if is_bad(len) {
        return Err(Errno::EFAULT);
    }
    // SAFETY: the caller's promise.
    let room = unsafe { *len };
    if room.cast_signed() < 0 {
        return Err(Errno::EINVAL);
    }
    let (storage, full_len) = encode(address);
    let copied = full_len.min(room as usize);
    if is_bad(out) && copied != 0 {
        return Err(Errno::EFAULT);
    }
    // SAFETY: the caller's promise; `copied` is within both.
    unsafe {
        ptr::copy_nonoverlapping(ptr::from_ref(&storage).cast::<u8>(), out.cast::<u8>(), copied);
        *len = full_len as socklen_t;
    }
    Ok(())
}

fn encode(address: SocketAddr) -> (sockaddr_storage, usize) {
    // SAFETY: all octets zero is a valid sockaddr_storage.
    let mut storage: sockaddr_storage = unsafe { mem::zeroed() };
    let place = ptr::from_mut(&mut storage);
    match address {
        SocketAddr::V4(v4) => {
            let raw = sockaddr_in {
                sin_family: libc::AF_INET as u16,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: the storage is larger and as aligned.
            unsafe { place.cast::<sockaddr_in>().write(raw) };
            (storage, size_of::<sockaddr_in>())
        }
        SocketAddr::V6(v6) => {
            let raw = sockaddr_in6 {
                sin6_family: libc::AF_INET6 as u16,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: the storage is larger and as aligned.
            unsafe { place.cast::<sockaddr_in6>().write(raw) };
            (storage, size_of::<sockaddr_in6>())
        }
    }
}
