//! `getsockname()` and `getpeername()`.

use core::net::SocketAddr;

use tcplab_ipc::Errno;
use tcplab_ipc::message::{MAX_MESSAGE, Reply, Request};

use crate::control;
use crate::descriptor::Socket;

/// The socket's own address.
pub(crate) fn local(socket: &Socket) -> Result<SocketAddr, Errno> {
    names(socket)?.0.ok_or(Errno::ENETDOWN)
}

/// The peer's address.
pub(crate) fn peer(socket: &Socket) -> Result<SocketAddr, Errno> {
    names(socket)?.1.ok_or(Errno::ENOTCONN)
}

fn names(socket: &Socket) -> Result<(Option<SocketAddr>, Option<SocketAddr>), Errno> {
    match control::call(socket, &Request::Names, &mut [0; MAX_MESSAGE])? {
        Reply::Names(local, peer) => Ok((local, peer)),
        _ => Err(Errno::ENETDOWN),
    }
}
