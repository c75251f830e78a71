//! The text of a demo: sentences folded to the width of a plain terminal, colour where it is
//! welcome, to stdout as it happens or kept for later.

use std::io::{self, IsTerminal as _};

use super::super::super::print;

/// Sentences are folded at this column: every terminal has it.
pub(super) const WIDTH: usize = 80;

/// Where the story goes, and how it looks.
pub(in super::super) struct Teller {
    style: Style,
    /// `None`: to stdout at once.
    kept: Option<String>,
}

impl Teller {
    /// Tells on stdout.
    pub(in super::super) fn aloud() -> Teller {
        Teller { style: Style::of_stdout(), kept: None }
    }

    /// Keeps the story (see [`Teller::story`]).
    pub(in super::super) fn keeping() -> Teller {
        Teller { style: Style::of_stdout(), kept: Some(String::new()) }
    }

    /// What was kept.
    pub(in super::super) fn story(&self) -> &str {
        self.kept.as_deref().unwrap_or_default()
    }

    pub(in super::super) fn style(&self) -> Style {
        self.style
    }

    /// Text as it is.
    pub(in super::super) fn write(&mut self, text: &str) -> io::Result<()> {
        match &mut self.kept {
            Some(kept) => kept.push_str(text),
            None => print(text)?,
        }
        Ok(())
    }

    /// A paragraph at the left edge.
    pub(in super::super) fn paragraph(&mut self, text: &str) -> io::Result<()> {
        self.write(&folded(0, text))
    }

    /// The head of a scene.
    pub(super) fn heading(&mut self, id: &str, name: &str, title: &str) -> io::Result<()> {
        let head = self.style.heading(&format!("== {id} {name} =="));
        self.write(&format!("\n{head}\n{}", folded(0, title)))
    }

    /// A sentence of the story.
    pub(super) fn say(&mut self, sentence: &str) -> io::Result<()> {
        self.write(&format!("\n{}", folded(2, sentence)))
    }

    /// A sentence that belongs to the check before.
    pub(super) fn note(&mut self, sentence: &str) -> io::Result<()> {
        self.write(&folded(6, sentence))
    }

    /// A command line as the user would type it.
    pub(super) fn command(&mut self, line: &str) -> io::Result<()> {
        self.write(&format!("  {} {}\n", self.style.faint("$"), self.style.command(line)))
    }

    /// What a command or a program printed.
    pub(super) fn output(&mut self, who: &str, text: &str) -> io::Result<()> {
        let mark = self.style.faint(format!("{who} |").trim_start());
        let lines = text.lines().filter(|line| !line.is_empty());
        let text: String = lines.map(|line| format!("    {mark} {line}\n")).collect();
        self.write(&text)
    }

    /// What a command printed that writes for the width of a terminal itself.
    pub(super) fn sentences(&mut self, text: &str) -> io::Result<()> {
        let fitted = |line: &str| match line.chars().count() <= WIDTH {
            true => format!("{line}\n"),
            false => folded_to(WIDTH, 0, 2, line),
        };
        let lines: String = text.lines().map(fitted).collect();
        self.write(&lines)
    }

    /// A call that a program made.
    pub(super) fn call(&mut self, who: &str, call: &str, answer: &str) -> io::Result<()> {
        let who = self.style.faint(&format!("{who} |"));
        self.write(&format!("    {who} {call} = {answer}\n"))
    }

    /// What is expected, and how it came out.
    pub(super) fn check(&mut self, verdict: Verdict, sentence: &str) -> io::Result<()> {
        let (mark, painted) = match verdict {
            Verdict::Holds => ("ok", self.style.good("ok")),
            Verdict::Fails => ("NOT SO", self.style.bad("NOT SO")),
            Verdict::Skipped => ("SKIPPED", self.style.warning("SKIPPED")),
        };
        let indent = 2 + mark.len() + 2;
        let text = folded(indent, sentence);
        self.write(&format!("  {painted}  {}", text.trim_start()))
    }
}

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Verdict {
    Holds,
    Fails,
    Skipped,
}

/// The words of `text` in lines of [`WIDTH`], each behind `indent` blanks.
fn folded(indent: usize, text: &str) -> String {
    folded_to(WIDTH, indent, indent, text)
}

/// The words of `text` in lines of `width`, the first behind `first` blanks, the others behind
/// `others`.
fn folded_to(width: usize, first: usize, others: usize, text: &str) -> String {
    let mut folded = " ".repeat(first);
    let mut column = first;
    for (number, word) in text.split_whitespace().enumerate() {
        let len = word.chars().count();
        if number > 0 && column + 1 + len <= width {
            folded.push(' ');
            column += 1 + len;
        } else {
            if number > 0 {
                folded.push('\n');
                folded.push_str(&" ".repeat(others));
                column = others;
            }
            column += len;
        }
        folded.push_str(word);
    }
    folded.push('\n');
    folded
}

/// Rows of a table, the last column of too long ones in a line of its own.
pub(super) fn narrowed(table: &str, last_column: &str, margin: usize) -> String {
    let width = WIDTH - margin;
    let long = table.lines().any(|line| line.chars().count() > width);
    let at = table.lines().next().and_then(|head| head.find(last_column));
    let (true, Some(at)) = (long, at) else { return table.to_owned() };
    let mut narrowed = String::new();
    for line in table.lines() {
        let (row, rest) = line.split_at_checked(at).unwrap_or((line, ""));
        narrowed.push_str(row.trim_end());
        narrowed.push('\n');
        if !rest.trim().is_empty() && rest.trim() != last_column {
            narrowed.push_str(&format!("           {}\n", rest.trim()));
        }
    }
    narrowed
}

/// Colour, on a terminal and where it is not unwanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Style {
    Plain,
    Coloured,
}

impl Style {
    fn of_stdout() -> Style {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        match io::stdout().is_terminal() && !unwanted {
            true => Style::Coloured,
            false => Style::Plain,
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Style::Plain => text.to_owned(),
            Style::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }

    pub(in super::super) fn heading(self, text: &str) -> String {
        self.paint("1;36", text)
    }

    pub(in super::super) fn command(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(in super::super) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(in super::super) fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(in super::super) fn warning(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(in super::super) fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_folded_between_words() {
        let text = "word ".repeat(40);
        let folded = folded(4, &text);
        assert!(folded.lines().all(|line| line.len() <= WIDTH && line.starts_with("    word")));
        assert_eq!(folded.split_whitespace().count(), 40);
        assert_eq!(super::folded(2, "a b"), "  a b\n");
    }

    #[test]
    fn a_wide_table_has_its_last_column_below() {
        let wide = "State Local Process\nESTAB a     users:((\"long\"))\nLISTEN b\n";
        assert_eq!(narrowed(wide, "Process", 0), wide);
        let narrow = narrowed(wide, "Process", WIDTH - 20);
        assert_eq!(narrow, "State Local\nESTAB a\n           users:((\"long\"))\nLISTEN b\n");
    }

    #[test]
    fn a_failed_check_is_loud() {
        let mut teller = Teller { style: Style::Plain, kept: Some(String::new()) };
        teller.check(Verdict::Holds, "it is so").unwrap();
        teller.check(Verdict::Fails, "this, too").unwrap();
        assert_eq!(teller.story(), "  ok  it is so\n  NOT SO  this, too\n");
    }
}
