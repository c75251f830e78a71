//! IPPROTO_TCP.

use super::{Accepts, Answer, Simple, number, simple, within};
use crate::host::sockets::Socket;
use crate::host::sysctl::Key;
use crate::host::{Host, SocketKey};
use crate::ipc::Errno;
use crate::tcp::{Algorithm, State};
use crate::time::Instant;

/// Names that `libc` does not have, or not under every target.
const TCP_THIN_LINEAR_TIMEOUTS: i32 = 16;
const TCP_THIN_DUPACK: i32 = 17;
const TCP_REPAIR: i32 = 19;
const TCP_TIMESTAMP: i32 = 24;
const TCP_CC_INFO: i32 = 26;
const TCP_SAVE_SYN: i32 = 27;
const TCP_SAVED_SYN: i32 = 28;
const TCP_FASTOPEN_CONNECT: i32 = 30;
const TCP_ULP: i32 = 31;
const TCP_FASTOPEN_NO_COOKIE: i32 = 34;
const TCP_INQ: i32 = 36;
const TCP_RTO_MAX_MS: i32 = 44;
const TCP_RTO_MIN_US: i32 = 45;
const TCP_DELACK_MAX_US: i32 = 46;
/// MSS shown before there is a connection (TCP_MSS_DEFAULT).
const DEFAULT_MSS: i32 = 536;
/// Least TCP_MAXSEG, and the largest (TCP_MIN_MSS, MAX_TCP_WINDOW).
const MSS_RANGE: (i32, i32) = (88, 32_767);
/// Least window that TCP_WINDOW_CLAMP may ask for (SOCK_MIN_RCVBUF / 2).
const MIN_WINDOW_CLAMP: i32 = 1152;
/// Longest TCP_LINGER2 (TCP_FIN_TIMEOUT_MAX).
const MAX_LINGER2_S: i32 = 120;
/// Octets of a congestion control's name.
const NAME_LEN: usize = 16;

/// Stored and given back. TCP_FASTOPEN_CONNECT: no peer gives cookies, so connect() goes on as
/// without it. TCP_INQ: the shim writes the control message.
const SIMPLE: &[Simple] = &[
    simple(TCP_THIN_LINEAR_TIMEOUTS, 0, Accepts::Range(0, 1)),
    simple(libc::TCP_FASTOPEN, 0, Accepts::Range(0, i32::MAX)),
    simple(TCP_SAVE_SYN, 0, Accepts::Range(0, 2)),
    simple(TCP_FASTOPEN_NO_COOKIE, 0, Accepts::Range(0, 1)),
    simple(TCP_FASTOPEN_CONNECT, 0, Accepts::Range(0, 1)),
    simple(TCP_INQ, 0, Accepts::Range(0, 1)),
];

impl Host {
    pub(super) fn set_tcp_option(
        &mut self,
        s: SocketKey,
        name: i32,
        value: &[u8],
    ) -> Result<(), Errno> {
        let rto_max_s = self.rto_max_s();
        let available = self.sysctls.word(Key::AvailableCongestionControl);
        let socket = self.sockets.get_mut(s)?;
        match name {
            libc::TCP_CONGESTION => {
                socket.options.congestion = Some(congestion(value, available)?);
                return Ok(());
            }
            TCP_ULP => return Err(Errno::ENOENT),
            _ => {}
        }
        let value = number(value)?;
        let state = socket.state();
        let options = &mut socket.options;
        match name {
            libc::TCP_NODELAY => options.nodelay = value != 0,
            libc::TCP_CORK => options.cork = value != 0,
            libc::TCP_QUICKACK => options.quickack = Some(value != 0),
            libc::TCP_MAXSEG if value == 0 => options.max_segment = 0,
            libc::TCP_MAXSEG => {
                options.max_segment = within(value, MSS_RANGE.0, MSS_RANGE.1)? as u16;
            }
            libc::TCP_KEEPIDLE => options.keep_idle_s = Some(within(value, 1, 32_767)? as u16),
            libc::TCP_KEEPINTVL => options.keep_interval_s = Some(within(value, 1, 32_767)? as u16),
            libc::TCP_KEEPCNT => options.keep_count = Some(within(value, 1, 127)? as u8),
            libc::TCP_SYNCNT => options.syn_count = Some(within(value, 1, 127)? as u8),
            libc::TCP_LINGER2 => options.linger2_s = value.clamp(-1, MAX_LINGER2_S),
            libc::TCP_DEFER_ACCEPT => options.defer_accept = retransmissions(value, rto_max_s),
            libc::TCP_WINDOW_CLAMP if value == 0 && state != State::Closed => {
                return Err(Errno::EINVAL);
            }
            libc::TCP_WINDOW_CLAMP if value == 0 => options.window_clamp = 0,
            libc::TCP_WINDOW_CLAMP => options.window_clamp = value.max(MIN_WINDOW_CLAMP) as u32,
            libc::TCP_USER_TIMEOUT => options.user_timeout_ms = within(value, 0, i32::MAX)? as u32,
            libc::TCP_NOTSENT_LOWAT => options.notsent_lowat = Some(value.cast_unsigned()),
            TCP_RTO_MAX_MS => options.rto_max_ms = Some(within(value, 1000, 120_000)? as u32),
            TCP_RTO_MIN_US => options.rto_min_us = Some(within(value, 2000, 200_000)? as u32),
            TCP_DELACK_MAX_US => drop(within(value, 2000, 200_000)?),
            TCP_THIN_DUPACK => drop(within(value, 0, 1)?),
            TCP_REPAIR | TCP_TIMESTAMP => return Err(Errno::EPERM),
            TCP_FASTOPEN_CONNECT if state != State::Closed => return Err(Errno::EINVAL),
            libc::TCP_FASTOPEN if !matches!(state, State::Closed | State::Listen) => {
                return Err(Errno::EINVAL);
            }
            _ => options.set_simple(libc::IPPROTO_TCP, SIMPLE, name, value)?,
        }
        Ok(())
    }

    pub(super) fn tcp_option(
        &self,
        now: Instant,
        s: SocketKey,
        name: i32,
    ) -> Result<Answer, Errno> {
        let sysctl = |key| self.sysctls.number(key) as i32;
        let socket = self.sockets.get(s)?;
        let options = &socket.options;
        let or_sysctl = |own: Option<i32>, key| Answer::Number(own.unwrap_or_else(|| sysctl(key)));
        Ok(match name {
            libc::TCP_NODELAY => Answer::flag(options.nodelay),
            libc::TCP_CORK => Answer::flag(options.cork),
            libc::TCP_QUICKACK => Answer::flag(options.quickack.unwrap_or(true)),
            libc::TCP_MAXSEG => Answer::Number(max_segment(socket, now)),
            libc::TCP_KEEPIDLE => or_sysctl(options.keep_idle_s.map(i32::from), Key::KeepaliveTime),
            libc::TCP_KEEPINTVL => {
                or_sysctl(options.keep_interval_s.map(i32::from), Key::KeepaliveIntvl)
            }
            libc::TCP_KEEPCNT => or_sysctl(options.keep_count.map(i32::from), Key::KeepaliveProbes),
            libc::TCP_SYNCNT => or_sysctl(options.syn_count.map(i32::from), Key::SynRetries),
            libc::TCP_LINGER2 => match options.linger2_s {
                0 => Answer::Number(sysctl(Key::FinTimeout)),
                seconds => Answer::Number(seconds),
            },
            libc::TCP_DEFER_ACCEPT => {
                Answer::Number(seconds(options.defer_accept, self.rto_max_s()))
            }
            libc::TCP_WINDOW_CLAMP => Answer::Number(options.window_clamp.cast_signed()),
            libc::TCP_INFO => Answer::Octets(self.tcp_info(now, socket)),
            libc::TCP_CONGESTION => {
                let chosen = match socket.connection() {
                    Some(connection) => connection.tcb.config().congestion,
                    None => options.congestion(&self.sysctls),
                };
                let mut octets = chosen.name().as_bytes().to_vec();
                octets.resize(NAME_LEN, 0);
                Answer::Octets(octets)
            }
            libc::TCP_USER_TIMEOUT => Answer::Number(options.user_timeout_ms.cast_signed()),
            // Linux shows 0 for "the sysctl decides".
            libc::TCP_NOTSENT_LOWAT => {
                Answer::Number(options.notsent_lowat.unwrap_or(0).cast_signed())
            }
            TCP_RTO_MAX_MS => or_sysctl(options.rto_max_ms.map(u32::cast_signed), Key::RtoMax),
            TCP_RTO_MIN_US => or_sysctl(options.rto_min_us.map(u32::cast_signed), Key::RtoMin),
            TCP_DELACK_MAX_US => Answer::Number(200_000),
            TCP_THIN_DUPACK | TCP_REPAIR => Answer::Number(0),
            TCP_TIMESTAMP => Answer::Number(now.as_millis() as i32),
            TCP_CC_INFO | TCP_SAVED_SYN | TCP_ULP => Answer::Octets(Vec::new()),
            _ => Answer::Number(options.get_simple(libc::IPPROTO_TCP, SIMPLE, name)?),
        })
    }

    fn rto_max_s(&self) -> i32 {
        (self.sysctls.number(Key::RtoMax) / 1000) as i32
    }
}

/// TCP_CONGESTION: only what the machine has.
fn congestion(value: &[u8], available: &str) -> Result<Algorithm, Errno> {
    let name = value.split(|&octet| octet == 0).next().unwrap_or_default();
    match name {
        b"" => Err(Errno::EINVAL),
        _ if available.split(' ').all(|known| known.as_bytes() != name) => Err(Errno::ENOENT),
        _ => Algorithm::named(name).ok_or(Errno::ENOENT),
    }
}

/// TCP_MAXSEG as it is now: of the connection, or what was set, or the default of RFC 9293.
fn max_segment(socket: &Socket, now: Instant) -> i32 {
    match socket.connection() {
        Some(connection) if socket.state().is_synchronized() => connection.tcb.info(now).mss as i32,
        _ if socket.options.max_segment != 0 => socket.options.max_segment.into(),
        _ => DEFAULT_MSS,
    }
}

/// Seconds as a count of SYN+ACK retransmissions (secs_to_retrans).
fn retransmissions(wanted_s: i32, rto_max_s: i32) -> u8 {
    let (mut count, mut timeout, mut period) = (0_u8, 1, 1);
    if wanted_s > 0 {
        count = 1;
        while wanted_s > period && count < u8::MAX {
            count += 1;
            timeout = (timeout * 2).min(rto_max_s);
            period += timeout;
        }
    }
    count
}

/// The reverse (retrans_to_secs).
fn seconds(count: u8, rto_max_s: i32) -> i32 {
    let (mut timeout, mut period) = (1, i32::from(count > 0));
    for _ in 1..count {
        timeout = (timeout * 2).min(rto_max_s);
        period += timeout;
    }
    period
}
