//! Rules: which segments they mean, and what they do.

use super::*;
use crate::link::check_rule;

const SYN: Flags = Flags::SYN;
const FIN_ACK: Flags = Flags(Flags::FIN.0 | Flags::ACK.0);
const SYN_ACK: Flags = Flags(Flags::SYN.0 | Flags::ACK.0);
const RST: Flags = Flags::RST;

fn refusal(text: &str) -> String {
    check_rule(text).unwrap_err().to_string()
}

#[test]
fn kinds_are_told_by_meaning() {
    let samples = [
        ("syn", client(SYN, b"")),
        ("syn-ack", server(SYN_ACK, b"")),
        ("ack", client(ACK, b"")),
        ("data", client(ACK, b"x")),
        ("fin", client(FIN_ACK, b"")),
        ("rst", client(RST, b"")),
    ];
    for (kind, _) in samples {
        for (other, sample) in samples {
            let dropped = Bench::with_rule(&format!("drop {kind}")).is_dropped(sample);
            assert_eq!(dropped, kind == other, "{kind} against {other}");
            let kept = Bench::with_rule(&format!("drop not {kind}")).passes(sample);
            assert_eq!(kept, kind == other, "not {kind} against {other}");
        }
    }
    assert!(Bench::with_rule("drop psh").is_dropped(client(ACK | Flags::PSH, b"x")));
    assert!(Bench::with_rule("drop urg").is_dropped(client(ACK | Flags::URG, b"x")));
    assert!(Bench::with_rule("drop any").is_dropped(client(RST, b"")));
    assert!(Bench::with_rule("drop").is_dropped(client(RST, b"")));
}

#[test]
fn direction_is_told_by_who_opened() {
    let mut bench = Bench::with_rule("drop from server");
    assert!(bench.is_dropped(server(ACK, b"")));
    assert!(bench.passes(client(ACK, b"")));
    // One end is enough, and a SYN tells by itself.
    bench.server.0 = State::Closed;
    assert!(bench.is_dropped(server(RST, b"")));
    bench.client.0 = State::Closed;
    assert!(bench.is_dropped(server(SYN_ACK, b"")));
    assert!(bench.passes(server(RST, b"")));
    // Only a listener is left.
    bench.server.0 = State::Listen;
    assert!(bench.is_dropped(server(RST, b"")));
    assert!(bench.passes(client(RST, b"")));
    assert!(Bench::with_rule("drop to client").is_dropped(server(ACK, b"")));
}

#[test]
fn places_are_addresses_and_ports() {
    let fits = |condition: &str| {
        Bench::with_rule(&format!("drop {condition}")).is_dropped(client(ACK, b""))
    };
    for condition in [
        "port 80",
        "port 40000",
        "from port 40000",
        "from :40000",
        "to port 80",
        "to 127.0.0.1:80",
        "from 127.0.0.1",
        "host 127.0.0.1",
        "not from port 80",
        "not host ::1",
    ] {
        assert!(fits(condition), "{condition}");
    }
    for condition in ["port 81", "from port 80", "to [::1]:80", "host 127.0.0.2", "to :40000"] {
        assert!(!fits(condition), "{condition}");
    }
}

#[test]
fn states_are_those_of_the_ends() {
    let mut bench = Bench::with_rule("drop state fin-wait-2 peer state CLOSE-WAIT");
    assert!(bench.passes(client(ACK, b"")));
    bench.client.0 = State::FinWait2;
    bench.server.0 = State::CloseWait;
    assert!(bench.is_dropped(client(ACK, b"")));
    assert!(bench.passes(server(ACK, b"")));
    for name in ["ESTAB", "established", "Established"] {
        assert!(Bench::with_rule(&format!("drop state {name}")).is_dropped(client(ACK, b"")));
    }
}

#[test]
fn the_acknowledgment_of_a_fin_is_told_by_its_number() {
    let mut bench = Bench::with_rule("drop ack-of-fin from client");
    assert!(bench.passes(client(ACK, b"")));
    bench.fin_end = Some(SeqNum(5001));
    assert!(bench.passes(client(ACK, b"")));
    bench.fin_end = Some(SeqNum(5000));
    assert!(bench.is_dropped(client(ACK, b"")));
    assert!(bench.is_dropped(client(FIN_ACK, b"abc")));
    assert!(bench.passes(client(RST | ACK, b"")));
    assert!(bench.passes(server(ACK, b"")));
}

#[test]
fn the_acknowledgment_of_the_fin_of_an_end_that_is_gone_is_told_by_the_senders_state() {
    let mut bench = Bench::with_rule("drop ack-of-fin from client");
    bench.server.0 = State::Closed;
    bench.client.0 = State::FinWait2;
    assert!(bench.passes(client(ACK, b"")));
    for state in [State::TimeWait, State::CloseWait, State::Closing, State::LastAck] {
        bench.client.0 = state;
        assert!(bench.is_dropped(client(ACK, b"")), "{state}");
    }
}

#[test]
fn lengths_and_retransmissions_are_told() {
    let mut bench = Bench::with_rule("drop len>2 retransmission");
    assert!(bench.passes(client(ACK, b"abc")));
    assert!(bench.passes(client(ACK, b"ab").again()));
    assert!(bench.is_dropped(client(ACK, b"abc").again()));
    for (condition, fits) in
        [("len = 3", true), ("len != 3", false), ("len <= 2", false), ("len < 4", true)]
    {
        let rule = format!("drop {condition}");
        assert_eq!(Bench::with_rule(&rule).is_dropped(client(ACK, b"abc")), fits, "{rule}");
    }
}

#[test]
fn nth_counts_what_fits_all_other_conditions() {
    let mut bench = Bench::with_rule("drop fin from server nth 2");
    let dropped: Vec<bool> = (0..4)
        .map(|_| {
            assert!(bench.passes(client(FIN_ACK, b"")));
            assert!(bench.passes(server(ACK, b"")));
            bench.is_dropped(server(FIN_ACK, b""))
        })
        .collect();
    assert_eq!(dropped, [false, true, false, false]);
    let row = bench.row();
    assert_eq!((row.hits, row.matched, row.spent), (1, 2, true));

    let drops = |rule: &str| {
        let mut bench = Bench::with_rule(rule);
        (0..5).map(|_| u8::from(bench.is_dropped(client(ACK, b"x")))).collect::<Vec<_>>()
    };
    assert_eq!(drops("drop data nth 2..3"), [0, 1, 1, 0, 0]);
    assert_eq!(drops("drop data nth 3.."), [0, 0, 1, 1, 1]);
    assert_eq!(drops("drop data times 2"), [1, 1, 0, 0, 0]);
    assert_eq!(drops("drop data nth 2.. times 1"), [0, 1, 0, 0, 0]);
}

#[test]
fn nth_may_count_for_each_connection() {
    let mut bench = Bench::with_rule("drop data nth 1 per connection");
    assert!(bench.is_dropped(client(ACK, b"x")));
    assert!(bench.passes(client(ACK, b"x")));
    assert!(bench.passes(server(ACK, b"x")));
    assert!(bench.is_dropped(client(ACK, b"x").client_port(40_001)));
    // The same 4-tuple again is another connection; a retransmitted SYN is not.
    assert!(bench.passes(client(SYN, b"").again()));
    assert!(bench.passes(client(ACK, b"x")));
    assert!(bench.passes(client(SYN, b"")));
    assert!(bench.is_dropped(client(ACK, b"x")));
}

#[test]
fn chance_is_what_was_asked_for_and_repeats() {
    let run = |seed: u32| {
        let mut bench = Bench::with_rule(&format!("drop data probability 10% seed {seed}"));
        (0..5000).map(|_| bench.is_dropped(client(ACK, b"x"))).collect::<Vec<_>>()
    };
    let dropped = run(1).into_iter().filter(|dropped| *dropped).count();
    assert!((430..570).contains(&dropped), "{dropped}");
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn the_first_rule_that_acts_decides_and_the_others_do_not_see_it() {
    let mut bench = Bench::with_rule("hold syn nth 1");
    bench.rule("drop syn");
    assert_eq!(bench.fate(client(SYN, b"")), Fate::Held(Agent::Rule(1)));
    assert_eq!(bench.fate(client(SYN, b"")), Fate::Lost(Agent::Rule(2)));
    let rows = bench.link.rule_rows();
    assert_eq!((rows[0].hits, rows[0].held, rows[1].matched), (1, 1, 1));
}

#[test]
fn what_is_held_is_let_go_oldest_first() {
    let mut bench = Bench::with_rule("hold data");
    for seq in 1..=3 {
        assert_eq!(bench.offer(client(ACK, b"x").at(seq)).way, Way::Kept);
    }
    assert_eq!(bench.row().held, 3);
    assert!(bench.due_now().is_empty());
    let seqs = |bench: &mut Bench| {
        let due = bench.due_now();
        due.iter().map(|octets| parse(octets).header.seq.0).collect::<Vec<_>>()
    };
    assert_eq!(bench.link.release(bench.now, Some(1), Some(1)), Ok(1));
    assert_eq!(seqs(&mut bench), [1]);
    assert_eq!(bench.link.release(bench.now, None, None), Ok(2));
    assert_eq!(seqs(&mut bench), [2, 3]);
    // It goes on holding.
    assert_eq!(bench.fate(client(ACK, b"x")), Fate::Held(Agent::Rule(1)));
    assert_eq!((bench.row().held, bench.row().released), (1, 3));
    assert!(bench.link.release(bench.now, Some(9), None).is_err());
    let gone = bench.link.delete_rules(Some(1)).unwrap();
    assert_eq!(gone[0].held, 1);
    assert!(bench.link.is_transparent());
    assert!(bench.link.delete_rules(Some(1)).is_err());
}

#[test]
fn a_copy_is_held_or_comes_later_while_the_original_passes() {
    let mut bench = Bench::with_rule("copy data nth 1");
    let copied = Fate::Copied(Agent::Rule(1), 1);
    assert_eq!(bench.offer(client(ACK, b"ab")), Verdict { way: Way::Now, fate: copied });
    assert!(bench.passes(client(ACK, b"cd")));
    bench.link.release(bench.now, None, None).unwrap();
    assert_eq!(parse(&bench.due_now()[0]).payload, b"ab");

    let mut bench = Bench::with_rule("copy 5s fin");
    assert_eq!(bench.offer(server(FIN_ACK, b"")).way, Way::Now);
    assert_eq!(bench.departures(), [(Duration::from_secs(5), 1)]);
}

#[test]
fn a_delay_lets_others_overtake() {
    let mut bench = Bench::with_rule("delay 5s syn nth 1");
    assert_eq!(bench.fate(client(SYN, b"")), Fate::Delayed(Agent::Rule(1), 5_000_000_000));
    assert!(bench.passes(client(SYN, b"")));
    assert_eq!(bench.departures(), [(Duration::from_secs(5), 1)]);
}

#[test]
fn duplicates_follow_at_once() {
    let mut bench = Bench::with_rule("duplicate 3 ack");
    let copied = Fate::Copied(Agent::Rule(1), 3);
    assert_eq!(bench.offer(client(ACK, b"")), Verdict { way: Way::Now, fate: copied });
    assert_eq!(bench.due_now(), vec![client(ACK, b"").octets(); 3]);
}

#[test]
fn corruption_is_noticed_or_not() {
    let mut bench = Bench::with_rule("corrupt data");
    assert_eq!(bench.fate(client(ACK, b"abc")), Fate::Corrupted(Agent::Rule(1)));
    let arrived = bench.due_now().remove(0);
    assert!(wire::parse(loopback(), loopback(), &arrived).is_err());

    let mut bench = Bench::with_rule("corrupt unnoticed data");
    assert_eq!(bench.fate(client(ACK, b"abc")), Fate::Corrupted(Agent::Rule(1)));
    let arrived = bench.due_now().remove(0);
    let text = parse(&arrived).payload;
    let wrong: u32 = text.iter().zip(b"abc").map(|(a, b)| (a ^ b).count_ones()).sum();
    assert_eq!((text.len(), wrong), (3, 1));
}

#[test]
fn a_trimmed_segment_is_a_good_one_with_less_text() {
    let mut bench = Bench::with_rule("trim 1 data");
    let fate = bench.fate(client(FIN_ACK | Flags::PSH, b"abc"));
    assert_eq!(fate, Fate::Trimmed(Agent::Rule(1), 1));
    let arrived = bench.due_now().remove(0);
    let segment = parse(&arrived);
    assert_eq!((segment.payload, segment.header.flags), (&b"a"[..], ACK));
    assert!(bench.passes(client(ACK, b"a")));
}

#[test]
fn a_rst_in_the_receivers_name_goes_back_to_the_sender() {
    let mut bench = Bench::with_rule("reset any");
    assert_eq!(bench.fate(client(ACK, b"abc")), Fate::Reset(Agent::Rule(1)));
    let arrived = bench.due_now().remove(0);
    let header = parse(&arrived).header;
    assert_eq!((header.source_port, header.destination_port), (SERVER_PORT, CLIENT_PORT));
    assert_eq!((header.flags, header.seq), (RST, SeqNum(5000)));
    // A SYN: as from a closed port.
    bench.offer(client(SYN, b""));
    let arrived = bench.due_now().remove(0);
    let header = parse(&arrived).header;
    assert_eq!((header.flags, header.ack), (RST | ACK, SeqNum(1001)));
    // A RST is only lost.
    assert_eq!(bench.offer(client(RST, b"")).way, Way::Kept);
    assert!(bench.due_now().is_empty());
}

#[test]
fn a_rst_in_the_senders_name_comes_where_the_next_octet_is_expected() {
    let mut bench = Bench::with_rule("reset receiver data");
    let followed = Fate::Followed(Agent::Rule(1));
    assert_eq!(bench.offer(client(ACK, b"abc")), Verdict { way: Way::Now, fate: followed });
    let arrived = bench.due_now().remove(0);
    let header = parse(&arrived).header;
    assert_eq!(
        (header.source_port, header.seq, header.flags),
        (CLIENT_PORT, SeqNum(1003), RST | ACK)
    );

    let mut bench = Bench::with_rule("reset both data");
    assert_eq!(bench.offer(client(ACK, b"abc")).way, Way::Kept);
    let arrived = bench.due_now();
    let headers: Vec<Header> = arrived.iter().map(|octets| parse(octets).header).collect();
    assert_eq!((headers[0].source_port, headers[0].seq), (SERVER_PORT, SeqNum(5000)));
    assert_eq!((headers[1].source_port, headers[1].seq), (CLIENT_PORT, SeqNum(1000)));
}

#[test]
fn who_waits_in_the_accept_queue_is_reset_behind_the_end_of_the_handshake() {
    let mut bench = Bench::with_rule("reset in accept-queue");
    bench.server = (State::SynReceived, Waiting::SynQueue);
    assert!(bench.passes(client(SYN, b"").again()));
    assert!(bench.passes(server(SYN_ACK, b"").again()));
    assert_eq!(bench.offer(client(ACK, b"")).way, Way::Now);
    let arrived = bench.due_now().remove(0);
    assert_eq!(parse(&arrived).header.seq, SeqNum(1000));
    bench.server = (State::Established, Waiting::AcceptQueue);
    assert_eq!(bench.fate(client(ACK, b"x")), Fate::Followed(Agent::Rule(1)));
    bench.server = (State::Established, Waiting::No);
    assert!(bench.passes(client(ACK, b"x")));
}

#[test]
fn a_black_hole_opens_at_the_octet() {
    let mut bench = Bench::with_rule("blackhole after 5");
    assert!(bench.passes(client(SYN, b"").at(999)));
    assert!(bench.passes(client(ACK, b"abc").at(1000)));
    assert!(bench.passes(client(ACK, b"abc").at(1000).again()));
    assert_eq!(bench.fate(client(ACK, b"def").at(1003)), Fate::Trimmed(Agent::Rule(1), 2));
    let arrived = bench.due_now().remove(0);
    assert_eq!(parse(&arrived).payload, b"de");
    // Now nothing passes, either way, whatever it is; but other connections do.
    assert!(bench.is_dropped(client(ACK, b"abc").at(1000)));
    assert!(bench.is_dropped(client(FIN_ACK, b"").at(1006)));
    assert!(bench.is_dropped(server(ACK, b"")));
    assert!(bench.passes(client(ACK, b"x").client_port(40_001)));
    // And so does a new connection on the same ports.
    assert!(bench.passes(client(SYN, b"")));
    assert!(bench.passes(client(ACK, b"abc").at(1001)));
}

#[test]
fn a_black_hole_may_swallow_one_direction_only() {
    let mut bench = Bench::with_rule("blackhole from client after 3");
    assert!(bench.passes(client(ACK, b"abc").at(1000)));
    assert!(bench.passes(server(ACK, b"abcdef")));
    assert!(bench.is_dropped(client(ACK, b"").at(1003)));
    assert!(bench.passes(server(ACK, b"abcdef")));
    let mut bench = Bench::with_rule("blackhole");
    assert!(bench.is_dropped(client(SYN, b"")));
}

#[test]
fn a_fin_before_the_black_hole_passes_and_one_behind_does_not() {
    let mut bench = Bench::with_rule("blackhole after 5");
    assert!(bench.passes(client(FIN_ACK, b"abc").at(1000)));
    let mut bench = Bench::with_rule("blackhole after 3");
    assert_eq!(bench.fate(client(FIN_ACK, b"abc").at(1000)), Fate::Trimmed(Agent::Rule(1), 3));
    let arrived = bench.due_now().remove(0);
    assert_eq!((parse(&arrived).payload, parse(&arrived).header.flags), (&b"abc"[..], ACK));
}

#[test]
fn sentences_that_are_no_rules_are_refused() {
    for (text, why) in [
        ("", "expected an action"),
        ("shred fin", "`shred`: expected an action"),
        ("delay 5 syn", "a time with a unit"),
        ("duplicate 0 ack", "copies from 1 to 100"),
        ("drop fin nth 0", "counted from 1"),
        ("drop fin nth 3..2", "counted from 1"),
        ("drop fin nth 1 per rule", "`connection`"),
        ("drop not", "a kind of segment"),
        ("drop not not fin", "one `not`"),
        ("drop not nth 1", "a kind of segment"),
        ("drop len fin", "one of < <="),
        ("drop state OPEN", "a state"),
        ("drop peer fin", "`state`"),
        ("drop in queue", "`accept-queue`"),
        ("drop from nowhere", "client, server, an address"),
        ("drop port 70000", "a port number"),
        ("drop probability 200%", "a percentage"),
        ("drop after 5", "only a black hole"),
        ("blackhole after 2GiB", "up to 1GiB"),
        ("blackhole nth 1", "no count or chance"),
        ("trim data", "a number of octets"),
        ("drop times 0", "above zero"),
    ] {
        let refused = refusal(text);
        assert!(refused.contains(why), "{text}: {refused}");
    }
}

#[test]
fn every_step_of_the_scenarios_can_be_said() {
    for rule in [
        "hold syn from client nth 1",
        "hold fin",
        "drop ack-of-fin from client nth 1",
        "drop ack-of-fin from server",
        "copy fin from server nth 1",
        "drop fin retransmission from server",
        "hold data from client nth 1",
        "copy data from client nth 1",
        "drop syn retransmission",
        "blackhole after 64KiB",
        "reset in accept-queue",
        "delay 5s syn nth 1",
        "duplicate ack",
    ] {
        assert_eq!(check_rule(rule), Ok(()), "{rule}");
    }
}
