//! The loop: keys, looks, signals and ended commands come through one channel, each from a thread
//! of its own, so that a stack that hangs does not keep anybody from leaving.

use core::time::Duration;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tcplab::ipc::names::Session;

use super::super::{Failure, Outcome};
use super::job::{Ended, Job};
use super::keys::{Demand, Screen};
use super::model::Snapshot;
use super::source::Source;
use super::terminal::Canvas;
use super::theme::Theme;
use super::view;

/// What comes in that nobody has looked at yet.
const MAX_WAITING: usize = 64;
/// After so long it is said that nothing comes.
const PATIENCE: Duration = Duration::from_secs(1);
/// After a look the stack is left alone for so many times as long as that took ...
const REST: u32 = 9;
/// ... but not for longer.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// What can happen.
enum Message {
    /// A key, text that was pasted, or another size.
    Input(Event),
    /// Nobody can type any more.
    InputEnded(io::Error),
    /// A look, or why there is none.
    Look(Result<Box<Snapshot>, String>),
    /// A signal.
    Signal(i32),
    /// A command ended.
    Ended(Ended),
}

/// What is told to the thread that looks.
enum Order {
    /// Look at once.
    Look,
    /// Look no more, or again.
    Pause(bool),
}

/// Runs until somebody quits.
pub(super) fn run(session: &Session, screen: Screen, interval: Duration) -> Outcome {
    let (told, messages) = mpsc::sync_channel(MAX_WAITING);
    let (orders, ordered) = mpsc::channel();
    let cannot = |doing: &str, e: io::Error| Failure::new(format!("cannot {doing}: {e}"));
    // Before the terminal is taken: from then on no signal may end us as it likes.
    let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT];
    let signals = Signals::new(signals).map_err(|e| cannot("receive signals", e))?;
    let canvas = Canvas::take().map_err(|e| cannot("draw on the terminal", e))?;
    let source = Source::new(session);
    let from_input = told.clone();
    thread::spawn(move || pass_on_input(&from_input));
    let from_signals = told.clone();
    thread::spawn(move || pass_on_signals(signals, &from_signals));
    let asked = Asked::default();
    let looker = Looker { source, interval, asked: asked.clone() };
    let from_looker = told.clone();
    thread::spawn(move || looker.look(&ordered, &from_looker));
    let theme = Theme::of_environment();
    let mut live =
        Live { session: *session, screen, canvas, theme, told, orders, job: None, asked };
    let outcome = live.until_quit(&messages);
    // Before anything is said.
    drop(live);
    match outcome {
        Ok(status) => Ok(status),
        Err(error) => Err(cannot("draw on the terminal", error)),
    }
}

fn pass_on_input(told: &SyncSender<Message>) {
    loop {
        let message = match event::read() {
            Ok(event) => Message::Input(event),
            Err(error) => Message::InputEnded(error),
        };
        let is_last = matches!(message, Message::InputEnded(_));
        if told.send(message).is_err() || is_last {
            return;
        }
    }
}

fn pass_on_signals(mut signals: Signals, told: &SyncSender<Message>) {
    for signal in signals.forever() {
        if told.send(Message::Signal(signal)).is_err() {
            return;
        }
    }
}

/// Since when the stack owes an answer; told from one thread to the other.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Option<Instant>>>);

impl Asked {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn get(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that looks at the stack.
struct Looker {
    source: Source,
    interval: Duration,
    asked: Asked,
}

impl Looker {
    /// Looks every `interval`, less often where there is so much to see that looking would keep
    /// the stack busy.
    fn look(mut self, orders: &Receiver<Order>, told: &SyncSender<Message>) {
        let mut is_paused = false;
        loop {
            let mut pause = self.interval;
            if !is_paused {
                let began = Instant::now();
                self.asked.set(Some(began));
                let look = self.source.look().map(Box::new).map_err(|error| error.to_string());
                self.asked.set(None);
                if look.is_ok() {
                    pause = pause.max((REST * began.elapsed()).min(LONGEST_REST));
                }
                if told.send(Message::Look(look)).is_err() {
                    return;
                }
            }
            match orders.recv_timeout(pause) {
                Ok(Order::Pause(pause)) => is_paused = pause,
                Ok(Order::Look) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

struct Live {
    session: Session,
    screen: Screen,
    canvas: Canvas,
    theme: Theme,
    told: SyncSender<Message>,
    orders: mpsc::Sender<Order>,
    job: Option<Job>,
    asked: Asked,
}

/// Whether it goes on.
enum Next {
    GoOn,
    /// With that exit status.
    End(u8),
}

impl Live {
    fn until_quit(&mut self, messages: &Receiver<Message>) -> io::Result<u8> {
        loop {
            self.draw()?;
            let first = match messages.recv_timeout(PATIENCE) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) => {
                    self.notice_silence();
                    continue;
                }
                // We hold a sender ourselves: it cannot be.
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            };
            // What has come meanwhile needs no frame of its own.
            for message in core::iter::once(first).chain(messages.try_iter()) {
                if let Next::End(status) = self.take(message)? {
                    return Ok(status);
                }
            }
        }
    }

    /// Says how long a look has taken that should have been there.
    fn notice_silence(&mut self) {
        let silence = self.asked.get().map(|asked| asked.elapsed());
        self.screen.unanswered = silence.filter(|silence| *silence >= PATIENCE);
    }

    fn draw(&mut self) -> io::Result<()> {
        let (screen, theme) = (&self.screen, self.theme);
        let mut shown = screen.shown;
        self.canvas.draw(|frame| shown = view::draw(frame, screen, theme))?;
        self.screen.shown = shown;
        Ok(())
    }

    fn take(&mut self, message: Message) -> io::Result<Next> {
        match message {
            Message::Input(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                let demand = self.screen.key(key);
                return self.meet(demand);
            }
            Message::Input(Event::Paste(text)) => self.screen.paste(&text),
            // Another size is found when the next frame is drawn.
            Message::Input(_) => {}
            Message::InputEnded(error) => return Err(error),
            Message::Look(look) => self.see(look),
            Message::Signal(signal) => return self.signal(signal),
            Message::Ended(ended) => {
                self.job = None;
                self.screen.show_ended(ended);
                self.order(Order::Look);
            }
        }
        Ok(Next::GoOn)
    }

    fn see(&mut self, look: Result<Box<Snapshot>, String>) {
        self.screen.unanswered = None;
        match look {
            // It may have been under way when the display was paused.
            Ok(_) if self.screen.paused => {}
            Ok(snapshot) => self.screen.model.see(*snapshot),
            Err(sentence) => self.screen.model.gone = Some(sentence),
        }
    }

    fn meet(&mut self, demand: Demand) -> io::Result<Next> {
        match demand {
            Demand::Nothing => {}
            Demand::Quit => return Ok(Next::End(0)),
            Demand::Pause(pause) => self.order(Order::Pause(pause)),
            Demand::Run(words) => self.start(words),
            Demand::Cancel => {
                if let Some(job) = &self.job {
                    job.kill();
                }
            }
            Demand::Suspend => self.suspend()?,
            Demand::Redraw => self.canvas.enter()?,
        }
        Ok(Next::GoOn)
    }

    fn order(&self, order: Order) {
        // It listens as long as we do.
        let _ = self.orders.send(order);
    }

    fn start(&mut self, words: Vec<String>) {
        let told = self.told.clone();
        let command = words.join(" ");
        let started = Job::start(&self.session, words, move |ended| {
            // Where nobody waits any more, it does not matter.
            let _ = told.send(Message::Ended(ended));
        });
        match started {
            Ok(job) => {
                self.job = Some(job);
                self.screen.running = Some(command);
            }
            Err(sentence) => self.screen.tell(&sentence),
        }
    }

    fn signal(&mut self, signal: i32) -> io::Result<Next> {
        match signal {
            SIGTSTP => self.suspend()?,
            // Whoever had the terminal meanwhile may have changed it.
            SIGCONT => self.canvas.enter()?,
            // As a shell tells of a program that a signal ended.
            signal => return Ok(Next::End(128 + signal as u8)),
        }
        Ok(Next::GoOn)
    }

    /// Stops as if nobody had taken the signal; returns when told to go on.
    fn suspend(&mut self) -> io::Result<()> {
        self.canvas.leave();
        emulate_default_handler(SIGTSTP)?;
        self.canvas.enter()
    }
}
