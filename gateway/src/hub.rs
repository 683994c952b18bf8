//! The assembled services. Everything that serves a connection gets one `Arc<Hub>`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use certs::judge::{Judge, PinnedOperator, TrustSnapshot, TrustedCa};
use event_log::{Disk, EventLog, RealDisk, RecoveryReport};
use model::api::CaState;
use model::{Clock, Epoch, EventHubName};
use routes::RouteTable;
use thiserror::Error;
use twins::{EventHub, StoredCa, Twins};

use crate::drain::Drain;
use crate::event_hubs::{self, EventHubs};
use crate::files::{FileSettings, Files, OpenFilesError};
use crate::groups::{self, Groups};
use crate::kafka::{self, Advertised};
use crate::mqtt::Sessions;
use crate::observe::Metrics;
use crate::presence::Presence;
use crate::telemetry::Telemetry;
use crate::twin_sync::Turns;

/// What the configuration resolves to, for the parts below the listeners.
#[derive(Debug, Clone)]
pub(crate) struct HubSettings {
    /// Where everything is stored.
    pub data_dir: PathBuf,
    /// The names clients may call the hub by; the first is its own.
    pub host_names: Vec<String>,
    /// Client certificates of operators.
    pub operators: Vec<PinnedOperator>,
    /// How strictly certificates are judged.
    pub trust: certs::judge::Settings,
    /// The event buffer.
    pub log: event_log::Config,
    /// Twins and command queues.
    pub twins: twins::Config,
    /// Where Kafka clients are told to connect, instead of where they came to.
    pub kafka_advertised: Option<Advertised>,
    /// What devices may upload.
    pub files: FileSettings,
}

/// Everything a connection needs.
#[derive(Debug)]
pub(crate) struct Hub {
    /// What time it is.
    pub clock: Clock,
    /// As configured.
    pub settings: HubSettings,
    /// Who is let in.
    pub judge: Judge,
    /// Registry, twins and command queues.
    pub twins: Twins,
    /// The event buffer.
    pub log: EventLog,
    /// The event hubs in it.
    pub event_hubs: EventHubs,
    /// Who reads them together, and how far.
    pub groups: Groups,
    /// The way into it.
    pub telemetry: Telemetry,
    /// What devices have uploaded.
    pub files: Files,
    /// Who is connected.
    pub presence: Presence,
    /// What outlives an MQTT connection.
    pub sessions: Sessions,
    /// Memory for Kafka's connections.
    pub kafka: kafka::Budgets,
    /// Whose turn it is to write a twin.
    pub turns: Turns,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether the hub is stopping.
    pub drain: Drain,
    /// The state of each CA when it was last read, by thumbprint.
    ca_epochs: Mutex<HashMap<String, (CaState, Epoch)>>,
    reloading: tokio::sync::Mutex<()>,
}

/// Why the hub cannot start.
#[derive(Debug, Error)]
pub(crate) enum HubOpenError {
    /// The database.
    #[error("cannot open the database {path}")]
    Twins {
        /// Its path.
        path: PathBuf,
        #[source]
        /// Why.
        source: twins::OpenError,
    },
    /// Reading or preparing the database.
    #[error("cannot read the database")]
    Read(#[from] twins::StoreError),
    /// The event log.
    #[error("cannot open the event log {path}")]
    Log {
        /// Its path.
        path: PathBuf,
        #[source]
        /// Why.
        source: event_log::OpenError,
    },
    /// What the log remembers of consumer groups.
    #[error("cannot read the offsets of consumer groups")]
    Groups(#[from] groups::ReplayError),
    /// The uploaded files.
    #[error("cannot open the uploaded files")]
    Files(#[from] OpenFilesError),
    /// Recovery of the event log met a fault of our own.
    #[error("recovering the event log panicked")]
    Panicked,
    /// A CA in the database that is not admissible any more.
    #[error("a stored CA certificate cannot be read")]
    Ca(#[from] certs::ca::CaReject),
}

impl Hub {
    /// Opens the stores under the data directory and recovers what needs it.
    ///
    /// # Errors
    /// [`HubOpenError`] names the file.
    pub(crate) async fn open(settings: HubSettings, clock: Clock, metrics: Metrics, drain: Drain) -> Result<Arc<Self>, HubOpenError> {
        Self::open_on(Arc::new(RealDisk), settings, clock, metrics, drain).await
    }

    /// The same with the event log on another disk.
    ///
    /// # Errors
    /// As [`Hub::open`].
    pub(crate) async fn open_on(
        disk: Arc<dyn Disk>,
        settings: HubSettings,
        clock: Clock,
        metrics: Metrics,
        drain: Drain,
    ) -> Result<Arc<Self>, HubOpenError> {
        let database = settings.data_dir.join("hub.db");
        let twins = Twins::open(&database, clock.clone(), settings.twins.clone())
            .await
            .map_err(|source| HubOpenError::Twins { path: database, source })?;
        let hubs = twins.event_hubs().await?;
        let (log, report) = open_log(disk, &settings, &clock, &hubs).await?;
        let event_hubs = EventHubs::open(twins.clone(), log.clone(), drain.clone(), &report.undefined_hubs).await?;
        let groups = Groups::open(log.clone(), event_hubs.clone(), clock.clone(), &drain, groups::Settings::default()).await?;
        let files = Files::open(&settings.data_dir.join("files"), settings.files.clone(), twins.clone(), clock.clone()).await?;
        let routes = RouteTable::without_routes(EventHubName::events());
        let hub = Self {
            telemetry: Telemetry::new(log.clone(), routes, event_hubs.clone()),
            event_hubs,
            groups,
            files,
            judge: Judge::new(TrustSnapshot::default()),
            presence: Presence::default(),
            sessions: Sessions::default(),
            kafka: kafka::Budgets::default(),
            turns: Turns::default(),
            ca_epochs: Mutex::default(),
            reloading: tokio::sync::Mutex::default(),
            clock,
            settings,
            twins,
            log,
            metrics,
            drain,
        };
        hub.reload_trust().await?;
        Ok(Arc::new(hub))
    }

    /// The hub's own name, the first of those it goes by.
    pub(crate) fn name(&self) -> &str {
        self.settings.host_names.first().map_or("localhost", String::as_str)
    }

    /// Reads CAs and policies anew. Whoever was admitted under a CA that has gone or changed its
    /// state is closed.
    ///
    /// # Errors
    /// [`HubOpenError`]; then the old ones stay in force.
    pub(crate) async fn reload_trust(&self) -> Result<(), HubOpenError> {
        let _one_at_a_time = self.reloading.lock().await;
        let stored = self.twins.cas().await?;
        let policies = self.twins.policies().await?;
        let (cas, ended) = self.trusted(&stored)?;
        self.judge.replace(TrustSnapshot {
            host_names: self.settings.host_names.clone(),
            cas,
            policies: policies.into_iter().map(|policy| (policy, Epoch::default())).collect(),
            operators: self.settings.operators.clone(),
            settings: self.settings.trust.clone(),
        });
        // Only now: who is judged in between is judged again.
        ended.iter().for_each(Epoch::raise);
        self.presence.recheck_grants();
        Ok(self.event_hubs.reload().await?)
    }

    /// The stored CAs with their epochs, and the epochs of what has changed.
    fn trusted(&self, stored: &[StoredCa]) -> Result<(Vec<TrustedCa>, Vec<Epoch>), HubOpenError> {
        let admitted = stored.iter().map(|ca| certs::ca::restore(&ca.certificate_pem, ca.id_scope.clone()));
        let admitted = admitted.collect::<Result<Vec<_>, _>>()?;
        let mut known = self.ca_epochs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut earlier = std::mem::take(&mut *known);
        let mut ended = Vec::new();
        let mut cas = Vec::new();
        for (ca, admitted) in stored.iter().zip(admitted) {
            let (state, epoch) = earlier.remove(&ca.thumbprint).unwrap_or((ca.state, Epoch::default()));
            if state != ca.state {
                ended.push(epoch.clone());
            }
            known.insert(ca.thumbprint.clone(), (ca.state, epoch.clone()));
            cas.push(TrustedCa { admitted, state: ca.state, epoch });
        }
        ended.extend(earlier.into_values().map(|(_, epoch)| epoch));
        Ok((cas, ended))
    }

    /// Writes what is staged and closes the stores.
    pub(crate) async fn close(&self) {
        let log = self.log.clone();
        if tokio::task::spawn_blocking(move || log.close()).await.is_err() {
            tracing::error!("closing the event log panicked");
        }
        self.twins.close().await;
    }
}

/// Recovery reads the disk for as long as it takes, so it runs beside the runtime.
async fn open_log(
    disk: Arc<dyn Disk>,
    settings: &HubSettings,
    clock: &Clock,
    hubs: &[EventHub],
) -> Result<(EventLog, RecoveryReport), HubOpenError> {
    let path = settings.data_dir.join("log");
    let definitions: Vec<_> = hubs.iter().map(event_hubs::definition).chain([groups::internal_event_hub()]).collect();
    let (config, clock) = (settings.log, clock.clone());
    let directory = path.clone();
    let opening = tokio::task::spawn_blocking(move || EventLog::open(&directory, disk, config, clock, &definitions));
    let opened = opening.await.map_err(|_| HubOpenError::Panicked)?;
    let (log, report) = opened.map_err(|source| HubOpenError::Log { path, source })?;
    tracing::info!(?report, "event log recovered");
    Ok((log, report))
}
