//! `tcplab ss`: the sockets of a session, as ss(8) shows the kernel's.
//!
//! The stack tells the rows, `/proc` who holds them. It deliberately resolves no names: addresses and
//! ports are printed as numbers, with or without `-n`.

pub(super) mod filter;
pub(super) mod holders;
pub(super) mod table;

use clap::Args;
use serde::Serialize;
use tcplab::client::{Client, Error};
use tcplab::inspect::SocketRow;
use tcplab::ipc::names::Session;

pub(super) use self::filter::STATES;
use self::filter::{Filter, States};
use self::holders::{HeldById, Holder};
#[cfg(test)]
pub(super) use self::table::tests::row as test_row;
use super::{Failure, Outcome, notice, print, print_json};

/// Show the session's sockets, as ss(8) shows the kernel's
///
/// Without -a or -l: connections, as ss does. Columns, states and timers are those of ss; -e shows
/// what ss cannot know: the age of the state, who closed first, the reason of a reset.
///
/// FILTER: `state NAME` and `exclude NAME` (also all, connected, synchronized, bucket, big), and
/// expressions over `sport`, `dport`, `src`, `dst` with `and`, `or`, `not` and parentheses.
#[derive(Args)]
#[command(after_help = "Examples:
  tcplab ss -tanp
  tcplab ss -tano state time-wait '( sport = :8080 )'
  tcplab ss -tanpe state close-wait      leaks: process, descriptor, age
  tcplab ss -a --json | jq '.[] | select(.orphan)'")]
pub(super) struct Arguments {
    /// Every state: listening and connected
    #[arg(short, long)]
    all: bool,
    /// Listening sockets
    #[arg(short, long)]
    listening: bool,
    /// Processes and descriptors that hold the socket, forked children included
    #[arg(short, long)]
    processes: bool,
    /// Timers
    #[arg(short, long)]
    options: bool,
    /// TCP's inner state, on a line of its own
    #[arg(short, long)]
    info: bool,
    /// User, inode, identity, age of the state, who closed first, reason of a reset
    #[arg(short, long)]
    extended: bool,
    /// IPv4 sockets only
    #[arg(short = '4', long)]
    ipv4: bool,
    /// IPv6 sockets only
    #[arg(short = '6', long)]
    ipv6: bool,
    /// No header line
    #[arg(short = 'H', long)]
    no_header: bool,
    /// As JSON: every field, and the holders
    #[arg(long)]
    json: bool,
    /// TCP sockets; there are no others (taken for the sake of `ss -tan`)
    #[arg(short, long)]
    tcp: bool,
    /// Numbers; names are never shown (taken for the sake of `ss -tan`)
    #[arg(short, long)]
    numeric: bool,
    /// State and expression as ss has them
    #[arg(value_name = "FILTER", trailing_var_arg = true)]
    filter: Vec<String>,
}

/// A row with what the command adds to it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Socket {
    /// What the stack says.
    #[serde(flatten)]
    pub(super) row: SocketRow,
    /// Inode of the kernel socket under it, 0 where no program holds it.
    pub(super) inode: u64,
    /// Who holds it.
    pub(super) holders: Vec<Holder>,
}

pub(super) fn run(session: &Session, arguments: &Arguments) -> Outcome {
    let filter = Filter::parse(&arguments.filter).map_err(Failure::usage)?;
    let states = filter.states.unwrap_or(if arguments.all {
        States::ALL
    } else if arguments.listening {
        States::LISTENING
    } else {
        States::DEFAULT
    });
    let mut sockets = match Client::connect(session) {
        Ok(mut client) => sockets(&mut client)?,
        Err(error @ Error::NotRunning(_)) => {
            // Without a stack there are no sockets: true, but perhaps not what was meant.
            notice(&error.to_string());
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    sockets.retain(|socket| {
        let v6 = socket.row.local.is_ipv6();
        states.contains(&socket.row.state)
            && filter.admits(&socket.row)
            && (arguments.ipv4 == arguments.ipv6 || v6 == arguments.ipv6)
    });
    if arguments.json {
        print_json(&sockets)?;
        return Ok(0);
    }
    let columns = table::Columns {
        state: !states.is_single(),
        timers: arguments.options,
        processes: arguments.processes,
        extended: arguments.extended,
        info: arguments.info,
        header: !arguments.no_header,
    };
    print(&table::table(&sockets, columns))?;
    Ok(0)
}

/// What `tcplab ss -tan` prints of these sockets, with the columns of `-o` and `-p` or without.
pub(super) fn table_of(sockets: &[Socket], timers: bool, processes: bool) -> String {
    let columns = table::Columns {
        state: true,
        timers,
        processes,
        extended: false,
        info: false,
        header: true,
    };
    table::table(sockets, columns)
}

/// Every socket, in the same order, without looking for its holders.
pub(super) fn sockets_without_holders(client: &mut Client) -> Result<Vec<Socket>, Error> {
    Ok(join(client.sockets()?, &HeldById::new()))
}

/// Every socket with its holders, IPv4 before IPv6, listeners first, then by port.
pub(super) fn sockets(client: &mut Client) -> Result<Vec<Socket>, Error> {
    let rows = client.sockets()?;
    Ok(join(rows, &holders::find(client.session())))
}

/// Rows with those who hold them, in that order.
pub(super) fn join(rows: Vec<SocketRow>, held: &HeldById) -> Vec<Socket> {
    let with_holders = |row: SocketRow| {
        let held = held.get(&row.id).cloned().unwrap_or_default();
        Socket { row, inode: held.inode, holders: held.holders }
    };
    let mut sockets: Vec<Socket> = rows.into_iter().map(with_holders).collect();
    sockets.sort_by_key(|socket| {
        let row = &socket.row;
        (row.local.is_ipv6(), row.state != "LISTEN", row.local.port(), row.local.ip(), row.peer)
    });
    sockets
}

#[cfg(test)]
mod tests {
    use super::table::tests::row;
    use super::*;

    #[test]
    fn rows_are_joined_with_their_holders_and_ordered() {
        let holder = Holder { pid: 7, fd: 3, name: "x".to_owned() };
        let held = holders::Held { inode: 9, holders: vec![holder.clone()] };
        let mut listener = row("LISTEN", "0.0.0.0:80", None);
        listener.id = "00000000000000aa".to_owned();
        let rows = vec![
            row("ESTAB", "[::1]:1", Some("[::1]:2")),
            row("TIME-WAIT", "127.0.0.1:9", Some("127.0.0.1:80")),
            listener,
        ];
        let sockets = join(rows, &HeldById::from([("00000000000000aa".to_owned(), held)]));
        let states: Vec<&str> = sockets.iter().map(|socket| socket.row.state.as_str()).collect();
        assert_eq!(states, ["LISTEN", "TIME-WAIT", "ESTAB"]);
        assert_eq!((sockets[0].inode, &sockets[0].holders[..]), (9, &[holder][..]));
        assert!(sockets[1].holders.is_empty());
    }

    #[test]
    fn as_json_a_socket_is_one_flat_object() {
        let socket = join(vec![row("ESTAB", "127.0.0.1:1", None)], &HeldById::new()).remove(0);
        let json = serde_json::to_value(socket).unwrap();
        assert_eq!(json["state"], "ESTAB");
        assert_eq!(json["local"], "127.0.0.1:1");
        assert_eq!(json["holders"], serde_json::json!([]));
    }
}
