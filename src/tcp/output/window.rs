//! The receive window that is offered (RFC 9293 3.8.6, 3.8.6.2.2; RFC 7323 2.4).
//!
//! Its right edge never moves back, and moves on only by something worth sending.

use crate::tcp::tcb::Tcb;

impl Tcb {
    /// RCV.WND as the receiver's silly-window avoidance has it: the edge moves by at least a full
    /// segment or half the buffer (MUST-39).
    fn wanted_window(&self) -> u32 {
        let free = self.rcv.limit.saturating_sub(self.rcv.unread_total());
        let free = u32::try_from(free).unwrap_or(u32::MAX).min(self.largest_window());
        let offered = self.rcv.window();
        if free >= offered.saturating_add(self.worthwhile()) { free } else { offered }
    }

    /// Least step of the right edge.
    fn worthwhile(&self) -> u32 {
        let half = u32::try_from(self.rcv.limit / 2).unwrap_or(u32::MAX);
        half.min(u32::from(self.config.mss)).max(1)
    }

    fn largest_window(&self) -> u32 {
        u32::from(u16::MAX) << self.rcv.shift
    }

    /// The program has read so much that the peer should know at once: two segments or half the
    /// buffer more than is offered, and any step out of a closed window.
    pub(in crate::tcp) fn window_update_due(&self) -> bool {
        let gain = self.wanted_window().saturating_sub(self.rcv.window());
        let half = u32::try_from(self.rcv.limit / 2).unwrap_or(u32::MAX);
        let step = half.min(2 * u32::from(self.config.mss)).max(1);
        self.state.receives_text() && (gain >= step || (self.window_is_closed() && gain > 0))
    }

    /// Less is offered than anybody would send.
    fn window_is_closed(&self) -> bool {
        self.rcv.window() < self.worthwhile()
    }

    /// Nor does the next segment offer more: only the program's reading helps.
    pub(in crate::tcp) fn window_stays_closed(&self) -> bool {
        self.wanted_window() < self.worthwhile()
    }

    /// The window field of the next segment; the edge it offers is remembered.
    ///
    /// Rounding for the scale goes up, so that the edge does not move back; but never more than
    /// one unit beyond the buffer, or many small segments would creep out of it. Then it goes
    /// down, and the peer sees an edge that is back by less than a unit, which RFC 7323 2.4 makes
    /// it bear. What was once offered is accepted all the same.
    pub(super) fn offer_window(&mut self) -> u16 {
        let unit = 1u32 << self.rcv.shift;
        let wanted = self.wanted_window();
        let free = self.rcv.limit.saturating_sub(self.rcv.unread_total());
        let up = wanted.div_ceil(unit).min(u32::from(u16::MAX));
        let field = if (up as usize) << self.rcv.shift <= free + unit as usize {
            up
        } else {
            (wanted / unit).min(u32::from(u16::MAX))
        };
        self.rcv.edge = self.rcv.edge.later(self.rcv.nxt.add(field << self.rcv.shift));
        field as u16
    }

    /// The window of a SYN is not scaled (RFC 7323 2.2).
    pub(in crate::tcp) fn syn_window(&self) -> u32 {
        let limit = u32::try_from(self.rcv.limit).unwrap_or(u32::MAX);
        limit.min(u32::from(u16::MAX))
    }
}
