//! Starting the stack process, unseen by the program.
//!
//! A bare `clone` (no fork handlers, exit signal 0: no SIGCHLD, and only `__WALL` reaps it) makes
//! a child that makes system calls only: a second `clone` so that the stack is nobody's child,
//! default signals, three times `/dev/null`, no other descriptor but the pipe on which the stack
//! reports `ok` or `error: ...`, an environment without LD_PRELOAD, exec.

use core::ffi::c_char;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use libc::c_int;
use tcplab_ipc::Errno;
use tcplab_ipc::names::Session;

use crate::session::{MAX_PATH, settings};
use crate::sys::{self, raw};
use crate::text::Text;

/// How long a stack may take until it reports.
const PATIENCE_MS: u64 = 10_000;
/// Where the stack finds the pipe.
const READY_FD: c_int = 3;
/// Longest report.
const MAX_REPORT: usize = 256;

/// Everything the child needs, made before it exists: C strings.
struct Plan {
    /// The binary, where the environment names it, else where it is looked for.
    candidates: [Text<{ MAX_PATH + 16 }>; 3],
    session: Text<64>,
    ready_fd: c_int,
}

/// Starts the stack of `session` and waits until it is ready. Somebody else's being faster is
/// success. Error: ENETDOWN, after saying why.
pub(crate) fn start(session: &Session) -> Result<(), Errno> {
    let [ready, report] = sys::pipe()?;
    let plan = Plan {
        candidates: candidates(),
        session: Text::of(format_args!("{session}\0")),
        ready_fd: report,
    };
    let everything = sys::block_signals(!0);
    // SAFETY: as fork(): the child has a copy of this memory and makes system calls only.
    let child = unsafe { raw(libc::SYS_clone, [0; 6]) };
    if child == 0 {
        become_stack(&plan);
    }
    sys::set_signal_mask(everything);
    sys::close(report);
    if child < 0 {
        sys::close(ready);
        let errno = Errno(-child as i32);
        complain(format_args!("no process for the stack of {session}: {}", errno.name()));
        return Err(Errno::ENETDOWN);
    }
    reap(child as i32);
    let mut reason = Text::new();
    let outcome = wait_until_ready(ready, &mut reason);
    sys::close(ready);
    if outcome.is_err() {
        let reason = core::str::from_utf8(reason.as_bytes()).unwrap_or("its report is no text");
        complain(format_args!("the stack of session {session} does not start: {reason}"));
    }
    outcome
}

/// Says once per process, on the stderr the process was started with, why there is no stack.
pub(crate) fn complain(reason: fmt::Arguments<'_>) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if SAID.swap(true, Ordering::Relaxed) {
        return;
    }
    let now = sys::fstat(2).ok().map(|(device, inode, _)| (device, inode));
    if now.is_none() || now != settings().stderr {
        return;
    }
    let line = Text::<512>::of(format_args!("tcplab: TCP fails with ENETDOWN: {reason}\n"));
    let _ = sys::write(2, line.as_bytes());
}

/// Paths of the `tcplab` binary, best first.
fn candidates() -> [Text<{ MAX_PATH + 16 }>; 3] {
    let directory = settings().directory.as_bytes();
    let told = settings().stack_path.as_bytes();
    [&b"/tcplab"[..], b"/../tcplab", b"/../bin/tcplab"].map(|rest| {
        let mut path = Text::new();
        if told.is_empty() {
            path.push(directory);
            path.push(rest);
        } else {
            path.push(told);
        }
        path.push(b"\0");
        path
    })
}

fn reap(child: i32) {
    loop {
        let args = [child as usize, 0, libc::__WALL as usize, 0, 0, 0];
        // SAFETY: no status is asked for.
        if sys::check(unsafe { raw(libc::SYS_wait4, args) }) != Err(Errno::EINTR) {
            return;
        }
    }
}

/// Waits for `ok`; otherwise writes down the reason why not.
fn wait_until_ready(ready: c_int, reason: &mut Text<MAX_REPORT>) -> Result<(), Errno> {
    let deadline_ms = sys::now_ms() + PATIENCE_MS;
    let mut report = Text::<MAX_REPORT>::new();
    loop {
        let left_ms = deadline_ms.saturating_sub(sys::now_ms());
        if left_ms == 0 {
            *reason = Text::of(format_args!("it did not report within {PATIENCE_MS} ms"));
            return Err(Errno::ENETDOWN);
        }
        if let Err(Errno::EINTR) | Ok(0) = sys::poll(ready, libc::POLLIN, left_ms) {
            continue;
        }
        let mut piece = [0; 64];
        match sys::read(ready, &mut piece) {
            Err(Errno::EINTR) => continue,
            Ok(len) if len > 0 => report.push(piece.get(..len).unwrap_or_default()),
            _ => {
                let text = match report.as_bytes() {
                    b"" => b"it ended without a report",
                    text => text.strip_prefix(b"error: ").unwrap_or(text),
                };
                reason.push(text.strip_suffix(b"\n").unwrap_or(text));
                return Err(Errno::ENETDOWN);
            }
        }
        if report.as_bytes().starts_with(b"ok\n") {
            return Ok(());
        }
    }
}

// ---- in the child: system calls only

fn become_stack(plan: &Plan) -> ! {
    // SAFETY: as in `start`; the parent of the two ends at once, so the stack is an orphan.
    if unsafe { raw(libc::SYS_clone, [0; 6]) } != 0 {
        exit();
    }
    // The pipe first out of the way of 0 to 3, then to its place.
    let ready = sys::fcntl(plan.ready_fd, libc::F_DUPFD_CLOEXEC, READY_FD + 1).unwrap_or(-1);
    let null = sys::open(b"/dev/null\0", libc::O_RDWR)
        .and_then(|fd| sys::fcntl(fd, libc::F_DUPFD_CLOEXEC, READY_FD + 1))
        .unwrap_or(-1);
    for standard in 0..3 {
        if sys::dup3(null, standard, 0).is_err() {
            sys::close(standard);
        }
    }
    let _ = sys::dup3(ready, READY_FD, 0);
    close_from(READY_FD + 1);
    default_signals();
    run(plan);
    let _ = sys::write(
        READY_FD,
        b"error: the tcplab binary was not found beside the library (set TCPLAB_STACK to its path)",
    );
    exit();
}

fn exit() -> ! {
    loop {
        // SAFETY: does not return.
        unsafe { raw(libc::SYS_exit_group, [0; 6]) };
    }
}

fn close_from(first: c_int) {
    // SAFETY: closes descriptors of this child only.
    let closed =
        unsafe { raw(libc::SYS_close_range, [first as usize, u32::MAX as usize, 0, 0, 0, 0]) };
    if closed != 0 {
        (first..65536).for_each(sys::close);
    }
}

/// No handler runs in the child, and nothing that the program ignores stays ignored in the stack.
fn default_signals() {
    for signal in 1..=64usize {
        // handler (SIG_DFL), flags, restorer, mask
        let action = [0usize; 4];
        // SAFETY: SIG_DFL needs no restorer; SIGKILL and SIGSTOP merely answer EINVAL.
        unsafe {
            raw(libc::SYS_rt_sigaction, [signal, ptr::from_ref(&action) as usize, 0, 8, 0, 0]);
        }
    }
    sys::set_signal_mask(0);
}

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

fn run(plan: &Plan) {
    let ready = [b'0' + READY_FD as u8, 0];
    for path in &plan.candidates {
        let path = path.as_bytes().as_ptr();
        let arguments = [
            path,
            c"stack".as_ptr().cast(),
            c"--session".as_ptr().cast(),
            plan.session.as_bytes().as_ptr(),
            c"--ready-fd".as_ptr().cast(),
            ready.as_ptr(),
            ptr::null(),
        ];
        // SAFETY: the child's own copy of the environment; everything ends with a NUL or null.
        unsafe {
            without_preload(environ);
            let args = [path as usize, arguments.as_ptr() as usize, environ as usize, 0, 0, 0];
            raw(libc::SYS_execve, args);
        }
    }
}

/// Takes LD_PRELOAD out of a vector of environment strings.
///
/// # Safety
/// `entry` is null or starts a vector of strings that ends with null and is not shared.
unsafe fn without_preload(mut entry: *mut *mut c_char) {
    const PRELOAD: &[u8] = b"LD_PRELOAD=";
    if entry.is_null() {
        return;
    }
    let mut kept = entry;
    // SAFETY: the caller's promise; `starts` reads no further than the NUL.
    unsafe {
        while !(*entry).is_null() {
            let text = (*entry).cast::<u8>();
            let starts = PRELOAD.iter().enumerate().all(|(at, octet)| *text.add(at) == *octet);
            if !starts {
                *kept = *entry;
                kept = kept.add(1);
            }
            entry = entry.add(1);
        }
        *kept = ptr::null_mut();
    }
}
