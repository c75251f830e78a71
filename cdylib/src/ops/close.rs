//! `close()`: the kernel's, but with `SO_LINGER` the program waits for the stack to finish.

use tcplab_ipc::message::Request;

use crate::control::{self, Channel};
use crate::descriptor::{self, Hint, Socket};
use crate::{calls, sys};

/// What is left to do after the descriptor is closed.
pub(crate) struct Lingering {
    socket: Socket,
    channel: Channel,
}

/// Before a number that may be ours is closed.
#[cold]
pub(crate) fn before(fd: i32) -> Option<Lingering> {
    calls::closing(fd);
    let lingering = linger(fd);
    // Before the kernel can give the number to another thread.
    descriptor::note(fd, Hint::Foreign);
    lingering
}

fn linger(fd: i32) -> Option<Lingering> {
    let linger = sys::get_option::<libc::linger>(fd, libc::SO_LINGER).ok()?;
    if linger.l_onoff == 0 || linger.l_linger <= 0 {
        return None;
    }
    let socket = descriptor::identify(fd)?;
    let channel = control::open_for(&socket)?;
    Some(Lingering { socket, channel })
}

/// After it: waits until everything sent is acknowledged, the time is over, or a signal comes.
pub(crate) fn after(lingering: Lingering) {
    control::ask_until_signal(lingering.channel, &lingering.socket, &Request::WaitClosed);
}
