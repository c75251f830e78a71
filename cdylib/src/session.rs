//! Which session this process belongs to, its secret, and where the `tcplab` binary is.
//!
//! Resolved once, by the constructor or by a hook that is called even earlier, and kept in the
//! process: a program may clear its environment or change its user. Only the constructor writes
//! to the environment (`setenv` is not safe later): a program that becomes another user and then
//! execs is thereby still in its session.

use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU64, Ordering};
use core::{mem, ptr};

use tcplab_ipc::names::{
    BadSession, CHECK_VARIABLE, DEFAULT_SESSION, SECRET_VARIABLE, SESSION_VARIABLE, Session,
};

use crate::text::Text;
use crate::{control, sys};

/// Environment variable with the path of the `tcplab` binary.
const STACK_VARIABLE: &CStr = c"TCPLAB_STACK";
/// Environment variable of `tcplab run`: a pipe that hears one octet when the shim is live.
const PROOF_VARIABLE: &CStr = c"TCPLAB_PROOF_FD";

/// Longest path of the `tcplab` binary.
pub(crate) const MAX_PATH: usize = 4096;

/// What is resolved once.
pub(crate) struct Settings {
    /// The session; an error where the environment names an impossible one.
    pub(crate) session: Result<Session, BadSession>,
    /// Path of the `tcplab` binary where the environment tells it, else empty.
    pub(crate) stack_path: Text<MAX_PATH>,
    /// Directory of this library, absolute, without the last slash; empty where not known.
    pub(crate) directory: Text<MAX_PATH>,
    /// What descriptor 2 was at the start: `(device, inode)`. Only that file hears complaints.
    pub(crate) stderr: Option<(u64, u64)>,
}

/// Settings, written once.
struct Once {
    /// 0 nothing yet, 1 being written, 2 written.
    state: AtomicU8,
    settings: UnsafeCell<mem::MaybeUninit<Settings>>,
}
// SAFETY: written once by whoever moves `state` from 0 to 1, read after it is 2.
unsafe impl Sync for Once {}

static SETTINGS: Once =
    Once { state: AtomicU8::new(0), settings: UnsafeCell::new(mem::MaybeUninit::uninit()) };

/// Low and high half of the secret; 0 where not known.
static SECRET: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// Mark of the stack that was greeted last; 0 where none was.
static STACK: AtomicU16 = AtomicU16::new(0);

/// The settings of this process.
pub(crate) fn settings() -> &'static Settings {
    if SETTINGS.state.load(Ordering::Acquire) != 2 {
        resolve();
    }
    // SAFETY: `resolve` returns when the state is 2, and nothing is written after that.
    unsafe { (*SETTINGS.settings.get()).assume_init_ref() }
}

#[cold]
fn resolve() {
    let mine = SETTINGS.state.compare_exchange(0, 1, Ordering::Acquire, Ordering::Acquire).is_ok();
    if !mine {
        // Another thread, before main: it makes a handful of system calls.
        while SETTINGS.state.load(Ordering::Acquire) != 2 {
            sys::sleep_ms(1);
        }
        return;
    }
    let uid = sys::geteuid();
    let name = variable_of(SESSION_VARIABLE).unwrap_or(DEFAULT_SESSION.as_bytes());
    let mut stack_path = Text::new();
    stack_path.push(variable(STACK_VARIABLE).unwrap_or_default());
    let settings = Settings {
        session: Session::parse(name, uid),
        stack_path,
        directory: own_directory(),
        stderr: sys::fstat(2).ok().map(|(device, inode, _)| (device, inode)),
    };
    if let Some(secret) = variable_of(SECRET_VARIABLE).and_then(parse_secret) {
        remember_secret(secret);
    }
    // SAFETY: this thread moved the state from 0 to 1 and is the only one here.
    unsafe { (*SETTINGS.settings.get()).write(settings) };
    SETTINGS.state.store(2, Ordering::Release);
}

/// The session's secret, 0 where not known.
pub(crate) fn secret() -> u128 {
    let [low, high] = [&SECRET[0], &SECRET[1]].map(|half| half.load(Ordering::Relaxed));
    u128::from(low) | u128::from(high) << 64
}

/// Keeps the secret that the stack (or the environment) told.
pub(crate) fn remember_secret(secret: u128) {
    SECRET[0].store(secret as u64, Ordering::Relaxed);
    SECRET[1].store((secret >> 64) as u64, Ordering::Relaxed);
}

/// The mark of the session's stack in the identities of its sockets; 0 before it was asked.
pub(crate) fn stack() -> u16 {
    STACK.load(Ordering::Relaxed)
}

/// Keeps the mark that the stack told.
pub(crate) fn remember_stack(mark: u16) {
    STACK.store(mark, Ordering::Relaxed);
}

/// Writes session and secret to the environment, so that what is exec'ed as another user stays
/// in the session. Constructor only.
pub(crate) fn export() {
    let Ok(session) = settings().session else { return };
    let named_fully = variable_of(SESSION_VARIABLE).is_some_and(|name| name.contains(&b'/'));
    if !named_fully {
        set_variable(SESSION_VARIABLE, format_args!("{session}"));
    }
    if variable_of(SECRET_VARIABLE).is_none() {
        // A running stack tells its secret. One that is started later takes this one from the
        // environment it inherits.
        if control::learn_secret(&session).is_err() {
            remember_secret(u128::from(sys::random()) << 64 | u128::from(sys::random()));
        }
        set_variable(SECRET_VARIABLE, format_args!("{:032x}", secret()));
    }
}

/// The token of who looks at this program before it ends; `None` where nobody does.
pub(crate) fn check_token() -> Option<u64> {
    core::str::from_utf8(variable_of(CHECK_VARIABLE)?).ok()?.parse().ok()
}

/// Tells `tcplab run` that the shim is live. Constructor only.
pub(crate) fn prove_liveness() {
    let Some(number) = variable(PROOF_VARIABLE) else { return };
    let fd = core::str::from_utf8(number).ok().and_then(|digits| digits.parse().ok());
    if let Some(fd) = fd
        && sys::fstat(fd).is_ok_and(|(_, _, mode)| mode & libc::S_IFMT == libc::S_IFIFO)
    {
        let _ = sys::write(fd, b"!");
        sys::close(fd);
    }
    // SAFETY: constructor: no other thread reads the environment.
    unsafe { libc::unsetenv(PROOF_VARIABLE.as_ptr()) };
}

fn set_variable(name: &str, value: core::fmt::Arguments<'_>) {
    let name = Text::<64>::of(format_args!("{name}\0"));
    let value = Text::<128>::of(format_args!("{value}\0"));
    // SAFETY: both end with a NUL; constructor: no other thread reads the environment.
    unsafe { libc::setenv(name.as_bytes().as_ptr().cast(), value.as_bytes().as_ptr().cast(), 1) };
}

fn variable_of(name: &str) -> Option<&'static [u8]> {
    let name = Text::<64>::of(format_args!("{name}\0"));
    variable(CStr::from_bytes_until_nul(name.as_bytes()).ok()?)
}

/// Value of an environment variable; `None` where unset or empty.
fn variable(name: &CStr) -> Option<&'static [u8]> {
    // SAFETY: the name ends with a NUL; what is found is used before the program can change it.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: a string of the environment.
    let value = unsafe { CStr::from_ptr(value) }.to_bytes();
    (!value.is_empty()).then_some(value)
}

fn parse_secret(hex: &[u8]) -> Option<u128> {
    u128::from_str_radix(core::str::from_utf8(hex).ok()?, 16).ok()
}

/// Directory this library was loaded from.
fn own_directory() -> Text<MAX_PATH> {
    let mut text = Text::new();
    // SAFETY: all zero is a valid Dl_info.
    let mut info: libc::Dl_info = unsafe { mem::zeroed() };
    let anchor = ptr::from_ref(&SETTINGS).cast();
    // SAFETY: the address of a static of this library; `info` is filled in.
    if unsafe { libc::dladdr(anchor, &mut info) } == 0 || info.dli_fname.is_null() {
        return text;
    }
    // SAFETY: the loader's string, which lives as long as the library.
    let path = unsafe { CStr::from_ptr(info.dli_fname) }.to_bytes();
    if path.first() != Some(&b'/') {
        let mut cwd = [0; MAX_PATH];
        let len = sys::getcwd(&mut cwd).unwrap_or(1);
        text.push(cwd.get(..len.saturating_sub(1)).unwrap_or_default());
        text.push(b"/");
    }
    let end = path.iter().rposition(|&octet| octet == b'/').unwrap_or(0);
    text.push(path.get(..end).unwrap_or_default());
    text
}
