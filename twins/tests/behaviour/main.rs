//! What the store promises, through its public API alone. Another backend runs this suite by
//! taking the place of [`Home::open`].

mod bulk;
mod command_feedback;
mod command_model;
mod commands;
mod corpus;
mod dead_letters;
mod definitions;
mod durability;
mod event_hubs;
mod file_uploads;
mod pieces;
mod queue;
mod registry;
mod twin_changes;

use std::path::PathBuf;
use std::time::Duration;

use model::api::{Authentication, AuthenticationType, TwinPatch, TwinProperties};
use model::{Clock, DeviceId, Identity, ModuleId, Timestamp};
use serde_json::Value;
use twins::{Config, NewDevice, NewModule, Twins};

/// A place for one database, gone when dropped, and the clock it goes by.
struct Home {
    directory: tempfile::TempDir,
    clock: Clock,
    config: Config,
}

impl Home {
    fn new() -> Self {
        let start = Timestamp::parse_rfc3339("2026-01-01T00:00:00Z").expect("a date");
        Self { directory: tempfile::tempdir().expect("a directory"), clock: Clock::manual(start), config: Config::default() }
    }

    fn database(&self) -> PathBuf {
        self.directory.path().join("hub.db")
    }

    /// The constructor under test.
    async fn open(&self) -> Twins {
        Twins::open(&self.database(), self.clock.clone(), self.config.clone()).await.expect("opens")
    }

    async fn reopen(&self, twins: Twins) -> Twins {
        twins.close().await;
        drop(twins);
        self.open().await
    }

    /// A copy of the files taken while the store is open is what a crash would leave.
    fn crashed_copy(&self) -> Self {
        let copy = Self { clock: self.clock.clone(), config: self.config.clone(), ..Self::new() };
        for suffix in ["db", "db-wal"] {
            let from = self.database().with_extension(suffix);
            std::fs::copy(from, copy.database().with_extension(suffix)).expect("copied");
        }
        copy
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn device_id(text: &str) -> DeviceId {
    text.parse().expect("a device id")
}

fn module_id(text: &str) -> ModuleId {
    text.parse().expect("a module id")
}

/// `device` or `device/module`.
fn identity(text: &str) -> Identity {
    text.parse().expect("an identity")
}

fn new_device(kind: AuthenticationType) -> NewDevice {
    NewDevice { authentication: Authentication { kind: Some(kind), ..Authentication::default() }, ..NewDevice::default() }
}

async fn create(twins: &Twins, id: &str) {
    let identity = identity(id);
    match identity.module {
        None => drop(twins.create_device(identity.device, new_device(AuthenticationType::Sas)).await.expect("created")),
        Some(module) => drop(twins.create_module(identity.device, module, NewModule::default()).await.expect("created")),
    }
}

fn desired(document: Value) -> TwinPatch {
    TwinPatch { tags: None, properties: Some(TwinProperties { desired: Some(document), reported: None }) }
}

fn tags(document: Value) -> TwinPatch {
    TwinPatch { tags: Some(document), properties: None }
}
