//! The rows, each with servers started afresh, their windows interleaved.

mod connect;
mod consume;
mod consumers;
mod counts;
mod idle;
mod publish;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use tempfile::TempDir;

use crate::arguments::{Arguments, Row};
use crate::server::{Kind, Server};

/// How long a server is under load before a window begins.
const WARM_UP: Duration = Duration::from_millis(700);

/// What all rows need.
pub(crate) struct Bench {
    /// The hub, a second build of it if one was named, then the peers.
    kinds: Vec<Kind>,
    window: Duration,
    windows: usize,
}

impl Bench {
    /// Finds out which servers are there, and says which are not.
    ///
    /// # Errors
    /// When the hub is not.
    pub(crate) fn prepare(arguments: &Arguments) -> anyhow::Result<Self> {
        let hub = |binaries: &PathBuf, name| Kind::Isthmus { binaries: binaries.clone(), name };
        let mut kinds = vec![hub(&arguments.binaries, "isthmus")];
        kinds.extend(arguments.baseline.as_ref().map(|binaries| hub(binaries, "baseline")));
        for kind in &kinds {
            ensure!(kind.missing().is_none(), "{}", kind.missing().unwrap_or_default());
        }
        for peer in &arguments.peers {
            match peer.missing() {
                None => kinds.push(peer.clone()),
                Some(remedy) => println!("{peer} is left out: {remedy}"),
            }
        }
        let processors = std::thread::available_parallelism()?;
        println!("{processors} processors for servers and load together; {} windows of {:?} each", arguments.windows, arguments.window);
        Ok(Self { kinds, window: arguments.window, windows: arguments.windows })
    }

    /// Measures `row` and prints what was seen.
    ///
    /// # Errors
    /// When a server does not start, or ends.
    pub(crate) fn run(&self, row: Row) -> anyhow::Result<()> {
        match row {
            Row::Batched => publish::batched(self),
            Row::Unbatched => publish::unbatched(self),
            Row::Single => publish::single(self),
            Row::Connect => connect::run(self),
            Row::Idle => idle::run(self),
            Row::Counts => counts::run(self),
            Row::Consume => consume::run(self),
            Row::Consumers => consumers::run(self),
        }
    }

    /// A directory for a row's servers, on the disk that builds go to.
    fn directory() -> anyhow::Result<TempDir> {
        Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
    }

    fn start_all(&self, directory: &TempDir) -> anyhow::Result<Vec<Server>> {
        self.kinds.iter().map(|kind| Server::start(kind.clone(), &directory.path().join(kind.to_string()))).collect()
    }
}
