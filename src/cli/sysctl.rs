//! `tcplab sysctl`: reads and sets the stack's parameters, as sysctl(8) does the kernel's.
//!
//! Names are Linux's where Linux has one (`net.ipv4.tcp_fin_timeout`), else `net.tcplab.*`. It
//! deliberately knows none of them: the stack owns the table.

use core::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use regex_lite::Regex;
use tcplab::client::{Client, Error, this_program};
use tcplab::inspect::{Answer, Command, SysctlRow};
use tcplab::ipc::names::Session;

use super::{Failure, Outcome, notice, print, print_json};

/// Read or set the stack's parameters
///
/// Prints as sysctl(8). A name without its last parts shows all below it, `*` and `?` stand for
/// any letters. With -a or --long each comes with its default and a line of meaning, as a comment:
/// what -a prints can be read back with -p.
///
/// Setting one starts the stack where it is not running, and makes it stay until `tcplab down`, so
/// that the value is not forgotten; `tcplab run --sysctl` sets without making it stay. Connections
/// that live have new values too, where Linux does so.
///
/// Names are Linux's, with its defaults; what Linux cannot change is in net.tcplab. What Linux has
/// and this stack does not do is not there.
#[derive(Args)]
#[command(after_help = "Exit status: 0, or 1 when one could not be read or set; the others are.

Examples:
  tcplab sysctl -a
  tcplab sysctl net.ipv4.tcp_fin_timeout 'net.ipv4.tcp_keepalive_*'
  tcplab sysctl net.tcplab.tcp_msl_ms=500 net.ipv4.tcp_tw_reuse=0
  tcplab sysctl -r 'retries|timeouts'
  tcplab sysctl -a > before; tcplab sysctl -p before
  tcplab sysctl net.tcplab.isn=1000     for every connection; rfc6528 is the default")]
pub(super) struct Arguments {
    /// Show all, with default and meaning
    #[arg(short, long)]
    all: bool,
    /// Show those whose names match this regular expression
    #[arg(short = 'r', long, value_name = "EXPRESSION")]
    pattern: Option<Regex>,
    /// Set what a file says, - for stdin: lines NAME = VALUE, comments after # or ;
    ///
    /// As in sysctl.conf(5): of a line that begins with - a failure does not matter.
    #[arg(short = 'p', long, value_name = "FILE")]
    load: Option<PathBuf>,
    /// Values without names
    #[arg(short = 'n', long)]
    values: bool,
    /// Names without values
    #[arg(short = 'N', long, conflicts_with = "values")]
    names: bool,
    /// Only set: every argument must be NAME=VALUE
    #[arg(short, long)]
    write: bool,
    /// Do not print what was set
    #[arg(short, long)]
    quiet: bool,
    /// Pass over names that there are not
    #[arg(short = 'e', long)]
    ignore: bool,
    /// Default and meaning of each, too
    #[arg(short, long, conflicts_with_all = ["values", "names"])]
    long: bool,
    /// As JSON: name, value, default, meaning
    #[arg(long, conflicts_with_all = ["values", "names", "long"])]
    json: bool,
    /// Parameter to read, or to set
    #[arg(value_name = "NAME[=VALUE]", required_unless_present_any = ["all", "pattern", "load"])]
    parameters: Vec<String>,
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let file = arguments.load.as_deref().map(assignments).transpose()?.unwrap_or_default();
    let mut client = Client::connect_or_start(session, &this_program()?)?;
    let mut rows = Vec::new();
    let mut status = 0;
    if arguments.all || arguments.pattern.is_some() {
        rows = all(&mut client)?;
        if let Some(pattern) = &arguments.pattern {
            rows.retain(|row| pattern.is_match(&row.name));
        }
    }
    let parameters = arguments.parameters.iter().map(|text| (text.as_str(), arguments.ignore));
    let lines = file.iter().map(|line| (line.text.as_str(), arguments.ignore || line.may_fail));
    for (parameter, may_fail) in lines.chain(parameters) {
        match one(&mut client, parameter, arguments) {
            Ok(found) => rows.extend(found),
            Err(Error::Refused(_)) if may_fail => {}
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

/// A line of a file as sysctl.conf(5) describes it.
#[derive(PartialEq, Debug)]
struct Line {
    text: String,
    may_fail: bool,
}

fn assignments(path: &Path) -> Result<Vec<Line>, Failure> {
    let text = match path.as_os_str().as_encoded_bytes() {
        b"-" => std::io::read_to_string(std::io::stdin()),
        _ => std::fs::read_to_string(path),
    };
    let failed = |e| Failure::new(format!("cannot read {}: {e}", path.display()));
    parse_file(&text.map_err(failed)?)
        .map_err(|line| Failure::new(format!("{}, {line}: write NAME = VALUE", path.display())))
}

fn parse_file(text: &str) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let (line, may_fail) = line.strip_prefix('-').map_or((line, false), |rest| (rest, true));
        if !line.contains('=') {
            return Err(format!("line {}", number + 1));
        }
        lines.push(Line { text: line.to_owned(), may_fail });
    }
    Ok(lines)
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

/// The one of that name, all below it, or all that a pattern means.
fn read(client: &mut Client, name: &str) -> Result<Vec<SysctlRow>, Error> {
    let mut rows = all(client)?;
    let directory = format!("{}.", name.trim_end_matches('.'));
    rows.retain(|row| row.name.starts_with(&directory) || matches(name, &row.name));
    if !rows.is_empty() {
        return Ok(rows);
    }
    Ok(vec![row(client.ask(&Command::GetSysctl(name.to_owned()))?)?])
}

/// `name` is what `pattern` means, where `*` stands for any letters and `?` for one.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            name.char_indices().any(|(at, _)| matches(rest, &name[at..])) || matches(rest, "")
        }
        Some(wanted) => name.chars().next().is_some_and(|letter| {
            (wanted == '?' || wanted == letter)
                && matches(&pattern[wanted.len_utf8()..], &name[letter.len_utf8()..])
        }),
    }
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
    let bare = arguments.values || arguments.names;
    for row in rows {
        if (arguments.all || arguments.long) && !bare {
            text += &comment(row);
        }
        let _ = match (arguments.values, arguments.names) {
            (true, _) => writeln!(text, "{}", row.value),
            (_, true) => writeln!(text, "{}", row.name),
            _ => writeln!(text, "{} = {}", row.name, row.value),
        };
    }
    text
}

/// Meaning and default, in lines that fit any terminal.
fn comment(row: &SysctlRow) -> String {
    const WIDTH: usize = 78;
    let default = match row.default.as_str() {
        "" => "default: none".to_owned(),
        default => format!("default: {}", default.replace('\t', " ")),
    };
    let mut text = String::new();
    let mut line = "#".to_owned();
    for word in row.meaning.split(' ').chain([format!("[{default}]").as_str()]) {
        if line.len() + 1 + word.len() > WIDTH {
            text += &line;
            text.push('\n');
            line = "#".to_owned();
        }
        line.push(' ');
        line += word;
    }
    format!("{text}{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_taken_for_dots() {
        assert_eq!(full_name("net/ipv4/tcp_fin_timeout"), "net.ipv4.tcp_fin_timeout");
        assert_eq!(full_name(" net.ipv4.tcp_fin_timeout "), "net.ipv4.tcp_fin_timeout");
    }

    fn row(name: &str, value: &str, default: &str, meaning: &str) -> SysctlRow {
        let [name, value, default, meaning] = [name, value, default, meaning].map(str::to_owned);
        SysctlRow { name, value, default, meaning }
    }

    fn printed(rows: &[SysctlRow], line: &[&str]) -> String {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            arguments: Arguments,
        }
        let line: Line = clap::Parser::parse_from([&["sysctl", "x"], line].concat());
        text(rows, &line.arguments)
    }

    #[test]
    fn rows_print_as_sysctl_prints_them() {
        let range = "32768\t60999";
        let rows = [row("net.ipv4.ip_local_port_range", range, range, "Ports")];
        assert_eq!(printed(&rows, &[]), "net.ipv4.ip_local_port_range = 32768\t60999\n");
        assert_eq!(printed(&rows, &["-n"]), "32768\t60999\n");
        assert_eq!(printed(&rows, &["-aN"]), "net.ipv4.ip_local_port_range\n");
    }

    #[test]
    fn what_all_prints_has_meaning_and_default_and_can_be_read_back() {
        let meaning = "A sentence that is so long that it does not fit in one line of a terminal";
        let rows = [row("a.b", "1", "0", "Short"), row("a.c", "x y", "", meaning)];
        let text = printed(&rows, &["-a"]);
        let expected = "\
# Short [default: 0]
a.b = 1
# A sentence that is so long that it does not fit in one line of a terminal
# [default: none]
a.c = x y
";
        assert_eq!(text, expected);
        let lines: Vec<String> = parse_file(&text).unwrap().into_iter().map(|l| l.text).collect();
        assert_eq!(lines, ["a.b = 1", "a.c = x y"]);
    }

    #[test]
    fn files_are_read_as_those_of_sysctl() {
        let lines = parse_file("; comment\n\n  a = 1\n-b=2\n").unwrap();
        let line = |text: &str, may_fail| Line { text: text.to_owned(), may_fail };
        assert_eq!(lines, [line("a = 1", false), line("b=2", true)]);
        assert_eq!(parse_file("a = 1\nb\n"), Err("line 2".to_owned()));
    }

    #[test]
    fn patterns_are_those_of_a_shell() {
        for (pattern, is) in [
            ("net.*.tcp_tw*", true),
            ("net.ipv4.tcp_tw_reuse", true),
            ("*", true),
            ("net.ipv?.tcp_tw_reuse*", true),
            ("net.ipv4", false),
            ("*.tcp_tw", false),
            ("", false),
        ] {
            assert_eq!(matches(pattern, "net.ipv4.tcp_tw_reuse"), is, "{pattern}");
        }
    }
}
