//! Scenes one after the other: told aloud, or played quietly with a progress bar and a table.

use core::fmt::Write as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::super::{Failure, Outcome, print};
use super::programs::{Language, Workshop};
use super::scenes::Scene;
use super::stage::{Stage, Style, Tally, Teller};

/// A scene that was played.
struct Played {
    scene: &'static Scene,
    tally: Tally,
    took: Duration,
}

/// Plays the scenes and tells each as it happens.
pub(super) fn aloud(scenes: &[&'static Scene]) -> Outcome {
    let workshop = Workshop::open()?;
    let mut teller = Teller::aloud();
    introduce(&mut teller, &workshop)?;
    let mut played = Vec::new();
    for scene in scenes {
        played.push(play(scene, &workshop, &mut teller)?);
    }
    teller.write(&format!("\n{}\n", sum(&played, teller.style())))?;
    Ok(status(&played))
}

/// Plays the scenes, tells those that fail, and sums up in a table.
pub(super) fn quietly(scenes: &[&'static Scene]) -> Outcome {
    let workshop = Workshop::open()?;
    let bar = ProgressBar::new(scenes.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("  {bar:30.cyan} {pos:>2}/{len}  {msg}") {
        bar.set_style(style.progress_chars("━╸ "));
    }
    let mut played = Vec::new();
    for scene in scenes {
        bar.set_message(format!("{} {}", scene.id, scene.name));
        let mut teller = Teller::keeping();
        let outcome = play(scene, &workshop, &mut teller)?;
        if outcome.tally.failed > 0 {
            bar.suspend(|| print(teller.story()))?;
        }
        played.push(outcome);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let style = Teller::aloud().style();
    print(&format!("{}\n{}\n", table(&played, style), sum(&played, style)))?;
    Ok(status(&played))
}

/// Says what the programs are, and what is left out of the lines.
fn introduce(teller: &mut Teller, workshop: &Workshop) -> Result<(), Failure> {
    let language = match workshop.language() {
        Language::C => "the C programs in examples/",
        Language::Python => "Python programs (there is no cc here)",
    };
    teller.paragraph(&format!(
        "Unmodified programs ({language}) on a TCP of their own. Each scene has a session, and so \
         a machine, of its own; `--session` is left out of the lines below. Everything is traced \
         (`tcplab trace on`). Times are those of the stack's clock: TIME-WAIT lasts 60 s, as on \
         Linux."
    ))?;
    Ok(())
}

fn play(
    scene: &'static Scene,
    workshop: &Workshop,
    teller: &mut Teller,
) -> Result<Played, Failure> {
    let begun = Instant::now();
    let stage = Stage::set(workshop, teller, [scene.id, scene.name, scene.title])?;
    let tally = stage.play(scene.play)?;
    Ok(Played { scene, tally, took: begun.elapsed() })
}

fn table(played: &[Played], style: Style) -> String {
    let mut text = String::new();
    for Played { scene, tally, took } in played {
        let outcome = match tally {
            Tally { failed: 1.., .. } => style.bad(&format!("{} NOT SO", tally.failed)),
            Tally { skipped: true, .. } => style.warning("SKIPPED"),
            _ => style.good("ok"),
        };
        let _ = writeln!(
            text,
            "  {}  {:<20} {:>2} checks {:>5.2} s  {outcome}",
            scene.id,
            scene.name,
            tally.checks,
            took.as_secs_f32(),
        );
    }
    text
}

fn sum(played: &[Played], style: Style) -> String {
    let total = |count: fn(&Tally) -> u32| -> u32 { played.iter().map(|p| count(&p.tally)).sum() };
    let (checks, failed) = (total(|tally| tally.checks), total(|tally| tally.failed));
    let skipped = total(|tally| tally.skipped.into());
    let took: Duration = played.iter().map(|p| p.took).sum();
    let mut text = match failed {
        0 => style.good(&format!("{checks} checks passed")),
        _ => style.bad(&format!("{failed} of {checks} checks FAILED")),
    };
    if skipped > 0 {
        text += &style.warning(&format!(", {skipped} of {} scenes SKIPPED", played.len()));
    }
    text + &format!(" in {:.1} s", took.as_secs_f32())
}

fn status(played: &[Played]) -> u8 {
    u8::from(played.iter().any(|played| played.tally.failed > 0))
}
