//! What is seen on the stage: sockets as `tcplab ss` tells, counters.

use std::io;
use std::time::Instant;

use tcplab::client::Client;
use tcplab::inspect::SocketRow;

use super::super::super::Failure;
use super::super::super::ss::{self, Socket};
use super::telling::narrowed;
use super::{LOOK_INTERVAL, PATIENCE, SERVER, Stage};

/// What was seen of the sockets with a port.
pub(in super::super) struct Sight {
    port: u16,
    pub(in super::super) sockets: Vec<Socket>,
}

impl Sight {
    /// How many are in that state.
    pub(in super::super) fn count(&self, state: &str) -> usize {
        self.sockets.iter().filter(|socket| socket.row.state == state).count()
    }

    /// The server's socket in that state, or listening.
    pub(in super::super) fn server(&self, state: &str) -> Option<&Socket> {
        self.find(state, |socket| socket.row.local.port() == self.port)
    }

    /// The client's socket in that state.
    pub(in super::super) fn client(&self, state: &str) -> Option<&Socket> {
        self.find(state, |socket| socket.row.local.port() != self.port)
    }

    /// Whether both ends of the one connection are in these states; "gone": not there.
    pub(in super::super) fn is(&self, client: &str, server: &str) -> bool {
        let state_of = |is_server: bool| {
            let connected = |socket: &&Socket| {
                socket.row.peer.is_some() && (socket.row.local.port() == self.port) == is_server
            };
            let mut states = self.sockets.iter().filter(connected).map(|s| s.row.state.as_str());
            (states.next().unwrap_or("gone"), states.next())
        };
        state_of(false) == (client, None) && state_of(true) == (server, None)
    }

    fn find(&self, state: &str, side: impl Fn(&Socket) -> bool) -> Option<&Socket> {
        self.sockets.iter().find(|socket| socket.row.state == state && side(socket))
    }

    fn states(&self) -> String {
        let row = |socket: &Socket| format!("{} {}", socket.row.local, socket.row.state);
        self.sockets.iter().map(row).collect::<Vec<_>>().join(", ")
    }
}

/// Columns of a table of sockets beside state, queues and addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Columns {
    /// `ss -tan`
    Plain,
    /// `ss -tano`
    Timers,
    /// `ss -tanp`
    Holders,
}

impl Stage<'_> {
    /// The sockets with `port` on either end, as they are now; without their holders.
    pub(in super::super) fn sight(&mut self, port: u16) -> Result<Sight, Failure> {
        let mut sockets = ss::sockets_without_holders(self.client()?)?;
        sockets.retain(|socket| is_on(&socket.row, port));
        Ok(Sight { port, sockets })
    }

    /// Looks until `seen`, or until patience ends: what was seen last.
    pub(in super::super) fn until(
        &mut self,
        port: u16,
        seen: impl Fn(&Sight) -> bool,
    ) -> Result<Sight, Failure> {
        self.look(|stage| stage.sight(port), seen)
    }

    /// The same, with holders.
    pub(in super::super) fn until_held(
        &mut self,
        port: u16,
        seen: impl Fn(&Sight) -> bool,
    ) -> Result<Sight, Failure> {
        self.look(|stage| stage.holders(port), seen)
    }

    fn look(
        &mut self,
        look: impl Fn(&mut Self) -> Result<Sight, Failure>,
        seen: impl Fn(&Sight) -> bool,
    ) -> Result<Sight, Failure> {
        let begun = Instant::now();
        loop {
            let sight = look(self)?;
            if seen(&sight) || begun.elapsed() > PATIENCE {
                return Ok(sight);
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// The same with their holders: to look at every process of the machine takes its time.
    pub(in super::super) fn holders(&mut self, port: u16) -> Result<Sight, Failure> {
        let mut sockets = ss::sockets(self.client()?)?;
        sockets.retain(|socket| is_on(&socket.row, port));
        Ok(Sight { port, sockets })
    }

    /// Waits until the two ends of the one connection are in these states ("gone": not there), or
    /// the scene cannot go on.
    pub(in super::super) fn reach(&mut self, client: &str, server: &str) -> Result<(), Failure> {
        let sight = self.until(SERVER, |sight| sight.is(client, server))?;
        if sight.is(client, server) {
            return Ok(());
        }
        let seen = sight.states();
        Err(Failure::new(format!("waited in vain for {client} and {server}; there is: {seen}")))
    }

    /// Waits for these states, shows the sockets, and says what that means.
    pub(in super::super) fn check_states(
        &mut self,
        [client, server]: [&str; 2],
        sentence: &str,
    ) -> Result<Sight, Failure> {
        let sight = self.until(SERVER, |sight| sight.is(client, server))?;
        self.show(&sight, Columns::Timers)?;
        self.check(sight.is(client, server), sentence)?;
        Ok(sight)
    }

    /// Shows sockets as `tcplab ss` does.
    pub(in super::super) fn show(&mut self, sight: &Sight, columns: Columns) -> io::Result<()> {
        let (options, table) = match columns {
            Columns::Plain => ("-tan", ss::table_of(&sight.sockets, false, false)),
            Columns::Timers => ("-tano", ss::table_of(&sight.sockets, true, false)),
            Columns::Holders => ("-tanp", ss::table_of(&sight.sockets, false, true)),
        };
        self.teller.command(&format!("tcplab ss {options}"))?;
        self.teller.output("", &narrowed(&table, "Process", 6))
    }

    /// A counter of the stack, by its kernel name.
    pub(in super::super) fn counter(&mut self, name: &str) -> Result<u64, Failure> {
        let counters = self.client()?.status()?.counters;
        let found = counters.iter().find(|(counter, _)| counter == name);
        found
            .map(|(_, value)| *value)
            .ok_or_else(|| Failure::new(format!("the stack has no counter {name}")))
    }

    pub(super) fn client(&mut self) -> Result<&mut Client, Failure> {
        self.client.as_mut().ok_or_else(|| Failure::new("the stage is closed"))
    }
}

fn is_on(row: &SocketRow, port: u16) -> bool {
    row.local.port() == port || row.peer.is_some_and(|peer| peer.port() == port)
}
