//! What is measured, by which tool, and the ratio it should reach.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::common::{Program, compile};
use crate::ground::{Directory, Ground, Port};
use crate::nginx::Nginx;

const LOOPBACK: &str = "127.0.0.1";

/// One number that a tool gives on the kernel's TCP and on ours.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    /// Ratio, ours to the kernel's, that it should reach.
    pub(crate) target: f64,
    /// What must be installed.
    pub(crate) programs: &'static [&'static str],
    /// Starts its server.
    pub(crate) start: fn(Ground) -> Bench,
}

impl Measure {
    /// The target as people write it.
    pub(crate) fn target_text(&self) -> String {
        match self.better {
            Better::Higher => format!(">= {}", self.target),
            Better::Lower => format!("<= {}", self.target),
        }
    }
}

/// Which way is good.
pub(crate) enum Better {
    Higher,
    Lower,
}

/// A server that runs, and how to take one sample from it.
pub(crate) struct Bench {
    ground: Ground,
    port: Port,
    client: fn(&Bench) -> f64,
    server: Server,
}

enum Server {
    /// Serves, in a directory of its own where it needs one, until dropped.
    Plain {
        _program: Program,
        _directory: Directory,
    },
    Nginx(Nginx),
}

impl Bench {
    /// One sample.
    pub(crate) fn sample(&self) -> f64 {
        (self.client)(self)
    }

    fn serve(ground: Ground, program: &Path, args: &[&str], client: fn(&Bench) -> f64) -> Bench {
        let (port, directory) = (ground.port(), Directory::new());
        let number = port.to_string();
        let args = args.iter().map(|arg| if *arg == "PORT" { &*number } else { *arg });
        let program = ground.serve(&port, program, args);
        let server = Server::Plain { _program: program, _directory: directory };
        Bench { ground, port, client, server }
    }

    /// `program` with `args`, PORT replaced; what it wrote to stdout.
    fn output(&self, program: impl AsRef<Path>, args: &[&str]) -> String {
        let number = self.port.to_string();
        let mut command = self.ground.command(program.as_ref());
        command.args(args.iter().map(|arg| if *arg == "PORT" { &*number } else { *arg }));
        run(&mut command)
    }

    fn url(&self) -> &str {
        match &self.server {
            Server::Nginx(nginx) => nginx.url(),
            Server::Plain { .. } => "",
        }
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {text}{errors}", output.status);
    text
}

/// The table.
pub(crate) const MEASURES: &[Measure] = &[
    Measure {
        name: "bulk iperf3",
        unit: "Mbit/s",
        better: Better::Higher,
        target: 0.4,
        programs: &["iperf3"],
        start: |ground| iperf3(ground, |bench| iperf3_sample(bench, &[])),
    },
    Measure {
        name: "bulk iperf3 -R",
        unit: "Mbit/s",
        better: Better::Higher,
        target: 0.4,
        programs: &["iperf3"],
        start: |ground| iperf3(ground, |bench| iperf3_sample(bench, &["-R"])),
    },
    Measure {
        name: "round-trip C",
        unit: "us",
        better: Better::Lower,
        target: 4.0,
        programs: &["cc"],
        start: |ground| echo(ground, "examples/echo_server.c", round_trip_sample),
    },
    Measure {
        name: "round-trip redis -c 1",
        unit: "us",
        better: Better::Lower,
        target: 4.0,
        programs: &["redis-server", "redis-benchmark"],
        start: redis,
    },
    Measure {
        name: "connect C",
        unit: "conn/s",
        better: Better::Higher,
        target: 0.4,
        programs: &["cc"],
        start: |ground| echo(ground, "examples/epoll_server.c", connect_sample),
    },
    Measure {
        name: "connect ab -c 1 nginx",
        unit: "req/s",
        better: Better::Higher,
        target: 0.4,
        programs: &["nginx", "ab"],
        start: |ground| nginx(ground, |bench| ab_sample(bench, "1")),
    },
    Measure {
        name: "connect ab -c 16 nginx",
        unit: "req/s",
        better: Better::Higher,
        target: 0.4,
        programs: &["nginx", "ab"],
        start: |ground| nginx(ground, |bench| ab_sample(bench, "16")),
    },
];

fn iperf3(ground: Ground, client: fn(&Bench) -> f64) -> Bench {
    Bench::serve(ground, Path::new("iperf3"), &["-s", "-B", LOOPBACK, "-p", "PORT"], client)
}

/// What the receiver got in two seconds.
fn iperf3_sample(bench: &Bench, direction: &[&str]) -> f64 {
    let args = [&["-c", LOOPBACK, "-p", "PORT", "-t", "2", "-J"], direction].concat();
    let report: serde_json::Value =
        serde_json::from_str(&bench.output("iperf3", &args)).expect("iperf3 writes JSON");
    report["end"]["sum_received"]["bits_per_second"].as_f64().expect("a rate") / 1e6
}

fn redis(ground: Ground) -> Bench {
    let args = ["--port", "PORT", "--bind", LOOPBACK, "--save", "", "--appendonly", "no"];
    Bench::serve(ground, Path::new("redis-server"), &args, |bench| {
        let client = ["-h", LOOPBACK, "-p", "PORT", "-c", "1", "-n", "10000", "-t", "get", "--csv"];
        let said = bench.output("redis-benchmark", &client);
        let rate = said.lines().last().and_then(|line| line.split(',').nth(1));
        1e6 / number(rate.unwrap_or_default().trim_matches('"'))
    })
}

fn echo(ground: Ground, server: &str, client: fn(&Bench) -> f64) -> Bench {
    Bench::serve(ground, &compile(server, &[]), &["PORT"], client)
}

/// How long `client` takes for `count` jobs, in microseconds each.
fn time_us(bench: &Bench, client: PathBuf, args: &[&str], count: u32) -> f64 {
    let start = Instant::now();
    bench.output(client, args);
    start.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

fn round_trip_sample(bench: &Bench) -> f64 {
    let client = compile("benches/round_trip.c", &[]);
    time_us(bench, client, &["PORT", "10000"], 10_000)
}

/// Connect, an octet there and back, close: this side goes through TIME-WAIT.
fn connect_sample(bench: &Bench) -> f64 {
    let client = compile("tests/programs/churn.c", &[]);
    1e6 / time_us(bench, client, &["PORT", "3000", "fin"], 3_000)
}

fn nginx(ground: Ground, client: fn(&Bench) -> f64) -> Bench {
    let port = ground.port();
    let server = Server::Nginx(Nginx::start(&ground, &port, 1_000));
    Bench { ground, port, client, server }
}

fn ab_sample(bench: &Bench, clients: &str) -> f64 {
    let said = bench.output("ab", &["-q", "-c", clients, "-n", "3000", bench.url()]);
    let rate = said.lines().find_map(|line| line.strip_prefix("Requests per second:"));
    number(rate.and_then(|rest| rest.split_ascii_whitespace().next()).unwrap_or_default())
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text:?}"))
}
