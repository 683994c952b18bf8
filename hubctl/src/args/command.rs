//! `command …`

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use model::Identity;

use super::{duration, property};

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
