//! What must not break the stack: hostile clients, hostile datagrams, programs that vanish,
//! full tables; and the tools that people run their programs under.
//!
//! After each attack the stack serves as before, holds what it held, and rests.

mod common;

#[path = "robustness/channel.rs"]
mod channel;
#[path = "robustness/client.rs"]
mod client;
#[path = "robustness/programs.rs"]
mod programs;
#[path = "robustness/strangers.rs"]
mod strangers;
#[path = "robustness/tools.rs"]
mod tools;
#[path = "robustness/wire.rs"]
mod wire;
