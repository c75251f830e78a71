//! Pictures of simulated scenes, compared with those in `snapshots/`. With `UPDATE_SNAPSHOTS=1`
//! these are written anew, to be looked at before they are committed.

mod made;
mod scene;

use std::fs;
use std::path::Path;

use self::made::Made;
use self::scene::Scene;
use super::*;
use crate::tcp::{Cause, Dropped, State, Timer};
use crate::time::Duration;
use crate::trace::{Agent, Fate, Operation, Records};
use crate::wire::Flags;

fn compare(name: &str, drawn: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/diagram/snapshots").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, drawn).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(known == drawn, "{name} is drawn otherwise; UPDATE_SNAPSHOTS=1 accepts it:\n{drawn}");
}

fn picture(records: &Records) -> Picture {
    let connections = Connections::of(records);
    let connection = connections.obvious(|_| true).expect("a connection");
    Picture::of(connection, records, &connections, Detail::Folded)
}

fn narrow(charset: Charset) -> TextStyle {
    TextStyle { width: 80, charset, coloured: false }
}

/// Draws the picture in every form.
fn compare_all(name: &str, records: &Records) {
    let picture = picture(records);
    compare(&format!("{name}.txt"), &text(&picture, narrow(Charset::Unicode)));
    compare(&format!("{name}.ascii.txt"), &text(&picture, narrow(Charset::Ascii)));
    compare(&format!("{name}.svg"), &svg(&picture));
    compare(&format!("{name}.mmd"), &mermaid(&picture));
}

#[test]
fn s01_three_way_handshake() {
    let mut scene = Scene::set();
    scene.connect();
    compare_all("s01-three-way-handshake", &scene.records());
}

#[test]
fn s03_four_way_close() {
    let mut scene = Scene::set();
    scene.connect();
    scene.server_begins_to_read();
    scene.client_writes(5);
    scene.server_reads_text();
    scene.server_begins_to_read();
    scene.client_closes();
    scene.server_reads_end();
    scene.pass(Duration::from_secs(1));
    scene.server_closes();
    scene.pass(Duration::from_secs(70));
    compare_all("s03-four-way-close", &scene.records());
}

#[test]
fn s06_lost_last_ack() {
    let mut scene = Scene::set();
    scene.connect();
    scene.server_begins_to_read();
    scene.client_closes();
    scene.server_reads_end();
    scene.lose_next_ack_of_client();
    scene.server_closes();
    scene.pass(Duration::from_secs(70));
    compare_all("s06-lost-last-ack", &scene.records());
}

#[test]
fn s20_close_wait_leak() {
    let mut scene = Scene::set();
    scene.connect();
    scene.server_begins_to_read();
    scene.client_closes();
    scene.server_reads_end();
    scene.pass(Duration::from_secs(90));
    compare_all("s20-close-wait-leak", &scene.records());
}

#[test]
fn s05_simultaneous_close() {
    let mut scene = Scene::set();
    scene.delay(Duration::from_millis(5));
    scene.connect();
    scene.both_close();
    scene.pass(Duration::from_secs(70));
    compare_all("s05-simultaneous-close", &scene.records());
}

#[test]
fn a_refused_connection_is_drawn() {
    let mut scene = Scene::set();
    scene.connect_to_nobody();
    compare_all("connection-refused", &scene.records());
}

#[test]
fn a_connection_whose_syns_are_lost_is_drawn() {
    let mut scene = Scene::set();
    scene.connect_into_the_void();
    compare_all("syn-lost", &scene.records());
}

const TEXT: Flags = Flags(Flags::PSH.0 | Flags::ACK.0);

fn compare_text(name: &str, records: &Records) {
    compare(&format!("{name}.txt"), &text(&picture(records), narrow(Charset::Unicode)));
}

#[test]
fn a_ghost_of_an_older_connection_comes_from_before_the_picture() {
    let mut made = Made::new();
    made.handshake();
    let held = made.sent(Side::Client, TEXT, [1, 1], 5, Fate::Held(Agent::Rule(3)));
    made.close(6);
    made.pass_ms(60_000);
    let over = Cause::Timer(Timer::TimeWait);
    made.state(Side::Client, State::TimeWait, State::Closed, over);
    made.anew();
    made.handshake();
    made.pass_ms(200);
    made.operator(Operation::Released(3));
    made.arrives(held);
    made.refused(Dropped::OldTimestamp);
    made.passes(Side::Server, Flags::ACK, [1, 1], 0);
    let records = made.records();
    let connections = Connections::of(&records);
    assert_eq!(connections.all().len(), 2);
    compare_text("ghost-in-new-connection", &records);
    let old = &connections.all()[0];
    let old = Picture::of(old, &records, &connections, Detail::Folded);
    compare("ghost-in-old-connection.txt", &text(&old, narrow(Charset::Unicode)));
    compare("ghost-in-new-connection.svg", &svg(&picture(&records)));
    compare("ghost-in-new-connection.mmd", &mermaid(&picture(&records)));
}

#[test]
fn a_held_fin_is_drawn_to_where_it_arrives() {
    use State::{Established, FinWait1};
    let fin = Flags::FIN | Flags::ACK;
    let mut made = Made::new();
    made.handshake();
    made.state(Side::Client, Established, FinWait1, Cause::Close);
    let held = made.sent(Side::Client, fin, [1, 1], 0, Fate::Held(Agent::Rule(1)));
    made.pass_ms(1);
    made.passes(Side::Server, TEXT, [1, 1], 7);
    made.pass_ms(90_000);
    made.operator(Operation::Released(0));
    made.arrives(held);
    made.state(Side::Server, Established, State::CloseWait, Cause::Segment(fin));
    compare_text("held-fin", &made.records());
}

#[test]
fn copies_corruption_and_forged_resets_are_told() {
    let mut made = Made::new();
    made.handshake();
    let twice = made.sent(Side::Client, TEXT, [1, 1], 5, Fate::Copied(Agent::Rule(1), 1));
    made.arrives(twice);
    made.arrives(twice);
    let bad = made.sent(Side::Server, TEXT, [1, 6], 5, Fate::Corrupted(Agent::Netem));
    made.arrives(bad);
    made.refused(Dropped::BadChecksum);
    made.sent(Side::Client, TEXT, [6, 1], 5, Fate::Reset(Agent::Rule(2)));
    made.stranger(Side::Server, Flags::RST, [1, 0]);
    let by_reset = Cause::Segment(Flags::RST);
    made.state(Side::Client, State::Established, State::Closed, by_reset);
    compare_text("copied-corrupted-reset", &made.records());
}

#[test]
fn both_ends_may_open_at_once() {
    use State::{Closed, Established, SynReceived, SynSent};
    let syn_ack = Flags::SYN | Flags::ACK;
    let mut made = Made::new();
    let delayed = Fate::Delayed(Agent::Netem, 5_000_000);
    made.state(Side::Client, Closed, SynSent, Cause::Open);
    let one = made.sent(Side::Client, Flags::SYN, [0, 0], 0, delayed);
    made.state(Side::Server, Closed, SynSent, Cause::Open);
    let other = made.sent(Side::Server, Flags::SYN, [0, 0], 0, delayed);
    made.pass_ms(5);
    made.arrives(one);
    made.state(Side::Server, SynSent, SynReceived, Cause::Segment(Flags::SYN));
    made.arrives(other);
    made.state(Side::Client, SynSent, SynReceived, Cause::Segment(Flags::SYN));
    for side in Side::BOTH {
        made.passes(side, syn_ack, [0, 1], 0);
        made.state(side.other(), SynReceived, Established, Cause::Segment(syn_ack));
    }
    let records = made.records();
    let connections = Connections::of(&records);
    assert_eq!(connections.all().len(), 1);
    assert_eq!(connections.all()[0].opening, Opening::Simultaneous);
    compare_text("simultaneous-open", &records);
}

#[test]
fn a_socket_that_connects_to_itself_is_drawn() {
    let mut made = Made::alone();
    made.state(Side::Client, State::Closed, State::SynSent, Cause::Open);
    made.passes(Side::Client, Flags::SYN, [0, 0], 0);
    made.passes(Side::Client, Flags::SYN | Flags::ACK, [0, 1], 0);
    let records = made.records();
    assert_eq!(Connections::of(&records).all().len(), 1);
    assert!(text(&picture(&records), narrow(Charset::Ascii)).contains("SYN,ACK seq=0 ack=1"));
}

#[test]
fn many_segments_of_text_are_folded_unless_all_are_wanted() {
    let mut made = Made::new();
    made.handshake();
    for number in 0..10 {
        made.passes(Side::Client, TEXT, [1 + 100 * number, 1], 100);
        made.passes(Side::Server, Flags::ACK, [1, 101 + 100 * number], 0);
    }
    let records = made.records();
    let connections = Connections::of(&records);
    let draw = |detail| {
        let picture = Picture::of(&connections.all()[0], &records, &connections, detail);
        text(&picture, narrow(Charset::Ascii))
    };
    let folded = draw(Detail::Folded);
    assert!(folded.contains("10 segments, 1000 octets"), "{folded}");
    assert!(!folded.contains("PSH"), "{folded}");
    assert_eq!(draw(Detail::Full).matches("len=100").count(), 10);
}

#[test]
fn text_that_was_not_recorded_is_told_by_the_numbers() {
    let mut made = Made::new();
    made.handshake();
    made.close(501);
    let drawn = text(&picture(&made.records()), narrow(Charset::Ascii));
    assert!(drawn.contains("500 octets, not recorded"), "{drawn}");
}

#[test]
fn words_that_find_no_room_on_an_arrow_stand_below_it() {
    let mut made = Made::new();
    made.handshake();
    let flags = Flags::FIN | TEXT;
    made.passes(Side::Server, flags, [1_234_567_890, 1_234_567_890], 65_000);
    let drawn = text(&picture(&made.records()), narrow(Charset::Ascii));
    assert!(drawn.contains("<---- FIN,PSH,ACK seq=1234567890 -|"), "{drawn}");
    assert!(drawn.contains(" ack=1234567890 len=65000  |"), "{drawn}");
}

/// Whatever is missing of the records, something is drawn.
#[test]
fn records_with_gaps_are_drawn() {
    let mut scene = Scene::set();
    scene.delay(Duration::from_millis(5));
    scene.connect();
    scene.both_close();
    scene.pass(Duration::from_secs(70));
    let whole = scene.records();
    let mut random = 7_u64;
    for _ in 0..300 {
        let mut records = whole.clone();
        records.records.retain(|_| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            !random.is_multiple_of(3)
        });
        let connections = Connections::of(&records);
        for connection in connections.all() {
            for detail in [Detail::Folded, Detail::Full] {
                let picture = Picture::of(connection, &records, &connections, detail);
                for width in [MIN_WIDTH, 80, 200] {
                    let style = TextStyle { width, charset: Charset::Ascii, coloured: true };
                    assert!(text(&picture, style).is_ascii());
                }
                assert!(svg(&picture).ends_with("</svg>\n"));
                assert!(mermaid(&picture).contains("sequenceDiagram"));
            }
        }
    }
}

#[test]
fn no_line_is_longer_than_the_width() {
    let mut scene = Scene::set();
    scene.connect();
    scene.client_closes();
    scene.pass(Duration::from_secs(90));
    let picture = picture(&scene.records());
    for width in MIN_WIDTH..140 {
        let style = TextStyle { width, charset: Charset::Unicode, coloured: false };
        for line in text(&picture, style).lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}
