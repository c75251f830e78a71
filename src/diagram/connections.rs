//! Which records are about the same connection, and which end of it is the client.
//!
//! Two addresses may have many connections with each other, one after another: a new one begins
//! with a SYN of another initial sequence number, or with CLOSED to SYN-SENT. A segment that
//! arrives belongs to the connection that is there when it arrives, also where it was sent by an
//! older one. Calls are found by their socket; those of a listener belong to the connections that
//! it made.

use core::net::SocketAddr;
use std::collections::BTreeMap;

use crate::ipc::SocketId;
use crate::ipc::record::Api;
use crate::tcp::State;
use crate::trace::{Argument, Arrival, Call, End, Record, Records, Segment, Transition, What};

/// An end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    /// Who opened it.
    Client,
    /// Who listened.
    Server,
}

impl Side {
    /// Both.
    pub const BOTH: [Side; 2] = [Side::Client, Side::Server];

    /// The other end.
    #[must_use]
    pub const fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// How a connection began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// One end opened it.
    Active,
    /// Both opened it at once.
    Simultaneous,
    /// Before the first record that there is.
    Unseen,
}

/// A record of a connection, and whose it is: of a segment the sender's, of an arrival the
/// receiver's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'r> {
    pub(super) side: Side,
    pub(super) record: &'r Record,
}

/// One connection, or one that never came to be.
#[derive(Clone, Debug)]
pub struct Connection<'r> {
    /// Place in the order in which connections began, from 1 on.
    pub number: usize,
    /// Address of the client and of the server.
    pub addresses: [SocketAddr; 2],
    /// How it began.
    pub opening: Opening,
    pub(super) members: Vec<Member<'r>>,
    pub(super) isns: [Option<u32>; 2],
    states: [Option<State>; 2],
    sockets: Vec<SocketId>,
}

impl<'r> Connection<'r> {
    /// Its end with that address.
    pub(super) fn side_of(&self, address: SocketAddr) -> Side {
        if address == self.addresses[0] { Side::Client } else { Side::Server }
    }

    /// The last known state of an end.
    pub fn state(&self, side: Side) -> Option<State> {
        self.states[side as usize]
    }

    /// An end still has something to do. TIME-WAIT has not.
    pub fn is_alive(&self) -> bool {
        let over = |state| matches!(state, None | Some(State::Closed | State::TimeWait));
        !self.states.into_iter().all(over)
    }

    /// It has that socket at one of its ends.
    pub fn has_socket(&self, id: SocketId) -> bool {
        self.sockets.contains(&id)
    }

    /// When the last thing happened, in stack time.
    pub fn last_ns(&self) -> u64 {
        self.members.iter().map(|member| member.record.at_ns).max().unwrap_or(0)
    }

    /// The processes of an end, in the order in which they made calls.
    pub fn processes(&self, side: Side) -> Vec<u32> {
        let mut pids = Vec::new();
        for call in self.calls(side) {
            if call.pid != 0 && !pids.contains(&call.pid) {
                pids.push(call.pid);
            }
        }
        pids
    }

    pub(super) fn calls(&self, side: Side) -> impl Iterator<Item = &'r Call> + '_ {
        self.members.iter().filter(move |member| member.side == side).filter_map(|member| {
            match &member.record.what {
                What::Call(call) => Some(call),
                _ => None,
            }
        })
    }

    /// When the first thing happened that is not a listener's, in stack time.
    pub fn began_ns(&self) -> u64 {
        let own = self.members.iter().find(|member| !matches!(member.record.what, What::Call(_)));
        own.or(self.members.first()).map_or(0, |member| member.record.at_ns)
    }

    /// Number of the last record that is more than the end of waiting.
    fn last_number(&self) -> u64 {
        let waited = |what: &What| matches!(what, What::State(t) if t.from == State::TimeWait);
        let last = self.members.iter().rev().find(|member| !waited(&member.record.what));
        last.map_or(0, |member| member.record.number)
    }
}

/// All connections that records tell of.
#[derive(Clone, Debug)]
pub struct Connections<'r> {
    all: Vec<Connection<'r>>,
}

impl<'r> Connections<'r> {
    /// Groups records.
    pub fn of(records: &'r Records) -> Connections<'r> {
        let mut grouping = Grouping::default();
        for record in &records.records {
            grouping.add(record);
        }
        // accept() names the socket that the calls after it are made on, and may be told later.
        for accepts in [true, false] {
            for record in &records.records {
                if let What::Call(call) = &record.what
                    && accepts == matches!(call.argument, Argument::Accepted(_))
                {
                    grouping.add_call(record, call);
                }
            }
        }
        grouping.add_listeners();
        grouping.finish()
    }

    /// In the order in which they began.
    pub fn all(&self) -> &[Connection<'r>] {
        &self.all
    }

    /// Of those that are `meant` the one that a user means who says no more: the only one that is
    /// alive, else the last one that ended, else the one that began last.
    pub fn obvious(&self, meant: impl Fn(&Connection<'r>) -> bool) -> Option<&Connection<'r>> {
        let meant = || self.all.iter().filter(|connection| meant(connection));
        let mut alive = meant().filter(|connection| connection.is_alive());
        if let (Some(only), None) = (alive.next(), alive.next()) {
            return Some(only);
        }
        let ended = meant().filter(|connection| !connection.is_alive());
        ended.max_by_key(|connection| connection.last_number()).or(meant().next_back())
    }
}

/// A listening socket.
#[derive(Debug)]
struct Listener<'r> {
    id: SocketId,
    local: SocketAddr,
    from: u64,
    until: u64,
    listening: &'r Record,
}

impl Listener<'_> {
    fn takes(&self, address: SocketAddr, number: u64) -> bool {
        let ip = self.local.ip();
        let same_ip = ip.is_unspecified() || ip.to_canonical() == address.ip().to_canonical();
        same_ip && self.local.port() == address.port() && (self.from..self.until).contains(&number)
    }
}

/// Two addresses, the smaller one first.
type Pair = (SocketAddr, SocketAddr);

fn pair(a: SocketAddr, b: SocketAddr) -> Pair {
    if a <= b { (a, b) } else { (b, a) }
}

#[derive(Default)]
struct Grouping<'r> {
    connections: Vec<Connection<'r>>,
    /// Connections of two addresses with the number of their first record, oldest first.
    of_pair: BTreeMap<Pair, Vec<(u64, usize)>>,
    /// Connections of a socket with the number of the record that says so.
    of_socket: BTreeMap<SocketId, Vec<(u64, usize, Side)>>,
    listeners: Vec<Listener<'r>>,
    /// Calls on sockets that were in no connection: of listeners, and of none.
    loose: BTreeMap<SocketId, Vec<&'r Record>>,
    /// The listener that a connection was accepted from.
    accepted_from: BTreeMap<usize, SocketId>,
}

impl<'r> Grouping<'r> {
    fn add(&mut self, record: &'r Record) {
        match &record.what {
            What::Segment(segment) => self.add_segment(record, segment),
            What::Arrival(arrival) => self.add_arrival(record, arrival),
            What::State(transition) => self.add_state(record, transition),
            What::Timer(expiry) => self.add_of_end(record, &expiry.end),
            What::Dropped(refusal) => self.add_of_end(record, &refusal.end),
            What::Call(_) | What::Operator(_) => {}
        }
    }

    fn current(&self, a: SocketAddr, b: SocketAddr) -> Option<usize> {
        self.of_pair.get(&pair(a, b))?.last().map(|&(_, index)| index)
    }

    fn begin(
        &mut self,
        number: u64,
        client: SocketAddr,
        server: SocketAddr,
        opening: Opening,
    ) -> usize {
        let index = self.connections.len();
        self.connections.push(Connection {
            number: index + 1,
            addresses: [client, server],
            opening,
            members: Vec::new(),
            isns: [None; 2],
            states: [None; 2],
            sockets: Vec::new(),
        });
        self.of_pair.entry(pair(client, server)).or_default().push((number, index));
        index
    }

    /// The connection that is there between two addresses, or a new one of which the beginning was
    /// not seen.
    fn current_or_unseen(&mut self, number: u64, local: SocketAddr, remote: SocketAddr) -> usize {
        if let Some(index) = self.current(local, remote) {
            return index;
        }
        let listens = |address| self.listeners.iter().any(|l| l.takes(address, number));
        let local_is_server = match (listens(local), listens(remote)) {
            (true, false) => true,
            (false, true) => false,
            _ => local.port() < remote.port(),
        };
        let (client, server) = if local_is_server { (remote, local) } else { (local, remote) };
        self.begin(number, client, server, Opening::Unseen)
    }

    fn put(&mut self, index: usize, side: Side, record: &'r Record) {
        self.connections[index].members.push(Member { side, record });
    }

    fn add_segment(&mut self, record: &'r Record, segment: &Segment) {
        let Segment { from, to, flags, seq, .. } = *segment;
        let opens = flags.syn() && !flags.ack();
        let index = match opens {
            true => self.opened_by_syn(record.number, from, to, seq),
            false => self.current_or_unseen(record.number, from, to),
        };
        let connection = &mut self.connections[index];
        let side = connection.side_of(from);
        if let Some(isn) = segment.isn.or(flags.syn().then_some(seq)) {
            connection.isns[side as usize].get_or_insert(isn);
        }
        self.put(index, side, record);
    }

    fn add_arrival(&mut self, record: &'r Record, arrival: &Arrival) {
        let Arrival { from, to, flags, seq, serial, .. } = *arrival;
        let opens = flags.syn() && !flags.ack() && serial.is_none();
        let index = match opens {
            true => self.opened_by_syn(record.number, from, to, seq),
            false => self.current_or_unseen(record.number, from, to),
        };
        let connection = &mut self.connections[index];
        if flags.syn() && serial.is_none() {
            let sender = connection.side_of(from);
            connection.isns[sender as usize].get_or_insert(seq);
        }
        // Of who talks to itself, what arrives is drawn at the other side.
        let side = connection.side_of(from).other();
        self.put(index, side, record);
    }

    /// The connection that a SYN without ACK belongs to.
    fn opened_by_syn(&mut self, number: u64, from: SocketAddr, to: SocketAddr, seq: u32) -> usize {
        let known = self.current(from, to).filter(|&index| {
            let connection = &self.connections[index];
            let side = connection.side_of(from) as usize;
            match (connection.isns[side], connection.states[side]) {
                (Some(isn), _) => isn == seq,
                (None, state) => matches!(state, None | Some(State::SynSent)),
            }
        });
        let Some(index) = known else { return self.begin(number, from, to, Opening::Active) };
        let connection = &mut self.connections[index];
        if connection.side_of(from) == Side::Server {
            connection.opening = Opening::Simultaneous;
        }
        index
    }

    fn add_state(&mut self, record: &'r Record, transition: &Transition) {
        let Transition { end, from, to, .. } = *transition;
        let (Some(local), Some(remote)) = (end.local, end.remote) else {
            return self.add_listening(record, transition);
        };
        let index = match (from, to) {
            (State::Closed, State::SynSent) => self.opened_by_call(record.number, local, remote),
            (State::Listen, State::SynReceived) => match self.current(local, remote) {
                Some(index) => index,
                None => self.begin(record.number, remote, local, Opening::Unseen),
            },
            _ => self.current_or_unseen(record.number, local, remote),
        };
        // What is left of an older connection is seen in both pictures.
        if let Some(older) = self.older_in_state(index, local, remote, from) {
            let side = self.connections[older].side_of(local);
            self.connections[older].states[side as usize] = Some(to);
            self.put(older, side, record);
            let side = self.connections[index].side_of(local);
            return self.put(index, side, record);
        }
        let side = self.connections[index].side_of(local);
        self.connections[index].states[side as usize] = Some(to);
        self.note_socket(end.socket, record.number, index, side);
        self.put(index, side, record);
    }

    fn opened_by_call(&mut self, number: u64, local: SocketAddr, remote: SocketAddr) -> usize {
        let known = self.current(local, remote).filter(|&index| {
            let connection = &self.connections[index];
            connection.states[connection.side_of(local) as usize].is_none()
        });
        let Some(index) = known else { return self.begin(number, local, remote, Opening::Active) };
        let connection = &mut self.connections[index];
        if connection.side_of(local) == Side::Server {
            connection.opening = Opening::Simultaneous;
        }
        index
    }

    /// The connection before `index` between the same addresses, where a change from `from` can
    /// only be its.
    fn older_in_state(
        &self,
        index: usize,
        local: SocketAddr,
        remote: SocketAddr,
        from: State,
    ) -> Option<usize> {
        let of_pair = self.of_pair.get(&pair(local, remote))?;
        let place = of_pair.iter().position(|&(_, known)| known == index)?;
        let (_, older) = *of_pair.get(place.checked_sub(1)?)?;
        let state = |index: usize| {
            let connection = &self.connections[index];
            connection.states[connection.side_of(local) as usize]
        };
        let theirs = !matches!(from, State::Closed | State::Listen) && state(index) != Some(from);
        (theirs && state(older) == Some(from)).then_some(older)
    }

    fn add_listening(&mut self, record: &'r Record, transition: &Transition) {
        let (Some(id), Some(local)) = (transition.end.socket, transition.end.local) else { return };
        if transition.to == State::Listen {
            let (from, until) = (record.number, u64::MAX);
            self.listeners.push(Listener { id, local, from, until, listening: record });
        } else if let Some(listener) = self.listeners.iter_mut().rev().find(|l| l.id == id) {
            listener.until = record.number;
        }
    }

    fn add_of_end(&mut self, record: &'r Record, end: &End) {
        let (Some(local), Some(remote)) = (end.local, end.remote) else { return };
        let index = self.current_or_unseen(record.number, local, remote);
        let side = self.connections[index].side_of(local);
        self.note_socket(end.socket, record.number, index, side);
        self.put(index, side, record);
    }

    fn note_socket(&mut self, socket: Option<SocketId>, number: u64, index: usize, side: Side) {
        let Some(id) = socket else { return };
        let places = self.of_socket.entry(id).or_default();
        if places.last().is_none_or(|&(_, known, _)| known != index) {
            places.push((number, index, side));
        }
        if !self.connections[index].sockets.contains(&id) {
            self.connections[index].sockets.push(id);
        }
    }

    /// The connection of two addresses that was there when a record with that number was made.
    fn at(&self, a: SocketAddr, b: SocketAddr, number: u64) -> Option<usize> {
        let of_pair = self.of_pair.get(&pair(a, b))?;
        let known = of_pair.iter().rev().find(|&&(first, _)| first <= number);
        known.or(of_pair.first()).map(|&(_, index)| index)
    }

    fn add_call(&mut self, record: &'r Record, call: &Call) {
        if let Argument::Accepted(new) = call.argument {
            let (Some(local), Some(remote)) = (new.local, new.remote) else { return };
            let Some(index) = self.at(local, remote, record.number) else { return };
            let side = self.connections[index].side_of(local);
            self.note_socket(new.socket, record.number, index, side);
            if let Some(listener) = call.end.socket {
                self.accepted_from.insert(index, listener);
            }
            return self.put(index, side, record);
        }
        if let (Some(local), Some(remote)) = (call.end.local, call.end.remote)
            && let Some(index) = self.at(local, remote, record.number)
        {
            let side = self.connections[index].side_of(local);
            self.note_socket(call.end.socket, record.number, index, side);
            return self.put(index, side, record);
        }
        let Some(id) = call.end.socket else { return };
        let places = self.of_socket.get(&id).map_or(&[][..], Vec::as_slice);
        let before = places.iter().rev().find(|&&(number, ..)| number <= record.number);
        match before.or(places.first()) {
            Some(&(_, index, side)) => self.put(index, side, record),
            None => self.loose.entry(id).or_default().push(record),
        }
    }

    /// How a listener came to listen is drawn with the first connection that it made.
    fn add_listeners(&mut self) {
        let mut told: Vec<SocketId> = Vec::new();
        for index in 0..self.connections.len() {
            let connection = &self.connections[index];
            let server = connection.addresses[1];
            let Some(first) = connection.members.iter().map(|m| m.record.number).min() else {
                continue;
            };
            let by_accept = self.accepted_from.get(&index);
            let known = self.listeners.iter().rev().find(|listener| match by_accept {
                Some(id) => listener.id == *id,
                None => listener.takes(server, first),
            });
            let Some(listener) = known.filter(|listener| !told.contains(&listener.id)) else {
                continue;
            };
            let (id, listening) = (listener.id, listener.listening);
            told.push(id);
            let opening = [Api::Socket, Api::SetOption, Api::Bind, Api::Listen];
            let calls = self.loose.get(&id).map_or(&[][..], Vec::as_slice);
            let calls = calls.iter().filter(
                |record| matches!(&record.what, What::Call(call) if opening.contains(&call.api)),
            );
            let side = Side::Server;
            let members: Vec<_> = calls
                .chain([&listening])
                .filter(|record| record.number < first)
                .map(|record| Member { side, record })
                .collect();
            self.connections[index].members.extend(members);
        }
    }

    fn finish(mut self) -> Connections<'r> {
        for connection in &mut self.connections {
            connection.members.sort_by_key(|member| member.record.number);
        }
        Connections { all: self.connections }
    }
}
