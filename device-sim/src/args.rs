//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

use crate::units::{Rate, Speed, duration};

/// A fleet of simulated sensors that speaks to an Isthmus hub as real devices do.
///
/// Devices answer the methods `reboot`, `getStatus` and `setInterval` ({"seconds": 5}), complete
/// commands, and take their sampling interval in seconds from the desired property
/// `telemetryInterval`; they report it together with `desiredVersion`, the version seen. Devices on
/// HTTPS do so without twins, which HTTPS has not.
///
/// Exit codes: 0 all well, 1 messages stayed unacknowledged or were not found, 2 usage, 3 the hub cannot be reached.
#[derive(Debug, Parser)]
#[command(name = "device-sim", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Enrol devices, let them send, and report.
    Run(Box<Run>),
    /// Check that every message of a ledger can be read back.
    ///
    /// Reads the lines of `hubctl event watch --output json` from the standard input and compares:
    /// each ledger line must be there with the same SHA-256, in order per device. Messages beyond
    /// the ledger and repetitions are allowed, since delivery is at least once.
    Verify {
        /// The ledger that `run --ledger` wrote.
        #[arg(long, value_name = "FILE")]
        ledger: PathBuf,
        /// How to print the result.
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
    },
}

/// What devices speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// MQTT 3.1.1 over TLS.
    Mqtt,
    /// HTTPS: commands and methods by requests that wait; no twins.
    Https,
}

impl Protocol {
    /// The hub's listener for it; its name for people, too.
    pub(crate) fn listener(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Https => "https",
        }
    }
}

/// The form of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// How many devices: PREFIX-00001 and so on.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) devices: u32,
    /// What they speak. Several, separated by commas, are given to the devices in turn.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "mqtt")]
    pub(crate) protocol: Vec<Protocol>,
    /// How often each device sends, until its twin says otherwise.
    #[arg(long, default_value = "1/s", value_name = "RATE")]
    pub(crate) rate: Rate,
    /// How long to run; until interrupted, or until the recording ends, unless given.
    #[arg(long = "for", value_parser = duration, value_name = "DURATION")]
    pub(crate) run_for: Option<Duration>,
    /// The hub's data directory.
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// How device ids begin. Fleets on one hub at the same time need different ones: of two with
    /// the same, the second is refused. That of `./run` is sim.
    #[arg(long, default_value = "sim", value_name = "TEXT")]
    pub(crate) prefix: String,
    /// Which sensors there are, as TOML: `[[sensor]]` tables with kind (temperature, vibration, energy
    /// or door), and if wanted weight (how many of each round of devices) and interval ("5s"). Before
    /// them, commands = "reject" or "abandon" instead of "complete", which is all that MQTT can say.
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub(crate) scenario: Option<PathBuf>,
    /// Where random signals start; the same seed gives the same values.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
    /// Send a recording instead: CSV with a header, one message a row.
    #[arg(long, value_name = "FILE", conflicts_with = "devices", requires = "device_column")]
    pub(crate) replay: Option<PathBuf>,
    /// The column that names the device of a row, or none for a single device PREFIX-00001.
    #[arg(long, value_name = "COLUMN", requires = "replay")]
    pub(crate) device_column: Option<String>,
    /// The column with the time of a row, which paces the replay.
    #[arg(long, value_name = "COLUMN", requires = "replay")]
    pub(crate) time_column: Option<String>,
    /// How fast to replay: 60x, or max for no pacing.
    #[arg(long, value_name = "SPEED", requires = "replay", default_value = "1x")]
    pub(crate) speed: Speed,
    /// Where to keep one line for each acknowledged message: device, its running number, SHA-256
    /// of the body in hexadecimal, separated by tabs. Appended to.
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger: Option<PathBuf>,
    /// Messages of one device that may wait for their acknowledgement at once.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) in_flight: u16,
    /// How long to wait for outstanding acknowledgements at the end.
    #[arg(long, default_value = "15s", value_parser = duration, value_name = "DURATION")]
    pub(crate) grace: Duration,
    /// How to print the report.
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) output: Format,
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn read(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("device-sim").chain(line.split_whitespace()))
    }

    #[test]
    fn documented_command_lines_are_understood() {
        for line in [
            "run",
            "run --devices 1000 --protocol mqtt --rate 1/s --for 60s --data-dir d --prefix p --ledger l --output json",
            "run --protocol mqtt,https",
            "run --scenario s.toml --seed 7 --in-flight 1 --grace 1s",
            "run --replay r.csv --device-column none --time-column timestamp --speed max",
            "run --replay r.csv --device-column id --time-column t --speed 60x --for 5m",
            "verify --ledger l",
        ] {
            assert!(read(line).is_ok(), "{line}: {}", read(line).expect_err("it is an error"));
        }
    }

    #[test]
    fn what_cannot_be_is_a_usage_error() {
        let check = |line: &str, kind| {
            let error = read(line).expect_err(line);
            assert_eq!((error.kind(), error.exit_code()), (kind, 2), "{line}");
        };
        check("run --protocol coap", ErrorKind::InvalidValue);
        check("run --protocol mqtt,coap", ErrorKind::InvalidValue);
        check("run --rate fast", ErrorKind::ValueValidation);
        check("run --for 60", ErrorKind::ValueValidation);
        check("run --devices 0", ErrorKind::ValueValidation);
        check("run --in-flight 0", ErrorKind::ValueValidation);
        check("run --replay r.csv", ErrorKind::MissingRequiredArgument);
        check("run --time-column t", ErrorKind::MissingRequiredArgument);
        check("run --replay r.csv --device-column none --speed quick", ErrorKind::ValueValidation);
        check("run --replay r.csv --device-column none --devices 5", ErrorKind::ArgumentConflict);
        check("verify", ErrorKind::MissingRequiredArgument);
        check("fly", ErrorKind::InvalidSubcommand);
    }
}
