//! One table of every setting the host honours: name, form, default of current Linux (6.18),
//! meaning. `net.tcplab.*` are ours.
//!
//! Names that Linux has and this table lacks are not accepted: a setting that does nothing would
//! lie. Values are read as `/proc/sys` reads them: decimal or `0x` hexadecimal.

mod form;
mod nearest;
mod table;

use self::form::Value;
use self::nearest::find;
use self::table::{Entry, TABLE};
use crate::inspect::SysctlRow;
use crate::time::Duration;

pub(super) use self::table::Key;

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

    /// The initial sequence number that every connection is to have, where one is set.
    pub(super) fn fixed_isn(&self) -> Option<u32> {
        match self.0[Key::Isn as usize] {
            Value::Isn(number) => number,
            _ => None,
        }
    }

    /// MTU of the path.
    pub(super) fn mtu(&self) -> usize {
        self.number(Key::Mtu).unsigned_abs() as usize
    }

    /// A setting that is a time in milliseconds.
    pub(super) fn millis(&self, key: Key) -> Duration {
        Duration::from_millis(self.number(key).unsigned_abs())
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
