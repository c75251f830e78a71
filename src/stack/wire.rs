//! The wire: one UDP socket per address family, a complete TCP segment in each datagram.
//!
//! Bound to the loopback interface (`SO_BINDTODEVICE`, which needs no privilege), so datagrams
//! for every local address arrive and nothing does from outside.

use std::cell::Cell;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::datagram;

/// Port of the encapsulation, where it is free.
pub(super) const DEFAULT_UDP_PORT: u16 = 9293;
/// Largest UDP payload.
const MAX_DATAGRAM: usize = 65_535;
/// Datagrams fetched by one system call.
const BATCH: usize = 16;
/// What we ask of the kernel as receive buffer; without privilege `net.core.rmem_max` rules.
const WANTED_RECEIVE_BUFFER: usize = 8 << 20;
/// What the kernel charges for one of our largest datagrams, generously.
const CHARGE_PER_DATAGRAM: usize = 2 * MAX_DATAGRAM;

/// Both UDP sockets, and the buffers they share.
pub(super) struct Wire {
    v4: Channel,
    v6: Option<Channel>,
    port: u16,
    buffers: Vec<Vec<u8>>,
    burst: usize,
}

struct Channel {
    socket: UdpSocket,
    state: UdpSocketState,
    /// Something may have arrived, nobody knows how much: the poller said so.
    may_have: Cell<bool>,
    /// Datagrams that we have sent since we last looked: most likely to ourselves, and there.
    /// Where that is wrong, the poller tells.
    expected: Cell<usize>,
}

impl Wire {
    /// Opens port [`DEFAULT_UDP_PORT`], or another where that is taken.
    pub(super) fn open() -> io::Result<Wire> {
        let v4 = match Channel::open(Ipv4Addr::UNSPECIFIED.into(), DEFAULT_UDP_PORT) {
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
                Channel::open(Ipv4Addr::UNSPECIFIED.into(), 0)?
            }
            other => other?,
        };
        let port = v4.socket.local_addr()?.port();
        let v6 = Channel::open(Ipv6Addr::UNSPECIFIED.into(), port)
            .inspect_err(|e| tracing::warn!("no IPv6 on this machine: {e}"))
            .ok();
        let room = SockRef::from(&v4.socket).recv_buffer_size()?;
        let burst = (room / CHARGE_PER_DATAGRAM).max(1);
        let buffers = (0..BATCH).map(|_| vec![0; MAX_DATAGRAM]).collect();
        Ok(Wire { v4, v6, port, buffers, burst })
    }

    /// Port of the encapsulation.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Datagrams that may be on the way to ourselves before we must look at what arrived; more
    /// could overflow our own receive buffer.
    pub(super) fn burst(&self) -> usize {
        self.burst
    }

    /// Descriptors to watch: IPv4, and IPv6 where the machine has it.
    pub(super) fn descriptors(&self) -> (BorrowedFd<'_>, Option<BorrowedFd<'_>>) {
        (self.v4.socket.as_fd(), self.v6.as_ref().map(|v6| v6.socket.as_fd()))
    }

    /// The poller says that IPv4 datagrams have arrived.
    pub(super) fn note_arrival_v4(&self) {
        self.v4.may_have.set(true);
    }

    /// The poller says that IPv6 datagrams have arrived.
    pub(super) fn note_arrival_v6(&self) {
        if let Some(v6) = &self.v6 {
            v6.may_have.set(true);
        }
    }

    /// Sends one segment. A datagram that the kernel refuses is a lost one: TCP copes.
    pub(super) fn send(&self, from: IpAddr, to: IpAddr, segment: &[u8]) {
        let channel = match (to, &self.v6) {
            (IpAddr::V4(_), _) => &self.v4,
            (IpAddr::V6(_), Some(v6)) => v6,
            (IpAddr::V6(_), None) => return,
        };
        let destination = SocketAddr::new(to, self.port);
        channel.expected.set(channel.expected.get() + 1);
        let sent = if datagram::is_natural_source(from, to) {
            datagram::send(channel.socket.as_fd(), destination, segment)
        } else {
            let (ecn, segment_size, src_ip) = (None, None, Some(from));
            let transmit = Transmit { destination, ecn, contents: segment, segment_size, src_ip };
            channel.state.try_send(UdpSockRef::from(&channel.socket), &transmit)
        };
        if let Err(error) = sent {
            tracing::debug!(%error, %to, octets = segment.len(), "datagram not sent");
        }
    }

    /// Fetches one batch of what has arrived and hands it over as (from, to, payload). Returns how
    /// many datagrams there were, also those that carried nothing: 0 means that there are no more.
    pub(super) fn receive(&mut self, mut each: impl FnMut(IpAddr, IpAddr, &[u8])) -> usize {
        let Wire { v4, v6, buffers, .. } = self;
        let mut count = v4.receive(buffers, &mut each);
        if let Some(v6) = v6 {
            count += v6.receive(buffers, &mut each);
        }
        count
    }
}

impl Channel {
    fn open(address: IpAddr, port: u16) -> io::Result<Channel> {
        let address = SocketAddr::new(address, port);
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind_device(Some(b"lo"))?;
        let fd = socket.as_fd();
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(fd, WANTED_RECEIVE_BUFFER)
            .is_err()
        {
            socket.set_recv_buffer_size(WANTED_RECEIVE_BUFFER)?;
        }
        if rustix::net::sockopt::set_socket_send_buffer_size_force(fd, WANTED_RECEIVE_BUFFER)
            .is_err()
        {
            socket.set_send_buffer_size(WANTED_RECEIVE_BUFFER)?;
        }
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        Ok(Channel { socket, state, may_have: Cell::new(true), expected: Cell::new(0) })
    }

    fn receive(
        &self,
        buffers: &mut [Vec<u8>],
        each: &mut impl FnMut(IpAddr, IpAddr, &[u8]),
    ) -> usize {
        match (self.may_have.get(), self.expected.take()) {
            (false, 0) => 0,
            (false, 1) => self.receive_one(&mut buffers[0], each),
            // Most of what the poller tells of was expected, and is here no longer.
            (true, 0) => {
                let one = self.receive_one(&mut buffers[0], each);
                self.may_have.set(false);
                if one > 0 { one + self.receive_batch(buffers, each) } else { 0 }
            }
            _ => self.receive_batch(buffers, each),
        }
    }

    fn receive_one(
        &self,
        buffer: &mut [u8],
        each: &mut impl FnMut(IpAddr, IpAddr, &[u8]),
    ) -> usize {
        let Some(datagram) = datagram::receive(self.socket.as_fd(), buffer) else { return 0 };
        hand_over(datagram.ends, &buffer[..datagram.len], datagram.stride, each);
        1
    }

    fn receive_batch(
        &self,
        buffers: &mut [Vec<u8>],
        each: &mut impl FnMut(IpAddr, IpAddr, &[u8]),
    ) -> usize {
        let mut meta = [RecvMeta::default(); BATCH];
        let count = {
            let mut slices: [IoSliceMut<'_>; BATCH] = {
                let mut buffers = buffers.iter_mut();
                std::array::from_fn(|_| IoSliceMut::new(buffers.next().map_or(&mut [], |b| b)))
            };
            self.state.recv(UdpSockRef::from(&self.socket), &mut slices, &mut meta).unwrap_or(0)
        };
        self.may_have.set(count == BATCH);
        for (meta, buffer) in meta.iter().zip(buffers.iter()).take(count) {
            let ends = meta.dst_ip.map(|to| (meta.addr.ip(), to));
            hand_over(ends, &buffer[..meta.len], meta.stride, each);
        }
        count
    }
}

/// Hands over what lies in one buffer, where its ends are known. With UDP_GRO that may be several
/// datagrams of `stride` octets; it is none where the datagram was empty.
fn hand_over(
    ends: Option<(IpAddr, IpAddr)>,
    octets: &[u8],
    stride: usize,
    each: &mut impl FnMut(IpAddr, IpAddr, &[u8]),
) {
    let Some((from, to)) = ends else { return };
    octets.chunks(stride.max(1)).for_each(|payload| each(from, to, payload));
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    /// Receives until nothing is said to be there: how many datagrams, and their payloads.
    fn drain(channel: &Channel, buffers: &mut [Vec<u8>]) -> (usize, Vec<Vec<u8>>) {
        channel.may_have.set(true);
        let (mut count, mut payloads) = (0, Vec::new());
        loop {
            let mut each = |_, _, octets: &[u8]| payloads.push(octets.to_vec());
            match channel.receive(buffers, &mut each) {
                0 => break,
                some => count += some,
            }
        }
        // What the poller has told once it does not tell again.
        assert!(!channel.may_have.get());
        (count, payloads)
    }

    #[test]
    fn datagrams_that_carry_nothing_hide_none_behind_them() {
        let channel = Channel::open(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
        let to = channel.socket.local_addr().unwrap();
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut buffers = vec![vec![0; MAX_DATAGRAM]; BATCH];
        for empty in [0, 1, 2, BATCH, 3 * BATCH] {
            for _ in 0..empty {
                sender.send_to(&[], to).unwrap();
            }
            sender.send_to(b"segment", to).unwrap();
            assert_eq!(drain(&channel, &mut buffers), (empty + 1, vec![b"segment".to_vec()]));
        }
    }

    #[test]
    fn datagrams_that_were_sent_nobody_knows_where_are_fetched_all() {
        let channel = Channel::open(Ipv4Addr::LOCALHOST.into(), 0).unwrap();
        let to = channel.socket.local_addr().unwrap();
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut buffers = vec![vec![0; MAX_DATAGRAM]; BATCH];
        let off: libc::c_int = 0;
        let (place, len) = ((&raw const off).cast(), size_of_val(&off) as libc::socklen_t);
        let fd = channel.socket.as_raw_fd();
        // SAFETY: the kernel reads an int, which outlives the call.
        let done = unsafe { libc::setsockopt(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, place, len) };
        assert_eq!(done, 0);
        for count in [1, 2, 3 * BATCH] {
            for _ in 0..count {
                sender.send_to(b"segment", to).unwrap();
            }
            assert_eq!(drain(&channel, &mut buffers), (count, Vec::new()));
        }
    }
}
