//! The table of sockets.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

use super::super::ss::Socket;
use super::columns::{self, Column, Fit, Sort};
use super::keys::{Screen, Shown};
use super::theme::Theme;
use super::view::{row, rule, write};

/// Draws the table; notes how many rows there was room for.
pub(super) fn draw(
    buffer: &mut Buffer,
    area: Rect,
    screen: &Screen,
    (ruled, theme): (bool, Theme),
    shown: &mut Shown,
) {
    let mut area = area;
    let width = area.width.into();
    let mut next = |height: u16| {
        let height = height.min(area.height);
        let taken = Rect { height, ..area };
        area = Rect { y: area.y + height, height: area.height - height, ..area };
        taken
    };
    if ruled {
        rule(buffer, next(1), &title(screen), theme);
    }
    let model = &screen.model;
    let fit = columns::fit(model.widths(), model.sort, width);
    titles(buffer, next(1), (&fit, model.sort), theme);
    let lines = next(u16::MAX);
    let room = usize::from(lines.height);
    let first = first_row(screen.shown.first_row, model.selection(), (room, model.rows().len()));
    (shown.rows, shown.first_row) = (room, first);
    if model.rows().len() == 0 {
        write(buffer, lines, &Line::styled(nothing(screen), theme.faint()));
    }
    for (index, socket) in model.rows().enumerate().skip(first).take(room) {
        let line = row(lines, (index - first) as u16);
        socket_line(buffer, line, (&fit, socket), theme);
        if model.selection() == Some(index) {
            buffer.set_style(line, theme.selected());
        }
    }
}

fn title(screen: &Screen) -> String {
    let (rows, sort) = (screen.model.rows().len(), screen.model.sort);
    let all = screen.model.look().map_or(0, |look| look.sockets.len());
    let mut title = match rows == all {
        true => format!("Sockets {all}"),
        false => format!("Sockets {rows} of {all}"),
    };
    if !screen.filter.is_empty() {
        title += &format!(", filter: {}", screen.filter);
    }
    if let Some(column) = sort.column {
        title += &format!(", by {}", column.title());
    }
    if screen.model.gone.is_some() && screen.model.look().is_some() {
        title += ", as they last were";
    }
    title
}

/// What stands in a table without rows.
fn nothing(screen: &Screen) -> &'static str {
    match (screen.model.look(), screen.filter.is_empty()) {
        (None, _) => "waiting for the stack",
        (Some(look), false) if !look.sockets.is_empty() => "no socket passes the filter",
        _ => "no socket",
    }
}

/// The first row shown, so that the selected one is among them and nothing moves without need.
fn first_row(before: usize, selected: Option<usize>, (room, rows): (usize, usize)) -> usize {
    let last_first = rows.saturating_sub(room);
    match selected {
        // Who has selected nothing looks at the top.
        None => 0,
        Some(_) if room == 0 => 0,
        Some(at) => before.clamp((at + 1).saturating_sub(room), at).min(last_first),
    }
}

fn titles(buffer: &mut Buffer, area: Rect, (fit, sort): (&Fit, Sort), theme: Theme) {
    if area.height == 0 {
        return;
    }
    let mut x = area.x;
    for &(column, width) in &fit.columns {
        let mark = match (sort.column == Some(column), sort.reversed != column.is_number()) {
            (false, _) => "",
            (true, true) => "▼",
            (true, false) => "▲",
        };
        let text = aligned(&format!("{}{mark}", column.title()), width, column);
        buffer.set_stringn(x, area.y, text, width, theme.title());
        x += width as u16 + 1;
    }
    buffer.set_style(area, Style::new().add_modifier(Modifier::UNDERLINED));
}

fn socket_line(buffer: &mut Buffer, area: Rect, (fit, socket): (&Fit, &Socket), theme: Theme) {
    let mut x = area.x;
    for &(column, width) in &fit.columns {
        let text = column.text(socket, fit.addresses);
        let style = match column {
            Column::State => theme.state(&socket.row.state),
            Column::Retrans if !text.is_empty() => theme.careful(),
            Column::RecvQ | Column::SendQ if text == "0" => theme.faint(),
            _ => Style::new(),
        };
        buffer.set_stringn(x, area.y, aligned(&text, width, column), width, style);
        x += width as u16 + 1;
    }
}

fn aligned(text: &str, width: usize, column: Column) -> String {
    match column.is_number() {
        true => format!("{text:>width$}"),
        false => format!("{text:<width$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_row_is_shown_and_nothing_moves_without_need() {
        assert_eq!(first_row(0, None, (5, 20)), 0);
        assert_eq!(first_row(3, Some(4), (5, 20)), 3);
        assert_eq!(first_row(3, Some(8), (5, 20)), 4);
        assert_eq!(first_row(9, Some(2), (5, 20)), 2);
        assert_eq!(first_row(18, Some(19), (5, 20)), 15);
        assert_eq!(first_row(18, Some(3), (5, 4)), 0);
        assert_eq!(first_row(1, Some(3), (0, 4)), 0);
    }
}
