//! `bind()` and the choice of a port for who asks for none (Linux: __inet_bind, inet6_bind,
//! inet_csk_get_port, inet_csk_find_open_port). The rules themselves are in `ports.rs`.

use core::net::{IpAddr, SocketAddr};

use super::address::{is_link_local, unmap, wildcard};
use super::ports::{Binding, ClaimedBy, Owner, PortClaim, Rule, Use};
use super::sockets::Socket;
use super::sysctl::Key;
use super::{Host, SocketKey};
use crate::ipc::{Domain, Errno};
use crate::tcp::State;

/// Ranges with fewer ports are not halved for SO_REUSEADDR.
const SMALLEST_HALVED_RANGE: u32 = 4;

/// How many of so many ports are tried: of an odd number the last is left out, unless it is the
/// only one (Linux: ports are tried in pairs).
pub(super) fn tried_ports(count: u32) -> u32 {
    if count > 1 { count & !1 } else { count }
}

impl Socket {
    /// As the bind rules see it.
    fn binding(&self) -> Binding {
        Binding {
            ip: self.local_ip,
            v6only: self.options.v6only,
            reuse_address: self.options.reuse_address,
            reuse_port: self.options.reuse_port,
            uid: self.uid,
            usage: if self.state() == State::Listen { Use::Listening } else { Use::Open },
        }
    }
}

impl Socket {
    /// As the bind rules see it once bind() gives it this address.
    pub(super) fn binding_at(&self, ip: IpAddr) -> Binding {
        Binding { ip, v6only: self.v6only_at(ip), ..self.binding() }
    }

    /// Whether it takes IPv6 only once bind() gives it this address. Linux: one that is bound to
    /// an IPv6 address never sees IPv4, and the bind rules look at the mark.
    pub(super) fn v6only_at(&self, ip: IpAddr) -> bool {
        self.options.v6only || ip.is_ipv6() && !ip.is_unspecified()
    }
}

impl Host {
    /// `bind()`. EAFNOSUPPORT, EADDRNOTAVAIL, EACCES, EINVAL, EADDRINUSE.
    pub fn bind(&mut self, s: SocketKey, address: SocketAddr) -> Result<(), Errno> {
        let ip = self.check_bind(self.sockets.get(s)?, address)?;
        self.bind_to(s, ip, address.port())
    }

    /// The unmapped address where nothing but other sockets could stand in the way; checked in the
    /// order in which Linux does.
    pub(super) fn check_bind(&self, socket: &Socket, address: SocketAddr) -> Result<IpAddr, Errno> {
        let ip = match (socket.domain, address) {
            (Domain::V4, SocketAddr::V4(_)) => self.bindable(socket, address)?,
            (Domain::V4, SocketAddr::V6(_)) => return Err(Errno::EAFNOSUPPORT),
            // The address is too short for AF_INET6, which is looked at first.
            (Domain::V6, SocketAddr::V4(_)) => return Err(Errno::EINVAL),
            (Domain::V6, SocketAddr::V6(v6)) if v6.ip().is_multicast() => {
                return Err(Errno::EINVAL);
            }
            (Domain::V6, SocketAddr::V6(_)) => unmap(address.ip()),
        };
        let port = address.port();
        let first_open = self.sysctls.number(Key::UnprivilegedPortStart);
        if port != 0 && i64::from(port) < first_open && socket.uid != 0 {
            return Err(Errno::EACCES);
        }
        if socket.state() != State::Closed || socket.claim.is_some() {
            return Err(Errno::EINVAL);
        }
        if socket.domain == Domain::V6 {
            self.bindable(socket, address)?;
        }
        Ok(ip)
    }

    /// The unmapped address where the socket may bind it.
    fn bindable(&self, socket: &Socket, address: SocketAddr) -> Result<IpAddr, Errno> {
        let ip = unmap(address.ip());
        let mapped = socket.domain == Domain::V6 && ip.is_ipv4();
        if mapped && socket.options.v6only {
            return Err(Errno::EINVAL);
        }
        if let SocketAddr::V6(v6) = address
            && is_link_local(*v6.ip())
            && v6.scope_id() == 0
        {
            return Err(Errno::EINVAL);
        }
        let many = match ip {
            IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
            IpAddr::V6(_) => false,
        };
        let options = &socket.options;
        let family = if ip.is_ipv4() { Key::NonlocalBind } else { Key::NonlocalBindV6 };
        let any = options.free_bind || options.transparent || self.sysctls.is_on(family);
        if ip.is_unspecified() || many || any || self.addresses.is_local(ip) {
            Ok(ip)
        } else {
            Err(Errno::EADDRNOTAVAIL)
        }
    }

    fn bind_to(&mut self, s: SocketKey, ip: IpAddr, port: u16) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(s)?;
        let v6only_before = socket.options.v6only;
        socket.local_ip = ip;
        socket.options.v6only = socket.v6only_at(ip);
        let chosen = match port {
            0 if socket.options.no_port => Some(None),
            0 => self.find_open_port(s).map(Some),
            _ => self.may_have(s, port, Rule::Named).then_some(Some(port)),
        };
        let wildcard_v6 = ip == wildcard(Domain::V6);
        let socket = self.sockets.get_mut(s)?;
        let Some(chosen) = chosen else {
            socket.local_ip = wildcard(socket.domain);
            socket.options.v6only = v6only_before;
            return Err(Errno::EADDRINUSE);
        };
        let unlocked = wildcard_v6 || (socket.domain == Domain::V4 && ip.is_unspecified());
        socket.address_locked = !unlocked;
        socket.port_locked |= port != 0;
        if let Some(port) = chosen {
            self.claim(s, PortClaim { port, by: ClaimedBy::Bind });
        }
        Ok(())
    }

    /// Makes the socket an owner of the port.
    pub(super) fn claim(&mut self, s: SocketKey, claim: PortClaim) {
        if let Some(socket) = self.sockets.find_mut(s) {
            socket.claim = Some(claim);
            socket.local_port = claim.port;
            self.ports.insert(Owner::Socket(s), claim);
        }
    }

    /// The socket gives its port back; its name keeps showing it.
    pub(super) fn unclaim(&mut self, s: SocketKey) {
        if let Some(claim) = self.sockets.find_mut(s).and_then(|socket| socket.claim.take()) {
            self.ports.remove(Owner::Socket(s), claim);
        }
    }

    /// Who keeps a newcomer from `port`; it does not stand in its own way.
    pub(super) fn conflicts<'a>(
        &'a self,
        newcomer: &'a Binding,
        own: Option<SocketKey>,
        port: u16,
        rule: Rule,
    ) -> impl Iterator<Item = Owner> + 'a {
        self.ports.owners(port).filter(move |owner| {
            own.map(Owner::Socket) != Some(*owner)
                && self.binding(*owner).is_some_and(|other| newcomer.conflicts(&other, rule))
        })
    }

    /// Whether the socket may have `port`.
    pub(super) fn may_have(&self, s: SocketKey, port: u16, rule: Rule) -> bool {
        self.sockets.find(s).is_some_and(|socket| {
            self.conflicts(&socket.binding(), Some(s), port, rule).next().is_none()
        })
    }

    pub(super) fn binding(&self, owner: Owner) -> Option<Binding> {
        match owner {
            Owner::Socket(key) => self.sockets.find(key).map(Socket::binding),
            Owner::TimeWait(id) => self.time_waits.get(id).map(|entry| entry.binding()),
        }
    }

    /// First and last port to choose from, and whether the socket narrowed the range
    /// (IP_LOCAL_PORT_RANGE).
    pub(super) fn local_port_range(&self, socket: &Socket) -> (u16, u16, bool) {
        let (mut low, mut high) = self.sysctls.port_range();
        let own = socket.options.port_range;
        let (own_low, own_high) = ((own & 0xffff) as u16, (own >> 16) as u16);
        if own_low != 0 && (low..=high).contains(&own_low) {
            low = own_low;
        }
        if own_high != 0 && (low..=high).contains(&own_high) {
            high = own_high;
        }
        (low, high, own != 0)
    }

    /// A port for bind() to port 0 and for listen() unbound: odd ones first (connect() prefers
    /// the even ones), with SO_REUSEADDR from the lower half first; nobody else may hold it.
    pub(super) fn find_open_port(&mut self, s: SocketKey) -> Option<u16> {
        let socket = self.sockets.find(s)?;
        let (low, high, _) = self.local_port_range(socket);
        let (low, end) = (u32::from(low), u32::from(high) + 1);
        let reuse = socket.options.reuse_address;
        let half = low + ((end - low) >> 2 << 1);
        let scans: &[(u32, u32)] = match reuse && end - low >= SMALLEST_HALVED_RANGE {
            true => &[(low, half), (half, end)],
            false => &[(low, end)],
        };
        for &rule in self.autobind_rules() {
            for &(low, end) in scans {
                if let Some(port) = self.scan_ports(s, low, end, rule) {
                    return Some(port);
                }
            }
        }
        None
    }

    /// The rules by which a port is chosen for bind(), one after the other.
    pub(super) fn autobind_rules(&self) -> &'static [Rule] {
        match self.sysctls.is_on(Key::AutobindReuse) {
            true => &[Rule::Any, Rule::AnyShared],
            false => &[Rule::Any],
        }
    }

    fn scan_ports(&mut self, s: SocketKey, low: u32, end: u32, rule: Rule) -> Option<u16> {
        let count = tried_ports(end - low);
        if count == 0 {
            return None;
        }
        let start = self.random.below(count);
        for parity in [1, 0] {
            for step in (0..count).step_by(2) {
                let port = (low + ((start & !1) + parity + step) % count) as u16;
                if !self.sysctls.is_reserved(port) && self.may_have(s, port, rule) {
                    return Some(port);
                }
            }
        }
        None
    }
}
