//! What keys do: the state of the screen beside the model, and how each key changes it.
//!
//! Pure: what needs the stack or the terminal is asked of the loop as a [`Demand`].

use core::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::ss::filter::Filter;
use super::columns::Column;
use super::job::Ended;
use super::model::Model;
use super::prompt::{Prompt, Purpose, Typed};

/// Narrower ones cannot be drawn: what is too wide is cut.
const MIN_DIAGRAM_WIDTH: usize = 72;
/// Commands that are remembered.
const MAX_COMMANDS: usize = 100;

/// What covers the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cover {
    /// What the keys do.
    Help,
    /// The selected connection.
    Details,
    /// All events.
    Events,
    /// Output of a command, or a diagram.
    Text {
        /// What it is.
        title: String,
        /// Its lines.
        lines: Vec<String>,
    },
}

/// A sentence at the bottom, until the next key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    /// Something was not done.
    pub(super) is_bad: bool,
}

/// What the last frame had room for: keys that move by a page go by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Shown {
    /// Columns of the terminal.
    pub(super) width: usize,
    /// Rows of the table.
    pub(super) rows: usize,
    /// The first of them.
    pub(super) first_row: usize,
    /// Lines of the cover.
    pub(super) lines: usize,
    /// The first of them.
    pub(super) first_line: usize,
    /// The last `first_line` that fills the cover.
    pub(super) last_first_line: usize,
}

/// Whether there is somebody to press keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// On a terminal.
    Live,
    /// One frame, as high as it must be.
    Once,
}

/// Everything that is shown, and how.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) model: Model,
    pub(super) session: String,
    pub(super) form: Form,
    pub(super) cover: Option<Cover>,
    /// First line of the cover; past its end: follows it.
    pub(super) scroll: usize,
    pub(super) prompt: Option<Prompt>,
    pub(super) notice: Option<Notice>,
    /// The filter as it was typed.
    pub(super) filter: String,
    /// What is shown stands still.
    pub(super) paused: bool,
    /// The stack has owed an answer for so long.
    pub(super) unanswered: Option<Duration>,
    /// Command that runs.
    pub(super) running: Option<String>,
    /// Commands that were given, the newest last.
    commands: Vec<String>,
    /// Which of them is at the prompt; past their end: another one.
    recalled: usize,
    pub(super) shown: Shown,
}

/// What a key asks of the loop.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// To draw.
    Nothing,
    /// To end.
    Quit,
    /// To look no more, or again.
    Pause(bool),
    /// To run `tcplab` with these words.
    Run(Vec<String>),
    /// To end what runs.
    Cancel,
    /// To stop as Ctrl-Z stops any program.
    Suspend,
    /// To draw everything anew.
    Redraw,
}

impl Screen {
    pub(super) fn new(session: String, model: Model, filter: String, form: Form) -> Screen {
        Screen {
            model,
            session,
            form,
            cover: None,
            scroll: 0,
            prompt: None,
            notice: None,
            filter,
            paused: false,
            unanswered: None,
            running: None,
            commands: Vec::new(),
            recalled: 0,
            shown: Shown::default(),
        }
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Demand {
        self.notice = None;
        if self.prompt.is_some() {
            return self.key_at_prompt(key);
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return self.control_key(key.code);
        }
        match key.code {
            KeyCode::Char('q') => return self.leave_or(Demand::Quit),
            KeyCode::Esc => return self.escape(),
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.show(Cover::Help, 0),
            KeyCode::Char('/') => self.prompt = Some(Prompt::new(Purpose::Filter, &self.filter)),
            KeyCode::Char('i') => self.ask_for_command("netem replace "),
            KeyCode::Char('I') => self.ask_for_command("rule add "),
            KeyCode::Char('c') => self.ask_for_command("clock "),
            KeyCode::Char(':') => self.ask_for_command(""),
            KeyCode::Char('p' | ' ') => {
                self.paused = !self.paused;
                return Demand::Pause(self.paused);
            }
            KeyCode::Char('e') => self.show(Cover::Events, usize::MAX),
            KeyCode::Char('d') => return self.diagram(),
            KeyCode::Enter => self.details(),
            KeyCode::Char('s' | '>') => self.sort_by(1),
            KeyCode::Char('S' | '<') => self.sort_by(-1),
            KeyCode::Char('r') => {
                let mut sort = self.model.sort;
                sort.reversed = !sort.reversed;
                self.model.set_sort(sort);
            }
            code => self.move_by(code),
        }
        Demand::Nothing
    }

    fn control_key(&mut self, code: KeyCode) -> Demand {
        match code {
            KeyCode::Char('c') => return Demand::Quit,
            KeyCode::Char('z') => return Demand::Suspend,
            KeyCode::Char('l') => return Demand::Redraw,
            KeyCode::Char('f') => self.move_by(KeyCode::PageDown),
            KeyCode::Char('b') => self.move_by(KeyCode::PageUp),
            _ => {}
        }
        Demand::Nothing
    }

    fn show(&mut self, cover: Cover, scroll: usize) {
        self.cover = Some(cover);
        self.scroll = scroll;
    }

    /// Leaves what covers the table; where nothing does, `otherwise`.
    fn leave_or(&mut self, otherwise: Demand) -> Demand {
        match self.cover.take() {
            Some(_) => Demand::Nothing,
            None => otherwise,
        }
    }

    /// One step back: from a command that runs, a cover, the selection, the filter.
    fn escape(&mut self) -> Demand {
        if self.running.is_some() {
            return Demand::Cancel;
        }
        if self.cover.take().is_none() {
            if self.model.selection().is_some() {
                self.model.deselect();
            } else {
                self.filter.clear();
                self.model.set_filter(None);
            }
        }
        Demand::Nothing
    }

    /// Something must be selected: where nothing is, the first row.
    fn needs_selection(&mut self) -> bool {
        if self.model.selection().is_none() {
            self.model.select(0);
        }
        let is_some = self.model.selected().is_some();
        if !is_some {
            self.tell("there is no connection to select");
        }
        is_some
    }

    fn details(&mut self) {
        if self.needs_selection() {
            self.show(Cover::Details, usize::MAX);
        }
    }

    /// Draws the selected connection, as wide as the terminal is.
    fn diagram(&mut self) -> Demand {
        if !self.needs_selection() || !self.is_free() {
            return Demand::Nothing;
        }
        let Some(row) = self.model.selected().map(|socket| &socket.row) else {
            return Demand::Nothing;
        };
        let connection = match row.peer {
            Some(_) if !row.id.is_empty() => row.id.clone(),
            Some(peer) => format!("{}-{peer}", row.local),
            // Of a listener: the last one it had.
            None => format!(":{}", row.local.port()),
        };
        let width = self.shown.width.max(MIN_DIAGRAM_WIDTH).to_string();
        let words = ["diagram", "--conn", &connection, "--width", &width];
        Demand::Run(words.map(str::to_owned).to_vec())
    }

    /// One command at a time.
    fn is_free(&mut self) -> bool {
        if self.running.is_some() {
            self.tell("a command still runs: Esc ends it");
        }
        self.running.is_none()
    }

    fn ask_for_command(&mut self, beginning: &str) {
        self.prompt = Some(Prompt::new(Purpose::Command, beginning));
        self.recalled = self.commands.len();
    }

    /// Puts another of the commands that were given before at the prompt.
    fn recall(&mut self, by: isize) {
        self.recalled = self.recalled.saturating_add_signed(by).min(self.commands.len());
        let text = self.commands.get(self.recalled).map_or("", String::as_str);
        self.prompt = Some(Prompt::new(Purpose::Command, text));
    }

    fn sort_by(&mut self, step: isize) {
        let mut sort = self.model.sort;
        sort.step(step);
        self.model.set_sort(sort);
        let by = sort.column.map_or("as tcplab ss orders", Column::title);
        self.notice = Some(Notice { text: format!("sorted: {by}"), is_bad: false });
    }

    fn move_by(&mut self, code: KeyCode) {
        let page = match self.cover {
            Some(_) => self.shown.lines,
            None => self.shown.rows,
        };
        let page = page.saturating_sub(1).max(1).cast_signed();
        let by = match code {
            KeyCode::Up | KeyCode::Char('k') => -1,
            KeyCode::Down | KeyCode::Char('j') => 1,
            KeyCode::PageUp => -page,
            KeyCode::PageDown => page,
            KeyCode::Home | KeyCode::Char('g') => isize::MIN,
            KeyCode::End | KeyCode::Char('G') => isize::MAX,
            _ => return,
        };
        if self.cover.is_some() {
            let line = self.shown.first_line.saturating_add_signed(by);
            // Who has come to the end stays there when more lines come.
            self.scroll = if line >= self.shown.last_first_line { usize::MAX } else { line };
        } else {
            self.model.select_by(by);
        }
    }

    fn key_at_prompt(&mut self, key: KeyEvent) -> Demand {
        let Some(prompt) = &mut self.prompt else { return Demand::Nothing };
        if prompt.purpose == Purpose::Command {
            match key.code {
                KeyCode::Up => self.recall(-1),
                KeyCode::Down => self.recall(1),
                _ => {}
            }
        }
        let Some(prompt) = &mut self.prompt else { return Demand::Nothing };
        match prompt.key(key) {
            Typed::More => Demand::Nothing,
            Typed::Cancelled => {
                self.prompt = None;
                Demand::Nothing
            }
            Typed::Done => {
                let (purpose, text) = (prompt.purpose, prompt.text());
                match purpose {
                    Purpose::Filter => self.set_filter(text.trim()),
                    Purpose::Command => self.command(text.trim()),
                }
            }
        }
    }

    /// A filter without sense stays at the prompt, to be corrected.
    fn set_filter(&mut self, text: &str) -> Demand {
        match Filter::parse(&[text.to_owned()]) {
            Ok(filter) => {
                self.prompt = None;
                text.clone_into(&mut self.filter);
                self.model.set_filter((!text.is_empty()).then_some(filter));
            }
            Err(sentence) => self.tell(&sentence),
        }
        Demand::Nothing
    }

    fn command(&mut self, text: &str) -> Demand {
        if !self.is_free() {
            return Demand::Nothing;
        }
        let words = match words(text) {
            Ok(words) => words,
            Err(sentence) => {
                self.tell(sentence);
                return Demand::Nothing;
            }
        };
        self.prompt = None;
        if words.is_empty() {
            return Demand::Nothing;
        }
        if self.commands.last().is_none_or(|last| last != text) {
            self.commands.push(text.to_owned());
            if self.commands.len() > MAX_COMMANDS {
                self.commands.remove(0);
            }
        }
        Demand::Run(words)
    }

    /// Takes text that was pasted.
    pub(super) fn paste(&mut self, text: &str) {
        if let Some(prompt) = &mut self.prompt {
            prompt.paste(text);
        }
    }

    /// Says that something was not done.
    pub(super) fn tell(&mut self, sentence: &str) {
        self.notice = Some(Notice { text: sentence.to_owned(), is_bad: true });
    }

    /// Shows what a command said: in the bottom line where it fits there.
    pub(super) fn show_ended(&mut self, ended: Ended) {
        let Ended { words, output, is_success } = ended;
        self.running = None;
        let title = format!("tcplab {}", words.join(" "));
        // An error of usage ends in hints that are of use in a shell only.
        let output = match output.strip_prefix("error: ") {
            Some(error) if !is_success => error.split("\n\n").next().unwrap_or(error),
            _ => output.strip_prefix("tcplab: ").unwrap_or(&output),
        };
        let lines: Vec<String> = output.lines().map(|line| line.replace('\t', "    ")).collect();
        match lines.iter().find(|line| !line.trim().is_empty()) {
            None if is_success => {
                self.notice = Some(Notice { text: format!("done: {title}"), is_bad: false });
            }
            None => self.tell(&format!("{title} failed, and did not say why")),
            Some(line) if lines.len() == 1 => {
                self.notice = Some(Notice { text: line.clone(), is_bad: !is_success });
            }
            Some(_) => self.show(Cover::Text { title, lines }, 0),
        }
    }
}

/// The words of a line as a shell would see them: quotes keep blanks.
fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    for c in text.chars() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    // What was pasted may begin as in a shell.
    if words.first().is_some_and(|first| first == "tcplab") {
        words.remove(0);
    }
    Ok(words)
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
