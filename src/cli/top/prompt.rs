//! A line that is typed: text, a cursor, and the usual editing keys.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Longest line.
const MAX_CHARS: usize = 500;

/// What becomes of the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// A filter as `ss` has them.
    Filter,
    /// A `tcplab` command.
    Command,
}

impl Purpose {
    /// What stands before the line.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Purpose::Filter => "filter: ",
            Purpose::Command => "tcplab ",
        }
    }
}

/// What a key did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Typed {
    /// The line goes on.
    More,
    /// It is done.
    Done,
    /// It is not wanted.
    Cancelled,
}

/// The line so far.
#[derive(Debug)]
pub(super) struct Prompt {
    pub(super) purpose: Purpose,
    text: Vec<char>,
    cursor: usize,
}

impl Prompt {
    pub(super) fn new(purpose: Purpose, text: &str) -> Prompt {
        let text: Vec<char> = text.chars().collect();
        Prompt { purpose, cursor: text.len(), text }
    }

    /// The line.
    pub(super) fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// What stands before the cursor.
    pub(super) fn before_cursor(&self) -> String {
        self.text[..self.cursor].iter().collect()
    }

    /// Takes what was pasted; line ends are blanks.
    pub(super) fn paste(&mut self, text: &str) {
        for c in text.chars() {
            self.insert(if c.is_control() { ' ' } else { c });
        }
    }

    fn insert(&mut self, c: char) {
        if self.text.len() < MAX_CHARS {
            self.text.insert(self.cursor, c);
            self.cursor += 1;
        }
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Typed {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Typed::Done,
            KeyCode::Esc => return Typed::Cancelled,
            KeyCode::Char('c' | 'g') if control => return Typed::Cancelled,
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::Char('e') if control => self.cursor = self.text.len(),
            KeyCode::Char('u') if control => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            KeyCode::Char('k') if control => self.text.truncate(self.cursor),
            KeyCode::Char('w') if control => self.erase_word(),
            KeyCode::Char(c) if !control => self.insert(c),
            KeyCode::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            KeyCode::Delete if self.cursor < self.text.len() => {
                self.text.remove(self.cursor);
            }
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => {}
        }
        Typed::More
    }

    fn erase_word(&mut self) {
        let before = &self.text[..self.cursor];
        let word_end = before.iter().rposition(|c| *c != ' ').map_or(0, |last| last + 1);
        let start = before[..word_end].iter().rposition(|c| *c == ' ').map_or(0, |last| last + 1);
        self.text.drain(start..self.cursor);
        self.cursor = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(prompt: &mut Prompt, code: KeyCode, modifiers: KeyModifiers) -> Typed {
        prompt.key(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn a_line_is_edited() {
        let mut prompt = Prompt::new(Purpose::Command, "netem delay ");
        for c in "10ms x".chars() {
            press(&mut prompt, KeyCode::Char(c), KeyModifiers::NONE);
        }
        press(&mut prompt, KeyCode::Backspace, KeyModifiers::NONE);
        assert_eq!(prompt.text(), "netem delay 10ms ");
        press(&mut prompt, KeyCode::Char('w'), KeyModifiers::CONTROL);
        assert_eq!(prompt.text(), "netem delay ");
        press(&mut prompt, KeyCode::Home, KeyModifiers::NONE);
        press(&mut prompt, KeyCode::Delete, KeyModifiers::NONE);
        press(&mut prompt, KeyCode::Char('N'), KeyModifiers::SHIFT);
        assert_eq!(
            (prompt.text().as_str(), prompt.before_cursor().as_str()),
            ("Netem delay ", "N")
        );
        press(&mut prompt, KeyCode::Char('k'), KeyModifiers::CONTROL);
        prompt.paste("a\nb");
        assert_eq!(prompt.text(), "Na b");
        press(&mut prompt, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!(prompt.text(), "");
        for code in [KeyCode::Backspace, KeyCode::Delete, KeyCode::Left, KeyCode::Right] {
            assert_eq!(press(&mut prompt, code, KeyModifiers::NONE), Typed::More);
        }
        assert_eq!(press(&mut prompt, KeyCode::Enter, KeyModifiers::NONE), Typed::Done);
        assert_eq!(press(&mut prompt, KeyCode::Esc, KeyModifiers::NONE), Typed::Cancelled);
    }

    #[test]
    fn a_line_has_a_greatest_length() {
        let mut prompt = Prompt::new(Purpose::Filter, "");
        prompt.paste(&"x".repeat(2 * MAX_CHARS));
        assert_eq!(prompt.text().len(), MAX_CHARS);
    }
}
