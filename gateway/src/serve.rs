//! From start to stop: everything is bound, then opened, then served, and closed in the reverse
//! order.

use std::path::Path;
use std::sync::Arc;

use certs::server_identity::{ServerIdentity, ServerIdentityError};
use certs::tls::{TlsConfigError, server_config};
use model::{Clock, EventHubName};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::ServerConfig;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::args::{DevArguments, ServeArguments, StartArguments};
use crate::config::{self, ConfigError, Settings};
use crate::data_dir::{DataDir, DataDirError, FileError, keep_files_private};
use crate::dev::{DevError, DevHome};
use crate::drain::Drain;
use crate::event_hubs::{self, ConfiguredEventHub, EnsureEventHubError};
use crate::hub::{Hub, HubOpenError};
use crate::listener::bind::{BindError, Bound, bind_all};
use crate::listener::{Handshakes, Peer, Reception, SecureStream};
use crate::observe::{Metrics, exposition};
use crate::ports::PortsFile;
use crate::server_certificate::ServerCertificate;
use crate::signals::Signals;
use crate::{command_sweep, https, kafka, mqtt, policies};

/// Why a hub did not start.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What a development hub makes for itself.
    #[error(transparent)]
    Dev(#[from] DevError),
    /// A socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system would not hand over a socket or a signal.
    #[error("the system refuses a socket or a signal handler")]
    System(#[from] std::io::Error),
    /// The server's certificate.
    #[error(transparent)]
    ServerIdentity(#[from] ServerIdentityError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// The stores.
    #[error(transparent)]
    Hub(#[from] HubOpenError),
    /// The configured policies.
    #[error("cannot store the configured policies")]
    Policies(#[source] HubOpenError),
    /// A configured event hub.
    #[error("the event hub {name} cannot be as configured")]
    EventHub {
        /// Its name.
        name: EventHubName,
        /// Why.
        #[source]
        source: EnsureEventHubError,
    },
    /// `ports.json`.
    #[error(transparent)]
    Ports(#[from] FileError),
}

/// How a hub that started came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Everything accepted was finished or given up within the bound, and everything is closed.
    Drained,
    /// SIGTERM or SIGINT came before that.
    Hurried,
}

/// `isthmus dev`
pub(crate) async fn dev(arguments: &DevArguments, clock: Clock) -> Result<Stop, StartError> {
    keep_files_private();
    let data_dir = DataDir::create(&arguments.data_dir)?;
    let home = DevHome::new(data_dir.path(), &arguments.host_names, clock.clone());
    let configuration = home.prepare()?;
    let mut settings = load(&configuration, &arguments.start, &clock)?;
    // The directory on the command line is the one that is locked and prepared.
    settings.hub.data_dir = data_dir.path().to_owned();
    let configured = std::mem::take(&mut settings.hub.host_names);
    settings.hub.host_names = home.names(&configured);
    run(settings, clock, Some(home)).await
}

/// `isthmus serve`
pub(crate) async fn serve(arguments: &ServeArguments, clock: Clock) -> Result<Stop, StartError> {
    let settings = load(&arguments.config, &arguments.start, &clock)?;
    keep_files_private();
    let _data_dir = DataDir::open(&settings.hub.data_dir)?;
    run(settings, clock, None).await
}

fn load(configuration: &Path, start: &StartArguments, clock: &Clock) -> Result<Settings, ConfigError> {
    config::load(configuration, &start.listen, clock.now())
}

async fn run(settings: Settings, clock: Clock, home: Option<DevHome>) -> Result<Stop, StartError> {
    let Settings { hub: hub_settings, listeners, connections, tls, policies: configured_policies, event_hubs } = settings;
    let mut signals = Signals::listen()?;
    raise_descriptor_limit();
    let ports = PortsFile::absent(&hub_settings.data_dir)?;
    let bound = bind_all(&listeners)?;
    let addresses = bound.addresses();

    let (metrics, drain) = (Metrics::new(), Drain::new());
    let hub = Hub::open(hub_settings, clock.clone(), metrics.clone(), drain.clone()).await?;
    let own_policies = home.as_ref().map(DevHome::policies).unwrap_or_default();
    policies::hold(&hub, configured_policies, &own_policies).await.map_err(StartError::Policies)?;
    ensure_event_hubs(&hub, event_hubs).await?;
    if let Some(home) = &home {
        home.enrol(&hub).await?;
    }
    let certificate = ServerCertificate::load(tls, home, clock, metrics.clone())?;
    let handshakes = Handshakes::new(connections.handshakes_max, connections.handshake_timeout);
    let reception = Reception::new(handshakes, metrics, drain.clone());
    drain.spawn(command_sweep::run(Arc::clone(&hub)));
    let scrapers = open_doors(&hub, bound, &reception, &certificate.identity())?;
    drain.spawn(certificate.run(signals.looks(), drain.clone()));
    ports.appear(&addresses)?;
    for (listener, addresses) in addresses.iter().filter(|(_, addresses)| !addresses.is_empty()) {
        tracing::info!(%listener, ?addresses, "listening");
    }

    let name = signals.stop().await;
    tracing::info!(signal = name, "stopping");
    drain.begin(connections.drain_timeout);
    hub.presence.stop_all();
    let stop = tokio::select! {
        stopped = close(&hub, &drain, &ports) => stopped.map(|()| Stop::Drained),
        name = signals.hurry() => {
            tracing::warn!(signal = name, "stopping at once");
            Ok(Stop::Hurried)
        }
    };
    scrapers.iter().for_each(JoinHandle::abort);
    Ok(stop?)
}

/// Starts to accept on every socket; gives the tasks that outlast the drain.
fn open_doors(hub: &Arc<Hub>, bound: Bound, reception: &Reception, identity: &ServerIdentity) -> Result<Vec<JoinHandle<()>>, StartError> {
    let mqtt_tls = server_config(identity.clone(), &[])?;
    let https_tls = server_config(identity.clone(), &[b"h2", b"http/1.1"])?;
    let kafka_tls = server_config(identity.clone(), &[])?;
    accept_each(hub, bound.mqtt, reception, &mqtt_tls, mqtt::serve)?;
    accept_each(hub, bound.https, reception, &https_tls, https::serve)?;
    accept_each(hub, bound.kafka, reception, &kafka_tls, kafka::serve)?;
    let mut scrapers = Vec::new();
    for listener in bound.metrics {
        scrapers.push(tokio::spawn(exposition::serve(TcpListener::from_std(listener)?, Arc::clone(hub), identity.clone())));
    }
    Ok(scrapers)
}

fn accept_each<F, Served>(
    hub: &Arc<Hub>,
    listeners: Vec<std::net::TcpListener>,
    reception: &Reception,
    tls: &Arc<ServerConfig>,
    serve: F,
) -> Result<(), StartError>
where
    F: Fn(Arc<Hub>, SecureStream, Peer) -> Served + Copy + Send + Sync + 'static,
    Served: Future<Output = ()> + Send + 'static,
{
    for listener in listeners {
        let listener = TcpListener::from_std(listener)?;
        let hub_of_each = Arc::clone(hub);
        let serve = move |stream, peer| serve(Arc::clone(&hub_of_each), stream, peer);
        hub.drain.spawn(reception.clone().accept(listener, Arc::clone(tls), serve));
    }
    Ok(())
}

/// Creates the configured event hubs that are not there; of the others the configured settings are
/// in force.
async fn ensure_event_hubs(hub: &Hub, configured: Vec<ConfiguredEventHub>) -> Result<(), StartError> {
    for wanted in configured {
        let name = wanted.name.clone();
        event_hubs::ensure(&hub.event_hubs, wanted).await.map_err(|source| StartError::EventHub { name, source })?;
    }
    Ok(())
}

/// Scripts that wait for `ports.json` must not find a hub that accepts nothing, so it goes first.
async fn close(hub: &Hub, drain: &Drain, ports: &PortsFile) -> Result<(), FileError> {
    let removed = ports.vanish();
    let unfinished = drain.finished().await;
    if unfinished > 0 {
        tracing::warn!(unfinished, "gave up waiting for connections");
    }
    hub.close().await;
    tracing::info!("stopped");
    removed
}

/// Each connection is a descriptor; the usual soft limit of 1,024 would be the hub's.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::debug!(descriptors = ?limit.maximum, "raised the limit of open files"),
        Err(error) => tracing::warn!(%error, descriptors = ?limit.current, "cannot raise the limit of open files"),
    }
}
