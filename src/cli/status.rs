//! `tcplab status`: what the stack of the session holds, in numbers.

use core::fmt::Write as _;

use clap::Args;
use tcplab::client::Client;
use tcplab::inspect::Status;
use tcplab::ipc::names::Session;

use super::{Outcome, print, print_json};

/// Show what the session's stack holds: sockets, connections, memory, counters
///
/// The numbers are those a leak test compares. Counters have their kernel names (`netstat -s`);
/// those that are zero are shown with --all only. Exit status 1 where the session is not running.
#[derive(Args)]
#[command(after_help = "Examples:
  tcplab status
  tcplab status --json | jq .time_wait")]
pub(super) struct Arguments {
    /// As JSON, with every counter
    #[arg(long)]
    json: bool,
    /// Counters that are zero, too
    #[arg(short, long)]
    all: bool,
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let status = Client::connect(session)?.status()?;
    if arguments.json {
        print_json(&status)?;
    } else {
        print(&table(&status, arguments.all))?;
    }
    Ok(0)
}

fn table(status: &Status, all: bool) -> String {
    let rows = [
        ("sockets", status.sockets, "held by programs"),
        ("tcbs", status.tcbs, "connections, orphans included"),
        ("orphans", status.orphans, "connections that no program holds"),
        ("time-wait", status.time_wait, "connections in TIME-WAIT"),
        ("ports", status.ports, "local ports in use"),
        ("descriptors", status.descriptors, "open in the stack process"),
        ("buffered", status.buffered, "octets in send and receive buffers"),
        ("resident", status.resident_kib, "KiB of memory of the stack process"),
    ];
    let mut text = format!(
        "session {}: process {}, UDP port {}, up {}\n",
        status.session,
        status.pid,
        status.udp_port,
        duration(status.uptime_s)
    );
    for (name, value, meaning) in rows {
        let _ = writeln!(text, "  {name:<12} {value:>10}  {meaning}");
    }
    let counters = || status.counters.iter().filter(|(_, value)| all || *value != 0);
    let width = counters().map(|(name, _)| name.len()).max().unwrap_or(0);
    if width > 0 {
        text.push_str("counters\n");
    }
    for (name, value) in counters() {
        let _ = writeln!(text, "  {name:<width$} {value:>10}");
    }
    text
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_counters_are_left_out_unless_asked_for() {
        let status = Status {
            pid: 7,
            session: "0/default".to_owned(),
            uptime_s: 61,
            udp_port: 9293,
            time_wait: 3,
            counters: vec![("TcpActiveOpens".to_owned(), 2), ("TcpOutRsts".to_owned(), 0)],
            ..Status::default()
        };
        let short = table(&status, false);
        assert!(short.starts_with("session 0/default: process 7, UDP port 9293, up 1 min 1 s\n"));
        assert!(short.contains("  time-wait             3  connections in TIME-WAIT\n"));
        assert!(short.ends_with("counters\n  TcpActiveOpens          2\n"));
        assert!(table(&status, true).contains("TcpOutRsts"));
    }
}
