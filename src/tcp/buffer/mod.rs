//! Octets in memory: a ring that grows, and the map of what is there out of order.

mod reassembly;
mod ring;

pub(super) use reassembly::{Insert, Reassembly};
pub(super) use ring::Ring;
