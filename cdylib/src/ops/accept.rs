//! `accept()`: the new descriptor comes as `SCM_RIGHTS` on the listening socket itself.

use core::net::SocketAddr;

use libc::c_int;
use tcplab_ipc::Errno;
use tcplab_ipc::names::Role;
use tcplab_ipc::record::{Arrival, RECORD_LEN};

use crate::control::Life;
use crate::descriptor::{self, Hint, Socket};
use crate::ops::plug;
use crate::rights::OneDescriptor;
use crate::{cancel, control, sys};

/// `accept4()` on one of our sockets: the new descriptor and the peer's address.
pub(crate) fn accept(
    socket: &Socket,
    flags: c_int,
    caller: usize,
) -> Result<(c_int, SocketAddr), Errno> {
    if flags & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    if socket.role() != Role::Listener {
        return Err(Errno::EINVAL);
    }
    let (record, fd) = receive(socket, flags & libc::SOCK_CLOEXEC != 0)?;
    let Some(arrival) = Arrival::decode(&record) else {
        if let Some(fd) = fd {
            sys::close(fd);
        }
        return Err(Errno::ECONNABORTED);
    };
    // Another thread has taken the last number meanwhile.
    let fd = fd.ok_or(Errno::EMFILE)?;
    if flags & libc::SOCK_NONBLOCK != 0 {
        let status = sys::fcntl(fd, libc::F_GETFL, 0)?;
        sys::fcntl(fd, libc::F_SETFL, status | libc::O_NONBLOCK)?;
    }
    descriptor::note(fd, Hint::Connection);
    plug::acknowledge(&Socket { fd, id: arrival.id, ..*socket }, caller);
    Ok((fd, arrival.peer))
}

/// One arrival, of which none may be lost: with the descriptor table full the kernel would take the
/// message and drop the descriptor. So the table is looked at right before, and waiting takes
/// nothing.
fn receive(
    socket: &Socket,
    close_on_exec: bool,
) -> Result<([u8; RECORD_LEN], Option<c_int>), Errno> {
    loop {
        sys::close(sys::fcntl(socket.fd, libc::F_DUPFD_CLOEXEC, 0)?);
        match receive_now(socket, close_on_exec) {
            Err(Errno::EAGAIN) if !socket.is_nonblocking() => {}
            other => return other,
        }
        match cancel::recv(socket.fd, &mut [0], libc::MSG_PEEK) {
            // What it says of an end is seen by the next look.
            Ok(_) | Err(Errno::ECONNRESET) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn receive_now(
    socket: &Socket,
    close_on_exec: bool,
) -> Result<([u8; RECORD_LEN], Option<c_int>), Errno> {
    let mut record = [0; RECORD_LEN];
    let flags = libc::MSG_DONTWAIT | if close_on_exec { libc::MSG_CMSG_CLOEXEC } else { 0 };
    let (got, fd) = OneDescriptor::new().receive(&mut record, |message| {
        // SAFETY: the parts and the control buffer live across the call.
        unsafe { cancel::recvmsg(socket.fd, message, flags) }
    });
    match got {
        Ok(RECORD_LEN) => Ok((record, fd)),
        // It stopped listening while we waited, or the stack is gone.
        Ok(0) | Err(Errno::ECONNRESET) => {
            // In this order: the number may be replaced while we look.
            let stopped = control::life_of_stack(socket) != Life::Dead
                || descriptor::identify(socket.fd).is_none_or(|now| now.id != socket.id);
            Err(if stopped { Errno::EINVAL } else { Errno::ENETDOWN })
        }
        // Never a part of a record: the stack sends whole ones.
        Ok(_) => Err(Errno::ECONNABORTED),
        Err(errno) => Err(errno),
    }
}
