//! IPPROTO_IP and IPPROTO_IPV6. The wire is UDP, so time to live, type of service and the like
//! are stored for the program and go nowhere.

use super::{Accepts, Answer, Simple, ip_number, number, simple, within};
use crate::host::sysctl::Key;
use crate::host::{Host, SocketKey};
use crate::ipc::Errno;
use crate::tcp::State;

/// Names that `libc` does not have, or not under every target.
const IP_RECVOPTS: i32 = 6;
const IP_RETOPTS: i32 = 7;
const IP_MTU: i32 = 14;
const IP_PASSSEC: i32 = 18;
const IP_CHECKSUM: i32 = 23;
const IP_RECVERR_RFC4884: i32 = 26;
const IP_MULTICAST_ALL: i32 = 49;
const IP_LOCAL_PORT_RANGE: i32 = 51;
/// Traffic class bits that a stream socket cannot set: they are ECN's.
const ECN_MASK: i32 = 3;
/// MTU of the loopback interface, as IP_MTU shows it.
const MOST_IP_MTU: usize = 65_535;

const SIMPLE_V4: &[Simple] = &[
    simple(IP_RECVOPTS, 0, Accepts::Bool),
    simple(IP_RETOPTS, 0, Accepts::Bool),
    simple(libc::IP_PKTINFO, 0, Accepts::Bool),
    simple(libc::IP_MTU_DISCOVER, 1, Accepts::Range(0, 5)),
    simple(libc::IP_RECVERR, 0, Accepts::Bool),
    simple(libc::IP_RECVTTL, 0, Accepts::Bool),
    simple(libc::IP_RECVTOS, 0, Accepts::Bool),
    simple(IP_PASSSEC, 0, Accepts::Bool),
    simple(libc::IP_RECVORIGDSTADDR, 0, Accepts::Bool),
    simple(libc::IP_MINTTL, 0, Accepts::Range(0, 255)),
    simple(IP_CHECKSUM, 0, Accepts::Bool),
    simple(IP_RECVERR_RFC4884, 0, Accepts::Range(0, 1)),
    simple(libc::IP_MULTICAST_LOOP, 1, Accepts::Bool),
    simple(IP_MULTICAST_ALL, 1, Accepts::Range(0, 1)),
];

const SIMPLE_V6: &[Simple] = &[
    simple(libc::IPV6_RECVPKTINFO, 0, Accepts::Bool),
    simple(libc::IPV6_RECVHOPLIMIT, 0, Accepts::Bool),
    simple(libc::IPV6_RECVTCLASS, 0, Accepts::Bool),
    simple(libc::IPV6_MULTICAST_LOOP, 1, Accepts::Bool),
    simple(libc::IPV6_MTU_DISCOVER, 1, Accepts::Range(0, 5)),
    simple(libc::IPV6_RECVERR, 0, Accepts::Bool),
    simple(IPV6_AUTOFLOWLABEL, 1, Accepts::Bool),
    simple(libc::IPV6_DONTFRAG, 0, Accepts::Bool),
];
const IPV6_AUTOFLOWLABEL: i32 = 70;

impl Host {
    pub(super) fn set_ip_option(
        &mut self,
        s: SocketKey,
        name: i32,
        octets: &[u8],
    ) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(s)?;
        let privileged = socket.uid == 0;
        let options = &mut socket.options;
        let value = ip_number(octets);
        match name {
            libc::IP_TOS => options.tos = (value & 0xff & !ECN_MASK) as u8,
            libc::IP_TTL if octets.is_empty() => return Err(Errno::EINVAL),
            libc::IP_TTL if value == -1 => options.ttl = None,
            libc::IP_TTL => options.ttl = Some(within(value, 1, 255)? as u8),
            libc::IP_FREEBIND => options.free_bind = value != 0,
            libc::IP_TRANSPARENT if value != 0 && !privileged => return Err(Errno::EPERM),
            libc::IP_TRANSPARENT => options.transparent = value != 0,
            libc::IP_BIND_ADDRESS_NO_PORT => options.no_port = value != 0,
            IP_LOCAL_PORT_RANGE => {
                let range = number(octets)?.cast_unsigned();
                let (low, high) = (range & 0xffff, range >> 16);
                if low != 0 && high != 0 && low > high {
                    return Err(Errno::EINVAL);
                }
                options.port_range = range;
            }
            _ => options.set_simple(libc::IPPROTO_IP, SIMPLE_V4, name, value)?,
        }
        Ok(())
    }

    pub(super) fn ip_option(&self, s: SocketKey, name: i32) -> Result<Answer, Errno> {
        let socket = self.sockets.get(s)?;
        let options = &socket.options;
        let default_ttl = self.sysctls.number(Key::DefaultTtl) as i32;
        Ok(Answer::IpNumber(match name {
            libc::IP_TOS => options.tos.into(),
            libc::IP_TTL => options.ttl.map_or(default_ttl, i32::from),
            libc::IP_FREEBIND => options.free_bind.into(),
            libc::IP_TRANSPARENT => options.transparent.into(),
            libc::IP_BIND_ADDRESS_NO_PORT => options.no_port.into(),
            IP_LOCAL_PORT_RANGE => return Ok(Answer::Number(options.port_range.cast_signed())),
            IP_MTU if socket.peer_name().is_none() => return Err(Errno::ENOTCONN),
            IP_MTU => self.sysctls.mtu().min(MOST_IP_MTU) as i32,
            libc::IP_OPTIONS => return Ok(Answer::Octets(Vec::new())),
            _ => options.get_simple(libc::IPPROTO_IP, SIMPLE_V4, name)?,
        }))
    }

    pub(super) fn set_ipv6_option(
        &mut self,
        s: SocketKey,
        name: i32,
        octets: &[u8],
    ) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(s)?;
        let bound = socket.claim.is_some();
        let established = socket.state() == State::Established;
        let options = &mut socket.options;
        let value = number(octets)?;
        match name {
            libc::IPV6_ADDRFORM if value != libc::AF_INET => return Err(Errno::ENOPROTOOPT),
            libc::IPV6_ADDRFORM if !established => return Err(Errno::ENOTCONN),
            // The kernel socket's name says AF_INET6 for good.
            libc::IPV6_ADDRFORM => return Err(Errno::EADDRNOTAVAIL),
            libc::IPV6_V6ONLY if bound => return Err(Errno::EINVAL),
            libc::IPV6_V6ONLY => options.v6only = value != 0,
            libc::IPV6_UNICAST_HOPS if value == -1 => options.hops = None,
            libc::IPV6_UNICAST_HOPS => options.hops = Some(within(value, 0, 255)? as u8),
            libc::IPV6_TCLASS if value == -1 => options.traffic_class = 0,
            libc::IPV6_TCLASS => {
                options.traffic_class = (within(value, 0, 255)? & !ECN_MASK) as u8;
            }
            libc::IPV6_FREEBIND => options.free_bind = value != 0,
            _ => options.set_simple(libc::IPPROTO_IPV6, SIMPLE_V6, name, value)?,
        }
        Ok(())
    }

    pub(super) fn ipv6_option(&self, s: SocketKey, name: i32) -> Result<Answer, Errno> {
        let socket = self.sockets.get(s)?;
        let options = &socket.options;
        Ok(Answer::Number(match name {
            libc::IPV6_ADDRFORM if socket.state() != State::Established => {
                return Err(Errno::ENOTCONN);
            }
            libc::IPV6_ADDRFORM => libc::AF_INET6,
            libc::IPV6_V6ONLY => options.v6only.into(),
            libc::IPV6_UNICAST_HOPS => options.hops.map_or(64, i32::from),
            libc::IPV6_TCLASS => options.traffic_class.into(),
            libc::IPV6_FREEBIND => options.free_bind.into(),
            libc::IPV6_MTU if socket.peer_name().is_none() => return Err(Errno::ENOTCONN),
            libc::IPV6_MTU => self.sysctls.mtu() as i32,
            _ => options.get_simple(libc::IPPROTO_IPV6, SIMPLE_V6, name)?,
        }))
    }
}
