//! The shim: a library for `LD_PRELOAD` that gives a program's TCP sockets to our stack.
//!
//! ```text
//! program -> hooks/ (libc's symbols; unsafe, thin) -> ops/ (what a call means) -> control (stack)
//!              |                                        |                          sys (kernel)
//!              +---------- descriptor (whose is it?) ---+
//! ```
//!
//! It keeps no TCP state: each socket is a kernel `AF_UNIX` socket whose name is its identity
//! (`tcplab_ipc::names`), its octets flow without our help, and the stack answers everything else.
//! It allocates nothing, holds no lock across `fork`, never panics, and touches no descriptor but
//! its own. It does not hook `poll`, `select`, `epoll`, `fork`, `exec`: the kernel does them right.

mod calls;
mod cancel;
mod control;
mod descriptor;
mod errno;
mod guard;
mod hooks;
mod launch;
mod leaving;
mod ops;
mod packets;
mod rights;
mod ring;
mod session;
mod sockaddr;
mod sys;
mod text;

/// Runs when the library is loaded. Hooks called even before find what they need themselves.
extern "C" fn start() {
    hooks::warm_up();
    guard::take_memory();
    session::export();
    leaving::prepare();
    descriptor::scan();
    session::prove_liveness();
}

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

/// Runs when the program ends by `exit()` or by returning from `main`, after what it does then.
extern "C" fn end() {
    leaving::leave();
}

#[used]
#[unsafe(link_section = ".fini_array")]
static END: extern "C" fn() = end;
