//! TCP_INFO: `struct tcp_info` octet for octet, as far as the TCB knows (280 octets on Linux
//! 6.18). Fields of mechanisms that do not exist here are 0.

use crate::host::Host;
use crate::host::sockets::{Listener, Role, Socket};
use crate::tcp::{Info, State};
use crate::time::{Duration, Instant};

/// Octets of the struct on Linux 6.18.
const TCP_INFO_LEN: usize = 280;
/// tcpi_options
const OPTION_TIMESTAMPS: u8 = 1;
const OPTION_SACK: u8 = 2;
const OPTION_WINDOW_SCALE: u8 = 4;

/// The kernel's numbers of the states.
fn number(state: State) -> u8 {
    match state {
        State::Established => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::TimeWait => 6,
        State::Closed => 7,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Listen => 10,
        State::Closing => 11,
    }
}

fn octet(value: u32) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Writes fields one after the other.
struct Fields(Vec<u8>);

impl Fields {
    fn words(&mut self, words: &[u32]) {
        self.0.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    }

    fn longs(&mut self, longs: &[u64]) {
        self.0.extend(longs.iter().flat_map(|long| long.to_ne_bytes()));
    }
}

impl Host {
    pub(super) fn tcp_info(&self, now: Instant, socket: &Socket) -> Vec<u8> {
        let state = number(socket.state());
        let mut octets = match &socket.role {
            Role::Connection(connection) => {
                let info = connection.tcb.info(now);
                let unsent = connection.tcb.queues().unsent;
                connection_info(state, &info, unsent as u32, self.sysctls.mtu() as u32)
            }
            Role::Listening(listener) => listener_info(state, listener),
            Role::Idle => vec![state],
        };
        octets.resize(TCP_INFO_LEN, 0);
        octets
    }
}

/// A listener's queue and backlog stand in tcpi_unacked and tcpi_sacked.
fn listener_info(state: u8, listener: &Listener) -> Vec<u8> {
    let mut fields = Fields(vec![state, 0, 0, 0, 0, 0, 0, 0]);
    fields.words(&[0, 0, 0, 0]);
    fields.words(&[listener.accept_queue.len() as u32, listener.backlog as u32]);
    fields.0
}

fn connection_info(state: u8, info: &Info, unsent: u32, path_mtu: u32) -> Vec<u8> {
    let mut options = 0;
    if info.timestamps {
        options |= OPTION_TIMESTAMPS;
    }
    if info.sack {
        options |= OPTION_SACK;
    }
    let (send_shift, receive_shift) = info.wscale.unwrap_or_default();
    if info.wscale.is_some() {
        options |= OPTION_WINDOW_SCALE;
    }
    let mss = info.mss.max(1);
    let segments = |octets: u32| octets.div_ceil(mss);
    let mut fields = Fields(vec![
        state,
        0,
        octet(info.retransmits),
        octet(info.probes),
        octet(info.backoff),
        options,
        send_shift | receive_shift << 4,
        0,
    ]);
    fields.words(&[micros(info.rto), micros(info.ato), info.mss, info.rcv_mss]);
    fields.words(&[
        info.unacked_segments,
        segments(info.sacked),
        segments(info.lost),
        info.retransmits,
        0,
    ]);
    let (sent, received) = (millis(info.last_sent), millis(info.last_received));
    fields.words(&[sent, 0, received, received]);
    let ssthresh = if info.ssthresh == u32::MAX { i32::MAX as u32 } else { info.ssthresh / mss };
    fields.words(&[
        path_mtu,
        info.rcv_space,
        micros(info.srtt),
        micros(info.rttvar),
        ssthresh,
        info.cwnd / mss,
        info.advmss,
        info.reordering,
    ]);
    fields.words(&[0, info.rcv_space, info.total_retrans]);
    fields.longs(&[u64::MAX, u64::MAX, info.bytes_acked, info.bytes_received]);
    fields.words(&[info.segs_out as u32, info.segs_in as u32, unsent, micros(info.min_rtt), 0, 0]);
    fields.longs(&[0, 0, 0, 0]);
    fields.words(&[0, 0]);
    fields.longs(&[info.bytes_sent, info.bytes_retrans]);
    fields.words(&[0, 0, info.rcv_ooopack as u32, info.snd_wnd, info.rcv_wnd]);
    fields.0
}
