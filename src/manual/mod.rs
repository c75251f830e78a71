//! The manual, as chapters of documentation. No code.
//!
//! * [`tutorial`]: the life of a connection, typed in and looked at. Begin here.
//! * [`recipes`]: failures as one meets them, each with a script that makes it happen.
//! * [`corrections`]: what is often told of TCP on Linux, and is not so.
//! * [`design`]: how a call of a program becomes a segment on the wire, and back.
//! * [`differences`]: where a program can tell this TCP from the kernel's.

pub mod corrections;
pub mod design;
pub mod differences;
pub mod recipes;
pub mod tutorial;
