//! What covers the table when it is asked for: help, details of a connection, all events, output of
//! a command.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::super::ss::Socket;
use super::super::ss::table;
use super::columns::{Addresses, Column};
use super::keys::{Cover, Screen, Shown};
use super::model::Event;
use super::theme::Theme;
use super::view::{row, rule, write};

const HELP: &str = "\
?  h           this help                     Esc  q    back; q in the table: quit
Up Down j k    select a row                  Ctrl-C    quit
PgUp PgDn      a page, Home End: all         Ctrl-Z    stop; fg goes on
Enter          details of the selected row: ss -eio, and what happened to it
d              sequence diagram of the selected connection
e              all events that are remembered

s  S           sort by the next column, by the one before; r: the other way round
/              filter, as tcplab ss has them: state close-wait sport = :80
p  Space       pause the display; the stack goes on
c              clock: advance 60s, scale 20x, pause, resume
i  I           impair the link: netem replace ..., rule add ...
:              any tcplab command; Up and Down recall those that were given

Rates are per second of real time. Ages and timers are in stack time. Of a listener, Recv-Q counts
connections that wait for accept(), Send-Q is the backlog.

CLOSE-WAIT   the peer has closed, the program has not: if it stays, the program forgets to close
FIN-WAIT-2   this end has closed, the peer has not
TIME-WAIT    closed by both, this end first: it keeps the pair of addresses for 2 MSL";

/// Draws what covers the table; notes how many lines there was room for.
pub(super) fn draw(
    buffer: &mut Buffer,
    area: Rect,
    screen: &Screen,
    theme: Theme,
    shown: &mut Shown,
) {
    let plain = |text: &str| -> Vec<Line<'static>> {
        text.lines().map(|line| Line::raw(line.to_owned())).collect()
    };
    let (title, head, lines) = match &screen.cover {
        None => return,
        Some(Cover::Help) => ("Keys".to_owned(), Vec::new(), plain(HELP)),
        Some(Cover::Events) => {
            ("Events".to_owned(), Vec::new(), event_lines(screen.model.news(), theme))
        }
        Some(Cover::Text { title, lines }) => {
            (title.clone(), Vec::new(), lines.iter().map(|line| Line::raw(line.as_str())).collect())
        }
        Some(Cover::Details) => match screen.model.selected() {
            None => ("Details".to_owned(), Vec::new(), plain("it has gone")),
            Some(socket) => (
                title_of(socket),
                facts(socket, area.width.into(), theme),
                event_lines(screen.model.life_of(&socket.row), theme),
            ),
        },
    };
    rule(buffer, row(area, 0), &format!("{title} (Esc: back)"), theme);
    for (index, line) in head.iter().enumerate() {
        write(buffer, row(area, 1 + index as u16), line);
    }
    let above = (1 + head.len() as u16).min(area.height);
    let below = Rect { y: area.y + above, height: area.height - above, ..area };
    let room = usize::from(below.height);
    shown.lines = room;
    shown.last_first_line = lines.len().saturating_sub(room);
    shown.first_line = screen.scroll.min(shown.last_first_line);
    for (index, line) in lines.iter().skip(shown.first_line).take(room).enumerate() {
        write(buffer, row(below, index as u16), line);
    }
}

fn event_lines<'e>(events: impl Iterator<Item = &'e Event>, theme: Theme) -> Vec<Line<'e>> {
    events.map(|event| Line::styled(event.line.as_str(), theme.tone(event.tone))).collect()
}

fn title_of(socket: &Socket) -> String {
    let [local, peer] = [Column::Local, Column::Peer].map(|c| c.text(socket, Addresses::Whole));
    format!("{local} > {peer}")
}

/// What `ss -eipo` says of a socket, in lines as long as there is room.
fn facts(socket: &Socket, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let row = &socket.row;
    let mut words = vec![row.state.clone()];
    words.push(format!("recv-q:{} send-q:{}", row.recv_q, row.send_q));
    if !socket.holders.is_empty() {
        words.push(table::users(&socket.holders));
    }
    words.extend(row.timer.as_ref().map(table::timer));
    words.push(table::extended(socket));
    let mut lines: Vec<Line<'static>> = Vec::new();
    let styles = [theme.state(&row.state), Style::new()];
    for (text, style) in [words.join(" "), row.info.clone()].into_iter().zip(styles) {
        lines.extend(wrapped(&text, width).into_iter().map(|line| Line::styled(line, style)));
    }
    lines.push(Line::styled("what happened to it:", theme.title()));
    lines
}

/// Words in lines of that width.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
