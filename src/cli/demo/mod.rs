//! `tcplab demo`: real programs on a stack of their own, and what happens to their connections.
//!
//! Every scene runs the programs of `examples/`, asks the stack what it sees, prints that, and
//! checks it: a demo that shows something else than it says ends with status 1. It deliberately
//! shows nothing that is not asked of the running stack or printed by the programs.
//!
//! | what | where |
//! | --- | --- |
//! | the scenes | `scenes/` |
//! | what a scene does and looks at | `stage/` |
//! | one after the other, and the sum | `playing.rs` |
//! | the programs | `programs.rs` |

mod playing;
mod programs;
mod scenes;
mod stage;

use core::fmt::Write as _;

use clap::Args;

use self::scenes::{SCENES, Scene, TOUR};
use super::{Failure, Outcome, print};

/// See it work: real programs, their connections' states, what goes wrong and why
///
/// Without a name: a tour of the five main scenes, in under ten seconds. Each scene runs real
/// programs in a session of its own, shows the commands that make it happen, and checks what it
/// shows; the exit status is 1 when a check fails. Whatever takes a minute on the kernel (TIME-WAIT)
/// takes a minute of the stack's time here, too: `tcplab clock advance` lets it pass in a moment.
///
/// The programs are those of `examples/`, compiled with cc (or Python ones where there is no cc);
/// proxy-502 needs nginx.
#[derive(Args)]
#[command(after_help = "Examples:
  tcplab demo                          the tour
  tcplab demo --list                   names and titles
  tcplab demo S06 ghost-corruption     two scenes, by number or by name
  tcplab demo --all                    every scene; the story of those that fail, and a table
  tcplab demo --all --verbose          every scene's story")]
pub(super) struct Arguments {
    /// Scenes to show, by name or number
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// List the scenes
    #[arg(long)]
    list: bool,
    /// Play every scene; tell only what fails, and sum up
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// With --all: tell every scene's story
    #[arg(short, long, requires = "all")]
    verbose: bool,
}

pub(super) fn run(arguments: &Arguments) -> Outcome {
    if arguments.list {
        print(&list())?;
        return Ok(0);
    }
    let chosen = choose(arguments)?;
    match arguments.all && !arguments.verbose {
        true => playing::quietly(&chosen),
        false => playing::aloud(&chosen),
    }
}

fn choose(arguments: &Arguments) -> Result<Vec<&'static Scene>, Failure> {
    if arguments.all {
        return Ok(SCENES.iter().collect());
    }
    let find = |name: &str| {
        let is_meant = |scene: &&Scene| scene.name == name || scene.id.eq_ignore_ascii_case(name);
        SCENES.iter().find(is_meant).ok_or_else(|| {
            Failure::usage(format!("there is no scene '{name}'; `tcplab demo --list` lists them"))
        })
    };
    match arguments.names.is_empty() {
        true => TOUR.iter().map(|name| find(name)).collect(),
        false => arguments.names.iter().map(|name| find(name)).collect(),
    }
}

fn list() -> String {
    let mut text = String::new();
    for scene in SCENES {
        let tour = if TOUR.contains(&scene.name) { '*' } else { ' ' };
        let _ = writeln!(text, "{tour} {}  {:<20} {}", scene.id, scene.name, scene.title);
    }
    text.push_str("* part of the tour that `tcplab demo` shows\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str], all: bool) -> Result<Vec<&'static str>, Failure> {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        let scenes = choose(&Arguments { names, list: false, all, verbose: false })?;
        Ok(scenes.iter().map(|scene| scene.name).collect())
    }

    #[test]
    fn scenes_are_chosen_by_name_by_number_or_by_the_tour() {
        assert_eq!(names(&["half-close", "s06"], false).unwrap(), ["half-close", "lost-last-ack"]);
        assert_eq!(names(&[], false).unwrap(), TOUR);
        assert_eq!(names(&[], true).unwrap().len(), SCENES.len());
        assert_eq!(names(&["no-such"], false).unwrap_err().status, super::super::USAGE);
    }

    #[test]
    fn every_scene_is_listed() {
        assert_eq!(list().lines().count(), SCENES.len() + 1);
    }
}
