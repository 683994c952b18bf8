//! The rows, each with servers started afresh, their windows interleaved.

mod commands;
mod connect;
mod consume;
mod consumers;
mod contender;
mod counts;
mod https;
mod idle;
mod methods;
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
    /// The hub, a second build of it if one was named, then the brokers beside it.
    kinds: Vec<Kind>,
    /// The same builds, then the web servers beside them.
    web_kinds: Vec<Kind>,
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
        let mut web_kinds = kinds.clone();
        for peer in &arguments.peers {
            match peer.missing() {
                None if *peer == Kind::Nginx => web_kinds.push(peer.clone()),
                None => kinds.push(peer.clone()),
                Some(remedy) => println!("{peer} is left out: {remedy}"),
            }
        }
        let processors = std::thread::available_parallelism()?;
        println!("{processors} processors for servers and load together; {} windows of {:?} each", arguments.windows, arguments.window);
        Ok(Self { kinds, web_kinds, window: arguments.window, windows: arguments.windows })
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
            Row::Https => https::run(self),
            Row::Commands => commands::run(self),
            Row::Methods => methods::run(self),
        }
    }

    /// A directory for a row's servers, on the disk that builds go to.
    fn directory() -> anyhow::Result<TempDir> {
        Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
    }

    /// What speaks MQTT.
    fn start_all(&self, directory: &TempDir) -> anyhow::Result<Vec<Server>> {
        start(self.kinds.iter(), directory)
    }

    /// What speaks HTTPS.
    fn start_web(&self, directory: &TempDir) -> anyhow::Result<Vec<Server>> {
        start(self.web_kinds.iter(), directory)
    }

    /// The hub alone, in every build.
    fn start_hubs(&self, directory: &TempDir) -> anyhow::Result<Vec<Server>> {
        start(self.kinds.iter().filter(|kind| matches!(kind, Kind::Isthmus { .. })), directory)
    }
}

fn start<'a>(kinds: impl Iterator<Item = &'a Kind>, directory: &TempDir) -> anyhow::Result<Vec<Server>> {
    kinds.map(|kind| Server::start(kind.clone(), &directory.path().join(kind.to_string()))).collect()
}
