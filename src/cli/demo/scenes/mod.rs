//! The scenes: what they are called, what they show, and who plays them. Each is one of the
//! scenarios of the connection life cycle (S01 to S26), with the scenario's name.

mod calls;
mod closing;
mod ghosts;
mod leaking;
mod losses;
mod opening;
mod ports;
mod proxy;
mod time_wait;

use super::super::Failure;
use super::stage::Stage;

/// Plays the scene; checks are counted by the stage.
type Play = fn(&mut Stage) -> Result<(), Failure>;

/// One scene.
pub(super) struct Scene {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) play: Play,
}

const fn scene(id: &'static str, name: &'static str, title: &'static str, play: Play) -> Scene {
    Scene { id, name, title, play }
}

/// Names of the scenes that are shown when none is named, in their order.
pub(super) const TOUR: [&str; 5] = [
    "three-way-handshake",
    "four-way-close",
    "half-close",
    "restart-eaddrinuse",
    "close-wait-leak",
];

/// All of them, by id.
#[rustfmt::skip]
pub(super) const SCENES: &[Scene] = &[
    scene("S01", "three-way-handshake",
        "A connection is made by the two stacks; accept() only picks it up",
        opening::three_way_handshake),
    scene("S02", "stale-syn",
        "Why three: a SYN that comes too late finds nobody, and leaves nothing behind",
        opening::stale_syn),
    scene("S03", "four-way-close",
        "Each direction is closed by its own FIN; read() == 0 is the other side's",
        closing::four_way_close),
    scene("S04", "half-close", "After our FIN we still receive", closing::half_close),
    scene("S05", "simultaneous-close",
        "Both close at once: the FINs cross, both ends pass CLOSING",
        closing::simultaneous_close),
    scene("S06", "lost-last-ack",
        "The last ACK is lost: TIME-WAIT answers the FIN again, and starts afresh",
        losses::lost_last_ack),
    scene("S07", "no-time-wait",
        "The same without TIME-WAIT: an orderly close ends in a reset",
        losses::no_time_wait),
    scene("S08", "fin-never-acked",
        "A FIN that nobody acknowledges is given up: nothing stays for ever",
        losses::fin_never_acked),
    scene("S09", "time-wait-expires",
        "TIME-WAIT outlives the programs, ends after 2MSL, and sends nothing",
        time_wait::time_wait_expires),
    scene("S10", "late-fin",
        "A FIN that comes after TIME-WAIT is over is answered by RST",
        losses::late_fin),
    scene("S11", "ghost-segment",
        "Data of the old connection comes late, and does no harm",
        ghosts::ghost_segment),
    scene("S12", "ghost-corruption",
        "The same without what protects us: the new program reads the old octets",
        ghosts::ghost_corruption),
    scene("S13", "restart-eaddrinuse",
        "The server is dead, and its port is still in use",
        time_wait::restart_eaddrinuse),
    scene("S14", "client-port-locked",
        "A client's own port is locked: bind() fails, or connect() does, or neither",
        time_wait::client_port_locked),
    scene("S15", "syn-into-last-ack",
        "A new SYN meets LAST-ACK: an ACK, a RST, and the second try succeeds",
        ghosts::syn_into_last_ack),
    scene("S16", "port-exhaustion",
        "A client that closes first runs out of ports",
        ports::port_exhaustion),
    scene("S17", "tw-reuse",
        "What tcp_tw_reuse does for who connects, and that it does nothing for who listens",
        ports::tw_reuse),
    scene("S18", "tw-buckets",
        "More TIME-WAITs than tcp_max_tw_buckets: the surplus is destroyed at once",
        ports::tw_buckets),
    scene("S19", "fin-timeout",
        "FIN-WAIT-2 of an orphan ends after tcp_fin_timeout; that of a program never",
        leaking::fin_timeout),
    scene("S20", "close-wait-leak",
        "Two servers that forget close() collect CLOSE-WAIT",
        leaking::close_wait_leak),
    scene("S21", "last-reference",
        "A forked child holds a copy: no FIN until the last one is closed",
        leaking::last_reference),
    scene("S22", "flush-before-fin",
        "The writer closes and exits; every octet arrives all the same",
        calls::flush_before_fin),
    scene("S23", "linger",
        "SO_LINGER: close() that resets, close() that waits, and unread data that resets, too",
        calls::linger),
    scene("S24", "proxy-502",
        "A reverse proxy that closes first runs out of ports, and answers 502",
        proxy::proxy_502),
    scene("S25", "server-closes-first",
        "TIME-WAIT gathers on the side that closes first, and costs a server no port",
        time_wait::server_closes_first),
    scene("S26", "read-write-after",
        "What read() and write() return after FIN, after RST, after one's own close()",
        calls::read_write_after),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_are_in_the_order_of_their_numbers() {
        let numbers: Vec<String> = (1..=SCENES.len()).map(|n| format!("S{n:02}")).collect();
        let ids: Vec<&str> = SCENES.iter().map(|scene| scene.id).collect();
        assert_eq!(ids, numbers);
    }

    #[test]
    fn the_tour_is_made_of_scenes() {
        assert!(TOUR.iter().all(|name| SCENES.iter().any(|scene| scene.name == *name)));
    }

    #[test]
    fn a_title_fits_into_a_line_of_the_list() {
        assert!(SCENES.iter().all(|scene| scene.title.len() <= 90), "see `tcplab demo --list`");
    }
}
