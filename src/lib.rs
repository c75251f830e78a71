//! Your own TCP under unmodified programs: `LD_PRELOAD` one library, and a program's TCP sockets
//! are served by the state machine in this crate, its segments in UDP datagrams.
//!
//! Start with [`manual::design`]. From the wire upwards: [`wire`] (octets and values), [`tcp`]
//! (one connection), [`host`] (one machine), [`stack`] (the process that plays the kernel),
//! [`inspect`] (what can be asked of it). The shim is the package in `cdylib/`; what it and the
//! stack say to each other is in [`ipc`].

pub use tcplab_ipc as ipc;

pub mod client;
pub mod host;
pub mod inspect;
pub mod manual;
pub mod sim;
pub mod stack;
pub mod tcp;
pub mod time;
pub mod wire;
