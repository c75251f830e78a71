//! `tcplab man` and `tcplab completions`: manual pages and shell completions, made of the same
//! definitions as `--help`.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

use clap::{Args, Command};
use clap_complete::Shell;

use super::{Failure, Outcome, USAGE, print};

/// Show the manual page of tcplab or of a subcommand, or write them all
#[derive(Args)]
#[command(after_help = "Examples:
  tcplab man                              tcplab(1)
  tcplab man rule                         tcplab-rule(1)
  tcplab man --dir ~/.local/share/man/man1")]
pub(super) struct Arguments {
    /// Subcommand, with its own subcommand where it has one
    #[arg(value_name = "SUBCOMMAND")]
    subcommand: Vec<String>,
    /// Write every page as a file into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "subcommand")]
    dir: Option<PathBuf>,
}

/// Print completions for a shell
#[derive(Args)]
#[command(after_help = "Examples:
  tcplab completions bash > ~/.local/share/bash-completion/completions/tcplab
  tcplab completions zsh > ~/.zfunc/_tcplab")]
pub(super) struct Completions {
    /// Shell
    shell: Shell,
}

pub(super) fn run(command: Command, arguments: &Arguments) -> Outcome {
    let mut command = command;
    command.build();
    if let Some(dir) = &arguments.dir {
        return write_all(&command, dir);
    }
    let mut chosen = &command;
    for name in &arguments.subcommand {
        chosen = chosen.find_subcommand(name).ok_or_else(|| Failure {
            sentence: format!("there is no subcommand '{name}'; `tcplab help` lists them"),
            status: USAGE,
        })?;
    }
    let page = page(chosen)?;
    match io::stdout().is_terminal() && shown_by_man(&page) {
        true => Ok(0),
        false => {
            print(&page)?;
            Ok(0)
        }
    }
}

pub(super) fn complete(command: Command, arguments: &Completions) -> Outcome {
    let mut command = command;
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "tcplab", &mut text);
    print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}

fn page(command: &Command) -> Result<String, Failure> {
    let mut text = Vec::new();
    // Names such as `tcplab-clock-advance` are those of the pages; a usage line has spaces.
    let page = clap_mangen::Man::new(command.clone()).title(file_stem(command).to_uppercase());
    page.render(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn file_stem(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).replace(' ', "-")
}

/// Lets man(1) show the page; `false` where there is none.
fn shown_by_man(page: &str) -> bool {
    let Ok(mut man) = Process::new("man").args(["-l", "-"]).stdin(Stdio::piped()).spawn() else {
        return false;
    };
    if let Some(mut stdin) = man.stdin.take() {
        // A reader who quits early has read enough.
        let _ = stdin.write_all(page.as_bytes());
    }
    man.wait().is_ok_and(|status| status.success())
}

fn write_all(command: &Command, dir: &Path) -> Outcome {
    let failed =
        |doing: &Path, e: io::Error| Failure::new(format!("cannot write {}: {e}", doing.display()));
    fs::create_dir_all(dir).map_err(|e| failed(dir, e))?;
    let mut waiting = vec![command];
    while let Some(command) = waiting.pop() {
        let path = dir.join(format!("{}.1", file_stem(command)));
        fs::write(&path, page(command)?).map_err(|e| failed(&path, e))?;
        waiting.extend(
            command.get_subcommands().filter(|s| !s.is_hide_set() && s.get_name() != "help"),
        );
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_subcommand_has_a_page() {
        let dir = std::env::temp_dir().join(format!("tcplab-man-{}", std::process::id()));
        let mut command = super::super::Cli::command();
        command.build();
        write_all(&command, &dir).unwrap();
        for name in ["tcplab", "tcplab-ss", "tcplab-run", "tcplab-clock-advance"] {
            let text = fs::read_to_string(dir.join(format!("{name}.1"))).unwrap();
            assert!(text.contains(".SH NAME"), "{name}");
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
