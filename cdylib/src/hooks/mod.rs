//! The symbols that replace libc's: one family of calls a file, each hook no more than a look at
//! the hint, a conversion of its arguments, and one of the `ops`.
//!
//! Two kinds. Calls that are no cancellation points use redhook's `hook!`. That one wraps the
//! body in `catch_unwind`, which aborts the process when `pthread_cancel` unwinds through it; so
//! calls that may wait use [`cancellable`], whose functions are `C-unwind` and own nothing.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicPtr, Ordering};
use core::{mem, ptr};

/// libc's own function under a symbol that we replace.
pub(crate) struct Real<F> {
    address: AtomicPtr<c_void>,
    /// With a NUL at its end.
    symbol: &'static str,
    of: PhantomData<F>,
}

impl<F: Copy> Real<F> {
    pub(crate) const fn new(symbol: &'static str) -> Real<F> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        Real { address: AtomicPtr::new(ptr::null_mut()), symbol, of: PhantomData }
    }

    /// The function; looked up the first time.
    #[inline(always)]
    pub(crate) fn get(&self) -> F {
        let mut address = self.address.load(Ordering::Relaxed);
        if address.is_null() {
            address = self.find();
        }
        // SAFETY: `F` is the function pointer type of this symbol, as large as a pointer.
        unsafe { mem::transmute_copy(&address) }
    }

    #[cold]
    fn find(&self) -> *mut c_void {
        // SAFETY: the symbol ends with a NUL, and glibc has it.
        let address = unsafe { redhook::ld_preload::dlsym_next(self.symbol) };
        let address = address.cast_mut().cast::<c_void>();
        self.address.store(address, Ordering::Relaxed);
        address
    }
}

/// Declares where libc's own function is found: `NAME::REAL`.
macro_rules! real_function {
    ($name:ident($($type:ty),*) -> $result:ty) => {
        #[allow(non_snake_case, reason = "named as the symbol")]
        pub(crate) mod $name {
            #[allow(unused_imports, reason = "not every signature needs all")]
            use libc::*;
            /// libc's own.
            pub(crate) static REAL: $crate::hooks::Real<
                unsafe extern "C-unwind" fn($($type),*) -> $result,
            > = $crate::hooks::Real::new(concat!(stringify!($name), "\0"));
        }
    };
}

/// Defines hooks through which `pthread_cancel` may unwind. In the body, `NAME::REAL` is libc's.
macro_rules! cancellable {
    ($(fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $result:ty $body:block)*) => {$(
        real_function!($name($($type),*) -> $result);

        #[unsafe(no_mangle)]
        pub(crate) unsafe extern "C-unwind" fn $name($($arg: $type),*) -> $result $body
    )*};
}

pub(crate) mod accept;
pub(crate) mod descriptors;
pub(crate) mod io_uring;
pub(crate) mod ioctl;
pub(crate) mod lifecycle;
pub(crate) mod names;
pub(crate) mod options;
pub(crate) mod read;
pub(crate) mod syscall;
pub(crate) mod transfer;
pub(crate) mod write;

/// Looks up every symbol, so that no hook does in a signal handler or after fork.
pub(crate) fn warm_up() {
    accept::warm_up();
    descriptors::warm_up();
    ioctl::warm_up();
    lifecycle::warm_up();
    names::warm_up();
    options::warm_up();
    read::warm_up();
    syscall::warm_up();
    transfer::warm_up();
    write::warm_up();
}
