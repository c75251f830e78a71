//! Records to test with: a connection from 127.0.0.1:40000 to 127.0.0.1:8080.

use core::net::SocketAddr;

use super::record::{
    Argument, Arrival, Call, End, Fate, Record, Refusal, Segment, Sending, Transition, What,
};
use crate::ipc::SocketId;
use crate::ipc::record::Api;
use crate::tcp::{Cause, Dropped, State};
use crate::wire::{Flags, Options};

pub(crate) fn client() -> SocketAddr {
    ([127, 0, 0, 1], 40000).into()
}

pub(crate) fn server() -> SocketAddr {
    ([127, 0, 0, 1], 8080).into()
}

/// The record with that number, a millisecond after the one before.
pub(crate) fn record(number: u64, what: What) -> Record {
    Record { number, at_ns: number * 1_000_000, real_ns: number * 1_000_000, what }
}

/// What the client sends: initial sequence numbers are 1000 of the client, 5000 of the server.
pub(crate) fn sent(serial: u64, flags: Flags, seq: u32, text_len: u32) -> Segment {
    Segment {
        serial,
        from: client(),
        to: server(),
        flags,
        seq: 1000 + seq,
        ack: if flags.ack() { 5001 } else { 0 },
        isn: Some(1000),
        peer_isn: Some(5000).filter(|_| flags.ack()),
        window: 512,
        text_len,
        options: Options::default(),
        sending: Sending::First,
        reset: None,
        fate: Fate::Passed,
    }
}

/// Its arrival at the server.
pub(crate) fn arrived(segment: &Segment) -> Arrival {
    let Segment { serial, from, to, flags, seq, ack, text_len, .. } = *segment;
    Arrival { serial: Some(serial), from, to, flags, seq, ack, text_len }
}

pub(crate) fn end(socket: u64, local: SocketAddr, remote: Option<SocketAddr>) -> End {
    End { socket: Some(SocketId(socket)), local: Some(local), remote }
}

pub(crate) fn server_end() -> End {
    end(2, server(), Some(client()))
}

pub(crate) fn client_end() -> End {
    end(1, client(), Some(server()))
}

pub(crate) fn change(end: End, from: State, to: State, cause: Cause) -> What {
    What::State(Transition { end, from, to, cause, reset: None })
}

pub(crate) fn refused(flags: Flags, seq: u32, why: Dropped) -> What {
    What::Dropped(Refusal { end: server_end(), flags, seq: 1000 + seq, text_len: 0, why })
}

pub(crate) fn call(end: End, pid: u32, fd: i32, api: Api, argument: Argument) -> Call {
    Call { end, pid, fd, api, argument, value: 0, errno: None, times: 1, took_ns: 0, caller: 0 }
}
