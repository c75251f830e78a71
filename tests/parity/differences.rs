//! What stays different from the kernel, and why.
//!
//! A listed case must differ, and only as its difference says: where that is a replaced text, every
//! other line of the two traces is equal. One that has become equal fails until its line is removed.

/// A difference with its reason.
pub(crate) struct Difference {
    /// `file::case`
    pub(crate) cases: &'static [&'static str],
    /// What the traces differ in.
    pub(crate) extent: Extent,
    /// One sentence.
    pub(crate) reason: &'static str,
}

/// How far two traces may differ.
pub(crate) enum Extent {
    /// Our lines are the kernel's with the first text replaced by the second.
    Only(&'static str, &'static str),
    /// Anywhere.
    Case,
}

pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        cases: &["connect::mptcp"],
        extent: Extent::Case,
        reason: "IPPROTO_MPTCP answers EPROTONOSUPPORT, so that programs fall back to TCP",
    },
    Difference {
        cases: &["ready::poll_band_bits"],
        extent: Extent::Case,
        reason: "an AF_UNIX socket adds POLLWRBAND wherever TCP says POLLWRNORM",
    },
    Difference {
        cases: &[
            "connect::unspec_ends_a_connection",
            "lifecycle::connecting_reconnect",
            "lifecycle::connecting_shut_down",
            "lifecycle::refused_reconnect",
            "lifecycle::established_reconnect",
            "lifecycle::established_reconnect_blocking",
            "lifecycle::accepted_reconnect",
            "lifecycle::accepted_reconnect_blocking",
            "lifecycle::with_data_reconnect",
            "lifecycle::with_data_reconnect_blocking",
            "lifecycle::peer_half_closed_reconnect",
            "lifecycle::peer_half_closed_reconnect_blocking",
            "lifecycle::self_half_closed_reconnect",
            "lifecycle::self_half_closed_reconnect_blocking",
            "lifecycle::self_deaf_reconnect",
            "lifecycle::self_deaf_reconnect_blocking",
            "lifecycle::peer_closed_reconnect",
            "lifecycle::peer_closed_reconnect_blocking",
            "lifecycle::wrote_after_close_reconnect",
            "lifecycle::wrote_after_close_reconnect_blocking",
            "lifecycle::reset_by_peer_reconnect",
            "lifecycle::reset_by_peer_reconnect_blocking",
            "lifecycle::reset_with_data_reconnect",
            "lifecycle::reset_with_data_reconnect_blocking",
            "lifecycle::disconnected_reconnect",
            "lifecycle::disconnected_reconnect_blocking",
            "lifecycle::disconnected_ready",
            "lifecycle::disconnected_shut_down",
        ],
        extent: Extent::Only("ERR|", ""),
        reason: "an AF_UNIX socket that is not connected cannot show POLLERR, which TCP does after \
                 connect(AF_UNSPEC) until the pending ECONNRESET is taken",
    },
    Difference {
        cases: &[
            "eof::write_after_the_peer_closed_then_read",
            "lifecycle::wrote_after_close_receive",
            "lifecycle::wrote_after_close_receive_blocking",
        ],
        extent: Extent::Only("ERR|", ""),
        reason: "a read from an AF_UNIX socket takes the error that its poll() shows, where TCP \
                 after a FIN keeps EPIPE for the writer",
    },
    Difference {
        cases: &[
            "eof::reset_in_last_ack_then_read",
            "eof::reset_in_last_ack_then_so_error",
            "eof::reset_in_last_ack_then_write",
        ],
        extent: Extent::Only("ERR|", ""),
        reason: "octets that came in bulk leave none unread in the stack's end of the AF_UNIX \
                 socket, without which it cannot show POLLERR after a RST",
    },
    Difference {
        cases: &["connect::shut_for_writing_before_connect"],
        extent: Extent::Case,
        reason: "an AF_UNIX socket that is shut for writing cannot be plugged: connect() makes a fresh \
                 one, which is open",
    },
    Difference {
        cases: &["io::stdio_write_after_reset"],
        extent: Extent::Case,
        reason: "stdio writes inside libc, which no hook sees, and AF_UNIX answers EPIPE with \
                 SIGPIPE where TCP first says ECONNRESET",
    },
    Difference {
        cases: &["eof::shut_read_still_receives"],
        extent: Extent::Case,
        reason: "an AF_UNIX stream takes no octets after its end, which shutdown(SHUT_RD) must show",
    },
    Difference {
        cases: &["flags::oob_octet", "flags::oob_peek_and_none"],
        extent: Extent::Case,
        reason: "AF_UNIX counts the urgent octet as readable: in FIONREAD, and as POLLIN where \
                 there is no other",
    },
    Difference {
        cases: &["flags::zerocopy"],
        extent: Extent::Case,
        reason: "an AF_UNIX socket has no error queue that poll() shows, so SO_ZEROCOPY is refused \
                 rather than leave a program waiting for its completions",
    },
    Difference {
        cases: &["ready::low_water_mark"],
        extent: Extent::Case,
        reason: "poll() of an AF_UNIX socket does not look at SO_RCVLOWAT",
    },
    Difference {
        cases: &["ready::epoll_listener"],
        extent: Extent::Case,
        reason: "a listener that was shut down gets a fresh AF_UNIX socket, because none becomes \
                 unconnected again, and epoll forgets the old one without an edge",
    },
    Difference {
        cases: &["process::dup_of_a_nonblocking_refused_socket_then_connect_again"],
        extent: Extent::Case,
        reason: "a new connect() after a failed one is made on a fresh AF_UNIX socket under the \
                 same number; a copy made by dup() before keeps the dead one",
    },
];
