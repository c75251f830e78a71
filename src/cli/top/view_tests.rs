//! Pictures of a small session, compared with those in `snapshots/`. With `UPDATE_SNAPSHOTS=1`
//! these are written anew, to be looked at before they are committed.

use std::fs;
use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::super::columns::Sort;
use super::super::fixtures::{opening, snapshot};
use super::super::model::Model;
use super::super::{frame_text, text_of};
use super::*;

fn screen(form: Form) -> Screen {
    let mut model = Model::new(None, Sort::default());
    model.see(snapshot(10, 100));
    let mut next = snapshot(12, 150);
    next.records = opening();
    model.see(next);
    Screen::new("0/test".to_owned(), model, String::new(), form)
}

fn drawn(screen: &mut Screen, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut shown = Shown::default();
    terminal.draw(|frame| shown = draw(frame, screen, Theme::Colours)).unwrap();
    screen.shown = shown;
    text_of(terminal.backend().buffer())
}

fn compare(name: &str, drawn: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/top/snapshots").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, drawn).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(known == drawn, "{name} is drawn otherwise; UPDATE_SNAPSHOTS=1 accepts it:\n{drawn}");
}

fn press(screen: &mut Screen, keys: &[KeyCode]) {
    for key in keys {
        screen.key(KeyEvent::from(*key));
    }
}

#[test]
fn a_session_on_terminals_of_all_sizes() {
    for (width, height) in [(80, 24), (120, 40), (40, 10), (20, 5), (70, 16)] {
        let text = drawn(&mut screen(Form::Live), width, height);
        compare(&format!("{width}x{height}.txt"), &text);
    }
}

#[test]
fn one_frame_as_text_has_every_row() {
    let mut screen = screen(Form::Once);
    compare("once.txt", &frame_text(&screen, 100));
    let mut many = snapshot(13, 100);
    many.sockets = (0..300).flat_map(|_| super::super::fixtures::sockets()).collect();
    screen.model.see(many);
    assert_eq!(frame_text(&screen, 100).matches("TIME-WAIT  ").count(), 301);
}

#[test]
fn a_table_that_is_filtered_and_sorted_says_so() {
    let mut screen = screen(Form::Live);
    press(&mut screen, &[KeyCode::Char('/')]);
    screen.paste("sport = :8080");
    press(&mut screen, &[KeyCode::Enter, KeyCode::Char('s'), KeyCode::Char('s')]);
    compare("sorted.txt", &drawn(&mut screen, 80, 24));
}

#[test]
fn details_of_a_connection() {
    let mut screen = screen(Form::Live);
    press(&mut screen, &[KeyCode::End, KeyCode::Up, KeyCode::Enter]);
    compare("details.txt", &drawn(&mut screen, 80, 24));
}

#[test]
fn help() {
    let mut screen = screen(Form::Live);
    press(&mut screen, &[KeyCode::Char('?')]);
    let text = drawn(&mut screen, 100, 24);
    compare("help.txt", &text);
    assert_eq!(screen.shown.last_first_line, 0, "it fits on a usual terminal");
}

#[test]
fn what_is_typed_is_shown_to_its_end() {
    let mut screen = screen(Form::Live);
    press(&mut screen, &[KeyCode::Char(':')]);
    screen.paste("netem replace delay 100ms 10ms 25% distribution normal loss 1%");
    let text = drawn(&mut screen, 40, 10);
    assert_eq!(text.lines().last(), Some("tcplab  25% distribution normal loss 1%"));
}

#[test]
fn without_a_stack_it_says_so() {
    let model = Model::new(None, Sort::default());
    let mut screen = Screen::new("0/test".to_owned(), model, String::new(), Form::Live);
    assert!(drawn(&mut screen, 80, 24).contains("waiting for the stack"));
    screen.model.gone = Some("session 0/test is not running".to_owned());
    assert!(drawn(&mut screen, 80, 24).contains("session 0/test is not running"));
}

#[test]
fn no_size_is_too_small_and_no_key_too_much() {
    let keys = [
        &[][..],
        &[KeyCode::Down],
        &[KeyCode::End, KeyCode::Char('s'), KeyCode::Char('r')],
        &[KeyCode::Enter],
        &[KeyCode::Char('e'), KeyCode::Up],
        &[KeyCode::Char('?'), KeyCode::PageDown],
        &[KeyCode::Char('/'), KeyCode::Char('x'), KeyCode::Enter],
        &[KeyCode::Char(':'), KeyCode::Char('x'), KeyCode::Left],
    ];
    for form in [Form::Live, Form::Once] {
        for width in [0, 1, 2, 5, 20, 45, 46, 47, 71, 72, 200] {
            for height in [0, 1, 2, 3, 4, 8, 12, 13, 14, 20] {
                for keys in keys {
                    let mut screen = screen(form);
                    press(&mut screen, keys);
                    drawn(&mut screen, width, height);
                    drawn(&mut screen, height, width);
                }
            }
        }
    }
}
