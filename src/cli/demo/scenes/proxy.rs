//! The scene of a reverse proxy that runs out of ports, with a real nginx.

use std::path::Path;

use super::super::super::Failure;
use super::super::programs::HTTP_GET;
use super::super::stage::{Actor, Columns, Stage};

const CONFIGURATION: &str = include_str!("../../../../examples/proxy.conf");
/// Ports of the configuration.
const BACKEND: u16 = 8081;
const PROXY: &str = "8080";
const PROXY_THAT_KEEPS: &str = "8082";
/// Where nginx may be: users' paths do not lead to the last ones.
const DIRECTORIES: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/sbin"];

/// S24: 502 when the ports towards the backend are used up; two remedies.
pub(super) fn proxy_502(stage: &mut Stage) -> Result<(), Failure> {
    let Some(nginx) = find_nginx() else {
        stage.skip("nginx is not installed (Debian: apt-get install nginx-light)")?;
        return Ok(());
    };
    stage.say("A range of four ports, and TIME-WAIT that may not be taken over:")?;
    stage.sysctl("net.ipv4.ip_local_port_range='40000 40003'")?;
    stage.sysctl("net.ipv4.tcp_tw_reuse=0")?;
    let proxy = start(stage, &nginx)?;
    let answers = get(stage, PROXY, 6)?;
    stage.check(
        answers == ["200", "200", "200", "200", "502", "502"],
        "four requests are answered; then nginx cannot connect() to the backend: 502 Bad Gateway",
    )?;
    let used = stage.until(BACKEND, |sight| sight.count("TIME-WAIT") == 4)?;
    stage.show(&used, Columns::Plain)?;
    stage.check(
        used.count("TIME-WAIT") == 4 && used.server("TIME-WAIT").is_none(),
        "towards the backend nginx is the client, and it closes first: its four ports are in \
         TIME-WAIT",
    )?;
    let log = proxy.output();
    stage.check(
        log.contains("connect() to 127.0.0.1:8081 failed (99: Cannot assign requested address)")
            || log.contains("(99: Cannot assign requested address) while connecting to upstream"),
        "nginx logs: (99: Cannot assign requested address) while connecting to upstream",
    )?;

    stage.say("First remedy: tcp_tw_reuse=1 where connect() is called, on the proxy.")?;
    stage.sysctl("net.ipv4.tcp_tw_reuse=1")?;
    stage.advance("1100ms")?;
    let answers = get(stage, PROXY, 4)?;
    stage.check(answers == ["200"; 4], "TIME-WAITs older than a second are taken over")?;

    stage.say("Second remedy: upstream keep-alive. tcp_tw_reuse is off again.")?;
    stage.sysctl("net.ipv4.tcp_tw_reuse=0")?;
    stage.advance("61s")?;
    let answers = get(stage, PROXY_THAT_KEEPS, 8)?;
    stage.check(answers == ["200"; 8], "eight requests over one connection to the backend")?;
    let kept = stage.sight(BACKEND)?;
    stage.show(&kept, Columns::Plain)?;
    stage.check(
        kept.count("TIME-WAIT") == 0 && kept.client("ESTAB").is_some(),
        "it stays open, and nothing is in TIME-WAIT",
    )?;
    drop(proxy);
    stage.picture(2)
}

/// Starts nginx with the configuration and waits until it serves.
fn start(stage: &mut Stage, nginx: &str) -> Result<Actor, Failure> {
    let directory = stage.directory("nginx", &[("proxy.conf", CONFIGURATION)])?;
    let prefix = directory.display().to_string();
    let words = [nginx, "-p", &prefix, "-c", "proxy.conf", "-e", "stderr"];
    let proxy = stage.start_installed("nginx -p . -c proxy.conf", &words)?;
    let up = stage.until(BACKEND, |sight| sight.count("LISTEN") == 1)?;
    if up.count("LISTEN") == 0 {
        return Err(Failure::new(format!("nginx does not listen: {}", proxy.output())));
    }
    Ok(proxy)
}

/// The status of each of so many answers.
fn get(stage: &mut Stage, port: &str, count: usize) -> Result<Vec<String>, Failure> {
    let (_, said) = stage.run(HTTP_GET, &[port, &count.to_string()])?;
    let status = |line: &str| line.split(' ').nth(1).unwrap_or(line).to_owned();
    Ok(said.lines().map(status).collect())
}

fn find_nginx() -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(DIRECTORIES.map(Into::into));
    let mut programs = directories.map(|directory| directory.join("nginx"));
    programs.find(|program| Path::is_file(program)).map(|program| program.display().to_string())
}
