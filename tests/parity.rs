//! Parity with the kernel: every case of `tests/parity/*.c` runs once on the kernel's TCP and once
//! on ours, and both traces must be equal. No expected value is written by hand.
//!
//! `cargo test --test parity -- parity::bind` runs a part. `TCPLAB_PARITY_KERNEL_RUNS=20` compares
//! the kernel with itself instead, so often: a case that fails then is not deterministic, and its
//! verdict on us would be worth nothing.

mod common;
#[path = "parity/differences.rs"]
mod differences;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use common::{Program, Session, compile, describe};
use differences::{DIFFERENCES, Extent};
use libtest_mimic::{Arguments, Failed, Trial};

/// Longest run of one case on one side; each of its waits has a shorter deadline of its own.
const CASE_LIMIT: Duration = Duration::from_secs(60);

/// Cases that run at once, where the command line does not say. They mostly wait.
const DEFAULT_THREADS: usize = 8;

/// The cases pass bad pointers and lengths on purpose.
const WRONG_ON_PURPOSE: &[&str] =
    &["-Wno-nonnull", "-Wno-stringop-overflow", "-Wno-stringop-overread"];

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    args.test_threads.get_or_insert(DEFAULT_THREADS);
    let kernel_runs = std::env::var("TCPLAB_PARITY_KERNEL_RUNS").ok();
    let kernel_runs = kernel_runs.map(|n| n.parse().expect("a number of runs"));
    let mut trials = Vec::new();
    for source in sources() {
        let theme = source.file_stem().expect("*.c has a stem").to_string_lossy().into_owned();
        let mut flags = WRONG_ON_PURPOSE.to_vec();
        if theme == "fortify" {
            flags.extend(["-O2", "-D_FORTIFY_SOURCE=2"]);
        }
        let program = compile(&format!("tests/parity/{theme}.c"), &flags);
        for case in cases_of(&program) {
            let program = program.clone();
            let name = format!("{theme}::{case}");
            trials.push(Trial::test(format!("parity::{name}"), move || match kernel_runs {
                Some(runs) => kernel_with_itself(&program, &case, runs),
                None => kernel_with_ours(&program, &case, &name),
            }));
        }
    }
    let names: Vec<String> = trials.iter().map(|t| t.name().to_owned()).collect();
    if kernel_runs.is_none() {
        trials.push(Trial::test("parity::the_shim_is_live", the_shim_is_live));
    }
    trials.push(Trial::test("parity::every_listed_difference_is_a_case", move || {
        listed_differences_exist(&names)
    }));
    libtest_mimic::run(&args, trials).exit_code()
}

/// The C programs, in the order of their names.
fn sources() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity");
    let entries = std::fs::read_dir(directory).expect("tests/parity is there");
    let mut sources: Vec<PathBuf> = entries
        .map(|entry| entry.expect("tests/parity can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == "c"))
        .collect();
    sources.sort();
    sources
}

fn cases_of(program: &Path) -> Vec<String> {
    let output = Command::new(program).arg("--list").output().expect("a case list");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// The trace of one case on the kernel (`None`) or in a session.
fn trace(program: &Path, case: &str, session: Option<&Session>) -> Vec<String> {
    let mut command = match session {
        Some(session) => session.command(program),
        None => Command::new(program),
    };
    command.arg(case);
    let mut running = Program::start(command).expect("the case can be started");
    let status = running.wait(CASE_LIMIT);
    let mut lines: Vec<String> = running.output().lines().map(str::to_owned).collect();
    lines.push(format!("the program ends with {}", describe(status)));
    lines
}

fn kernel_with_ours(program: &Path, case: &str, name: &str) -> Result<(), Failed> {
    let kernel = trace(program, case, None);
    let ours = trace(program, case, Some(&Session::new()));
    let Some(listed) = DIFFERENCES.iter().find(|listed| listed.cases.contains(&name)) else {
        return if kernel == ours { Ok(()) } else { Err(diff(&kernel, &ours).into()) };
    };
    if kernel == ours {
        let reason = listed.reason;
        return Err(format!("no difference any more, remove it from the list: {reason}").into());
    }
    match listed.extent {
        Extent::Only(text, instead) if !differ_only_in(&kernel, &ours, text, instead) => {
            Err(format!("more than the listed difference:\n{}", diff(&kernel, &ours)).into())
        }
        Extent::Only(..) | Extent::Case => Ok(()),
    }
}

/// Whether each line of ours is the kernel's, or the kernel's with `text` replaced by `instead`.
fn differ_only_in(kernel: &[String], ours: &[String], text: &str, instead: &str) -> bool {
    kernel.len() == ours.len()
        && kernel.iter().zip(ours).all(|(k, o)| k == o || k.replace(text, instead) == *o)
}

/// Equal traces prove nothing where the shim was not loaded: the connections must be the stack's.
fn the_shim_is_live() -> Result<(), Failed> {
    let session = Session::new();
    let program = compile("tests/parity/connect.c", WRONG_ON_PURPOSE);
    trace(&program, "established_nonblocking", Some(&session));
    let opens = session.status().counters.into_iter().find(|(name, _)| name == "TcpActiveOpens");
    match opens {
        Some((_, count)) if count > 0 => Ok(()),
        other => Err(format!("the stack has seen no connection: {other:?}").into()),
    }
}

fn kernel_with_itself(program: &Path, case: &str, runs: u32) -> Result<(), Failed> {
    let first = trace(program, case, None);
    if first.iter().any(|l| l.contains("TIMED OUT") || l.contains("SET-UP FAILED")) {
        return Err(first.join("\n").into());
    }
    for _ in 1..runs {
        let again = trace(program, case, None);
        if again != first {
            return Err(diff(&first, &again).into());
        }
    }
    Ok(())
}

fn listed_differences_exist(cases: &[String]) -> Result<(), Failed> {
    for listed in DIFFERENCES.iter().flat_map(|difference| difference.cases) {
        if !cases.contains(&format!("parity::{listed}")) {
            return Err(format!("{listed} is listed as a difference but is no case").into());
        }
    }
    Ok(())
}

/// Both traces as one: common lines, lines of the kernel alone (`-`), lines of ours alone (`+`).
fn diff(kernel: &[String], ours: &[String]) -> String {
    // longest[i][j]: length of the longest common subsequence of kernel[i..] and ours[j..].
    let mut longest = vec![vec![0u32; ours.len() + 1]; kernel.len() + 1];
    for i in (0..kernel.len()).rev() {
        for j in (0..ours.len()).rev() {
            longest[i][j] = if kernel[i] == ours[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut text = String::from("--- kernel\n+++ tcplab\n");
    while i < kernel.len() || j < ours.len() {
        if i < kernel.len() && j < ours.len() && kernel[i] == ours[j] {
            text += &format!("  {}\n", kernel[i]);
            (i, j) = (i + 1, j + 1);
        } else if j == ours.len() || i < kernel.len() && longest[i + 1][j] >= longest[i][j + 1] {
            text += &format!("- {}\n", kernel[i]);
            i += 1;
        } else {
            text += &format!("+ {}\n", ours[j]);
            j += 1;
        }
    }
    text
}
