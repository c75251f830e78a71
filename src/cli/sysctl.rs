//! `tcplab sysctl`: reads and sets the stack's parameters, as sysctl(8) does the kernel's.
//!
//! Names are Linux's where Linux has one (`net.ipv4.tcp_fin_timeout`), else `net.tcplab.*`. It
//! deliberately knows none of them: the stack owns the table.

use core::fmt::Write as _;

use clap::Args;
use tcplab::client::{Client, Error, this_program};
use tcplab::inspect::{Answer, Command, SysctlRow};
use tcplab::ipc::names::Session;

use super::{Failure, Outcome, notice, print, print_json};

/// Read or set the stack's parameters
///
/// Prints as sysctl(8). A name without its last parts shows all below it. Setting one starts the
/// stack where it is not running, and makes it stay until `tcplab down`, so that the value is not
/// forgotten; `tcplab run --sysctl` sets without making it stay.
#[derive(Args)]
#[command(after_help = "Examples:
  tcplab sysctl -a
  tcplab sysctl net.ipv4.tcp_fin_timeout
  tcplab sysctl net.tcplab.tcp_msl_ms=500 net.ipv4.tcp_tw_reuse=0
  tcplab sysctl --long net.tcplab")]
pub(super) struct Arguments {
    /// Show all
    #[arg(short, long)]
    all: bool,
    /// Values without names
    #[arg(short = 'n', long)]
    values: bool,
    /// Only set: every argument must be NAME=VALUE
    #[arg(short, long)]
    write: bool,
    /// Do not print what was set
    #[arg(short, long)]
    quiet: bool,
    /// Default and meaning of each, too
    #[arg(short, long, conflicts_with = "values")]
    long: bool,
    /// As JSON
    #[arg(long, conflicts_with_all = ["values", "long"])]
    json: bool,
    /// Parameter to read, or to set
    #[arg(value_name = "NAME[=VALUE]", required_unless_present = "all")]
    parameters: Vec<String>,
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let mut client = Client::connect_or_start(session, &this_program()?)?;
    let mut rows = Vec::new();
    let mut status = 0;
    if arguments.all {
        rows = all(&mut client)?;
    }
    for parameter in &arguments.parameters {
        match one(&mut client, parameter, arguments) {
            Ok(found) => rows.extend(found),
            // As sysctl(8): the others are still done.
            Err(Error::Refused(sentence)) => {
                notice(&sentence);
                status = 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if arguments.json {
        print_json(&rows)?;
    } else {
        print(&text(&rows, arguments))?;
    }
    Ok(status)
}

/// Sets `NAME=VALUE`, for `tcplab run --sysctl`.
pub(super) fn set(client: &mut Client, assignment: &str) -> Result<(), Failure> {
    let (name, value) = assignment.split_once('=').ok_or_else(|| {
        Failure::usage(format!("--sysctl {assignment}: write NAME=VALUE (see `tcplab sysctl -a`)"))
    })?;
    client.ask(&Command::SetSysctl(full_name(name), value.trim().to_owned()))?;
    Ok(())
}

fn one(
    client: &mut Client,
    parameter: &str,
    arguments: &Arguments,
) -> Result<Vec<SysctlRow>, Error> {
    let Some((name, value)) = parameter.split_once('=') else {
        if arguments.write {
            return Err(Error::Refused(format!("\"{parameter}\" must be of the form name=value")));
        }
        return read(client, &full_name(parameter));
    };
    client.ask(&Command::Stay)?;
    let row = row(client.ask(&Command::SetSysctl(full_name(name), value.trim().to_owned()))?)?;
    Ok(if arguments.quiet { Vec::new() } else { vec![row] })
}

fn read(client: &mut Client, name: &str) -> Result<Vec<SysctlRow>, Error> {
    let directory = format!("{}.", name.trim_end_matches('.'));
    let mut below = all(client)?;
    below.retain(|row| row.name.starts_with(&directory));
    if !below.is_empty() {
        return Ok(below);
    }
    Ok(vec![row(client.ask(&Command::GetSysctl(name.to_owned()))?)?])
}

fn all(client: &mut Client) -> Result<Vec<SysctlRow>, Error> {
    match client.ask(&Command::Sysctls)? {
        Answer::Sysctls(mut rows) => {
            rows.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(rows)
        }
        other => Err(Error::Foreign(format!("it answered {other:?}"))),
    }
}

fn row(answer: Answer) -> Result<SysctlRow, Error> {
    match answer {
        Answer::Sysctl(row) => Ok(row),
        other => Err(Error::Foreign(format!("it answered {other:?}"))),
    }
}

/// `net/ipv4/x` is `net.ipv4.x`, as sysctl(8) has it.
fn full_name(name: &str) -> String {
    let name = name.trim();
    match name.find(['/', '.']) {
        Some(at) if name.as_bytes()[at] == b'/' => name.replace('/', "."),
        _ => name.to_owned(),
    }
}

fn text(rows: &[SysctlRow], arguments: &Arguments) -> String {
    let mut text = String::new();
    for row in rows {
        let _ = if arguments.values {
            writeln!(text, "{}", row.value)
        } else {
            writeln!(text, "{} = {}", row.name, row.value)
        };
        if arguments.long {
            let _ = writeln!(text, "    default {}: {}", row.default, row.meaning);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_taken_for_dots() {
        assert_eq!(full_name("net/ipv4/tcp_fin_timeout"), "net.ipv4.tcp_fin_timeout");
        assert_eq!(full_name(" net.ipv4.tcp_fin_timeout "), "net.ipv4.tcp_fin_timeout");
    }

    #[test]
    fn rows_print_as_sysctl_prints_them() {
        let rows = [SysctlRow {
            name: "net.ipv4.ip_local_port_range".to_owned(),
            value: "32768\t60999".to_owned(),
            default: "32768\t60999".to_owned(),
            meaning: "ports of connect()".to_owned(),
        }];
        let mut arguments = Arguments {
            all: false,
            values: false,
            write: false,
            quiet: false,
            long: false,
            json: false,
            parameters: Vec::new(),
        };
        assert_eq!(text(&rows, &arguments), "net.ipv4.ip_local_port_range = 32768\t60999\n");
        arguments.values = true;
        assert_eq!(text(&rows, &arguments), "32768\t60999\n");
    }
}
