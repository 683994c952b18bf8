//! Which sensors a fleet has, as a TOML file says it:
//!
//! ```toml
//! commands = "complete"    # what becomes of commands: complete, reject or abandon
//!
//! [[sensor]]
//! kind = "temperature"   # temperature, vibration, energy or door
//! weight = 3             # how many of each round of devices; 1 unless given
//! interval = "5s"        # between samples; that of --rate unless given
//! ```
//!
//! Devices are given the sensors in turn, each as often in a round as its weight says.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use thiserror::Error;

use crate::sensor::SensorKind;
use crate::transport::Settlement;
use crate::units::{self, INTERVAL};

/// Devices in a round at most, so that a slip of the pen does not fill the memory.
const ROUND_MAX: usize = 10_000;

/// The sensors of one round of devices, and what all of them do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scenario {
    settlement: Settlement,
    round: Vec<SensorPlan>,
}

/// A sensor for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SensorPlan {
    pub(crate) kind: SensorKind,
    /// Between samples, where the scenario says so.
    pub(crate) interval: Option<Duration>,
}

/// Why a file is no scenario.
#[derive(Debug, Error)]
pub(crate) enum ScenarioError {
    #[error("the scenario {} cannot be read", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} is not a scenario", path.display())]
    Malformed { path: PathBuf, source: toml::de::Error },
    #[error("{} must have at least one sensor and weights of at most {ROUND_MAX} together", path.display())]
    Weights { path: PathBuf },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    commands: Settlement,
    sensor: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: SensorKind,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default, deserialize_with = "interval")]
    interval: Option<Duration>,
}

fn one() -> u32 {
    1
}

fn interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let interval = units::duration(&String::deserialize(deserializer)?).map_err(de::Error::custom)?;
    if INTERVAL.contains(&interval) { Ok(Some(interval)) } else { Err(de::Error::custom("an interval lies between 100us and 1day")) }
}

impl Default for Scenario {
    /// One of each kind in a round of four.
    fn default() -> Self {
        let kinds = [SensorKind::Temperature, SensorKind::Vibration, SensorKind::Energy, SensorKind::Door];
        Self { settlement: Settlement::Complete, round: kinds.map(|kind| SensorPlan { kind, interval: None }).to_vec() }
    }
}

impl Scenario {
    /// Reads a scenario file.
    pub(crate) fn open(path: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path).map_err(|source| ScenarioError::Unreadable { path: path.to_owned(), source })?;
        let file: File = toml::from_str(&text).map_err(|source| ScenarioError::Malformed { path: path.to_owned(), source })?;
        Self::of(&file).ok_or_else(|| ScenarioError::Weights { path: path.to_owned() })
    }

    fn of(file: &File) -> Option<Self> {
        let devices: u64 = file.sensor.iter().map(|entry| u64::from(entry.weight)).sum();
        if devices == 0 || devices > ROUND_MAX as u64 {
            return None;
        }
        let plans = |entry: &Entry| {
            let plan = SensorPlan { kind: entry.kind, interval: entry.interval };
            std::iter::repeat_n(plan, entry.weight as usize)
        };
        Some(Self { settlement: file.commands, round: file.sensor.iter().flat_map(plans).collect() })
    }

    /// What devices say of commands, where their protocol lets them.
    pub(crate) fn settlement(&self) -> Settlement {
        self.settlement
    }

    /// The sensors of the devices, one after another without end.
    pub(crate) fn plans(&self) -> impl Iterator<Item = SensorPlan> + '_ {
        self.round.iter().copied().cycle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Scenario> {
        Scenario::of(&toml::from_str(text).ok()?)
    }

    #[test]
    fn devices_are_given_sensors_by_weight() {
        let scenario =
            read("[[sensor]]\nkind = \"door\"\nweight = 2\n[[sensor]]\nkind = \"energy\"\ninterval = \"5s\"\n").expect("a scenario");
        let plans: Vec<_> = scenario.plans().take(4).map(|plan| (plan.kind, plan.interval)).collect();
        let (door, energy) = ((SensorKind::Door, None), (SensorKind::Energy, Some(Duration::from_secs(5))));
        assert_eq!(plans, [door, door, energy, door]);
        assert_eq!(Scenario::default().plans().take(9).count(), 9);
    }

    #[test]
    fn commands_are_completed_unless_the_scenario_says_otherwise() {
        let settlement = |line: &str| read(&format!("{line}\n[[sensor]]\nkind = \"door\"\n")).map(|scenario| scenario.settlement());
        assert_eq!(settlement(""), Some(Settlement::Complete));
        assert_eq!(settlement("commands = \"reject\""), Some(Settlement::Reject));
        assert_eq!(settlement("commands = \"abandon\""), Some(Settlement::Abandon));
    }

    #[test]
    fn what_is_no_scenario_is_refused() {
        let text = |line: &str| format!("[[sensor]]\nkind = \"door\"\n{line}\n");
        for bad in [
            String::new(),
            "sensor = []".into(),
            "[[sensor]]\nkind = \"sonar\"\n".into(),
            text("weight = 0"),
            text("weight = 20000"),
            text("interval = \"0s\""),
            text("colour = \"red\""),
            format!("commands = \"forget\"\n{}", text("")),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }
}
