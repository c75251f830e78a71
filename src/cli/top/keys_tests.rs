use super::super::columns::Sort;
use super::super::fixtures::snapshot;
use super::*;

fn screen() -> Screen {
    let mut model = Model::new(None, Sort::default());
    model.see(snapshot(10, 100));
    Screen::new("0/test".to_owned(), model, String::new(), Form::Live)
}

fn press(screen: &mut Screen, code: KeyCode) -> Demand {
    screen.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn type_in(screen: &mut Screen, text: &str) {
    for c in text.chars() {
        assert_eq!(press(screen, KeyCode::Char(c)), Demand::Nothing, "{c}");
    }
}

fn control(screen: &mut Screen, c: char) -> Demand {
    screen.key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL))
}

#[test]
fn q_quits_and_from_a_cover_goes_back() {
    let mut screen = screen();
    press(&mut screen, KeyCode::Char('?'));
    assert_eq!(screen.cover, Some(Cover::Help));
    assert_eq!(press(&mut screen, KeyCode::Char('q')), Demand::Nothing);
    assert_eq!(screen.cover, None);
    assert_eq!(press(&mut screen, KeyCode::Char('q')), Demand::Quit);
    assert_eq!(control(&mut screen, 'c'), Demand::Quit);
    assert_eq!(control(&mut screen, 'z'), Demand::Suspend);
    assert_eq!(control(&mut screen, 'l'), Demand::Redraw);
}

#[test]
fn a_filter_is_typed_corrected_and_taken_away() {
    let mut screen = screen();
    type_in(&mut screen, "/state close-wait sport");
    assert_eq!(press(&mut screen, KeyCode::Enter), Demand::Nothing);
    assert!(screen.prompt.is_some(), "what is wrong stays to be corrected");
    assert!(screen.notice.as_ref().is_some_and(|notice| notice.is_bad));
    type_in(&mut screen, " = :8080");
    press(&mut screen, KeyCode::Enter);
    assert!(screen.prompt.is_none());
    assert_eq!(screen.model.rows().len(), 1);
    press(&mut screen, KeyCode::Esc);
    assert_eq!((screen.model.rows().len(), screen.filter.as_str()), (5, ""));
}

#[test]
fn commands_are_run_as_they_would_be_in_a_shell() {
    let mut screen = screen();
    type_in(&mut screen, "cadvance 60s");
    let words = |text: &str| Demand::Run(text.split(' ').map(str::to_owned).collect());
    assert_eq!(press(&mut screen, KeyCode::Enter), words("clock advance 60s"));
    type_in(&mut screen, "idelay 10ms");
    assert_eq!(press(&mut screen, KeyCode::Enter), words("netem replace delay 10ms"));
    type_in(&mut screen, ":tcplab rule add 'drop data len > 10' \"\"");
    let quoted = ["rule", "add", "drop data len > 10", ""].map(str::to_owned).to_vec();
    assert_eq!(press(&mut screen, KeyCode::Enter), Demand::Run(quoted));
    type_in(&mut screen, ":rule add 'drop");
    assert_eq!(press(&mut screen, KeyCode::Enter), Demand::Nothing);
    assert!(screen.prompt.is_some() && screen.notice.is_some());
    press(&mut screen, KeyCode::Esc);
    type_in(&mut screen, ":");
    assert_eq!(press(&mut screen, KeyCode::Enter), Demand::Nothing);
}

#[test]
fn commands_are_recalled() {
    let mut screen = screen();
    for command in ["clock pause", "clock resume"] {
        type_in(&mut screen, &format!(":{command}"));
        press(&mut screen, KeyCode::Enter);
    }
    type_in(&mut screen, ":");
    let text = |screen: &Screen| screen.prompt.as_ref().unwrap().text();
    press(&mut screen, KeyCode::Up);
    assert_eq!(text(&screen), "clock resume");
    press(&mut screen, KeyCode::Up);
    press(&mut screen, KeyCode::Up);
    assert_eq!(text(&screen), "clock pause");
    press(&mut screen, KeyCode::Down);
    press(&mut screen, KeyCode::Down);
    assert_eq!(text(&screen), "");
}

#[test]
fn one_command_runs_at_a_time_and_escape_ends_it() {
    let mut screen = screen();
    screen.running = Some("trace -f".to_owned());
    type_in(&mut screen, ":status");
    assert_eq!(press(&mut screen, KeyCode::Enter), Demand::Nothing);
    assert!(screen.notice.as_ref().is_some_and(|notice| notice.text.contains("still runs")));
    press(&mut screen, KeyCode::Esc);
    assert_eq!(press(&mut screen, KeyCode::Esc), Demand::Cancel);
}

fn ended(output: &str, is_success: bool) -> Screen {
    let mut screen = screen();
    let words = vec!["clock".to_owned(), "pause".to_owned()];
    screen.show_ended(Ended { words, output: output.to_owned(), is_success });
    screen
}

#[test]
fn a_line_of_output_stands_at_the_bottom_more_covers_the_table() {
    let notice = |screen: Screen| screen.notice.map(|notice| (notice.text, notice.is_bad));
    assert_eq!(notice(ended("", true)), Some(("done: tcplab clock pause".to_owned(), false)));
    assert_eq!(notice(ended("stack time 1s\n", true)), Some(("stack time 1s".to_owned(), false)));
    assert_eq!(notice(ended("tcplab: no\n", false)), Some(("no".to_owned(), true)));
    let usage = "error: unrecognized subcommand 'x'\n\nUsage: tcplab ...\n\nFor more ...\n";
    assert_eq!(notice(ended(usage, false)), Some(("unrecognized subcommand 'x'".to_owned(), true)));
    assert!(notice(ended("", false)).is_some_and(|(_, is_bad)| is_bad));
    let covered = ended("one\ttwo\nthree\n", true).cover;
    let lines = ["one    two", "three"].map(str::to_owned).to_vec();
    assert_eq!(covered, Some(Cover::Text { title: "tcplab clock pause".to_owned(), lines }));
}

#[test]
fn a_diagram_is_drawn_of_the_selected_connection() {
    let mut screen = screen();
    screen.shown.width = 120;
    let conn = |demand| match demand {
        Demand::Run(words) => (words[2].clone(), words[4].clone()),
        other => panic!("{other:?}"),
    };
    press(&mut screen, KeyCode::End);
    let time_wait = conn(press(&mut screen, KeyCode::Char('d')));
    assert_eq!(time_wait, ("127.0.0.1:40004-127.0.0.1:8080".to_owned(), "120".to_owned()));
    press(&mut screen, KeyCode::Up);
    assert_eq!(conn(press(&mut screen, KeyCode::Char('d'))).0, "000000000000000d");
    screen.shown.width = 40;
    press(&mut screen, KeyCode::Home);
    let listener = conn(press(&mut screen, KeyCode::Char('d')));
    assert_eq!(listener, (":8080".to_owned(), "72".to_owned()));
}

#[test]
fn without_a_row_there_is_nothing_to_show_details_of() {
    let mut screen = screen();
    let mut empty = snapshot(11, 100);
    empty.sockets.clear();
    screen.model.see(empty);
    for code in [KeyCode::Enter, KeyCode::Char('d'), KeyCode::Down] {
        assert_eq!(press(&mut screen, code), Demand::Nothing);
        assert_eq!(screen.cover, None);
    }
}

#[test]
fn a_cover_is_scrolled_and_its_end_followed() {
    let mut screen = screen();
    press(&mut screen, KeyCode::Char('e'));
    assert_eq!(screen.scroll, usize::MAX);
    screen.shown = Shown { lines: 10, first_line: 30, last_first_line: 30, ..Shown::default() };
    press(&mut screen, KeyCode::PageUp);
    assert_eq!(screen.scroll, 21);
    screen.shown.first_line = 21;
    press(&mut screen, KeyCode::Down);
    assert_eq!(screen.scroll, 22);
    screen.shown.first_line = 29;
    press(&mut screen, KeyCode::Down);
    assert_eq!(screen.scroll, usize::MAX);
    press(&mut screen, KeyCode::Home);
    assert_eq!(screen.scroll, 0);
}

#[test]
fn the_display_is_paused_and_goes_on() {
    let mut screen = screen();
    assert_eq!(press(&mut screen, KeyCode::Char('p')), Demand::Pause(true));
    assert_eq!(press(&mut screen, KeyCode::Char(' ')), Demand::Pause(false));
}
