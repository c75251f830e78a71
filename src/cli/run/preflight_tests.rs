//! The checks on real files: what the machine has, and what cc makes.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("tcplab-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn refusal(path: &Path) -> Refusal {
    check(path.as_os_str()).unwrap_err()
}

#[test]
fn a_dynamic_program_is_found_in_path_and_accepted() {
    assert!(check(OsStr::new("true")).unwrap().ends_with("true"));
}

#[test]
fn a_command_that_is_not_there_ends_as_with_env() {
    assert_eq!(check(OsStr::new("no-such-command-tcplab")).unwrap_err().status, NOT_FOUND);
    assert_eq!(refusal(Path::new("/no/such")).status, NOT_FOUND);
    assert_eq!(refusal(Path::new("/etc/passwd")).status, NOT_EXECUTABLE);
    assert_eq!(refusal(Path::new("/etc")).status, NOT_EXECUTABLE);
}

#[test]
fn a_static_program_is_refused() {
    let directory = Directory::new("static");
    let source = directory.file("main.c", "int main(void) { return 0; }\n", 0o644);
    let program = directory.0.join("static");
    let cc = Command::new("cc").arg("-static").arg(&source).arg("-o").arg(&program).status();
    if !cc.is_ok_and(|status| status.success()) {
        eprintln!("NOTICE: cc -static does not work here: static programs are not tested");
        return;
    }
    let refusal = refusal(&program);
    assert_eq!(refusal.status, NOT_RUN);
    assert!(refusal.sentence.contains("statically linked"), "{}", refusal.sentence);
}

#[test]
fn a_script_is_judged_by_its_interpreter() {
    let directory = Directory::new("script");
    let good = directory.file("good", "#!/bin/sh\nexit 0\n", 0o755);
    assert_eq!(check(good.as_os_str()), Ok(good));
    let plain = directory.file("plain", "exit 0\n", 0o755);
    assert_eq!(check(plain.as_os_str()), Ok(plain));
    let bad = directory.file("bad", "#!/no/such/interpreter\n", 0o755);
    assert!(refusal(&bad).sentence.contains("needs an interpreter"));
    let ring = directory.0.join("ring");
    directory.file("ring", &format!("#!{}\n", ring.display()), 0o755);
    assert!(refusal(&ring).sentence.contains("more than 5"));
}

#[test]
fn env_in_a_script_is_looked_through() {
    let directory = Directory::new("env");
    let missing = directory.file("missing", "#!/usr/bin/env no-such-command-tcplab\n", 0o755);
    assert_eq!(refusal(&missing).status, NOT_FOUND);
    let words = |text: &str| env_target(OsStr::new(text));
    assert_eq!(words("python3"), Some("python3".into()));
    assert_eq!(words("-S A=1 python3 -u"), Some("python3".into()));
    assert_eq!(words("-i"), None);
}

#[test]
fn rights_gained_by_execution_are_refused_and_own_ones_are_not() {
    let file = |mode, capabilities| Rights { mode, uid: 0, gid: 7, capabilities };
    assert_eq!(file(0o755, false).gained_by(1000, 1000), None);
    assert!(file(0o4755, false).gained_by(1000, 1000).unwrap().contains("setuid"));
    assert_eq!(file(0o4755, false).gained_by(0, 7), None);
    assert!(file(0o2755, false).gained_by(1000, 1000).unwrap().contains("setgid"));
    // Without execution by the group the bit meant mandatory locking.
    assert_eq!(file(0o2745, false).gained_by(1000, 1000), None);
    assert!(file(0o755, true).gained_by(1000, 1000).unwrap().contains("capabilities"));
    assert_eq!(file(0o755, true).gained_by(0, 0), None);
}

#[test]
fn a_setuid_copy_of_another_user_is_refused() {
    let directory = Directory::new("setuid");
    let copy = directory.0.join("true");
    std::fs::copy("/bin/true", &copy).unwrap();
    let other = rustix::process::getuid().as_raw() + 1;
    if std::os::unix::fs::chown(&copy, Some(other), None).is_err() {
        eprintln!("NOTICE: only root can give a file away: setuid files are not tested");
        return;
    }
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o4755)).unwrap();
    let mount = statvfs(&copy).unwrap();
    if mount.f_flag.contains(StatVfsMountFlags::NOSUID) {
        assert!(check(copy.as_os_str()).is_ok());
    } else {
        assert!(refusal(&copy).sentence.contains("setuid"));
    }
}
