//! nginx, master and two workers with sendfile, under load and reloaded under load.

use std::time::Duration;

use crate::common::{Program, wait_for};
use crate::ground::{Directory, Ground, Port, finish, same_octets};
use crate::kernel_tcp::{Watch, descendants};

const WORKERS: usize = 2;

/// A server with everything it writes in a directory of its own.
struct Nginx {
    master: Program,
    directory: Directory,
    url: String,
}

impl Nginx {
    fn start(ground: &Ground, port: &Port, page_octets: usize) -> Nginx {
        let directory = Directory::new();
        directory.filled("page", page_octets);
        let configuration = directory.file("nginx.conf");
        let text = configuration_text(&directory.path().display().to_string(), port);
        std::fs::write(&configuration, text).expect("a file can be written there");
        let errors = directory.file("error.log");
        let root = directory.path().to_str().expect("the path is UTF-8");
        let program = crate::ground::find("nginx").expect("it is installed");
        let master = ground.serve(port, program, ["-p", root, "-c", &configuration, "-e", &errors]);
        let nginx = Nginx { master, directory, url: format!("http://127.0.0.1:{port}/page") };
        wait_for("both workers", || nginx.workers().len() == WORKERS);
        nginx
    }

    fn workers(&self) -> Vec<u32> {
        descendants(self.master.pid())
    }

    /// Tells the master to start new workers and let the old ones finish; returns when they have.
    fn reload(&self) {
        let old = self.workers();
        self.master.signal(libc::SIGHUP);
        wait_for("new workers, and the old ones to end", || {
            let now = self.workers();
            now.len() == WORKERS && !now.iter().any(|pid| old.contains(pid))
        });
    }

    /// Ends it in order, and looks at what it had to complain about.
    fn finish(mut self) {
        self.master.signal(libc::SIGQUIT);
        finish("nginx", &mut self.master);
        let path = self.directory.file("error.log");
        let log = std::fs::read_to_string(path).expect("nginx writes its log");
        let complaint = log.lines().find(|line| {
            ["[emerg]", "[alert]", "[crit]", "[error]"].iter().any(|level| line.contains(level))
        });
        assert_eq!(complaint, None, "nginx complains");
    }
}

fn configuration_text(root: &str, port: &Port) -> String {
    // Workers of another user would need the session's secret; they do not concern this test.
    // SAFETY: geteuid() cannot fail and has no memory effects.
    let user = if unsafe { libc::geteuid() } == 0 { "user root;" } else { "" };
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {root}/{kind};\n"))
        .collect();
    format!(
        "daemon off;\nmaster_process on;\nworker_processes {WORKERS};\n{user}\n\
         pid {root}/nginx.pid;\nerror_log {root}/error.log notice;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\naccess_log off;\nsendfile on;\n{paths}\
         server {{ listen 127.0.0.1:{port}; root {root}; }}\n}}\n"
    )
}

#[test]
fn nginx_serves_files_under_wrk() {
    let Some(ground) = Ground::with_programs(&["nginx", "wrk", "curl"]) else { return };
    let port = ground.port();
    let watch = Watch::start(&ground, &port);
    let nginx = Nginx::start(&ground, &port, 300_000);

    let copy = nginx.directory.file("copy");
    ground.run("curl", ["-sS", "--fail", "-o", &copy, &nginx.url]);
    assert!(same_octets(&nginx.directory.file("page"), &copy), "the copy differs");

    let said = ground.run("wrk", ["-t", "2", "-c", "16", "-d", "2s", &nginx.url]);
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
    let load = ["-r", "-c", "16", "-t", "6", "-n", "1000000", &nginx.url];
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
