//! The terminal while something is drawn on it: the alternate screen, without echo and line
//! editing. Whatever ends the command, it is left as it was.

use core::sync::atomic::{AtomicBool, Ordering};
use std::io::{self, Write};
use std::panic;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};

/// Told before and after what belongs together, a terminal shows it at once (mode 2026); one that
/// does not know this ignores it.
const BEGIN_UPDATE: &[u8] = b"\x1b[?2026h";
const END_UPDATE: &[u8] = b"\x1b[?2026l";

/// Exit status after a panic, as Rust has it.
const PANICKED: i32 = 101;

/// The terminal is ours, and must be given back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, ours until this value goes.
pub(super) struct Canvas {
    terminal: Terminal<CrosstermBackend<WholeFrames>>,
}

impl Canvas {
    /// Takes the terminal. A panic of any thread gives it back before it says what it has to say,
    /// and ends the command: without that thread nobody would be told what, or could type.
    pub(super) fn take() -> io::Result<Canvas> {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            // Nobody draws any more.
            let _out = io::stdout().lock();
            give_back();
            before(panic);
            std::process::exit(PANICKED);
        }));
        let terminal = Terminal::new(CrosstermBackend::new(WholeFrames::default()))?;
        let mut canvas = Canvas { terminal };
        canvas.enter()?;
        Ok(canvas)
    }

    /// Takes it again after [`Canvas::leave`], or after somebody else may have changed it.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        // Raw mode that is on already would not be set again, and a shell may have ended it.
        let _ = disable_raw_mode();
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide)?;
        // All is drawn anew. `clear()` would ask the terminal where the cursor is, and the answer
        // would go to whoever reads keys.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    /// Gives it back for a while.
    pub(super) fn leave(&mut self) {
        give_back();
    }

    /// Draws a frame; only what has changed is written.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw)?;
        Ok(())
    }
}

impl Drop for Canvas {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, once. Says nothing where that fails: there is nobody to say it to.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _ = out.write_all(END_UPDATE);
        let _ = execute!(out, DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// Keeps what is written until it is whole. What is not is dropped: half a frame must not come
/// after the terminal has been given back.
#[derive(Default)]
struct WholeFrames(Vec<u8>);

impl Write for WholeFrames {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            self.0.extend_from_slice(BEGIN_UPDATE);
        }
        self.0.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        self.0.extend_from_slice(END_UPDATE);
        let mut out = io::stdout();
        let outcome = out.write_all(&self.0).and_then(|()| out.flush());
        self.0.clear();
        outcome
    }
}
