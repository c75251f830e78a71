//! What stays different from the kernel, and why. A case listed here must differ: one that has
//! become equal fails until its line is removed.

/// Case (`file::case`) and reason.
pub(crate) const DIFFERENCES: &[(&str, &str)] = &[];
