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
    /// Which outcome the hub reports back, to be read by `hubctl command feedback`.
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
    /// The input of a module that it goes to.
    #[arg(long, value_name = "NAME")]
    pub(crate) input: Option<String>,
    /// The media type of the body.
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// The character encoding of the body.
    #[arg(long, value_name = "NAME")]
    pub(crate) content_encoding: Option<String>,
}

/// Which dead letters are meant. What deletes is told, and guesses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Chosen {
    /// The one with this sequence number, as `dead-letters` shows it.
    #[arg(long, value_name = "N")]
    pub(crate) sequence: Option<u64>,
    /// All of them.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hubctl command redrive dev1\n  hubctl command redrive dev1 --sequence 7 --expiry 1day")]
pub(crate) struct Redrive {
    /// Device, or DEVICE/MODULE.
    pub(crate) id: Identity,
    /// Only the one with this sequence number, as `dead-letters` shows it.
    #[arg(long, value_name = "N", conflicts_with = "all")]
    pub(crate) sequence: Option<u64>,
    /// All of them, which is meant without it, too.
    #[arg(long)]
    pub(crate) all: bool,
    /// How long they may wait for the device now, at most 2days [default: as configured, 1h].
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub(crate) expiry: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubctl command send dev1 --body reboot --ack full\n  hubctl command feedback\n  hubctl command feedback --wait -o json | jq .statusCode"
)]
pub(crate) struct Feedback {
    /// Go on and print, a line each, what comes until this is interrupted or --count is reached.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Read so many feedback messages, each of at most 64 outcomes; without --wait at most 64 of
    /// them at once.
    #[arg(long, value_name = "N", value_parser = message_count)]
    pub(crate) count: Option<usize>,
    /// Give them back for the next reader. That counts: after ten times the hub drops one.
    #[arg(long, conflicts_with = "wait")]
    pub(crate) keep: bool,
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
    /// Read what became of commands sent with --ack. Each outcome is told once: what is shown here
    /// is done with.
    Feedback(Feedback),
    /// List the commands that a device will not get, and why: expired, rejected or abandoned too
    /// often.
    #[command(after_help = "Examples:\n  hubctl command dead-letters dev1\n  hubctl command dead-letters dev1/camera -o json")]
    DeadLetters {
        /// Device, or DEVICE/MODULE.
        id: Identity,
    },
    /// Put dead letters back at the end of the device's queue: all of them, or one.
    Redrive(Redrive),
    /// Delete dead letters.
    #[command(
        after_help = "Examples:\n  hubctl command delete-dead-letters dev1 --sequence 7\n  hubctl command delete-dead-letters dev1 --all"
    )]
    DeleteDeadLetters {
        /// Device, or DEVICE/MODULE.
        id: Identity,
        #[command(flatten)]
        chosen: Chosen,
    },
}

fn message_count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| String::from("a number of messages is 1 or more"))
}
