//! Receiving one descriptor (`SCM_RIGHTS`) beside a message.

use core::mem::{offset_of, zeroed};
use core::ptr;

use libc::{c_int, cmsghdr, msghdr};

/// A control message with one descriptor, as aligned as the kernel wants it.
#[repr(C)]
pub(crate) struct OneDescriptor {
    header: cmsghdr,
    fd: c_int,
    rest: c_int,
}

impl OneDescriptor {
    pub(crate) fn new() -> OneDescriptor {
        // SAFETY: integers only.
        unsafe { zeroed() }
    }

    /// Receives into `part`, and the descriptor into `self`, by `receive`; gives what that gives,
    /// and the descriptor where one came.
    pub(crate) fn receive<T>(
        &mut self,
        part: &mut [u8],
        receive: impl FnOnce(&mut msghdr) -> T,
    ) -> (T, Option<c_int>) {
        let mut part = libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() };
        // SAFETY: all octets zero is a message without parts.
        let mut message: msghdr = unsafe { zeroed() };
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = ptr::from_mut(self).cast();
        message.msg_controllen = size_of::<OneDescriptor>() as _;
        let got = receive(&mut message);
        let has_one = message.msg_controllen >= offset_of!(OneDescriptor, rest)
            && self.header.cmsg_level == libc::SOL_SOCKET
            && self.header.cmsg_type == libc::SCM_RIGHTS;
        (got, has_one.then_some(self.fd))
    }
}
