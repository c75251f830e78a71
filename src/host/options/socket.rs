//! SOL_SOCKET.

use super::{Accepts, Answer, Linger, Simple, TIMEVAL_LEN, number, simple, within};
use crate::host::limits::MAX_BUFFER;
use crate::host::sysctl::Key;
use crate::host::{Host, SocketKey};
use crate::ipc::{Domain, Errno};
use crate::tcp::State;

/// Least SO_SNDBUF and SO_RCVBUF (SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF).
const MIN_SEND_BUFFER: u32 = 4608;
const MIN_RECEIVE_BUFFER: u32 = 2304;
/// Names that `libc` does not have.
const SO_BSDCOMPAT: i32 = 14;
const SO_RCVTIMEO_NEW: i32 = 66;
const SO_SNDTIMEO_NEW: i32 = 67;
/// Largest SO_RCVLOWAT (half of the largest receive buffer).
const MAX_LOW_WATER: i32 = 16 << 20;

/// Stored and given back; nothing here depends on them.
const SIMPLE: &[Simple] = &[
    simple(libc::SO_DEBUG, 0, Accepts::Bool),
    simple(libc::SO_DONTROUTE, 0, Accepts::Bool),
    simple(libc::SO_BROADCAST, 0, Accepts::Bool),
    simple(libc::SO_OOBINLINE, 0, Accepts::Bool),
    simple(libc::SO_NO_CHECK, 0, Accepts::Bool),
    simple(libc::SO_PRIORITY, 0, Accepts::Any),
    simple(libc::SO_TIMESTAMP, 0, Accepts::Bool),
    simple(libc::SO_TIMESTAMPNS, 0, Accepts::Bool),
    simple(libc::SO_MARK, 0, Accepts::Any),
    simple(libc::SO_RXQ_OVFL, 0, Accepts::Bool),
    simple(libc::SO_WIFI_STATUS, 0, Accepts::Bool),
    simple(libc::SO_PEEK_OFF, -1, Accepts::Any),
    simple(libc::SO_NOFCS, 0, Accepts::Bool),
    simple(libc::SO_LOCK_FILTER, 0, Accepts::Bool),
    simple(libc::SO_SELECT_ERR_QUEUE, 0, Accepts::Bool),
    simple(libc::SO_BUSY_POLL, 0, Accepts::Range(0, i32::MAX)),
    simple(libc::SO_INCOMING_CPU, -1, Accepts::Any),
    simple(libc::SO_PREFER_BUSY_POLL, 0, Accepts::Bool),
];

impl Host {
    pub(super) fn set_socket_option(
        &mut self,
        s: SocketKey,
        name: i32,
        value: &[u8],
    ) -> Result<(), Errno> {
        let send_max = self.sysctls.number(Key::WmemMax) as u32;
        let receive_max = self.sysctls.number(Key::RmemMax) as u32;
        let socket = self.sockets.get_mut(s)?;
        let options = &mut socket.options;
        // The kernel wants an `int` of whatever option before it looks at which.
        let on = number(value)? != 0;
        match name {
            libc::SO_REUSEADDR => options.reuse_address = on,
            libc::SO_REUSEPORT => options.reuse_port = on,
            libc::SO_KEEPALIVE => options.keepalive = on,
            libc::SO_SNDBUF => {
                options.send_buffer = Some(doubled(number(value)?, send_max, MIN_SEND_BUFFER));
            }
            libc::SO_SNDBUFFORCE if socket.uid == 0 => {
                let asked = number(value)?.max(0);
                options.send_buffer = Some(doubled(asked, MAX_BUFFER as u32, MIN_SEND_BUFFER));
            }
            libc::SO_RCVBUF => {
                options.receive_buffer =
                    Some(doubled(number(value)?, receive_max, MIN_RECEIVE_BUFFER));
            }
            libc::SO_RCVBUFFORCE if socket.uid == 0 => {
                let asked = number(value)?.max(0);
                options.receive_buffer =
                    Some(doubled(asked, MAX_BUFFER as u32, MIN_RECEIVE_BUFFER));
            }
            libc::SO_SNDBUFFORCE | libc::SO_RCVBUFFORCE => return Err(Errno::EPERM),
            libc::SO_LINGER => {
                let seconds = number(value.get(4..).unwrap_or_default())?;
                options.linger = match on {
                    true => Linger { on, seconds },
                    false => Linger { on, seconds: options.linger.seconds },
                };
            }
            libc::SO_RCVTIMEO | SO_RCVTIMEO_NEW => options.receive_timeout = timeval(value)?,
            libc::SO_SNDTIMEO | SO_SNDTIMEO_NEW => options.send_timeout = timeval(value)?,
            libc::SO_RCVLOWAT => {
                let asked = number(value)?;
                let octets = if asked < 0 { i32::MAX } else { asked.max(1) };
                options.simple.retain(|&(l, n, _)| (l, n) != (libc::SOL_SOCKET, name));
                options.simple.push((libc::SOL_SOCKET, name, octets.min(MAX_LOW_WATER)));
            }
            libc::SO_BINDTODEVICE => options.to_loopback_device = loopback_device(value)?,
            libc::SO_PASSCRED | libc::SO_PASSSEC | libc::SO_ZEROCOPY => {
                return Err(Errno::EOPNOTSUPP);
            }
            libc::SO_DETACH_FILTER => return Err(Errno::ENOENT),
            SO_BSDCOMPAT => {}
            _ => options.set_simple(libc::SOL_SOCKET, SIMPLE, name, number(value)?)?,
        }
        Ok(())
    }

    pub(super) fn socket_option(&mut self, s: SocketKey, name: i32) -> Result<Answer, Errno> {
        let send_default = self.sysctls.sizes(Key::Wmem)[1] as u32;
        let receive_default = self.sysctls.sizes(Key::Rmem)[1] as u32;
        let socket = self.sockets.get_mut(s)?;
        let options = &socket.options;
        Ok(match name {
            libc::SO_TYPE => Answer::Number(libc::SOCK_STREAM),
            libc::SO_PROTOCOL => Answer::Number(libc::IPPROTO_TCP),
            libc::SO_DOMAIN => Answer::Number(match socket.domain {
                Domain::V4 => libc::AF_INET,
                Domain::V6 => libc::AF_INET6,
            }),
            libc::SO_ERROR => Answer::Number(socket.error.take().map_or(0, |errno| errno.0)),
            libc::SO_ACCEPTCONN => Answer::flag(socket.state() == State::Listen),
            libc::SO_REUSEADDR => Answer::flag(options.reuse_address),
            libc::SO_REUSEPORT => Answer::flag(options.reuse_port),
            libc::SO_KEEPALIVE => Answer::flag(options.keepalive),
            libc::SO_SNDBUF => Answer::Number(options.send_buffer.unwrap_or(send_default) as i32),
            libc::SO_RCVBUF => {
                Answer::Number(options.receive_buffer.unwrap_or(receive_default) as i32)
            }
            libc::SO_LINGER => {
                let Linger { on, seconds } = options.linger;
                let words = [i32::from(on), seconds];
                Answer::Octets(words.iter().flat_map(|word| word.to_ne_bytes()).collect())
            }
            libc::SO_RCVTIMEO | SO_RCVTIMEO_NEW => Answer::Octets(options.receive_timeout.into()),
            libc::SO_SNDTIMEO | SO_SNDTIMEO_NEW => Answer::Octets(options.send_timeout.into()),
            libc::SO_RCVLOWAT => {
                let table = &[simple(name, 1, Accepts::Any)];
                Answer::Number(options.get_simple(libc::SOL_SOCKET, table, name)?)
            }
            libc::SO_PEERCRED => {
                let words = [0, -1, -1_i32];
                Answer::Octets(words.iter().flat_map(|word| word.to_ne_bytes()).collect())
            }
            // Cannot be set.
            libc::SO_SNDLOWAT => Answer::Number(1),
            libc::SO_COOKIE => Answer::Octets(socket.cookie.to_ne_bytes().into()),
            libc::SO_BINDTODEVICE if options.to_loopback_device => Answer::Octets(b"lo\0".into()),
            libc::SO_BINDTODEVICE => Answer::Octets(Vec::new()),
            libc::SO_INCOMING_NAPI_ID | SO_BSDCOMPAT | libc::SO_PASSCRED | libc::SO_ZEROCOPY => {
                Answer::Number(0)
            }
            libc::SO_PEERNAME => match socket.peer_name() {
                None => return Err(Errno::ENOTCONN),
                Some(_) => return Err(Errno::ENOPROTOOPT),
            },
            _ => Answer::Number(options.get_simple(libc::SOL_SOCKET, SIMPLE, name)?),
        })
    }
}

/// Twice what was asked for, up to twice the maximum (a negative number is the maximum).
fn doubled(asked: i32, max: u32, min: u32) -> u32 {
    let asked = u32::try_from(asked).map_or(max, |asked| asked.min(max));
    (asked * 2).max(min)
}

/// A `struct timeval`: EINVAL where it is short, EDOM where the microseconds are none.
fn timeval(value: &[u8]) -> Result<[u8; TIMEVAL_LEN], Errno> {
    let octets: &[u8; TIMEVAL_LEN] = value.first_chunk().ok_or(Errno::EINVAL)?;
    let micros = value.get(8..16).and_then(|half| half.try_into().ok()).map(i64::from_ne_bytes);
    within(micros.and_then(|micros| micros.try_into().ok()).unwrap_or(-1), 0, 999_999)
        .map_err(|_| Errno::EDOM)?;
    Ok(*octets)
}

/// SO_BINDTODEVICE: the loopback device or none.
fn loopback_device(value: &[u8]) -> Result<bool, Errno> {
    match value.split(|&octet| octet == 0).next().unwrap_or_default() {
        b"lo" => Ok(true),
        b"" => Ok(false),
        _ => Err(Errno::ENODEV),
    }
}
