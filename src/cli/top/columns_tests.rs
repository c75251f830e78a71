use super::super::super::ss::holders::Holder;
use super::super::super::ss::table::tests::row;
use super::*;

fn socket(state: &str, local: &str, info: &str) -> Socket {
    let mut row = row(state, local, Some("127.0.0.1:40000"));
    row.info = info.to_owned();
    Socket { row, inode: 0, holders: Vec::new() }
}

fn ordered(sort: Sort) -> Vec<usize> {
    let sockets = [
        socket("LISTEN", "127.0.0.1:80", ""),
        socket("ESTAB", "127.0.0.1:9", "rtt:0.2/0.1 cwnd:10"),
        socket("ESTAB", "127.0.0.1:80", "rtt:12/1 cwnd:9 retrans_total:3"),
    ];
    let mut order = vec![0, 1, 2];
    sort.apply(&mut order, &sockets);
    order
}

#[test]
fn rows_are_ordered_by_a_column_numbers_from_the_greatest() {
    let by = |column| ordered(Sort { column: Some(column), reversed: false });
    assert_eq!(ordered(Sort::default()), [0, 1, 2]);
    assert_eq!(by(Column::State), [1, 2, 0]);
    assert_eq!(by(Column::Local), [1, 0, 2]);
    assert_eq!(by(Column::Rtt), [2, 1, 0]);
    assert_eq!(by(Column::Cwnd), [1, 2, 0]);
    assert_eq!(by(Column::Retrans), [2, 0, 1]);
    assert_eq!(ordered(Sort { column: Some(Column::Rtt), reversed: true }), [0, 1, 2]);
    assert_eq!(ordered(Sort { column: None, reversed: true }), [2, 1, 0]);
}

#[test]
fn stepping_through_the_columns_comes_back_to_the_order_of_ss() {
    let mut sort = Sort::default();
    sort.step(-1);
    assert_eq!(sort.column, Some(Column::Rtt));
    sort.step(1);
    assert_eq!(sort.column, None);
    for column in Column::ALL {
        sort.step(1);
        assert_eq!(sort.column, Some(column));
    }
    sort.step(1);
    assert_eq!(sort.column, None);
}

#[test]
fn what_does_not_fit_is_shortened_then_left_out_the_least_important_first() {
    let whole = [10, 6, 6, 15, 15, 14, 13, 6, 4, 4, 6];
    let mut short = whole;
    (short[3], short[4]) = (6, 6);
    let widths = Widths { whole, short };
    let fit = |room| super::fit(&widths, Sort::default(), room);
    let needed = |widths: [usize; COUNT]| widths.iter().sum::<usize>() + COUNT - 1;
    let titles = |room| fit(room).columns.iter().map(|(c, _)| c.title()).collect::<Vec<_>>();
    assert_eq!(fit(needed(whole)).addresses, Addresses::Whole);
    assert_eq!(titles(needed(whole) - 1).len(), COUNT);
    assert_eq!(fit(needed(whole) - 1).addresses, Addresses::Short);
    assert_eq!(titles(needed(short) - 1).last(), Some(&"RTT/ms"));
    assert!(!titles(needed(short) - 1).contains(&"Cwnd"));
    assert_eq!(titles(25), ["State", "Local", "Peer"]);
    assert_eq!(fit(12).columns, [(Column::State, 10)]);
    for room in 0..needed(whole) + 10 {
        let used = fit(room).columns.iter().map(|(_, width)| width + 1).sum::<usize>();
        assert!(used.saturating_sub(1) <= room, "{used} in {room}");
    }
}

#[test]
fn the_column_sorted_by_has_room_for_its_mark() {
    let widths = Widths::of(&[]);
    let sort = Sort { column: Some(Column::Rtt), reversed: false };
    assert!(super::fit(&widths, sort, 200).columns.contains(&(Column::Rtt, 7)));
    assert!(super::fit(&widths, Sort::default(), 200).columns.contains(&(Column::Rtt, 6)));
}

#[test]
fn addresses_are_short_where_they_are_the_usual_one() {
    let text = |local: &str| {
        let socket = socket("ESTAB", local, "");
        Column::Local.text(&socket, Addresses::Short)
    };
    assert_eq!(text("127.0.0.1:80"), ":80");
    assert_eq!(text("0.0.0.0:80"), "0.0.0.0:80");
    assert_eq!(text("[::1]:80"), "[::1]:80");
}

#[test]
fn a_socket_without_a_program_says_why() {
    let mut one = socket("ESTAB", "127.0.0.1:9", "");
    assert_eq!(Column::Program.text(&one, Addresses::Whole), "");
    one.row.orphan = true;
    assert_eq!(Column::Program.text(&one, Addresses::Whole), "(orphan)");
    one.row.accepted = false;
    assert_eq!(Column::Program.text(&one, Addresses::Whole), "(not accepted)");
    let holder = |pid| Holder { pid, fd: 5, name: "nginx".to_owned() };
    one.holders = vec![holder(1), holder(2)];
    assert_eq!(Column::Program.text(&one, Addresses::Whole), "nginx[1]/5 +1");
}
