//! Lines as tcpdump prints them.

use super::*;
use crate::tcp::{Cause, State, Timer};
use crate::trace::samples::{arrived, change, record, sent, server_end};
use crate::trace::{Agent, Expiry};

fn text(at: Point) -> Text {
    Text {
        at,
        clock: Clock::Stack,
        epoch_ns: 0,
        counting: Counting::Relative,
        verbosity: Verbosity::Normal,
        numbers: Numbers::default(),
    }
}

#[test]
fn segments_are_printed_as_tcpdump_prints_them() {
    let mut lines = text(Point::Sender);
    let mut syn = sent(1, Flags::SYN, 0, 0);
    syn.options = Options {
        mss: Some(1460),
        sack_permitted: true,
        window_scale: Some(7),
        ..Options::default()
    };
    assert_eq!(
        lines.line(&record(1, What::Segment(syn))).unwrap(),
        "0.001000 IP 127.0.0.1.40000 > 127.0.0.1.8080: Flags [S], seq 1000, win 512, \
         options [mss 1460,sackOK,wscale 7], length 0"
    );
    let mut octets = sent(2, Flags::PSH | Flags::ACK, 1, 5);
    octets.options.sack[0] = Some((SeqNum(5001), SeqNum(5010)));
    octets.fate = Fate::Lost(Agent::Netem);
    assert_eq!(
        lines.line(&record(2, What::Segment(octets))).unwrap(),
        "0.002000 IP 127.0.0.1.40000 > 127.0.0.1.8080: Flags [P.], seq 1:6, ack 1, win 512, \
         options [sack 1 {1:10}], length 5 [dropped by netem]"
    );
    lines.counting = Counting::Absolute;
    let line = lines.line(&record(3, What::Segment(sent(3, Flags::ACK, 6, 0)))).unwrap();
    assert!(line.contains("Flags [.], ack 5001, win 512, length 0"), "{line}");
}

#[test]
fn states_stand_between_the_segments_and_timers_where_they_are_wanted() {
    let mut lines = text(Point::Sender);
    let fin = Cause::Segment(Flags::FIN | Flags::ACK);
    let state = change(server_end(), State::Established, State::CloseWait, fin);
    assert_eq!(
        lines.line(&record(1, state)).unwrap(),
        "0.001000    :8080 > :40000: ESTAB -> CLOSE-WAIT  (rcv FIN,ACK)"
    );
    let timer = What::Timer(Expiry { end: server_end(), timer: Timer::Retransmit, count: 1 });
    assert_eq!(lines.line(&record(2, timer)), None);
    lines.verbosity = Verbosity::Verbose;
    assert!(lines.line(&record(2, timer)).is_some());
}

#[test]
fn the_point_decides_which_segments_are_printed() {
    let segment = sent(1, Flags::ACK, 1, 0);
    let (leaves, arrives) = (What::Segment(segment), What::Arrival(arrived(&segment)));
    for (at, out, r#in) in
        [(Point::Sender, true, false), (Point::Receiver, false, true), (Point::Both, true, true)]
    {
        let mut lines = text(at);
        assert_eq!(lines.line(&record(1, leaves)).is_some(), out, "{at:?}");
        assert_eq!(lines.line(&record(2, arrives)).is_some(), r#in, "{at:?}");
    }
    let foreign = What::Arrival(Arrival { serial: None, ..arrived(&segment) });
    let line = text(Point::Sender).line(&record(1, foreign)).unwrap();
    assert!(line.ends_with("[sent by no TCP of this stack]"), "{line}");
}
