//! `tcplab why`: why a port can or cannot be had, and who is to blame.
//!
//! The stack tells the facts, `/proc` the holders; the sentences are in `words.rs`. What it says is
//! what bind() and connect() would do at this moment, and deliberately no more: no names are
//! resolved, no other machine is asked.

mod words;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use tcplab::client::{Client, Error, this_program};
use tcplab::inspect::why::{Call, Explanation, Question, Refusal};
use tcplab::inspect::{Answer, Command};
use tcplab::ipc::names::Session;

use self::words::Case;
use super::ss::holders::{self, HeldById, Holder};
use super::units::duration;
use super::{Failure, Outcome, USAGE, print, print_json};

/// Say why a port can or cannot be had, and who has it
///
/// Names the culprit: a listener (program, process, descriptor, and whether it was inherited), a
/// connection in TIME-WAIT (its ends, the time left, which side lacked SO_REUSEADDR), an outgoing
/// connection whose ephemeral port it happens to be, a range of ports that is used up and by what;
/// and says what helps. Without a subcommand: the last calls of programs that were refused for want
/// of a port, explained as things stood then.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Exit status: 0 it would succeed, 1 it would fail, 2 that cannot be said.

Examples:
  tcplab why                                     the last refusals
  tcplab why bind :8080                          bind(0.0.0.0:8080) of a new socket
  tcplab why bind '[::1]:8080' --reuseaddr
  tcplab why connect 127.0.0.1:80
  tcplab why connect 127.0.0.1:80 --from :5000   after bind(0.0.0.0:5000)"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    call: Option<Asked>,
    /// As JSON: the facts, the sentences, and the holders of each party
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Asked {
    /// What bind() of a new socket would do
    Bind {
        /// Address and port; without address all of IPv4's, `[::]:PORT` all of IPv6's as well
        #[arg(value_name = "[ADDRESS]:PORT", value_parser = parse_bind)]
        address: SocketAddr,
        #[command(flatten)]
        options: Options,
    },
    /// What connect() of a new socket would do
    Connect {
        /// Where to
        #[arg(value_name = "ADDRESS:PORT", value_parser = parse_connect)]
        address: SocketAddr,
        /// Address or port, or both, that the socket is bound to before
        #[arg(long, value_name = "ADDRESS[:PORT]", value_parser = parse_from)]
        from: Option<SocketAddr>,
        #[command(flatten)]
        options: Options,
    },
}

/// What is set on the socket.
#[derive(Args, Clone, Copy)]
struct Options {
    /// The socket has SO_REUSEADDR
    #[arg(long)]
    reuseaddr: bool,
    /// The socket has SO_REUSEPORT
    #[arg(long)]
    reuseport: bool,
    /// The socket has IPV6_V6ONLY
    #[arg(long)]
    v6only: bool,
    /// User of the program, by number [default: yours]
    #[arg(long, value_name = "UID")]
    uid: Option<u32>,
}

/// What is printed as JSON.
#[derive(Serialize)]
struct Told<'a> {
    verdict: String,
    remedies: Vec<String>,
    #[serde(flatten)]
    explanation: &'a Explanation,
    /// Of each of the parties.
    holders: Vec<&'a [Holder]>,
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let told = tell(session, arguments);
    // That it would fail is an answer; that there is no answer is another thing.
    told.map_err(|failure| Failure { status: failure.status.max(USAGE), ..failure })
}

fn tell(session: &Session, arguments: &Arguments) -> Outcome {
    let Some(asked) = &arguments.call else {
        return tell_refusals(session, arguments.json);
    };
    let mut client = Client::connect_or_start(session, &this_program()?)?;
    let explanation = match client.ask(&Command::Why(question(asked)))? {
        Answer::Why(explanation) => *explanation,
        other => return Err(Error::Foreign(format!("it answered {other:?}")).into()),
    };
    let held = holders::find(session);
    let case = Case::new(&explanation, &held);
    if arguments.json {
        print_json(&told(&case))?;
    } else {
        print(&case.text())?;
    }
    Ok(u8::from(explanation.errno.is_some()))
}

fn question(asked: &Asked) -> Question {
    let (call, address, from, options) = match *asked {
        Asked::Bind { address, options } => (Call::Bind, address, None, options),
        Asked::Connect { address, from, options } => (Call::Connect, address, from, options),
    };
    let Options { reuseaddr, reuseport, v6only, uid } = options;
    Question {
        call,
        address,
        from,
        reuse_address: reuseaddr,
        reuse_port: reuseport,
        v6only,
        uid: uid.unwrap_or_else(|| rustix::process::geteuid().as_raw()),
    }
}

fn told<'a>(case: &Case<'a>) -> Told<'a> {
    Told {
        verdict: case.verdict(),
        remedies: case.remedies(),
        explanation: case.explanation,
        holders: case.holders(),
    }
}

fn tell_refusals(session: &Session, json: bool) -> Outcome {
    let mut client = Client::connect(session)?;
    let refusals = match client.ask(&Command::Refusals)? {
        Answer::Refusals(refusals) => refusals,
        other => return Err(Error::Foreign(format!("it answered {other:?}")).into()),
    };
    let held = holders::find(session);
    if json {
        #[derive(Serialize)]
        struct Refused<'a> {
            age_ms: u64,
            pid: u32,
            program: &'a str,
            fd: i32,
            times: u64,
            #[serde(flatten)]
            told: Told<'a>,
        }
        let told = |refusal: &'_ Refusal| -> serde_json::Value {
            let Refusal { age_ms, pid, ref program, fd, times, ref explanation } = *refusal;
            let told = told(&Case::new(explanation, &held));
            let refused = Refused { age_ms, pid, program, fd, times, told };
            serde_json::to_value(refused).unwrap_or_default()
        };
        print_json(&refusals.iter().map(told).collect::<Vec<_>>())?;
        return Ok(0);
    }
    if refusals.is_empty() {
        print("no call has been refused for want of a port\n")?;
    }
    let texts: Vec<String> = refusals.iter().map(|refusal| refused(refusal, &held)).collect();
    print(&texts.join("\n"))?;
    Ok(0)
}

fn refused(refusal: &Refusal, held: &HeldById) -> String {
    let Refusal { age_ms, pid, program, fd, times, explanation } = refusal;
    let ago = duration(Duration::from_millis(*age_ms));
    let program = if program.is_empty() { "a program" } else { program };
    let descriptor = if *fd < 0 { String::new() } else { format!(", fd {fd}") };
    let times = if *times == 1 { String::new() } else { format!(", {times} times in a row") };
    let who = format!("{program} (pid {pid}{descriptor})");
    format!("{ago} ago{times}, {who}:\n{}", Case::new(explanation, held).text())
}

/// `8080`, `:8080`, `*:8080`: all of IPv4's addresses.
fn parse_bind(text: &str) -> Result<SocketAddr, String> {
    parse_address(text, Ipv4Addr::UNSPECIFIED.into())
}

/// A port alone is one of this machine.
fn parse_connect(text: &str) -> Result<SocketAddr, String> {
    parse_address(text, Ipv4Addr::LOCALHOST.into())
}

fn parse_from(text: &str) -> Result<SocketAddr, String> {
    match text.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(ip) => Ok(SocketAddr::new(ip, 0)),
        Err(_) => parse_address(text, Ipv4Addr::UNSPECIFIED.into()),
    }
}

fn parse_address(text: &str, any: IpAddr) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let ip = match host {
        "" | "*" => Some(any),
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        "[*]" => Some(Ipv6Addr::UNSPECIFIED.into()),
        _ => None,
    };
    ip.zip(port.parse().ok()).map(|(ip, port)| SocketAddr::new(ip, port)).ok_or_else(|| {
        format!("'{text}' is not an address with a port: write 127.0.0.1:80, [::1]:80 or :80")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, expected) in [
            ("8080", "0.0.0.0:8080"),
            (":8080", "0.0.0.0:8080"),
            ("*:8080", "0.0.0.0:8080"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("localhost:80", "127.0.0.1:80"),
            ("[::]:80", "[::]:80"),
            ("[::1]:0", "[::1]:0"),
        ] {
            assert_eq!(parse_bind(text).map(|a| a.to_string()), Ok(expected.to_owned()));
        }
        assert_eq!(parse_connect(":80").unwrap().to_string(), "127.0.0.1:80");
        for (text, expected) in [
            ("127.0.0.2", "127.0.0.2:0"),
            ("::1", "[::1]:0"),
            ("[::1]", "[::1]:0"),
            (":5000", "0.0.0.0:5000"),
            ("127.0.0.2:5000", "127.0.0.2:5000"),
        ] {
            assert_eq!(parse_from(text).map(|a| a.to_string()), Ok(expected.to_owned()));
        }
        for text in ["", "x", "::1:80", "1.2.3.4", "host:80", "127.0.0.1:99999"] {
            assert!(parse_bind(text).is_err(), "{text}");
        }
    }
}
