//! Whatever is offered and whatever is written: nothing panics, nothing grows without bound.

use super::*;
use crate::link::limits::{MAX_CONNECTIONS, MAX_HELD, MAX_IMPAIRMENTS, MAX_RULES, MAX_UNDER_WAY};
use crate::link::random::Dice;
use crate::link::{check_netem, check_rule};

const WORDS: [&str; 64] = [
    "drop",
    "delay",
    "duplicate",
    "hold",
    "copy",
    "corrupt",
    "unnoticed",
    "trim",
    "reset",
    "both",
    "receiver",
    "blackhole",
    "after",
    "64KiB",
    "5s",
    "1ms",
    "10%",
    "nth",
    "1",
    "1..3",
    "2..",
    "per",
    "connection",
    "not",
    "any",
    "syn",
    "syn-ack",
    "ack",
    "data",
    "fin",
    "rst",
    "ack-of-fin",
    "from",
    "to",
    "client",
    "server",
    "port",
    "80",
    "host",
    "127.0.0.1",
    "127.0.0.1:80",
    "[::1]:9",
    "state",
    "peer",
    "ESTAB",
    "len",
    ">",
    "<=",
    "100",
    "retransmission",
    "in",
    "accept-queue",
    "probability",
    "times",
    "seed",
    "loss",
    "state",
    "gemodel",
    "reorder",
    "gap",
    "rate",
    "1mbit",
    "slot",
    "distribution",
];

fn sentence(dice: &mut Dice) -> String {
    let words = (0..1 + dice.below(8)).map(|_| WORDS[dice.below(WORDS.len())]);
    words.collect::<Vec<_>>().join(if dice.below(20) == 0 { "" } else { " " })
}

fn noise(dice: &mut Dice) -> String {
    let kinds = [' ', '%', '.', '9', '0', '-', '<', '=', 'é', '\t', '\0', ':', '[', 'm', 's', '😀'];
    (0..dice.below(40)).map(|_| kinds[dice.below(kinds.len())]).collect()
}

#[test]
fn arbitrary_texts_are_read_or_refused_with_a_caret() {
    let mut dice = Dice::new(1);
    let mut accepted = 0;
    for round in 0..20_000 {
        let text = if round % 2 == 0 { sentence(&mut dice) } else { noise(&mut dice) };
        for verdict in [check_rule(&text), check_netem(&text)] {
            match verdict {
                Ok(()) => accepted += 1,
                Err(error) => assert!(error.to_string().ends_with('^'), "{error}"),
            }
        }
    }
    assert!(accepted > 300, "only {accepted}: the dice are bad");
}

#[test]
fn arbitrary_datagrams_pass_any_rules_and_impairments() {
    let mut dice = Dice::new(2);
    for seed in 0..150 {
        let mut bench = Bench::new();
        bench.link = Link::new(seed);
        for _ in 0..6 {
            let text = sentence(&mut dice);
            let _ = bench.link.add_rule(&text);
            let _ = bench.link.set_netem(bench.now, NetemVerb::Replace, &text);
        }
        for _ in 0..100 {
            let sample = Sample {
                flags: Flags(dice.below(256) as u8),
                seq: dice.next_u32(),
                ..if dice.below(2) == 0 { client(ACK, b"abc") } else { server(ACK, b"") }
            };
            let mut octets = sample.octets();
            match dice.below(4) {
                0 => octets.truncate(dice.below(octets.len() + 1)),
                1 => octets[12] = dice.below(256) as u8,
                _ => {}
            }
            let verdict = bench.offer_octets(&octets, sample.sending);
            let lost = matches!(verdict.fate, Fate::Lost(_) | Fate::Held(_) | Fate::Reset(_));
            assert!(!(lost && verdict.way == Way::Now), "{verdict:?}");
            bench.now = bench.now + Duration::from_micros(dice.below(3000) as u64);
            bench.due_now();
            if dice.below(30) == 0 {
                bench.link.release(bench.now, None, None).unwrap();
            }
        }
        bench.link.delete_rules(None).unwrap();
        bench.link.delete_netem(None).unwrap();
        while bench.next().is_some() {}
        assert!(bench.link.is_transparent());
    }
}

#[test]
fn every_queue_has_its_bound() {
    let mut bench = Bench::with_rule("hold data");
    for _ in 0..MAX_HELD {
        assert_eq!(bench.fate(client(ACK, b"x")), Fate::Held(Agent::Rule(1)));
    }
    assert_eq!(bench.fate(client(ACK, b"x")), Fate::Lost(Agent::Queue));
    assert_eq!((bench.row().held, bench.row().lost), (MAX_HELD as u64, 1));

    let mut bench = Bench::with_rule("delay 1s data");
    for _ in 0..MAX_UNDER_WAY {
        bench.offer(client(ACK, b"x"));
    }
    assert_eq!(bench.fate(client(ACK, b"x")), Fate::Lost(Agent::Queue));
    assert_eq!(bench.row().lost, 1);
}

#[test]
fn there_are_only_so_many_rules_and_impairments() {
    let mut bench = Bench::new();
    for port in 0..MAX_IMPAIRMENTS.max(MAX_RULES) {
        let _ = bench.link.add_rule("drop syn");
        let _ = bench.link.set_netem(bench.now, NetemVerb::Add, &format!("port {port} loss 1%"));
    }
    assert!(bench.link.add_rule("drop syn").unwrap_err().contains("256 rules"));
    let refused = bench.link.set_netem(bench.now, NetemVerb::Add, "port 9999 loss 1%");
    assert!(refused.unwrap_err().contains("64 impairments"));
}

#[test]
fn a_rule_forgets_the_connection_that_it_has_not_seen_for_longest() {
    let mut bench = Bench::with_rule("drop data nth 1 per connection");
    let first = client(ACK, b"x").client_port(1000);
    assert!(bench.is_dropped(first));
    assert!(bench.passes(first));
    for port in 0..MAX_CONNECTIONS {
        let sample = client(ACK, b"x").client_port(2000 + port as u16);
        assert!(bench.is_dropped(sample));
    }
    assert!(bench.is_dropped(first));
}
