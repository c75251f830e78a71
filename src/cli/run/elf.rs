//! What an executable file says of itself: whether a library can be preloaded into it (word size,
//! machine, program interpreter, Go), and where its parts are in memory.
//!
//! System V ABI, chapters "ELF Header" and "Program Header". It deliberately reads no sections:
//! the loader reads none either, and a stripped file has none.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
/// Type of the note with which the Go linker signs (`cmd/link`, "Go build ID").
const NT_GO_BUILD_ID: u32 = 4;
/// Longest interpreter path or note segment that is looked at.
const MAX_SEGMENT: u64 = 4096;
/// Most program headers that are looked at (a file with more uses an extension nobody uses).
const MAX_HEADERS: u16 = 256;

/// An executable file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::cli) struct Elf {
    /// Octet 4 (`EI_CLASS`) and 5 (`EI_DATA`) and `e_machine`: what must be equal for two files
    /// to run in one process.
    pub(super) kind: Kind,
    /// Path in `PT_INTERP`; `None` for a statically linked program.
    pub(super) interpreter: Option<String>,
    /// Linked by the Go tool chain.
    pub(super) go: bool,
    /// What is loaded into memory.
    loads: Vec<Load>,
}

/// A part of the file that is loaded into memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Load {
    offset: u64,
    len: u64,
    /// Where the file wants it.
    address: u64,
}

/// Word size, octet order, machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Kind {
    wide: bool,
    big_endian: bool,
    machine: u16,
}

impl core::fmt::Display for Kind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match (self.machine, self.wide) {
            (3, _) => f.write_str("32-bit x86"),
            (62, true) => f.write_str("x86-64"),
            (62, false) => f.write_str("x32"),
            (40, _) => f.write_str("32-bit ARM"),
            (183, _) => f.write_str("AArch64"),
            (243, true) => f.write_str("64-bit RISC-V"),
            (machine, wide) => {
                write!(f, "{}-bit machine {machine}", if wide { 64 } else { 32 })
            }
        }
    }
}

impl Elf {
    /// Reads the headers of `file`; `None` where it is not an ELF file.
    pub(in crate::cli) fn read(file: &File) -> io::Result<Option<Elf>> {
        let mut head = [0; 64];
        let len = read_up_to(file, &mut head, 0)?;
        if len < 52 || !head.starts_with(b"\x7fELF") {
            return Ok(None);
        }
        let (wide, big_endian) = (head[4] == 2, head[5] == 2);
        let field = Fields { bytes: &head, big_endian };
        let kind = Kind { wide, big_endian, machine: field.u16(18) };
        let mut elf = Elf { kind, interpreter: None, go: false, loads: Vec::new() };
        let (table_at, entry_len, entries) = if wide {
            (field.u64(32), field.u16(54), field.u16(56))
        } else {
            (u64::from(field.u32(28)), field.u16(42), field.u16(44))
        };
        for index in 0..entries.min(MAX_HEADERS) {
            let mut entry = [0; 56];
            let at = table_at.saturating_add(u64::from(index) * u64::from(entry_len));
            if read_up_to(file, &mut entry, at)? < 32 {
                break;
            }
            elf.take_header(file, &Fields { bytes: &entry, big_endian })?;
        }
        Ok(Some(elf))
    }

    /// The address, as the file (and its debug information) counts them, of what is at `offset` in
    /// the file; `None` for what is not loaded.
    pub(in crate::cli) fn address_of(&self, offset: u64) -> Option<u64> {
        let load = self
            .loads
            .iter()
            .find(|load| offset.checked_sub(load.offset).is_some_and(|within| within < load.len))?;
        load.address.checked_add(offset - load.offset)
    }

    fn take_header(&mut self, file: &File, header: &Fields<'_>) -> io::Result<()> {
        let (at, len) = if self.kind.wide {
            (header.u64(8), header.u64(32))
        } else {
            (u64::from(header.u32(4)), u64::from(header.u32(16)))
        };
        let kind = header.u32(0);
        if kind == PT_LOAD {
            let address = if self.kind.wide { header.u64(16) } else { u64::from(header.u32(8)) };
            self.loads.push(Load { offset: at, len, address });
        }
        if kind != PT_INTERP && kind != PT_NOTE {
            return Ok(());
        }
        let mut segment = vec![0; len.min(MAX_SEGMENT) as usize];
        let read = read_up_to(file, &mut segment, at)?;
        segment.truncate(read);
        if kind == PT_INTERP {
            let path = segment.split(|&b| b == 0).next().unwrap_or_default();
            self.interpreter = Some(String::from_utf8_lossy(path).into_owned());
        } else {
            self.go |= has_go_note(&Fields { bytes: &segment, big_endian: header.big_endian });
        }
        Ok(())
    }
}

/// Notes are (name length, descriptor length, type, name, descriptor), each padded to 4 octets.
fn has_go_note(notes: &Fields<'_>) -> bool {
    let mut at = 0usize;
    while at + 12 <= notes.bytes.len() {
        let (name_len, text_len) = (notes.u32(at) as usize, notes.u32(at + 4) as usize);
        let name = notes.bytes.get(at + 12..at + 16);
        if notes.u32(at + 8) == NT_GO_BUILD_ID && name_len == 4 && name == Some(b"Go\0\0") {
            return true;
        }
        at += 12 + name_len.next_multiple_of(4) + text_len.next_multiple_of(4);
    }
    false
}

/// Numbers of a header in the file's octet order; 0 beyond its end.
struct Fields<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Fields<'_> {
    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let found = self.bytes.get(at..at + N).and_then(|bytes| bytes.try_into().ok());
        let mut bytes: [u8; N] = found.unwrap_or([0; N]);
        if self.big_endian {
            bytes.reverse();
        }
        bytes
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.array(at))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.array(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
}

fn read_up_to(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read_at(&mut buffer[len..], at.saturating_add(len as u64)) {
            Ok(0) => break,
            // An offset that no file can have is beyond the end of this one, too.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => break,
            Ok(more) => len += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<Elf> {
        Elf::read(&File::open(path).unwrap()).unwrap()
    }

    #[test]
    fn a_native_program_names_its_interpreter() {
        let elf = read("/bin/true").unwrap();
        let own = read("/proc/self/exe").unwrap();
        assert_eq!(elf.kind, own.kind);
        assert!(elf.interpreter.unwrap().contains("ld"));
        assert!(!elf.go);
    }

    #[test]
    fn what_is_loaded_has_an_address() {
        let elf = read("/proc/self/exe").unwrap();
        let first = elf.loads[0];
        assert_eq!(elf.address_of(first.offset), Some(first.address));
        assert_eq!(elf.address_of(u64::MAX), None);
    }

    #[test]
    fn a_script_is_no_elf_file() {
        assert_eq!(read("/etc/passwd"), None);
    }

    #[test]
    fn a_go_build_id_is_found_behind_other_notes() {
        let note = |name: &[u8; 4], kind: u32, text: &[u8]| {
            let mut bytes = Vec::new();
            for number in [4, text.len() as u32, kind] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(text);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let gnu = note(b"GNU\0", 3, b"12345");
        let go = note(b"Go\0\0", NT_GO_BUILD_ID, b"abc");
        let found = |bytes: &[u8]| has_go_note(&Fields { bytes, big_endian: false });
        assert!(!found(&gnu));
        assert!(found(&[gnu, go].concat()));
        assert!(!found(&[0xff; 40]));
    }

    #[test]
    fn octets_that_only_begin_like_a_program_do_no_harm() {
        let path = std::env::temp_dir().join(format!("tcplab-elf-{}", std::process::id()));
        let mut bytes = vec![0xff; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        std::fs::write(&path, &bytes).unwrap();
        let elf = read(path.to_str().unwrap()).unwrap();
        assert_eq!(elf.interpreter, None);
        std::fs::remove_file(&path).unwrap();
    }
}
