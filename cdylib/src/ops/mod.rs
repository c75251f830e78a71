//! What each call on one of our sockets means: safe logic between the hooks and the stack.

pub(crate) mod accept;
pub(crate) mod close;
pub(crate) mod connect;
pub(crate) mod io;
pub(crate) mod ioctl;
pub(crate) mod listen;
pub(crate) mod names;
pub(crate) mod options;
pub(crate) mod peek;
pub(crate) mod plug;
pub(crate) mod shutdown;
pub(crate) mod socket;
