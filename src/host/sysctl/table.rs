//! The table: name, form, default of current Linux (6.18), meaning in one line.

use super::form::Form;
use crate::host::limits::{
    LOOPBACK_MTU, MAX_ACCEPT_BACKLOG, MAX_BUFFER, MAX_ORPHANS, MAX_SYN_BACKLOG, MAX_TIME_WAIT,
};

/// One setting.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) default: &'static str,
    pub(super) meaning: &'static str,
}

macro_rules! table {
    ($($key:ident = $name:literal, $form:expr, $default:literal, $meaning:literal;)*) => {
        /// One setting.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(in crate::host) enum Key { $(#[doc = $meaning] $key),* }

        pub(super) const TABLE: &[Entry] = &[$(Entry {
            name: $name, form: $form, default: $default, meaning: $meaning,
        }),*];
    };
}

const BOOL: Form = Form::Number(0, 1);
const SECONDS: Form = Form::Number(1, 32_767);
const BUFFER: Form = Form::Triple(1, MAX_BUFFER as i64);

table! {
    Somaxconn = "net.core.somaxconn", Form::Number(0, MAX_ACCEPT_BACKLOG as i64), "4096",
        "Most connections that may wait for accept(), whatever listen() asked for";
    RmemMax = "net.core.rmem_max", Form::Number(2304, MAX_BUFFER as i64), "4194304",
        "Most that SO_RCVBUF may ask for, in octets";
    WmemMax = "net.core.wmem_max", Form::Number(4608, MAX_BUFFER as i64), "4194304",
        "Most that SO_SNDBUF may ask for, in octets";
    AutobindReuse = "net.ipv4.ip_autobind_reuse", BOOL, "0",
        "bind() to port 0 with SO_REUSEADDR may share a port when none is free";
    DefaultTtl = "net.ipv4.ip_default_ttl", Form::Number(1, 255), "64",
        "Value of IP_TTL of sockets that did not set it";
    LocalPortRange = "net.ipv4.ip_local_port_range", Form::PortRange, "32768 60999",
        "Ports that connect() and bind() to port 0 choose from";
    ReservedPorts = "net.ipv4.ip_local_reserved_ports", Form::PortSet, "",
        "Ports of that range that are only given to who asks for them by number";
    NonlocalBind = "net.ipv4.ip_nonlocal_bind", BOOL, "0",
        "bind() takes addresses that are not this machine's";
    UnprivilegedPortStart = "net.ipv4.ip_unprivileged_port_start", Form::Number(0, 65_535), "1024",
        "First port that users other than root may bind";
    AbortOnOverflow = "net.ipv4.tcp_abort_on_overflow", BOOL, "0",
        "Reset a connection that meets a full accept queue, instead of letting it try again";
    ChallengeAckLimit = "net.ipv4.tcp_challenge_ack_limit",
        Form::Number(0, i32::MAX as i64), "2147483647", "Challenge ACKs a second (RFC 5961)";
    AvailableCongestionControl = "net.ipv4.tcp_available_congestion_control",
        Form::Word(&["reno cubic"]), "reno cubic", "What tcp_congestion_control may be; read only";
    CongestionControl = "net.ipv4.tcp_congestion_control", Form::Word(&["reno", "cubic"]), "cubic",
        "Congestion control of new connections";
    Dsack = "net.ipv4.tcp_dsack", BOOL, "1", "Tell duplicates by D-SACK (RFC 2883)";
    FinTimeout = "net.ipv4.tcp_fin_timeout", SECONDS, "60",
        "Seconds an orphan stays in FIN-WAIT-2";
    InvalidRatelimit = "net.ipv4.tcp_invalid_ratelimit", Form::Number(0, i32::MAX as i64), "500",
        "Least time between answers to segments outside the window, in ms; 0 answers each";
    KeepaliveIntvl = "net.ipv4.tcp_keepalive_intvl", SECONDS, "75",
        "Seconds between keep-alive probes";
    KeepaliveProbes = "net.ipv4.tcp_keepalive_probes", Form::Number(1, 127), "9",
        "Unanswered keep-alive probes that end a connection";
    KeepaliveTime = "net.ipv4.tcp_keepalive_time", SECONDS, "7200",
        "Seconds of silence before the first keep-alive probe";
    MaxOrphans = "net.ipv4.tcp_max_orphans", Form::Number(0, MAX_ORPHANS as i64), "131072",
        "Connections without a program; more are reset";
    MaxSynBacklog = "net.ipv4.tcp_max_syn_backlog", Form::Number(1, MAX_SYN_BACKLOG as i64), "2048",
        "Half-open connections of one listener";
    MaxTwBuckets = "net.ipv4.tcp_max_tw_buckets", Form::Number(0, MAX_TIME_WAIT as i64), "131072",
        "Connections in TIME-WAIT; the surplus is destroyed at once";
    MinSndMss = "net.ipv4.tcp_min_snd_mss", Form::Number(41, 65_535), "48",
        "Smallest MSS that a peer can impose";
    ModerateRcvbuf = "net.ipv4.tcp_moderate_rcvbuf", BOOL, "1",
        "Receive buffers grow with what the program reads, up to tcp_rmem";
    OrphanRetries = "net.ipv4.tcp_orphan_retries", Form::Number(0, 255), "0",
        "Retransmissions of a connection without a program (0: 8)";
    PingpongThresh = "net.ipv4.tcp_pingpong_thresh", Form::Number(1, 255), "1",
        "Answers of a program before its acknowledgments wait for the next answer";
    Reordering = "net.ipv4.tcp_reordering", Form::Number(1, 300), "3",
        "Duplicate acknowledgments that tell of a loss";
    Retries2 = "net.ipv4.tcp_retries2", Form::Number(0, 255), "15",
        "Retransmissions before an established connection is given up";
    Rfc1337 = "net.ipv4.tcp_rfc1337", BOOL, "0", "RST does not end TIME-WAIT (RFC 1337)";
    Rmem = "net.ipv4.tcp_rmem", BUFFER, "4096 131072 33554432",
        "Receive buffer: least, at the start, most; octets";
    RtoMax = "net.ipv4.tcp_rto_max_ms", Form::Number(1000, 120_000), "120000",
        "Longest retransmission timeout";
    RtoMin = "net.ipv4.tcp_rto_min_us", Form::Number(1, i32::MAX as i64), "200000",
        "Shortest retransmission timeout";
    Sack = "net.ipv4.tcp_sack", BOOL, "1", "Offer selective acknowledgments (RFC 2018)";
    SlowStartAfterIdle = "net.ipv4.tcp_slow_start_after_idle", BOOL, "1",
        "Congestion window falls back after an idle RTO (RFC 5681 4.1)";
    Stdurg = "net.ipv4.tcp_stdurg", BOOL, "0",
        "The urgent pointer is that of the last urgent octet (RFC 1122), not of the next octet";
    SynLinearTimeouts = "net.ipv4.tcp_syn_linear_timeouts", Form::Number(0, 127), "4",
        "Retransmissions of a SYN before back-off begins";
    SynRetries = "net.ipv4.tcp_syn_retries", Form::Number(1, 127), "6",
        "Retransmissions of a SYN with back-off";
    SynackRetries = "net.ipv4.tcp_synack_retries", Form::Number(0, 255), "5",
        "Retransmissions of a SYN+ACK";
    Syncookies = "net.ipv4.tcp_syncookies", Form::Number(0, 2), "1",
        "Not 0: a full SYN queue grows up to tcp_max_syn_backlog instead of dropping \
         (no cookies are made)";
    Timestamps = "net.ipv4.tcp_timestamps", Form::Number(0, 2), "1",
        "Offer timestamps (RFC 7323)";
    TwReuse = "net.ipv4.tcp_tw_reuse", Form::Number(0, 2), "2",
        "connect() may take over a TIME-WAIT port: 0 never, 1 always, 2 on loopback";
    TwReuseDelay = "net.ipv4.tcp_tw_reuse_delay", Form::Number(1, 60_000), "1000",
        "Age of a TIME-WAIT that connect() may take over, in ms";
    WindowScaling = "net.ipv4.tcp_window_scaling", BOOL, "1", "Offer window scaling (RFC 7323)";
    Wmem = "net.ipv4.tcp_wmem", BUFFER, "4096 16384 4194304",
        "Send buffer: least, at the start, most; octets";
    BindV6Only = "net.ipv6.bindv6only", BOOL, "0",
        "New IPv6 sockets take IPv6 only, as with IPV6_V6ONLY";
    NonlocalBindV6 = "net.ipv6.ip_nonlocal_bind", BOOL, "0",
        "bind() takes IPv6 addresses that are not this machine's";
    Isn = "net.tcplab.isn", Form::Isn, "rfc6528",
        "Initial sequence number of every connection (Linux: as RFC 6528 says)";
    Mtu = "net.tcplab.mtu", Form::Number(576, LOOPBACK_MTU as i64), "65536",
        "MTU of the path: 1500 gives segments as on Ethernet";
    DelackMs = "net.tcplab.tcp_delack_ms", Form::Number(0, 1000), "40",
        "How long an acknowledgment waits for company (Linux: a constant)";
    InitCwnd = "net.tcplab.tcp_init_cwnd", Form::Number(1, 1000), "10",
        "Congestion window of a new connection, in segments (Linux: `ip route ... initcwnd`)";
    InitRtoMs = "net.tcplab.tcp_init_rto_ms", Form::Number(1, 120_000), "1000",
        "Retransmission timeout before a round trip is measured (Linux: a constant)";
    MslMs = "net.tcplab.tcp_msl_ms", Form::Number(0, 600_000), "30000",
        "Maximum segment lifetime; TIME-WAIT lasts twice as long (Linux: a constant)";
}
