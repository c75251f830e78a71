//! `shutdown()`: the reading side is the stack's to end, the writing side the kernel's.

use libc::c_int;
use tcplab_ipc::Errno;
use tcplab_ipc::message::{How, Request};
use tcplab_ipc::names::Role;

use crate::descriptor::{self, Socket};
use crate::ops::plug::Progress;
use crate::ops::{names, plug};
use crate::{control, sys};

/// `shutdown()` on one of our sockets.
pub(crate) fn shutdown(socket: &Socket, how: c_int) -> Result<(), Errno> {
    let how = match how {
        libc::SHUT_RD => How::Read,
        libc::SHUT_WR => How::Write,
        libc::SHUT_RDWR => How::Both,
        _ => return Err(Errno::EINVAL),
    };
    match socket.role() {
        // Another thread may wait in connect(), which this ends.
        Role::Fresh => control::ask(socket, &Request::Shutdown(how)).inspect_err(|_| {
            // Linux: an error, and yet the directions are shut from now on. Of a kernel socket that
            // is shut for writing a connect() makes a fresh one; one that is shut for reading only
            // would take no octets from the stack.
            let shut = if how == How::Write { libc::SHUT_WR } else { libc::SHUT_RDWR };
            let _ = sys::shutdown(socket.fd, shut);
        }),
        // Linux: stops listening, except for SHUT_WR, which does nothing.
        Role::Listener if how == How::Write => Ok(()),
        Role::Listener => {
            control::ask(socket, &Request::Shutdown(how))?;
            plug::replace(socket).map(drop)
        }
        Role::Connection => shutdown_connection(socket, how),
    }
}

fn shutdown_connection(socket: &Socket, how: How) -> Result<(), Errno> {
    let was_connecting = is_connecting(socket);
    control::ask(socket, &Request::Shutdown(how))?;
    if was_connecting && names::peer(socket) == Err(Errno::ENOTCONN) {
        // Linux: in SYN-SENT it is the end of the attempt; the socket is unconnected again.
        return plug::replace(socket).map(drop);
    }
    if how != How::Read {
        // SHUT_RD would look like a close to the stack.
        let _ = sys::shutdown(socket.fd, libc::SHUT_WR);
    }
    Ok(())
}

fn is_connecting(socket: &Socket) -> bool {
    !descriptor::hint(socket.fd).is_open() && plug::settle(socket.fd) == Progress::Connecting
}
