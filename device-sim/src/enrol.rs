//! Making devices known to the hub and giving each its certificate.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use certs::issue::{IssueError, Issuer};
use hubctl::client::{ConnectError, ConnectOptions};
use hubctl::{ClientError, DataDirectory, HubClient};
use model::api::{Authentication, AuthenticationType, BulkError, BulkItem};
use model::limits::BULK_OPERATIONS_MAX;
use model::{Clock, DeviceId, Identity};
use thiserror::Error;

use crate::transport::Credentials;

/// How long the fleet's certificates are valid.
const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why there is no fleet.
#[derive(Debug, Error)]
pub(crate) enum EnrolError {
    /// There is no connection string to give here, so only the directory is of use.
    #[error("no hub to talk to: {} cannot be read ({cause}); start one with `isthmus dev --data-dir DIR` and name its DIR with --data-dir", path.display())]
    NoHub { path: PathBuf, cause: std::io::Error },
    #[error("the hub of {} does not run ({cause}); start it with `isthmus dev --data-dir {}`", directory.display(), directory.display())]
    NotRunning { directory: PathBuf, cause: ClientError },
    #[error(transparent)]
    Connect(ConnectError),
    #[error(transparent)]
    Client(ClientError),
    #[error("--data-dir must name a directory in which `isthmus dev` has run: {} cannot be read", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("a device certificate could not be issued")]
    Issue(#[from] IssueError),
    #[error("a device certificate cannot be used")]
    Tls(#[from] certs::tls::TlsConfigError),
    #[error("the hub refused to create {device}: {error}: {text}")]
    Refused { device: String, error: String, text: String },
    #[error("the work of issuing certificates was cut off")]
    CutOff,
}

impl From<ConnectError> for EnrolError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::NoConnectionString { path, cause } | ConnectError::Ca { path, cause } => Self::NoHub { path, cause },
            ConnectError::ConnectionString(_) | ConnectError::Key(_) | ConnectError::Tls { .. } | ConnectError::Ports(_) => {
                Self::Connect(error)
            }
        }
    }
}

/// The hub of `directory`; nothing is sent yet.
pub(crate) fn connect(directory: &DataDirectory, clock: &Clock) -> Result<HubClient, EnrolError> {
    let options = ConnectOptions { data_directory: Some(directory.path().to_owned()), ..ConnectOptions::default() };
    Ok(options.connect(clock.clone())?)
}

/// Creates the devices that do not exist yet and issues a certificate to each. A device that
/// exists is taken as it is.
pub(crate) async fn enrol(
    hub: &HubClient,
    directory: &DataDirectory,
    devices: &[DeviceId],
    clock: &Clock,
) -> Result<Vec<Credentials>, EnrolError> {
    for chunk in devices.chunks(BULK_OPERATIONS_MAX) {
        create(hub, directory, chunk).await?;
    }
    let issuing = Issuing::open(directory, hub.host(), clock.clone())?;
    let devices = devices.to_vec();
    // A key and a signature each: some hundred microseconds of one core.
    let issued = tokio::task::spawn_blocking(move || devices.into_iter().map(|device| issuing.issue(device)).collect());
    issued.await.unwrap_or(Err(EnrolError::CutOff))
}

async fn create(hub: &HubClient, directory: &DataDirectory, devices: &[DeviceId]) -> Result<(), EnrolError> {
    let operations: Vec<BulkItem> = devices.iter().map(creation).collect();
    let result = hub.bulk(&operations).await.map_err(|error| match error {
        cause @ ClientError::Unreachable { .. } => EnrolError::NotRunning { directory: directory.path().to_owned(), cause },
        error @ (ClientError::Lost { .. } | ClientError::Refused(_) | ClientError::Unintelligible { .. }) => EnrolError::Client(error),
    })?;
    match result.errors.into_iter().find(|error| !already_exists(error)) {
        None => Ok(()),
        Some(error) => Err(EnrolError::Refused { device: error.device_id, error: error.error_code, text: error.error_status }),
    }
}

fn already_exists(error: &BulkError) -> bool {
    let code = model::api::ErrorCode::DeviceAlreadyExists;
    error.error_code == code.name() || error.error_code == code.number().to_string()
}

fn creation(device: &DeviceId) -> BulkItem {
    BulkItem {
        id: device.to_string(),
        module_id: None,
        etag: None,
        import_mode: Some("create".into()),
        status: Some(model::api::Status::Enabled),
        status_reason: None,
        authentication: Some(Authentication { kind: Some(AuthenticationType::CertificateAuthority), ..Authentication::default() }),
        twin_etag: None,
        tags: None,
        properties: None,
        capabilities: None,
    }
}

/// The development CA at work.
struct Issuing {
    issuer: Issuer,
    server_ca: String,
    host: Arc<str>,
    clock: Clock,
}

impl Issuing {
    fn open(directory: &DataDirectory, host: &str, clock: Clock) -> Result<Self, EnrolError> {
        let read = |path: PathBuf| fs::read_to_string(&path).map_err(|source| EnrolError::File { path, source });
        let issuer = Issuer::from_pem(&read(directory.device_ca_certificate())?, &read(directory.device_ca_key())?)?;
        Ok(Self { issuer, server_ca: read(directory.server_ca())?, host: host.into(), clock })
    }

    fn issue(&self, device: DeviceId) -> Result<Credentials, EnrolError> {
        let issued = self.issuer.issue_device(&Identity::device(device.clone()), self.clock.now(), CERTIFICATE_LIFETIME)?;
        let tls = certs::tls::client_config(&self.server_ca, Some((&issued.chain_pem, &issued.key_pem)))?;
        Ok(Credentials { device, host: Arc::clone(&self.host), tls: Arc::new(tls) })
    }
}
