//! A server's process, and what the system says of it in `/proc`.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// How long a server may take to start, or to stop when told to.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process of ours; ended when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts `program`; what it writes goes to the file `log`.
    ///
    /// # Errors
    /// When it is not there or may not be run.
    pub(crate) fn start<A: AsRef<OsStr>>(program: &Path, arguments: &[A], log: &Path) -> anyhow::Result<Self> {
        let output = fs::File::create(log)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("{} cannot be started", program.display()))?;
        Ok(Self { child })
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks `is_up` until it says yes.
    ///
    /// # Errors
    /// When the process has ended, or is not up in time.
    pub(crate) fn wait_until(&mut self, mut is_up: impl FnMut() -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !is_up() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended: {status}");
            }
            if begun.elapsed() > PATIENCE {
                bail!("the server is not up after {} s", PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Sends `signal` and waits for the end.
    pub(crate) fn end(&mut self, signal: Signal) {
        // It may have ended by itself.
        if let Some(pid) = i32::try_from(self.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(Signal::TERM);
    }
}

/// Processor time used so far by all threads of process `id`, or by one thread of it.
///
/// # Errors
/// When there is no such process.
pub(crate) fn processor_time(id: u32, thread: Option<u32>) -> anyhow::Result<Duration> {
    let path = match thread {
        None => format!("/proc/{id}/stat"),
        Some(thread) => format!("/proc/{id}/task/{thread}/stat"),
    };
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    // The name in parentheses may hold anything; fields are counted after it.
    let (_, fields) = text.rsplit_once(')').with_context(|| path.clone())?;
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    // USER_HZ is 100 on every Linux that Rust supports.
    Ok(Duration::from_millis(ticks * 10))
}

/// Processor time of each thread of a process, by the thread's name, largest first.
///
/// # Errors
/// When there is no such process.
pub(crate) fn thread_times(id: u32) -> anyhow::Result<Vec<(String, Duration)>> {
    let mut times: Vec<(String, Duration)> = Vec::new();
    for entry in fs::read_dir(format!("/proc/{id}/task"))? {
        let path = entry?.path();
        let thread = path.file_name().and_then(OsStr::to_str).and_then(|name| name.parse().ok());
        // A thread may end while we look.
        let (Some(thread), Ok(name)) = (thread, fs::read_to_string(path.join("comm"))) else { continue };
        let Ok(time) = processor_time(id, Some(thread)) else { continue };
        match times.iter_mut().find(|(known, _)| known == name.trim()) {
            Some((_, sum)) => *sum += time,
            None => times.push((name.trim().to_owned(), time)),
        }
    }
    times.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    Ok(times)
}

/// The number behind `name:` in `/proc/ID/FILE`: `VmRSS` (kB) of `status`, `write_bytes` of `io`.
///
/// # Errors
/// When there is no such process or field.
pub(crate) fn field(id: u32, file: &str, name: &str) -> anyhow::Result<u64> {
    let path = format!("/proc/{id}/{file}");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.with_context(|| format!("{name} in {path}"))
}

/// Thousands of sockets in one process need more than the usual limit; servers inherit it.
///
/// # Errors
/// When the system refuses what it allows.
pub(crate) fn raise_descriptor_limit() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(())
}
