//! Counters by their kernel names (`netstat -s`, `nstat`): what happened to segments and
//! connections since the host began.

use core::net::IpAddr;

macro_rules! counters {
    ($($counter:ident = $name:literal, $meaning:literal;)*) => {
        /// One counter.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum Counter { $(#[doc = $meaning] $counter),* }

        const NAMES: &[&str] = &[$($name),*];
    };
}

counters! {
    ActiveOpens = "TcpActiveOpens", "connect() that sent a SYN.";
    PassiveOpens = "TcpPassiveOpens", "Handshakes that a listener finished.";
    AttemptFails = "TcpAttemptFails", "Connections that ended before they were established.";
    EstabResets = "TcpEstabResets", "Connections that ended from ESTABLISHED or CLOSE-WAIT.";
    InSegs = "TcpInSegs", "Segments received, bad ones included.";
    OutSegs = "TcpOutSegs", "Segments sent.";
    InOctets = "IpExtInOctets", "Octets of segments received, with an IP header each.";
    OutOctets = "IpExtOutOctets", "Octets of segments sent, with an IP header each.";
    RetransSegs = "TcpRetransSegs", "Segments sent again.";
    InErrs = "TcpInErrs", "Datagrams that are not a segment, or have a bad checksum.";
    OutRsts = "TcpOutRsts", "Segments sent with RST.";
    InCsumErrors = "TcpInCsumErrors", "Segments with a bad checksum.";
    EmbryonicRsts = "TcpExtEmbryonicRsts", "RST received in SYN-RECEIVED.";
    TimeWaited = "TcpExtTW", "TIME-WAIT that ran out.";
    TimeWaitRecycled = "TcpExtTWRecycled", "TIME-WAIT taken over by a new connection.";
    ListenOverflows = "TcpExtListenOverflows", "Accept queue was full.";
    ListenDrops = "TcpExtListenDrops", "SYN or final ACK that a listener dropped.";
    AbortOnData = "TcpExtTCPAbortOnData", "Closed with SO_LINGER {1,0}, or data after close.";
    AbortOnClose = "TcpExtTCPAbortOnClose", "Closed with unread data.";
    AbortOnMemory = "TcpExtTCPAbortOnMemory", "Too many orphans.";
    AbortOnTimeout = "TcpExtTCPAbortOnTimeout", "A timer gave up.";
    AbortOnLinger = "TcpExtTCPAbortOnLinger", "FIN-WAIT-2 not waited for (TCP_LINGER2).";
    DeferAcceptDrop = "TcpExtTCPDeferAcceptDrop", "ACK without data at TCP_DEFER_ACCEPT.";
    TimeWaitOverflow = "TcpExtTCPTimeWaitOverflow", "TIME-WAIT beyond tcp_max_tw_buckets.";
    ReqQFullDrop = "TcpExtTCPReqQFullDrop", "SYN queue was full.";
}

/// Octets of a segment in an IP datagram, which the wire does without.
pub(super) fn octets_with_ip(address: IpAddr, segment_len: usize) -> u64 {
    let header_len = if address.is_ipv4() { 20 } else { 40 };
    (header_len + segment_len) as u64
}

/// All counters.
#[derive(Clone, Debug)]
pub(super) struct Counters([u64; NAMES.len()]);

impl Counters {
    pub(super) fn new() -> Counters {
        Counters([0; NAMES.len()])
    }

    pub(super) fn count(&mut self, counter: Counter) {
        self.0[counter as usize] += 1;
    }

    pub(super) fn add(&mut self, counter: Counter, number: u64) {
        self.0[counter as usize] += number;
    }

    /// Name and value of each.
    pub(super) fn rows(&self) -> Vec<(String, u64)> {
        NAMES.iter().zip(self.0).map(|(name, value)| ((*name).to_owned(), value)).collect()
    }
}
