//! Failures as one meets them: the symptom, its cause, the fix, and a script that makes each
//! happen.
//!
//! The scripts are in `examples/recipes/`. Run one from anywhere, after `cargo build --release` (or
//! `cargo build`) and with a C compiler installed:
//!
//! ```text
//! sh examples/recipes/01-restart-eaddrinuse.sh
//! ```
//!
//! It prints each command and its output, has a session of its own, and leaves nothing behind. Its
//! status is 0 if everything was as it expects. `cargo test --test recipes` runs them all, so what
//! is printed here is what is tested.
//!
//! The scripts share the file `prelude.sh`: `run` shows a command and runs it, `fails` runs one
//! that must fail, `programs` compiles programs of `examples/`, and `serve PORT COMMAND` starts a
//! server and waits until it listens. `server` and `client` tell two running programs which socket
//! call to make next, and `said` waits for their answer.
//!
//! # 1. A restarted server: "bind: Address already in use"
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/01-restart-eaddrinuse.sh")]
//! ```
//!
//! # 2. Connections pile up in CLOSE-WAIT until "Too many open files"
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/02-close-wait.sh")]
//! ```
//!
//! # 3. The server is gone, its port is still taken: a child has it
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/03-inherited-descriptor.sh")]
//! ```
//!
//! # 4. connect(): "Cannot assign requested address"
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/04-ports-run-out.sh")]
//! ```
//!
//! # 5. The end of a reply is missing: "Connection reset by peer"
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/05-reply-cut-off.sh")]
//! ```
//!
//! # 6. A client that shuts down its direction gets no reply
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/06-half-close.sh")]
//! ```
//!
//! # 7. SO_LINGER: data is lost, or close() hangs
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/07-linger.sh")]
//! ```
//!
//! # 8. The server dies without a word, with status 141
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/08-sigpipe.sh")]
//! ```
//!
//! # 9. A dead peer is never noticed
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/09-dead-peer.sh")]
//! ```
//!
//! # 10. connect() hangs for two minutes
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/10-connect-hangs.sh")]
//! ```
//!
//! # 11. Clients time out though the server is up
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/11-accept-queue.sh")]
//! ```
//!
//! # 12. accept() fails with EMFILE, and the server spins
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/12-accept-emfile.sh")]
//! ```
//!
//! # 13. FIN-WAIT-2 for ever, or for exactly 60 s
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/13-fin-wait-2.sh")]
//! ```
//!
//! # 14. What if this segment is lost?
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/14-lost-last-ack.sh")]
//! ```
//!
//! # 15. tcp_tw_reuse is set, and TIME-WAIT is still there
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/15-tw-reuse.sh")]
//! ```
//!
//! # 16. Self-connect, a reset in the accept queue, overflowing TIME-WAIT
//!
//! ```sh
#![doc = include_str!("../../examples/recipes/16-odds-and-ends.sh")]
//! ```
