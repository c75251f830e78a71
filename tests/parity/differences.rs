//! What stays different from the kernel, and why. A case listed here must differ: one that has
//! become equal fails until its line is removed.

/// `connect(AF_UNSPEC)`, `shutdown()` in SYN-SENT and `connect()` after a failure end in an
/// unconnected socket with a pending error.
const UNCONNECTED: &str = "an unconnected AF_UNIX socket cannot show POLLERR; the pending \
     ECONNRESET itself is given as on Linux";

/// A RST after a FIN.
const RESET_AFTER_FIN: &str = "after a FIN read() must go on giving 0, but POLLERR of an AF_UNIX \
     socket makes read() fail: so POLLERR is left out; write() and SO_ERROR are as on Linux";

/// Urgent octets.
const URGENT: &str = "AF_UNIX counts the urgent octet as one to read (FIONREAD, POLLIN) until it \
     is received";

/// Case (`file::case`) and reason.
pub(crate) const DIFFERENCES: &[(&str, &str)] = &[
    ("connect::mptcp", "IPPROTO_MPTCP answers EPROTONOSUPPORT, so that programs fall back to TCP"),
    ("connect::unspec_ends_a_connection", UNCONNECTED),
    (
        "eof::shut_read_still_receives",
        "the kernel socket's end of reading is final: octets that come after shutdown(SHUT_RD) \
         are acknowledged, and lost",
    ),
    ("eof::write_after_the_peer_closed_then_read", RESET_AFTER_FIN),
    ("flags::oob_octet", URGENT),
    ("flags::oob_peek_and_none", URGENT),
    (
        "flags::zerocopy",
        "SO_ZEROCOPY is refused, so that programs copy: its completions could not be given",
    ),
    (
        "io::stdio_write_after_reset",
        "stdio writes inside libc, past every hook: after a RST it gets AF_UNIX's EPIPE and \
         SIGPIPE, where TCP gives ECONNRESET first",
    ),
    ("lifecycle::accepted_reconnect", UNCONNECTED),
    ("lifecycle::accepted_reconnect_blocking", UNCONNECTED),
    ("lifecycle::connecting_reconnect", UNCONNECTED),
    ("lifecycle::connecting_shut_down", UNCONNECTED),
    ("lifecycle::disconnected_ready", UNCONNECTED),
    ("lifecycle::disconnected_reconnect", UNCONNECTED),
    ("lifecycle::disconnected_reconnect_blocking", UNCONNECTED),
    ("lifecycle::disconnected_shut_down", UNCONNECTED),
    ("lifecycle::established_reconnect", UNCONNECTED),
    ("lifecycle::established_reconnect_blocking", UNCONNECTED),
    ("lifecycle::peer_closed_reconnect", UNCONNECTED),
    ("lifecycle::peer_closed_reconnect_blocking", UNCONNECTED),
    ("lifecycle::peer_half_closed_reconnect", UNCONNECTED),
    ("lifecycle::peer_half_closed_reconnect_blocking", UNCONNECTED),
    ("lifecycle::refused_reconnect", UNCONNECTED),
    ("lifecycle::reset_by_peer_reconnect", UNCONNECTED),
    ("lifecycle::reset_by_peer_reconnect_blocking", UNCONNECTED),
    ("lifecycle::reset_with_data_reconnect", UNCONNECTED),
    ("lifecycle::reset_with_data_reconnect_blocking", UNCONNECTED),
    ("lifecycle::self_deaf_reconnect", UNCONNECTED),
    ("lifecycle::self_deaf_reconnect_blocking", UNCONNECTED),
    ("lifecycle::self_half_closed_reconnect", UNCONNECTED),
    ("lifecycle::self_half_closed_reconnect_blocking", UNCONNECTED),
    ("lifecycle::with_data_reconnect", UNCONNECTED),
    ("lifecycle::with_data_reconnect_blocking", UNCONNECTED),
    ("lifecycle::wrote_after_close_reconnect", UNCONNECTED),
    ("lifecycle::wrote_after_close_reconnect_blocking", UNCONNECTED),
    ("lifecycle::wrote_after_close_receive", RESET_AFTER_FIN),
    ("lifecycle::wrote_after_close_receive_blocking", RESET_AFTER_FIN),
    (
        "process::dup_of_a_nonblocking_refused_socket_then_connect_again",
        "AF_UNIX knows no way back from connected to unconnected: the descriptor is replaced by a \
         fresh one, and copies of it keep the dead one",
    ),
    (
        "ready::epoll_listener",
        "shutdown() replaces the descriptor of a listener by a fresh one, which an epoll set does \
         not know",
    ),
    (
        "ready::low_water_mark",
        "poll() of an AF_UNIX socket does not look at SO_RCVLOWAT; read() does",
    ),
    (
        "ready::poll_band_bits",
        "the kernel socket is an AF_UNIX one, which adds POLLWRBAND wherever TCP says POLLWRNORM",
    ),
];
