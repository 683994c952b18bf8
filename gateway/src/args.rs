//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use event_log::Selection;
use model::partition::InvalidEventHubName;
use model::{EventHubId, EventHubName, PartitionId, SequenceNumber};
use thiserror::Error;

use crate::listener::address::{InvalidListenAddress, Listen, ListenerName, NotBuiltYet, UnknownListener};

const EXIT_CODES: &str = "\
Exit codes:
  0    the hub was told to stop and stopped, or the configuration has no fault,
       or the event log is sound
  1    the hub could not start, or stopped because of a failure, or the event log is damaged
  64   a wrong command line, a configuration with faults (all of them are reported), or a
       directory whose log cannot be looked into: there is none, or a hub has it open
  130  SIGTERM or SIGINT ended the hub while it was still stopping

The hub stops on SIGTERM and SIGINT: it accepts nothing new, lets what it has accepted finish
within a bound, and writes everything out. On SIGHUP it reads its server certificate again. RUST_LOG
sets what is logged, for example RUST_LOG=info,isthmus=debug.";

/// A self-hosted IoT hub.
#[derive(Debug, Parser)]
#[command(name = "isthmus", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a hub for development; on first start it makes its own CA, certificates, policies and configuration
    Dev(DevArguments),
    /// Start from an operator's configuration; nothing is generated
    Serve(ServeArguments),
    /// Report every fault in a configuration
    Check(CheckArguments),
    /// Look into the files of an event log that no hub has open; changes nothing
    #[command(subcommand)]
    Log(LogCommand),
}

/// `isthmus dev`
#[derive(Debug, Args)]
pub(crate) struct DevArguments {
    /// The directory that holds everything; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// A name by which clients reach this hub, beside localhost, 127.0.0.1 and ::1; repeatable, the first goes into the connection string
    #[arg(long = "hostname", value_name = "NAME", value_parser = parse_host_name)]
    pub(crate) host_names: Vec<String>,
    /// What every command that starts a hub takes.
    #[command(flatten)]
    pub(crate) start: StartArguments,
}

/// `isthmus serve`
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// What every command that starts a hub takes.
    #[command(flatten)]
    pub(crate) start: StartArguments,
}

/// `isthmus check`
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// `isthmus log`
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Verify every checksum and report what the log holds; exits with 1 if something is damaged or lost
    Verify(LogVerifyArguments),
    /// Show the events, one a line; exits with 1 if something is damaged or lost
    Dump(LogDumpArguments),
}

/// `isthmus log verify`
#[derive(Debug, Args)]
pub(crate) struct LogVerifyArguments {
    /// Which log, shown how.
    #[command(flatten)]
    pub(crate) log: LogArguments,
}

/// `isthmus log dump`
#[derive(Debug, Args)]
pub(crate) struct LogDumpArguments {
    /// Which log, shown how.
    #[command(flatten)]
    pub(crate) log: LogArguments,
    /// Only the event hub with this name, which needs the database beside the log, or with this number
    #[arg(long, value_name = "NAME|NUMBER")]
    pub(crate) hub: Option<WhichHub>,
    /// Only partitions with this number
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
    /// Only events with this sequence number or a later one
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) from: Option<i64>,
}

impl LogDumpArguments {
    /// Which events are asked for, once it is known which number the event hub has.
    pub(crate) fn selection(&self, hub: Option<EventHubId>) -> Selection {
        Selection { hub, partition: self.partition.map(PartitionId), from: self.from.map(SequenceNumber) }
    }
}

/// An event hub as a command line names it. What can be a number is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WhichHub {
    /// By the number under which the log has it.
    Number(EventHubId),
    /// By its name.
    Name(EventHubName),
}

impl FromStr for WhichHub {
    type Err = InvalidEventHubName;

    fn from_str(text: &str) -> Result<Self, InvalidEventHubName> {
        text.parse().map_or_else(|_| text.parse().map(Self::Name), |number| Ok(Self::Number(EventHubId(number))))
    }
}

/// What every command that looks into a log takes.
#[derive(Debug, Args)]
pub(crate) struct LogArguments {
    /// The log's directory, or the data directory it is in
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// How the answer is written
    #[arg(long, short, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: OutputFormat,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

/// What every command that starts a hub takes.
#[derive(Debug, Args)]
pub(crate) struct StartArguments {
    /// Where a listener listens, instead of what the configuration says: mqtt=127.0.0.1:0, https=off. Port 0 picks a free one; repeatable,
    /// also for several addresses of one listener. Names: mqtt, https, kafka, metrics; amqp, coaps, coaps_tcp are not built yet and can only be off
    #[arg(long, value_name = "NAME=ADDR|off")]
    pub(crate) listen: Vec<ListenOverride>,
    /// How the log is written to standard error
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// One `--listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListenOverride {
    /// Which listener.
    pub(crate) name: ListenerName,
    /// Where, or off.
    pub(crate) listen: Listen,
}

/// Why a `--listen` is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum InvalidListenOverride {
    /// No `=`.
    #[error("write NAME=ADDR or NAME=off")]
    Form,
    /// The name.
    #[error(transparent)]
    Name(#[from] UnknownListener),
    /// The address.
    #[error(transparent)]
    Address(#[from] InvalidListenAddress),
    /// A listener of a later version.
    #[error(transparent)]
    NotBuilt(#[from] NotBuiltYet),
}

impl FromStr for ListenOverride {
    type Err = InvalidListenOverride;

    fn from_str(text: &str) -> Result<Self, InvalidListenOverride> {
        let (name, listen) = text.split_once('=').ok_or(InvalidListenOverride::Form)?;
        let (name, listen): (ListenerName, Listen) = (name.parse()?, listen.parse()?);
        if !name.is_built() && listen != Listen::Off {
            return Err(NotBuiltYet(name).into());
        }
        Ok(Self { name, listen })
    }
}

/// A text that cannot be the name of a host.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a host name has 1 to 253 letters, digits, dots, hyphens and underscores, or is an IP address; it carries no port")]
pub(crate) struct InvalidHostName;

/// A DNS name or an IP address without brackets.
pub(crate) fn parse_host_name(text: &str) -> Result<String, InvalidHostName> {
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let is_name = text.len() <= 253 && text.split('.').all(is_label);
    if is_address || is_name { Ok(text.to_owned()) } else { Err(InvalidHostName) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<(), &str>) {
        let parsed = Arguments::try_parse_from(line.split_whitespace());
        match (parsed, expected) {
            (Ok(_), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{line}: {error}"),
            (parsed, expected) => panic!("{line}: {parsed:?}, not {expected:?}"),
        }
    }

    #[test]
    fn documented_command_lines_are_accepted_and_wrong_ones_are_explained() {
        check("isthmus dev --data-dir d", Ok(()));
        check("isthmus dev --data-dir d --hostname hub.example --hostname 10.0.0.1 --log-format json", Ok(()));
        check("isthmus dev --data-dir d --listen mqtt=127.0.0.1:0 --listen https=off --listen metrics=[::1]:0", Ok(()));
        check("isthmus serve --config f --listen mqtt=0.0.0.0:8883", Ok(()));
        check("isthmus check --config f", Ok(()));
        check("isthmus log verify d --output json", Ok(()));
        check("isthmus log dump d --hub 1 --partition 3 --from 17 -o json", Ok(()));
        check("isthmus log dump d --hub audit", Ok(()));
        check("isthmus log dump d --hub au/dit", Err("is not an event hub name"));
        check("isthmus log dump d --from yesterday", Err("--from"));
        check("isthmus log verify", Err("DIR"));
        check("isthmus dev --data-dir d --listen kafka=off --listen kafka=127.0.0.1:0", Ok(()));
        for name in ["amqp", "coaps", "coaps_tcp"] {
            check(&format!("isthmus dev --data-dir d --listen {name}=127.0.0.1:0"), Err("is not built yet"));
        }
        check("isthmus dev --data-dir d --listen mqtt", Err("NAME=ADDR"));
        check("isthmus dev --data-dir d --listen mqtt=8883", Err("is not an address"));
        check("isthmus dev --data-dir d --listen smtp=off", Err("is not a listener"));
        check("isthmus dev --data-dir d --hostname hub.example:8883", Err("carries no port"));
        check("isthmus dev", Err("--data-dir"));
        check("isthmus serve", Err("--config"));
        check("isthmus run", Err("unrecognized subcommand"));
        check("isthmus", Err("Usage"));
    }

    #[test]
    fn the_command_line_is_well_formed() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
