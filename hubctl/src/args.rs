//! The command line as written. Names follow `az iot hub` where it has them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use hubctl::ConnectOptions;

use crate::output::Format;

mod certificate;
mod command;
mod event;
mod file;
mod hub;
mod identity;
mod twin;

pub(crate) use certificate::{CaVerb, CertVerb};
pub(crate) use command::{Ack, Chosen, CommandToSend, CommandVerb, Feedback, Redrive};
pub(crate) use event::{EventToSend, EventVerb, Watch};
pub(crate) use file::FileVerb;
pub(crate) use hub::{HubChange, HubSettings, HubVerb, PolicyVerb};
pub(crate) use identity::{Auth, DeviceVerb, ImportMode, ModuleVerb, NewStatus};
pub(crate) use twin::{Json, MethodVerb, TwinChange, TwinVerb};

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
    /// Events: read as they are stored, or sent by hand.
    #[command(subcommand)]
    Event(EventVerb),
    /// Files that devices have uploaded.
    #[command(subcommand)]
    File(FileVerb),
    /// Event hubs, where events are kept.
    #[command(subcommand)]
    Hub(HubVerb),
    /// Device certificates for development.
    #[command(subcommand)]
    Cert(CertVerb),
    /// Certificate authorities that may sign device certificates.
    #[command(subcommand)]
    Ca(CaVerb),
}

impl Noun {
    /// Where the things are listed that a command may look for in vain; devices and modules have
    /// errors of their own.
    pub(crate) fn listing(&self) -> Option<&'static str> {
        match self {
            Self::Hub(HubVerb::Policy(_)) => Some("`hubctl hub policy list NAME` shows the policies of an event hub"),
            Self::Hub(_) | Self::Event(_) => Some("`hubctl hub list` shows the event hubs there are"),
            Self::File(_) => Some("`hubctl file list` shows the files there are"),
            Self::Command(_) => Some("`hubctl command dead-letters DEVICE` shows the dead letters there are"),
            Self::Ca(_) => Some("`hubctl ca list` shows the certificate authorities there are"),
            Self::Device(_) | Self::Module(_) | Self::Twin(_) | Self::Method(_) | Self::Cert(_) => None,
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; a duration looks like 30s, 5m or 1h"))
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(String::from("a property looks like name=value")),
    }
}

#[cfg(test)]
mod tests;
