//! From a return address in a process to a place in its source: `serve (server.c:41)`.
//!
//! `/proc/PID/maps` tells which file the address belongs to and where in it, the file's program
//! headers the address as its debug information counts, that (or else the symbols) the rest.
//! Debug information that a distribution keeps in files of its own is not looked for.

use core::fmt;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use addr2line::Loader;
use serde::Serialize;

use crate::cli::run::elf::Elf;

/// Where in a program a call was made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(in crate::cli) struct Site {
    /// The executable file or library.
    pub(in crate::cli) module: String,
    /// Offset in that file of where the call returns to.
    pub(in crate::cli) offset: u64,
    /// Function that made the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) function: Option<String>,
    /// Source file, where there is debug information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) file: Option<String>,
    /// Line in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) line: Option<u32>,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Site { module, offset, function, file, line } = self;
        let place = match (file, line) {
            (Some(file), Some(line)) => format!("{}:{line}", base_name(file)),
            (Some(file), None) => base_name(file).to_owned(),
            (None, _) => format!("{}+{offset:#x}", base_name(module)),
        };
        match function {
            Some(function) => write!(f, "{function} ({place})"),
            None => f.write_str(&place),
        }
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A part of a file in the memory of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
    path: String,
}

/// Finds sites, and keeps what it has read of processes and files.
#[derive(Default)]
pub(in crate::cli) struct Sites {
    maps: HashMap<u32, Vec<Mapping>>,
    modules: HashMap<PathBuf, Option<Module>>,
}

struct Module {
    elf: Elf,
    /// `None` for a file that says too little of itself.
    symbols: Option<Loader>,
}

impl Sites {
    /// The place to which `address` of process `pid` returns; `None` where the process is gone or
    /// may not be looked at.
    pub(in crate::cli) fn find(&mut self, pid: u32, address: u64) -> Option<Site> {
        let maps = self.maps.entry(pid).or_insert_with(|| {
            let text = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
            String::from_utf8_lossy(&text).lines().filter_map(mapping).collect()
        });
        let mapping = maps.iter().find(|m| (m.start..m.end).contains(&address))?.clone();
        let offset = address - mapping.start + mapping.offset;
        let path = readable_path(pid, &mapping.path);
        let module = self.modules.entry(path.clone()).or_insert_with(|| load(&path));
        let mut site =
            Site { module: mapping.path, offset, function: None, file: None, line: None };
        if let Some(module) = module {
            module.describe(&mut site);
        }
        Some(site)
    }
}

impl Module {
    fn describe(&self, site: &mut Site) {
        // The instruction before the one that is returned to made the call.
        let call = site.offset.checked_sub(1).and_then(|offset| self.elf.address_of(offset));
        let (Some(symbols), Some(call)) = (&self.symbols, call) else { return };
        let frame = symbols.find_frames(call).ok().and_then(|mut frames| frames.next().ok()?);
        if let Some(frame) = frame {
            site.function = frame
                .function
                .and_then(|function| function.demangle().ok().map(|name| name.into_owned()));
            if let Some(location) = frame.location {
                site.file = location.file.map(str::to_owned);
                site.line = location.line;
            }
        }
        if site.function.is_none() {
            let symbol = symbols.find_symbol(call);
            site.function = symbol.map(|name| addr2line::demangle_auto(name.into(), None).into());
        }
    }
}

fn load(path: &Path) -> Option<Module> {
    let elf = Elf::read(&File::open(path).ok()?).ok()??;
    Some(Module { elf, symbols: Loader::new(path).ok() })
}

/// The file as this process finds it: the program itself even where it was deleted or replaced,
/// others in the process's own root directory.
fn readable_path(pid: u32, path: &str) -> PathBuf {
    let program = PathBuf::from(format!("/proc/{pid}/exe"));
    if fs::read_link(&program).is_ok_and(|target| target.as_os_str() == path) {
        return program;
    }
    PathBuf::from(format!("/proc/{pid}/root{path}"))
}

/// One line of `/proc/PID/maps`: `start-end perms offset device inode path`.
fn mapping(line: &str) -> Option<Mapping> {
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let number = |hex: &str| u64::from_str_radix(hex, 16).ok();
    let offset = number(words.nth(1)?)?;
    let path = words.nth(2)?.trim_start();
    path.starts_with('/').then(|| {
        Some(Mapping { start: number(start)?, end: number(end)?, offset, path: path.to_owned() })
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_maps_are_read() {
        let line = "7f01a000-7f01b000 r-xp 00002000 08:01 77                 /usr/lib/a b.so";
        let expected = Mapping {
            start: 0x7f01_a000,
            end: 0x7f01_b000,
            offset: 0x2000,
            path: "/usr/lib/a b.so".to_owned(),
        };
        assert_eq!(mapping(line), Some(expected));
        for none in ["7f-80 rw-p 0 00:00 0 ", "7f-80 rw-p 0 00:00 0 [stack]", "", "x"] {
            assert_eq!(mapping(none), None, "{none}");
        }
    }

    #[test]
    fn an_address_of_this_program_is_found_with_its_line() {
        let address = lines_of_maps_are_read as fn() as usize as u64;
        let site = Sites::default().find(std::process::id(), address + 1).unwrap();
        assert!(site.function.as_deref().unwrap_or_default().contains("lines_of_maps"), "{site:?}");
        assert!(site.file.as_deref().unwrap_or_default().ends_with("site.rs"), "{site:?}");
        assert!(site.line.is_some());
        assert!(site.to_string().contains("(site.rs:"), "{site}");
    }

    #[test]
    fn a_place_without_debug_information_is_told_by_its_offset() {
        let mut site = Site {
            module: "/usr/bin/server".to_owned(),
            offset: 0x1234,
            function: None,
            file: None,
            line: None,
        };
        assert_eq!(site.to_string(), "server+0x1234");
        site.function = Some("serve".to_owned());
        assert_eq!(site.to_string(), "serve (server+0x1234)");
    }

    #[test]
    fn nothing_is_found_of_a_process_that_is_gone() {
        assert_eq!(Sites::default().find(u32::MAX, 0x1000), None);
    }
}
