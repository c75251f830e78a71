//! A sheet of characters in which what matters more covers what matters less.

use core::fmt::Write as _;

/// Which characters lines are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Charset {
    /// Box drawing characters.
    Unicode,
    /// Plain ASCII.
    Ascii,
}

/// What a character belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ink {
    /// Text.
    Plain,
    /// Lines, times, what is not looked at first.
    Faint,
    /// The title and the heads of lifelines.
    Title,
    /// A state.
    State,
    /// A timer.
    Timer,
    /// A call.
    Call,
    /// A segment sent again, or an old one.
    Again,
    /// What went wrong: lost, refused, reset, failed.
    Bad,
    /// What the user did.
    Note,
}

impl Ink {
    /// The ANSI code that shows it.
    fn code(self) -> &'static str {
        match self {
            Ink::Plain => "",
            Ink::Faint => "2",
            Ink::Title => "1",
            Ink::State => "36",
            Ink::Timer => "35",
            Ink::Call => "32",
            Ink::Again => "33",
            Ink::Bad => "31",
            Ink::Note => "34",
        }
    }
}

/// What covers what.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Layer {
    Nothing,
    Lifeline,
    Arrow,
    Slant,
    Text,
}

#[derive(Clone, Copy)]
struct Cell {
    character: char,
    ink: Ink,
    layer: Layer,
}

const EMPTY: Cell = Cell { character: ' ', ink: Ink::Plain, layer: Layer::Nothing };

/// The sheet.
pub(super) struct Canvas {
    width: usize,
    lines: Vec<Vec<Cell>>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Canvas {
        Canvas { width, lines: vec![vec![EMPTY; width]; height] }
    }

    /// Puts a character where nothing stands that matters more.
    pub(super) fn put(&mut self, x: usize, y: usize, character: char, ink: Ink, layer: Layer) {
        let Some(cell) = self.lines.get_mut(y).and_then(|line| line.get_mut(x)) else { return };
        if layer < cell.layer {
            return;
        }
        let crosses = layer == Layer::Slant && cell.layer == Layer::Slant;
        let character = match (cell.character, character) {
            ('/', '\\') | ('\\', '/') if crosses => 'X',
            ('╱', '╲') | ('╲', '╱') if crosses => '╳',
            _ => character,
        };
        *cell = Cell { character, ink, layer };
    }

    pub(super) fn text(&mut self, x: usize, y: usize, text: &str, ink: Ink) {
        for (offset, character) in text.chars().enumerate() {
            self.put(x + offset, y, character, ink, Layer::Text);
        }
    }

    /// Nothing of that layer stands between the columns, ends included.
    pub(super) fn is_clear(&self, y: usize, from: usize, to: usize, layer: Layer) -> bool {
        let Some(line) = self.lines.get(y) else { return true };
        line.iter().take(to + 1).skip(from).all(|cell| cell.layer != layer)
    }

    /// The sheet as lines of text without blanks at their ends.
    pub(super) fn print(&self, coloured: bool, out: &mut String) {
        for line in &self.lines {
            let end =
                line.iter().rposition(|cell| cell.character != ' ').map_or(0, |last| last + 1);
            let mut ink = Ink::Plain;
            for cell in &line[..end.min(self.width)] {
                // A blank looks the same in every ink.
                if coloured && cell.ink != ink && cell.character != ' ' {
                    let code = cell.ink.code();
                    let _ = match code {
                        "" => write!(out, "\x1b[0m"),
                        code => write!(out, "\x1b[0;{code}m"),
                    };
                    ink = cell.ink;
                }
                out.push(cell.character);
            }
            if ink != Ink::Plain {
                out.push_str("\x1b[0m");
            }
            out.push('\n');
        }
    }
}
