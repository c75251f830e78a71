//! Sixth: check the URG bit (RFC 9293 3.10.7.4, 3.8.5, RFC 6093).
//!
//! Linux: the urgent pointer points past the one urgent octet (unless tcp_stdurg is set), and the
//! octet that counts is the last one pointed at.

use crate::tcp::event::Event;
use crate::tcp::tcb::Tcb;

use super::Arrived;

impl Tcb {
    pub(super) fn check_urg(&mut self, arrived: &Arrived<'_>) {
        let header = arrived.header;
        let stdurg = self.config.stdurg;
        if !header.flags.urg() || (header.urgent == 0 && !stdurg) || !self.state.receives_text() {
            return;
        }
        // from the segment's own sequence number, whatever was trimmed of it
        let first_text = header.seq.add(u32::from(header.flags.syn()));
        let up = first_text.add(u32::from(header.urgent) + u32::from(stdurg));
        // an octet that was received already cannot become urgent any more
        let later = self.rcv.up.is_none_or(|known| up.after(known));
        if up.after(self.rcv.nxt) && later {
            self.rcv.up = Some(up);
        }
    }

    /// RCV.NXT moved: tell when the urgent octet is among what can be read.
    pub(super) fn tell_urgent(&mut self) {
        let nxt = self.rcv.nxt;
        let Some(up) = self.rcv.up.take_if(|up| !up.after(nxt)) else { return };
        let back = nxt.diff(up) as usize + 1;
        let Some(offset) = self.rcv.ring.len().checked_sub(back) else { return };
        if let Some(octet) = self.rcv.ring.octet(offset) {
            self.events.push(Event::Urgent { offset, octet });
        }
    }
}
