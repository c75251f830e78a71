//! The picture as a Mermaid sequence diagram, for Markdown pages that draw them.
//!
//! Mermaid has no slanting arrows: a segment that arrives later is a note where it is sent, and
//! an arrow where it arrives.

use core::fmt::Write as _;

use super::connections::Side;
use super::picture::{Across, Ending, Flight, Kind, Label, Mark, Picture, Row, Toward};
use super::words;

/// Names of the participants: client's program and TCP, server's TCP and program.
const PARTICIPANTS: [&str; 4] = ["CP", "CT", "ST", "SP"];

/// The picture in Mermaid's language.
pub fn mermaid(picture: &Picture) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "---\ntitle: \"{}\"\n---\nsequenceDiagram", escaped(&picture.title));
    for (name, lifeline) in PARTICIPANTS.iter().zip(&picture.lifelines) {
        let detail = match lifeline.detail.as_str() {
            "" => String::new(),
            detail => format!("<br/>{}", escaped(detail)),
        };
        let _ = writeln!(out, "    participant {name} as {}{detail}", escaped(&lifeline.name));
    }
    for (number, row) in picture.rows.iter().enumerate() {
        write_row(picture, number, row, &mut out);
    }
    for footnote in &picture.footnotes {
        let _ = writeln!(out, "    Note over CP,SP: {}", escaped(footnote));
    }
    out
}

fn write_row(picture: &Picture, number: usize, row: &Row, out: &mut String) {
    if let Some(across) = &row.across {
        let text = match across {
            Across::Silence(nanos, why) => {
                let why = why.map_or(String::new(), |why| format!(" ({why})"));
                format!("... {}{why} ...", words::time(*nanos))
            }
            Across::Note(text) => text.clone(),
        };
        let _ = writeln!(out, "    Note over CP,SP: {}", escaped(&text));
    }
    // A timer comes before what it makes its TCP send, a state after it.
    let sends = |side| picture.flights.iter().any(|f| f.start == number && f.from == side);
    let causes =
        |side: Side| matches!(row.label[side as usize], Some(Label::Timer(_))) && sends(side);
    for side in Side::BOTH {
        if let Some(mark) = &row.program[side as usize] {
            write_mark(picture, number, side, mark, out);
        }
        if let Some(label) = row.label[side as usize].as_ref().filter(|_| causes(side)) {
            write_label(side, label, out);
        }
    }
    for flight in picture.flights.iter().filter(|flight| flight.start == number) {
        write_sending(flight, out);
    }
    let landed = |flight: &&Flight| flight.start != number && flight.end == Ending::Arrives(number);
    for flight in picture.flights.iter().filter(landed) {
        let text = format!("{} (arrives)", flight.words.head);
        write_arrow(flight, &text, out);
    }
    if let Some((side, text)) = &row.aside {
        let tcp = tcp(*side);
        let _ = writeln!(out, "    Note over {tcp}: {}", escaped(text));
    }
    for side in Side::BOTH {
        if let Some(label) = row.label[side as usize].as_ref().filter(|_| !causes(side)) {
            write_label(side, label, out);
        }
    }
}

fn tcp(side: Side) -> &'static str {
    PARTICIPANTS[1 + side as usize]
}

fn write_label(side: Side, label: &Label, out: &mut String) {
    let place = match side {
        Side::Client => "left",
        Side::Server => "right",
    };
    let _ = writeln!(out, "    Note {place} of {}: {}", tcp(side), escaped(&label.text()));
}

fn write_mark(picture: &Picture, number: usize, side: Side, mark: &Mark, out: &mut String) {
    let program = match side {
        Side::Client => PARTICIPANTS[0],
        Side::Server => PARTICIPANTS[3],
    };
    let (from, arrow, to) = match mark.toward {
        Toward::Stack => (program, "->>", tcp(side)),
        Toward::Program => (tcp(side), "-->>", program),
    };
    let waits = &picture.waits[side as usize];
    // A call that waits is a bar on the line of its program.
    if waits.iter().any(|&(_, end)| end == number) {
        let _ = writeln!(out, "    {from}{arrow}{to}: {}", escaped(mark.words.long()));
        let _ = writeln!(out, "    deactivate {program}");
        return;
    }
    let _ = writeln!(out, "    {from}{arrow}{to}: {}", escaped(mark.words.long()));
    if waits.iter().any(|&(begin, _)| begin == number) {
        let _ = writeln!(out, "    activate {program}");
    }
}

fn write_sending(flight: &Flight, out: &mut String) {
    let words = flight.words.all();
    match &flight.end {
        Ending::Arrives(row) if *row == flight.start => write_arrow(flight, &words, out),
        Ending::Arrives(_) => {
            let text = format!("{words} (sent, arrives below)");
            let _ = writeln!(out, "    Note over {}: {}", tcp(flight.from), escaped(&text));
        }
        Ending::Lost(agent) => {
            let (from, to) = (tcp(flight.from), tcp(flight.from.other()));
            let text = escaped(&format!("{words} (lost: {agent})"));
            let _ = writeln!(out, "    {from}-x{to}: {text}");
        }
        Ending::Open(what) => {
            let (from, to) = (tcp(flight.from), tcp(flight.from.other()));
            let text = escaped(&format!("{words} ({what})"));
            let _ = writeln!(out, "    {from}--x{to}: {text}");
        }
    }
}

fn write_arrow(flight: &Flight, text: &str, out: &mut String) {
    let (from, to) = (tcp(flight.from), tcp(flight.from.other()));
    let arrow = match (flight.kind, flight.refused) {
        (_, true) => "-x",
        (Kind::Old, false) => "-->>",
        (_, false) => "->>",
    };
    let _ = writeln!(out, "    {from}{arrow}{to}: {}", escaped(text));
}

/// Text without what Mermaid takes for its own.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '#' | ';' | '<' | '>' | '"' | '%' | '&' => {
                let _ = write!(out, "#{};", u32::from(character));
            }
            character if character.is_control() => out.push(' '),
            character => out.push(character),
        }
    }
    out
}
