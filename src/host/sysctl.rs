//! One table of every setting the host honours: name, form, default of current Linux (6.18),
//! meaning. `net.tcplab.*` are ours.
//!
//! Names that Linux has and this table lacks are not accepted: a setting that does nothing would
//! lie. Values are read as `/proc/sys` reads them: decimal or `0x` hexadecimal.

use core::fmt;

use super::limits::{
    MAX_ACCEPT_BACKLOG, MAX_BUFFER, MAX_ORPHANS, MAX_RESERVED_RANGES, MAX_SYN_BACKLOG,
    MAX_TIME_WAIT,
};
use crate::inspect::SysctlRow;

/// What a value looks like, and its range.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// One number.
    Number(i64, i64),
    /// Three numbers, not descending.
    Triple(i64, i64),
    /// `low high`, two ports.
    PortRange,
    /// `80,8000-8100`, or nothing.
    PortSet,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// A value.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Value {
    Number(i64),
    Triple([i64; 3]),
    PortRange(u16, u16),
    PortSet(Vec<(u16, u16)>),
    Word(&'static str),
}

struct Entry {
    name: &'static str,
    form: Form,
    default: &'static str,
    meaning: &'static str,
}

macro_rules! table {
    ($($key:ident = $name:literal, $form:expr, $default:literal, $meaning:literal;)*) => {
        /// One setting.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum Key { $(#[doc = $meaning] $key),* }

        const TABLE: &[Entry] = &[$(Entry {
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
    OrphanRetries = "net.ipv4.tcp_orphan_retries", Form::Number(0, 255), "0",
        "Retransmissions of a connection without a program (0: 8)";
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
    MslMs = "net.tcplab.tcp_msl_ms", Form::Number(0, 600_000), "30000",
        "Maximum segment lifetime; TIME-WAIT lasts twice as long (Linux: a constant)";
}

/// The values of one host.
#[derive(Clone, Debug)]
pub(super) struct Sysctls(Vec<Value>);

impl Sysctls {
    /// Every setting at its default. The defaults of the table are legal: a test reads them all.
    pub(super) fn new() -> Sysctls {
        let parse = |entry: &Entry| entry.form.parse(entry.default).unwrap_or(Value::Number(0));
        Sysctls(TABLE.iter().map(parse).collect())
    }

    /// A setting that is one number.
    pub(super) fn number(&self, key: Key) -> i64 {
        match self.0[key as usize] {
            Value::Number(number) => number,
            _ => 0,
        }
    }

    /// A setting that is on or off.
    pub(super) fn is_on(&self, key: Key) -> bool {
        self.number(key) != 0
    }

    /// A setting that is three sizes.
    pub(super) fn sizes(&self, key: Key) -> [usize; 3] {
        match self.0[key as usize] {
            Value::Triple(sizes) => sizes.map(|size| size as usize),
            _ => [0; 3],
        }
    }

    /// A setting that is a word.
    pub(super) fn word(&self, key: Key) -> &'static str {
        match self.0[key as usize] {
            Value::Word(word) => word,
            _ => "",
        }
    }

    /// `ip_local_port_range`.
    pub(super) fn port_range(&self) -> (u16, u16) {
        match self.0[Key::LocalPortRange as usize] {
            Value::PortRange(low, high) => (low, high),
            _ => (1, 1),
        }
    }

    /// `port` is in `ip_local_reserved_ports`.
    pub(super) fn is_reserved(&self, port: u16) -> bool {
        let Value::PortSet(ranges) = &self.0[Key::ReservedPorts as usize] else { return false };
        let after = ranges.partition_point(|&(low, _)| low <= port);
        after > 0 && ranges[after - 1].1 >= port
    }

    /// All rows, in the order of the table.
    pub(super) fn rows(&self) -> Vec<SysctlRow> {
        (0..TABLE.len()).map(|index| self.row(index)).collect()
    }

    /// The row of `name`. Error: one sentence.
    pub(super) fn get(&self, name: &str) -> Result<SysctlRow, String> {
        find(name).map(|index| self.row(index))
    }

    /// Sets `name`. Error: one sentence.
    pub(super) fn set(&mut self, name: &str, text: &str) -> Result<SysctlRow, String> {
        let index = find(name)?;
        let entry = &TABLE[index];
        match entry.form.parse(text) {
            Some(value) => self.0[index] = value,
            None => return Err(format!("{} takes {}, not '{text}'", entry.name, entry.form)),
        }
        Ok(self.row(index))
    }

    fn row(&self, index: usize) -> SysctlRow {
        let entry = &TABLE[index];
        SysctlRow {
            name: entry.name.to_owned(),
            value: self.0[index].to_string(),
            default: entry.default.replace(' ', "\t"),
            meaning: entry.meaning.to_owned(),
        }
    }
}

impl Form {
    fn parse(self, text: &str) -> Option<Value> {
        match self {
            Form::Number(low, high) => {
                let number = number(text.trim())?;
                (low..=high).contains(&number).then_some(Value::Number(number))
            }
            Form::Triple(low, high) => {
                let numbers: Option<Vec<i64>> = text.split_ascii_whitespace().map(number).collect();
                let triple: [i64; 3] = numbers?.try_into().ok()?;
                let legal = triple.is_sorted() && triple.iter().all(|n| (low..=high).contains(n));
                legal.then_some(Value::Triple(triple))
            }
            Form::PortRange => {
                let mut words = text.split_ascii_whitespace();
                let (low, high) = (port(words.next()?)?, port(words.next()?)?);
                (words.next().is_none() && 0 < low && low <= high)
                    .then_some(Value::PortRange(low, high))
            }
            Form::PortSet => port_set(text.trim()).map(Value::PortSet),
            Form::Word(words) => {
                words.iter().find(|&&word| word == text.trim()).map(|word| Value::Word(word))
            }
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::Number(low, high) => write!(f, "a number from {low} to {high}"),
            Form::Triple(low, high) => {
                write!(f, "three numbers from {low} to {high}, none less than the one before")
            }
            Form::PortRange => write!(f, "two ports from 1 to 65535, the lower first"),
            Form::PortSet => write!(f, "ports and ranges as 80,8000-8100"),
            Form::Word(words) => write!(f, "{}", words.join(" or ")),
        }
    }
}

impl fmt::Display for Value {
    /// As `/proc/sys` shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write!(f, "{number}"),
            Value::Triple([a, b, c]) => write!(f, "{a}\t{b}\t{c}"),
            Value::PortRange(low, high) => write!(f, "{low}\t{high}"),
            Value::PortSet(ranges) => {
                let one = |&(low, high): &(u16, u16)| match low == high {
                    true => low.to_string(),
                    false => format!("{low}-{high}"),
                };
                write!(f, "{}", ranges.iter().map(one).collect::<Vec<_>>().join(","))
            }
            Value::Word(word) => write!(f, "{word}"),
        }
    }
}

fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn port(text: &str) -> Option<u16> {
    number(text)?.try_into().ok()
}

/// Sorted ranges that neither touch nor overlap.
fn port_set(text: &str) -> Option<Vec<(u16, u16)>> {
    let mut ranges = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        let range = (port(low.trim())?, port(high.trim())?);
        if range.0 > range.1 || ranges.len() == MAX_RESERVED_RANGES {
            return None;
        }
        ranges.push(range);
    }
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let joins = u32::from(next.0) <= u32::from(kept.1) + 1;
        if joins {
            kept.1 = kept.1.max(next.1);
        }
        joins
    });
    Some(ranges)
}

/// Index of a name; `/` may stand for `.`.
fn find(name: &str) -> Result<usize, String> {
    let wanted = name.trim().replace('/', ".");
    TABLE.iter().position(|entry| entry.name == wanted).ok_or_else(|| {
        let near = TABLE.iter().min_by_key(|entry| distance(entry.name, &wanted));
        // Most letters of the last part must be right, else the hint leads astray.
        let meant = |name| edit_distance(last_part(name), last_part(&wanted)) <= wanted.len() / 4;
        match near.filter(|entry| meant(entry.name)) {
            Some(near) => {
                format!("there is no sysctl '{wanted}' here; the nearest name is {}", near.name)
            }
            None => format!("there is no sysctl '{wanted}' here; `tcplab sysctl -a` lists them"),
        }
    })
}

/// Edit distance, where a name without its `net.ipv4.` counts as near.
fn distance(known: &str, wanted: &str) -> usize {
    edit_distance(last_part(known), last_part(wanted)) * 4 + edit_distance(known, wanted)
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn edit_distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    let b: Vec<u8> = b.bytes().take(LONGEST).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = core::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_legal_value() {
        for entry in TABLE {
            assert!(entry.form.parse(entry.default).is_some(), "{}", entry.name);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let sysctls = Sysctls::new();
        let error = sysctls.get("net.ipv4.tcp_fin_timout").unwrap_err();
        assert!(error.contains("net.ipv4.tcp_fin_timeout"), "{error}");
        let error = sysctls.get("tcp_tw_reuse").unwrap_err();
        assert!(error.ends_with("net.ipv4.tcp_tw_reuse"), "{error}");
        let error = sysctls.get("foo").unwrap_err();
        assert!(error.contains("sysctl -a"), "{error}");
    }

    #[test]
    fn a_bad_value_is_answered_with_the_range() {
        let mut sysctls = Sysctls::new();
        let error = sysctls.set("net.ipv4.tcp_tw_reuse", "3").unwrap_err();
        assert_eq!(error, "net.ipv4.tcp_tw_reuse takes a number from 0 to 2, not '3'");
        assert!(sysctls.set("net.ipv4.tcp_rmem", "9 8 7").is_err());
        assert!(sysctls.set("net.ipv4.ip_local_port_range", "2000 1000").is_err());
    }

    #[test]
    fn reserved_ports_are_joined_and_found() {
        let mut sysctls = Sysctls::new();
        let row = sysctls.set("net/ipv4/ip_local_reserved_ports", "9000-9010,80,9005-9020,81");
        assert_eq!(row.unwrap().value, "80-81,9000-9020");
        let reserved = |port| sysctls.is_reserved(port);
        assert!(reserved(80) && reserved(81) && reserved(9000) && reserved(9020));
        assert!(!reserved(79) && !reserved(82) && !reserved(8999) && !reserved(9021));
    }
}
