//! Initial sequence numbers of the connections in a stream of records, so that sequence numbers
//! can be written as people count them.

use core::net::SocketAddr;
use std::collections::HashMap;

use super::record::Segment;

/// Connections remembered; with more, all are learned anew.
const MAX_CONNECTIONS: usize = 65_536;

/// Initial sequence numbers by direction.
#[derive(Debug, Default)]
pub struct Numbers(HashMap<(SocketAddr, SocketAddr), u32>);

impl Numbers {
    /// Learns from a segment that was sent.
    pub fn learn(&mut self, segment: &Segment) {
        if self.0.len() >= MAX_CONNECTIONS {
            self.0.clear();
        }
        let Segment { from, to, .. } = *segment;
        let isns = [((from, to), segment.isn), ((to, from), segment.peer_isn)];
        self.0.extend(isns.into_iter().filter_map(|(key, isn)| isn.map(|isn| (key, isn))));
    }

    /// Sequence and acknowledgment number of a segment, counted from the SYNs where these are
    /// known.
    pub fn relative(&self, from: SocketAddr, to: SocketAddr, [seq, ack]: [u32; 2]) -> [u32; 2] {
        let base = |key| self.0.get(&key).copied().unwrap_or(0);
        [seq.wrapping_sub(base((from, to))), ack.wrapping_sub(base((to, from)))]
    }
}
