//! `file …`

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use model::DeviceId;

use super::duration;

#[derive(Debug, Subcommand)]
pub(crate) enum FileVerb {
    /// List the files that devices have uploaded.
    List {
        /// Of this device only.
        #[arg(long, value_name = "ID")]
        device: Option<DeviceId>,
    },
    /// Fetch a file.
    Get {
        /// The container, the device and the file's name, as `list` shows them: uploads/DEVICE/NAME.
        file: String,
        /// Where to write it; - for the standard output [default: the last part of its name].
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make a link by which anybody reads a file for a while.
    Link {
        /// uploads/DEVICE/NAME.
        file: String,
        /// How long it holds, at most 7days.
        #[arg(long, value_parser = duration, value_name = "DURATION", default_value = "1h")]
        expiry: Duration,
    },
    /// Remove a file.
    Delete {
        /// uploads/DEVICE/NAME.
        file: String,
    },
    /// Read which files were uploaded. Each is told once: what is shown here is done with.
    Notifications {
        /// At most so many.
        #[arg(long, default_value_t = 100, value_name = "N")]
        count: usize,
        /// Leave them for the next reader.
        #[arg(long)]
        keep: bool,
    },
}
