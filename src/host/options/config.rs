//! From sysctls and options to the settings of a TCB.

use core::net::IpAddr;

use super::SocketOptions;
use crate::host::sysctl::{Key, Sysctls};
use crate::host::{Host, SocketKey};
use crate::tcp::{Algorithm, Config, KeepAlive, State};
use crate::time::{Duration, Instant};

/// Octets of a UDP header and a TCP header without options.
const HEADERS_LEN: usize = 8 + 20;
/// Largest UDP payload over IPv4: 65535 - 20 - 8.
const MAX_UDP_PAYLOAD: usize = 65_507;
/// Least MSS of a path, whatever its MTU (RFC 9293 3.7.1).
const MIN_PATH_MSS: usize = 536;

/// Largest text and options of a segment over a path with this MTU (DESIGN "Wire").
fn path_mss(mtu: usize, remote: IpAddr) -> u16 {
    let ip_header_len = if remote.is_ipv4() { 20 } else { 40 };
    let by_mtu = mtu.saturating_sub(ip_header_len + HEADERS_LEN);
    by_mtu.clamp(MIN_PATH_MSS, MAX_UDP_PAYLOAD - 20) as u16
}

impl SocketOptions {
    /// TCP_CONGESTION.
    pub(super) fn congestion(&self, sysctls: &Sysctls) -> Algorithm {
        let default = sysctls.word(Key::CongestionControl).as_bytes();
        self.congestion.or(Algorithm::named(default)).unwrap_or_default()
    }

    /// The settings of a connection to `remote`.
    pub(in crate::host) fn config(&self, sysctls: &Sysctls, remote: IpAddr) -> Config {
        let seconds = |s: i64| Duration::from_secs(s.unsigned_abs());
        let count = |key| sysctls.number(key).clamp(0, 255) as u8;
        let mss = match (path_mss(sysctls.mtu(), remote), self.max_segment) {
            (path, 0) => path,
            (path, own) => path.min(own),
        };
        let [_, receive_start, most] = sysctls.sizes(Key::Rmem);
        let receive_most = if sysctls.is_on(Key::ModerateRcvbuf) { most } else { receive_start };
        // Linux counts overhead against a buffer that was set: half of it is for octets.
        let fixed = |doubled: Option<u32>| doubled.map(|octets| octets as usize / 2);
        let clamp = match self.window_clamp {
            0 => usize::MAX,
            octets => octets as usize,
        };
        Config {
            mss,
            send_buffer: fixed(self.send_buffer).unwrap_or(sysctls.sizes(Key::Wmem)[2]),
            receive_buffer: fixed(self.receive_buffer).unwrap_or(receive_most).min(clamp),
            receive_initial: fixed(self.receive_buffer).unwrap_or(receive_start).min(clamp),
            timestamps: sysctls.is_on(Key::Timestamps),
            window_scaling: sysctls.is_on(Key::WindowScaling),
            sack: sysctls.is_on(Key::Sack),
            dsack: sysctls.is_on(Key::Dsack),
            nodelay: self.nodelay,
            cork: self.cork,
            quickack: self.quickack == Some(true),
            keepalive: self.keepalive.then(|| KeepAlive {
                idle: self.keep_idle_s.map_or(seconds(sysctls.number(Key::KeepaliveTime)), secs),
                interval: self
                    .keep_interval_s
                    .map_or(seconds(sysctls.number(Key::KeepaliveIntvl)), secs),
                probes: self.keep_count.unwrap_or(count(Key::KeepaliveProbes)),
            }),
            user_timeout: match self.user_timeout_ms {
                0 => None,
                ms => Some(Duration::from_millis(ms.into())),
            },
            syn_retries: self.syn_count.unwrap_or(count(Key::SynRetries)),
            syn_linear_timeouts: count(Key::SynLinearTimeouts),
            synack_retries: self.syn_count.unwrap_or(count(Key::SynackRetries)),
            retries2: count(Key::Retries2),
            orphan_retries: count(Key::OrphanRetries),
            fin_timeout: Some(match self.linger2_s {
                0 => seconds(sysctls.number(Key::FinTimeout)),
                s if s < 0 => Duration::ZERO,
                s => seconds(s.into()),
            }),
            msl: sysctls.millis(Key::MslMs),
            rto_initial: sysctls.millis(Key::InitRtoMs),
            rto_min: Duration::from_micros(
                self.rto_min_us.map_or(sysctls.number(Key::RtoMin).unsigned_abs(), u64::from),
            ),
            rto_max: Duration::from_millis(
                self.rto_max_ms.map_or(sysctls.number(Key::RtoMax).unsigned_abs(), u64::from),
            ),
            congestion: self.congestion(sysctls),
            slow_start_after_idle: sysctls.is_on(Key::SlowStartAfterIdle),
            challenge_ack_limit: sysctls.number(Key::ChallengeAckLimit).unsigned_abs() as u32,
            delayed_ack: sysctls.millis(Key::DelackMs),
            initial_window: sysctls.number(Key::InitCwnd).unsigned_abs() as u32,
            invalid_interval: sysctls.millis(Key::InvalidRatelimit),
            reordering: sysctls.number(Key::Reordering).unsigned_abs() as u32,
            min_send_mss: sysctls.number(Key::MinSndMss).unsigned_abs() as u16,
            pingpong_threshold: count(Key::PingpongThresh),
            stdurg: sysctls.is_on(Key::Stdurg),
        }
    }
}

fn secs(seconds: u16) -> Duration {
    Duration::from_secs(seconds.into())
}

impl Host {
    /// Lets the connection know what setsockopt() changed.
    pub(super) fn options_changed(&mut self, now: Instant, s: SocketKey) {
        if let Some(socket) = self.sockets.find_mut(s)
            && socket.state() != State::Closed
            && let Some(connection) = socket.connection()
        {
            let remote = connection.tcb.tuple().remote.ip();
            let config = socket.options.config(&self.sysctls, remote);
            if let Some(connection) = socket.connection_mut() {
                connection.tcb.configure(config);
            }
            self.settle(now, s);
        }
    }

    /// Lets every connection know that a sysctl changed: Linux reads most of them when they
    /// matter, not when the connection begins.
    pub(in crate::host) fn sysctls_changed(&mut self) {
        for socket in self.sockets.iter_mut() {
            if let Some(connection) = socket.connection() {
                let remote = connection.tcb.tuple().remote.ip();
                let config = socket.options.config(&self.sysctls, remote);
                if let Some(connection) = socket.connection_mut() {
                    // Chosen once, when the connection begins.
                    let congestion = connection.tcb.config().congestion;
                    connection.tcb.configure(Config { congestion, ..config });
                }
            }
        }
    }
}
