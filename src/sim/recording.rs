//! Records of a simulation: the same stream as a stack's, so that what is drawn and asserted from
//! records can be tried on a virtual clock. Calls are told by who makes them.
//!
//! Real time is a count of records: it orders them, and means nothing else.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::host::{self, Note, Sent, SocketKey};
use crate::ipc::SocketId;
use crate::time::{Duration, Instant};
use crate::trace::{Call, Fate, Record, Recorder, Records, Weight, What};

/// Real time between two records.
const TICK: Duration = Duration::from_nanos(1);

/// A call that has not returned.
#[derive(Clone, Copy, Debug)]
pub struct Begun(Duration);

/// The recorder of a simulation.
#[derive(Default)]
pub(super) struct Recording {
    recorder: Recorder,
    ticks: u32,
    serial: u64,
    /// Keys of each host's sockets and the identities they got.
    ids: BTreeMap<(usize, String), SocketId>,
}

impl Recording {
    pub(super) fn new() -> Recording {
        let mut recording = Recording::default();
        recording.recorder.set_tracing(true);
        recording
    }

    fn real(&mut self) -> Duration {
        self.ticks += 1;
        TICK * self.ticks
    }

    fn note(&mut self, now: Instant, what: What) {
        let real = self.real();
        self.recorder.note(now, real, Weight::Control, what);
    }

    pub(super) fn id(&mut self, host: usize, key: SocketKey) -> SocketId {
        let next = SocketId(self.ids.len() as u64 + 1);
        *self.ids.entry((host, format!("{key:?}"))).or_insert(next)
    }

    pub(super) fn begin(&mut self) -> Begun {
        Begun(self.real())
    }

    pub(super) fn call(&mut self, now: Instant, begun: Option<Begun>, mut call: Call) {
        let real = self.real();
        let began = begun.map_or(real, |Begun(began)| began);
        if begun.is_some() {
            call.took_ns = (real - began).as_nanos() as u64;
        }
        self.recorder.note(now, began, Weight::Control, What::Call(call));
    }

    pub(super) fn host_note(&mut self, now: Instant, host: usize, note: &Note) {
        let socket = note.key.map(|key| self.id(host, key));
        let (_, what) = note.record(socket);
        self.note(now, what);
    }

    /// A number for a segment.
    pub(super) fn new_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// A segment leaves.
    pub(super) fn sent(
        &mut self,
        now: Instant,
        serial: u64,
        sent: &Sent,
        octets: &[u8],
        fate: Fate,
    ) {
        let Some(segment) = sent.record(serial, octets, fate) else { return };
        self.note(now, What::Segment(segment));
    }

    pub(super) fn arrived(
        &mut self,
        now: Instant,
        serial: Option<u64>,
        (from, to): (IpAddr, IpAddr),
        octets: &[u8],
    ) {
        let Some(arrival) = host::arrival(serial, from, to, octets) else { return };
        self.note(now, What::Arrival(arrival));
    }

    pub(super) fn records(&self, now: Instant, programs: &[(u32, &str)]) -> Records {
        let mut records = self.recorder.since(0, usize::MAX);
        records.programs = programs.iter().map(|&(pid, name)| (pid, name.to_owned())).collect();
        records.now_ns = now.as_nanos();
        let newest = records.records.iter().map(|record: &Record| record.real_ns).max();
        records.real_now_ns = newest.unwrap_or(0);
        records
    }
}
