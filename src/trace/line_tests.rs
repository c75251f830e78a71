//! Lines as people read them.

use super::super::record::{Agent, Argument, Expiry, Operation, Sending};
use super::super::samples::{
    arrived, call, change, client, client_end, end, record, refused, sent, server, server_end,
};
use super::*;
use crate::ipc::Errno;
use crate::ipc::record::Api;
use crate::tcp::{Cause, Dropped, ResetReason, State, Timer};
use crate::wire::{Flags, Options, Timestamps};

fn lines() -> Lines {
    let mut lines = Lines::new(Time::Stack, Detail::News);
    lines.learn_program(7, "server".to_owned());
    lines
}

/// The third column of one record.
fn what(what: What) -> String {
    let line = lines().line(&record(1, what)).unwrap();
    line.split_once("  ").unwrap().1.trim_start_matches(|c| c != ' ').trim_start().to_owned()
}

fn line(what: What) -> String {
    lines().line(&record(1, what)).unwrap()
}

#[test]
fn a_call_is_written_as_strace_does() {
    let listener = end(9, server(), None);
    let mut accept = call(listener, 7, 5, Api::Accept, Argument::Accepted(server_end()));
    accept.value = 5;
    let expected = "0.001000  server[7]             accept() = 5  <- 127.0.0.1:40000";
    assert_eq!(line(What::Call(accept)), expected);

    let mut connect = call(client_end(), 8, 3, Api::Connect, Argument::Address(server()));
    (connect.value, connect.errno) = (-1, Some(Errno::ECONNREFUSED));
    connect.took_ns = 231_000;
    let expected =
        "0.000769  [8]                   connect(3, 127.0.0.1:8080) = -1 ECONNREFUSED <0.000231>";
    assert_eq!(line(What::Call(connect)), expected);
}

#[test]
fn equal_outcomes_that_are_not_all_recorded_are_counted() {
    let mut read = call(server_end(), 7, 5, Api::Read, Argument::Octets(4096));
    read.times = 128;
    let written = line(What::Call(read));
    assert!(written.ends_with("read(5, 4096) = 0 (128 times)  :8080 > :40000"), "{written}");
}

#[test]
fn arguments_have_their_names() {
    let with = |api, argument| line(What::Call(call(server_end(), 7, 5, api, argument)));
    let written = [
        (Api::Shutdown, Argument::How(1), "shutdown(5, SHUT_WR) = 0  :8080 > :40000"),
        (Api::Listen, Argument::Backlog(128), "listen(5, 128) = 0  :8080 > :40000"),
        (Api::Read, Argument::Octets(4096), "read(5, 4096) = 0  :8080 > :40000"),
        (Api::Connect, Argument::None, "connect(5, AF_UNSPEC) = 0  :8080 > :40000"),
        (
            Api::SetOption,
            Argument::Option(libc::SOL_SOCKET, libc::SO_REUSEADDR),
            "setsockopt(5, SOL_SOCKET, SO_REUSEADDR) = 0  :8080 > :40000",
        ),
        (
            Api::SetOption,
            Argument::Option(libc::IPPROTO_TCP, 999),
            "setsockopt(5, IPPROTO_TCP, 999) = 0  :8080 > :40000",
        ),
    ];
    for (api, argument, expected) in written {
        let line = with(api, argument);
        assert!(line.ends_with(&format!("  {expected}")), "{line}");
    }
}

#[test]
fn a_segment_has_relative_numbers_and_says_what_became_of_it() {
    let mut syn = sent(1, Flags::SYN, 0, 0);
    syn.options = Options {
        mss: Some(1460),
        window_scale: Some(7),
        sack_permitted: true,
        timestamps: Some(Timestamps { val: 1, ecr: 0 }),
        ..Options::default()
    };
    let expected = "0.001000  :40000 > :8080        \
                    > SYN seq 0 win 512 <mss 1460,sackOK,TS val 1 ecr 0,wscale 7>";
    assert_eq!(line(What::Segment(syn)), expected);

    let mut text = sent(2, Flags::PSH | Flags::ACK, 1, 5);
    text.sending = Sending::Again;
    text.fate = Fate::Lost(Agent::Rule(2));
    let expected = "> PSH,ACK seq 1:6 ack 1 win 512 (retransmission)  x dropped by rule 2";
    assert!(line(What::Segment(text)).ends_with(expected));

    let mut reset = sent(3, Flags::RST, 6, 0);
    reset.reset = Some(ResetReason::UnreadData);
    assert!(line(What::Segment(reset)).ends_with("> RST seq 6 win 512 (closed with unread data)"));
}

#[test]
fn states_timers_drops_and_operations_have_their_words() {
    let fin = Cause::Segment(Flags::FIN | Flags::ACK);
    let state = change(server_end(), State::Established, State::CloseWait, fin);
    let expected = "0.001000  :8080 > :40000        ESTAB -> CLOSE-WAIT  (rcv FIN,ACK)";
    assert_eq!(line(state), expected);
    let over = Cause::Timer(Timer::TimeWait);
    let state = change(client_end(), State::TimeWait, State::Closed, over);
    assert!(line(state).ends_with("  TIME-WAIT -> CLOSED  (TIME-WAIT timer)"));
    for (count, expected) in [(1, "timer"), (2, "timer, 2nd time"), (13, "timer, 13th time")] {
        let expiry = Expiry { end: client_end(), timer: Timer::Retransmit, count };
        assert!(line(What::Timer(expiry)).ends_with(&format!("  retransmission {expected}")));
    }
    let line = what(What::Operator(Operation::Advanced(90_000_000_000)));
    assert_eq!(line, "clock put forward by 90s");
}

#[test]
fn a_refused_segment_has_the_numbers_of_its_connection() {
    let mut lines = lines();
    lines.learn(&record(1, What::Segment(sent(1, Flags::SYN, 0, 0))));
    let line = lines.line(&record(2, refused(Flags::SYN, 0, Dropped::AcceptQueueFull))).unwrap();
    assert!(line.ends_with("  x SYN seq 0 not taken: accept queue full"), "{line}");
}

#[test]
fn an_arrival_is_shown_where_it_says_something() {
    let mut lines = lines();
    let usual = sent(1, Flags::ACK, 1, 0);
    assert!(lines.line(&record(1, What::Segment(usual))).is_some());
    assert_eq!(lines.line(&record(2, What::Arrival(arrived(&usual)))), None);
    let mut late = sent(2, Flags::FIN | Flags::ACK, 1, 0);
    late.fate = Fate::Delayed(Agent::Netem, 5_000_000);
    let line = lines.line(&record(3, What::Segment(late))).unwrap();
    assert!(line.ends_with("win 512  delayed by netem until 0.005000"), "{line}");
    let line = lines.line(&record(5, What::Arrival(arrived(&late)))).unwrap();
    assert_eq!(line, "0.005000  :8080 > :40000        < FIN,ACK seq 1 ack 1");
    let foreign = Arrival { serial: None, ..arrived(&usual) };
    let line = lines.line(&record(6, What::Arrival(foreign))).unwrap();
    assert!(line.ends_with("< ACK ack 1 (sent by no TCP of this stack)"), "{line}");
}

#[test]
fn addresses_are_written_where_they_are_not_all_the_loopback_one() {
    let other = ([127, 0, 0, 7], 8080).into();
    assert_eq!(words::pair(client(), other), "127.0.0.1:40000 > 127.0.0.7:8080");
    assert_eq!(words::place(([0, 0, 0, 0], 80).into()), "*:80");
    let v6: core::net::SocketAddr = "[::1]:80".parse().unwrap();
    assert_eq!(words::place(v6), "[::1]:80");
}

#[test]
fn the_time_of_a_call_is_not_after_what_it_made() {
    let mut lines = lines();
    lines.line(&record(1, What::Operator(Operation::TracingOn)));
    let mut connect = call(client_end(), 7, 3, Api::Connect, Argument::Address(server()));
    connect.took_ns = 10_000_000;
    // It began at 2 ms, the stack learned of it at 12 ms.
    let mut connect = record(2, What::Call(connect));
    connect.at_ns = 12_000_000;
    let line = lines.line(&connect).unwrap();
    assert!(line.starts_with("0.002000  "), "{line}");
    // So it is where other lines were written before it was known.
    lines.line(&record(11, What::Operator(Operation::TracingOff)));
    let line = lines.line(&connect).unwrap();
    assert!(line.starts_with("0.002000  "), "{line}");
}

#[test]
fn every_record_survives_its_json() {
    let connect = call(client_end(), 7, 3, Api::Connect, Argument::Address(server()));
    let all = [
        What::Call(connect),
        What::Segment(sent(1, Flags::SYN, 0, 0)),
        What::Arrival(arrived(&sent(1, Flags::SYN, 0, 0))),
        change(server_end(), State::Listen, State::SynReceived, Cause::Segment(Flags::SYN)),
        refused(Flags::ACK, 1, Dropped::Unacceptable),
        What::Timer(Expiry { end: client_end(), timer: Timer::KeepAlive, count: 1 }),
        What::Operator(Operation::TracingOn),
        What::Operator(Operation::Advanced(5)),
    ];
    for what in all {
        let record = record(3, what);
        let line = crate::inspect::watch::Line::Record(record);
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record, "{text}");
        let read = serde_json::from_str::<crate::inspect::watch::Line>(&text).unwrap();
        assert_eq!(read, line, "{text}");
    }
}
