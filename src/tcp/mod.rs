//! One TCP connection as a machine without sockets, clock, threads or randomness (RFC 9293).
//!
//! Contract: one mutation (`handle_*` or a user call), then drain [`Tcb::poll_transmit`] until
//! `None`, [`Tcb::poll_event`] until `None`, then ask [`Tcb::poll_timeout`]; then the next
//! mutation. Time is an argument; the initial sequence number and the timestamp offset come from
//! the host. The same calls give the same segments, octet for octet.
//!
//! # Where things are
//!
//! | concept | file |
//! | --- | --- |
//! | states, figure, which may follow which | `state.rs` |
//! | the TCB and the one door for transitions | `tcb.rs` |
//! | user calls: OPEN SEND RECEIVE CLOSE ABORT STATUS | `calls/` |
//! | SEGMENT ARRIVES, one step of RFC 9293 3.10.7.4 a file | `arrives/` |
//! | what is sent next, headers, the receive window | `output/` |
//! | timers and what happens when they run out | `timers/`, `rtt.rs` |
//! | what is in flight, what is lost, how much may be sent | `flight.rs`, `recovery.rs`, `congestion/` |
//! | octets | `buffer/` |
//! | timestamps and PAWS | `timestamps.rs` |
//! | TIME-WAIT after the TCB | `time_wait.rs` |
//! | LISTEN and CLOSED, which have no TCB | `arrives/listen.rs`, `arrives/closed.rs`, `isn.rs` |
//!
//! # The way of an octet
//!
//! The program's octets enter the send ring ([`Tcb::send_reserve`], [`Tcb::send_commit`]);
//! [`Tcb::poll_transmit`] lends them to the wire from there, and they stay until acknowledged.
//! Received octets are copied once, into their final place in the receive ring, in order or not;
//! [`Tcb::received`] lends those in order, [`Tcb::consume`] forgets them.
//!
//! # Where Linux wins over the RFC
//!
//! * Octets after the program has closed are answered with RST, and orphans leave FIN-WAIT-2.
//! * Limits given as counts (tcp_retries2 ...) are limits of time.
//! * Zero-window probes carry no text.
//! * A segment without timestamps on a connection that negotiated them is taken.
//! * Nagle holds a small segment back only behind another small one (Minshall).
//!
//! Not here: path MTU discovery, ECN, Fast Open, RACK-TLP, PRR; the seams are `recovery.rs` and
//! `congestion/`.

mod arrives;
mod buffer;
mod calls;
mod config;
mod congestion;
mod event;
mod flight;
mod isn;
mod limits;
mod output;
mod recovery;
mod rtt;
mod state;
mod tcb;
mod time_wait;
mod timers;
mod timestamps;

#[cfg(test)]
mod tests;

pub use arrives::{ListenVerdict, arrives_in_listen, reset_for};
pub use calls::{Info, Queues, RunningTimer};
pub use config::{Config, KeepAlive};
pub use congestion::Algorithm;
pub use event::{Cause, Dropped, Event, Outgoing, Release, ResetReason};
pub use isn::{initial_sequence_number, timestamp_offset};
pub use state::State;
pub use tcb::{FourTuple, Origin, Tcb};
pub use time_wait::{TimeWait, TimeWaitVerdict};
pub use timers::Timer;
