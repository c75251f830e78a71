//! Impairments: what tc prints, and what sch_netem does.

use super::*;
use crate::link::check_netem;

const DATA: &[u8] = &[b'x'; 1000];
/// Octets of a packet with that text.
const PACKET: u64 = 1000 + 20 + 20;

/// The parameters as they are shown, with the seed that is given to all of them.
fn shown(text: &str) -> String {
    let row = Bench::with_netem(&format!("{text} seed 1")).link.netem_rows().remove(0);
    format!("{}{}", row.scope, row.parameters.trim_end_matches(" seed 1"))
}

fn refusal(text: &str) -> String {
    check_netem(text).unwrap_err().to_string()
}

#[test]
fn parameters_are_shown_as_tc_shows_them() {
    for (given, expected) in [
        ("", "limit 1000"),
        ("dev lo root netem delay 100ms", "limit 1000 delay 100ms"),
        ("latency 100ms 10ms 25%", "limit 1000 delay 100ms  10ms 25%"),
        ("delay 20ms 5ms distribution pareto", "limit 1000 delay 20ms  5ms distribution pareto"),
        ("loss 1% 25% limit 10", "limit 10 loss 1% 25%"),
        ("loss random 0.5%", "limit 1000 loss 0.5%"),
        ("lim 7 del 1ms du 1%", "limit 7 delay 1ms duplicate 1%"),
        ("loss state 1%", "limit 1000 loss state p13 1% p31 99% p32 0% p23 100% p14 0%"),
        (
            "loss state 1% 10% 5% 80% 2%",
            "limit 1000 loss state p13 1% p31 10% p32 5% p23 80% p14 2%",
        ),
        ("loss gemodel 1%", "limit 1000 loss gemodel p 1% r 99% 1-h 100% 1-k 0%"),
        ("drop gemodel 1% 10% 70% 0.1%", "limit 1000 loss gemodel p 1% r 10% 1-h 70% 1-k 0.1%"),
        ("duplicate 1% corrupt 2% 3%", "limit 1000 duplicate 1% corrupt 2% 3%"),
        ("delay 10ms reorder 25% 50% gap 5", "limit 1000 delay 10ms reorder 25% 50% gap 5"),
        ("delay 10ms reorder 25%", "limit 1000 delay 10ms reorder 25% gap 1"),
        (
            "rate 5kbit 20 100 5",
            "limit 1000 rate 5Kbit packetoverhead 20 cellsize 100 celloverhead 5",
        ),
        ("rate 1500kbit -14", "limit 1000 rate 1500Kbit packetoverhead -14"),
        ("slot 800us 1ms packets 3", "limit 1000 slot 800us 1ms packets 3"),
        (
            "slot distribution normal 10ms 2ms bytes 64k",
            "limit 1000 slot distribution normal 10ms 2ms bytes 65536",
        ),
        ("port 80 from server netem delay 1ms", " from server port 80limit 1000 delay 1ms"),
    ] {
        assert_eq!(shown(given), expected, "{given}");
    }
}

#[test]
fn what_is_shown_can_be_given_back() {
    for text in [
        "delay 100ms 10ms 25% distribution normal loss 1% 25%",
        "loss state 1% 10% 5% 80% 2% duplicate 3% 4%",
        "loss gemodel 1% 10% 70% 0.1% delay 1ms reorder 25% gap 5",
        "rate 5kbit 20 100 5 slot distribution uniform 10ms 2ms packets 2",
        "from 127.0.0.1:80 to port 9 host ::1 corrupt 1%",
    ] {
        let once = shown(text);
        let again = once.replacen("limit", " limit", 1);
        assert_eq!(shown(&again), once);
    }
}

#[test]
fn what_tc_refuses_is_refused() {
    for (text, why) in [
        ("delay", "expected a time"),
        ("delay 100ms 10ms x", "`x`: expected limit, delay"),
        ("reorder 10%", "without specifying some delay"),
        ("delay 1ms gap 5", "without reorder probability"),
        ("delay 1ms distribution normal", "no latency and jitter"),
        ("delay 1ms 1ms distribution file", "uniform, normal, pareto or paretonormal"),
        ("loss 1% loss 2%", "given twice"),
        ("loss 1% ecn", "no ECN"),
        ("loss 101%", "a percentage"),
        ("slot 2ms 1ms", "not below"),
        ("slot distribution normal 1ms 0ms", "above zero"),
        ("rate 0bit", "a rate"),
        ("limit 2000000", "up to 1000000"),
        ("dev eth0", "`lo`"),
    ] {
        let refused = refusal(text);
        assert!(refused.contains(why), "{text}: {refused}");
    }
}

#[test]
fn verbs_are_those_of_tc() {
    let mut link = Link::new(1);
    let now = Instant::ZERO;
    assert!(link.set_netem(now, NetemVerb::Change, "delay 1ms").unwrap_err().contains("`add`"));
    link.set_netem(now, NetemVerb::Add, "delay 1ms").unwrap();
    assert!(link.set_netem(now, NetemVerb::Add, "delay 2ms").unwrap_err().contains("`change`"));
    link.set_netem(now, NetemVerb::Add, "from client port 80 delay 1ms").unwrap();
    link.set_netem(now, NetemVerb::Change, "port 80 from client loss 1%").unwrap();
    assert_eq!(link.netem_rows().len(), 2);
    assert_eq!(link.netem_rows()[1].handle, "8002:");
    assert!(link.delete_netem(Some("from server")).is_err());
    link.delete_netem(Some("root netem delay 7ms")).unwrap();
    assert_eq!(link.netem_rows().len(), 1);
    assert_eq!(link.delete_netem(None).unwrap().len(), 1);
    assert!(link.is_transparent());
}

#[test]
fn a_delay_keeps_the_order() {
    let mut bench = Bench::with_netem("delay 10ms");
    assert_eq!(bench.fate(client(ACK, b"a")), Fate::Delayed(Agent::Netem, 10_000_000));
    bench.now = bench.now + MS;
    bench.offer(client(ACK, b"b"));
    assert_eq!(bench.departures(), [(10 * MS, 1), (11 * MS, 2)]);
    let row = bench.link.netem_rows().remove(0);
    assert_eq!((row.sent_packets, row.sent_octets, row.queued_packets), (2, 2 * 41, 0));
}

#[test]
fn a_change_takes_effect_at_once_and_leaves_what_is_queued() {
    let mut bench = Bench::with_netem("delay 10ms");
    bench.offer(client(ACK, b"a"));
    bench.netem("delay 2ms");
    bench.offer(client(ACK, b"b"));
    bench.netem("");
    assert!(bench.passes(client(ACK, b"c")));
    assert_eq!(bench.departures(), [(2 * MS, 2), (10 * MS, 1)]);
}

#[test]
fn what_goes_now_does_not_overtake_what_is_due_now() {
    let mut bench = Bench::with_netem("delay 10ms");
    bench.offer(client(ACK, b"a"));
    bench.netem("");
    bench.now = bench.now + 10 * MS;
    assert_eq!(bench.offer(client(ACK, b"b")).way, Way::Kept);
    assert_eq!(bench.departures(), [(10 * MS, 1), (10 * MS, 2)]);
}

#[test]
fn jitter_reorders_and_spreads_around_the_delay() {
    for distribution in ["", "distribution normal", "distribution pareto"] {
        let mut bench = Bench::with_netem(&format!("delay 100ms 20ms {distribution} seed 3"));
        for _ in 0..1000 {
            bench.offer(client(ACK, b"a"));
        }
        let left = bench.departures();
        assert!(!left.is_sorted_by_key(|(_, serial)| *serial), "{distribution}");
        let mean = left.iter().map(|(at, _)| at.as_secs_f64()).sum::<f64>() / 1000.0;
        assert!((0.097..0.103).contains(&mean), "{distribution}: {mean}");
    }
}

#[test]
fn more_than_the_limit_is_dropped() {
    let mut bench = Bench::with_netem("delay 10ms limit 3");
    for _ in 0..3 {
        assert_eq!(bench.offer(client(ACK, DATA)).way, Way::Kept);
    }
    assert_eq!(bench.fate(client(ACK, DATA)), Fate::Lost(Agent::Queue));
    let row = bench.link.netem_rows().remove(0);
    assert_eq!((row.overflowed, row.dropped, row.queued_packets), (1, 1, 3));
    assert_eq!(row.queued_octets, 3 * PACKET);
    assert_eq!(bench.departures().len(), 3);
}

#[test]
fn shares_are_what_was_asked_for() {
    let mut bench = Bench::with_netem("loss 10% duplicate 20% corrupt 30% seed 5");
    for _ in 0..20_000 {
        bench.offer(client(ACK, DATA));
        bench.due_now();
    }
    let row = bench.link.netem_rows().remove(0);
    let near = |found: u64, expected: f64| {
        let found = found as f64 / 20_000.0;
        assert!((found - expected).abs() < 0.015, "{found}, not {expected}");
    };
    // Lost: chosen and not duplicated, or a duplicate of a duplicated one.
    near(row.lost, 0.1 * 0.8 + 0.2 * 0.9 * 0.1);
    near(row.duplicated, 0.2 * 0.9);
    near(row.corrupted, 0.3 * (1.0 - 0.08 + 0.18 * 0.9));
}

#[test]
fn a_corrupted_segment_has_one_wrong_bit() {
    let mut bench = Bench::with_netem("corrupt 100%");
    let sample = client(ACK, DATA);
    assert_eq!(bench.fate(sample), Fate::Corrupted(Agent::Netem));
    let arrived = bench.due_now().remove(0);
    let wrong: u32 = arrived.iter().zip(sample.octets()).map(|(a, b)| (a ^ b).count_ones()).sum();
    assert_eq!(wrong, 1);
    assert!(wire::parse(loopback(), loopback(), &arrived).is_err());
}

#[test]
fn every_fifth_is_sent_before_those_that_wait() {
    let mut bench = Bench::with_netem("delay 10ms reorder 100% gap 5");
    let ways: Vec<Way> = (0..10).map(|_| bench.offer(client(ACK, b"a")).way).collect();
    let at_once: Vec<usize> = (0..10).filter(|at| ways[*at] == Way::Now).collect();
    assert_eq!(at_once, [4, 9]);
    assert_eq!(bench.link.netem_rows()[0].reordered, 2);
}

#[test]
fn a_rate_sends_one_after_the_other() {
    // 1040 octets at 104 octets a ms.
    let mut bench = Bench::with_netem("rate 104kbps");
    for _ in 0..3 {
        bench.offer(client(ACK, DATA));
    }
    assert_eq!(bench.departures(), [(10 * MS, 1), (20 * MS, 2), (30 * MS, 3)]);
    bench.now = bench.now + 100 * MS;
    bench.offer(client(ACK, DATA));
    assert_eq!(bench.departures(), [(140 * MS, 4)]);
}

#[test]
fn a_rate_may_count_overhead_and_cells() {
    // 1040 - 40 = 1000 octets: 21 cells of 48, each with 5 more: 1113 octets.
    let mut bench = Bench::with_netem("rate 1000bps -40 48 5");
    bench.offer(client(ACK, DATA));
    assert_eq!(bench.departures(), [(1113 * MS, 1)]);
}

#[test]
fn delay_and_rate_overlap() {
    let mut bench = Bench::with_netem("delay 15ms rate 104kbps");
    for _ in 0..3 {
        bench.offer(client(ACK, DATA));
    }
    assert_eq!(bench.departures(), [(25 * MS, 1), (35 * MS, 2), (45 * MS, 3)]);
}

#[test]
fn slots_let_go_so_many_at_once() {
    let mut bench = Bench::with_netem("slot 10ms packets 2");
    for _ in 0..5 {
        bench.offer(client(ACK, b"a"));
    }
    let at: Vec<u128> = bench.departures().iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(at, [0, 0, 10, 10, 20]);
    let mut bench = Bench::with_netem("slot 5ms 10ms bytes 100 seed 2");
    bench.now = bench.now + MS;
    for _ in 0..4 {
        bench.offer(client(ACK, b"a"));
    }
    let left = bench.departures();
    // A slot opened before the first came; 41 octets a packet, so three fill one.
    assert!(left[0].0 >= 6 * MS && left[0].0 <= 11 * MS, "{left:?}");
    assert_eq!(left[0].0, left[2].0);
    assert!(left[3].0 >= left[2].0 + 5 * MS, "{left:?}");
}

#[test]
fn the_impairment_with_most_conditions_counts() {
    let mut bench = Bench::with_netem("delay 1ms");
    bench.netem("port 80 delay 2ms");
    bench.netem("from server port 80 delay 3ms");
    bench.netem("host 127.0.0.2 port 80 from client loss 100%");
    let mut delay = |sample| match bench.fate(sample) {
        Fate::Delayed(_, at) => at / 1_000_000,
        other => panic!("{other:?}"),
    };
    assert_eq!(delay(client(ACK, b"a")), 2);
    assert_eq!(delay(server(ACK, b"a")), 3);
    let other = Sample { ports: (1, 2), ..client(ACK, b"a") };
    assert_eq!(delay(other), 1);
}

#[test]
fn the_same_seed_has_the_same_outcome() {
    let run = |seed: u32| {
        let text = format!("delay 5ms 3ms loss 10% duplicate 5% corrupt 5% seed {seed}");
        let mut bench = Bench::with_netem(&text);
        let fates: Vec<Fate> = (0..200).map(|_| bench.fate(client(ACK, DATA))).collect();
        (fates, bench.departures())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
