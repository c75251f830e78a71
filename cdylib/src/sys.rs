//! System calls made directly, past libc: they leave `errno` alone, are no cancellation points,
//! take no lock and cannot come back into a hook, so they may be made in signal handlers and
//! between vfork and exec.
//!
//! Calls of the program that may block are *not* made here but through [`crate::cancel`], so that
//! they stay cancellation points.

use core::ffi::c_void;
use core::mem::{MaybeUninit, size_of};
use core::ptr;

use libc::{c_int, c_long, c_short, c_uint, msghdr, sockaddr_un, socklen_t};
use tcplab_ipc::Errno;

/// What a system call gives.
pub(crate) type Result<T> = core::result::Result<T, Errno>;

/// Any system call. The kernel's answer as it is: `-errno` on failure.
///
/// # Safety
/// As the system call itself.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) unsafe fn raw(number: c_long, a: [usize; 6]) -> isize {
    let answer: isize;
    // SAFETY: the x86_64 Linux convention; the kernel clobbers rcx and r11 only.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => answer,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    answer
}

/// Any system call. The kernel's answer as it is: `-errno` on failure.
///
/// # Safety
/// As the system call itself.
#[cfg(target_arch = "aarch64")]
#[inline]
pub(crate) unsafe fn raw(number: c_long, a: [usize; 6]) -> isize {
    let answer: isize;
    // SAFETY: the aarch64 Linux convention.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number as usize,
            inlateout("x0") a[0] => answer,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5],
            options(nostack),
        );
    }
    answer
}

/// Makes a result of a kernel's answer.
#[inline]
pub(crate) fn check(answer: isize) -> Result<usize> {
    if (-4095..0).contains(&answer) { Err(Errno(-answer as i32)) } else { Ok(answer as usize) }
}

/// A system call with up to six arguments, each cast to a machine word.
macro_rules! call {
    ($number:expr $(, $arg:expr)* $(,)?) => {{
        let given = [$($arg as usize),*];
        let mut args = [0usize; 6];
        for (to, from) in args.iter_mut().zip(given) {
            *to = from;
        }
        // SAFETY: the pointers of the call are those of references that live across it.
        check(unsafe { raw($number, args) })
    }};
}

pub(crate) fn getpid() -> i32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { raw(libc::SYS_getpid, [0; 6]) as i32 }
}

pub(crate) fn gettid() -> i32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { raw(libc::SYS_gettid, [0; 6]) as i32 }
}

pub(crate) fn geteuid() -> u32 {
    // SAFETY: no arguments, cannot fail.
    unsafe { raw(libc::SYS_geteuid, [0; 6]) as u32 }
}

/// Raises `signal` in the calling thread.
pub(crate) fn raise(signal: c_int) {
    let _ = call!(libc::SYS_tgkill, getpid(), gettid(), signal);
}

/// Whether thread `tid` of this process exists.
pub(crate) fn thread_exists(tid: i32) -> bool {
    call!(libc::SYS_tgkill, getpid(), tid, 0) != Err(Errno(libc::ESRCH))
}

pub(crate) fn socket(domain: c_int, kind: c_int) -> Result<c_int> {
    call!(libc::SYS_socket, domain, kind, 0).map(|fd| fd as c_int)
}

pub(crate) fn bind(fd: c_int, (address, len): &(sockaddr_un, socklen_t)) -> Result<()> {
    call!(libc::SYS_bind, fd, ptr::from_ref(address), *len).map(drop)
}

pub(crate) fn connect(fd: c_int, (address, len): &(sockaddr_un, socklen_t)) -> Result<()> {
    call!(libc::SYS_connect, fd, ptr::from_ref(address), *len).map(drop)
}

/// Name of a socket's own end (`SYS_getsockname`) or of its peer (`SYS_getpeername`).
fn name(number: c_long, fd: c_int) -> Result<(sockaddr_un, socklen_t)> {
    let mut address = sockaddr_un { sun_family: 0, sun_path: [0; 108] };
    let mut len = size_of::<sockaddr_un>() as socklen_t;
    call!(number, fd, ptr::from_mut(&mut address), ptr::from_mut(&mut len))?;
    Ok((address, len))
}

pub(crate) fn getsockname(fd: c_int) -> Result<(sockaddr_un, socklen_t)> {
    name(libc::SYS_getsockname, fd)
}

pub(crate) fn getpeername(fd: c_int) -> Result<(sockaddr_un, socklen_t)> {
    name(libc::SYS_getpeername, fd)
}

/// A type every bit pattern of which is a value.
///
/// # Safety
/// That must be so.
pub(crate) unsafe trait Plain: Copy {}
// SAFETY: integers only.
unsafe impl Plain for c_int {}
// SAFETY: integers only.
unsafe impl Plain for libc::linger {}
// SAFETY: integers only.
unsafe impl Plain for libc::timeval {}
// SAFETY: integers only.
unsafe impl Plain for libc::ucred {}

/// Reads a socket option of type `T` at `SOL_SOCKET` of the kernel's own socket.
pub(crate) fn get_option<T: Plain>(fd: c_int, option: c_int) -> Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut len = size_of::<T>() as socklen_t;
    call!(
        libc::SYS_getsockopt,
        fd,
        libc::SOL_SOCKET,
        option,
        value.as_mut_ptr(),
        ptr::from_mut(&mut len)
    )?;
    // SAFETY: zeroed, and `Plain`: every pattern the kernel leaves is a value.
    Ok(unsafe { value.assume_init() })
}

/// Sets a socket option of type `T` at `SOL_SOCKET` of the kernel's own socket.
pub(crate) fn set_option<T: Plain>(fd: c_int, option: c_int, value: &T) -> Result<()> {
    let value = ptr::from_ref(value);
    call!(libc::SYS_setsockopt, fd, libc::SOL_SOCKET, option, value, size_of::<T>()).map(drop)
}

/// `getsockopt` with the kernel's own length rules; returns the length it gives.
pub(crate) fn get_option_octets(
    fd: c_int,
    level: c_int,
    option: c_int,
    out: &mut [u8],
) -> Result<usize> {
    let mut len = out.len() as socklen_t;
    call!(libc::SYS_getsockopt, fd, level, option, out.as_mut_ptr(), ptr::from_mut(&mut len))?;
    Ok((len as usize).min(out.len()))
}

/// `setsockopt` with octets as they are.
pub(crate) fn set_option_octets(
    fd: c_int,
    level: c_int,
    option: c_int,
    value: &[u8],
) -> Result<()> {
    call!(libc::SYS_setsockopt, fd, level, option, value.as_ptr(), value.len()).map(drop)
}

pub(crate) fn send(fd: c_int, octets: &[u8], flags: c_int) -> Result<usize> {
    call!(libc::SYS_sendto, fd, octets.as_ptr(), octets.len(), flags, 0, 0)
}

pub(crate) fn recv(fd: c_int, out: &mut [u8], flags: c_int) -> Result<usize> {
    call!(libc::SYS_recvfrom, fd, out.as_mut_ptr(), out.len(), flags, 0, 0)
}

/// `sendmsg`.
///
/// # Safety
/// The header must be one that the kernel may read through.
pub(crate) unsafe fn sendmsg(fd: c_int, message: &msghdr, flags: c_int) -> Result<usize> {
    call!(libc::SYS_sendmsg, fd, ptr::from_ref(message), flags)
}

/// `recvmsg` that the caller knows not to wait long.
///
/// # Safety
/// The header must be one that the kernel may write through.
pub(crate) unsafe fn recvmsg(fd: c_int, message: &mut msghdr, flags: c_int) -> Result<usize> {
    call!(libc::SYS_recvmsg, fd, ptr::from_mut(message), flags)
}

/// Maps a shared file, or fresh memory, in place of what is at `place`.
///
/// # Safety
/// Whatever is there must be the caller's, and bear having other values from now on.
pub(crate) unsafe fn map_over(place: usize, len: usize, file: Option<c_int>) -> Result<()> {
    let readable = libc::PROT_READ | libc::PROT_WRITE;
    let (kind, file) = match file {
        Some(file) => (libc::MAP_SHARED, file),
        None => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1),
    };
    call!(libc::SYS_mmap, place, len, readable, kind | libc::MAP_FIXED, file, 0).map(drop)
}

pub(crate) fn shutdown(fd: c_int, how: c_int) -> Result<()> {
    call!(libc::SYS_shutdown, fd, how).map(drop)
}

pub(crate) fn close(fd: c_int) {
    let _ = call!(libc::SYS_close, fd);
}

pub(crate) fn fcntl(fd: c_int, command: c_int, argument: c_int) -> Result<c_int> {
    call!(libc::SYS_fcntl, fd, command, argument).map(|value| value as c_int)
}

pub(crate) fn dup3(from: c_int, to: c_int, flags: c_int) -> Result<()> {
    call!(libc::SYS_dup3, from, to, flags).map(drop)
}

/// A copy of a descriptor of another process.
pub(crate) fn pidfd_getfd(pidfd: c_int, fd: c_int, flags: c_uint) -> Result<c_int> {
    call!(libc::SYS_pidfd_getfd, pidfd, fd, flags).map(|fd| fd as c_int)
}

/// `ioctl` whose argument is a pointer to an int that the kernel fills.
pub(crate) fn ioctl_int(fd: c_int, request: u64) -> Result<c_int> {
    let mut value: c_int = 0;
    call!(libc::SYS_ioctl, fd, request, ptr::from_mut(&mut value))?;
    Ok(value)
}

/// `ioctl` with the program's argument.
///
/// # Safety
/// As the request says.
pub(crate) unsafe fn ioctl(fd: c_int, request: u64, argument: usize) -> Result<c_int> {
    call!(libc::SYS_ioctl, fd, request, argument).map(|value| value as c_int)
}

/// What `poll` says of `events` within `timeout_ms`: 0 where nothing. EINTR is for the caller
/// where the call waits; without waiting, a signal that comes just then is no reason to know nothing.
pub(crate) fn poll(fd: c_int, events: c_short, timeout_ms: u64) -> Result<c_short> {
    let mut entry = libc::pollfd { fd, events, revents: 0 };
    let mut timeout = timespec_ms(timeout_ms);
    loop {
        let (entry, timeout) = (ptr::from_mut(&mut entry), ptr::from_mut(&mut timeout));
        match call!(libc::SYS_ppoll, entry, 1, timeout, 0, 8) {
            Err(Errno::EINTR) if timeout_ms == 0 => {}
            Err(errno) => return Err(errno),
            Ok(_) => break,
        }
    }
    Ok(entry.revents)
}

fn timespec_ms(ms: u64) -> libc::timespec {
    libc::timespec { tv_sec: (ms / 1000) as i64, tv_nsec: (ms % 1000) as i64 * 1_000_000 }
}

/// Lets somebody else run who waits for this processor.
pub(crate) fn yield_processor() {
    let _ = call!(libc::SYS_sched_yield);
}

pub(crate) fn sleep_ms(ms: u64) {
    let _ = call!(libc::SYS_nanosleep, ptr::from_ref(&timespec_ms(ms)), 0);
}

/// Milliseconds of the monotonic clock.
pub(crate) fn now_ms() -> u64 {
    now_ns() / 1_000_000
}

/// Nanoseconds of the monotonic clock.
pub(crate) fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let _ = call!(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, ptr::from_mut(&mut now));
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Device, inode and mode of a descriptor.
pub(crate) fn fstat(fd: c_int) -> Result<(u64, u64, u32)> {
    stat(fd).map(|stat| (stat.st_dev, stat.st_ino, stat.st_mode))
}

/// Length of the file behind a descriptor.
pub(crate) fn size(fd: c_int) -> Result<u64> {
    stat(fd).map(|stat| stat.st_size as u64)
}

fn stat(fd: c_int) -> Result<libc::stat> {
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    call!(libc::SYS_fstat, fd, stat.as_mut_ptr())?;
    // SAFETY: zeroed and then filled by the kernel; integers only.
    Ok(unsafe { stat.assume_init() })
}

pub(crate) fn write(fd: c_int, octets: &[u8]) -> Result<usize> {
    call!(libc::SYS_write, fd, octets.as_ptr(), octets.len())
}

pub(crate) fn read(fd: c_int, out: &mut [u8]) -> Result<usize> {
    call!(libc::SYS_read, fd, out.as_mut_ptr(), out.len())
}

/// Opens `path`, which ends with a NUL.
pub(crate) fn open(path: &[u8], flags: c_int) -> Result<c_int> {
    call!(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0).map(|fd| fd as c_int)
}

pub(crate) fn getdents(fd: c_int, out: &mut [u8]) -> Result<usize> {
    call!(libc::SYS_getdents64, fd, out.as_mut_ptr(), out.len())
}

pub(crate) fn getcwd(out: &mut [u8]) -> Result<usize> {
    call!(libc::SYS_getcwd, out.as_mut_ptr(), out.len())
}

pub(crate) fn pipe() -> Result<[c_int; 2]> {
    let mut ends: [c_int; 2] = [-1; 2];
    call!(libc::SYS_pipe2, ends.as_mut_ptr(), libc::O_CLOEXEC)?;
    Ok(ends)
}

/// Soft limit of descriptor numbers.
pub(crate) fn descriptor_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 1024, rlim_max: 1024 };
    let _ = call!(
        libc::SYS_prlimit64,
        0,
        libc::RLIMIT_NOFILE,
        0,
        ptr::from_mut(&mut limit).cast::<c_void>()
    );
    limit.rlim_cur
}

/// 64 unpredictable bits; from the clock where the kernel has none to give.
pub(crate) fn random() -> u64 {
    let mut bits: u64 = 0;
    let got = call!(libc::SYS_getrandom, ptr::from_mut(&mut bits), 8, libc::GRND_NONBLOCK);
    if got == Ok(8) {
        return bits;
    }
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let _ = call!(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, ptr::from_mut(&mut now));
    let seed = (now.tv_nsec as u64) << 32 ^ now.tv_sec as u64 ^ (gettid() as u64) << 16;
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A set of signals as the kernel has it.
pub(crate) type SignalMask = u64;

/// Replaces the thread's signal mask and returns the old one.
pub(crate) fn set_signal_mask(mask: SignalMask) -> SignalMask {
    signal_mask(libc::SIG_SETMASK, mask)
}

/// Adds to the thread's signal mask and returns the old one.
pub(crate) fn block_signals(mask: SignalMask) -> SignalMask {
    signal_mask(libc::SIG_BLOCK, mask)
}

fn signal_mask(how: c_int, mask: SignalMask) -> SignalMask {
    let mut old: SignalMask = 0;
    let new = ptr::from_ref(&mask);
    let _ = call!(libc::SYS_rt_sigprocmask, how, new, ptr::from_mut(&mut old), 8);
    old
}

/// Signals waiting for this thread or process.
pub(crate) fn pending_signals() -> SignalMask {
    let mut pending: SignalMask = 0;
    let _ = call!(libc::SYS_rt_sigpending, ptr::from_mut(&mut pending), 8);
    pending
}

/// Takes one waiting signal of `mask` off the queue, without waiting.
pub(crate) fn discard_signal(mask: SignalMask) {
    let zero = timespec_ms(0);
    let _ = call!(libc::SYS_rt_sigtimedwait, ptr::from_ref(&mask), 0, ptr::from_ref(&zero), 8);
}
