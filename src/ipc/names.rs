//! Abstract `AF_UNIX` names: how a session, and the identity of a socket, is found in the kernel.
//!
//! ```text
//! tcplab/<uid>/<session>/ctl          SOCK_SEQPACKET listener of the stack: control channel
//! tcplab/<uid>/<session>/conn         SOCK_STREAM listener of the stack: sockets that connect
//! tcplab/<uid>/<session>/listen       SOCK_STREAM listener of the stack: sockets that listen
//! tcplab/<uid>/<session>/watch        SOCK_STREAM listener of the stack: commands that follow
//! tcplab/<uid>/<session>/4/<id>       the program's end of an AF_INET socket
//! tcplab/<uid>/<session>/6/<id>       the program's end of an AF_INET6 socket
//! ```
//!
//! What `getsockname` says of a descriptor tells whether it is ours and who it is; what
//! `getpeername` says tells what it has become (see [`Role`]). Abstract names live in the network
//! namespace, need no file system (chroot), and vanish with the last descriptor.

use core::fmt::Write as _;

use crate::{Domain, SocketId};

/// Longest session name, so that every name fits in `sun_path`.
pub const MAX_SESSION_NAME: usize = 32;
/// `sun_path` without the leading NUL of an abstract name.
const MAX_NAME: usize = 107;
/// Environment variable that names the session: `NAME`, or `UID/NAME` for another user's.
pub const SESSION_VARIABLE: &str = "TCPLAB_SESSION";
/// Environment variable with the secret that admits other users to a session.
pub const SECRET_VARIABLE: &str = "TCPLAB_SECRET";
/// Environment variable of programs that are looked at before they end (`tcplab run --check`): the
/// token by which they and their examiner find each other, a decimal number.
pub const CHECK_VARIABLE: &str = "TCPLAB_CHECK";
/// Session used when [`SESSION_VARIABLE`] is not set.
pub const DEFAULT_SESSION: &str = "default";

/// One session: its owner and its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Session {
    uid: u32,
    len: u8,
    name: [u8; MAX_SESSION_NAME],
}

/// A session name that cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadSession;

impl core::fmt::Display for BadSession {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "a session name is 1 to {MAX_SESSION_NAME} letters, digits, '.', '_' or '-' \
             (another user's: UID/NAME)"
        )
    }
}

impl core::error::Error for BadSession {}

impl Session {
    /// The session `text` (`NAME` or `UID/NAME`) as user `uid` means it.
    pub fn parse(text: &[u8], uid: u32) -> Result<Session, BadSession> {
        let (uid, name) = match text.iter().position(|&b| b == b'/') {
            Some(slash) => (parse_decimal(&text[..slash]).ok_or(BadSession)?, &text[slash + 1..]),
            None => (uid, text),
        };
        let legal = |b: &u8| b.is_ascii_alphanumeric() || b"._-".contains(b);
        if name.is_empty() || name.len() > MAX_SESSION_NAME || !name.iter().all(legal) {
            return Err(BadSession);
        }
        let mut session = Session { uid, len: name.len() as u8, name: [0; MAX_SESSION_NAME] };
        session.name[..name.len()].copy_from_slice(name);
        Ok(session)
    }

    /// User who owns the session.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Name without the owner.
    pub fn name(&self) -> &str {
        core::str::from_utf8(&self.name[..self.len.into()]).unwrap_or("?")
    }
}

/// `UID/NAME`, the form that means the same session for every user.
impl core::fmt::Display for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{}", self.uid, self.name())
    }
}

impl core::fmt::Debug for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

/// Which object of a session a name means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Object {
    /// The stack's control listener.
    Control,
    /// The stack's listener for sockets that connect.
    Connections,
    /// The stack's listener for sockets that listen.
    Listeners,
    /// The stack's listener for commands that follow what happens.
    Watch,
    /// The program's end of a socket.
    App(Domain, SocketId),
}

/// What an emulated socket has become, read from the name of its peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// No peer yet: never connected, never listened.
    Fresh,
    /// Connecting or connected.
    Connection,
    /// Listening.
    Listener,
}

/// An abstract name, without the leading NUL.
#[derive(Clone, Copy)]
pub struct Name {
    len: u8,
    bytes: [u8; MAX_NAME],
}

impl Name {
    /// The name of `object` in `session`.
    pub fn new(session: &Session, object: Object) -> Name {
        let mut name = Name { len: 0, bytes: [0; MAX_NAME] };
        // The longest name is 7 + 10 + 1 + 32 + 3 + 16 = 69 octets: writing cannot fail.
        let _ = match object {
            Object::Control => write!(name, "tcplab/{session}/ctl"),
            Object::Connections => write!(name, "tcplab/{session}/conn"),
            Object::Listeners => write!(name, "tcplab/{session}/listen"),
            Object::Watch => write!(name, "tcplab/{session}/watch"),
            Object::App(Domain::V4, id) => write!(name, "tcplab/{session}/4/{:016x}", id.0),
            Object::App(Domain::V6, id) => write!(name, "tcplab/{session}/6/{:016x}", id.0),
        };
        name
    }

    /// The name without its leading NUL.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }

    /// The name as the kernel wants it, with its length.
    pub fn to_sockaddr(&self) -> (libc::sockaddr_un, libc::socklen_t) {
        let mut address =
            libc::sockaddr_un { sun_family: libc::AF_UNIX as u16, sun_path: [0; 108] };
        for (to, from) in address.sun_path[1..].iter_mut().zip(self.as_bytes()) {
            *to = *from as libc::c_char;
        }
        let len = core::mem::offset_of!(libc::sockaddr_un, sun_path) + 1 + usize::from(self.len);
        (address, len as libc::socklen_t)
    }

    /// Reads what `getsockname`, `getpeername` or `accept` gave; `None` where it is not one of
    /// our names.
    pub fn parse_sockaddr(
        address: &libc::sockaddr_un,
        len: libc::socklen_t,
    ) -> Option<(Session, Object)> {
        let start = core::mem::offset_of!(libc::sockaddr_un, sun_path);
        let len = (len as usize).checked_sub(start)?;
        if i32::from(address.sun_family) != libc::AF_UNIX || len < 2 || len > address.sun_path.len()
        {
            return None;
        }
        if address.sun_path[0] != 0 {
            return None;
        }
        let mut bytes = [0u8; MAX_NAME];
        for (to, from) in bytes.iter_mut().zip(&address.sun_path[1..len]) {
            *to = *from as u8;
        }
        parse(&bytes[..len - 1])
    }
}

impl core::fmt::Write for Name {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let start = usize::from(self.len);
        let to = self.bytes.get_mut(start..start + text.len()).ok_or(core::fmt::Error)?;
        to.copy_from_slice(text.as_bytes());
        self.len += text.len() as u8;
        Ok(())
    }
}

/// Reads an abstract name given without its leading NUL, as `/proc/net/unix` prints it after `@`.
pub fn parse(name: &[u8]) -> Option<(Session, Object)> {
    let rest = name.strip_prefix(b"tcplab/")?;
    let slash = rest.iter().position(|&b| b == b'/')?;
    let name_end = slash + 1 + rest[slash + 1..].iter().position(|&b| b == b'/')?;
    let session = Session::parse(&rest[..name_end], 0).ok()?;
    let object = match &rest[name_end + 1..] {
        b"ctl" => Object::Control,
        b"conn" => Object::Connections,
        b"listen" => Object::Listeners,
        b"watch" => Object::Watch,
        [b'4', b'/', id @ ..] => Object::App(Domain::V4, parse_id(id)?),
        [b'6', b'/', id @ ..] => Object::App(Domain::V6, parse_id(id)?),
        _ => return None,
    };
    // An identity has one name only: of two spellings a stranger could take the other.
    let is_canonical = Name::new(&session, object).as_bytes() == name;
    is_canonical.then_some((session, object))
}

fn parse_id(hex: &[u8]) -> Option<SocketId> {
    if hex.len() != 16 {
        return None;
    }
    u64::from_str_radix(core::str::from_utf8(hex).ok()?, 16).ok().map(SocketId)
}

fn parse_decimal(digits: &[u8]) -> Option<u32> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_of_a_session_is_found_again_by_its_name() {
        let session = Session::parse(b"a.b_c-9", 1000).unwrap();
        let id = SocketId(0x0123_4567_89ab_cdef);
        for object in [
            Object::Control,
            Object::Connections,
            Object::Listeners,
            Object::Watch,
            Object::App(Domain::V4, id),
            Object::App(Domain::V6, id),
        ] {
            let (address, len) = Name::new(&session, object).to_sockaddr();
            assert_eq!(Name::parse_sockaddr(&address, len), Some((session, object)));
        }
    }

    #[test]
    fn the_longest_session_name_fits_every_name() {
        let session = Session::parse(&[b'x'; MAX_SESSION_NAME], u32::MAX).unwrap();
        let object = Object::App(Domain::V6, SocketId(u64::MAX));
        let name = Name::new(&session, object);
        assert_eq!(parse(name.as_bytes()), Some((session, object)));
    }

    #[test]
    fn a_session_of_another_user_is_named_with_his_uid() {
        let session = Session::parse(b"1001/ci", 0).unwrap();
        assert_eq!((session.uid(), session.name()), (1001, "ci"));
        assert_eq!(session.to_string(), "1001/ci");
    }

    #[test]
    fn bad_session_names_and_foreign_names_are_refused() {
        for bad in [&b""[..], b"a b", b"a/b/c", b"x/y", &[b'x'; MAX_SESSION_NAME + 1]] {
            assert_eq!(Session::parse(bad, 0), Err(BadSession), "{bad:?}");
        }
        for foreign in
            [&b"tcplab/0/s/zzz"[..], b"tcplab/0/s/4/12", b"/tmp/.X11-unix/X0", b"tcplab/"]
        {
            assert_eq!(parse(foreign), None);
        }
    }

    #[test]
    fn an_identity_has_one_spelling() {
        assert!(parse(b"tcplab/1000/s/4/0123456789abcdef").is_some());
        for other in [
            &b"tcplab/1000/s/4/0123456789ABCDEF"[..],
            b"tcplab/1000/s/4/+123456789abcdef",
            b"tcplab/01000/s/4/0123456789abcdef",
            b"tcplab/+1000/s/4/0123456789abcdef",
        ] {
            assert_eq!(parse(other), None);
        }
    }
}
