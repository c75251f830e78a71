//! The manual, as chapters of documentation. No code.
//!
//! * [`design`]: how a call of a program becomes a segment on the wire, and back.
//! * [`differences`]: where a program can tell this TCP from the kernel's.

pub mod design;
pub mod differences;
