//! The stack records what happens, in order, without having been asked.

use std::time::Duration;

use tcplab::client::Client;
use tcplab::inspect::{Answer, Command};
use tcplab::ipc::names::Session as Name;
use tcplab::ipc::record::Api;
use tcplab::tcp::State;
use tcplab::trace::{Record, Sending, What};
use tcplab::wire::Flags;

use crate::common::{Session, compile, wait_for};

const LIMIT: Duration = Duration::from_secs(20);

fn client_of(session: &Session) -> Client {
    let uid = rustix::process::geteuid().as_raw();
    let name = Name::parse(session.name().as_bytes(), uid).expect("a session name");
    Client::connect(&name).expect("the stack answers")
}

fn records(client: &mut Client) -> Vec<Record> {
    let mut all = Vec::new();
    let mut since = 0;
    loop {
        match client.ask(&Command::Records { since, most: 1000 }) {
            Ok(Answer::Records(part)) if part.records.is_empty() => return all,
            Ok(Answer::Records(part)) => {
                assert_eq!(part.lost, 0);
                since = part.next;
                all.extend(part.records);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Runs an echo server and a client through one connection; records to its end.
fn one_connection(session: &Session) -> Vec<Record> {
    let server = session.spawn(compile("examples/correct_server.c", &[]), ["0"]);
    let port = server.listening_port().to_string();
    let mut client = session.spawn(compile("examples/client.c", &[]), [&port, "hello"]);
    assert_eq!(client.wait(LIMIT).and_then(|status| status.code()), Some(0));
    let mut stack = client_of(session);
    let mut seen = Vec::new();
    wait_for("the last ACK", || {
        seen = records(&mut stack);
        seen.iter().any(|record| matches!(record.what, What::State(s) if s.from == State::LastAck))
    });
    server.signal(libc::SIGTERM);
    seen
}

#[test]
fn the_life_of_a_connection_is_recorded_with_its_causes() {
    let session = Session::new();
    let seen = one_connection(&session);
    let segments: Vec<String> = seen
        .iter()
        .filter_map(|record| match record.what {
            What::Segment(segment) => Some(segment.flags.to_string()),
            _ => None,
        })
        .collect();
    // The text and its acknowledgments are bulk.
    assert_eq!(segments[..3], ["SYN", "SYN,ACK", "ACK"]);
    assert_eq!(segments.iter().filter(|flags| flags.contains("FIN")).count(), 2, "{segments:?}");
    let states: Vec<String> = seen
        .iter()
        .filter_map(|record| match record.what {
            What::State(change) => Some(format!("{} {}", change.from, change.to)),
            _ => None,
        })
        .collect();
    for arrow in [
        "UNCONN LISTEN",
        "UNCONN SYN-SENT",
        "LISTEN SYN-RECV",
        "SYN-SENT ESTAB",
        "SYN-RECV ESTAB",
        "ESTAB FIN-WAIT-1",
        "ESTAB CLOSE-WAIT",
        "FIN-WAIT-1 FIN-WAIT-2",
        "CLOSE-WAIT LAST-ACK",
        "FIN-WAIT-2 TIME-WAIT",
        "LAST-ACK UNCONN",
    ] {
        assert!(states.iter().any(|state| state == arrow), "{arrow} is missing: {states:?}");
    }
    let calls: Vec<Api> = seen
        .iter()
        .filter_map(|record| match record.what {
            What::Call(call) => Some(call.api),
            _ => None,
        })
        .collect();
    for api in [Api::Bind, Api::Listen, Api::Connect, Api::Accept, Api::Close] {
        assert!(calls.contains(&api), "{api:?} is missing: {calls:?}");
    }
}

#[test]
fn every_recorded_segment_arrives_under_its_serial_number() {
    let session = Session::new();
    let seen = one_connection(&session);
    let sent = seen.iter().filter_map(|record| match record.what {
        What::Segment(segment) => Some(segment),
        _ => None,
    });
    for segment in sent {
        assert_ne!(segment.sending, Sending::Reply, "{segment:?}");
        let arrived = seen.iter().any(|record| match record.what {
            What::Arrival(arrival) => arrival.serial == Some(segment.serial),
            _ => false,
        });
        assert!(arrived, "{segment:?}");
        let isn = segment.flags.contains(Flags::SYN).then_some(segment.seq);
        assert!(isn.is_none() || isn == segment.isn);
    }
}
