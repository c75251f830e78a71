//! Fixed-size records that travel on the sockets themselves, before or beside the octet stream.
//!
//! * [`Plug`]: the first thing a program's end says to the stack's end: who holds it, where in the
//!   program the call was made, and how much filler follows (see DESIGN in `src/manual`).
//! * [`Arrival`]: the message with which a new connection (its descriptor in `SCM_RIGHTS`) is
//!   put on the listening socket.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::SocketId;

/// Octets of every record.
pub const RECORD_LEN: usize = 64;
/// Octets that the shim writes after its plug to make the program's end not writable, so that
/// poll() shows what TCP shows in SYN-SENT and LISTEN. With `SO_SNDBUF` at its minimum (4608)
/// the kernel then answers EAGAIN.
pub const FILLER_LEN: usize = 4096 - RECORD_LEN;

const PLUG_MAGIC: u32 = u32::from_le_bytes(*b"tlPg");
const ARRIVAL_MAGIC: u32 = u32::from_le_bytes(*b"tlAr");

/// Which call plugged the program's end into the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// `connect()`
    Connect,
    /// `listen()`
    Listen,
    /// `accept()`: the program has taken the connection off the queue.
    Accept,
}

macro_rules! apis {
    ($($variant:ident $name:literal $meaning:literal),* $(,)?) => {
        /// A call of the socket API, as traces name it.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Api { $(#[doc = $meaning] $variant,)* }

        impl Api {
            /// All of them.
            pub const ALL: &'static [Api] = &[$(Api::$variant,)*];

            /// The name of the function.
            pub const fn name(self) -> &'static str {
                match self { $(Api::$variant => $name,)* }
            }
        }
    };
}
apis!(
    Socket "socket" "`socket()`",
    Bind "bind" "`bind()`",
    Listen "listen" "`listen()`",
    Connect "connect" "`connect()`",
    Accept "accept" "`accept()` and `accept4()`",
    Shutdown "shutdown" "`shutdown()`",
    Close "close" "`close()`, or the end of the last process with the descriptor",
    Read "read" "`read()` and its kin: `recv()`, `recvmsg()` ...",
    Write "write" "`write()` and its kin: `send()`, `sendmsg()` ...",
    Sendfile "sendfile" "`sendfile()` and `splice()`",
    SetOption "setsockopt" "`setsockopt()`",
    GetOption "getsockopt" "`getsockopt()`",
    Names "getsockname" "`getsockname()` and `getpeername()`",
    Ioctl "ioctl" "`ioctl()`",
    Exec "execve" "`execve()`: the program was started with the descriptor",
);

impl Api {
    /// The call with that name.
    pub fn of_name(name: &str) -> Option<Api> {
        Api::ALL.iter().copied().find(|api| api.name() == name)
    }

    /// The call with that number, as `as u8` gives it.
    pub fn of_number(number: u8) -> Option<Api> {
        Api::ALL.get(usize::from(number)).copied()
    }
}

/// First record on every program's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plug {
    /// The socket.
    pub id: SocketId,
    /// The call that plugged it.
    pub call: Call,
    /// Process that made the call.
    pub pid: u32,
    /// Descriptor in that process.
    pub fd: i32,
    /// Return address of the call in the program, 0 if not known.
    pub caller: u64,
    /// Octets of filler that follow the record: 0 or [`FILLER_LEN`].
    pub filler_len: u32,
}

impl Plug {
    /// The record as octets.
    pub fn encode(&self) -> [u8; RECORD_LEN] {
        let mut out = [0; RECORD_LEN];
        out[0..4].copy_from_slice(&PLUG_MAGIC.to_le_bytes());
        out[4] = match self.call {
            Call::Connect => 1,
            Call::Listen => 2,
            Call::Accept => 3,
        };
        out[8..16].copy_from_slice(&self.id.0.to_le_bytes());
        out[16..20].copy_from_slice(&self.pid.to_le_bytes());
        out[20..24].copy_from_slice(&self.fd.to_le_bytes());
        out[24..32].copy_from_slice(&self.caller.to_le_bytes());
        out[32..36].copy_from_slice(&self.filler_len.to_le_bytes());
        out
    }

    /// Reads a record; `None` where it is not a plug.
    pub fn decode(bytes: &[u8; RECORD_LEN]) -> Option<Plug> {
        if u32_at(bytes, 0) != PLUG_MAGIC {
            return None;
        }
        let filler_len = u32_at(bytes, 32);
        if filler_len != 0 && filler_len as usize != FILLER_LEN {
            return None;
        }
        Some(Plug {
            id: SocketId(u64_at(bytes, 8)),
            call: match bytes[4] {
                1 => Call::Connect,
                2 => Call::Listen,
                3 => Call::Accept,
                _ => return None,
            },
            pid: u32_at(bytes, 16),
            fd: u32_at(bytes, 20).cast_signed(),
            caller: u64_at(bytes, 24),
            filler_len,
        })
    }
}

/// A new connection, as it arrives on the listening socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// The new socket.
    pub id: SocketId,
    /// Address of the other end, in the family of the listening socket (IPv4 on an IPv6 socket
    /// as a mapped address).
    pub peer: SocketAddr,
}

impl Arrival {
    /// The record as octets.
    pub fn encode(&self) -> [u8; RECORD_LEN] {
        let mut out = [0; RECORD_LEN];
        out[0..4].copy_from_slice(&ARRIVAL_MAGIC.to_le_bytes());
        out[8..16].copy_from_slice(&self.id.0.to_le_bytes());
        encode_address(Some(self.peer), &mut out[16..44]);
        out
    }

    /// Reads a record; `None` where it is not an arrival.
    pub fn decode(bytes: &[u8; RECORD_LEN]) -> Option<Arrival> {
        if u32_at(bytes, 0) != ARRIVAL_MAGIC {
            return None;
        }
        let peer = decode_address(&bytes[16..44])??;
        Some(Arrival { id: SocketId(u64_at(bytes, 8)), peer })
    }
}

/// Octets of an encoded address: tag, port, scope, flow, address.
pub const ADDRESS_LEN: usize = 28;

/// Writes an address in [`ADDRESS_LEN`] octets.
pub fn encode_address(address: Option<SocketAddr>, out: &mut [u8]) {
    out[..ADDRESS_LEN].fill(0);
    let Some(address) = address else { return };
    out[2..4].copy_from_slice(&address.port().to_le_bytes());
    match address.ip() {
        IpAddr::V4(ip) => {
            out[0] = 4;
            out[12..16].copy_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out[0] = 6;
            out[12..28].copy_from_slice(&ip.octets());
        }
    }
    if let SocketAddr::V6(v6) = address {
        out[4..8].copy_from_slice(&v6.scope_id().to_le_bytes());
        out[8..12].copy_from_slice(&v6.flowinfo().to_le_bytes());
    }
}

/// Reads [`ADDRESS_LEN`] octets; the outer `None` for a malformed address, the inner for no
/// address.
pub fn decode_address(bytes: &[u8]) -> Option<Option<SocketAddr>> {
    let bytes: &[u8; ADDRESS_LEN] = bytes.try_into().ok()?;
    let port = u16::from_le_bytes([bytes[2], bytes[3]]);
    match bytes[0] {
        0 => Some(None),
        4 => {
            let ip = Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15]);
            Some(Some(SocketAddr::from((ip, port))))
        }
        6 => {
            let mut octets = [0; 16];
            octets.copy_from_slice(&bytes[12..28]);
            let ip = Ipv6Addr::from(octets);
            let (scope, flow) = (u32_at(bytes, 4), u32_at(bytes, 8));
            Some(Some(SocketAddr::V6(core::net::SocketAddrV6::new(ip, port, flow, scope))))
        }
        _ => None,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plug_survives_the_wire() {
        for call in [Call::Connect, Call::Listen, Call::Accept] {
            let plug = Plug {
                id: SocketId(u64::MAX - 1),
                call,
                pid: 77,
                fd: -3,
                caller: 0xdead_beef_0000,
                filler_len: FILLER_LEN as u32,
            };
            assert_eq!(Plug::decode(&plug.encode()), Some(plug));
        }
    }

    #[test]
    fn an_arrival_survives_the_wire() {
        for peer in ["127.0.0.7:80", "[::ffff:127.0.0.1]:65535", "[fe80::1%3]:1"] {
            let arrival = Arrival { id: SocketId(9), peer: peer.parse().unwrap() };
            assert_eq!(Arrival::decode(&arrival.encode()), Some(arrival));
        }
    }

    #[test]
    fn octets_of_the_stream_are_not_taken_for_records() {
        assert_eq!(Plug::decode(&[0; RECORD_LEN]), None);
        assert_eq!(Arrival::decode(&[0xff; RECORD_LEN]), None);
    }
}
