//! Your own TCP under unmodified programs.

pub use tcplab_ipc as ipc;

pub mod client;
pub mod host;
pub mod inspect;
pub mod tcp;
pub mod time;
pub mod wire;
