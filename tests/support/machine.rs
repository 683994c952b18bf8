//! What the machine offers beyond plain processes: tracing, loop mounts, small file systems.
//!
//! A test that needs what is not there says so and passes, except in CI, where it fails: a
//! promise that is not checked there is not checked at all.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// Whether to go on: false when something is `missing`, which fails the test in CI.
pub(crate) fn offers(missing: Option<String>) -> bool {
    let Some(missing) = missing else { return true };
    let in_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    assert!(!in_ci, "this test must run in CI, and cannot: {missing}");
    eprintln!("skipped: {missing}");
    false
}

/// Whether a program can be run that tells its version.
pub(crate) fn is_installed(program: &str) -> bool {
    run(program, ["-V"]).is_ok()
}

/// What stands in the way of injecting faults into system calls.
pub(crate) fn missing_for_injection() -> Option<String> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    let probe = || match run("strace", ["-f", "-e", "inject=fdatasync:error=EIO", "true"]) {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("strace cannot trace here: {}", text(&output.stderr))),
        Err(error) => Some(format!("strace cannot be run: {error}")),
    };
    MISSING.get_or_init(probe).clone()
}

/// What stands in the way of injecting faults into a process that runs.
pub(crate) fn missing_for_attaching() -> Option<String> {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let is_root = run("id", ["-u"]).is_ok_and(|output| output.stdout == b"0\n");
    let forbidden = !is_root && !matches!(scope.trim(), "" | "0");
    let reason = || "only root may trace a process that runs (kernel.yama.ptrace_scope)".to_owned();
    missing_for_injection().or_else(|| forbidden.then(reason))
}

/// A command that runs what follows it, and does `injection` to the system calls it names.
pub(crate) fn injecting(injection: &str) -> Vec<OsString> {
    let (calls, _) = injection.split_once(':').expect("CALLS:WHAT");
    let trace = format!("trace={calls}");
    let inject = format!("inject={injection}");
    // -D: the traced process is the child, so its end and its signals are the hub's own.
    ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", &trace, "-e", &inject].map(OsString::from).into()
}

/// A file system that lies in a file and can be cut off from its disk.
pub(crate) struct LoopMount {
    mount: Mount,
    kind: &'static str,
    image: PathBuf,
}

/// A mounted directory, unmounted when dropped.
struct Mount {
    point: TempDir,
    mounted: bool,
}

impl LoopMount {
    /// What stands in the way of a loop mount of this kind.
    pub(crate) fn missing(kind: &'static str) -> Option<String> {
        if !is_installed("xfs_io") {
            return Some("xfs_io is not installed".into());
        }
        if !is_installed(&format!("mkfs.{kind}")) {
            return Some(format!("mkfs.{kind} is not installed"));
        }
        let scratch = tempfile::tempdir().expect("a directory");
        Self::try_new(scratch.path(), kind).err()
    }

    /// A new file system whose image lies in `scratch`.
    pub(crate) fn new(scratch: &Path, kind: &'static str) -> Self {
        Self::try_new(scratch, kind).expect("a loop mount")
    }

    fn try_new(scratch: &Path, kind: &'static str) -> Result<Self, String> {
        let image = scratch.join("image");
        let file = std::fs::File::create(&image).map_err(|error| error.to_string())?;
        // The smallest that xfs accepts; it has holes until it is written to.
        file.set_len(320 << 20).map_err(|error| error.to_string())?;
        let quiet = if kind == "xfs" { "-q" } else { "-qF" };
        command(&format!("mkfs.{kind}"), [quiet.as_ref(), image.as_os_str()])?;
        let mut this = Self { mount: Mount::new(), kind, image };
        this.mount()?;
        Ok(this)
    }

    fn mount(&mut self) -> Result<(), String> {
        let options = if self.kind == "xfs" { "loop,nouuid" } else { "loop" };
        self.mount.mount(&["-t".as_ref(), self.kind.as_ref(), "-o".as_ref(), options.as_ref(), self.image.as_os_str()])
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        self.mount.point.path()
    }

    /// Cuts the power: what is not on disk now never will be.
    pub(crate) fn cut_power(&self) {
        command("xfs_io", ["-x".as_ref(), "-c".as_ref(), "shutdown".as_ref(), self.path().as_os_str()]).expect("a shutdown");
    }

    /// Unmounts and mounts again, as after a start of the machine.
    pub(crate) fn start_again(&mut self) {
        self.mount.unmount();
        self.mount().expect("a file system that recovers");
    }
}

/// A file system of a few megabytes in memory.
pub(crate) struct SmallDisk(Mount);

impl SmallDisk {
    /// What stands in the way of one.
    pub(crate) fn missing() -> Option<String> {
        Self::try_new(1).err()
    }

    /// One of `mebibytes`.
    pub(crate) fn new(mebibytes: u32) -> Self {
        Self::try_new(mebibytes).expect("a file system in memory")
    }

    fn try_new(mebibytes: u32) -> Result<Self, String> {
        let mut mount = Mount::new();
        let size = format!("size={mebibytes}m");
        mount.mount(&["-t", "tmpfs", "-o", &size, "tmpfs"].map(AsRef::as_ref))?;
        Ok(Self(mount))
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> &Path {
        self.0.point.path()
    }
}

impl Mount {
    fn new() -> Self {
        Self { point: tempfile::tempdir().expect("a directory"), mounted: false }
    }

    fn mount(&mut self, arguments: &[&OsStr]) -> Result<(), String> {
        let point = self.point.path().to_owned();
        command("mount", arguments.iter().copied().chain([point.as_os_str()]))?;
        self.mounted = true;
        Ok(())
    }

    fn unmount(&mut self) {
        if std::mem::take(&mut self.mounted) {
            // Whoever had files open is gone; the kernel may take a moment to notice.
            super::deadline::wait_for("an unmount", super::deadline::SOON, || command("umount", [self.point.path().as_os_str()]).ok());
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.mounted {
            let _ = command("umount", ["-l".as_ref(), self.point.path().as_os_str()]);
        }
    }
}

fn command<'a>(program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<(), String> {
    let output = run(program, arguments).map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", text(&output.stderr).trim())) }
}

fn run<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> std::io::Result<Output> {
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new(program).args(arguments).env("PATH", format!("{path}:/usr/sbin:/sbin")).stdin(Stdio::null()).output()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
