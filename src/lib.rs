//! Your own TCP under unmodified programs.

pub use tcplab_ipc as ipc;

pub mod host;
pub mod inspect;
pub mod sim;
pub mod tcp;
pub mod time;
pub mod wire;
