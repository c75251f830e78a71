//! Calls that never reach the stack are recorded through the call ring.

use std::time::Duration;

use tcplab::client::Client;
use tcplab::inspect::{Answer, Command};
use tcplab::ipc::names::Session as Name;
use tcplab::ipc::record::Api;
use tcplab::ipc::{Errno, SocketId};
use tcplab::trace::{Argument, Call, What};

use crate::common::{Session, compile, wait_for};
use crate::ground::Ground;

const LIMIT: Duration = Duration::from_secs(20);

struct Records(Client);

impl Records {
    fn of(session: &Session) -> Records {
        let uid = rustix::process::geteuid().as_raw();
        let name = Name::parse(session.name().as_bytes(), uid).expect("a session name");
        Records(Client::connect(&name).expect("the stack answers"))
    }

    fn trace(&mut self) {
        assert!(matches!(self.0.ask(&Command::SetTracing(true)), Ok(Answer::Done)));
    }

    /// Calls of a process so far; of any where `pid` is 0.
    fn calls(&mut self, pid: u32) -> Vec<Call> {
        let mut calls = Vec::new();
        let mut since = 0;
        loop {
            match self.0.ask(&Command::Records { since, most: 1000 }) {
                Ok(Answer::Records(part)) if part.records.is_empty() => return calls,
                Ok(Answer::Records(part)) => {
                    assert_eq!(part.lost, 0);
                    since = part.next;
                    calls.extend(part.records.iter().filter_map(|record| match record.what {
                        What::Call(call) if pid == 0 || call.pid == pid => Some(call),
                        _ => None,
                    }));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Calls to one function, once there is one that is wanted.
    fn until(&mut self, pid: u32, api: Api, is_wanted: impl Fn(&Call) -> bool) -> Vec<Call> {
        let mut calls = Vec::new();
        wait_for(api.name(), || {
            calls = self.calls(pid);
            calls.retain(|call| call.api == api);
            calls.iter().any(&is_wanted)
        });
        calls
    }
}

fn ground() -> Ground {
    Ground::Shim(Session::with_sysctls(&[]))
}

#[test]
fn ends_and_closes_are_recorded_without_being_asked_and_octets_are_not() {
    let ground = ground();
    let mut records = Records::of(ground.session().unwrap());
    let mut pair = ground.pair();
    pair.client.call("write c abc", "3");
    pair.server.call("read s", "3 abc");
    pair.client.call("close c", "0");
    pair.server.call("read s", "0");
    let reads = records.until(pair.server.pid(), Api::Read, |call| call.value == 0);
    assert_eq!(reads.len(), 1, "{reads:?}");
    let read = reads[0];
    assert_eq!((read.errno, read.times), (None, 1));
    assert!(read.fd > 2 && read.end.socket.is_some() && read.end.remote.is_some(), "{read:?}");
    let closes = records.until(pair.client.pid(), Api::Close, |_| true);
    assert_eq!(closes.len(), 1, "{closes:?}");
    assert!(records.calls(0).iter().all(|call| call.api != Api::Write));
}

#[test]
fn while_somebody_traces_every_read_and_write_is_recorded_with_its_octets() {
    let ground = ground();
    let mut records = Records::of(ground.session().unwrap());
    let mut pair = ground.pair();
    records.trace();
    // The shim learns of it through the ring, in the stack's next turn: this command's.
    records.calls(0);
    pair.client.call("write c abcde", "5");
    pair.server.call("read s", "5 abcde");
    let written = records.until(pair.client.pid(), Api::Write, |call| call.value == 5);
    assert_eq!((written.len(), written[0].argument), (1, Argument::Octets(5)), "{written:?}");
    let read = records.until(pair.server.pid(), Api::Read, |call| call.value == 5);
    let read = read.last().unwrap();
    assert!(matches!(read.argument, Argument::Octets(room) if room >= 5), "{read:?}");
    assert!(read.took_ns > 0, "{read:?}");
}

#[test]
fn a_program_that_reads_the_end_for_ever_is_told_of_now_and_then() {
    let session = Session::new();
    let server = session.spawn(compile("examples/leak_ignores_eof.c", &["-pthread"]), ["0"]);
    let port = server.listening_port().to_string();
    let mut client = session.spawn(compile("examples/client.c", &[]), ["-c", &port, "hello"]);
    assert_eq!(client.wait(LIMIT).and_then(|status| status.code()), Some(0));
    let mut records = Records::of(&session);
    let reads = records.until(server.pid(), Api::Read, |call| call.times >= 64);
    let times: Vec<u32> = reads.iter().map(|call| call.times).collect();
    // At powers of two, and when a second is over.
    assert!([1, 2, 3, 4, 8, 16, 32, 64].iter().all(|count| times.contains(count)), "{times:?}");
    assert!(times.len() < 64 && times.is_sorted(), "{times:?}");
}

#[test]
fn writes_that_fail_are_recorded() {
    let ground = ground();
    let mut records = Records::of(ground.session().unwrap());
    let mut pair = ground.pair();
    pair.server.call("linger s 1 0", "0");
    pair.server.call("close s", "0");
    wait_for("the RST", || pair.client_end().is_none_or(|end| end.row.state == "UNCONN"));
    pair.client.call("write c x", "ECONNRESET");
    pair.client.call("write c x", "EPIPE SIGPIPE");
    let writes = records.until(pair.client.pid(), Api::Write, |c| c.errno == Some(Errno::EPIPE));
    let errors: Vec<_> = writes.iter().map(|call| call.errno).collect();
    assert_eq!(errors, [Some(Errno::ECONNRESET), Some(Errno::EPIPE)]);
}

#[test]
fn children_leave_word_in_the_ring_of_their_parent_under_their_own_name() {
    let ground = ground();
    let mut records = Records::of(ground.session().unwrap());
    let mut pair = ground.pair();
    pair.server.ask("fork");
    pair.client.call("close c", "0");
    pair.server.call("read s", "0");
    pair.server.call("child read s", "0");
    let parent = pair.server.pid();
    let reads = records.until(0, Api::Read, |call| call.pid != parent && call.value == 0);
    assert_eq!(reads.len(), 2, "{reads:?}");
    // Each has its own count.
    assert!(reads.iter().all(|call| call.times == 1), "{reads:?}");
    let sockets: Vec<Option<SocketId>> = reads.iter().map(|call| call.end.socket).collect();
    assert_eq!(sockets[0], sockets[1]);
}

#[test]
fn a_close_of_one_of_two_descriptors_and_that_of_the_last_are_both_recorded() {
    let ground = ground();
    let mut records = Records::of(ground.session().unwrap());
    let mut pair = ground.pair();
    pair.server.ask("fork");
    pair.server.call("close s", "0");
    let parent = pair.server.pid();
    records.until(parent, Api::Close, |call| call.end.remote.is_some());
    pair.server.call("child close s", "0");
    let closes = records.until(0, Api::Close, |call| call.pid != parent);
    assert_eq!(closes.len(), 2, "{closes:?}");
}

#[test]
fn a_descriptor_that_a_program_is_started_with_is_recorded() {
    let session = Session::new();
    let server = session.spawn(compile("examples/correct_server.c", &["-pthread"]), ["0"]);
    let port = server.listening_port();
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; sleep 60; :");
    let shell = session.spawn("bash", ["-c", &script]);
    let mut records = Records::of(&session);
    let started = records.until(0, Api::Exec, |_| true);
    assert_eq!(started.len(), 1, "{started:?}");
    assert_eq!(started[0].fd, 3);
    assert_ne!(started[0].pid, shell.pid());
}
