//! Real, unmodified programs do their work over this TCP, both ends under the shim; each test
//! asserts what the programs themselves report, and that the kernel's TCP was not in use.
//!
//! `TCPLAB_NATIVE=1` runs the same scenarios on the kernel's TCP (they must pass there first).
//! A test whose program is not installed says so and does nothing; with `TCPLAB_REQUIRE_PROGRAMS=1`
//! it fails.
//!
//! Deliberately nothing about time: that is for `cargo bench`.

mod common;
#[path = "programs/ground.rs"]
mod ground;
#[path = "programs/kernel_tcp.rs"]
mod kernel_tcp;
#[path = "programs/nginx.rs"]
mod nginx;
#[path = "programs/tshark.rs"]
mod tshark;

use std::fs::File;
use std::time::Duration;

use common::{Program, compile, wait_for};
use ground::{Directory, Ground, finish, same_octets, source};
use kernel_tcp::{Watch, descendants};
use nginx::Nginx;

const LOOPBACK: &str = "127.0.0.1";

#[test]
fn curl_fetches_100_mb_from_python_http_server() {
    let Some(ground) = Ground::with_programs(&["python3", "curl"]) else { return };
    let (port, directory) = (ground.port(), Directory::new());
    let watch = Watch::start(&ground, &port);
    let original = directory.filled("large", 100_000_000);
    let number = port.to_string();
    let root = directory.path().to_str().expect("the path is UTF-8");
    let server = ["-u", "-m", "http.server", &number, "--bind", LOOPBACK, "--directory", root];
    let _server = ground.serve(&port, "python3", server);

    let copy = directory.file("copy");
    let url = format!("http://{LOOPBACK}:{port}/large");
    let said = ground
        .run("curl", ["-sS", "--fail", "-o", &copy, "-w", "%{http_code} %{size_download}", &url]);

    assert_eq!(said, "200 100000000");
    assert!(same_octets(&original, &copy), "the copy differs from the original");
    watch.finish();
}

#[test]
fn nginx_serves_files_under_wrk() {
    let Some(ground) = Ground::with_programs(&["nginx", "wrk", "curl"]) else { return };
    let port = ground.port();
    let watch = Watch::start(&ground, &port);
    let nginx = Nginx::start(&ground, &port, 300_000);

    let copy = nginx.directory().file("copy");
    ground.run("curl", ["-sS", "--fail", "-o", &copy, nginx.url()]);
    assert!(same_octets(&nginx.directory().file("page"), &copy), "the copy differs");

    let said = ground.run("wrk", ["-t", "2", "-c", "16", "-d", "2s", nginx.url()]);
    let requests = said.lines().find_map(|l| l.split_once(" requests in")).map(|(n, _)| n.trim());
    assert!(requests.is_some_and(|n| n.parse::<u64>().is_ok_and(|n| n > 0)), "{said}");
    assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");
    nginx.finish();
    watch.finish();
}

#[test]
fn nginx_reloaded_twice_under_ab_fails_no_request() {
    let Some(ground) = Ground::with_programs(&["nginx", "ab"]) else { return };
    let port = ground.port();
    let watch = Watch::start(&ground, &port);
    let nginx = Nginx::start(&ground, &port, 1_000);

    // A connection for each request, until the time is over; -r: count errors, do not stop.
    let load = ["-r", "-c", "16", "-t", "6", "-n", "1000000", nginx.url()];
    let mut ab = ground.spawn("ab", load);
    for _ in 0..2 {
        std::thread::sleep(Duration::from_secs(1));
        nginx.reload();
    }
    assert!(ab.wait(Duration::ZERO).is_none(), "ab ended before the reloads: {}", ab.output());
    let said = finish("ab", &mut ab);

    assert_eq!(count(&said, "Failed requests:"), Some(0), "{said}");
    assert!(count(&said, "Complete requests:").is_some_and(|n| n > 0), "{said}");
    for fault in ["Non-2xx responses:", "Write errors:"] {
        assert_eq!(count(&said, fault), None, "{said}");
    }
    nginx.finish();
    watch.finish();
}

/// Number in the line of ab's report that begins with `name`.
fn count(report: &str, name: &str) -> Option<u64> {
    report.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

#[test]
fn redis_benchmark_drives_redis_server() {
    let programs = ["redis-server", "redis-benchmark", "redis-cli"];
    let Some(ground) = Ground::with_programs(&programs) else { return };
    let (port, directory) = (ground.port(), Directory::new());
    let watch = Watch::start(&ground, &port);
    let number = port.to_string();
    let root = directory.path().to_str().expect("the path is UTF-8");
    let server =
        ["--port", &number, "--bind", LOOPBACK, "--save", "", "--appendonly", "no", "--dir", root];
    let mut server = ground.serve(&port, "redis-server", server);
    let at = ["-h", LOOPBACK, "-p", &number];
    let benchmark = |args: &[&str]| {
        let said = ground.run("redis-benchmark", at.iter().chain(args));
        let rates: Vec<_> = said.lines().filter(|l| l.starts_with('"')).skip(1).collect();
        assert!(!said.contains("Error"), "{said}");
        for line in &rates {
            let rate = line.split(',').nth(1).map(|f| f.trim_matches('"').parse::<f64>());
            assert!(matches!(rate, Some(Ok(rate)) if rate > 0.0), "{line}");
        }
        rates.len()
    };

    assert_eq!(
        benchmark(&["--csv", "-n", "10000", "-c", "50", "-t", "set,get,lpush,lrange_100"]),
        5
    );
    assert_eq!(benchmark(&["--csv", "-n", "20000", "-c", "20", "-P", "16", "-t", "set,get"]), 2);
    let cli = |args: &[&str]| ground.run("redis-cli", at.iter().chain(args));
    let value = "a value of some length ".repeat(3000);
    assert_eq!(cli(&["SET", "key", &value]).trim_end(), "OK");
    assert_eq!(cli(&["GET", "key"]).trim_end_matches('\n'), value);
    cli(&["SHUTDOWN", "NOSAVE"]);
    finish("redis-server", &mut server);
    watch.finish();
}

/// A server that answers only when it has read the end of the request, and how to ask it.
fn half_close(client: &str, client_args: &[&str]) {
    let Some(ground) = Ground::with_programs(&["socat", client]) else { return };
    let (port, directory) = (ground.port(), Directory::new());
    let watch = Watch::start(&ground, &port);
    let request = directory.filled("request", 300_000);
    let answer = directory.filled("answer", 3_000_000);
    let (seen, copy) = (directory.file("seen"), directory.file("copy"));
    let listen = format!("TCP-LISTEN:{port},bind={LOOPBACK},reuseaddr");
    let job = format!("SYSTEM:cat >{seen}; cat {answer}");
    let mut server = ground.serve(&port, "socat", ["-t", "30", &listen, &job]);

    let number = port.to_string();
    let mut command = ground.command(client);
    command.args(client_args.iter().map(|arg| arg.replace("PORT", &number)));
    command.stdin(File::open(&request).expect("it has just been written"));
    command.stdout(File::create(&copy).expect("a file can be written in the target directory"));
    let output = command.output().expect("the client can be started");

    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{client}: {}: {errors}", output.status);
    finish("socat", &mut server);
    assert!(same_octets(&request, &seen), "the request did not arrive whole");
    assert!(same_octets(&answer, &copy), "what came after the client's FIN did not arrive whole");
    watch.finish();
}

#[test]
fn socat_reads_the_answer_after_its_fin() {
    half_close("socat", &["-t", "30", "-", "TCP:127.0.0.1:PORT"]);
}

#[test]
fn nc_reads_the_answer_after_its_fin() {
    half_close("nc", &["-N", LOOPBACK, "PORT"]);
}

#[test]
fn iperf3_measures_both_directions() {
    const OCTETS: u64 = 200_000_000;
    let Some(ground) = Ground::with_programs(&["iperf3"]) else { return };
    let port = ground.port();
    let watch = Watch::start(&ground, &port);
    let number = port.to_string();
    let count = OCTETS.to_string();
    for direction in [&[][..], &["-R"][..], &["-P", "4"][..]] {
        // A server that goes on closes its listener and opens another after every test: who
        // connects in between is reset, on the kernel too.
        let mut server = ground.serve(&port, "iperf3", ["-s", "-1", "-B", LOOPBACK, "-p", &number]);
        let client = ["-c", LOOPBACK, "-p", &number, "-n", &count, "-J"];
        let said = ground.run("iperf3", client.iter().chain(direction));
        let report: serde_json::Value = serde_json::from_str(&said).expect("iperf3 writes JSON");
        let octets = |side: &str| report["end"][side]["bytes"].as_u64().unwrap_or(0);
        assert!(report["error"].is_null(), "{direction:?}: {said}");
        let (sent, received) = (octets("sum_sent"), octets("sum_received"));
        // The receiver stops to count when the sender says that it is done; some is under way.
        assert!(sent >= OCTETS && received >= OCTETS / 10 * 9, "{direction:?}: {sent} {received}");
        finish("iperf3 -s", &mut server);
    }
    watch.finish();
}

#[test]
fn a_server_forks_for_each_connection() {
    const CLIENTS: usize = 20;
    let ground = Ground::with_sysctls(&[]);
    let port = ground.port();
    let watch = Watch::start(&ground, &port);
    let server = compile("examples/fork_server.c", &[]);
    let client = compile("examples/client.c", &[]);
    let number = port.to_string();
    let server = ground.serve(&port, &server, [&number]);
    let mut clients: Vec<Program> =
        (0..CLIENTS).map(|_| ground.spawn(&client, ["-n", "300000", &number])).collect();
    for client in &mut clients {
        assert_eq!(finish("client", client), "received 300000 octets\n");
    }
    wait_for("every child to read its end of file", || descendants(server.pid()).is_empty());
    watch.finish();
}

/// A server and a client in a language with a runtime of its own; the client checks what comes
/// back and says how many requests were right.
fn http_runtime(installed: &[&str], program: &str, requests: &str) {
    let Some(ground) = Ground::with_programs(installed) else { return };
    let runtime = installed[0];
    let port = ground.port();
    let watch = Watch::start(&ground, &port);
    let (program, number) = (source(program), port.to_string());
    let mut server = ground.spawn(runtime, [&program, "server", &number]);
    // A virtual machine takes its time to start.
    let start = std::time::Instant::now();
    while !server.output().contains("ready") {
        assert!(server.wait(Duration::ZERO).is_none(), "{}", server.output());
        assert!(start.elapsed() < Duration::from_secs(60), "{}", server.output());
        std::thread::sleep(Duration::from_millis(20));
    }

    let said = ground.run(runtime, [&program, "client", &number, requests]);

    assert_eq!(said.trim_end(), format!("{requests} answers are right"));
    watch.finish();
}

#[test]
fn node_serves_http_to_node() {
    http_runtime(&["node"], "http.js", "300");
}

#[test]
fn java_serves_http_to_java() {
    // The compiler, because the program is given as its source.
    http_runtime(&["java", "javac"], "Http.java", "300");
}
