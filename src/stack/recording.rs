//! What the stack records of what happens: segments as they leave and arrive, what the host notes,
//! and what programs ask.
//!
//! A segment that is recorded gets a serial number. Its arrival is told by its header: the
//! headers of recorded segments under way are kept in the order in which the kernel carries them.
//! Of bulk nothing is looked at unless somebody traces.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use super::endpoint::{Connector, Endpoints};
use super::octets::{Octets, Seen};
use super::{RealTime, Stack};
use crate::host::{self, Sent, SocketKey};
use crate::inspect::Answer;
use crate::ipc::message::{How, Reply, Request};
use crate::ipc::record::Api;
use crate::ipc::{Errno, SocketId};
use crate::time::{Duration, Instant};
use crate::trace::{Agent, Argument, Call, End, Fate, Operation, Recorder, Weight, What};
use crate::wire::{Flags, HEADER_LEN};

/// Recorded segments under way per address family; of more the arrivals are not told.
const MAX_UNDER_WAY: usize = 1024;
/// Processes whose program names are kept.
const MAX_PROGRAMS: usize = 4096;
/// Records in one answer.
const MAX_ANSWER: usize = 8192;

/// Number of a segment.
pub(super) type Serial = u64;

/// What identifies a segment under way: everything in the fixed part of its header.
type Head = [u8; HEADER_LEN];

/// A segment that was recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Recorded {
    serial: Serial,
    weight: Weight,
}

/// A recorded segment under way.
struct UnderWay {
    recorded: Recorded,
    head: Head,
}

/// Who makes a call, as far as the stack knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Caller {
    pub(super) pid: u32,
    pub(super) fd: i32,
    /// Return address in the program, 0 where it was not told.
    pub(super) address: u64,
}

/// The recorder of a stack, and what it needs to know beside.
pub(super) struct Recording {
    began: RealTime,
    /// Real time since then when stack time was last read: what is recorded carries it.
    real: Duration,
    recorder: Recorder,
    serial: Serial,
    /// IPv4 and IPv6, which the kernel queues apart.
    under_way: [VecDeque<UnderWay>; 2],
    /// Recorded segments that the link has kept, or has copies of.
    kept: BTreeMap<Serial, Weight>,
    programs: HashMap<u32, String>,
    /// Of segments, for captures.
    octets: Octets,
    tracers: Tracers,
}

/// Who wants bulk to be recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Tracers {
    /// The user, with `tcplab trace on`.
    user: bool,
    /// Commands that watch.
    watchers: bool,
}

impl Recording {
    pub(super) fn new(began: RealTime) -> Recording {
        Recording {
            began,
            real: Duration::ZERO,
            recorder: Recorder::default(),
            serial: 0,
            under_way: [VecDeque::new(), VecDeque::new()],
            kept: BTreeMap::new(),
            programs: HashMap::new(),
            octets: Octets::default(),
            tracers: Tracers::default(),
        }
    }

    /// Real time since the stack began.
    pub(super) fn real(&self) -> Duration {
        self.began.elapsed()
    }

    /// It is `real` now.
    pub(super) fn note_time(&mut self, real: RealTime) {
        self.real = real.saturating_duration_since(self.began);
    }

    /// Records got lost on their way here.
    pub(super) fn note_missed(&mut self, count: u64) {
        self.recorder.note_missed(count);
    }

    pub(super) fn note(&mut self, now: Instant, weight: Weight, what: What) {
        if self.recorder.wants(weight) {
            self.recorder.note(now, self.real, weight, what);
        }
    }

    /// The same for what happened at `real`, which may be a while ago.
    pub(super) fn note_at(&mut self, now: Instant, real: Duration, weight: Weight, what: What) {
        self.recorder.note(now, real, weight, what);
    }

    /// A call that began at `real`.
    pub(super) fn note_call(&mut self, now: Instant, real: Duration, weight: Weight, call: Call) {
        self.note_at(now, real, weight, What::Call(call));
    }

    /// Records of this weight are kept.
    pub(super) fn wants(&self, weight: Weight) -> bool {
        self.recorder.wants(weight)
    }

    /// Bulk is recorded.
    pub(super) fn is_tracing(&self) -> bool {
        self.recorder.is_tracing()
    }

    /// Begins or ends the recording of bulk, as far as the user is concerned.
    pub(super) fn set_tracing(&mut self, now: Instant, tracing: bool) {
        self.tracers.user = tracing;
        self.apply_tracers(now);
    }

    /// Begins or ends the recording of bulk, as far as watchers are concerned.
    pub(super) fn set_watched(&mut self, now: Instant, watched: bool) {
        self.tracers.watchers = watched;
        self.apply_tracers(now);
    }

    fn apply_tracers(&mut self, now: Instant) {
        let tracing = self.tracers.user || self.tracers.watchers;
        if tracing != self.recorder.is_tracing() {
            let operation = if tracing { Operation::TracingOn } else { Operation::TracingOff };
            self.note(now, Weight::Control, What::Operator(operation));
            self.recorder.set_tracing(tracing);
        }
    }

    /// The recorder and the octets of segments, for who passes them on.
    pub(super) fn parts(&mut self) -> (&Recorder, &mut Octets) {
        (&self.recorder, &mut self.octets)
    }

    /// The name of the program that a process runs, where it is known.
    pub(super) fn program(&self, pid: u32) -> Option<&str> {
        self.programs.get(&pid).map(String::as_str)
    }

    /// Keeps the octets of the segment that was recorded last, where somebody captures.
    fn keep_octets(&mut self, seen: Seen, ends: [SocketAddr; 2], octets: &[u8]) {
        if self.octets.are_wanted() {
            self.octets.keep(self.recorder.next() - 1, seen, ends, octets);
        }
    }

    /// Records that `sent` leaves, and what the link makes of it.
    pub(super) fn note_sent(
        &mut self,
        now: Instant,
        sent: &Sent,
        octets: &[u8],
        fate: Fate,
    ) -> Option<Recorded> {
        let serial = self.new_serial();
        self.note_sent_as(now, serial, sent, octets, fate)
    }

    /// A number for a segment that is offered to the link.
    pub(super) fn new_serial(&mut self) -> Serial {
        self.serial += 1;
        self.serial
    }

    /// The same for a segment that has its number; gives `None` where it is not recorded.
    pub(super) fn note_sent_as(
        &mut self,
        now: Instant,
        serial: Serial,
        sent: &Sent,
        octets: &[u8],
        fate: Fate,
    ) -> Option<Recorded> {
        // On a slow link all of a download is delayed: that is bulk as before.
        let routine = matches!(fate, Fate::Passed | Fate::Delayed(Agent::Netem, _));
        let weight = if routine { sent.weight } else { Weight::Control };
        if !self.recorder.wants(weight) {
            return None;
        }
        let record = sent.record(serial, octets, fate)?;
        self.recorder.note(now, self.real, weight, What::Segment(record));
        self.keep_octets(Seen::Sent, [record.from, record.to], octets);
        if fate != Fate::Passed {
            if self.kept.len() == MAX_UNDER_WAY {
                self.kept.pop_first();
            }
            self.kept.insert(serial, weight);
        }
        Some(Recorded { serial, weight })
    }

    /// A segment that the link has kept goes on the wire now; `None`: it was made there.
    pub(super) fn note_leaves_link(&mut self, to: IpAddr, serial: Option<Serial>, octets: &[u8]) {
        let recorded = serial
            .and_then(|serial| self.kept.get(&serial).map(|&weight| Recorded { serial, weight }));
        self.note_under_way(to, recorded, octets);
    }

    /// A recorded segment goes on the wire now.
    pub(super) fn note_under_way(&mut self, to: IpAddr, recorded: Option<Recorded>, octets: &[u8]) {
        let Some((recorded, head)) = recorded.zip(octets.first_chunk()) else { return };
        let queue = &mut self.under_way[usize::from(to.is_ipv6())];
        if queue.len() == MAX_UNDER_WAY {
            queue.pop_front();
        }
        queue.push_back(UnderWay { recorded, head: *head });
    }

    /// A segment has arrived. Those before it in the queue were lost on the wire.
    pub(super) fn note_arrived(&mut self, now: Instant, from: IpAddr, to: IpAddr, octets: &[u8]) {
        let Some(head) = octets.first_chunk::<HEADER_LEN>() else { return };
        let queue = &mut self.under_way[usize::from(to.is_ipv6())];
        let place = queue.iter().position(|known| known.head == *head);
        let known = place.and_then(|place| queue.drain(..=place).next_back());
        let recorded = known.map(|known| known.recorded);
        let weight = match recorded {
            Some(recorded) => recorded.weight,
            None if is_control(head) => Weight::Control,
            None => Weight::Bulk,
        };
        if !self.recorder.wants(weight) {
            return;
        }
        let serial = recorded.map(|recorded| recorded.serial);
        let Some(arrival) = host::arrival(serial, from, to, octets) else { return };
        self.note(now, weight, What::Arrival(arrival));
        let seen = if recorded.is_some() { Seen::Arrived } else { Seen::Foreign };
        self.keep_octets(seen, [arrival.from, arrival.to], octets);
    }

    /// Keeps the name of the program that a process runs.
    pub(super) fn note_program(&mut self, pid: u32) {
        if pid == 0 || self.programs.contains_key(&pid) {
            return;
        }
        if self.programs.len() >= MAX_PROGRAMS {
            self.programs.clear();
        }
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        self.programs.insert(pid, name.trim_end().to_owned());
    }

    /// A process runs another program now, or its number was given to another process.
    pub(super) fn forget_program(&mut self, pid: u32) {
        self.programs.remove(&pid);
    }

    fn answer(&self, now: Instant, since: u64, most: usize) -> Answer {
        let mut records = self.recorder.since(since, most.min(MAX_ANSWER));
        records.programs = self.programs.iter().map(|(pid, name)| (*pid, name.clone())).collect();
        records.programs.sort_unstable();
        records.now_ns = now.as_nanos();
        records.real_now_ns = u64::try_from(self.real().as_nanos()).unwrap_or(u64::MAX);
        Answer::Records(records)
    }
}

/// SYN, FIN or RST.
fn is_control(head: &Head) -> bool {
    Flags(head[13]).intersects(Flags::SYN | Flags::FIN | Flags::RST)
}

fn id_of(endpoints: &Endpoints, key: SocketKey) -> Option<SocketId> {
    endpoints.by_key(key).and_then(|index| endpoints.get(index)).map(|endpoint| endpoint.id)
}

impl Stack {
    /// Records what the host notes.
    pub(super) fn record_notes(&mut self, now: Instant) {
        while let Some(note) = self.host.poll_note() {
            let socket = note.key.and_then(|key| id_of(&self.endpoints, key));
            let (weight, what) = note.record(socket);
            self.recording.note(now, weight, what);
        }
        match self.host.take_lost_notes() {
            0 => {}
            lost => self.recording.note_missed(lost),
        }
    }

    /// The end of a connection or the socket that `key` is now.
    pub(super) fn end_of(&self, key: SocketKey) -> End {
        let (local, remote) = self.host.ends(key);
        End { socket: id_of(&self.endpoints, key), local, remote }
    }

    /// Records what a program asked, and what it was answered.
    pub(super) fn record_request(
        &mut self,
        now: Instant,
        end: End,
        caller: Caller,
        request: &Request<'_>,
        outcome: Result<i64, Errno>,
    ) {
        let Some((api, argument, weight)) = describe(request) else { return };
        let weight = if outcome.is_err() { Weight::Control } else { weight };
        if self.recording.recorder.wants(weight) {
            let call = call_of(end, caller, api, argument, outcome);
            self.recording.note(now, weight, What::Call(call));
        }
    }

    /// Records a connect() whose outcome its program waited for.
    pub(super) fn record_connect(
        &mut self,
        now: Instant,
        end: End,
        connector: &Connector,
        outcome: Result<(), Errno>,
    ) {
        let real = self.recording.real();
        let took = real.saturating_sub(connector.began);
        let argument = Argument::Address(connector.address);
        let mut call = call_of(end, connector.caller, Api::Connect, argument, outcome.map(|()| 0));
        call.took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.recording.note_at(now, connector.began, Weight::Control, What::Call(call));
    }

    /// Records a call that is known otherwise than by a request.
    pub(super) fn record_call(
        &mut self,
        now: Instant,
        end: End,
        caller: Caller,
        (api, argument): (Api, Argument),
        outcome: Result<i64, Errno>,
    ) {
        let call = call_of(end, caller, api, argument, outcome);
        self.recording.note(now, Weight::Control, What::Call(call));
    }

    /// The answer to a question for records.
    pub(super) fn records(&mut self, now: Instant, since: u64, most: usize) -> Answer {
        self.record_notes(now);
        self.recording.answer(now, since, most)
    }
}

fn call_of(
    end: End,
    caller: Caller,
    api: Api,
    argument: Argument,
    outcome: Result<i64, Errno>,
) -> Call {
    let Caller { pid, fd, address } = caller;
    let (value, errno) = match outcome {
        Ok(value) => (value, None),
        Err(errno) => (-1, Some(errno)),
    };
    Call { end, pid, fd, api, argument, value, errno, times: 1, took_ns: 0, caller: address }
}

/// The call that a request stands for, what it was given, and whether it is always recorded.
fn describe(request: &Request<'_>) -> Option<(Api, Argument, Weight)> {
    let how = |how: How| match how {
        How::Read => libc::SHUT_RD,
        How::Write => libc::SHUT_WR,
        How::Both => libc::SHUT_RDWR,
    };
    Some(match *request {
        Request::Bind(address) => (Api::Bind, Argument::Address(address), Weight::Control),
        Request::Listen(backlog) => (Api::Listen, Argument::Backlog(backlog), Weight::Control),
        Request::Connect(address, _) => (Api::Connect, Argument::Address(address), Weight::Control),
        Request::Disconnect => (Api::Connect, Argument::None, Weight::Control),
        Request::Shutdown(direction) => {
            (Api::Shutdown, Argument::How(how(direction)), Weight::Control)
        }
        Request::Names => (Api::Names, Argument::None, Weight::Bulk),
        Request::SetOption(level, name, _) => {
            (Api::SetOption, Argument::Option(level, name), Weight::Bulk)
        }
        Request::GetOption(level, name, _) => {
            (Api::GetOption, Argument::Option(level, name), Weight::Bulk)
        }
        Request::TakeError => {
            let so_error = Argument::Option(libc::SOL_SOCKET, libc::SO_ERROR);
            (Api::GetOption, so_error, Weight::Bulk)
        }
        Request::OutQueue | Request::UnsentQueue => (Api::Ioctl, Argument::None, Weight::Bulk),
        Request::Hello { .. }
        | Request::Renew(_)
        | Request::TakeReadError
        | Request::WaitClosed
        | Request::Ring
        | Request::Leaving(_)
        | Request::Command(_) => return None,
    })
}

/// What a program was answered, as the value of its call.
pub(super) fn outcome_of(reply: &Reply<'_>) -> Result<i64, Errno> {
    match *reply {
        Reply::Error(errno) => Err(errno),
        Reply::Number(number) => Ok(number),
        _ => Ok(0),
    }
}
