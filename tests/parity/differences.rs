//! What stays different from the kernel, and why. A case listed here must differ: one that has
//! become equal fails until its line is removed.

/// Case (`file::case`) and reason.
pub(crate) const DIFFERENCES: &[(&str, &str)] = &[
    (
        "connect::mptcp",
        "IPPROTO_MPTCP answers EPROTONOSUPPORT, so that programs fall back to TCP, which is ours",
    ),
    (
        "ready::poll_band_bits",
        "the kernel socket is an AF_UNIX one, which adds POLLWRBAND wherever TCP says POLLWRNORM",
    ),
];
