//! What the host tells, as records of the trace: the same for a stack and for a simulation.

use core::net::{IpAddr, SocketAddr};

use super::notes::{Note, Noted};
use super::transmit::Sent;
use crate::ipc::SocketId;
use crate::tcp::Timer;
use crate::trace::{Arrival, End, Expiry, Fate, Refusal, Segment, Transition, Weight, What};
use crate::wire;

impl Note {
    /// The note as a record about `socket`, and whether it is always recorded.
    pub fn record(&self, socket: Option<SocketId>) -> (Weight, What) {
        let end = End { socket, local: self.local, remote: self.remote };
        match self.what {
            Noted::State { from, to, cause, reset } => {
                (Weight::Control, What::State(Transition { end, from, to, cause, reset }))
            }
            Noted::Timer(timer, count) => {
                let weight = match timer {
                    Timer::DelayedAck => Weight::Bulk,
                    _ => Weight::Control,
                };
                (weight, What::Timer(Expiry { end, timer, count }))
            }
            Noted::Dropped { flags, seq, text_len, why } => {
                (Weight::Control, What::Dropped(Refusal { end, flags, seq, text_len, why }))
            }
        }
    }
}

impl Sent {
    /// The record of a segment that leaves with these octets, and of what the link makes of it.
    /// `None`: the octets have not the form of a segment.
    pub fn record(&self, serial: u64, octets: &[u8], fate: Fate) -> Option<Segment> {
        let segment = wire::read(octets)?;
        let header = &segment.header;
        Some(Segment {
            serial,
            from: SocketAddr::new(self.from, header.source_port),
            to: SocketAddr::new(self.to, header.destination_port),
            flags: header.flags,
            seq: header.seq.0,
            ack: header.ack.0,
            isn: self.isns.0.map(|isn| isn.0),
            peer_isn: self.isns.1.map(|isn| isn.0),
            window: header.window,
            text_len: segment.payload.len() as u32,
            options: header.options,
            sending: self.sending,
            reset: self.reset,
            fate,
        })
    }
}

/// The record of a segment that arrives. `None`: the octets have not the form of one.
pub fn arrival(serial: Option<u64>, from: IpAddr, to: IpAddr, octets: &[u8]) -> Option<Arrival> {
    let segment = wire::read(octets)?;
    let header = &segment.header;
    Some(Arrival {
        serial,
        from: SocketAddr::new(from, header.source_port),
        to: SocketAddr::new(to, header.destination_port),
        flags: header.flags,
        seq: header.seq.0,
        ack: header.ack.0,
        text_len: segment.payload.len() as u32,
    })
}
