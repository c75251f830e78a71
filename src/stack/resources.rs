//! What the stack may use of the machine. It serves a whole session, so it must not go by the soft
//! limits, the processors and the scheduling policy of the program that happened to start it: the
//! hard limits rule, which are an administrator's word.
//!
//! Deliberately not the nice value, which is raised by anybody and lowered by root only, nor the
//! size of core files, which does not bound what the stack can do.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Limits that a stack can run into.
const LIMITS: [Resource; 7] = [
    Resource::Cpu,
    Resource::Fsize,
    Resource::Data,
    Resource::Stack,
    Resource::Nofile,
    Resource::Memlock,
    Resource::As,
];

/// Fewer descriptors than this are told in the log: each open socket of a program takes one.
const FEW_DESCRIPTORS: u64 = 4096;

/// Frees this process of what its starter gave itself. What the system refuses stays as it is.
pub(super) fn leave_the_starters() {
    for resource in LIMITS {
        let maximum = getrlimit(resource).maximum;
        let _ = setrlimit(resource, Rlimit { current: maximum, maximum });
    }
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|processor| all.set(processor));
    let _ = sched_setaffinity(None, &all);
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads the parameters, which outlive the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const parameters) };
    tell_low_limits();
}

fn tell_low_limits() {
    if let Some(descriptors) = getrlimit(Resource::Nofile).current
        && descriptors < FEW_DESCRIPTORS
    {
        tracing::warn!(
            descriptors,
            "few descriptors (see `ulimit -H -n`): each open socket takes one"
        );
    }
    if let Some(seconds) = getrlimit(Resource::Cpu).current {
        tracing::warn!(
            seconds,
            "the kernel ends this stack after so much processor time (see `ulimit -H -t`)"
        );
    }
}
