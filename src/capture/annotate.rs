//! From records and octets to packets with comments.
//!
//! What a segment did is known only after it has arrived, so packets are held back for a moment and
//! get their comments meanwhile: who runs the programs (on a SYN), retransmission, reason of a
//! RST, what the link did, changes of state that it made or that made it, why it was not taken.
//! What is known too late goes to the next packet of the end that it is about.

use core::net::SocketAddr;
use std::collections::{HashMap, HashSet, VecDeque};

use super::{Direction, Point, ip_packet};
use crate::ipc::SocketId;
use crate::ipc::record::Api;
use crate::tcp::{Cause, State};
use crate::trace::{Arrival, Call, Record, Refusal, Transition, What, words};
use crate::wire::Flags;

/// How long a packet waits for its comments, in real time.
pub const HOLD_NS: u64 = 100_000_000;
/// Octets that wait at most.
const MAX_HELD: usize = 32 << 20;
/// Connections and programs remembered; with more, all are learned anew.
const MAX_KNOWN: usize = 65_536;
/// Arrivals that a note may be about.
const MAX_ARRIVED: usize = 256;
/// Comments that wait for the next packet of one end.
const MAX_LATE: usize = 8;

/// What time packets get.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// Wall-clock time.
    Wall,
    /// Stack time, as if it had run from the stack's beginning as the wall clock did.
    Stack,
}

/// One packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Nanoseconds since 1970.
    pub at_ns: u64,
    /// Its way.
    pub direction: Direction,
    /// Octets from the IP header on.
    pub octets: Vec<u8>,
    /// Octets that the whole packet has.
    pub len: usize,
    /// What is known beside.
    pub comments: Vec<String>,
}

/// One end of a connection: its own address and the other one's.
type Way = (SocketAddr, SocketAddr);

struct Held {
    real_ns: u64,
    way: Way,
    flags: Flags,
    packet: Packet,
}

/// A segment that arrived, for the notes that come after it.
struct Arrived {
    /// From its sender to its receiver.
    way: Way,
    flags: Flags,
    seq: u32,
    /// Its packet, where that is still held.
    packet: Option<u64>,
}

/// Makes packets of a stream of records.
pub struct Annotator {
    at: Point,
    clock: Clock,
    /// Wall-clock time of the beginning of the stack, nanoseconds since 1970.
    epoch_ns: u64,
    /// The record that the next octets belong to.
    last: Option<Record>,
    held: VecDeque<Held>,
    held_octets: usize,
    /// Packets that have left `held`.
    released: u64,
    /// Held packets of segments by serial number.
    sent: HashMap<u64, u64>,
    /// Since anything else but a note came.
    arrived: Vec<Arrived>,
    /// Of `arrived`, the one that the last note was about.
    noted: usize,
    late: HashMap<Way, Vec<String>>,
    /// Ends that opened actively, as they send.
    clients: HashSet<Way>,
    /// Ends that opened passively, as they send.
    servers: HashSet<Way>,
    programs: HashMap<u32, String>,
    /// Who listens on a port.
    listeners: HashMap<u16, u32>,
    /// Who connected.
    callers: HashMap<SocketAddr, u32>,
    /// Who made a call on a socket.
    users: HashMap<SocketId, u32>,
}

impl Annotator {
    /// Of a stack that began at `epoch_ns`.
    pub fn new(at: Point, clock: Clock, epoch_ns: u64) -> Annotator {
        Annotator {
            at,
            clock,
            epoch_ns,
            last: None,
            held: VecDeque::new(),
            held_octets: 0,
            released: 0,
            sent: HashMap::new(),
            arrived: Vec::new(),
            noted: 0,
            late: HashMap::new(),
            clients: HashSet::new(),
            servers: HashSet::new(),
            programs: HashMap::new(),
            listeners: HashMap::new(),
            callers: HashMap::new(),
            users: HashMap::new(),
        }
    }

    /// Learns the name of the program that a process runs.
    pub fn learn_program(&mut self, pid: u32, name: String) {
        if self.programs.len() > MAX_KNOWN {
            self.programs.clear();
        }
        self.programs.insert(pid, name);
    }

    /// Takes a record.
    pub fn record(&mut self, record: &Record) {
        if self.late.len() + self.clients.len() + self.servers.len() + self.callers.len()
            > MAX_KNOWN
        {
            self.late.clear();
            self.clients.clear();
            self.servers.clear();
            self.callers.clear();
        }
        if self.users.len() > MAX_KNOWN {
            self.users.clear();
        }
        match &record.what {
            What::Segment(segment) => {
                self.end_batch();
                if segment.flags.syn() {
                    let opened =
                        if segment.flags.ack() { &mut self.servers } else { &mut self.clients };
                    opened.insert((segment.from, segment.to));
                }
                self.last = Some(*record);
            }
            What::Arrival(arrival) => {
                self.last = Some(*record);
                self.note_arrival(arrival);
            }
            What::State(transition) => self.note_transition(transition),
            What::Dropped(refusal) => self.note_refusal(refusal),
            What::Call(call) => self.note_call(call),
            What::Timer(_) | What::Operator(_) => {}
        }
    }

    /// Takes octets of the segment of the last record, which has `len` of them.
    pub fn octets(&mut self, octets: &[u8], len: usize) {
        let Some(record) = self.last else { return };
        let (way, flags, direction) = match &record.what {
            What::Segment(s) => ((s.from, s.to), s.flags, Direction::Out),
            What::Arrival(a) => ((a.from, a.to), a.flags, Direction::In),
            _ => return,
        };
        let key = self.released + self.held.len() as u64;
        let (octets, len) = ip_packet(way.0.ip(), way.1.ip(), len, octets);
        let mut comments = if is_first(flags) { self.programs_of(way) } else { Vec::new() };
        match &record.what {
            What::Segment(segment) => {
                comments.extend(words::remarks(segment));
                let fate = words::fate(segment);
                comments.extend(fate.map(|fate| fate.trim_start_matches("x ").to_owned()));
                comments.extend(self.late.remove(&way).unwrap_or_default());
                self.sent.insert(segment.serial, key);
            }
            What::Arrival(arrival) => {
                if arrival.serial.is_none() {
                    comments.push("sent by no TCP of this stack".to_owned());
                }
                if let Some(newest) = self.arrived.last_mut() {
                    newest.packet = Some(key);
                }
            }
            _ => {}
        }
        self.held_octets += octets.len();
        let at_ns = self.epoch_ns
            + match self.clock {
                Clock::Wall => record.real_ns,
                Clock::Stack => record.at_ns,
            };
        let packet = Packet { at_ns, direction, octets, len, comments };
        self.held.push_back(Held { real_ns: record.real_ns, way, flags, packet });
    }

    /// Packets that are held back.
    pub fn waiting(&self) -> usize {
        self.held.len()
    }

    /// The next packet that has waited long enough at this real time of the stack.
    pub fn next(&mut self, real_now_ns: u64) -> Option<Packet> {
        let oldest = self.held.front()?;
        let due = oldest.real_ns.saturating_add(HOLD_NS) <= real_now_ns;
        (due || self.held_octets > MAX_HELD).then(|| self.release()).flatten()
    }

    /// The next packet, without waiting.
    pub fn release(&mut self) -> Option<Packet> {
        let oldest = self.held.pop_front()?;
        self.released += 1;
        self.held_octets -= oldest.packet.octets.len();
        let released = self.released;
        if self.held.is_empty() {
            self.sent.clear();
        } else if self.released.is_multiple_of(1024) {
            self.sent.retain(|_, key| *key >= released);
        }
        Some(oldest.packet)
    }

    fn held_mut(&mut self, key: u64) -> Option<&mut Held> {
        let place = usize::try_from(key.checked_sub(self.released)?).ok()?;
        self.held.get_mut(place)
    }

    fn end_batch(&mut self) {
        self.arrived.clear();
        self.noted = 0;
    }

    fn note_arrival(&mut self, arrival: &Arrival) {
        if self.noted > 0 {
            self.end_batch();
        }
        let packet = arrival.serial.filter(|_| !self.at.sees_arrived());
        let packet = packet.and_then(|serial| self.sent.get(&serial).copied());
        if self.arrived.len() >= MAX_ARRIVED {
            self.arrived.remove(0);
        }
        let way = (arrival.from, arrival.to);
        self.arrived.push(Arrived { way, flags: arrival.flags, seq: arrival.seq, packet });
    }

    /// Comments the packet of the arrival that the note is about, if it is there.
    fn comment(&mut self, is_it: impl Fn(&Arrived) -> bool, comment: &str) -> bool {
        let skipped = self.noted.saturating_sub(1);
        let place = self.arrived.iter().skip(skipped).position(is_it);
        let Some(place) = place.map(|place| place + skipped) else { return false };
        self.noted = place + 1;
        let packet = self.arrived[place].packet;
        match packet.and_then(|key| self.held_mut(key)) {
            Some(held) => {
                held.packet.comments.push(comment.to_owned());
                true
            }
            None => false,
        }
    }

    fn note_transition(&mut self, transition: &Transition) {
        let (Some(local), Some(remote)) = (transition.end.local, transition.end.remote) else {
            return;
        };
        match (transition.from, transition.to) {
            (State::Closed, State::SynSent) => {
                self.clients.insert((local, remote));
                // A connect() that waits is told of when it is over; who made the socket's options
                // is known already.
                let user = transition.end.socket.and_then(|socket| self.users.get(&socket));
                self.callers.extend(user.map(|pid| (local, *pid)));
            }
            (State::Listen, State::SynReceived) => _ = self.servers.insert((local, remote)),
            (_, State::Closed | State::TimeWait) => _ = self.callers.remove(&local),
            _ => {}
        }
        let name = self.name((local, remote));
        let change =
            format!("{name}: {} -> {}", words::state(transition.from), words::state(transition.to));
        if let Cause::Segment(flags) = transition.cause {
            let is_it =
                |arrived: &Arrived| arrived.way == (remote, local) && arrived.flags == flags;
            if self.comment(is_it, &change) {
                return;
            }
        }
        let is_silent_end =
            transition.to == State::Closed && matches!(transition.cause, Cause::Timer(_));
        if !is_silent_end {
            self.comment_later(
                (local, remote),
                format!("{name}: {}", words::transition(transition)),
            );
        }
    }

    fn note_refusal(&mut self, refusal: &Refusal) {
        let (Some(local), Some(remote)) = (refusal.end.local, refusal.end.remote) else { return };
        let name = self.name((local, remote));
        let comment = format!("{name}: not taken: {}", refusal.why);
        let is_it = |arrived: &Arrived| {
            arrived.way == (remote, local)
                && arrived.flags == refusal.flags
                && arrived.seq == refusal.seq
        };
        if !self.comment(is_it, &comment) {
            self.comment_later((local, remote), format!("{name}: {}", refusal.why));
        }
    }

    fn comment_later(&mut self, way: Way, comment: String) {
        let late = self.late.entry(way).or_default();
        if late.len() < MAX_LATE {
            late.push(comment);
        }
    }

    fn note_call(&mut self, call: &Call) {
        if call.pid == 0 {
            return;
        }
        self.users.extend(call.end.socket.map(|socket| (socket, call.pid)));
        let Some(local) = call.end.local else { return };
        match call.api {
            Api::Listen => _ = self.listeners.insert(local.port(), call.pid),
            Api::Connect => {
                self.callers.insert(local, call.pid);
                let client = self.program("client", call.pid);
                let syns = self.held.iter_mut().filter(|held| is_first(held.flags));
                for syn in syns.filter(|syn| syn.way.0 == local) {
                    if !syn.packet.comments.contains(&client) {
                        syn.packet.comments.insert(0, client.clone());
                    }
                }
            }
            _ => {}
        }
    }

    /// `client`, `server`, or an address where that is not known.
    fn name(&self, (local, remote): Way) -> String {
        let client = self.clients.contains(&(local, remote));
        let server = self.servers.contains(&(local, remote));
        match (client, server) {
            (true, false) => "client".to_owned(),
            (false, true) => "server".to_owned(),
            _ => match (
                self.clients.contains(&(remote, local)),
                self.servers.contains(&(remote, local)),
            ) {
                (true, false) => "server".to_owned(),
                (false, true) => "client".to_owned(),
                _ => local.to_string(),
            },
        }
    }

    /// Which programs a connection is between, as far as they are known.
    fn programs_of(&self, (from, to): Way) -> Vec<String> {
        let client = self.callers.get(&from).map(|pid| self.program("client", *pid));
        let server = self.listeners.get(&to.port()).map(|pid| self.program("server", *pid));
        client.into_iter().chain(server).collect()
    }

    fn program(&self, role: &str, pid: u32) -> String {
        let name = self.programs.get(&pid).map_or("", String::as_str);
        format!("{role}: {name}[{pid}]")
    }
}

/// A SYN that opens.
fn is_first(flags: Flags) -> bool {
    flags.syn() && !flags.ack()
}

#[cfg(test)]
#[path = "annotate_tests.rs"]
mod tests;
