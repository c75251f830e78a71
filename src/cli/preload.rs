//! Where `libtcplab_preload.so` is, and a path to it that `LD_PRELOAD` can carry.

use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Failure;

/// File name of the shim.
pub(super) const FILE_NAME: &str = "libtcplab_preload.so";
/// Environment variable that names the shim where it is not beside the command.
const PRELOAD_VARIABLE: &str = "TCPLAB_PRELOAD";
const LD_PRELOAD: &str = "LD_PRELOAD";

/// The shim that belongs to `program` (the `tcplab` command).
pub(super) fn find(program: &Path) -> Result<PathBuf, Failure> {
    if let Some(named) = std::env::var_os(PRELOAD_VARIABLE) {
        let path = PathBuf::from(named);
        return std::path::absolute(&path).ok().filter(|path| path.is_file()).ok_or_else(|| {
            Failure::new(format!(
                "{PRELOAD_VARIABLE} names '{}', which is not a file; set it to {FILE_NAME}",
                path.display()
            ))
        });
    }
    let directory = program.parent().unwrap_or(Path::new("/"));
    // cargo leaves the newest in deps/ after `cargo test`, and beside the command after
    // `cargo build`; an installed one is in ../lib.
    let places = [directory.to_owned(), directory.join("deps"), directory.join("../lib")];
    newest(places.iter().map(|place| place.join(FILE_NAME))).ok_or_else(|| {
        Failure::new(format!(
            "{FILE_NAME} is not beside {} nor in ../lib; build it (`cargo build`) or name it in \
             {PRELOAD_VARIABLE}",
            program.display()
        ))
    })
}

fn newest(candidates: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let mut best: Option<(SystemTime, PathBuf)> = None;
    for path in candidates {
        let Ok(modified) = path.metadata().and_then(|m| m.modified()) else { continue };
        if best.as_ref().is_none_or(|(time, _)| modified > *time) {
            best = Some((modified, path));
        }
    }
    best.map(|(_, path)| path)
}

/// The value of `LD_PRELOAD` with the shim before what is there already.
pub(super) fn variable(shim: &Path) -> Result<OsString, Failure> {
    let mut value = plain_path(shim)?.into_os_string();
    let before = std::env::var_os(LD_PRELOAD).unwrap_or_default();
    for other in before.as_bytes().split(|b| b" :".contains(b)) {
        // A run inside a run must not load two shims.
        if !other.is_empty() && !other.ends_with(FILE_NAME.as_bytes()) {
            value.push(":");
            value.push(OsStr::from_bytes(other));
        }
    }
    Ok(value)
}

/// The loader splits at spaces and colons and knows no escape: such a path is reached through a
/// link. The link stays, since programs may exec later; it is one for each path.
fn plain_path(shim: &Path) -> Result<PathBuf, Failure> {
    let splits = |path: &Path| path.as_os_str().as_bytes().iter().any(|b| b" :\t\n".contains(b));
    if !splits(shim) {
        return Ok(shim.to_owned());
    }
    let cannot = |e: std::io::Error| {
        Failure::new(format!(
            "the loader cannot take '{}' with its space or colon, and no link to it could be made \
             ({e}); move it, or name a copy in {PRELOAD_VARIABLE}",
            shim.display()
        ))
    };
    let directory = private_directory().map_err(cannot)?;
    let mut hasher = DefaultHasher::new();
    shim.hash(&mut hasher);
    let link = directory.join(format!("{:016x}-{FILE_NAME}", hasher.finish()));
    match std::os::unix::fs::symlink(shim, &link) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(cannot(e)),
        _ => Ok(link),
    }
}

/// A directory of this user that no other user can write to.
fn private_directory() -> std::io::Result<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let directory = PathBuf::from(format!("/tmp/tcplab-{uid}"));
    match std::fs::DirBuilder::new().mode(0o755).create(&directory) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(e),
        _ => {}
    }
    let found = std::fs::symlink_metadata(&directory)?;
    if !found.is_dir() || found.uid() != uid || found.mode() & 0o022 != 0 {
        return Err(std::io::Error::other(format!(
            "{} is not a directory that only you can write to",
            directory.display()
        )));
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_space_is_reached_through_a_link() {
        let shim = std::env::temp_dir().join(format!("tcplab a:b {}", std::process::id()));
        std::fs::write(&shim, b"x").unwrap();
        let link = plain_path(&shim).unwrap();
        assert!(!link.as_os_str().as_bytes().iter().any(|b| b" :".contains(b)));
        assert_eq!(std::fs::read(&link).unwrap(), b"x");
        assert_eq!(plain_path(&shim).unwrap(), link);
        std::fs::remove_file(&link).unwrap();
        std::fs::remove_file(&shim).unwrap();
    }

    #[test]
    fn of_several_builds_the_newest_is_taken() {
        let directory = std::env::temp_dir().join(format!("tcplab-newest-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let [old, new, missing] = ["old", "new", "missing"].map(|name| directory.join(name));
        std::fs::write(&old, b"").unwrap();
        let file = std::fs::File::create(&new).unwrap();
        file.set_modified(SystemTime::now() + core::time::Duration::from_secs(9)).unwrap();
        assert_eq!(newest([missing.clone(), new.clone(), old].into_iter()), Some(new));
        assert_eq!(newest([missing].into_iter()), None);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
