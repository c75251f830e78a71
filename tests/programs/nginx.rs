//! nginx, master and two workers with sendfile, with everything it writes in a directory of its own.

// Every binary uses its own part of this.
#![allow(dead_code)]

use crate::common::{Program, wait_for};
use crate::ground::{Directory, Ground, Port, finish};
use crate::kernel_tcp::descendants;

const WORKERS: usize = 2;

/// A running server.
pub(crate) struct Nginx {
    master: Program,
    directory: Directory,
    url: String,
}

impl Nginx {
    /// Starts it with one file, `/page`, of this size.
    pub(crate) fn start(ground: &Ground, port: &Port, page_octets: usize) -> Nginx {
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

    /// Where the file is served.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The directory with the file, `page`.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    fn workers(&self) -> Vec<u32> {
        descendants(self.master.pid())
    }

    /// Tells the master to start new workers and let the old ones finish; returns when they have.
    pub(crate) fn reload(&self) {
        let old = self.workers();
        self.master.signal(libc::SIGHUP);
        wait_for("new workers, and the old ones to end", || {
            let now = self.workers();
            now.len() == WORKERS && !now.iter().any(|pid| old.contains(pid))
        });
    }

    /// Ends it in order, and looks at what it had to complain about.
    pub(crate) fn finish(mut self) {
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
