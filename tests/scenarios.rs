//! Scenarios of the connection life cycle, each proved over real programs: by what they see (API),
//! by the states that `tcplab ss` shows, and by the segments that pass (where this user may
//! capture). A test has its scenario's name: `cargo test --test scenarios three_way_handshake`.
//!
//! `TCPLAB_NATIVE=1` runs the same programs and assertions on the kernel, in a network namespace
//! (needs root): that proves the tests. What waits for 2MSL is left out there: it takes a minute.

mod common;

#[path = "scenarios/actor.rs"]
mod actor;
#[path = "scenarios/capture.rs"]
mod capture;
#[path = "scenarios/closing.rs"]
mod closing;
#[path = "scenarios/demos.rs"]
mod demos;
#[path = "scenarios/descriptors.rs"]
mod descriptors;
#[path = "scenarios/ends.rs"]
mod ends;
#[path = "scenarios/ground.rs"]
mod ground;
#[path = "scenarios/losses.rs"]
mod losses;
#[path = "scenarios/octets.rs"]
mod octets;
#[path = "scenarios/opening.rs"]
mod opening;
#[path = "scenarios/ports.rs"]
mod ports;
#[path = "scenarios/time_wait.rs"]
mod time_wait;
