//! Readiness: one epoll instance, everything edge-triggered, tokens that cannot be stale.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant as Clock;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::time::Duration;

/// Events fetched by one system call.
const EVENTS_PER_CALL: usize = 1024;

/// How long the next event is looked for before we sleep, where the last one came as fast: putting
/// a processor to sleep and waking it costs a program as much as its whole call.
const PATIENCE: Duration = Duration::from_micros(50);

/// A processor that comes back later than this after it was given up is wanted by others. It comes
/// back much sooner to who sleeps and is woken: so there is no patience for a while.
const LATE: Duration = Duration::from_millis(1);
/// How long that while is.
const CROWDED: Duration = Duration::from_millis(100);

/// Who an event is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token {
    /// The control listener.
    Control,
    /// The listener for sockets that connect.
    Connections,
    /// The listener for sockets that listen.
    Listeners,
    /// The listener for commands that watch.
    Watch,
    /// The UDP socket of the wire for IPv4.
    WireV4,
    /// The one for IPv6.
    WireV6,
    /// A client of the control channel, by index and generation.
    Client(u32, u32),
    /// An endpoint, by index and generation.
    Endpoint(u32, u32),
    /// A command that watches, by index and generation.
    Watcher(u32, u32),
}

/// Generations are told apart modulo this: an event of an owner 2^24 reuses ago never waits in
/// the kernel, because closing a descriptor takes its events away.
const GENERATIONS: u32 = 1 << 24;

impl Token {
    fn encode(self) -> u64 {
        let pack = |kind: u64, index: u32, generation: u32| {
            kind << 56 | u64::from(generation % GENERATIONS) << 32 | u64::from(index)
        };
        match self {
            Token::Control => 0,
            Token::Connections => 1,
            Token::Listeners => 2,
            Token::WireV4 => 3,
            Token::WireV6 => 4,
            Token::Watch => 5,
            Token::Client(index, generation) => pack(1, index, generation),
            Token::Endpoint(index, generation) => pack(2, index, generation),
            Token::Watcher(index, generation) => pack(3, index, generation),
        }
    }

    fn decode(word: u64) -> Token {
        let index = (word & 0xffff_ffff) as u32;
        let generation = (word >> 32 & 0x00ff_ffff) as u32;
        match (word >> 56, word) {
            (1, _) => Token::Client(index, generation),
            (2, _) => Token::Endpoint(index, generation),
            (3, _) => Token::Watcher(index, generation),
            (_, 0) => Token::Control,
            (_, 1) => Token::Connections,
            (_, 2) => Token::Listeners,
            (_, 3) => Token::WireV4,
            (_, 4) => Token::WireV6,
            _ => Token::Watch,
        }
    }
}

/// The generation after `generation`.
pub(super) fn next_generation(generation: u32) -> u32 {
    (generation + 1) % GENERATIONS
}

/// What to be woken for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Interest {
    /// Octets, half-close, close.
    Read,
    /// These, and the other end's reading.
    ReadWrite,
}

/// What woke us.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Readiness {
    /// Octets (or an end) to read.
    pub(super) readable: bool,
    /// Room to write, or the other end has read.
    pub(super) writable: bool,
    /// The other end writes no more.
    pub(super) read_closed: bool,
    /// Both directions are over.
    pub(super) hung_up: bool,
    /// An urgent octet.
    pub(super) urgent: bool,
}

/// The epoll instance.
pub(super) struct Poller {
    epoll: OwnedFd,
    buffer: Vec<Event>,
    /// The last wait was over within [`PATIENCE`].
    is_busy: bool,
    /// No patience until then.
    crowded_until: Option<Clock>,
}

impl Poller {
    pub(super) fn new() -> io::Result<Poller> {
        Ok(Poller {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            buffer: Vec::with_capacity(EVENTS_PER_CALL),
            is_busy: false,
            crowded_until: None,
        })
    }

    /// Watches `fd` for ever, or until it is closed.
    pub(super) fn add(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        for_what: Interest,
    ) -> io::Result<()> {
        epoll::add(&self.epoll, fd, EventData::new_u64(token.encode()), flags(for_what))?;
        Ok(())
    }

    /// Changes what `fd` is watched for; what is ready now is reported again.
    pub(super) fn modify(
        &self,
        fd: BorrowedFd<'_>,
        token: Token,
        for_what: Interest,
    ) -> io::Result<()> {
        epoll::modify(&self.epoll, fd, EventData::new_u64(token.encode()), flags(for_what))?;
        Ok(())
    }

    /// Waits at most `timeout` (`None`: as long as it takes), then fetches everything that is
    /// ready into `events`, oldest first. While nothing is, does a little of what can be done
    /// `meanwhile`, which says whether there was anything.
    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<(Token, Readiness)>,
        mut meanwhile: impl FnMut() -> bool,
    ) -> io::Result<()> {
        let began = Clock::now();
        let is_short = timeout.is_some_and(|timeout| timeout < PATIENCE);
        let is_crowded = self.crowded_until.is_some_and(|until| began < until);
        let mut passed = Duration::ZERO;
        while self.is_busy && !is_short && !is_crowded && passed < PATIENCE {
            self.look(events)?;
            if !events.is_empty() {
                return Ok(());
            }
            if !meanwhile() {
                // Whoever makes the next event may need this processor.
                std::thread::yield_now();
            }
            passed = began.elapsed();
        }
        if passed > LATE {
            self.crowded_until = Some(began + passed + CROWDED);
        }
        while !is_short && meanwhile() {
            self.look(events)?;
            if !events.is_empty() {
                return Ok(());
            }
        }
        self.fetch(timeout, events)?;
        self.is_busy = !events.is_empty() && began.elapsed() < PATIENCE;
        Ok(())
    }

    /// Fetches what is ready now.
    pub(super) fn look(&mut self, events: &mut Vec<(Token, Readiness)>) -> io::Result<()> {
        self.fetch(Some(Duration::ZERO), events)
    }

    /// The same as [`Poller::wait`] without patience.
    fn fetch(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<(Token, Readiness)>,
    ) -> io::Result<()> {
        events.clear();
        let mut timeout = timeout.map(|t| {
            let whole = rustix::fs::Timespec::try_from(t);
            whole.unwrap_or(rustix::fs::Timespec { tv_sec: 3600, tv_nsec: 0 })
        });
        let mut first_client = None;
        loop {
            self.buffer.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut self.buffer), timeout.as_ref()) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => return Ok(()),
                Err(e) => return Err(e.into()),
            }
            let has_all = take(&self.buffer, &mut first_client, events);
            if has_all {
                return Ok(());
            }
            timeout = Some(rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 });
        }
    }
}

/// Adds what one call told to `events`. True: nothing is left that was ready when the first call
/// was made.
fn take(
    told: &[Event],
    first_client: &mut Option<Token>,
    events: &mut Vec<(Token, Readiness)>,
) -> bool {
    let mut has_all = told.len() < EVENTS_PER_CALL;
    for event in told {
        let token = Token::decode(event.data.u64());
        // One that is told of again became ready again: all the rest has been told, too. But what
        // it has become (gone, say) is told only this once, as is what lies behind it.
        has_all |= *first_client == Some(token);
        if first_client.is_none() && matches!(token, Token::Client(..)) {
            *first_client = Some(token);
        }
        events.push((token, readiness(event.flags)));
    }
    has_all
}

fn flags(for_what: Interest) -> EventFlags {
    let read = EventFlags::IN | EventFlags::RDHUP | EventFlags::PRI | EventFlags::ET;
    match for_what {
        Interest::Read => read,
        Interest::ReadWrite => read | EventFlags::OUT,
    }
}

fn readiness(flags: EventFlags) -> Readiness {
    Readiness {
        readable: flags
            .intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR),
        writable: flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR),
        read_closed: flags.intersects(EventFlags::RDHUP | EventFlags::HUP),
        hung_up: flags.contains(EventFlags::HUP),
        urgent: flags.contains(EventFlags::PRI),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_read_back() {
        for token in [
            Token::Control,
            Token::Connections,
            Token::Listeners,
            Token::WireV4,
            Token::WireV6,
            Token::Watch,
            Token::Client(0, 0),
            Token::Client(u32::MAX, GENERATIONS - 1),
            Token::Endpoint(0, 0),
            Token::Endpoint(7, 9),
            Token::Watcher(3, 4),
        ] {
            assert_eq!(Token::decode(token.encode()), token);
        }
    }

    #[test]
    fn what_a_client_becomes_while_others_are_told_of_is_told() {
        let told = |index, flags| {
            let data = EventData::new_u64(Token::Client(index, 0).encode());
            Event { flags, data }
        };
        let full: Vec<Event> =
            (0..EVENTS_PER_CALL as u32).map(|index| told(index, EventFlags::IN)).collect();
        let (mut first_client, mut events) = (None, Vec::new());
        assert!(!take(&full, &mut first_client, &mut events), "there may be more");

        let mut again = full;
        again[0] = told(0, EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP);
        again[1] = told(EVENTS_PER_CALL as u32, EventFlags::IN);
        assert!(take(&again, &mut first_client, &mut events), "the first one comes round again");
        assert_eq!(events.len(), 2 * EVENTS_PER_CALL, "and what lies behind it is there");
        let (token, readiness) = events[EVENTS_PER_CALL];
        assert_eq!(token, Token::Client(0, 0));
        assert!(readiness.hung_up);
    }
}
