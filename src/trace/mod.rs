//! The trace: one ordered stream of what programs asked, what segments said, which states changed
//! and why, which timers ran out, and what was dropped for which reason.
//!
//! | concept | file |
//! | --- | --- |
//! | one thing that happened | `record.rs` |
//! | where they are kept, how many | `recorder.rs` |
//! | their values as words | `text.rs` |
//! | which of them are of interest | `select.rs` |
//! | lines that people read | `line.rs`, `words.rs`, `numbers.rs` |
//!
//! Not here: who makes them (the stack), and what is made of them (the command).

pub mod line;
mod numbers;
pub mod record;
pub mod recorder;
#[cfg(test)]
pub(crate) mod samples;
pub mod select;
mod text;
pub mod words;

pub use numbers::Numbers;
pub use record::{
    Agent, Argument, Arrival, Call, End, Expiry, Fate, Operation, Record, Records, Refusal,
    Segment, Sending, Transition, What,
};
pub use recorder::{Recorder, Weight};
