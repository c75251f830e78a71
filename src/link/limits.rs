//! Every bound of the link, with its name.

/// Impairments (`tcplab netem`) at one time.
pub const MAX_IMPAIRMENTS: usize = 64;
/// Rules at one time.
pub const MAX_RULES: usize = 256;
/// Segments that one rule holds. More are lost, and counted.
pub const MAX_HELD: usize = 1000;
/// Segments under way by rules (delayed, duplicated, forged). More are lost, and counted.
pub const MAX_UNDER_WAY: usize = 10_000;
/// Packets that an impairment queues unless `limit` says otherwise.
pub const DEFAULT_LIMIT: u32 = 1000;
/// Highest `limit`.
pub const MAX_LIMIT: u32 = 1_000_000;
/// Octets of all segments that are queued or held. More are lost, and counted.
pub const MAX_OCTETS: usize = 256 << 20;
/// Connections that one rule remembers; the one not seen for longest is forgotten.
pub const MAX_CONNECTIONS: usize = 4096;
/// Copies that `duplicate` makes of one segment.
pub const MAX_COPIES: u32 = 100;
