//! Messages on the control channel: one request in one `SOCK_SEQPACKET` packet, one reply in one
//! packet. A client has one request under way at a time and matches replies by [`Header`] `tag`.
//!
//! All numbers little-endian. A request is `tag u32, kind u8, domain u8, pad u16, id u64, fd i32,
//! body`;
//! a reply is `tag u32, errno i32, body`. A reply with errno 0 is success.

use core::net::SocketAddr;

use crate::record::{ADDRESS_LEN, decode_address, encode_address};
use crate::{Domain, Errno, SocketId};

/// Longest request or reply of a program.
pub const MAX_MESSAGE: usize = 512;
/// Longest value of a socket option (`TCP_INFO` is the longest today).
pub const MAX_OPTION: usize = MAX_MESSAGE - REQUEST_HEADER - 12;
/// Longest packet of the command line's requests and replies; longer texts take several.
pub const MAX_TEXT: usize = 64 * 1024;

const REQUEST_HEADER: usize = 20;
const REPLY_HEADER: usize = 8;

/// Which directions `shutdown()` ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// `SHUT_RD`
    Read,
    /// `SHUT_WR`
    Write,
    /// `SHUT_RDWR`
    Both,
}

/// Whether the reply to a request waits for the outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// Answer at once.
    No,
    /// Answer when the outcome is known.
    Outcome,
}

/// What a program (or the command) asks of the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request<'a> {
    /// First message on every control connection. Reply: [`Reply::Hello`].
    Hello {
        /// [`crate::PROTOCOL_VERSION`].
        version: u16,
        /// Session secret, 0 where the uid admits.
        secret: u128,
    },
    /// `bind()`. EADDRINUSE, EADDRNOTAVAIL, EINVAL as the kernel.
    Bind(SocketAddr),
    /// `listen()` with the backlog as given.
    Listen(i32),
    /// `connect()`. With [`Wait::No`]: EINPROGRESS, or an error that is known at once. With
    /// [`Wait::Outcome`]: 0 when established, or the error, when it is known.
    Connect(SocketAddr, Wait),
    /// `connect(AF_UNSPEC)`.
    Disconnect,
    /// The program's end was replaced by a fresh kernel socket with this identity (its file had
    /// been connected to the stack once, and AF_UNIX knows no way back): the stack's socket lives
    /// on under the new id, with its options and its binding.
    Renew(SocketId),
    /// `shutdown()`; the shim passes SHUT_WR down to the kernel socket itself, after the reply.
    Shutdown(How),
    /// Local and peer address. Reply: [`Reply::Names`].
    Names,
    /// `setsockopt(level, name, value)`.
    SetOption(i32, i32, &'a [u8]),
    /// `getsockopt(level, name)` with room for so many octets. Reply: [`Reply::Value`].
    GetOption(i32, i32, u32),
    /// Takes the pending error, as `SO_ERROR` does. Reply: [`Reply::Number`] with the errno or 0.
    TakeError,
    /// Takes the pending error as a read does that found one. Reply: [`Reply::Number`] with the
    /// errno, 0, or EPIPE where the stream has ended in order, whatever has happened since.
    TakeReadError,
    /// `SIOCOUTQ`. Reply: [`Reply::Number`].
    OutQueue,
    /// `SIOCOUTQNSD`. Reply: [`Reply::Number`].
    UnsentQueue,
    /// The program has closed the socket with `SO_LINGER` on; answered when nothing is left to
    /// wait for or the linger time is over.
    WaitClosed,
    /// The call ring ([`crate::ring`]). Reply: [`Reply::Done`], and the descriptor of its memory.
    Ring,
    /// The program is about to end, and was started to be checked, with this token; answered when
    /// that is done.
    Leaving(u64),
    /// A request of the command line, as JSON. Reply: [`Reply::Text`], in several packets where
    /// it is long.
    Command(&'a [u8]),
}

/// A request with what every request carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Number that the reply repeats.
    pub tag: u32,
    /// Socket that is meant; 0 where none is.
    pub id: SocketId,
    /// Descriptor of the program, -1 where none is meant.
    pub fd: i32,
    /// Family of that socket: the stack makes the socket when it is first mentioned.
    pub domain: Domain,
}

/// What the stack answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// Done.
    Done,
    /// Not done.
    Error(Errno),
    /// Answer to [`Request::Hello`].
    Hello {
        /// Secret of the session, 0 to clients that are not admitted by uid.
        secret: u128,
        /// Process id of the stack.
        pid: u32,
        /// Its mark in the identities of its sockets ([`SocketId::stack`]), never 0.
        stack: u16,
    },
    /// Local and peer address, `None` where there is none (a local address is `0.0.0.0:0` until
    /// bound).
    Names(Option<SocketAddr>, Option<SocketAddr>),
    /// Value of an option.
    Value(&'a [u8]),
    /// A number.
    Number(i64),
    /// A piece of text; [`More::Yes`] where another packet follows.
    Text(&'a [u8], More),
    /// Answer to [`Request::Connect`] with [`Wait::No`]: under way as far as the program is
    /// concerned, and the connection stands already.
    Connected,
}

/// Whether another packet of the same reply follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum More {
    /// This was the last.
    No,
    /// Another follows.
    Yes,
}

/// A message that does not fit its form, or its buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl Request<'_> {
    /// Writes the request and returns its length. Error: `out` is too small.
    pub fn encode(&self, header: Header, out: &mut [u8]) -> Result<usize, Malformed> {
        let mut w = Writer { out, at: 0 };
        w.put(&header.tag.to_le_bytes())?;
        w.put(&[self.kind(), matches!(header.domain, Domain::V6).into(), 0, 0])?;
        w.put(&header.id.0.to_le_bytes())?;
        w.put(&header.fd.to_le_bytes())?;
        match *self {
            Request::Hello { version, secret } => {
                w.put(&version.to_le_bytes())?;
                w.put(&secret.to_le_bytes())?;
            }
            Request::Bind(address) => w.address(Some(address))?,
            Request::Listen(backlog) => w.put(&backlog.to_le_bytes())?,
            Request::Connect(address, wait) => {
                w.address(Some(address))?;
                w.put(&[(wait == Wait::Outcome).into()])?;
            }
            Request::Shutdown(how) => w.put(&[match how {
                How::Read => 0,
                How::Write => 1,
                How::Both => 2,
            }])?,
            Request::SetOption(level, name, value) => {
                w.put(&level.to_le_bytes())?;
                w.put(&name.to_le_bytes())?;
                w.put(value)?;
            }
            Request::GetOption(level, name, room) => {
                w.put(&level.to_le_bytes())?;
                w.put(&name.to_le_bytes())?;
                w.put(&room.to_le_bytes())?;
            }
            Request::Renew(id) => w.put(&id.0.to_le_bytes())?,
            Request::Leaving(token) => w.put(&token.to_le_bytes())?,
            Request::Command(text) => w.put(text)?,
            Request::Disconnect
            | Request::Names
            | Request::TakeError
            | Request::TakeReadError
            | Request::OutQueue
            | Request::UnsentQueue
            | Request::WaitClosed
            | Request::Ring => {}
        }
        Ok(w.at)
    }

    fn kind(&self) -> u8 {
        match self {
            Request::Hello { .. } => 1,
            Request::Bind(_) => 2,
            Request::Listen(_) => 3,
            Request::Connect(..) => 4,
            Request::Disconnect => 5,
            Request::Shutdown(_) => 6,
            Request::Names => 7,
            Request::SetOption(..) => 8,
            Request::GetOption(..) => 9,
            Request::TakeError => 10,
            Request::OutQueue => 11,
            Request::UnsentQueue => 12,
            Request::WaitClosed => 13,
            Request::Command(_) => 14,
            Request::Renew(_) => 15,
            Request::Ring => 16,
            Request::Leaving(_) => 17,
            Request::TakeReadError => 18,
        }
    }

    /// Reads a request. Error: it does not have the form of one.
    pub fn decode(bytes: &[u8]) -> Result<(Header, Request<'_>), Malformed> {
        let mut r = Reader { rest: bytes };
        let tag = r.u32()?;
        let [kind, v6, _, _] = r.array()?;
        let id = SocketId(u64::from_le_bytes(r.array()?));
        let fd = r.u32()?.cast_signed();
        let domain = if v6 == 0 { Domain::V4 } else { Domain::V6 };
        let request = match kind {
            1 => Request::Hello {
                version: u16::from_le_bytes(r.array()?),
                secret: u128::from_le_bytes(r.array()?),
            },
            2 => Request::Bind(r.address()?.ok_or(Malformed)?),
            3 => Request::Listen(r.u32()?.cast_signed()),
            4 => {
                let address = r.address()?.ok_or(Malformed)?;
                let [wait] = r.array()?;
                Request::Connect(address, if wait == 0 { Wait::No } else { Wait::Outcome })
            }
            5 => Request::Disconnect,
            6 => Request::Shutdown(match r.array()? {
                [0] => How::Read,
                [1] => How::Write,
                [2] => How::Both,
                _ => return Err(Malformed),
            }),
            7 => Request::Names,
            8 => Request::SetOption(r.u32()?.cast_signed(), r.u32()?.cast_signed(), r.take_rest()),
            9 => Request::GetOption(r.u32()?.cast_signed(), r.u32()?.cast_signed(), r.u32()?),
            10 => Request::TakeError,
            11 => Request::OutQueue,
            12 => Request::UnsentQueue,
            13 => Request::WaitClosed,
            14 => Request::Command(r.take_rest()),
            15 => Request::Renew(SocketId(u64::from_le_bytes(r.array()?))),
            16 => Request::Ring,
            17 => Request::Leaving(u64::from_le_bytes(r.array()?)),
            18 => Request::TakeReadError,
            _ => return Err(Malformed),
        };
        Ok((Header { tag, id, fd, domain }, request))
    }
}

impl Reply<'_> {
    /// Writes the reply to request `tag` and returns its length. Error: `out` is too small.
    pub fn encode(&self, tag: u32, out: &mut [u8]) -> Result<usize, Malformed> {
        let mut w = Writer { out, at: 0 };
        w.put(&tag.to_le_bytes())?;
        let errno = if let Reply::Error(errno) = self { errno.0 } else { 0 };
        w.put(&errno.to_le_bytes())?;
        match *self {
            Reply::Done | Reply::Error(_) => {}
            Reply::Hello { secret, pid, stack } => {
                w.put(&[1])?;
                w.put(&secret.to_le_bytes())?;
                w.put(&pid.to_le_bytes())?;
                w.put(&stack.to_le_bytes())?;
            }
            Reply::Names(local, peer) => {
                w.put(&[2])?;
                w.address(local)?;
                w.address(peer)?;
            }
            Reply::Value(value) => {
                w.put(&[3])?;
                w.put(value)?;
            }
            Reply::Number(number) => {
                w.put(&[4])?;
                w.put(&number.to_le_bytes())?;
            }
            Reply::Text(text, more) => {
                w.put(&[5, (more == More::Yes).into()])?;
                w.put(text)?;
            }
            Reply::Connected => w.put(&[6])?,
        }
        Ok(w.at)
    }

    /// Reads a reply and the tag it answers. Error: it does not have the form of one.
    pub fn decode(bytes: &[u8]) -> Result<(u32, Reply<'_>), Malformed> {
        let mut r = Reader { rest: bytes };
        let tag = r.u32()?;
        let errno = r.u32()?.cast_signed();
        if errno != 0 {
            return Ok((tag, Reply::Error(Errno(errno))));
        }
        if bytes.len() == REPLY_HEADER {
            return Ok((tag, Reply::Done));
        }
        let [kind] = r.array()?;
        let reply = match kind {
            1 => Reply::Hello {
                secret: u128::from_le_bytes(r.array()?),
                pid: r.u32()?,
                stack: u16::from_le_bytes(r.array()?),
            },
            2 => Reply::Names(r.address()?, r.address()?),
            3 => Reply::Value(r.take_rest()),
            4 => Reply::Number(i64::from_le_bytes(r.array()?)),
            5 => {
                let [more] = r.array()?;
                Reply::Text(r.take_rest(), if more == 0 { More::No } else { More::Yes })
            }
            6 => Reply::Connected,
            _ => return Err(Malformed),
        };
        Ok((tag, reply))
    }
}

struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let to = self.out.get_mut(self.at..self.at + bytes.len()).ok_or(Malformed)?;
        to.copy_from_slice(bytes);
        self.at += bytes.len();
        Ok(())
    }

    fn address(&mut self, address: Option<SocketAddr>) -> Result<(), Malformed> {
        let mut bytes = [0; ADDRESS_LEN];
        encode_address(address, &mut bytes);
        self.put(&bytes)
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn address(&mut self) -> Result<Option<SocketAddr>, Malformed> {
        let bytes: [u8; ADDRESS_LEN] = self.array()?;
        decode_address(&bytes).ok_or(Malformed)
    }

    fn take_rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> SocketAddr {
        "127.0.0.1:8080".parse().unwrap()
    }

    #[test]
    fn every_request_survives_the_wire() {
        let requests = [
            Request::Hello { version: 7, secret: u128::MAX - 3 },
            Request::Bind(address()),
            Request::Listen(-1),
            Request::Connect(address(), Wait::No),
            Request::Connect("[::1]:9".parse().unwrap(), Wait::Outcome),
            Request::Disconnect,
            Request::Shutdown(How::Read),
            Request::Shutdown(How::Write),
            Request::Shutdown(How::Both),
            Request::Names,
            Request::SetOption(6, -1, &[1, 2, 3]),
            Request::GetOption(6, 11, 4),
            Request::TakeError,
            Request::TakeReadError,
            Request::OutQueue,
            Request::UnsentQueue,
            Request::WaitClosed,
            Request::Ring,
            Request::Leaving(u64::MAX),
            Request::Command(b"{}"),
            Request::Renew(SocketId(77)),
        ];
        let header = Header { tag: 5, id: SocketId(6), fd: -7, domain: Domain::V6 };
        for request in requests {
            let mut bytes = [0; MAX_MESSAGE];
            let len = request.encode(header, &mut bytes).unwrap();
            assert_eq!(Request::decode(&bytes[..len]), Ok((header, request)));
            for cut in 0..len.min(REQUEST_HEADER) {
                assert_eq!(Request::decode(&bytes[..cut]), Err(Malformed));
            }
        }
    }

    #[test]
    fn every_reply_survives_the_wire() {
        let replies = [
            Reply::Done,
            Reply::Error(Errno::EADDRINUSE),
            Reply::Hello { secret: 1 << 100, pid: 42, stack: 7 },
            Reply::Names(Some(address()), None),
            Reply::Value(&[9; 200]),
            Reply::Value(&[]),
            Reply::Number(-1),
            Reply::Text(b"abc", More::Yes),
            Reply::Text(b"", More::No),
            Reply::Connected,
        ];
        for reply in replies {
            let mut bytes = [0; MAX_MESSAGE];
            let len = reply.encode(3, &mut bytes).unwrap();
            assert_eq!(Reply::decode(&bytes[..len]), Ok((3, reply)));
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused() {
        let header = Header { tag: 0, id: SocketId(0), fd: -1, domain: Domain::V4 };
        let fits = Request::SetOption(0, 0, &[0; MAX_OPTION]);
        assert!(fits.encode(header, &mut [0; MAX_MESSAGE]).is_ok());
        let too_long = Request::SetOption(0, 0, &[0; MAX_MESSAGE]);
        assert_eq!(too_long.encode(header, &mut [0; MAX_MESSAGE]), Err(Malformed));
    }
}
