//! The C programs of `examples/` do what their heads say, on the kernel's TCP and on ours.
//!
//! What happens on the wire and in the stack meanwhile is the matter of the scenario tests.

mod common;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Program, Session, compile, describe, preload_path, wait_for};

const LIMIT: Duration = Duration::from_secs(20);

/// Where the programs run: the same steps must give the same outcome on both.
enum Net {
    Kernel,
    Ours(Session),
}

impl Net {
    fn both() -> [Net; 2] {
        [Net::Kernel, Net::Ours(Session::new())]
    }

    fn start(&self, example: &str, args: &[&str]) -> Program {
        let program = compile(&format!("examples/{example}.c"), &[]);
        let mut command = match self {
            Net::Kernel => Command::new(program),
            Net::Ours(session) => session.command(program),
        };
        command.args(args);
        Program::start(command).expect("an example can be started")
    }

    /// A port that nobody has now.
    fn free_port(&self) -> String {
        let taken = self.start("echo_server", &["0"]);
        taken.listening_port().to_string()
    }

    /// Runs to the end with something to read; output and exit status.
    fn run_with_input(&self, example: &str, input: &str) -> (String, String) {
        let program = compile(&format!("examples/{example}.c"), &[]);
        let mut command = match self {
            Net::Kernel => Command::new(program),
            Net::Ours(session) => session.command(program),
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("an example can be started");
        let mut stdin = child.stdin.take().expect("it was piped");
        stdin.write_all(input.as_bytes()).expect("it listens");
        drop(stdin);
        let output = child.wait_with_output().expect("the child is ours");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        (told, describe(Some(output.status)))
    }

    /// Runs to the end; output and exit status.
    fn run(&self, example: &str, args: &[&str]) -> (String, String) {
        let mut program = self.start(example, args);
        let status = program.wait(LIMIT);
        (program.output(), describe(status))
    }
}

fn exits_0(text: &str) -> (String, String) {
    (text.to_owned(), "exit 0".to_owned())
}

#[test]
fn echo_servers_echo_lines_and_a_million_octets() {
    for net in Net::both() {
        for name in ["echo_server", "epoll_server", "fork_server", "correct_server"] {
            let server = net.start(name, &["0"]);
            let port = server.listening_port().to_string();
            let lines = net.run("client", &[&port, "hello", "world"]);
            assert_eq!(lines, exits_0("hello\nworld\nreceived 12 octets\n"), "{name}");
            let octets = net.run("client", &["-n", "1000000", &port]);
            assert_eq!(octets, exits_0("received 1000000 octets\n"), "{name}");
        }
    }
}

#[test]
fn leaking_servers_echo_but_never_end_a_connection() {
    for net in Net::both() {
        for name in ["leak_ignores_eof", "leak_never_closes"] {
            let server = net.start(name, &["0"]);
            let port = server.listening_port().to_string();
            let at_once = net.run("client", &["-c", &port, "hello"]);
            assert_eq!(at_once, exits_0("hello\nreceived 6 octets\n"), "{name}");
            let mut waiting = net.start("client", &[&port, "hello"]);
            assert_eq!(waiting.wait(Duration::from_millis(500)), None, "{name} has sent a FIN");
        }
    }
}

#[test]
fn a_half_closed_client_receives_a_mebioctet_after_its_fin() {
    for net in Net::both() {
        let server = net.start("bulk_server", &["0"]);
        let port = server.listening_port().to_string();
        let told = "FIN sent\n\
                    received 1048576 octets after the FIN, then read() returned 0\n";
        assert_eq!(net.run("half_close_client", &[&port]), exits_0(told));
        wait_for("the server's account", || {
            server.output().contains("read 12 octets and their end, then sent 1048576")
        });
    }
}

#[test]
fn a_forked_child_ends_its_connection_unless_the_parent_forgets_to_close() {
    for net in Net::both() {
        let server = net.start("fork_server", &["-f", "0"]);
        let port = server.listening_port().to_string();
        let mut client = net.start("client", &[&port, "hello"]);
        assert_eq!(client.wait(Duration::from_millis(500)), None, "the parent holds a copy");
    }
}

#[test]
fn a_server_that_closed_first_restarts_only_when_both_set_so_reuseaddr() {
    for net in Net::both() {
        for (old, new, restarts) in
            [("", "", false), ("", "-r", false), ("-r", "", false), ("-r", "-r", true)]
        {
            let options = |o: &'static str| if o.is_empty() { vec!["-1"] } else { vec!["-1", o] };
            let mut first = net.start("closes_first", &[&options(old)[..], &["0"]].concat());
            let port = first.listening_port().to_string();
            let (answer, _) = net.run("client", &["-e", &port, "GET"]);
            assert!(answer.starts_with("HTTP/1.0 200 OK"), "{answer}");
            assert_eq!(describe(first.wait(LIMIT)), "exit 0");
            let second = net.start("closes_first", &[&options(new)[..], &[&port]].concat());
            let said = if restarts { "listening on" } else { "bind: Address already in use" };
            wait_for(said, || second.output().contains(said));
        }
    }
}

#[test]
fn calls_are_made_as_typed_and_told_with_what_they_returned() {
    for net in Net::both() {
        let server = net.start("echo_server", &["0"]);
        let port = server.listening_port();
        let script = format!(
            "read\nconnect {port}\nwrite hello there\nreceive 5\nread 3\nread\nshutdown\nread\n\
             write x\nso_error\nclose\nclose\n"
        );
        let told = format!(
            "read = -1 ENOTCONN\nconnect {port} = 0\nwrite hello there = 11\nreceive 5 = 5\n\
             read 3 = 3 \" th\"\nread = 3 \"ere\"\nshutdown = 0\nread = 0\n\
             write x = -1 EPIPE SIGPIPE\nso_error = 0\nclose = 0\nclose = -1 EBADF\n"
        );
        assert_eq!(net.run_with_input("calls", &script), exits_0(&told));
    }
}

#[test]
fn connections_are_made_often_and_counted() {
    for net in Net::both() {
        let server = net.start("correct_server", &["0"]);
        let port = server.listening_port().to_string();
        let told = net.run("connect_often", &[&port, "2"]);
        assert_eq!(told, exits_0("connected and closed 1\nconnected and closed 2\n"));
    }
}

#[test]
fn http_get_prints_the_status_line_of_each_answer() {
    for net in Net::both() {
        let server = net.start("closes_first", &["0"]);
        let port = server.listening_port().to_string();
        let told = net.run("http_get", &[&port, "2"]);
        assert_eq!(told, exits_0("HTTP/1.0 200 OK\nHTTP/1.0 200 OK\n"));
    }
}

#[test]
fn a_client_comes_from_the_port_of_its_choice() {
    for net in Net::both() {
        let server = net.start("correct_server", &["0"]);
        let port = server.listening_port().to_string();
        let own = &net.free_port();
        let hello = ["-r", "-b", own, &port, "hello"];
        assert_eq!(net.run("client", &hello), exits_0("hello\nreceived 6 octets\n"));
        let again = net.run("client", &hello[1..]);
        assert_eq!(again, ("bind: Address already in use\n".into(), "exit 1".into()));
    }
}

#[test]
fn wrong_arguments_give_a_usage_line_and_status_2() {
    let examples = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"));
    let mut count = 0;
    for entry in examples.expect("examples/ is there") {
        let path = entry.expect("examples/ can be read").path();
        if path.extension().is_none_or(|e| e != "c") {
            continue;
        }
        let name = path.file_stem().expect("*.c has a stem").to_string_lossy().into_owned();
        let (said, status) = Net::Kernel.run(&name, &["not-a-port"]);
        assert!(said.starts_with(&format!("usage: {name}")), "{name}: {said}");
        assert_eq!(status, "exit 2", "{name}");
        count += 1;
    }
    assert_eq!(count, 15);
}

#[test]
fn the_preload_library_is_where_the_tests_look_for_it() {
    assert!(preload_path().is_file(), "{}", preload_path().display());
}
