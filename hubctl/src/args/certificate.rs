//! `cert …` and `ca …`

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use model::{Identity, Thumbprint};

use super::duration;

#[derive(Debug, Subcommand)]
pub(crate) enum CertVerb {
    /// Issue a certificate signed by the development CA of the data directory.
    ///
    /// Writes DIR/ID.crt (leaf, then intermediates) and DIR/ID.key (PKCS#8, mode 0600); a module's
    /// lie in DIR/DEVICE/. The hub need not run. A certificate is of use once its device is
    /// registered, with `hubctl device create`; a hub that runs is asked, and a warning says so.
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
