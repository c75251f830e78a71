//! Loss recovery, segment by segment (RFC 5681 3.2, RFC 5827, RFC 6582).

use super::bench::*;

#[test]
fn duplicate_acknowledgments_of_a_single_segment_tell_of_no_loss() {
    let mut bench = Bench::established();
    bench.tcb.send(bench.now, b"abc");
    bench.sent();
    let before = bench.tcb.info(bench.now).cwnd;
    for _ in 0..5 {
        bench.arrive(ACK, 1, 1, &[]);
    }
    assert!(bench.sent().is_empty());
    assert_eq!(bench.tcb.info(bench.now).cwnd, before);
}

/// All that is queued is sent and acknowledged.
fn settle(bench: &mut Bench) {
    while bench.tcb.queues().send > 0 {
        let nxt = bench.tcb.snd.nxt.0.wrapping_sub(ISS);
        bench.arrive(ACK, 1, nxt, &[]);
        bench.sent();
    }
}

#[test]
fn a_loss_is_repaired_at_once_however_much_was_sent_since_the_last_one() {
    for by_timer in [false, true] {
        let mut bench = Bench::established();
        for further in [0, 1 << 31, 1 << 30] {
            bench.skip_sent(further);
            bench.tcb.send(bench.now, &[7; 10_000]);
            let first = bench.sent()[0].seq();
            let again = if by_timer && further == 0 {
                bench.pass_ms(300).remove(0).1
            } else {
                for _ in 0..3 {
                    bench.arrive(ACK, 1, first, &[]);
                }
                bench.sent().remove(0)
            };
            assert_eq!(again.seq(), first);
            settle(&mut bench);
        }
    }
}
