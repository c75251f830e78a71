//! Sockets by state, timers, rates, and the last events.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::ss::table::age;
use super::keys::{Form, Screen};
use super::model::{LIFE, Model, RATES};
use super::theme::Theme;
use super::view::{row, rule, write};

/// A state's name, its number, its bar.
const STATE_WIDTH: u16 = 23;
const BAR_WIDTH: usize = 4;
/// States stand in two columns.
const STATE_ROWS: usize = LIFE.len().div_ceil(2);
const LEFT_WIDTH: u16 = 2 * STATE_WIDTH;

/// States and rates side by side.
pub(super) fn full(buffer: &mut Buffer, area: Rect, model: &Model, theme: Theme) {
    let left = Rect { width: LEFT_WIDTH.min(area.width), ..area };
    let right = Rect { x: left.right(), width: area.width - left.width, ..area };
    rule(buffer, row(left, 0), "States", theme);
    let counts = model.states();
    let most = counts.iter().copied().max().unwrap_or(0);
    for (index, (state, count)) in LIFE.into_iter().zip(counts).enumerate() {
        let column = STATE_WIDTH * (index / STATE_ROWS) as u16;
        let line = row(left, 1 + (index % STATE_ROWS) as u16);
        let cell = Rect { x: line.x + column, width: STATE_WIDTH - 1, ..line };
        let style = if count == 0 { theme.faint() } else { theme.state(state) };
        let text = format!("{state:<10} {count:>6} {}", bar(count, most));
        write(buffer, cell, &Line::styled(text, style));
    }
    let below = row(left, 1 + STATE_ROWS as u16);
    write(buffer, Rect { width: below.width - 1, ..below }, &timers(model, theme));
    rule(buffer, row(right, 0), "Per second", theme);
    for (index, (name, _)) in RATES.into_iter().enumerate() {
        rate(buffer, row(right, 1 + index as u16), (index, name), (model, theme));
    }
}

fn rate(
    buffer: &mut Buffer,
    area: Rect,
    (index, name): (usize, &str),
    (model, theme): (&Model, Theme),
) {
    const TEXT_WIDTH: u16 = 20;
    let value = model.rates().map_or_else(|| "-".to_owned(), |rates| human(rates[index]));
    let style = match name {
        "retransmits" | "resets" if model.rates().is_some_and(|rates| rates[index] > 0.0) => {
            theme.careful()
        }
        _ => Style::new(),
    };
    write(buffer, area, &Line::styled(format!("{name:<12} {value:>7}"), style));
    if area.height > 0 && area.width > TEXT_WIDTH {
        let room = usize::from(area.width - TEXT_WIDTH - 1);
        let values: Vec<f64> = model.history(index).rev().take(room).collect();
        let x = area.right() - values.len() as u16;
        buffer.set_stringn(x, area.y, sparkline(values.into_iter().rev()), room, theme.chart());
    }
}

/// Timers that run: how many of each kind, and when the first runs out.
fn timers(model: &Model, theme: Theme) -> Line<'static> {
    let mut spans = vec![Span::styled("timers", theme.title())];
    for kind in model.timers() {
        let left = u64::try_from(kind.first.as_millis()).unwrap_or(u64::MAX);
        spans.push(Span::raw(format!("  {} {} in {}", kind.count, kind.name, age(left))));
    }
    if spans.len() == 1 {
        spans.push(Span::styled("  none runs", theme.faint()));
    }
    Line::from(spans)
}

/// States that occur in one line, rates in the next, as far as there are lines.
pub(super) fn compact(buffer: &mut Buffer, area: Rect, model: &Model, theme: Theme) {
    let mut states = Line::default();
    for (state, count) in LIFE.into_iter().zip(model.states()).filter(|(_, count)| *count > 0) {
        states.push_span(Span::styled(format!("{state} {count}  "), theme.state(state)));
    }
    write(buffer, row(area, 0), &states);
    let Some(rates) = model.rates() else { return };
    let mut line = Line::styled("per second  ", theme.title());
    for ((name, _), value) in RATES.into_iter().zip(rates) {
        line.push_span(Span::raw(format!("{name} {}  ", human(*value))));
    }
    write(buffer, row(area, 1), &line);
}

/// The last events, the newest at the bottom.
pub(super) fn events(
    buffer: &mut Buffer,
    area: Rect,
    screen: &Screen,
    (ruled, theme): (bool, Theme),
) {
    let mut area = area;
    if ruled && area.height > 1 {
        let title = match screen.model.skipped() {
            0 => "Events".to_owned(),
            skipped => format!("Events (too many at once: {skipped} passed over)"),
        };
        rule(buffer, row(area, 0), &title, theme);
        area = Rect { y: area.y + 1, height: area.height - 1, ..area };
    }
    let last: Vec<_> = screen.model.news().rev().take(area.height.into()).collect();
    if last.is_empty() && screen.form == Form::Once {
        write(buffer, area, &Line::styled("none", theme.faint()));
    }
    for (index, event) in last.into_iter().rev().enumerate() {
        let line = Line::styled(event.line.as_str(), theme.tone(event.tone));
        write(buffer, row(area, index as u16), &line);
    }
}

/// A bar as long as `count` is of `most`, in eighths of a cell.
fn bar(count: usize, most: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if count == 0 {
        return String::new();
    }
    let length = (count * BAR_WIDTH * 8).div_ceil(most.max(1));
    format!("{}{}", "█".repeat(length / 8), EIGHTHS[length % 8])
}

/// Values as heights, the greatest as a full cell.
fn sparkline(values: impl Iterator<Item = f64> + Clone) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.clone().fold(0.0, f64::max);
    let level = |value: f64| match most > 0.0 {
        true => LEVELS[((value / most * 7.0).ceil() as usize).min(7)],
        false => LEVELS[0],
    };
    values.map(level).collect()
}

/// A number in at most six characters: `0`, `3.2`, `512`, `12.3k`, `1.5G`.
pub(super) fn human(value: f64) -> String {
    if value <= 0.0 {
        return "0".to_owned();
    }
    let (mut value, mut unit) = (value, "");
    for larger in ["k", "M", "G", "T"] {
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1000.0, larger);
    }
    match value {
        ..9.95 => format!("{value:.1}{unit}"),
        ..99.95 if !unit.is_empty() => format!("{value:.1}{unit}"),
        _ => format!("{value:.0}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let written = [
            (0.0, "0"),
            (0.04, "0.0"),
            (3.21, "3.2"),
            (9.96, "10"),
            (512.4, "512"),
            (999.6, "1.0k"),
            (12_345.0, "12.3k"),
            (123_456.0, "123k"),
            (1.5e9, "1.5G"),
            (9.9e15, "9900T"),
        ];
        for (value, text) in written {
            assert_eq!(human(value), text);
        }
    }

    #[test]
    fn bars_and_sparklines_show_the_greatest_in_full_and_no_one_thing_as_nothing() {
        assert_eq!(bar(0, 10), "");
        assert_eq!(bar(10, 10), "████");
        assert_eq!(bar(1, 1000), "▏");
        assert_eq!(bar(5, 10), "██");
        assert_eq!(sparkline([0.0, 1.0, 100.0].into_iter()), "▁▂█");
        assert_eq!(sparkline([0.0, 0.0].into_iter()), "▁▁");
    }
}
