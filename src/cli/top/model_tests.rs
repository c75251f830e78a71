use tcplab::tcp::{Cause, State};

use super::super::columns::Column;
use super::super::fixtures::{CLIENT, SERVER, opening, snapshot, transition};
use super::*;

fn model() -> Model {
    let mut model = Model::new(None, Sort::default());
    model.see(snapshot(10, 100));
    model
}

fn filter(text: &str) -> Option<Filter> {
    Some(Filter::parse(&[text.to_owned()]).unwrap())
}

fn states_shown(model: &Model) -> Vec<&str> {
    model.rows().map(|socket| socket.row.state.as_str()).collect()
}

#[test]
fn two_looks_give_rates_per_second_of_real_time() {
    let mut model = model();
    assert_eq!(model.rates(), None);
    model.see(snapshot(12, 150));
    assert_eq!(model.rates().unwrap()[..3], [25.0, 50.0, 37_500.0]);
    model.see(snapshot(12, 150));
    assert_eq!(model.history(0).collect::<Vec<_>>(), [25.0], "no time has passed");
    model.see(snapshot(13, 150));
    assert_eq!(model.history(0).collect::<Vec<_>>(), [25.0, 0.0]);
}

#[test]
fn counters_that_fell_give_no_rate_below_zero() {
    let mut model = model();
    model.see(snapshot(11, 50));
    assert_eq!(model.rates().unwrap()[0], 0.0);
}

#[test]
fn another_stack_begins_anew() {
    let mut model = model();
    for second in [11, 12] {
        let mut next = snapshot(second, 200);
        (next.records, next.skipped) = (opening(), 2);
        model.see(next);
    }
    assert_eq!((model.news().count(), model.skipped()), (6, 4));
    let mut other = snapshot(1, 7);
    other.status.pid = 4712;
    model.see(other);
    assert_eq!((model.rates(), model.news().count(), model.skipped()), (None, 0, 0));
}

#[test]
fn the_history_is_bounded() {
    let mut model = model();
    for second in 11..11 + 2 * MAX_HISTORY as u64 {
        model.see(snapshot(second, 100));
    }
    assert_eq!(model.history(0).count(), MAX_HISTORY);
}

#[test]
fn events_are_bounded_and_the_newest_stay() {
    let mut model = model();
    let mut next = snapshot(11, 100);
    let change = (State::Closed, State::SynSent);
    next.records = (1..=MAX_EVENTS as u64 + 1)
        .map(|number| transition(number, (CLIENT, SERVER), change, Cause::Open))
        .collect();
    model.see(next);
    assert_eq!(model.news().count(), MAX_EVENTS);
    assert!(model.news().next().unwrap().line.starts_with("0.002"));
}

#[test]
fn rows_are_filtered_as_ss_filters_them_and_states_are_counted_all_the_same() {
    let mut model = model();
    assert_eq!(states_shown(&model), ["LISTEN", "ESTAB", "CLOSE-WAIT", "ESTAB", "TIME-WAIT"]);
    model.set_filter(filter("state close-wait state time-wait"));
    assert_eq!(states_shown(&model), ["CLOSE-WAIT", "TIME-WAIT"]);
    model.set_filter(filter("dport = :8080"));
    assert_eq!(states_shown(&model), ["ESTAB", "TIME-WAIT"]);
    let counts: Vec<_> = LIFE.into_iter().zip(model.states()).filter(|(_, n)| *n > 0).collect();
    assert_eq!(counts, [("LISTEN", 1), ("ESTAB", 2), ("CLOSE-WAIT", 1), ("TIME-WAIT", 1)]);
}

#[test]
fn the_selection_stays_with_its_socket() {
    let mut model = model();
    model.select(3);
    model.set_sort(Sort { column: Some(Column::Retrans), reversed: false });
    assert_eq!(model.selection(), Some(0));
    assert_eq!(model.selected().unwrap().row.id, "000000000000000d");
    // It goes to TIME-WAIT, and has no socket any more.
    let mut next = snapshot(11, 100);
    next.sockets[3].row.id.clear();
    next.sockets[3].row.state = "TIME-WAIT".to_owned();
    next.sockets[3].row.info.clear();
    model.see(next);
    assert_eq!(model.selected().unwrap().row.local.to_string(), CLIENT);
}

#[test]
fn what_has_gone_leaves_the_selection_to_its_neighbour() {
    let mut model = model();
    model.select_by(1);
    assert_eq!(model.selection(), Some(0), "the first step selects the first row");
    model.select_by(isize::MAX);
    assert_eq!(model.selection(), Some(4));
    let mut next = snapshot(11, 100);
    next.sockets.truncate(2);
    model.see(next);
    assert_eq!(model.selection(), Some(1));
    let mut empty = snapshot(12, 100);
    empty.sockets.clear();
    model.see(empty);
    assert_eq!(model.selection(), None);
    model.select_by(1);
    assert!(model.selected().is_none());
}

#[test]
fn the_life_of_a_connection_is_what_concerns_its_end() {
    let mut model = model();
    let mut next = snapshot(11, 100);
    next.records = opening();
    model.see(next);
    model.select(3);
    let row = model.selected().unwrap().row.clone();
    assert_eq!(row.local.to_string(), CLIENT);
    assert_eq!(model.life_of(&row).count(), 2);
}

#[test]
fn timers_are_counted_by_kind_the_soonest_first() {
    let timers = model().timers();
    let names: Vec<_> = timers.iter().map(|timer| (timer.name.as_str(), timer.count)).collect();
    assert_eq!(names, [("on", 1), ("timewait", 1)]);
    assert_eq!(timers[0].first, Duration::from_millis(180));
}
