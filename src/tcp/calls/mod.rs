//! User calls (RFC 9293 3.10.1 to 3.10.6), one a file: OPEN, SEND, RECEIVE, CLOSE and ABORT,
//! STATUS.

mod close;
mod open;
mod receive;
mod send;
mod status;

pub use status::{Info, Queues, RunningTimer};
