//! What a connection takes from sysctls and socket options.

use super::congestion::Algorithm;
use crate::time::Duration;

/// Settings of one connection. Changeable while it lives (`Tcb::config_mut`), each field is read
/// when it matters. [`Config::default`] has Linux's defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// Largest payload + options this path carries (path MTU - IP - UDP - 20); advertised as MSS
    /// and caps ours.
    pub mss: u16,
    /// Most octets the send buffer may grow to (`tcp_wmem[2]`, or SO_SNDBUF).
    pub send_buffer: usize,
    /// Most octets the receive window may grow to (`tcp_rmem[2]`, or SO_RCVBUF).
    pub receive_buffer: usize,
    /// Octets of receive window to start with (`tcp_rmem[1]`); raised to a few segments.
    pub receive_initial: usize,
    /// Offer timestamps (tcp_timestamps).
    pub timestamps: bool,
    /// Offer window scaling (tcp_window_scaling).
    pub window_scaling: bool,
    /// Offer SACK (tcp_sack).
    pub sack: bool,
    /// Tell duplicates by D-SACK (tcp_dsack).
    pub dsack: bool,
    /// TCP_NODELAY
    pub nodelay: bool,
    /// TCP_CORK
    pub cork: bool,
    /// TCP_QUICKACK: never delay acknowledgments.
    pub quickack: bool,
    /// SO_KEEPALIVE with TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT; `None`: off.
    pub keepalive: Option<KeepAlive>,
    /// TCP_USER_TIMEOUT
    pub user_timeout: Option<Duration>,
    /// Retransmissions of a SYN after the linear ones (tcp_syn_retries, TCP_SYNCNT).
    pub syn_retries: u8,
    /// Retransmissions of a SYN without back-off (tcp_syn_linear_timeouts).
    pub syn_linear_timeouts: u8,
    /// Retransmissions of a SYN+ACK (tcp_synack_retries).
    pub synack_retries: u8,
    /// Length of trying on an established connection, as a count of back-offs (tcp_retries2).
    pub retries2: u8,
    /// The same for orphans; 0 means 8 while the RTO is below its maximum (tcp_orphan_retries).
    pub orphan_retries: u8,
    /// Orphan in FIN-WAIT-2 (tcp_fin_timeout, TCP_LINGER2). `None`: for ever. Zero: RST at once
    /// (a negative TCP_LINGER2).
    pub fin_timeout: Option<Duration>,
    /// Maximum segment lifetime; TIME-WAIT lasts twice as long.
    pub msl: Duration,
    /// RTO before the first sample.
    pub rto_initial: Duration,
    /// Least distance of the RTO from the smoothed round trip (tcp_rto_min_us).
    pub rto_min: Duration,
    /// Most that back-off leads to (tcp_rto_max_ms).
    pub rto_max: Duration,
    /// How long an acknowledgment waits for company.
    pub delayed_ack: Duration,
    /// Congestion control (TCP_CONGESTION, tcp_congestion_control).
    pub congestion: Algorithm,
    /// Initial congestion window in segments (RFC 6928).
    pub initial_window: u32,
    /// Fall back to the initial window after an idle RTO (tcp_slow_start_after_idle).
    pub slow_start_after_idle: bool,
    /// Challenge ACKs a second (tcp_challenge_ack_limit).
    pub challenge_ack_limit: u32,
    /// A segment without text that is out of the window is answered once in this time
    /// (tcp_invalid_ratelimit).
    pub invalid_interval: Duration,
    /// Duplicate acknowledgments that tell of a loss (tcp_reordering; RFC 6675 DupThresh).
    pub reordering: u32,
    /// A peer cannot push our segments below this (tcp_min_snd_mss).
    pub min_send_mss: u16,
    /// Answers of the program that make a conversation interactive (tcp_pingpong_thresh).
    pub pingpong_threshold: u8,
    /// The urgent pointer is that of the last urgent octet (tcp_stdurg; RFC 6093 2.1).
    pub stdurg: bool,
}

/// Keep-alive of RFC 9293 3.8.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe (tcp_keepalive_time).
    pub idle: Duration,
    /// Time between probes (tcp_keepalive_intvl).
    pub interval: Duration,
    /// Unanswered probes that end the connection (tcp_keepalive_probes).
    pub probes: u8,
}

impl Default for KeepAlive {
    fn default() -> KeepAlive {
        KeepAlive { idle: Duration::from_secs(7200), interval: Duration::from_secs(75), probes: 9 }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            mss: 65483 - 8,
            send_buffer: 4_194_304,
            receive_buffer: 6_291_456,
            receive_initial: 131_072,
            timestamps: true,
            window_scaling: true,
            sack: true,
            dsack: true,
            nodelay: false,
            cork: false,
            quickack: false,
            keepalive: None,
            user_timeout: None,
            syn_retries: 6,
            syn_linear_timeouts: 4,
            synack_retries: 5,
            retries2: 15,
            orphan_retries: 0,
            fin_timeout: Some(Duration::from_secs(60)),
            msl: Duration::from_secs(30),
            rto_initial: Duration::from_secs(1),
            rto_min: Duration::from_millis(200),
            rto_max: Duration::from_secs(120),
            delayed_ack: Duration::from_millis(40),
            congestion: Algorithm::default(),
            initial_window: 10,
            slow_start_after_idle: true,
            challenge_ack_limit: i32::MAX as u32,
            invalid_interval: Duration::from_millis(500),
            reordering: 3,
            min_send_mss: 48,
            pingpong_threshold: 1,
            stdurg: false,
        }
    }
}
