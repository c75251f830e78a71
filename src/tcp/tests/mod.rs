//! The machine against the words of the RFCs, on a virtual clock.
//!
//! [`bench`] is one TCB that is fed segments by hand; [`util`] has two TCBs with a link between
//! them that delays, loses, doubles and reorders.

mod bench;
mod util;

mod acknowledging;
mod arbitrary;
mod close;
mod events;
mod open;
mod recovery;
mod resets;
mod segmenting;
mod settings;
mod time_wait;
mod timers;
mod transfer;
mod window;
