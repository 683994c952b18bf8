//! The configuration: as written ([`document`]) and as resolved ([`Settings`]).
//!
//! Everything is read and checked before anything is opened or bound, and all faults are
//! reported together, each with its key and what to do.

mod commands;
pub(crate) mod document;
mod event_hub;
pub(crate) mod faults;
mod files;
mod resolve;
pub(crate) mod template;
pub(crate) mod text_file;
pub(crate) mod units;

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Policy, Rights};
use thiserror::Error;
use toml::Table;

use self::document::Document;
use self::faults::Faults;
use crate::args::ListenOverride;
use crate::event_hubs::ConfiguredEventHub;
use crate::hub::HubSettings;
use crate::listener::address::ListenerSettings;
use crate::server_certificate::{Pair, PairSource};

/// The policies that Azure IoT Hub gives every hub, with what their holders may do. A development hub
/// makes them for itself, any other hub has those that its configuration names; operators can be
/// pinned with them either way.
pub(crate) fn standard_policies() -> [(&'static str, Rights); 5] {
    [
        (OWNER_POLICY, Rights::ALL),
        ("service", Rights::SERVICE_CONNECT),
        ("device", Rights::DEVICE_CONNECT),
        ("registryRead", Rights::REGISTRY_READ),
        ("registryReadWrite", Rights::REGISTRY_READ | Rights::REGISTRY_WRITE),
    ]
}

/// The policy with every right.
pub(crate) const OWNER_POLICY: &str = "iothubowner";

/// As resolved: what a hub is started with.
#[derive(Debug)]
pub(crate) struct Settings {
    /// For the parts below the listeners.
    pub(crate) hub: HubSettings,
    /// The sockets to bind.
    pub(crate) listeners: ListenerSettings,
    /// What connections are allowed.
    pub(crate) connections: ConnectionSettings,
    /// The server's certificate.
    pub(crate) tls: TlsSettings,
    /// Policies the hub is to have.
    pub(crate) policies: Vec<Policy>,
    /// Event hubs the hub is to have.
    pub(crate) event_hubs: Vec<ConfiguredEventHub>,
}

/// Bounds on connections that are not admitted yet, and on stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionSettings {
    /// From accepting a socket to the end of its TLS handshake.
    pub(crate) handshake_timeout: Duration,
    /// TLS handshakes computed at once, over all listeners.
    pub(crate) handshakes_max: usize,
    /// How long a stopping hub waits for what it has accepted.
    pub(crate) drain_timeout: Duration,
}

/// The server's certificate and where it came from.
pub(crate) struct TlsSettings {
    /// Where it is read from, now and later.
    pub(crate) source: PairSource,
    /// What was read; the two belong together, and clients can use them.
    pub(crate) pair: Pair,
}

impl std::fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSettings").field("certificate", &self.source.certificate).finish_non_exhaustive()
    }
}

/// Why there is no configuration to start with.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    /// The file.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What it says.
    #[error("the configuration {} has faults:\n{faults}", path.display())]
    Faulty {
        /// Its path.
        path: PathBuf,
        /// All of them.
        faults: Faults,
    },
}

/// Reads, checks and resolves the configuration at `path`; `listen` takes the place of what it
/// says of those listeners.
///
/// # Errors
/// [`ConfigError::Faulty`] with every fault.
pub(crate) fn load(path: &Path, listen: &[ListenOverride], now: model::Timestamp) -> Result<Settings, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let mut faults = Faults::default();
    let document = read(&text, &mut faults);
    let base = path.parent().unwrap_or(Path::new("."));
    let environment = |name: &str| std::env::var(name).ok();
    let resolver = resolve::Resolver { base, environment: &environment, now };
    let resolved = document.and_then(|document| resolver.resolve(document, listen, &mut faults));
    match resolved {
        Some(settings) if faults.0.is_empty() => Ok(settings),
        Some(_) | None => Err(ConfigError::Faulty { path: path.to_owned(), faults }),
    }
}

/// Reads a configuration's text. One that is no TOML at all has one fault, with its line, and says
/// nothing that could have others.
pub(crate) fn read(text: &str, faults: &mut Faults) -> Option<Document> {
    match text.parse::<Table>() {
        Ok(table) => Some(Document::read(table, faults)),
        Err(error) => {
            faults.add("", error.to_string().trim_end());
            None
        }
    }
}

#[cfg(test)]
mod tests;
