//! Your own TCP under unmodified programs: `LD_PRELOAD` one library, and a program's TCP sockets
//! are served by the state machine in this crate, its segments in UDP datagrams.
//!
//! To use it, start with [`manual::tutorial`]; to change it, with [`manual::design`]. From the wire
//! upwards: [`wire`] (octets and values), [`link`] (what a network does to segments), [`tcp`] (one
//! connection), [`host`] (one machine), [`stack`] (the process that plays the kernel), [`trace`] and
//! [`inspect`] (what can be asked of it), [`diagram`] (what happened, drawn), [`capture`] (the
//! segments as a file for Wireshark). The shim is the package in `cdylib/`; what it and the stack say
//! to each other is in [`ipc`].

pub use tcplab_ipc as ipc;

pub mod capture;
pub mod client;
pub mod diagram;
pub mod host;
pub mod inspect;
pub mod link;
pub mod manual;
pub mod sim;
pub mod stack;
pub mod tcp;
pub mod time;
pub mod trace;
pub mod watch;
pub mod wire;
