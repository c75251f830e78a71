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
