//! Which packets get which comments.

use super::*;
use crate::tcp::{Dropped, ResetReason};
use crate::trace::samples::{
    arrived, call, change, client, client_end, end, record, refused, sent, server, server_end,
};
use crate::trace::{Agent, Argument, Fate, Segment, Sending};

const SYN: Flags = Flags::SYN;
const FIN: Flags = Flags::FIN.with(Flags::ACK);
/// Wall-clock time at which the stack began.
const EPOCH_NS: u64 = 1_000_000_000;

/// Feeds records, with octets of segments and arrivals as the point sees them.
fn packets(at: Point, whats: &[What]) -> Vec<Packet> {
    let mut annotator = Annotator::new(at, Clock::Wall, EPOCH_NS);
    annotator.learn_program(7, "server".to_owned());
    annotator.learn_program(8, "client".to_owned());
    for (number, what) in (1..).zip(whats) {
        annotator.record(&record(number, *what));
        let seen = match what {
            What::Segment(_) => at.sees_sent(),
            What::Arrival(arrival) => at.sees_arrived() || arrival.serial.is_none(),
            _ => false,
        };
        if seen {
            annotator.octets(&[0; 20], 20);
        }
    }
    assert_eq!(annotator.next(0), None, "nothing is due yet");
    core::iter::from_fn(|| annotator.release()).collect()
}

fn comments(at: Point, whats: &[What]) -> Vec<Vec<String>> {
    packets(at, whats).into_iter().map(|packet| packet.comments).collect()
}

fn handshake() -> Vec<What> {
    let syn = sent(1, SYN, 0, 0);
    vec![
        What::Call(call(end(9, server(), None), 7, 3, Api::Listen, Argument::Backlog(1))),
        change(client_end(), State::Closed, State::SynSent, Cause::Open),
        What::Segment(syn),
        What::Arrival(arrived(&syn)),
        change(server_end(), State::Listen, State::SynReceived, Cause::Segment(SYN)),
        What::Call(call(client_end(), 8, 3, Api::Connect, Argument::Address(server()))),
    ]
}

#[test]
fn a_syn_tells_the_programs_and_the_states_before_and_after_it() {
    let expected = [
        "client: client[8]",
        "server: server[7]",
        "client: CLOSED -> SYN-SENT  (connect())",
        "server: LISTEN -> SYN-RECV",
    ];
    assert_eq!(comments(Point::Sender, &handshake()), [expected]);
}

#[test]
fn a_connect_that_waits_is_known_by_what_its_program_did_before() {
    let option = Argument::Option(libc::SOL_SOCKET, libc::SO_REUSEADDR);
    let fresh = crate::trace::End { local: None, remote: None, ..client_end() };
    let mut whats = handshake();
    whats.truncate(3);
    whats.insert(0, What::Call(call(fresh, 8, 3, Api::SetOption, option)));
    assert_eq!(comments(Point::Sender, &whats)[0][0], "client: client[8]");
}

#[test]
fn with_both_points_each_end_has_its_own_states() {
    let comments = comments(Point::Both, &handshake());
    assert_eq!(comments.len(), 2);
    assert_eq!(comments[0].last().unwrap(), "client: CLOSED -> SYN-SENT  (connect())");
    assert_eq!(comments[1].last().unwrap(), "server: LISTEN -> SYN-RECV");
}

#[test]
fn a_packet_has_wall_clock_time_a_direction_and_an_ip_header() {
    let packets = packets(Point::Both, &handshake());
    assert_eq!(packets[0].at_ns, EPOCH_NS + 3_000_000);
    assert_eq!([packets[0].direction, packets[1].direction], [Direction::Out, Direction::In]);
    assert_eq!((packets[0].octets.len(), packets[0].len), (40, 40));
    assert_eq!(packets[0].octets[12..16], [127, 0, 0, 1]);
}

#[test]
fn a_retransmission_a_drop_and_a_reset_say_why() {
    let again = Segment { sending: Sending::Again, ..sent(1, FIN, 1, 0) };
    let lost = Segment { fate: Fate::Lost(Agent::Rule(2)), ..sent(2, FIN, 1, 0) };
    let reset = Segment { reset: Some(ResetReason::LingerZero), ..sent(3, Flags::RST, 1, 0) };
    let whats = [What::Segment(again), What::Segment(lost), What::Segment(reset)];
    let comments = comments(Point::Sender, &whats);
    assert_eq!(comments, [["retransmission"], ["dropped by rule 2"], ["linger zero"]]);
}

#[test]
fn of_several_arrivals_each_gets_its_own_states() {
    let (ack, fin) = (sent(1, Flags::ACK, 1, 0), sent(2, FIN, 1, 0));
    let mut whats = handshake();
    whats.extend([
        What::Segment(ack),
        What::Segment(fin),
        What::Arrival(arrived(&ack)),
        What::Arrival(arrived(&fin)),
        change(server_end(), State::SynReceived, State::Established, Cause::Segment(Flags::ACK)),
        change(server_end(), State::Established, State::CloseWait, Cause::Segment(FIN)),
    ]);
    let comments = comments(Point::Sender, &whats);
    assert_eq!(comments[1], ["server: SYN-RECV -> ESTAB"]);
    assert_eq!(comments[2], ["server: ESTAB -> CLOSE-WAIT"]);
}

#[test]
fn a_refused_segment_says_why() {
    let syn = sent(1, SYN, 0, 0);
    let refusal = refused(SYN, 0, Dropped::AcceptQueueFull);
    let whats = [What::Segment(syn), What::Arrival(arrived(&syn)), refusal];
    assert_eq!(comments(Point::Sender, &whats), [["server: not taken: accept queue full"]]);
}

#[test]
fn what_comes_after_the_packet_is_written_is_told_with_the_next_one() {
    let mut annotator = Annotator::new(Point::Sender, Clock::Stack, 0);
    let fin = Segment { fate: Fate::Delayed(Agent::Netem, 1), ..sent(1, FIN, 1, 0) };
    annotator.record(&record(1, What::Segment(fin)));
    annotator.octets(&[0; 20], 20);
    assert!(annotator.next(u64::MAX).is_some());
    annotator.record(&record(2, What::Arrival(arrived(&fin))));
    let cause = Cause::Segment(FIN);
    annotator.record(&record(3, change(server_end(), State::Established, State::CloseWait, cause)));
    let mut answer = sent(2, Flags::ACK, 0, 0);
    (answer.from, answer.to) = (server(), client());
    annotator.record(&record(4, What::Segment(answer)));
    annotator.octets(&[0; 20], 20);
    let packet = annotator.release().unwrap();
    assert_eq!(packet.comments, ["127.0.0.1:8080: ESTAB -> CLOSE-WAIT  (rcv FIN,ACK)"]);
}

#[test]
fn packets_that_wait_are_bounded_in_octets() {
    let mut annotator = Annotator::new(Point::Sender, Clock::Stack, 0);
    let octets = vec![0; 1 << 20];
    for serial in 1..=40 {
        annotator.record(&record(serial, What::Segment(sent(serial, Flags::ACK, 1, 0))));
        annotator.octets(&octets, octets.len());
    }
    let early = core::iter::from_fn(|| annotator.next(0)).count();
    assert!((8..16).contains(&early), "{early}");
}
