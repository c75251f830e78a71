//! What a selection lets through.

use super::super::record::{Agent, Fate, Operation};
use super::super::samples::{
    arrived, call, change, client_end, end, record, sent, server, server_end,
};
use super::*;
use crate::ipc::record::Api;
use crate::tcp::{Cause, State};
use crate::wire::Flags;

const CLIENT: u32 = 8;
const SERVER: u32 = 7;

/// A connection, from socket() to its first segments.
fn story() -> Vec<Record> {
    let socket = End { socket: client_end().socket, ..End::default() };
    let listener = end(9, server(), None);
    let syn = sent(1, Flags::SYN, 0, 0);
    let whats = vec![
        What::Call(call(socket, CLIENT, 3, Api::Socket, Argument::None)),
        What::Call(call(listener, SERVER, 3, Api::Listen, Argument::Backlog(1))),
        change(client_end(), State::Closed, State::SynSent, Cause::Open),
        What::Segment(syn),
        What::Arrival(arrived(&syn)),
        change(server_end(), State::Listen, State::SynReceived, Cause::Segment(Flags::SYN)),
        What::Call(call(client_end(), CLIENT, 3, Api::Connect, Argument::Address(server()))),
        What::Call(call(listener, SERVER, 4, Api::Accept, Argument::Accepted(server_end()))),
        What::Operator(Operation::SysctlSet),
    ];
    (1..).zip(whats).map(|(number, what)| record(number, what)).collect()
}

/// The numbers of those records of the story that are let through once all of it is known.
fn admitted(selection: Selection) -> Vec<u64> {
    let mut selector = Selector::new(selection);
    selector.learn_program(SERVER, "server");
    let story = story();
    for record in &story {
        selector.learn(record);
    }
    story.iter().filter(|record| selector.admits(record)).map(|record| record.number).collect()
}

#[test]
fn without_a_wish_everything_passes() {
    assert_eq!(admitted(Selection::default()).len(), story().len());
}

#[test]
fn a_connection_is_followed_back_to_its_socket_and_to_its_listener() {
    let ends = vec![":40000-:8080".parse().unwrap()];
    let all = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    assert_eq!(admitted(Selection { ends, ..Selection::default() }), all);
    let other = vec![Ends::port(81)];
    assert_eq!(admitted(Selection { ends: other, ..Selection::default() }), [9]);
}

#[test]
fn a_program_is_its_calls_and_the_connections_it_uses() {
    let client = Selection { pids: vec![CLIENT], ..Selection::default() };
    assert_eq!(admitted(client), [1, 3, 4, 5, 7, 9]);
    let server = Selection { programs: vec!["server".to_owned()], ..Selection::default() };
    assert_eq!(admitted(server), [2, 4, 5, 6, 8, 9]);
    let nobody = Selection { programs: vec!["nobody".to_owned()], ..Selection::default() };
    assert_eq!(admitted(nobody), [9]);
}

#[test]
fn kinds_are_added_and_a_lost_segment_is_a_drop() {
    let kinds = [Kind::Call, Kind::State].into();
    assert_eq!(admitted(Selection { kinds, ..Selection::default() }), [1, 2, 3, 6, 7, 8]);
    let selector = Selector::new(Selection { kinds: [Kind::Drop].into(), ..Selection::default() });
    let mut segment = sent(1, Flags::SYN, 0, 0);
    assert!(!selector.admits(&record(1, What::Segment(segment))));
    segment.fate = Fate::Lost(Agent::Netem);
    assert!(selector.admits(&record(1, What::Segment(segment))));
}
