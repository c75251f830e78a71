//! The picture as a drawing in SVG: one file that needs nothing else, on a light sheet of its own,
//! so that it is as legible on a dark page.
//!
//! Time goes down: a segment that arrives at once falls a little on its way, one that arrives
//! later slants to the row where it does.

use core::fmt::Write as _;

use super::connections::Side;
use super::picture::{Across, Ending, Flight, Kind, Label, Mark, Outcome, Picture, Row, Toward};
use super::words;

/// The sheet.
const WIDTH: i32 = 1080;
/// Columns of the lifelines: client's program and TCP, server's TCP and program.
const COLUMNS: [i32; 4] = [120, 350, 770, 1000];
/// Right edge of the times.
const TIMES: i32 = 60;
/// Top of the heads, their height, and the space below.
const HEAD_TOP: i32 = 48;
const HEAD_HEIGHT: i32 = 42;
const FIRST_ROW: i32 = HEAD_TOP + HEAD_HEIGHT + 34;
/// Height of a row, and of each line more in it.
const ROW_HEIGHT: i32 = 34;
const LINE_HEIGHT: i32 = 17;
/// How far a segment falls that arrives at once.
const FALL: i32 = 7;
/// How far a segment gets that is lost, of its whole way.
const LOST_AFTER: f64 = 0.7;
/// Width of a character of a label, as an average.
const CHARACTER: i32 = 7;
/// Longest text on an arrow between the TCPs, in characters.
const MAX_SPOKEN: usize = 54;
/// Steepest arrow whose words follow its slope, as down per across.
const MAX_SLOPE: f64 = 0.35;

const STYLE: &str = "\
.tl-sheet{fill:#ffffff;stroke:#d0d7de}\
.tl text{font-family:Helvetica,Arial,sans-serif;font-size:13px;fill:#1f2328}\
.tl .title{font-size:15px;font-weight:bold}\
.tl .head{fill:#f3f5f7;stroke:#57606a}\
.tl .tcp{fill:#e7effb;stroke:#3b6ea5}\
.tl .name{font-weight:bold;text-anchor:middle}\
.tl .detail{font-size:11px;text-anchor:middle;fill:#57606a}\
.tl .time{font-size:11px;text-anchor:end;fill:#6e7781}\
.tl .life{stroke:#8c959f;stroke-width:1.2}\
.tl .absent{stroke:#afb8c1;stroke-width:1.2;stroke-dasharray:2 4}\
.tl .present{stroke:#3b6ea5;stroke-width:2}\
.tl .wait{fill:#fff1cc;stroke:#b58900}\
.tl .state{fill:#ddebfb;stroke:#3b6ea5}\
.tl .statename{font-size:11.5px;font-weight:bold;fill:#0b3d73;text-anchor:middle}\
.tl .closed{fill:#eaeef2;stroke:#8c959f}\
.tl .timer{font-style:italic;fill:#7a3fa0}\
.tl .clock{fill:none;stroke:#7a3fa0;stroke-width:1.3}\
.tl .call{font-family:monospace;font-size:12px;fill:#1a5e2a}\
.tl .callline{stroke:#2f7d3f;stroke-width:1.3;fill:none}\
.tl .callhead{fill:#2f7d3f}\
.tl .failed{fill:#b3261e}\
.tl .spoken,.tl .aside{paint-order:stroke;stroke:#ffffff;stroke-width:4px;stroke-linejoin:round}\
.tl .line{stroke:#1f2328;stroke-width:1.6;fill:none}\
.tl .arrow{fill:#1f2328}\
.tl .again .line{stroke:#9a6700}\
.tl .again .arrow,.tl text.again{fill:#9a6700}\
.tl .bad .line{stroke:#b3261e}\
.tl .bad .arrow,.tl text.bad{fill:#b3261e}\
.tl .old .line{stroke-dasharray:6 4}\
.tl .bulk .line{stroke-width:5}\
.tl .unseen .line{stroke:#afb8c1}\
.tl .unseen .arrow,.tl text.unseen{fill:#6e7781}\
.tl .cross{stroke:#b3261e;stroke-width:2.4}\
.tl .aside{font-style:italic;fill:#b3261e}\
.tl .gap{fill:#ffffff}\
.tl .dots{stroke:#8c959f;stroke-width:1.6;stroke-dasharray:1.6 5}\
.tl .silence{font-style:italic;fill:#57606a;text-anchor:middle}\
.tl .note{fill:#fff8c5;stroke:#d4a72c}\
.tl .notetext{text-anchor:middle}";

/// The picture as an SVG document.
pub fn svg(picture: &Picture) -> String {
    let sheet = Sheet::of(picture);
    let mut out = String::new();
    let height = sheet.bottom + 30 + 18 * picture.footnotes.len() as i32;
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"tl\" width=\"{WIDTH}\" \
         height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>{}</title>\n<style>{STYLE}</style>",
        escaped(&picture.title)
    );
    rectangle(&mut out, "tl-sheet", [0.5, 0.5, f64::from(WIDTH) - 1.0, f64::from(height) - 1.0], 6);
    text_at(&mut out, "title", 24, 30, &picture.title);
    let mut pen = Pen { sheet, out };
    pen.lifelines(picture);
    pen.heads(picture);
    pen.silences(picture);
    for flight in &picture.flights {
        pen.flight(flight);
    }
    // Words cover the ways of others.
    for flight in &picture.flights {
        pen.speak(flight);
    }
    for (number, row) in picture.rows.iter().enumerate() {
        pen.row(picture, number, row);
    }
    pen.times(picture);
    let Pen { sheet, mut out } = pen;
    for (line, footnote) in picture.footnotes.iter().enumerate() {
        text_at(&mut out, "silence", WIDTH / 2, sheet.bottom + 24 + 18 * line as i32, footnote);
    }
    out.push_str("</svg>\n");
    out
}

/// Where the rows are.
struct Sheet {
    /// Middle of each row.
    rows: Vec<i32>,
    /// End of the lifelines.
    bottom: i32,
}

impl Sheet {
    fn of(picture: &Picture) -> Sheet {
        let mut y = FIRST_ROW;
        let mut rows = Vec::new();
        for (number, row) in picture.rows.iter().enumerate() {
            rows.push(y);
            let flights = picture.flights.iter().filter(|flight| flight.start == number);
            let more = flights.map(|flight| below(flight).len()).max().unwrap_or(0);
            let more = more + usize::from(row.aside.is_some());
            y += ROW_HEIGHT + LINE_HEIGHT * more as i32;
        }
        Sheet { rows, bottom: y + 4 }
    }

    fn y(&self, row: usize) -> i32 {
        self.rows.get(row).copied().unwrap_or(self.bottom)
    }
}

/// What is said of a flight on its arrow.
fn spoken(flight: &Flight) -> String {
    let all = flight.words.all();
    match all.chars().count() <= MAX_SPOKEN {
        true => all,
        false => {
            let words = [&flight.words.head].into_iter().chain(&flight.words.may);
            words.map(String::as_str).collect::<Vec<_>>().join(" ")
        }
    }
}

/// What is said of it below.
fn below(flight: &Flight) -> Vec<String> {
    match flight.words.all().chars().count() <= MAX_SPOKEN {
        true => Vec::new(),
        false => vec![flight.words.must.join(", ")],
    }
}

struct Pen {
    sheet: Sheet,
    out: String,
}

impl Pen {
    fn heads(&mut self, picture: &Picture) {
        for (place, lifeline) in picture.lifelines.iter().enumerate() {
            let class = if matches!(place, 1 | 2) { "head tcp" } else { "head" };
            let longest = lifeline.name.chars().count().max(lifeline.detail.chars().count());
            let width = (24 + CHARACTER * longest as i32).clamp(110, 210);
            let x = COLUMNS[place];
            let left = f64::from(x - width / 2);
            let edges = [left, f64::from(HEAD_TOP), f64::from(width), f64::from(HEAD_HEIGHT)];
            rectangle(&mut self.out, class, edges, 5);
            let has_detail = !lifeline.detail.is_empty();
            let y = HEAD_TOP + if has_detail { 18 } else { 26 };
            text_at(&mut self.out, "name", x, y, &lifeline.name);
            if has_detail {
                text_at(&mut self.out, "detail", x, HEAD_TOP + 34, &lifeline.detail);
            }
        }
    }

    fn lifelines(&mut self, picture: &Picture) {
        let top = HEAD_TOP + HEAD_HEIGHT;
        for place in [0, 3] {
            line(&mut self.out, "life", COLUMNS[place], top, COLUMNS[place], self.sheet.bottom);
        }
        for side in Side::BOTH {
            let x = COLUMNS[1 + side as usize];
            let mut from = top;
            let mut known: Option<bool> = None;
            for (row, present) in picture.presence(side).into_iter().enumerate() {
                if known.is_some_and(|known| known != present) {
                    let y = self.sheet.y(row);
                    line(&mut self.out, life_class(!present), x, from, x, y);
                    from = y;
                }
                known = Some(present);
            }
            let class = life_class(known.unwrap_or(true));
            line(&mut self.out, class, x, from, x, self.sheet.bottom);
            for &(begin, end) in &picture.waits[side as usize] {
                let (y, end) = (self.sheet.y(begin), self.sheet.y(end));
                let x = COLUMNS[3 * side as usize];
                let edges = [f64::from(x - 5), f64::from(y), 10.0, f64::from(end - y)];
                rectangle(&mut self.out, "wait", edges, 2);
            }
        }
    }

    /// A silence is a break in every lifeline.
    fn silences(&mut self, picture: &Picture) {
        for (number, row) in picture.rows.iter().enumerate() {
            let Some(Across::Silence(nanos, why)) = &row.across else { continue };
            let y = self.sheet.y(number);
            for (place, x) in COLUMNS.into_iter().enumerate() {
                let side = Side::BOTH[place / 2];
                let waits = &picture.waits[side as usize];
                let waiting = waits.iter().any(|&(from, to)| from < number && number < to);
                let width = if waiting && place % 3 == 0 { 14.0 } else { 8.0 };
                let edges = [f64::from(x) - width / 2.0, f64::from(y - 11), width, 22.0];
                rectangle(&mut self.out, "gap", edges, 0);
                line(&mut self.out, "dots", x, y - 9, x, y + 11);
            }
            let why = why.map_or(String::new(), |why| format!(" ({why})"));
            let text = format!("{}{why}", words::time(*nanos));
            let (left, right) = (COLUMNS[1] + 20, COLUMNS[2] - 20);
            let middle = left.midpoint(right);
            let half = 16 + CHARACTER * text.chars().count() as i32 / 2;
            line(&mut self.out, "dots", left, y, middle - half, y);
            line(&mut self.out, "dots", middle + half, y, right, y);
            text_at(&mut self.out, "silence", middle, y + 4, &text);
        }
    }

    fn times(&mut self, picture: &Picture) {
        let mut told = String::new();
        for (number, row) in picture.rows.iter().enumerate() {
            let time = words::time(row.at_ns).replace("us", "\u{b5}s");
            if matches!(row.across, Some(Across::Silence(..))) || time == told {
                continue;
            }
            text_at(&mut self.out, "time", TIMES, self.sheet.y(number) + 4, &time);
            told = time;
        }
    }

    fn row(&mut self, picture: &Picture, number: usize, row: &Row) {
        let y = self.sheet.y(number);
        if let Some(Across::Note(text)) = &row.across {
            let left = f64::from(COLUMNS[0] - 20);
            let width = f64::from(COLUMNS[3] - COLUMNS[0] + 40);
            rectangle(&mut self.out, "note", [left, f64::from(y - 12), width, 24.0], 4);
            text_at(&mut self.out, "notetext", COLUMNS[1].midpoint(COLUMNS[2]), y + 4, text);
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
            let flights = picture.flights.iter().filter(|flight| flight.start == number);
            let lines = flights.map(|flight| below(flight).len()).max().unwrap_or(0) as i32;
            let landed = |f: &Flight| f.start == number || f.end == Ending::Arrives(number);
            let alone = !picture.flights.iter().any(landed);
            let y = y + if alone { 4 } else { 22 + LINE_HEIGHT * lines };
            let (x, anchor) = beside(*side);
            anchored(&mut self.out, "aside", (x, y), anchor, text);
        }
    }

    fn label(&mut self, y: i32, side: Side, label: &Label) {
        let text = label.text();
        let tcp = COLUMNS[1 + side as usize];
        if let Label::Timer(_) = label {
            let name = text.trim_matches(['(', ')']);
            let (x, clock, anchor) = match side {
                Side::Client => (tcp - 30, tcp - 17, "end"),
                Side::Server => (tcp + 30, tcp + 17, "start"),
            };
            let _ = writeln!(
                self.out,
                "<circle class=\"clock\" cx=\"{clock}\" cy=\"{y}\" r=\"7\"/>\
                 <path class=\"clock\" d=\"M{clock} {}V{y}H{}\"/>",
                y - 5,
                clock + 4
            );
            return anchored(&mut self.out, "timer", (x, y + 4), anchor, name);
        }
        let width = 16 + 8 * text.chars().count() as i32;
        let left = match side {
            Side::Client => tcp - 8 - width,
            Side::Server => tcp + 8,
        };
        let closed = matches!(label, Label::State(crate::tcp::State::Closed));
        let class = if closed { "state closed" } else { "state" };
        let edges = [f64::from(left), f64::from(y) - 9.5, f64::from(width), 19.0];
        rectangle(&mut self.out, class, edges, 9);
        text_at(&mut self.out, "statename", left + width / 2, y + 4, &text);
    }

    fn mark(&mut self, y: i32, side: Side, mark: &Mark) {
        let (program, tcp) = match side {
            Side::Client => (COLUMNS[0], COLUMNS[1]),
            Side::Server => (COLUMNS[3], COLUMNS[2]),
        };
        let (from, to) = match mark.toward {
            Toward::Stack => (program, tcp),
            Toward::Program => (tcp, program),
        };
        let y = y + 5;
        line(&mut self.out, "callline", from, y, to, y);
        head(&mut self.out, "callhead", (f64::from(to), f64::from(y)), (f64::from(to - from), 0.0));
        let room = (program - tcp).unsigned_abs() as usize / 7 - 3;
        let class = match mark.outcome {
            Outcome::Well => "call",
            Outcome::Failed => "call failed",
        };
        let middle = program.midpoint(tcp);
        anchored(&mut self.out, class, (middle, y - 5), "middle", mark.words.fitting(room));
    }

    /// Where a flight starts, and how far it goes across and down.
    fn way(&self, flight: &Flight) -> ((f64, f64), (f64, f64)) {
        let (from, to) = match flight.from {
            Side::Client => (COLUMNS[1], COLUMNS[2]),
            Side::Server => (COLUMNS[2], COLUMNS[1]),
        };
        let top = f64::from(self.sheet.y(flight.start));
        let (whole, fall) = (f64::from(to - from), f64::from(FALL));
        let way = match flight.end {
            Ending::Arrives(row) if row != flight.start => {
                (whole, f64::from(self.sheet.y(row)) - top + fall)
            }
            Ending::Arrives(_) => (whole, fall),
            Ending::Lost(_) | Ending::Open(_) => (whole * LOST_AFTER, fall * LOST_AFTER),
        };
        ((f64::from(from), top - fall / 2.0), way)
    }

    fn flight(&mut self, flight: &Flight) {
        let ((x, y), (across, down)) = self.way(flight);
        let end = (x + across, y + down);
        let line = match flight.kind {
            Kind::Old => " old",
            Kind::Bulk | Kind::Unrecorded => " bulk",
            _ => "",
        };
        let _ = writeln!(self.out, "<g class=\"{}{line}\">", class(flight));
        // The line ends inside the head of the arrow, which is sharp.
        let short = 1.0 - 8.0 / across.hypot(down);
        let _ = writeln!(
            self.out,
            "<line class=\"line\" x1=\"{x:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            x + across * short,
            y + down * short
        );
        match &flight.end {
            Ending::Arrives(_) if flight.refused => {
                self.cross(end.0 - across.signum() * 9.0, end.1);
            }
            Ending::Arrives(_) => head(&mut self.out, "arrow", end, (across, down)),
            Ending::Lost(agent) => self.stopped(flight.from, end, &format!("lost: {agent}")),
            Ending::Open(what) => self.stopped(flight.from, end, what),
        }
        self.out.push_str("</g>\n");
    }

    fn cross(&mut self, x: f64, y: f64) {
        let _ = writeln!(
            self.out,
            "<path class=\"cross\" d=\"M{:.1} {:.1}l12 12m0 -12l-12 12\"/>",
            x - 6.0,
            y - 6.0
        );
    }

    /// The end of a segment that does not arrive, and why.
    fn stopped(&mut self, from: Side, end: (f64, f64), why: &str) {
        self.cross(end.0, end.1);
        let (x, anchor) = match from {
            Side::Client => (end.0 + 12.0, "start"),
            Side::Server => (end.0 - 12.0, "end"),
        };
        anchored(&mut self.out, "aside", (x as i32, end.1 as i32 + 4), anchor, why);
    }

    /// The words of a flight: along the arrow, near its sender where it takes its time.
    fn speak(&mut self, flight: &Flight) {
        let ((x, y), (across, down)) = self.way(flight);
        let at_once = flight.end == Ending::Arrives(flight.start);
        let share = if at_once { 0.5 } else { 18.0 / across.abs() };
        let anchor = match (at_once, flight.from) {
            (true, _) => "middle",
            (false, Side::Client) => "start",
            (false, Side::Server) => "end",
        };
        let steep = down / across.abs() > MAX_SLOPE;
        let slope = if steep { 0.0 } else { down / across };
        let angle = slope.atan().to_degrees();
        let above = if matches!(flight.kind, Kind::Bulk | Kind::Unrecorded) { 8.0 } else { 6.0 };
        let (left, top) = (x + across * share, y + slope * across * share - above);
        let class = class(flight);
        let _ = writeln!(
            self.out,
            "<text class=\"spoken {class}\" x=\"{left:.1}\" y=\"{top:.1}\" \
             text-anchor=\"{anchor}\" transform=\"rotate({angle:.2} {left:.1} {top:.1})\">{}</text>",
            escaped(&spoken(flight))
        );
        for (line, words) in below(flight).iter().enumerate() {
            let y = y as i32 + 20 + LINE_HEIGHT * line as i32;
            let (x, anchor) = beside(flight.from);
            anchored(&mut self.out, &format!("spoken {class}"), (x, y), anchor, words);
        }
    }
}

/// How a flight is drawn.
fn class(flight: &Flight) -> &'static str {
    match (flight.kind, &flight.end) {
        (_, Ending::Lost(_)) | (Kind::Reset, _) => "bad",
        (Kind::Again | Kind::Old, _) => "again",
        (Kind::First | Kind::Bulk, _) => "first",
        (Kind::Unrecorded, _) => "unseen",
    }
}

fn life_class(present: bool) -> &'static str {
    if present { "present" } else { "absent" }
}

/// Where a text between the TCPs begins that belongs to one of them.
fn beside(side: Side) -> (i32, &'static str) {
    match side {
        Side::Client => (COLUMNS[1] + 18, "start"),
        Side::Server => (COLUMNS[2] - 18, "end"),
    }
}

/// The head of an arrow that comes to a point from a direction.
fn head(out: &mut String, class: &str, point: (f64, f64), from: (f64, f64)) {
    let length = from.0.hypot(from.1);
    let (dx, dy) = (from.0 / length, from.1 / length);
    let (x, y) = (point.0 - 11.0 * dx, point.1 - 11.0 * dy);
    let _ = writeln!(
        out,
        "<path class=\"{class}\" d=\"M{:.1} {:.1}L{:.1} {:.1}L{:.1} {:.1}Z\"/>",
        point.0,
        point.1,
        x - 4.5 * dy,
        y + 4.5 * dx,
        x + 4.5 * dy,
        y - 4.5 * dx
    );
}

fn line(out: &mut String, class: &str, x1: i32, y1: i32, x2: i32, y2: i32) {
    let _ =
        writeln!(out, "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>");
}

fn rectangle(out: &mut String, class: &str, edges: [f64; 4], radius: i32) {
    let [x, y, width, height] = edges;
    let _ = writeln!(
        out,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
         rx=\"{radius}\"/>"
    );
}

fn text_at(out: &mut String, class: &str, x: i32, y: i32, text: &str) {
    let _ = writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(text));
}

fn anchored(out: &mut String, class: &str, place: (i32, i32), anchor: &str, text: &str) {
    let (x, y) = place;
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>",
        escaped(text)
    );
}

/// Text as XML takes it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            character if character.is_control() => out.push(' '),
            character => out.push(character),
        }
    }
    out
}
