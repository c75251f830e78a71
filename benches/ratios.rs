//! How fast this TCP is, as ratios against the kernel's in the same run: bulk, round trip, short
//! connections, measured by public tools and two small C loops.
//!
//! ```text
//! cargo bench                                every measure, 5 pairs each
//! cargo bench -- --pairs 9 round-trip        those whose name contains the words
//! cargo bench -- --json                      for machines
//! TCPLAB_NATIVE=1 cargo bench                the kernel against itself: the noise
//! ```
//!
//! Samples alternate, kernel, ours, ours, kernel, so that a machine that becomes slower does so for
//! both; each pair gives a ratio, and medians are printed with the spread. Deliberately no failure
//! when a target is missed: what a busy machine measures proves nothing.

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/programs/ground.rs"]
mod ground;
#[path = "../tests/programs/kernel_tcp.rs"]
mod kernel_tcp;
mod measures;
#[path = "../tests/programs/nginx.rs"]
mod nginx;

use ground::Ground;
use measures::{Better, MEASURES, Measure};

/// What the command line asks for.
struct Wish {
    pairs: usize,
    json: bool,
    names: Vec<String>,
}

impl Wish {
    fn from_arguments() -> Result<Wish, String> {
        let mut wish = Wish { pairs: 5, json: false, names: Vec::new() };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // cargo adds it.
                "--bench" => {}
                "--json" => wish.json = true,
                "--pairs" => {
                    let pairs = arguments.next().and_then(|n| n.parse().ok()).filter(|&n| n > 0);
                    wish.pairs = pairs.ok_or("--pairs takes a number, one or more")?;
                }
                _ if argument.starts_with('-') => {
                    return Err(format!("unknown option {argument}: --json, --pairs N, or names"));
                }
                _ => wish.names.push(argument),
            }
        }
        Ok(wish)
    }

    fn wants(&self, measure: &Measure) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| measure.name.contains(name.as_str()))
    }
}

/// Samples of one measure, kernel and ours, pair by pair.
struct Samples<'a> {
    measure: &'a Measure,
    pairs: Vec<(f64, f64)>,
}

impl Samples<'_> {
    fn take(measure: &Measure, pairs: usize) -> Samples<'_> {
        let kernel = (measure.start)(Ground::Kernel);
        let ours = (measure.start)(Ground::with_sysctls(&[]));
        // Caches, lazy starts and slow beginnings are not what is measured.
        kernel.sample();
        ours.sample();
        let take = |pair: usize| {
            if pair.is_multiple_of(2) {
                let first = kernel.sample();
                (first, ours.sample())
            } else {
                let first = ours.sample();
                (kernel.sample(), first)
            }
        };
        Samples { measure, pairs: (0..pairs).map(take).collect() }
    }

    fn summary(&self) -> Summary {
        let ratios = sorted(self.pairs.iter().map(|(kernel, ours)| ours / kernel));
        let ratio = median(&ratios);
        let target_met = match self.measure.better {
            Better::Higher => ratio >= self.measure.target,
            Better::Lower => ratio <= self.measure.target,
        };
        Summary {
            kernel: median(&sorted(self.pairs.iter().map(|pair| pair.0))),
            ours: median(&sorted(self.pairs.iter().map(|pair| pair.1))),
            ratio,
            least: ratios[0],
            most: ratios[ratios.len() - 1],
            target_met,
        }
    }

    fn json(&self) -> serde_json::Value {
        let summary = self.summary();
        serde_json::json!({
            "name": self.measure.name,
            "unit": self.measure.unit,
            "pairs_kernel_tcplab": self.pairs,
            "median_kernel": summary.kernel,
            "median_tcplab": summary.ours,
            "ratio_median": summary.ratio,
            "ratio_least": summary.least,
            "ratio_most": summary.most,
            "target": self.measure.target_text(),
            "target_met": summary.target_met,
        })
    }

    fn line(&self) -> String {
        let Summary { kernel, ours, ratio, least, most, target_met } = self.summary();
        let verdict = if target_met { "met" } else { "MISSED" };
        format!(
            "{:<26} {:>10} {kernel:>12.1} {ours:>12.1}   {ratio:>5.2} ({least:.2} to {most:.2})   {:>6} {verdict}",
            self.measure.name,
            self.measure.unit,
            self.measure.target_text(),
        )
    }
}

struct Summary {
    kernel: f64,
    ours: f64,
    /// Ours to the kernel's: median of the pairs' ratios.
    ratio: f64,
    least: f64,
    most: f64,
    target_met: bool,
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    } else {
        sorted[middle]
    }
}

fn main() {
    let wish = Wish::from_arguments().unwrap_or_else(|sentence| {
        eprintln!("{sentence}");
        std::process::exit(2);
    });
    if !wish.json {
        println!(
            "{:<26} {:>10} {:>12} {:>12}   ratio (spread)         target",
            "medians", "unit", "kernel", "tcplab"
        );
    }
    let mut all = Vec::new();
    for measure in MEASURES.iter().filter(|measure| wish.wants(measure)) {
        let missing: Vec<_> =
            measure.programs.iter().filter(|p| ground::find(p).is_none()).copied().collect();
        if !missing.is_empty() {
            eprintln!("{}: left out, not installed: {}", measure.name, missing.join(", "));
            continue;
        }
        let samples = Samples::take(measure, wish.pairs);
        if wish.json {
            all.push(samples.json());
        } else {
            println!("{}", samples.line());
        }
    }
    if wish.json {
        println!("{:#}", serde_json::Value::from(all));
    }
}
