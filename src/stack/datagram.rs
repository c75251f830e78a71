//! One datagram by one system call: cheaper than a batch of one, which is what most arrive as.

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::net::SendFlags;

/// Room for the control messages that quinn-udp makes the kernel add: destination, ECN, stride,
/// with a reserve.
const CONTROL_LEN: usize = 256;

/// What was received, besides its octets.
pub(super) struct Datagram {
    /// Where it came from and where it was sent to; `None` where the kernel does not tell.
    pub(super) ends: Option<(IpAddr, IpAddr)>,
    pub(super) len: usize,
    /// With UDP_GRO the kernel may put several datagrams of so many octets in one buffer.
    pub(super) stride: usize,
}

/// A buffer as aligned as control messages are.
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; CONTROL_LEN]);

/// Fetches one datagram into `buffer`. `None`: there is none.
pub(super) fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Option<Datagram> {
    let mut control = Control([MaybeUninit::uninit(); CONTROL_LEN]);
    // SAFETY: integers only.
    let mut name: libc::sockaddr_storage = unsafe { zeroed() };
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all octets zero is a message without parts.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_name = (&raw mut name).cast();
    message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = CONTROL_LEN as _;
    // SAFETY: the message's parts are valid for the lengths given and outlive the call.
    let len = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    let len = usize::try_from(len).ok()?;
    let from = sender(&name);
    let (mut to, mut stride) = (None, len);
    // SAFETY: the kernel has filled `message` in; its control messages lie in `control`.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: a header that CMSG_FIRSTHDR or CMSG_NXTHDR gave, followed by its data, which is
        // of the type that level and type say.
        unsafe {
            let data = libc::CMSG_DATA(header);
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    to = Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    to = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let octets = data.cast::<libc::c_int>().read_unaligned();
                    stride = usize::try_from(octets).unwrap_or(len);
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
    }
    Some(Datagram { ends: from.zip(to), len, stride: stride.max(1) })
}

fn sender(name: &libc::sockaddr_storage) -> Option<IpAddr> {
    let name = std::ptr::from_ref(name);
    // SAFETY: the family says which type the kernel has written into the storage.
    unsafe {
        match i32::from((*name).ss_family) {
            libc::AF_INET => {
                let v4 = &*name.cast::<libc::sockaddr_in>();
                Some(Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes()).into())
            }
            libc::AF_INET6 => {
                let v6 = &*name.cast::<libc::sockaddr_in6>();
                Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}

/// Whether a socket that is bound to no address sends from `from` by itself.
pub(super) fn is_natural_source(from: IpAddr, to: IpAddr) -> bool {
    from == to && (from == Ipv4Addr::LOCALHOST || from == Ipv6Addr::LOCALHOST)
}

/// Sends one datagram from the address that the kernel chooses.
pub(super) fn send(fd: BorrowedFd<'_>, to: SocketAddr, octets: &[u8]) -> io::Result<()> {
    rustix::net::sendto(fd, octets, SendFlags::DONTWAIT | SendFlags::NOSIGNAL, &to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    use quinn_udp::{UdpSockRef, UdpSocketState};

    use super::*;

    fn ends(address: &str) -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        UdpSocketState::new(UdpSockRef::from(&socket)).unwrap();
        let port = socket.local_addr().unwrap().port();
        (socket, SocketAddr::new(address.parse().unwrap(), port))
    }

    #[test]
    fn a_datagram_tells_where_it_came_from_and_where_it_went() {
        for address in ["127.0.0.1", "::1"] {
            let (socket, to) = ends(address);
            let mut buffer = [0; 100];
            assert!(receive(socket.as_fd(), &mut buffer).is_none(), "nothing is there");
            send(socket.as_fd(), to, b"segment").unwrap();
            let datagram = receive(socket.as_fd(), &mut buffer).unwrap();
            assert_eq!(datagram.ends, Some((to.ip(), to.ip())));
            assert_eq!(&buffer[..datagram.len], b"segment");
            assert_eq!(datagram.stride, 7);
        }
    }

    #[test]
    fn the_kernel_chooses_the_natural_source() {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let (receiver, to) = ends("127.0.0.1");
        assert!(is_natural_source(to.ip(), to.ip()));
        send(socket.as_fd(), to, b"x").unwrap();
        let (from, _) = receive(receiver.as_fd(), &mut [0; 9]).unwrap().ends.unwrap();
        assert_eq!(from, to.ip());
        assert!(!is_natural_source("127.0.0.2".parse().unwrap(), to.ip()));
    }
}
