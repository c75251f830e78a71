//! `connect()`: what each state of a socket answers, the choice of source address and ephemeral
//! port, and the uniqueness of the 4-tuple, TIME-WAIT included (Linux: __inet_stream_connect,
//! tcp_v4_connect, tcp_v6_connect, __inet_hash_connect, tcp_twsk_unique).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::address::{is_link_local, is_many, unmap};
use super::bind::tried_ports;
use super::counters::Counter;
use super::ports::{ClaimedBy, Owner, PortClaim, Shareable};
use super::sockets::{Connection, Phase, Place, Role, Socket};
use super::sysctl::Key;
use super::time_wait::TimeWaitId;
use super::{Host, SocketKey};
use crate::ipc::{Domain, Errno};
use crate::tcp::{Cause, FourTuple, State, Tcb, initial_sequence_number, timestamp_offset};
use crate::time::{Duration, Instant};
use crate::wire::SeqNum;

/// What a `connect()` that did not fail has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connect {
    /// A SYN is on its way (EINPROGRESS).
    InProgress,
    /// An earlier, non-blocking one has succeeded: the call returns 0.
    Done,
}

/// Whether a 4-tuple can be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tuple {
    Free,
    /// After this TIME-WAIT, with an ISS not before this.
    After(TimeWaitId, SeqNum),
    Taken,
}

/// How the port was come by: a TIME-WAIT is taken over more freely where the program named it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Port {
    Bound,
    Chosen,
}

impl Host {
    /// `connect()`. A program that waits is served by calling again after
    /// [`super::HostEvent::Connected`] or [`super::HostEvent::ConnectFailed`]: then this returns
    /// `Done`, or the error, and does the rest of what Linux does at that moment (a socket whose
    /// connect() failed is unconnected again).
    ///
    /// EALREADY: under way. EISCONN, EINVAL, ECONNABORTED, EAFNOSUPPORT, ENETUNREACH,
    /// EADDRNOTAVAIL (no free port or 4-tuple) as Linux.
    pub fn connect(
        &mut self,
        now: Instant,
        s: SocketKey,
        address: SocketAddr,
    ) -> Result<Connect, Errno> {
        let socket = self.sockets.get_mut(s)?;
        match (socket.phase, socket.state()) {
            (Phase::Connected, _) | (Phase::Unconnected, State::Listen) => Err(Errno::EISCONN),
            (Phase::Disconnecting, _) => Err(Errno::EINVAL),
            (Phase::Connecting, State::SynSent | State::SynReceived) => Err(Errno::EALREADY),
            (Phase::Connecting, State::Closed) => {
                let error = socket.error.take().unwrap_or(Errno::ECONNABORTED);
                self.disconnect(now, s)?;
                Err(error)
            }
            (Phase::Connecting, _) => {
                socket.phase = Phase::Connected;
                Ok(Connect::Done)
            }
            (Phase::Unconnected, _) => {
                self.start_connect(now, s, address).map(|()| Connect::InProgress)
            }
        }
    }

    fn start_connect(
        &mut self,
        now: Instant,
        s: SocketKey,
        address: SocketAddr,
    ) -> Result<(), Errno> {
        let socket = self.sockets.get(s)?;
        let remote = destination(socket, address)?;
        let local_ip = self.source(socket, remote.ip())?;
        let (port, tuple) = match socket.claim {
            Some(claim) => {
                let tuple = FourTuple { local: SocketAddr::new(local_ip, claim.port), remote };
                (claim.port, self.look_up(now, &tuple, Port::Bound))
            }
            None => self.choose_port(now, s, local_ip, remote).ok_or(Errno::EADDRNOTAVAIL)?,
        };
        let four_tuple = FourTuple { local: SocketAddr::new(local_ip, port), remote };
        let iss = match tuple {
            Tuple::Taken => return Err(Errno::EADDRNOTAVAIL),
            Tuple::Free => self.initial_sequence(now, &four_tuple, None),
            Tuple::After(id, floor) => {
                self.remove_time_wait(id, Cause::TakenOver);
                self.counters.count(Counter::TimeWaitRecycled);
                self.initial_sequence(now, &four_tuple, Some(floor))
            }
        };
        if self.sockets.get(s)?.claim.is_none() {
            self.claim(s, PortClaim { port, by: ClaimedBy::Connect });
        }
        self.counters.count(Counter::ActiveOpens);
        let socket = self.sockets.get_mut(s)?;
        let config = socket.options.config(&self.sysctls, remote.ip());
        let ts_offset = timestamp_offset(&four_tuple, &self.secret);
        let tcb = Tcb::connect(now, config, four_tuple, iss, ts_offset);
        socket.local_ip = local_ip;
        socket.phase = Phase::Connecting;
        socket.error = None;
        socket.closed_first = None;
        socket.reset = None;
        socket.since = now;
        socket.role = Role::Connection(Box::new(Connection::new(tcb, Place::Program)));
        self.demux.insert(four_tuple, Owner::Socket(s));
        self.settle(now, s);
        Ok(())
    }

    /// The ISS of a new connection: after the one before it on the 4-tuple, where that demands it,
    /// else as RFC 6528 says. A number that `net.tcplab.isn` sets knows no such caution.
    pub(super) fn initial_sequence(
        &self,
        now: Instant,
        tuple: &FourTuple,
        floor: Option<SeqNum>,
    ) -> SeqNum {
        match self.sysctls.fixed_isn() {
            Some(number) => SeqNum(number),
            None => floor.unwrap_or_else(|| initial_sequence_number(now, tuple, &self.secret)),
        }
    }

    /// The address that the connection comes from.
    pub(super) fn source(&self, socket: &Socket, remote: IpAddr) -> Result<IpAddr, Errno> {
        let preferred = self.addresses.source_towards(remote).ok_or(Errno::ENETUNREACH)?;
        let bound = socket.local_ip;
        if bound.is_unspecified() || is_many(bound) {
            return Ok(preferred);
        }
        if bound.is_loopback() && !self.addresses.is_local(remote) {
            return Err(Errno::EINVAL);
        }
        Ok(bound)
    }

    /// Even ports first (bind() prefers the odd ones), from a start that depends on the
    /// destination and moves on with every connection. A port that somebody bound is passed over;
    /// one held by other connections is good when the 4-tuple is.
    fn choose_port(
        &mut self,
        now: Instant,
        s: SocketKey,
        local_ip: IpAddr,
        remote: SocketAddr,
    ) -> Option<(u16, Tuple)> {
        let (low, high, own_range) = self.local_port_range(self.sockets.find(s)?);
        let (low, count) = (u32::from(low), u32::from(high - low) + 1);
        let count = if own_range { count } else { tried_ports(count) };
        let step = if own_range { 1 } else { 2 };
        let hash = self.random.port_offset(local_ip, remote);
        let place = hash as usize % self.perturbations.len();
        let start = (u64::from(self.perturbations[place]) + (hash >> 32)) % u64::from(count);
        let start = if own_range { start as u32 } else { start as u32 & !1 };
        for parity in 0..step.min(count) {
            for tried in (0..count).step_by(step as usize) {
                let port = (low + (start + parity + tried) % count) as u16;
                let Some(tuple) = self.try_port(now, local_ip, port, remote) else { continue };
                let moved = tried.max(self.random.below(8) * step) + step;
                self.perturbations[place] = self.perturbations[place].wrapping_add(moved);
                return Some((port, tuple));
            }
        }
        None
    }

    pub(super) fn try_port(
        &self,
        now: Instant,
        local_ip: IpAddr,
        port: u16,
        remote: SocketAddr,
    ) -> Option<Tuple> {
        if self.sysctls.is_reserved(port) {
            return None;
        }
        match self.ports.shareable(port) {
            Shareable::Free => Some(Tuple::Free),
            Shareable::No => None,
            Shareable::Connections => {
                let tuple = FourTuple { local: SocketAddr::new(local_ip, port), remote };
                Some(self.look_up(now, &tuple, Port::Chosen)).filter(|t| *t != Tuple::Taken)
            }
        }
    }

    /// Who has the 4-tuple. A TIME-WAIT gives way only with timestamps; to a port that the host
    /// chose only as `tcp_tw_reuse` says and after `tcp_tw_reuse_delay`; to a port that the
    /// program bound always (tried on Linux 6.18, with tcp_tw_reuse 0 too).
    pub(super) fn look_up(&self, now: Instant, tuple: &FourTuple, port: Port) -> Tuple {
        let id = match self.demux.find(tuple) {
            None => return Tuple::Free,
            Some(Owner::Socket(_)) => return Tuple::Taken,
            Some(Owner::TimeWait(id)) => id,
        };
        let loopback = tuple.local.ip().is_loopback() || tuple.remote.ip().is_loopback();
        let allowed = match (port, self.sysctls.number(Key::TwReuse)) {
            (Port::Bound, _) | (Port::Chosen, 1) => true,
            (Port::Chosen, 2) => loopback,
            (Port::Chosen, _) => false,
        };
        let delay = match port {
            Port::Bound => Duration::ZERO,
            Port::Chosen => {
                Duration::from_millis(self.sysctls.number(Key::TwReuseDelay).unsigned_abs())
            }
        };
        let entry = self.time_waits.get(id).filter(|_| allowed);
        let floor = entry.and_then(|entry| entry.time_wait.reusable(now, delay));
        floor.map_or(Tuple::Taken, |floor| Tuple::After(id, floor))
    }
}

/// Where the program wants to go, unmapped; the wildcard means the machine itself.
pub(super) fn destination(socket: &Socket, address: SocketAddr) -> Result<SocketAddr, Errno> {
    let bound = socket.local_ip;
    let ip = match (socket.domain, address) {
        (Domain::V4, SocketAddr::V4(v4)) => IpAddr::V4(*v4.ip()),
        (Domain::V4, SocketAddr::V6(_)) => return Err(Errno::EAFNOSUPPORT),
        // The address is too short for AF_INET6, which is looked at first.
        (Domain::V6, SocketAddr::V4(_)) => return Err(Errno::EINVAL),
        (Domain::V6, SocketAddr::V6(v6)) => {
            if is_link_local(*v6.ip()) && v6.scope_id() == 0 {
                return Err(Errno::EINVAL);
            }
            match unmap(address.ip()) {
                any @ IpAddr::V6(_) if any.is_unspecified() && bound.is_ipv6() => {
                    IpAddr::V6(Ipv6Addr::LOCALHOST)
                }
                any @ IpAddr::V6(_) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V4(_) if socket.options.v6only => return Err(Errno::ENETUNREACH),
                IpAddr::V6(_) if bound.is_ipv4() => return Err(Errno::EAFNOSUPPORT),
                ip => ip,
            }
        }
    };
    let ip = match ip {
        IpAddr::V4(any) if any.is_unspecified() && bound.is_ipv4() && !bound.is_unspecified() => {
            bound
        }
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    if is_many(ip) { Err(Errno::ENETUNREACH) } else { Ok(SocketAddr::new(ip, address.port())) }
}
