//! Every recipe of `examples/recipes/` does what it says: each is a script that a user can run, and
//! ends with status 0 only if all it expects holds.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Program, describe, tcplab_path};
use libtest_mimic::{Arguments, Failed, Trial};

/// How long a recipe may take on a busy machine.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(120);

fn main() {
    let arguments = Arguments::from_args();
    let trials = recipes().into_iter().map(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Trial::test(name, move || run(&path))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// The scripts, in the order of their numbers.
fn recipes() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/recipes");
    let entries = std::fs::read_dir(&directory).expect("the recipes are there");
    let mut scripts: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sh"))
        .filter(|path| !path.ends_with("prelude.sh"))
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 16, "recipes are missing: {scripts:?}");
    scripts
}

fn run(script: &Path) -> Result<(), Failed> {
    let mut command = Command::new("sh");
    command.arg(script).env("TCPLAB", tcplab_path()).stdin(Stdio::null());
    let mut recipe = Program::start(command)?;
    let status = recipe.wait(LIMIT);
    match status.is_some_and(|status| status.success()) {
        true => Ok(()),
        false => Err(format!("{}:\n{}", describe(status), recipe.output()).into()),
    }
}
