//! The command line as written. Names follow `az iot hub` where it has them.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hubctl::ConnectOptions;
use hubctl::client::EventStart;
use model::{DeviceId, EventHubName, Identity, ModuleId, PartitionId, SequenceNumber, Thumbprint, Timestamp};
use serde_json::value::RawValue;

use crate::output::Format;

/// Operate an Isthmus hub.
///
/// Exit codes: 0 done, 1 the hub refused, 2 usage, 3 the hub cannot be reached.
#[derive(Debug, Parser)]
#[command(name = "hubctl", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten, next_help_heading = "Options of every command")]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// Options of every command, before or after the noun.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The hub's connection string, of a policy; else it is read from the data directory.
    #[arg(long, global = true, env = "ISTHMUS_CONNECTION_STRING", hide_env_values = true, value_name = "STRING")]
    pub(crate) connection_string: Option<String>,
    /// The hub's data directory: connection string, CA and ports are read from it [default: ./data].
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The CA certificate to trust instead of the data directory's, in PEM.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// How to print results.
    #[arg(long, short, global = true, value_enum, default_value_t)]
    pub(crate) output: Format,
}

impl Global {
    pub(crate) fn connect_options(&self) -> ConnectOptions {
        ConnectOptions {
            connection_string: self.connection_string.clone().filter(|text| !text.is_empty()),
            data_directory: self.data_dir.clone(),
            default_data_directory: "data".into(),
            ca: self.ca.clone(),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Devices in the registry.
    #[command(subcommand)]
    Device(DeviceVerb),
    /// Modules of devices.
    #[command(subcommand)]
    Module(ModuleVerb),
    /// Twins: tags, desired and reported properties.
    #[command(subcommand)]
    Twin(TwinVerb),
    /// Direct methods.
    #[command(subcommand)]
    Method(MethodVerb),
    /// Commands (cloud-to-device messages).
    #[command(subcommand)]
    Command(CommandVerb),
    /// Events that devices sent.
    #[command(subcommand)]
    Event(EventVerb),
    /// Device certificates for development.
    #[command(subcommand)]
    Cert(CertVerb),
    /// Certificate authorities that may sign device certificates.
    #[command(subcommand)]
    Ca(CaVerb),
}

/// How a device or module proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Auth {
    /// With a certificate under an enrolled CA.
    Ca,
    /// With a certificate of one of two thumbprints.
    Thumbprint,
    /// With a token signed by one of two symmetric keys, which the hub makes.
    Key,
}

#[derive(Debug, Args)]
pub(crate) struct Proof {
    /// How it proves itself.
    #[arg(long, value_enum, default_value = "ca")]
    pub(crate) auth: Auth,
    /// A certificate's thumbprint, SHA-256 or SHA-1, in hexadecimal; may be given twice.
    #[arg(long, value_name = "HEX")]
    pub(crate) thumbprint: Vec<Thumbprint>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceVerb {
    /// Create a device.
    Create {
        /// Its id.
        id: DeviceId,
        #[command(flatten)]
        proof: Proof,
        /// Create it disabled: it may not connect.
        #[arg(long)]
        disabled: bool,
    },
    /// Show a device.
    Show {
        /// Its id.
        id: DeviceId,
    },
    /// List devices in the order of their ids.
    List {
        /// At most so many.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
        top: u32,
    },
    /// Change a device: enable or disable it, or change how it proves itself.
    Update {
        /// Its id.
        id: DeviceId,
        /// How it proves itself from now on.
        #[arg(long, value_enum)]
        auth: Option<Auth>,
        /// A certificate's thumbprint; may be given twice. Means --auth thumbprint.
        #[arg(long, value_name = "HEX")]
        thumbprint: Vec<Thumbprint>,
        /// Let it connect.
        #[arg(long, conflicts_with = "disabled")]
        enabled: bool,
        /// Close its connections and refuse new ones.
        #[arg(long)]
        disabled: bool,
        /// Why, for people.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Only if the device still has this etag.
        #[arg(long)]
        etag: Option<String>,
    },
    /// Delete a device, its modules, twin and commands.
    Delete {
        /// Its id.
        id: DeviceId,
        /// Only if the device still has this etag.
        #[arg(long)]
        etag: Option<String>,
    },
    /// Carry out the registry operations in a file: bulk items, one JSON object a line or one array.
    Import {
        /// The file, or - for the standard input.
        file: PathBuf,
    },
    /// Write every device and module with its keys, tags and desired properties, one JSON object a line.
    Export {
        /// The file, or - for the standard output.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModuleVerb {
    /// Create a module.
    Create {
        /// The device it belongs to.
        device: DeviceId,
        /// Its id within the device.
        module: ModuleId,
        #[command(flatten)]
        proof: Proof,
    },
    /// Show a module.
    Show {
        /// The device it belongs to.
        device: DeviceId,
        /// Its id within the device.
        module: ModuleId,
    },
    /// List a device's modules.
    List {
        /// The device.
        device: DeviceId,
    },
    /// Delete a module.
    Delete {
        /// The device it belongs to.
        device: DeviceId,
        /// Its id within the device.
        module: ModuleId,
        /// Only if the module still has this etag.
        #[arg(long)]
        etag: Option<String>,
    },
}

/// A JSON text given on the command line.
pub(crate) type Json = Box<RawValue>;

fn json(text: &str) -> Result<Json, String> {
    RawValue::from_string(text.to_owned()).map_err(|error| format!("not JSON: {error}"))
}

#[derive(Debug, Args)]
pub(crate) struct TwinChange {
    /// Device, or DEVICE/MODULE.
    pub(crate) id: Identity,
    /// Desired properties as a JSON object; these, --tags or both.
    #[arg(long, value_name = "JSON", value_parser = json, required_unless_present = "tags")]
    pub(crate) desired: Option<Json>,
    /// Tags as a JSON object; these, --desired or both.
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub(crate) tags: Option<Json>,
    /// Only if the twin still has this etag.
    #[arg(long)]
    pub(crate) etag: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TwinVerb {
    /// Show a twin.
    Show {
        /// Device, or DEVICE/MODULE.
        id: Identity,
    },
    /// Merge into a twin's tags or desired properties; null removes a key.
    Update(TwinChange),
    /// Replace a twin's tags or desired properties.
    Replace(TwinChange),
    /// Show a twin, and again whenever it has changed, until interrupted.
    ///
    /// The hub is asked for its version at each --interval; changes that follow each other faster
    /// show as one.
    Watch {
        /// Device, or DEVICE/MODULE.
        id: Identity,
        /// How often to ask.
        #[arg(long, default_value = "1s", value_parser = duration, value_name = "DURATION")]
        interval: Duration,
        /// End after so many twins shown.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MethodVerb {
    /// Call a method of a connected device and print its answer.
    Invoke {
        /// Device, or DEVICE/MODULE.
        id: Identity,
        /// The method's name.
        name: String,
        /// What to pass, as JSON.
        #[arg(long, value_name = "JSON", value_parser = json)]
        payload: Option<Json>,
        /// How long to wait for the answer, 5s to 300s.
        #[arg(long, default_value = "30s", value_parser = duration, value_name = "DURATION")]
        timeout: Duration,
        /// How long to wait for the device to connect, at most 300s.
        #[arg(long, default_value = "0s", value_parser = duration, value_name = "DURATION")]
        connect_timeout: Duration,
    },
}

/// Which outcome of a command the hub reports back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ack {
    /// None.
    None,
    /// Its completion.
    Positive,
    /// Its failure.
    Negative,
    /// Either.
    Full,
}

#[derive(Debug, Args)]
pub(crate) struct CommandToSend {
    /// Device, or DEVICE/MODULE.
    pub(crate) id: Identity,
    /// The body as text.
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    pub(crate) body: Option<String>,
    /// The body from a file, or - for the standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// An application property; may be repeated.
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = property)]
    pub(crate) properties: Vec<(String, String)>,
    /// Which outcome the hub reports back. Kept with the command; feedback itself is not built yet.
    #[arg(long, value_enum, default_value = "none")]
    pub(crate) ack: Ack,
    /// How long it may wait for the device, 1h unless given, at most 2days.
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub(crate) expiry: Option<Duration>,
    /// Its message id; the hub makes one otherwise.
    #[arg(long, value_name = "ID")]
    pub(crate) message_id: Option<String>,
    /// The id of the message it answers.
    #[arg(long, value_name = "ID")]
    pub(crate) correlation_id: Option<String>,

    /// The input of a module that it goes to
    #[arg(long, value_name = "NAME")]
    pub(crate) input: Option<String>,
    /// The media type of the body.
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// The character encoding of the body.
    #[arg(long, value_name = "NAME")]
    pub(crate) content_encoding: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CommandVerb {
    /// Queue a command for a device, connected or not.
    Send(Box<CommandToSend>),
    /// List the commands in a device's queue.
    List {
        /// Device, or DEVICE/MODULE.
        id: Identity,
    },
    /// Empty a device's queue.
    Purge {
        /// Device, or DEVICE/MODULE.
        id: Identity,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Only this device's events, its modules' included.
    #[arg(long, value_name = "ID")]
    pub(crate) device: Option<DeviceId>,
    /// The event hub.
    #[arg(long, default_value = "events", value_name = "NAME")]
    pub(crate) hub: EventHubName,
    /// Only this partition.
    #[arg(long, value_name = "N", value_parser = partition)]
    pub(crate) partition: Option<PartitionId>,
    /// Where to begin: earliest, latest, a sequence number or a time like 2026-01-31T12:00:00Z
    /// [default: latest, with --until-end earliest].
    #[arg(long, value_name = "POSITION", value_parser = event_start, allow_hyphen_values = true)]
    pub(crate) from: Option<EventStart>,
    /// End after so many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End at what was stored when the command began, instead of following what arrives.
    #[arg(long)]
    pub(crate) until_end: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EventVerb {
    /// Print events as they are stored, one a line. A lost connection is resumed without a gap.
    Watch(Watch),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertVerb {
    /// Issue a certificate signed by the development CA of the data directory.
    ///
    /// Writes DIR/ID.crt (leaf, then intermediates) and DIR/ID.key (PKCS#8, mode 0600); a module's
    /// lie in DIR/DEVICE/. The hub is not asked: a certificate is of use once its device is
    /// registered, with `hubctl device create`.
    Issue {
        /// Device, or DEVICE/MODULE: the certificate's common name.
        id: Identity,
        /// Where to write the two files.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// How long it is valid.
        #[arg(long, default_value = "365days", value_parser = duration, value_name = "DURATION")]
        lifetime: Duration,
    },
    /// Show the certificates in a PEM file.
    Show {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CaVerb {
    /// Enrol a certificate authority.
    Add {
        /// Its certificate in PEM.
        file: PathBuf,
        /// You vouch that its key is in the right hands; otherwise it stays unverified and its
        /// certificates are not accepted.
        #[arg(long)]
        verified: bool,
        /// It may speak only for devices whose ids begin so; may be repeated.
        #[arg(long, value_name = "PREFIX")]
        id_scope: Vec<String>,
    },
    /// Show a certificate authority.
    Show {
        /// Its SHA-256 thumbprint.
        thumbprint: Thumbprint,
    },
    /// List the enrolled certificate authorities.
    List,
    /// Accept no certificates under it any more; closes the connections of its devices.
    Disable {
        /// Its SHA-256 thumbprint.
        thumbprint: Thumbprint,
    },
    /// Accept certificates under it again.
    Enable {
        /// Its SHA-256 thumbprint.
        thumbprint: Thumbprint,
    },
    /// Forget it; closes the connections of its devices.
    Delete {
        /// Its SHA-256 thumbprint.
        thumbprint: Thumbprint,
    },
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; a duration looks like 30s, 5m or 1h"))
}

fn partition(text: &str) -> Result<PartitionId, String> {
    text.parse().map(PartitionId).map_err(|_| String::from("a partition is a number from 0"))
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(String::from("a property looks like name=value")),
    }
}

fn event_start(text: &str) -> Result<EventStart, String> {
    match text {
        "earliest" => return Ok(EventStart::Earliest),
        "latest" => return Ok(EventStart::Latest),
        _ => {}
    }
    if let Ok(sequence) = i64::from_str(text) {
        return if sequence < 0 {
            Err(String::from("sequence numbers count from 0"))
        } else {
            Ok(EventStart::Sequence(SequenceNumber(sequence)))
        };
    }
    Timestamp::parse_rfc3339(text)
        .map(EventStart::At)
        .map_err(|_| String::from("give earliest, latest, a sequence number or a time like 2026-01-31T12:00:00Z"))
}

#[cfg(test)]
mod tests;
