//! The picture: the screen's state as text in cells. Pure, so that it is tested without a
//! terminal.
//!
//! ```text
//! header     session, stack, clock
//! upper      sockets by state | rates per second     one line each, or none, where there is no room
//! table      sockets, or what covers it: help, details, output of a command
//! events     the last of them
//! footer     keys, a prompt, or a notice
//! ```

use core::time::Duration;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::units::duration;
use super::covers;
use super::keys::{Form, Screen, Shown};
use super::model::{Link, Look, RATES};
use super::panels;
use super::prompt::Prompt;
use super::rows;
use super::theme::Theme;

/// States in two columns and rates beside them need so much.
const FULL_WIDTH: u16 = 72;
const FULL_HEIGHT: u16 = 20;
/// A rule and the rates.
const UPPER_HEIGHT: u16 = 1 + RATES.len() as u16;
/// One line for states and one for rates from this height on.
const COMPACT_HEIGHT: u16 = 12;
/// A line for states alone.
const SHORT_HEIGHT: u16 = 8;
/// A rule above the table.
const RULED_HEIGHT: u16 = 14;
/// Events in a single frame.
const MOST_EVENTS_ONCE: usize = 12;

/// Where everything goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Plan {
    header: Rect,
    upper: Rect,
    /// All of it but header and footer.
    body: Rect,
    table: Rect,
    events: Rect,
    footer: Rect,
}

impl Plan {
    fn of(area: Rect, screen: &Screen) -> Plan {
        let mut rest = area;
        let mut take = |height: u16| {
            let height = height.min(rest.height);
            let taken = Rect { height, ..rest };
            rest = Rect { y: rest.y + height, height: rest.height - height, ..rest };
            taken
        };
        let header = take(1);
        let footer_height = match screen.form {
            Form::Live if area.height >= 3 => 1,
            _ => 0,
        };
        let body = Rect { height: area.height.saturating_sub(1 + footer_height), ..take(0) };
        let is_full = area.width >= FULL_WIDTH && area.height >= FULL_HEIGHT;
        let upper = take(match area.height {
            _ if is_full => UPPER_HEIGHT,
            COMPACT_HEIGHT.. => 2,
            SHORT_HEIGHT.. => 1,
            _ => 0,
        });
        let left = body.height - upper.height.min(body.height);
        let events_height = match screen.form {
            Form::Once => events_once(screen),
            Form::Live if is_full => (left / 3).max(5),
            Form::Live if area.height >= COMPACT_HEIGHT => 3,
            Form::Live => 0,
        };
        let table = take(left.saturating_sub(events_height));
        let events = take(events_height);
        let footer = take(footer_height);
        Plan { header, upper, body, table, events, footer }
    }
}

fn events_once(screen: &Screen) -> u16 {
    1 + screen.model.news().count().clamp(1, MOST_EVENTS_ONCE) as u16
}

/// Height in which a single frame shows every row.
pub(super) fn height_once(screen: &Screen, width: u16) -> u16 {
    let rows = screen.model.rows().len().max(1);
    let rows = u16::try_from(rows).unwrap_or(u16::MAX / 2);
    let upper = if width >= FULL_WIDTH { UPPER_HEIGHT } else { 2 };
    // Header, a rule and the titles of the table.
    let height = 1 + upper + 2 + rows + events_once(screen);
    height.max(FULL_HEIGHT)
}

/// Draws everything; what there was room for is what keys that move by a page go by.
pub(super) fn draw(frame: &mut Frame<'_>, screen: &Screen, theme: Theme) -> Shown {
    let area = frame.area();
    let plan = Plan::of(area, screen);
    let buffer = frame.buffer_mut();
    header(buffer, plan.header, screen, theme);
    let mut shown = Shown { width: area.width.into(), ..Shown::default() };
    if screen.cover.is_some() {
        covers::draw(buffer, plan.body, screen, theme, &mut shown);
    } else {
        match plan.upper.height {
            UPPER_HEIGHT => panels::full(buffer, plan.upper, &screen.model, theme),
            _ => panels::compact(buffer, plan.upper, &screen.model, theme),
        }
        let ruled = area.height >= RULED_HEIGHT;
        rows::draw(buffer, plan.table, screen, (ruled, theme), &mut shown);
        panels::events(buffer, plan.events, screen, (ruled, theme));
    }
    if let Some(cursor) = footer(buffer, plan.footer, screen, theme) {
        frame.set_cursor_position(cursor);
    }
    shown
}

/// Writes a line, cut at the end of the area.
pub(super) fn write(buffer: &mut Buffer, area: Rect, line: &Line<'_>) {
    if area.height > 0 {
        buffer.set_line(area.x, area.y, line, area.width);
    }
}

/// The line of the area with that number.
pub(super) fn row(area: Rect, index: u16) -> Rect {
    let inside = index < area.height;
    Rect { y: area.y + index, height: u16::from(inside), ..area }
}

/// A line that begins a part, with its title.
pub(super) fn rule(buffer: &mut Buffer, area: Rect, title: &str, theme: Theme) {
    if area.height == 0 {
        return;
    }
    buffer.set_stringn(
        area.x,
        area.y,
        "─".repeat(area.width.into()),
        area.width.into(),
        theme.rule(),
    );
    let room = area.width.saturating_sub(2);
    let title = Span::styled(format!(" {title} "), theme.title());
    if room > 0 {
        buffer.set_span(area.x + 1, area.y, &title, room);
    }
}

fn header(buffer: &mut Buffer, area: Rect, screen: &Screen, theme: Theme) {
    let mut spans = vec![Span::styled("tcplab top ", theme.title())];
    spans.push(Span::styled(format!("{}  ", screen.session), theme.key()));
    match screen.model.look() {
        Some(look) if screen.model.gone.is_none() => spans.extend(stack(look, theme)),
        _ => {}
    }
    if screen.paused {
        spans.push(Span::styled("  DISPLAY PAUSED (p)", theme.bad()));
    }
    if screen.model.gone.is_some() {
        spans.push(Span::styled("NOT CONNECTED", theme.bad()));
    }
    if let Some(time) = screen.unanswered {
        let text = format!("  NO ANSWER for {} s", time.as_secs());
        spans.push(Span::styled(text, theme.bad()));
    }
    write(buffer, area, &Line::from(spans));
}

fn stack(look: &Look, theme: Theme) -> Vec<Span<'static>> {
    const TENTH_NS: u64 = 100_000_000;
    let clock = &look.clock;
    let time = duration(Duration::from_nanos(clock.time_ns / TENTH_NS * TENTH_NS));
    let uptime = duration(Duration::from_secs(look.status.uptime_s));
    let mut spans =
        vec![Span::raw(format!("pid {}  up {uptime}  ", look.status.pid)), Span::raw("clock ")];
    let is_real = clock.scale == tcplab::inspect::clock::Scale::REAL && !clock.paused;
    let style = if is_real { Style::new() } else { theme.careful() };
    let pace = match (clock.paused, is_real) {
        (true, _) => " paused".to_owned(),
        (false, true) => String::new(),
        (false, false) => format!(" at {}", clock.scale),
    };
    spans.push(Span::styled(format!("{time}{pace}"), style));
    if clock.behind_ns >= TENTH_NS {
        let behind = duration(Duration::from_nanos(clock.behind_ns / TENTH_NS * TENTH_NS));
        spans.push(Span::styled(format!(" ({behind} behind)"), theme.careful()));
    }
    spans.extend(link(look.link).map(|text| Span::styled(text, theme.careful())));
    spans
}

/// That the link is not as it is by itself, which is easily forgotten.
fn link(link: Link) -> Option<String> {
    let several = |count: usize, one: &str| match count {
        0 => String::new(),
        1 => format!("  1 {one}"),
        _ => format!("  {count} {one}s"),
    };
    let held = if link.held > 0 { format!("  {} held", link.held) } else { String::new() };
    let text = several(link.impairments, "impairment") + &several(link.rules, "rule") + &held;
    (!text.is_empty()).then_some(text)
}

/// Keys that the bottom line tells of, the most important first.
const KEYS: [(&str, &str); 11] = [
    ("?", "help"),
    ("q", "quit"),
    ("s", "sort"),
    ("/", "filter"),
    ("Enter", "details"),
    ("d", "diagram"),
    ("i", "impair"),
    ("c", "clock"),
    ("p", "pause"),
    ("e", "events"),
    (":", "command"),
];

/// The bottom line; where the cursor stands, when something is typed there.
fn footer(buffer: &mut Buffer, area: Rect, screen: &Screen, theme: Theme) -> Option<Position> {
    if area.height == 0 {
        return None;
    }
    let notice = screen.notice.as_ref().map(|notice| {
        let style = if notice.is_bad { theme.bad() } else { theme.good() };
        Span::styled(notice.text.as_str(), style)
    });
    if let Some(prompt) = &screen.prompt {
        return prompt_line(buffer, area, prompt, notice, theme);
    }
    let line = match (notice, &screen.running) {
        (Some(notice), _) => Line::from(notice),
        (None, Some(command)) => {
            Line::styled(format!("running: tcplab {command}  (Esc ends it)"), theme.careful())
        }
        (None, None) => match &screen.model.gone {
            Some(sentence) => Line::styled(sentence.as_str(), theme.bad()),
            None => keys(area.width, theme),
        },
    };
    write(buffer, area, &line);
    None
}

fn keys(width: u16, theme: Theme) -> Line<'static> {
    let mut line = Line::default();
    for (key, meaning) in KEYS {
        let blank = if line.spans.is_empty() { "" } else { "  " };
        if line.width() + blank.len() + key.len() + 1 + meaning.len() > width.into() {
            break;
        }
        line.push_span(Span::raw(blank));
        line.push_span(Span::styled(key, theme.key()));
        line.push_span(Span::raw(format!(" {meaning}")));
    }
    line
}

fn prompt_line(
    buffer: &mut Buffer,
    area: Rect,
    prompt: &Prompt,
    notice: Option<Span<'_>>,
    theme: Theme,
) -> Option<Position> {
    let label = prompt.purpose.label();
    let before = Span::raw(prompt.before_cursor()).width();
    // Where the line is longer than the terminal is wide, its beginning is not shown.
    let room = usize::from(area.width).saturating_sub(label.len() + 1);
    let hidden = before.saturating_sub(room);
    let text: String = prompt.text().chars().skip(hidden).collect();
    let mut line =
        Line::from(vec![Span::styled(label, theme.key()), Span::raw(text), Span::raw("   ")]);
    line.extend(notice);
    write(buffer, area, &line);
    let x = area.x + u16::try_from(label.len() + before - hidden).unwrap_or(u16::MAX);
    (x < area.right()).then_some(Position { x, y: area.y })
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
