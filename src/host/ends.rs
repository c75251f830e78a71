//! What the host knows of the end of a connection, for those who judge segments under way.

use super::Host;
use super::ports::Owner;
use super::sockets::{Place, Socket};
use crate::tcp::{FourTuple, Origin, State};
use crate::wire::SeqNum;

/// Where a connection waits that no program has accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// Nowhere.
    No,
    /// In the SYN queue.
    SynQueue,
    /// In the accept queue.
    AcceptQueue,
}

/// One end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct End {
    /// State.
    pub state: State,
    /// Which OPEN made it.
    pub origin: Origin,
    /// Where it waits.
    pub waiting: Waiting,
    /// The sequence number after its FIN, where that was sent.
    pub fin_end: Option<SeqNum>,
}

impl Host {
    /// What is at the local end of `tuple`: a connection, one in TIME-WAIT, or else the listener
    /// that a SYN would reach.
    pub fn end_of(&self, tuple: &FourTuple) -> Option<End> {
        match self.demux.find(tuple) {
            Some(Owner::Socket(key)) => {
                let connection = self.sockets.find(key).and_then(Socket::connection)?;
                let waiting = match connection.place {
                    Place::SynQueue(_) => Waiting::SynQueue,
                    Place::AcceptQueue(_) => Waiting::AcceptQueue,
                    Place::Program | Place::Orphan => Waiting::No,
                };
                let tcb = &connection.tcb;
                let (state, origin, fin_end) = (tcb.state(), tcb.origin(), tcb.fin_end());
                Some(End { state, origin, waiting, fin_end })
            }
            Some(Owner::TimeWait(id)) => {
                let time_wait = &self.time_waits.get(id)?.time_wait;
                let (origin, fin_end) = (time_wait.origin(), Some(time_wait.fin_end()));
                Some(End { state: State::TimeWait, origin, waiting: Waiting::No, fin_end })
            }
            None => {
                self.demux.find_listener(&self.sockets, tuple, &self.random)?;
                let (state, origin) = (State::Listen, Origin::Passive);
                Some(End { state, origin, waiting: Waiting::No, fin_end: None })
            }
        }
    }
}
