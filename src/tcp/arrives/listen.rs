//! SEGMENT ARRIVES in LISTEN (RFC 9293 3.10.7.2). There is no TCB: a verdict for the host.

use crate::wire::{Header, Segment};

use super::closed::reset_for;

/// What a listener does with a segment that belongs to no connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListenVerdict {
    /// Nothing.
    Drop,
    /// Answer with this RST: nothing was sent that could be acknowledged.
    Reset(Header),
    /// A SYN: make a TCB with `Tcb::accept`.
    Open,
}

/// Judges a segment for a listener. RST is dropped, ACK is reset, SYN opens; Linux drops a SYN
/// that carries a FIN.
pub fn arrives_in_listen(segment: &Segment<'_>) -> ListenVerdict {
    let flags = segment.header.flags;
    if flags.rst() {
        return ListenVerdict::Drop;
    }
    if flags.ack() {
        return reset_for(segment).map_or(ListenVerdict::Drop, ListenVerdict::Reset);
    }
    if flags.syn() && !flags.fin() { ListenVerdict::Open } else { ListenVerdict::Drop }
}
