//! Socket options: values, ranges, clipping and errors as Linux 6.18 gives them (each was tried
//! there; `tests/options.rs` keeps the answers).
//!
//! Three kinds. Options with a meaning here have a field. Options that change nothing a program
//! could see are stored and given back (see the tables of [`Simple`]). Options whose promise the
//! host could not keep (BPF filters, MD5, TCP_REPAIR, zero copy) are refused as a kernel
//! without them would: ENOPROTOOPT, EOPNOTSUPP or EPERM.

mod config;
mod info;
mod ip;
mod socket;
mod tcp;

use super::{Host, SocketKey};
use crate::ipc::{Domain, Errno};
use crate::tcp::Algorithm;
use crate::time::Instant;

/// EOPNOTSUPP under the name the kernel uses for unknown levels.
const UNKNOWN_LEVEL: Errno = Errno::EOPNOTSUPP;
/// Octets of SO_COOKIE, the one option that is not clipped.
const COOKIE_LEN: usize = 8;
/// Octets of a `struct timeval` or its 64-bit form.
const TIMEVAL_LEN: usize = 16;

/// SO_LINGER.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Linger {
    pub(super) on: bool,
    pub(super) seconds: i32,
}

/// The options of one socket; a child has a copy of its listener's.
#[derive(Clone, Debug, Default)]
pub(super) struct SocketOptions {
    pub(super) reuse_address: bool,
    pub(super) reuse_port: bool,
    pub(super) v6only: bool,
    pub(super) linger: Linger,
    keepalive: bool,
    /// As getsockopt() shows it: twice what was asked for. `None`: the sysctl.
    send_buffer: Option<u32>,
    receive_buffer: Option<u32>,
    receive_timeout: [u8; TIMEVAL_LEN],
    send_timeout: [u8; TIMEVAL_LEN],
    nodelay: bool,
    cork: bool,
    quickack: Option<bool>,
    /// TCP_CONGESTION; `None`: the sysctl.
    congestion: Option<Algorithm>,
    /// TCP_MAXSEG, 0: not set.
    max_segment: u16,
    keep_idle_s: Option<u16>,
    keep_interval_s: Option<u16>,
    keep_count: Option<u8>,
    syn_count: Option<u8>,
    /// TCP_LINGER2 in seconds; 0: the sysctl, -1: do not wait.
    linger2_s: i32,
    /// TCP_DEFER_ACCEPT as a count of SYN+ACK retransmissions.
    pub(super) defer_accept: u8,
    window_clamp: u32,
    user_timeout_ms: u32,
    rto_max_ms: Option<u32>,
    rto_min_us: Option<u32>,
    notsent_lowat: Option<u32>,
    pub(super) free_bind: bool,
    pub(super) transparent: bool,
    /// IP_BIND_ADDRESS_NO_PORT
    pub(super) no_port: bool,
    /// IP_LOCAL_PORT_RANGE
    pub(super) port_range: u32,
    /// IP_TTL and IPV6_UNICAST_HOPS; `None`: the default.
    ttl: Option<u8>,
    hops: Option<u8>,
    tos: u8,
    traffic_class: u8,
    to_loopback_device: bool,
    /// What was stored, by level and name.
    simple: Vec<(i32, i32, i32)>,
}

/// What a stored option accepts.
#[derive(Clone, Copy, Debug)]
enum Accepts {
    /// Anything; shown as 0 or 1.
    Bool,
    /// Any number.
    Any,
    /// A number of this range, else EINVAL.
    Range(i32, i32),
}

/// An option that is only stored.
struct Simple {
    name: i32,
    default: i32,
    accepts: Accepts,
}

const fn simple(name: i32, default: i32, accepts: Accepts) -> Simple {
    Simple { name, default, accepts }
}

/// A value that getsockopt() gives.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Answer {
    Number(i32),
    /// A number that the IP level gives as one octet where there is room for no more.
    IpNumber(i32),
    Octets(Vec<u8>),
}

impl Answer {
    fn flag(on: bool) -> Answer {
        Answer::Number(on.into())
    }

    /// Clips as the kernel does.
    fn write(&self, out: &mut [u8]) -> usize {
        let copy = |octets: &[u8], out: &mut [u8]| {
            let len = octets.len().min(out.len());
            out[..len].copy_from_slice(&octets[..len]);
            len
        };
        match self {
            Answer::IpNumber(number @ 0..=255) if out.len() < 4 => copy(&[*number as u8], out),
            Answer::Number(number) | Answer::IpNumber(number) => copy(&number.to_ne_bytes(), out),
            Answer::Octets(octets) => copy(octets, out),
        }
    }
}

/// An `int`, EINVAL where there are fewer octets.
fn number(value: &[u8]) -> Result<i32, Errno> {
    let octets = value.first_chunk().ok_or(Errno::EINVAL)?;
    Ok(i32::from_ne_bytes(*octets))
}

/// An `int`, or at the IP level one octet, or nothing for 0.
fn ip_number(value: &[u8]) -> i32 {
    match value.first_chunk() {
        Some(octets) => i32::from_ne_bytes(*octets),
        None => value.first().copied().map_or(0, i32::from),
    }
}

/// `value` where it is in the range, else EINVAL.
fn within(value: i32, low: i32, high: i32) -> Result<i32, Errno> {
    if (low..=high).contains(&value) { Ok(value) } else { Err(Errno::EINVAL) }
}

impl SocketOptions {
    fn set_simple(
        &mut self,
        level: i32,
        table: &[Simple],
        name: i32,
        value: i32,
    ) -> Result<(), Errno> {
        let option = table.iter().find(|option| option.name == name).ok_or(Errno::ENOPROTOOPT)?;
        let value = match option.accepts {
            Accepts::Bool => i32::from(value != 0),
            Accepts::Any => value,
            Accepts::Range(low, high) => within(value, low, high)?,
        };
        self.simple.retain(|&(l, n, _)| (l, n) != (level, name));
        if value != option.default {
            self.simple.push((level, name, value));
        }
        Ok(())
    }

    fn get_simple(&self, level: i32, table: &[Simple], name: i32) -> Result<i32, Errno> {
        let option = table.iter().find(|option| option.name == name).ok_or(Errno::ENOPROTOOPT)?;
        let stored = self.simple.iter().find(|&&(l, n, _)| (l, n) == (level, name));
        Ok(stored.map_or(option.default, |&(_, _, value)| value))
    }
}

impl Host {
    /// `setsockopt()`.
    pub fn set_option(
        &mut self,
        now: Instant,
        s: SocketKey,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Result<(), Errno> {
        let domain = self.sockets.get(s)?.domain;
        match level {
            libc::SOL_SOCKET => self.set_socket_option(s, name, value)?,
            libc::IPPROTO_TCP => self.set_tcp_option(s, name, value)?,
            libc::IPPROTO_IP => self.set_ip_option(s, name, value)?,
            libc::IPPROTO_IPV6 if domain == Domain::V6 => self.set_ipv6_option(s, name, value)?,
            _ => return Err(Errno::ENOPROTOOPT),
        }
        self.options_changed(now, s);
        Ok(())
    }

    /// `getsockopt()`: writes up to `out.len()` octets, clipped as Linux clips, and returns how
    /// many. `SO_ERROR` is taken by being read.
    pub fn get_option(
        &mut self,
        now: Instant,
        s: SocketKey,
        level: i32,
        name: i32,
        out: &mut [u8],
    ) -> Result<usize, Errno> {
        let domain = self.sockets.get(s)?.domain;
        if (level, name) == (libc::SOL_SOCKET, libc::SO_COOKIE) && out.len() < COOKIE_LEN {
            return Err(Errno::EINVAL);
        }
        let answer = match (level, domain) {
            (libc::SOL_SOCKET, _) => self.socket_option(s, name)?,
            (libc::IPPROTO_TCP, _) => self.tcp_option(now, s, name)?,
            (libc::IPPROTO_IP, _) => self.ip_option(s, name)?,
            (libc::IPPROTO_IPV6, Domain::V6) => self.ipv6_option(s, name)?,
            (_, Domain::V6) => return Err(Errno::ENOPROTOOPT),
            (_, Domain::V4) => return Err(UNKNOWN_LEVEL),
        };
        Ok(answer.write(out))
    }
}
