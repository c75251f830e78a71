//! Why a bind() or connect() would succeed or fail, and who is involved: the rules of `bind.rs` and
//! `connect.rs` asked without doing anything.
//!
//! It tells facts (`inspect::why`); sentences are made by the command. It deliberately looks at
//! nothing but this machine: what an address elsewhere would answer is unknown.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;

use super::address::unmap;
use super::bind::tried_ports;
use super::connect::{Port, Tuple, destination};
use super::ports::{ClaimedBy, Owner, Rule};
use super::rows::{socket_row, time_wait_row};
use super::sockets::Socket;
use super::sysctl::Key;
use super::{Host, SocketKey, SocketOptions};
use crate::inspect::why::{
    Call, CameBy, Cause, Explanation, MAX_PARTIES, Party, Question, Share, Usage,
};
use crate::ipc::{Domain, Errno};
use crate::tcp::{FourTuple, Origin, State};
use crate::time::Instant;

/// An explanation, and which socket each of its parties is (`None`: a TIME-WAIT).
pub type Explained = (Explanation, Vec<Option<SocketKey>>);

/// What was found out.
struct Finding {
    errno: Option<Errno>,
    cause: Cause,
    owners: Vec<Owner>,
    usage: Option<Usage>,
}

impl Finding {
    fn new(errno: Option<Errno>, cause: Cause) -> Finding {
        Finding { errno, cause, owners: Vec::new(), usage: None }
    }

    fn with(self, owners: Vec<Owner>) -> Finding {
        Finding { owners, ..self }
    }
}

/// A socket as a newcomer: made up, or one that was refused.
#[derive(Clone, Copy)]
struct Newcomer<'a> {
    now: Instant,
    socket: &'a Socket,
    key: Option<SocketKey>,
}

/// The local port of a socket that connects.
#[derive(Clone, Copy)]
enum Local {
    /// It is bound to this.
    Bound(u16),
    /// It is bound to one that bind() chose, so nobody else has it.
    Fresh,
    /// connect() chooses one.
    Chosen,
}

impl Host {
    /// What would become of a call of a new socket.
    pub fn why(&self, now: Instant, question: &Question) -> Explained {
        let Question { call, address, from, .. } = *question;
        let family = from.unwrap_or(address);
        let domain = if family.is_ipv4() { Domain::V4 } else { Domain::V6 };
        let mut socket = Socket::new(now, domain, question.uid, SocketOptions::default());
        socket.options.reuse_address = question.reuse_address;
        socket.options.reuse_port = question.reuse_port;
        socket.options.v6only =
            question.v6only || domain == Domain::V6 && self.sysctls.is_on(Key::BindV6Only);
        let newcomer = Newcomer { now, socket: &socket, key: None };
        if call != Call::Connect {
            let finding = self.why_bind(newcomer, address);
            return self.explain(newcomer, (Call::Bind, address, None), finding);
        }
        let Some(from) = from else {
            let finding = self.why_connect(newcomer, Local::Chosen, address);
            return self.explain(newcomer, (call, address, None), finding);
        };
        let bound = self.why_bind(newcomer, from);
        if bound.errno.is_some() {
            return self.explain(newcomer, (Call::Bind, from, None), bound);
        }
        socket.local_ip = unmap(from.ip());
        socket.options.v6only = socket.v6only_at(socket.local_ip);
        let newcomer = Newcomer { now, socket: &socket, key: None };
        let local = if from.port() == 0 { Local::Fresh } else { Local::Bound(from.port()) };
        let finding = self.why_connect(newcomer, local, address);
        self.explain(newcomer, (call, address, Some(from)), finding)
    }

    /// Why the call that `s` has just made was refused; `None` where no port was the reason.
    pub fn why_refused(
        &self,
        now: Instant,
        s: SocketKey,
        call: Call,
        address: Option<SocketAddr>,
    ) -> Option<Explained> {
        let socket = self.sockets.find(s)?;
        let newcomer = Newcomer { now, socket, key: Some(s) };
        let own = socket.local_name();
        let (asked, finding) = match call {
            Call::Bind => {
                let address = address?;
                ((call, address, None), self.why_bind(newcomer, address))
            }
            Call::Listen => ((call, own, None), self.why_listen(newcomer)),
            Call::Connect => {
                let address = address?;
                let local = socket.claim.map_or(Local::Chosen, |claim| Local::Bound(claim.port));
                let bound = socket.claim.map(|_| own);
                ((call, address, bound), self.why_connect(newcomer, local, address))
            }
        };
        finding.errno.is_some().then(|| self.explain(newcomer, asked, finding))
    }

    fn why_bind(&self, newcomer: Newcomer<'_>, address: SocketAddr) -> Finding {
        let socket = newcomer.socket;
        let ip = match self.check_bind(socket, address) {
            Ok(ip) => ip,
            Err(errno) => {
                let cause = match errno {
                    Errno::EADDRNOTAVAIL => Cause::NotLocal,
                    Errno::EACCES => Cause::Privileged(
                        self.sysctls.number(Key::UnprivilegedPortStart).clamp(0, 65_535) as u16,
                    ),
                    _ => Cause::NotPossible,
                };
                return Finding::new(Some(errno), cause);
            }
        };
        match address.port() {
            0 if socket.options.no_port => Finding::new(None, Cause::Free),
            0 => self.why_autobind(newcomer, ip),
            port => self.why_named(newcomer, ip, port),
        }
    }

    fn why_listen(&self, newcomer: Newcomer<'_>) -> Finding {
        // Unbound it is at the wildcard; bound, the mark of its address is set already.
        let ip = newcomer.socket.local_ip;
        match newcomer.socket.claim {
            Some(claim) => self.why_named(newcomer, ip, claim.port),
            None => self.why_autobind(newcomer, ip),
        }
    }

    /// A port that the program names.
    fn why_named(&self, newcomer: Newcomer<'_>, ip: IpAddr, port: u16) -> Finding {
        let binding = newcomer.socket.binding_at(ip);
        let conflicts: Vec<Owner> =
            self.conflicts(&binding, newcomer.key, port, Rule::Named).collect();
        if !conflicts.is_empty() {
            return Finding::new(Some(Errno::EADDRINUSE), Cause::InUse).with(conflicts);
        }
        // Nobody would be in the way of a socket that shares with nobody.
        let shares: Vec<Owner> = self.conflicts(&binding, newcomer.key, port, Rule::Any).collect();
        let cause = if shares.is_empty() { Cause::Free } else { Cause::Shared };
        Finding::new(None, cause).with(shares)
    }

    /// A port that bind() chooses.
    fn why_autobind(&self, newcomer: Newcomer<'_>, ip: IpAddr) -> Finding {
        let binding = newcomer.socket.binding_at(ip);
        let is_free = |port: u16| {
            let rules = self.autobind_rules().iter();
            let mut free = rules.map(|&rule| self.conflicts(&binding, newcomer.key, port, rule));
            free.any(|mut conflicts| conflicts.next().is_none())
        };
        let (low, high, _) = self.local_port_range(newcomer.socket);
        let tried = tried_ports(u32::from(high - low) + 1);
        self.why_chosen(newcomer.now, (low, high, tried), Errno::EADDRINUSE, is_free)
    }

    /// Whether one of the first `tried` ports of a range is free.
    fn why_chosen(
        &self,
        now: Instant,
        (low, high, tried): (u16, u16, u32),
        errno: Errno,
        is_free: impl Fn(u16) -> bool,
    ) -> Finding {
        let mut ports = (low..=high).take(tried as usize);
        if ports.any(|port| !self.sysctls.is_reserved(port) && is_free(port)) {
            return Finding::new(None, Cause::Free);
        }
        let usage = self.usage(now, (low, high), is_free);
        Finding { usage: Some(usage), ..Finding::new(Some(errno), Cause::Exhausted) }
    }

    fn why_connect(&self, newcomer: Newcomer<'_>, port: Local, address: SocketAddr) -> Finding {
        let socket = newcomer.socket;
        let remote = destination(socket, address);
        let source = remote.and_then(|remote| self.source(socket, remote.ip()));
        let (remote, source) = match (remote, source) {
            (Ok(remote), Ok(source)) => (remote, source),
            (_, Err(errno @ Errno::ENETUNREACH)) => {
                return Finding::new(Some(errno), Cause::Unreachable);
            }
            (_, Err(errno)) | (Err(errno), _) => {
                return Finding::new(Some(errno), Cause::NotPossible);
            }
        };
        let number = if let Local::Bound(port) = port { port } else { 0 };
        let tuple = FourTuple { local: SocketAddr::new(source, number), remote };
        let taken_over = match port {
            Local::Fresh => None,
            Local::Chosen => {
                let chosen = self.why_ephemeral(newcomer, source, remote);
                if chosen.errno.is_some() {
                    return chosen;
                }
                None
            }
            Local::Bound(_) => match self.look_up(newcomer.now, &tuple, Port::Bound) {
                Tuple::Taken => {
                    let owner = self.demux.find(&tuple).into_iter().collect();
                    return Finding::new(Some(Errno::EADDRNOTAVAIL), Cause::TupleInUse).with(owner);
                }
                Tuple::After(id, _) => Some(Owner::TimeWait(id)),
                Tuple::Free => None,
            },
        };
        let mut finding = match port {
            // A connection to itself.
            Local::Bound(_) if tuple.local == tuple.remote => Finding::new(None, Cause::Free),
            _ => self.why_answered(&tuple),
        };
        if finding.errno.is_none() && taken_over.is_some() {
            finding.cause = Cause::TakesOver;
            finding.owners.splice(0..0, taken_over);
        }
        finding
    }

    /// A port that connect() chooses.
    fn why_ephemeral(&self, newcomer: Newcomer<'_>, source: IpAddr, remote: SocketAddr) -> Finding {
        let (low, high, own) = self.local_port_range(newcomer.socket);
        let count = u32::from(high - low) + 1;
        let tried = if own { count } else { tried_ports(count) };
        let is_free = |port| self.try_port(newcomer.now, source, port, remote).is_some();
        self.why_chosen(newcomer.now, (low, high, tried), Errno::EADDRNOTAVAIL, is_free)
    }

    /// Who answers a SYN.
    fn why_answered(&self, tuple: &FourTuple) -> Finding {
        let at = tuple.remote;
        if !self.addresses.is_local(at.ip()) {
            return Finding::new(None, Cause::Free);
        }
        let reversed = FourTuple { local: at, remote: tuple.local };
        let Some(key) = self.demux.find_listener(&self.sockets, &reversed, &self.random) else {
            let listens = |owner: &Owner| match owner {
                Owner::Socket(key) => {
                    self.sockets.find(*key).is_some_and(|s| s.state() == State::Listen)
                }
                Owner::TimeWait(_) => false,
            };
            let elsewhere = self.ports.owners(at.port()).filter(listens).collect();
            return Finding::new(Some(Errno::ECONNREFUSED), Cause::NobodyListens).with(elsewhere);
        };
        let listener = self.sockets.find(key).and_then(Socket::listener);
        let finding = match listener.is_some_and(|listener| listener.accept_queue_is_full()) {
            true => Finding::new(Some(Errno::ETIMEDOUT), Cause::QueueFull),
            false => Finding::new(None, Cause::Answered),
        };
        finding.with(vec![Owner::Socket(key)])
    }

    /// Who has the ports of a range.
    fn usage(&self, now: Instant, (low, high): (u16, u16), is_free: impl Fn(u16) -> bool) -> Usage {
        let mut usage = Usage { low, high, reserved: 0, free: 0, shares: Vec::new() };
        let mut shares: BTreeMap<_, (u32, Option<Instant>)> = BTreeMap::new();
        for port in low..=high {
            if self.sysctls.is_reserved(port) {
                usage.reserved += 1;
            } else if is_free(port) {
                usage.free += 1;
            } else {
                for owner in self.ports.owners(port) {
                    let (state, destination, over) = self.tenancy(owner);
                    let share = shares.entry((state, destination)).or_default();
                    share.0 += 1;
                    share.1 = [share.1, over].into_iter().flatten().min();
                }
            }
        }
        for ((state, destination), (count, over)) in shares {
            let left = |at: Instant| u64::try_from(at.since(now).as_millis()).unwrap_or(u64::MAX);
            let first_over_ms = over.map(left);
            usage.shares.push(Share { state, destination, count, first_over_ms });
        }
        usage.shares.sort_by_key(|share| core::cmp::Reverse(share.count));
        usage
    }

    /// State and destination of an owner of a port, and when it is over by itself.
    fn tenancy(&self, owner: Owner) -> (String, Option<SocketAddr>, Option<Instant>) {
        match owner {
            Owner::TimeWait(id) => self.time_waits.get(id).map(|entry| {
                let time_wait = &entry.time_wait;
                let remote = time_wait.tuple().remote;
                (State::TimeWait.to_string(), Some(remote), Some(time_wait.expires()))
            }),
            Owner::Socket(key) => self.sockets.find(key).map(|socket| {
                let connection = socket.connection().filter(|connection| !connection.over);
                let remote = connection.map(|connection| connection.tcb.tuple().remote);
                (socket.state().to_string(), remote, None)
            }),
        }
        .unwrap_or_default()
    }

    fn explain(
        &self,
        newcomer: Newcomer<'_>,
        (call, address, from): (Call, SocketAddr, Option<SocketAddr>),
        finding: Finding,
    ) -> Explained {
        let Newcomer { now, socket, .. } = newcomer;
        let Finding { errno, cause, owners, usage } = finding;
        let mut parties: Vec<_> =
            owners.iter().filter_map(|&owner| self.party(now, owner)).collect();
        let left = |party: &Party| party.socket.timer.as_ref().map_or(0, |timer| timer.left_ms);
        parties.sort_by_key(|(_, party)| {
            let state = party.socket.state.as_str();
            let rank = match state {
                "LISTEN" => 0,
                "TIME-WAIT" => 2,
                _ => 1,
            };
            // The TIME-WAIT that is over last decides.
            (rank, if rank == 2 { u64::MAX - left(party) } else { 0 })
        });
        let untold = parties.len().saturating_sub(MAX_PARTIES);
        parties.truncate(MAX_PARTIES);
        let (keys, parties) = parties.into_iter().unzip();
        let explanation = Explanation {
            call,
            address,
            from,
            errno: errno.map(|errno| errno.name().to_owned()),
            cause,
            reuse_address: socket.options.reuse_address,
            reuse_port: socket.options.reuse_port,
            uid: socket.uid,
            parties,
            untold,
            usage,
        };
        (explanation, keys)
    }

    fn party(&self, now: Instant, owner: Owner) -> Option<(Option<SocketKey>, Party)> {
        let came_by = |by, origin| match (by, origin) {
            (ClaimedBy::Connect, _) => CameBy::Connect,
            (ClaimedBy::Bind, Some(Origin::Passive)) => CameBy::Accept,
            (ClaimedBy::Bind, _) => CameBy::Bind,
        };
        match owner {
            Owner::TimeWait(id) => {
                let entry = self.time_waits.get(id)?;
                let party = Party {
                    socket: time_wait_row(entry, now),
                    came_by: came_by(entry.claim.by, Some(entry.time_wait.origin())),
                    reuse_address: entry.reuse_address,
                    reuse_port: entry.reuse_port,
                    opener: 0,
                };
                Some((None, party))
            }
            Owner::Socket(key) => {
                let socket = self.sockets.find(key)?;
                let origin = socket.connection().map(|connection| connection.tcb.origin());
                let party = Party {
                    socket: socket_row(socket, now),
                    came_by: came_by(
                        socket.claim.map_or(ClaimedBy::Bind, |claim| claim.by),
                        origin,
                    ),
                    reuse_address: socket.options.reuse_address,
                    reuse_port: socket.options.reuse_port,
                    opener: 0,
                };
                Some((Some(key), party))
            }
        }
    }
}
