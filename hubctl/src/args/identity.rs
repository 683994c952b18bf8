//! `device …` and `module …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use model::{DeviceId, ModuleId, Thumbprint};

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

/// Whether a device may connect from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NewStatus {
    /// It may.
    Enabled,
    /// Its connections are closed and new ones refused.
    Disabled,
}

/// What is done with all items of an import. Only what an export has enough for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "camelCase")]
pub(crate) enum ImportMode {
    /// Register it, if it is new.
    Create,
    /// Register it, or replace it with its tags and desired properties.
    CreateOrUpdate,
    /// Replace it, if it is there.
    Update,
}

impl ImportMode {
    /// As an item's `importMode` has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::CreateOrUpdate => "createOrUpdate",
            Self::Update => "update",
        }
    }
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
        /// Whether it may connect: what --enabled and --disabled say, as `az` writes it.
        #[arg(long, value_name = "STATUS", conflicts_with_all = ["enabled", "disabled"])]
        status: Option<NewStatus>,
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
    ///
    /// `importMode` says which: create, createOrUpdate, update, delete, updateTwin, and with a
    /// condition createOrUpdateIfMatchETag, updateIfMatchETag, deleteIfMatchETag (on `eTag`) and
    /// updateTwinIfMatchETag (on `twinETag`). createOrUpdate registers what is new and replaces what
    /// is there, with the tags and desired properties that the item names; with a `twinETag` only if
    /// the twin still has it. Each item stands alone: those refused are listed, the others hold.
    #[command(
        after_help = "Examples:\n  hubctl device import devices.jsonl\n  hubctl device import --mode createOrUpdate data/registry.jsonl"
    )]
    Import {
        /// The file, or - for the standard input.
        file: PathBuf,
        /// What to do with every item, whatever its `importMode` says.
        #[arg(long, value_enum, value_name = "MODE")]
        mode: Option<ImportMode>,
    },
    /// Write every device and module with its keys, tags and desired properties, one JSON object a line.
    ///
    /// Each is written as one to create, for a hub that has none of them; `hubctl device import
    /// --mode createOrUpdate FILE` puts a hub that has some back to what the file says.
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
