//! Sequence diagrams: what happened to a connection, drawn from the records of the trace.
//!
//! Four lifelines: the client's program, the client's TCP, the server's TCP, the server's program.
//! Calls with what they were given and what they returned, segments with the way they took, states
//! where they change, timers that ran out, segments that were lost or not taken, and by whom.
//!
//! | concept | file |
//! | --- | --- |
//! | which records are one connection, and who is its client | `connections.rs` |
//! | what happened to it, in the order of cause and effect | `steps.rs` |
//! | many segments of text in a row, told as one | `folding.rs` |
//! | rows, lifelines and ways of segments | `picture.rs`, `rows.rs` |
//! | calls, segments, times as words | `words.rs` |
//! | the picture in characters | `text.rs`, `canvas.rs` |
//! | the picture as SVG | `svg.rs` |
//! | the picture as Mermaid | `mermaid.rs` |
//!
//! Not here: who asks the stack for its records (the command), and octets of the text.

mod canvas;
mod connections;
mod folding;
mod mermaid;
mod picture;
mod rows;
mod steps;
mod svg;
mod text;
mod words;

#[cfg(test)]
mod tests;

pub use canvas::{Charset, Ink};
pub use connections::{Connection, Connections, Opening, Side};
pub use mermaid::mermaid;
pub use picture::{Detail, Picture};
pub use svg::svg;
pub use text::{MIN_WIDTH, TextStyle, text};
