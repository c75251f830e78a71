//! Every state meets every kind of segment and every call: the state that follows and what is
//! sent, as one table (RFC 9293 3.10).

use super::bench::*;
use crate::tcp::{Release, ResetReason, State};
use crate::wire::Flags;

/// RCV.NXT and SND.NXT of a bench in this state, relative to the initial numbers.
fn numbers(state: State) -> (u32, u32) {
    match state {
        State::SynSent => (0, 1),
        State::SynReceived | State::Established | State::Closed => (1, 1),
        State::FinWait1 | State::FinWait2 => (1, 2),
        State::CloseWait => (2, 1),
        _ => (2, 2),
    }
}

fn describe(bench: &mut Bench) -> String {
    let sent: Vec<String> = bench.sent().iter().map(|out| out.flags().to_string()).collect();
    let sent = if sent.is_empty() { "-".to_owned() } else { sent.join("+") };
    format!("{} {sent}", bench.tcb.state().rfc_name())
}

const KINDS: [(&str, Flags, bool); 7] = [
    ("ack", ACK, false),
    ("text", ACK, true),
    ("fin", FIN_ACK, false),
    ("syn", SYN, false),
    ("syn,ack", SYN_ACK, false),
    ("rst", RST, false),
    ("no bits", Flags::NONE, true),
];

const CALLS: [&str; 4] = ["close", "abort", "shutdown", "send"];

fn table() -> String {
    let mut table = String::new();
    for state in State::ALL.into_iter().filter(|state| *state != State::Listen) {
        let (rcv_nxt, snd_nxt) = numbers(state);
        for (name, flags, text) in KINDS {
            let mut bench = Bench::in_state(state);
            bench.arrive(flags, rcv_nxt, snd_nxt, if text { b"text" } else { b"" });
            table += &format!("{state} | {name} | {}\n", describe(&mut bench));
        }
        for call in CALLS {
            let mut bench = Bench::in_state(state);
            match call {
                "close" => bench.tcb.release(bench.now, Release::Graceful),
                "abort" => bench.tcb.release(bench.now, Release::Abort(ResetReason::Aborted)),
                "shutdown" => bench.tcb.shutdown_write(bench.now),
                _ => drop(bench.tcb.send(bench.now, b"text")),
            }
            table += &format!("{state} | {call} | {}\n", describe(&mut bench));
        }
    }
    table
}

#[test]
fn every_state_answers_every_event_as_the_rfc_says() {
    let expected = include_str!("events.txt");
    let actual = table();
    for (expected, actual) in expected.lines().zip(actual.lines()) {
        assert_eq!(actual, expected);
    }
    assert_eq!(actual, expected);
}

#[test]
fn every_transition_made_is_an_arrow_of_the_figure() {
    // `transition` asserts it in every test; here: no arrow leaves the figure's ends
    for state in State::ALL {
        assert!(!state.may_become(state));
        assert_eq!(state.may_become(State::Closed), state != State::Closed, "{state}");
        assert!(!State::TimeWait.may_become(state) || state == State::Closed);
        assert!(!state.may_become(State::Listen) || state == State::Closed);
    }
}
