//! `twin …` and `method …`

use std::time::Duration;

use clap::{Args, Subcommand};
use model::Identity;
use serde_json::value::RawValue;

use super::duration;

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
