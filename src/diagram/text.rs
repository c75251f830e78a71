//! The picture in characters, for a terminal.
//!
//! ```text
//! time  program            TCP                                TCP            program
//!   0 s    |--- connect() -->|                                  |                |
//!          #        SYN-SENT |- SYN seq=0 mss=65475 ----------->| SYN-RECEIVED   |
//! ```
//!
//! A row is a line, more where words find no room in it. A segment that arrives in a later row
//! than it was sent in slants across the lines between.

use super::canvas::{Canvas, Charset, Ink, Layer};
use super::connections::Side;
use super::picture::{Across, Ending, Flight, Kind, Label, Mark, Outcome, Picture, Row, Toward};
use super::words;

/// Columns that a picture needs at least.
pub const MIN_WIDTH: usize = 72;
/// Columns beyond which a picture does not become clearer.
const MAX_WIDTH: usize = 132;
/// Columns of the time, a blank included.
const TIME_WIDTH: usize = 6;
/// Columns between a program and its TCP in the narrowest and in the widest picture.
const CALL_WIDTH: (usize, usize) = (17, 32);
/// Longest head of a TCP.
const MAX_HEAD: usize = 23;
/// Lines above the first row: title, blank, names, addresses.
const HEAD_LINES: usize = 4;

/// How a picture is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TextStyle {
    /// Columns there are.
    pub width: usize,
    /// Characters of lines.
    pub charset: Charset,
    /// With ANSI colours.
    pub coloured: bool,
}

/// The picture in characters.
pub fn text(picture: &Picture, style: TextStyle) -> String {
    let layout = Layout::of(picture, style);
    let height = HEAD_LINES + layout.height;
    let mut pen = Pen { canvas: Canvas::new(layout.width, height), layout, glyphs: glyphs(style) };
    pen.head(picture);
    pen.lifelines(picture);
    pen.slants(picture);
    for (number, row) in picture.rows.iter().enumerate() {
        pen.row(picture, number, row);
    }
    pen.times(picture);
    for flight in &picture.flights {
        pen.flight(flight);
    }
    let mut out = String::new();
    pen.canvas.print(style.coloured, &mut out);
    for footnote in &picture.footnotes {
        out.push_str(&format!("({footnote})\n"));
    }
    out
}

/// The characters of one charset.
#[derive(Clone, Copy)]
struct Glyphs {
    lifeline: char,
    waiting: char,
    absent: char,
    dash: char,
    bulk: char,
    old: char,
    falling: char,
    rising: char,
    cross: char,
    stop: char,
    note: char,
    ellipsis: &'static str,
    times: &'static str,
    micro: &'static str,
}

fn glyphs(style: TextStyle) -> Glyphs {
    match style.charset {
        Charset::Unicode => Glyphs {
            lifeline: '│',
            waiting: '┃',
            absent: '┊',
            dash: '─',
            bulk: '═',
            old: '┄',
            falling: '╲',
            rising: '╱',
            cross: '×',
            stop: '┤',
            note: '═',
            ellipsis: "···",
            times: "×",
            micro: "µs",
        },
        Charset::Ascii => Glyphs {
            lifeline: '|',
            waiting: '#',
            absent: ':',
            dash: '-',
            bulk: '=',
            old: '.',
            falling: '\\',
            rising: '/',
            cross: 'X',
            stop: ']',
            note: '=',
            ellipsis: "...",
            times: "x",
            micro: "us",
        },
    }
}

/// Where everything stands.
struct Layout {
    width: usize,
    /// Columns of the lifelines.
    columns: [usize; 4],
    /// Line of each row, counted from the first.
    lines: Vec<usize>,
    height: usize,
}

impl Layout {
    fn of(picture: &Picture, style: TextStyle) -> Layout {
        let width = style.width.clamp(MIN_WIDTH, MAX_WIDTH);
        let spare = width - MIN_WIDTH;
        let calls = (CALL_WIDTH.0 + spare / 8).min(CALL_WIDTH.1);
        let last = width - 1;
        let columns = [TIME_WIDTH, TIME_WIDTH + calls + 1, last - calls - 1, last];
        let mut layout = Layout { width, columns, lines: Vec::new(), height: 0 };
        for number in 0..picture.rows.len() {
            layout.lines.push(layout.height);
            layout.height += layout.lines_of(picture, number);
        }
        layout
    }

    /// Columns between the TCPs.
    fn room(&self) -> usize {
        self.columns[2] - self.columns[1] - 1
    }

    fn line(&self, row: usize) -> usize {
        HEAD_LINES + self.lines.get(row).copied().unwrap_or(self.height)
    }

    fn lines_of(&self, picture: &Picture, row: usize) -> usize {
        let aside = picture.rows[row].aside.as_ref();
        let aside = aside.map_or(0, |(_, text)| wrap(text, self.room() - 4).len());
        (self.lines_of_flights(picture, row) + aside).max(1)
    }

    /// Lines that are taken by what is sent or arrives in a row.
    fn lines_of_flights(&self, picture: &Picture, row: usize) -> usize {
        let flights = picture.flights.iter().filter_map(|flight| match flight.end {
            _ if flight.start == row => Some(1 + self.spoken(flight).1.len()),
            Ending::Arrives(end) if end == row => Some(1),
            _ => None,
        });
        flights.max().unwrap_or(0)
    }

    /// What is said on the arrow of a flight, and what on the lines below.
    fn spoken(&self, flight: &Flight) -> (String, Vec<String>) {
        let slant = match flight.end {
            Ending::Arrives(row) if row != flight.start => 7,
            _ => 4,
        };
        let mut room = self.room() - slant;
        let mut last = match &flight.end {
            Ending::Lost(agent) => Some(agent.clone()),
            Ending::Open(what) if !flight.words.must.iter().any(|m| m.starts_with(what)) => {
                Some((*what).to_owned())
            }
            _ => None,
        };
        // The cross and what stands before and after it.
        if last.is_some() || matches!(flight.end, Ending::Open(_)) {
            room -= 3;
        }
        let mut head = wrap(&flight.words.head, room).into_iter();
        let mut spoken = head.next().unwrap_or_default();
        let mut below: Vec<String> = head.collect();
        let fits = |spoken: &str, more: &str, room: usize| {
            spoken.chars().count() + more.chars().count() < room
        };
        if let Some(agent) = last.take_if(|agent| fits(&spoken, agent, room)) {
            room -= agent.chars().count() + 1;
        }
        for more in &flight.words.must {
            if fits(&spoken, more, room) && below.is_empty() {
                spoken = format!("{spoken} {more}");
            } else {
                below.extend(wrap(more, self.room() - 4));
            }
        }
        below.extend(last);
        for more in &flight.words.may {
            if fits(&spoken, more, room) {
                spoken = format!("{spoken} {more}");
            }
        }
        (spoken, below)
    }
}

/// Cuts a text at blanks into lines of at most so many characters.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

struct Pen {
    canvas: Canvas,
    layout: Layout,
    glyphs: Glyphs,
}

impl Pen {
    /// The character that another charset may write otherwise.
    fn spell(&self, text: &str) -> String {
        text.replace('×', self.glyphs.times)
    }

    fn head(&mut self, picture: &Picture) {
        self.canvas.text(0, 0, &clipped(&picture.title, self.layout.width), Ink::Title);
        let names = [0, 1, 2, 3].map(|place| picture.lifelines[place].name.as_str());
        self.heads(2, names, Ink::Title);
        let details = [0, 1, 2, 3].map(|place| picture.lifelines[place].detail.as_str());
        self.heads(3, details, Ink::Faint);
    }

    /// A line of heads: those of TCPs about their lifelines, those of programs inwards from theirs.
    fn heads(&mut self, y: usize, texts: [&str; 4], ink: Ink) {
        let columns = self.layout.columns;
        let [client, left, right, server] = texts;
        let (left, right) = (clipped(left, MAX_HEAD), clipped(right, MAX_HEAD));
        let half = |text: &str| text.chars().count() / 2;
        let room = |tcp: &str| columns[1] - columns[0] - half(tcp) - 2;
        let (client, server) = (clipped(client, room(&left)), clipped(server, room(&right)));
        let at = [
            columns[0],
            columns[1] - half(&left),
            columns[2] - half(&right),
            columns[3] + 1 - server.chars().count(),
        ];
        for (x, text) in at.into_iter().zip([client, left, right, server]) {
            self.canvas.text(x, y, &text, ink);
        }
    }

    fn lifelines(&mut self, picture: &Picture) {
        let Glyphs { lifeline, waiting, absent, .. } = self.glyphs;
        let present = Side::BOTH.map(|side| picture.presence(side));
        for (row, marks) in picture.rows.iter().enumerate() {
            let lines = self.layout.line(row)..self.layout.line(row + 1);
            for (place, x) in self.layout.columns.into_iter().enumerate() {
                let side = Side::BOTH[place / 2];
                let waits = &picture.waits[side as usize];
                let is_program = place % 3 == 0;
                let glyph = match is_program {
                    // The line of the call itself is where the waiting begins and ends.
                    true if waits.iter().any(|&(from, to)| from < row && row < to) => waiting,
                    true => lifeline,
                    false if present[side as usize][row] => lifeline,
                    false if matches!(marks.label[side as usize], Some(Label::State(_))) => {
                        lifeline
                    }
                    false => absent,
                };
                for y in lines.clone() {
                    self.canvas.put(x, y, glyph, Ink::Faint, Layer::Lifeline);
                }
            }
        }
    }

    fn times(&mut self, picture: &Picture) {
        let mut told = String::new();
        for (number, row) in picture.rows.iter().enumerate() {
            let time = words::time(row.at_ns).replace(' ', "").replace("us", self.glyphs.micro);
            if matches!(row.across, Some(Across::Silence(..))) || time == told {
                continue;
            }
            let x = (TIME_WIDTH - 1).saturating_sub(time.chars().count());
            self.canvas.text(x, self.layout.line(number), &time, Ink::Faint);
            told = time;
        }
    }

    fn row(&mut self, picture: &Picture, number: usize, row: &Row) {
        let y = self.layout.line(number);
        if let Some(across) = &row.across {
            return self.across(y, across);
        }
        for side in Side::BOTH {
            if let Some(label) = &row.label[side as usize] {
                self.label(y, side, label);
            }
            if let Some(mark) = &row.program[side as usize] {
                self.mark(y, side, mark);
            }
        }
        if let Some((side, text)) = &row.aside {
            let y = y + self.layout.lines_of_flights(picture, number);
            for (line, text) in wrap(text, self.layout.room() - 4).iter().enumerate() {
                let x = self.beside(*side, text);
                self.canvas.text(x, y + line, text, Ink::Bad);
            }
        }
    }

    /// Column of a text between the TCPs that ends or begins at one of them.
    fn beside(&self, side: Side, text: &str) -> usize {
        match side {
            Side::Client => self.layout.columns[1] + 3,
            Side::Server => (self.layout.columns[2] - 2).saturating_sub(text.chars().count()),
        }
    }

    fn across(&mut self, y: usize, across: &Across) {
        let [first, left, right, last] = self.layout.columns;
        let (text, ink) = match across {
            Across::Silence(nanos, why) => {
                let why = why.map_or(String::new(), |why| format!(" ({why})"));
                let dots = self.glyphs.ellipsis;
                (format!(" {dots} {}{why} {dots} ", words::time(*nanos)), Ink::Faint)
            }
            Across::Note(text) => {
                for x in first..=last {
                    self.canvas.put(x, y, self.glyphs.note, Ink::Note, Layer::Arrow);
                }
                (format!(" {text} "), Ink::Note)
            }
        };
        let middle = left.midpoint(right);
        let length = text.chars().count();
        self.canvas.text(middle.saturating_sub(length / 2), y, &text, ink);
    }

    fn label(&mut self, y: usize, side: Side, label: &Label) {
        let text = label.text();
        let ink = match label {
            Label::Timer(_) => Ink::Timer,
            Label::State(_) | Label::Still(_) => Ink::State,
        };
        let x = match side {
            Side::Client => (self.layout.columns[1] - 1).saturating_sub(text.chars().count()),
            Side::Server => self.layout.columns[2] + 2,
        };
        self.canvas.text(x, y, &text, ink);
    }

    fn mark(&mut self, y: usize, side: Side, mark: &Mark) {
        let [first, left, right, last] = self.layout.columns;
        let (from, to) = match side {
            Side::Client => (first, left),
            Side::Server => (right, last),
        };
        let room = to - from - 1;
        let to_right = (side == Side::Client) == (mark.toward == Toward::Stack);
        let ink = match mark.outcome {
            Outcome::Well => Ink::Call,
            Outcome::Failed => Ink::Bad,
        };
        // A dash, a blank, a blank and the head of the arrow; the dash goes first.
        let words = clipped(&self.spell(mark.words.fitting(room - 3)), room - 3);
        let length = words.chars().count();
        let dash = usize::from(length + 4 <= room);
        for x in from + 1..to {
            self.canvas.put(x, y, self.glyphs.dash, ink, Layer::Arrow);
        }
        let (head, x) = match to_right {
            true => (to - 1, from + 1 + dash),
            false => (from + 1, to - 2 - dash - length),
        };
        let arrow = if to_right { '>' } else { '<' };
        self.canvas.put(head, y, arrow, ink, Layer::Slant);
        self.canvas.text(x, y, &format!(" {words} "), ink);
    }

    fn ink(flight: &Flight) -> Ink {
        match (flight.kind, &flight.end) {
            (_, Ending::Lost(_)) | (Kind::Reset, _) => Ink::Bad,
            _ if flight.refused => Ink::Bad,
            (Kind::Again | Kind::Old, _) => Ink::Again,
            (Kind::First | Kind::Bulk, _) => Ink::Plain,
            (Kind::Unrecorded, _) => Ink::Faint,
        }
    }

    /// A column between the TCPs, counted from the sender's.
    fn column_of(&self, flight: &Flight, offset: usize) -> usize {
        match flight.from {
            Side::Client => self.layout.columns[1] + offset,
            Side::Server => self.layout.columns[2] - offset,
        }
    }

    /// The slanting parts of all flights, which words then keep clear of.
    fn slants(&mut self, picture: &Picture) {
        for flight in &picture.flights {
            let Ending::Arrives(end) = flight.end else { continue };
            if end == flight.start {
                continue;
            }
            let glyph = match flight.from {
                Side::Client => self.glyphs.falling,
                Side::Server => self.glyphs.rising,
            };
            let ink = Pen::ink(flight);
            for (y, offset) in self.slant(flight, end) {
                let x = self.column_of(flight, offset);
                self.canvas.put(x, y, glyph, ink, Layer::Slant);
            }
        }
    }

    /// Lines and columns (counted from the sender's) of a slanting way.
    fn slant(&self, flight: &Flight, end: usize) -> Vec<(usize, usize)> {
        let (top, bottom) = (self.layout.line(flight.start), self.layout.line(end));
        let spoken = self.layout.spoken(flight).0.chars().count();
        let room = self.layout.room();
        let (nearest, farthest) = ((spoken + 5).min(room - 2), room - 2);
        let farthest = farthest.max(nearest);
        let height = bottom - top;
        let columns = (height + 1).min(farthest - nearest + 1);
        let centred = (room / 2).saturating_sub(columns / 2);
        let first = centred.clamp(nearest, farthest + 1 - columns);
        let step = |line: usize| first + line * (columns - 1) / height.max(1);
        (0..=height).map(|line| (top + line, step(line))).collect()
    }

    fn flight(&mut self, flight: &Flight) {
        let ink = Pen::ink(flight);
        let top = self.layout.line(flight.start);
        let (spoken, below) = self.layout.spoken(flight);
        let room = self.layout.room();
        let end = match flight.end {
            Ending::Arrives(row) if row != flight.start => {
                let slant = self.slant(flight, row);
                let (Some(&(_, leaves)), Some(&(y, enters))) = (slant.first(), slant.last()) else {
                    return;
                };
                self.dashes(flight, y, enters + 1, room);
                self.arrow_head(flight, y);
                leaves - 1
            }
            Ending::Arrives(_) => {
                self.arrow_head(flight, top);
                room
            }
            Ending::Lost(_) | Ending::Open(_) => {
                let end = (spoken.chars().count() + 6).min(room);
                let lost = matches!(flight.end, Ending::Lost(_));
                let glyph = match (lost, flight.from) {
                    (true, _) => self.glyphs.cross,
                    (false, Side::Server) if self.glyphs.stop == '┤' => '├',
                    (false, Side::Server) => '[',
                    (false, Side::Client) => self.glyphs.stop,
                };
                let x = self.column_of(flight, end);
                self.canvas.put(x, top, glyph, Ink::Bad, Layer::Text);
                self.ending_words(flight, top, end, &below);
                end - 1
            }
        };
        self.dashes(flight, top, 1, end);
        self.speak(flight, top, &spoken, end);
        for (line, words) in below.iter().enumerate() {
            let x = self.beside(flight.from, words);
            self.canvas.text(x, top + 1 + line, words, ink);
        }
    }

    /// By whom a segment was lost, behind the cross.
    fn ending_words(&mut self, flight: &Flight, y: usize, cross: usize, below: &[String]) {
        let words = match &flight.end {
            Ending::Lost(agent) => agent.clone(),
            Ending::Open(what) if !flight.words.must.iter().any(|m| m.starts_with(what)) => {
                (*what).to_owned()
            }
            _ => return,
        };
        if below.contains(&words) {
            return;
        }
        let offset = match flight.from {
            Side::Client => cross + 2,
            Side::Server => cross + 1 + words.chars().count(),
        };
        let x = self.column_of(flight, offset);
        self.canvas.text(x, y, &words, Ink::Bad);
    }

    fn arrow_head(&mut self, flight: &Flight, y: usize) {
        let x = self.column_of(flight, self.layout.room());
        let glyph = match (flight.refused, flight.from) {
            (true, _) => self.glyphs.cross,
            (false, Side::Client) => '>',
            (false, Side::Server) => '<',
        };
        self.canvas.put(x, y, glyph, Pen::ink(flight), Layer::Slant);
    }

    fn dashes(&mut self, flight: &Flight, y: usize, from: usize, to: usize) {
        let glyph = match flight.kind {
            Kind::Bulk | Kind::Unrecorded => self.glyphs.bulk,
            Kind::Old => self.glyphs.old,
            _ => self.glyphs.dash,
        };
        for offset in from..=to {
            let x = self.column_of(flight, offset);
            self.canvas.put(x, y, glyph, Pen::ink(flight), Layer::Arrow);
        }
    }

    /// Writes the words on the arrow, near the sender, where no other way slants through them.
    fn speak(&mut self, flight: &Flight, y: usize, spoken: &str, end: usize) {
        let length = spoken.chars().count() + 2;
        let place = |offset: usize| match flight.from {
            Side::Client => self.layout.columns[1] + offset,
            Side::Server => self.layout.columns[2] + 1 - offset - length,
        };
        let last = (end + 1).saturating_sub(length);
        let clear = |offset: &usize| {
            let x = place(*offset);
            self.canvas.is_clear(y, x, x + length - 1, Layer::Slant)
        };
        let offset = (2..last).find(clear).unwrap_or(2);
        let x = place(offset);
        self.canvas.text(x, y, &format!(" {spoken} "), Pen::ink(flight));
    }
}

/// A text of at most so many characters.
fn clipped(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    format!("{kept}~")
}
