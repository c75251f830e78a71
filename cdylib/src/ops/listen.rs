//! `bind()` and `listen()`.

use tcplab_ipc::Errno;
use tcplab_ipc::message::Request;
use tcplab_ipc::names::Role;
use tcplab_ipc::record::Call;

use crate::control;
use crate::descriptor::{self, Hint, Socket};
use crate::ops::plug::{self, Filler};
use crate::sockaddr::Given;

/// `bind()` on one of our sockets.
pub(crate) fn bind(socket: &Socket, address: &Given) -> Result<(), Errno> {
    control::ask(socket, &Request::Bind(address.local(socket.domain)?))
}

/// `listen()` on one of our sockets. `caller` is the return address of the call.
pub(crate) fn listen(socket: &Socket, backlog: i32, caller: usize) -> Result<(), Errno> {
    control::ask(socket, &Request::Listen(backlog))?;
    match socket.role() {
        Role::Listener => return Ok(()),
        // Filler that the stack never reads: a listening socket does not poll writable.
        Role::Fresh => plug::plug(socket, Call::Listen, caller, Filler::With)?,
        // The stack lets it listen, so its connection is over.
        Role::Connection => {
            plug::plug(&plug::replace(socket)?, Call::Listen, caller, Filler::With)?;
        }
    }
    descriptor::note(socket.fd, Hint::Listener);
    Ok(())
}
