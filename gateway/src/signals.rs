//! Signals: SIGTERM and SIGINT stop the hub, and hurry one that stops; SIGHUP has it look at its
//! certificate again.

use std::fs::{self, File};
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// What the process is told from outside.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Caught for its default not to end the process: a write beyond the limit on file sizes is
    /// to fail as one on a full disk does.
    _file_size: Signal,
    looks: Arc<Notify>,
    /// Whether the process is to end with the terminal it was started in, which SIGHUP says, too.
    ends_with_terminal: bool,
}

impl Signals {
    /// From here on signals are received.
    ///
    /// # Errors
    /// When the system refuses.
    pub(crate) fn listen() -> std::io::Result<Self> {
        // To be looked at before the signal is received.
        let ends_with_terminal = has_terminal() && !ignores_hangups();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
            looks: Arc::default(),
            ends_with_terminal,
        })
    }

    /// Notified when the certificate is to be looked at, as long as somebody waits in
    /// [`Signals::stop`].
    pub(crate) fn looks(&self) -> Arc<Notify> {
        Arc::clone(&self.looks)
    }

    /// The name of the signal to stop.
    pub(crate) async fn stop(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => {
                    if self.ends_with_terminal && !has_terminal() {
                        return "SIGHUP";
                    }
                    self.looks.notify_one();
                }
            }
        }
    }

    /// The name of the next signal to end what is still under way once the hub stops. SIGHUP is none:
    /// a terminal that is closed often sends it twice, once by its shell and once by the system.
    pub(crate) async fn hurry(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Whether there is a terminal that the process belongs to, be its streams what they may.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Whether whoever started the process, as `nohup` does, wants it to outlive its terminal.
fn ignores_hangups() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // A bit a signal, the lowest being signal 1, which SIGHUP is.
    ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).is_some_and(|bits| bits & 1 == 1)
}
