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
use crate::time::Instant;

/// Ranges with fewer ports are not halved for SO_REUSEADDR.
const SMALLEST_HALVED_RANGE: u32 = 4;

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

impl Host {
    /// `bind()`. EAFNOSUPPORT, EADDRNOTAVAIL, EACCES, EINVAL, EADDRINUSE; checked in the order in
    /// which Linux does.
    pub fn bind(&mut self, now: Instant, s: SocketKey, address: SocketAddr) -> Result<(), Errno> {
        let socket = self.sockets.get(s)?;
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
        self.bind_to(now, s, ip, port)
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
        let any = options.free_bind || options.transparent || self.sysctls.is_on(Key::NonlocalBind);
        if ip.is_unspecified() || many || any || self.addresses.is_local(ip) {
            Ok(ip)
        } else {
            Err(Errno::EADDRNOTAVAIL)
        }
    }

    fn bind_to(&mut self, now: Instant, s: SocketKey, ip: IpAddr, port: u16) -> Result<(), Errno> {
        let socket = self.sockets.get_mut(s)?;
        let v6only_before = socket.options.v6only;
        let specific_v6 = ip.is_ipv6() && !ip.is_unspecified();
        socket.local_ip = ip;
        // Linux: such a socket never sees IPv4, and the bind rules look at the mark.
        socket.options.v6only |= specific_v6;
        let chosen = match port {
            0 if socket.options.no_port => Some(None),
            0 => self.find_open_port(s).map(Some),
            _ => self.take_named(now, s, port).then_some(Some(port)),
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

    /// Who keeps the socket from `port`.
    pub(super) fn find_conflict(&self, s: SocketKey, port: u16, rule: Rule) -> Option<Owner> {
        let newcomer = self.sockets.find(s)?.binding();
        let own = Owner::Socket(s);
        let conflicts = |owner: &Owner| {
            *owner != own
                && self.binding(*owner).is_some_and(|other| newcomer.conflicts(&other, rule))
        };
        self.ports.owners(port).find(conflicts)
    }

    /// Whether the socket may have the port that its program named; if not, the reason is kept.
    pub(super) fn take_named(&mut self, now: Instant, s: SocketKey, port: u16) -> bool {
        let Some(owner) = self.find_conflict(s, port, Rule::Named) else { return true };
        let reason = format!("port {port} is in use: {}", self.describe_conflict(now, s, owner));
        tracing::info!(target: "tcplab::host", "{reason}");
        self.refusal = Some((s, reason));
        false
    }

    /// Why the last bind() or listen() that named a port was answered with EADDRINUSE, in one
    /// sentence, and for which socket: the live owner, or the TIME-WAIT with its 4-tuple and the
    /// time left, and which side lacks SO_REUSEADDR.
    pub fn last_refusal(&self) -> Option<(SocketKey, &str)> {
        self.refusal.as_ref().map(|(s, reason)| (*s, reason.as_str()))
    }

    fn binding(&self, owner: Owner) -> Option<Binding> {
        match owner {
            Owner::Socket(key) => self.sockets.find(key).map(Socket::binding),
            Owner::TimeWait(id) => self.time_waits.get(id).map(|entry| entry.binding()),
        }
    }

    /// First and last port to choose from, and whether the socket narrowed the range
    /// (IP_LOCAL_PORT_RANGE).
    pub(super) fn local_port_range(&self, s: SocketKey) -> (u16, u16, bool) {
        let (mut low, mut high) = self.sysctls.port_range();
        let own = self.sockets.find(s).map_or(0, |socket| socket.options.port_range);
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
        let (low, high, _) = self.local_port_range(s);
        let (low, end) = (u32::from(low), u32::from(high) + 1);
        let reuse = self.sockets.find(s)?.options.reuse_address;
        let half = low + ((end - low) >> 2 << 1);
        let scans: &[(u32, u32)] = match reuse && end - low >= SMALLEST_HALVED_RANGE {
            true => &[(low, half), (half, end)],
            false => &[(low, end)],
        };
        let shared = self.sysctls.is_on(Key::AutobindReuse);
        let rules: &[Rule] = if shared { &[Rule::Any, Rule::AnyShared] } else { &[Rule::Any] };
        for &rule in rules {
            for &(low, end) in scans {
                if let Some(port) = self.scan_ports(s, low, end, rule) {
                    return Some(port);
                }
            }
        }
        None
    }

    fn scan_ports(&mut self, s: SocketKey, low: u32, end: u32, rule: Rule) -> Option<u16> {
        let count = match end - low {
            0 => return None,
            1 => 1,
            count => count & !1,
        };
        let start = self.random.below(count);
        for parity in [1, 0] {
            for step in (0..count).step_by(2) {
                let port = (low + ((start & !1) + parity + step) % count) as u16;
                if !self.sysctls.is_reserved(port) && self.find_conflict(s, port, rule).is_none() {
                    return Some(port);
                }
            }
        }
        None
    }
}
