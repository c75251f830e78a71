//! Colours, and what takes their place where there are none (`NO_COLOR`, text).

use ratatui::style::{Color, Modifier, Style};

use super::events::Tone;

/// With colours or without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Theme {
    Colours,
    Plain,
}

impl Theme {
    /// As the user wants it: <https://no-color.org>.
    pub(super) fn of_environment() -> Theme {
        match std::env::var_os("NO_COLOR") {
            Some(value) if !value.is_empty() => Theme::Plain,
            _ => Theme::Colours,
        }
    }

    fn coloured(self, colour: Color, modifier: Modifier) -> Style {
        match self {
            Theme::Colours => Style::new().fg(colour).add_modifier(modifier),
            Theme::Plain => Style::new().add_modifier(modifier),
        }
    }

    pub(super) fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Of little interest.
    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn rule(self) -> Style {
        self.coloured(Color::DarkGray, Modifier::empty())
    }

    pub(super) fn chart(self) -> Style {
        self.coloured(Color::Cyan, Modifier::empty())
    }

    pub(super) fn key(self) -> Style {
        self.coloured(Color::Cyan, Modifier::BOLD)
    }

    pub(super) fn good(self) -> Style {
        self.coloured(Color::Green, Modifier::empty())
    }

    pub(super) fn careful(self) -> Style {
        self.coloured(Color::Yellow, Modifier::empty())
    }

    pub(super) fn bad(self) -> Style {
        self.coloured(Color::Red, Modifier::BOLD)
    }

    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// CLOSE-WAIT is a program that forgets to close, TIME-WAIT keeps a port: both are what people
    /// look for.
    pub(super) fn state(self, state: &str) -> Style {
        match state {
            "CLOSE-WAIT" => self.bad(),
            "TIME-WAIT" => self.coloured(Color::Yellow, Modifier::BOLD),
            "ESTAB" => self.good(),
            "LISTEN" => self.coloured(Color::Blue, Modifier::empty()),
            "SYN-SENT" | "SYN-RECV" => self.coloured(Color::Magenta, Modifier::empty()),
            "FIN-WAIT-1" | "FIN-WAIT-2" | "CLOSING" | "LAST-ACK" => self.careful(),
            _ => Style::new(),
        }
    }

    pub(super) fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new(),
            Tone::Careful => self.careful(),
            Tone::Bad => self.coloured(Color::Red, Modifier::empty()),
        }
    }
}
