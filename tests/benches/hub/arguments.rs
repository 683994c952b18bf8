//! The command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::server::Kind;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// 1: 20 connections with 64 messages in flight each.
    Batched,
    /// 2: 100 connections with one message in flight each.
    Unbatched,
    /// 3: one device, one message in flight.
    Single,
    /// 4: what a connect costs the server.
    Connect,
    /// 5: what an idle connection holds.
    Idle,
    /// System calls, syncs and bytes per message of the loads of rows 1 and 2.
    Counts,
    /// From PUBLISH to a Kafka consumer, and catching up.
    Consume,
    /// The memory of Kafka consumers that wait or never read.
    Consumers,
    /// Telemetry over HTTPS.
    Https,
    /// Commands to devices on MQTT.
    Commands,
    /// Direct methods of devices on MQTT.
    Methods,
}

impl Row {
    const ALL: [(&'static str, &'static str, Self); 11] = [
        ("1", "batched", Self::Batched),
        ("2", "unbatched", Self::Unbatched),
        ("3", "single", Self::Single),
        ("4", "connect", Self::Connect),
        ("5", "idle", Self::Idle),
        ("counts", "counts", Self::Counts),
        ("consume", "consume", Self::Consume),
        ("consumers", "consumers", Self::Consumers),
        ("https", "https", Self::Https),
        ("commands", "commands", Self::Commands),
        ("methods", "methods", Self::Methods),
    ];

    fn words() -> String {
        Self::ALL.map(|(_, word, _)| word).join(", ")
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(number, word, _)| name == *number || name == *word).map(|(.., row)| *row)
    }
}

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// What to measure, in this order.
    pub(crate) rows: Vec<Row>,
    /// One measured window.
    pub(crate) window: Duration,
    /// Windows of each server.
    pub(crate) windows: usize,
    /// What to compare with.
    pub(crate) peers: Vec<Kind>,
    /// Where `isthmus` lies.
    pub(crate) binaries: PathBuf,
    /// A second build of the hub to compare with, if any.
    pub(crate) baseline: Option<PathBuf>,
}

impl Arguments {
    /// Reads the arguments that follow the program's name.
    ///
    /// # Errors
    /// When an argument is unknown or lacks its value.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut parsed = Self {
            rows: Vec::new(),
            window: Duration::from_secs(4),
            windows: 5,
            peers: vec![Kind::Mosquitto, Kind::Rumqttd, Kind::Nginx],
            binaries: root.join("target/release"),
            baseline: None,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                // Cargo adds it.
                "--bench" => {}
                "--seconds" => parsed.window = Duration::try_from_secs_f64(value()?.parse()?)?,
                "--windows" => parsed.windows = value()?.parse::<usize>()?.max(1),
                "--bin" => parsed.binaries = value()?.into(),
                "--baseline" => parsed.baseline = Some(value()?.into()),
                "--peers" => parsed.peers = peers(&value()?)?,
                name => match Row::named(name) {
                    Some(row) => parsed.rows.push(row),
                    None => bail!("{name} is no row and no option; rows are 1 to 5 and {}", Row::words()),
                },
            }
        }
        if parsed.rows.is_empty() {
            parsed.rows = Row::ALL.iter().map(|(.., row)| *row).collect();
        }
        Ok(parsed)
    }
}

fn peers(list: &str) -> anyhow::Result<Vec<Kind>> {
    let named = |name: &str| match name {
        "mosquitto" => Ok(Kind::Mosquitto),
        "rumqttd" => Ok(Kind::Rumqttd),
        "nginx" => Ok(Kind::Nginx),
        other => bail!("{other} is no peer; mosquitto, rumqttd and nginx are"),
    };
    list.split(',').filter(|name| !name.is_empty() && *name != "none").map(named).collect()
}
