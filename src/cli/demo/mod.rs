//! `tcplab demo`: real programs on a stack of their own, and what happens to their connections.
//!
//! Every scene runs the programs of `examples/`, asks the stack what it sees, prints that, and
//! checks it: a demo that shows something else than it says ends with status 1. It deliberately
//! shows nothing that is not asked of the running stack or printed by the programs.

mod closing;
mod leaking;
mod opening;
mod programs;
mod stage;
mod waiting;

use core::fmt::Write as _;

use clap::Args;

use self::stage::Stage;
use super::{Failure, Outcome, print};

/// See it work: real programs, their connections' states, what goes wrong and why
///
/// Without a name: a tour of the five main scenes, in under ten seconds. Each scene checks what
/// it shows; the exit status is 1 when a check fails. The programs are those of `examples/`,
/// compiled with cc (or Python ones where there is no cc), in a session of their own.
#[derive(Args)]
#[command(after_help = "Examples:
  tcplab demo
  tcplab demo --list
  tcplab demo restart-eaddrinuse")]
pub(super) struct Arguments {
    /// Scenes to show
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// List the scenes
    #[arg(long)]
    list: bool,
    /// Show every scene
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

/// Plays the scene; checks are counted by the stage.
type Play = fn(&mut Stage) -> Result<(), Failure>;

struct Scene {
    name: &'static str,
    title: &'static str,
    tour: Tour,
    play: Play,
}

/// Whether a scene is shown without being named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tour {
    Part,
    OnDemand,
}

const SCENES: [Scene; 9] = [
    Scene {
        name: "three-way-handshake",
        title: "A connection is made by the two stacks; accept() only picks it up",
        tour: Tour::Part,
        play: opening::three_way_handshake,
    },
    Scene {
        name: "four-way-close",
        title: "Each direction is closed by its own FIN; read() == 0 is the other side's",
        tour: Tour::Part,
        play: closing::four_way_close,
    },
    Scene {
        name: "half-close",
        title: "After our FIN we still receive",
        tour: Tour::Part,
        play: closing::half_close,
    },
    Scene {
        name: "restart-eaddrinuse",
        title: "The server is dead, and its port is still in use",
        tour: Tour::Part,
        play: waiting::restart_eaddrinuse,
    },
    Scene {
        name: "close-wait-leak",
        title: "A server that forgets close() collects CLOSE-WAIT",
        tour: Tour::Part,
        play: leaking::close_wait_leak,
    },
    Scene {
        name: "last-reference",
        title: "A forked child holds a copy: no FIN until the last one is closed",
        tour: Tour::OnDemand,
        play: leaking::last_reference,
    },
    Scene {
        name: "time-wait-expires",
        title: "TIME-WAIT outlives the programs, ends after 2MSL, and sends nothing",
        tour: Tour::OnDemand,
        play: waiting::time_wait_expires,
    },
    Scene {
        name: "server-closes-first",
        title: "TIME-WAIT gathers on the side that closes first, and costs it no port",
        tour: Tour::OnDemand,
        play: waiting::server_closes_first,
    },
    Scene {
        name: "port-exhaustion",
        title: "A client that closes first runs out of ports",
        tour: Tour::OnDemand,
        play: waiting::port_exhaustion,
    },
];

pub(super) fn run(arguments: &Arguments) -> Outcome {
    if arguments.list {
        print(&list())?;
        return Ok(0);
    }
    let chosen = choose(arguments)?;
    let mut stage = Stage::set()?;
    for scene in chosen {
        stage.open(scene.name, scene.title)?;
        (scene.play)(&mut stage)?;
    }
    stage.close()
}

fn choose(arguments: &Arguments) -> Result<Vec<&'static Scene>, Failure> {
    if arguments.names.is_empty() {
        let shown = |scene: &&Scene| arguments.all || scene.tour == Tour::Part;
        return Ok(SCENES.iter().filter(shown).collect());
    }
    let find = |name: &String| {
        SCENES.iter().find(|scene| scene.name == name.as_str()).ok_or_else(|| {
            Failure::usage(format!("there is no scene '{name}'; `tcplab demo --list` lists them"))
        })
    };
    arguments.names.iter().map(find).collect()
}

fn list() -> String {
    let mut text = String::new();
    for scene in &SCENES {
        let tour = if scene.tour == Tour::Part { '*' } else { ' ' };
        let _ = writeln!(text, "{tour} {:<20} {}", scene.name, scene.title);
    }
    text.push_str("* part of the tour that `tcplab demo` shows\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(names: &[&str], all: bool) -> Arguments {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Arguments { names, list: false, all }
    }

    #[test]
    fn scenes_are_chosen_by_name_or_by_the_tour() {
        let names = |arguments: Arguments| {
            choose(&arguments).map(|scenes| scenes.iter().map(|scene| scene.name).collect())
        };
        let one: Vec<&str> = names(arguments(&["half-close"], false)).unwrap();
        assert_eq!(one, ["half-close"]);
        assert_eq!(names(arguments(&[], false)).unwrap().len(), 5);
        assert_eq!(names(arguments(&[], true)).unwrap().len(), SCENES.len());
        assert_eq!(names(arguments(&["no-such"], false)).unwrap_err().status, super::super::USAGE);
    }

    #[test]
    fn every_scene_is_listed() {
        assert_eq!(list().lines().count(), SCENES.len() + 1);
    }
}
