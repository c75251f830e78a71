//! The programs that a demo runs: the C examples, compiled when they are needed; Python ones with
//! the same command line where there is no C compiler.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::Failure;

/// A program of `examples/`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    source: &'static str,
}

macro_rules! programs {
    ($($constant:ident = $name:literal;)*) => {
        $(pub(super) const $constant: Program = Program {
            name: $name,
            source: include_str!(concat!("../../../examples/", $name, ".c")),
        };)*
        #[cfg(test)]
        const ALL: &[Program] = &[$($constant),*];
    };
}

programs! {
    BULK_SERVER = "bulk_server";
    CALLS = "calls";
    CLIENT = "client";
    CLOSES_FIRST = "closes_first";
    CONNECT_OFTEN = "connect_often";
    CORRECT_SERVER = "correct_server";
    ECHO_SERVER = "echo_server";
    FORK_SERVER = "fork_server";
    HALF_CLOSE_CLIENT = "half_close_client";
    HTTP_GET = "http_get";
    LEAK_IGNORES_EOF = "leak_ignores_eof";
    LEAK_NEVER_CLOSES = "leak_never_closes";
}

const HEADERS: [(&str, &str); 2] = [
    ("client.h", include_str!("../../../examples/client.h")),
    ("server.h", include_str!("../../../examples/server.h")),
];
const PYTHON: &str = include_str!("programs.py");
const PYTHON_FILE: &str = "programs.py";

/// What the programs are written in on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Language {
    C,
    Python,
}

/// A directory with the programs in it, removed with this value.
pub(super) struct Workshop {
    directory: PathBuf,
    language: Language,
    files: Cell<u32>,
}

impl Workshop {
    /// Makes the directory and finds out what there is to build with.
    pub(super) fn open() -> Result<Workshop, Failure> {
        let language = match (runs("cc"), runs("python3")) {
            (true, _) => Language::C,
            (false, true) => Language::Python,
            (false, false) => {
                return Err(Failure::new(
                    "the demo needs a C compiler (cc) or python3 for its programs; install one",
                ));
            }
        };
        let name = format!("tcplab-demo-{}", std::process::id());
        let workshop =
            Workshop { directory: std::env::temp_dir().join(name), language, files: Cell::new(0) };
        let prepare = || {
            fs::create_dir(&workshop.directory)?;
            for (name, text) in HEADERS.into_iter().chain([(PYTHON_FILE, PYTHON)]) {
                fs::write(workshop.directory.join(name), text)?;
            }
            Ok::<(), std::io::Error>(())
        };
        prepare().map_err(|e| {
            Failure::new(format!("cannot write to {}: {e}", workshop.directory.display()))
        })?;
        Ok(workshop)
    }

    /// A new file in it, whose name ends in `name`.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        let count = self.files.replace(self.files.get() + 1);
        self.directory.join(format!("{count}-{name}"))
    }

    pub(super) fn language(&self) -> Language {
        self.language
    }

    /// The words that start the program; builds it where that was not done yet.
    pub(super) fn command(&self, program: Program) -> Result<Vec<String>, Failure> {
        let path = self.directory.join(program.name);
        match self.language {
            Language::C => {
                if !path.exists() {
                    self.compile(program, &path)?;
                }
                Ok(vec![path.display().to_string()])
            }
            Language::Python => Ok(vec![
                "python3".to_owned(),
                self.directory.join(PYTHON_FILE).display().to_string(),
                program.name.to_owned(),
            ]),
        }
    }

    fn compile(&self, program: Program, path: &Path) -> Result<(), Failure> {
        let source = self.directory.join(program.name).with_extension("c");
        let compiled = fs::write(&source, program.source).and_then(|()| {
            Command::new("cc").args(["-g", "-pthread"]).arg(&source).arg("-o").arg(path).output()
        });
        match compiled {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(Failure::new(format!(
                "cc cannot compile examples/{}.c: {}",
                program.name,
                String::from_utf8_lossy(&output.stderr).trim_end()
            ))),
            Err(e) => Err(Failure::new(format!("cannot run cc: {e}"))),
        }
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn runs(command: &str) -> bool {
    let mut command = Command::new(command);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_a_python_twin() {
        for program in ALL {
            let definition = format!("def {}(", program.name);
            assert!(PYTHON.contains(&definition), "{definition}");
        }
    }
}
