//! What the laboratory does with real programs: break, watch, draw, assert. One part a module.

mod common;

#[allow(dead_code)]
#[path = "scenarios/actor.rs"]
mod actor;
#[path = "laboratory/calls.rs"]
mod calls;
#[allow(dead_code)]
#[path = "scenarios/capture.rs"]
mod capture;
#[path = "laboratory/capture.rs"]
mod captures;
#[path = "laboratory/clock.rs"]
mod clock;
#[path = "laboratory/diagram.rs"]
mod diagram;
#[path = "laboratory/expect.rs"]
mod expect;
#[allow(dead_code)]
#[path = "scenarios/ground.rs"]
mod ground;
#[path = "laboratory/leaks.rs"]
mod leaks;
#[path = "laboratory/link.rs"]
mod link;
#[path = "laboratory/records.rs"]
mod records;
#[path = "laboratory/top.rs"]
mod top;
#[path = "laboratory/trace.rs"]
mod traces;
#[path = "laboratory/watch.rs"]
mod watch;
#[path = "laboratory/why.rs"]
mod why;
