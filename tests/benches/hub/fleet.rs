//! Devices, known to the server and holding certificates that it trusts.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use hubctl::ConnectOptions;
use model::api::{Authentication, AuthenticationType, BulkError, BulkItem, Status};
use model::limits::BULK_OPERATIONS_MAX;
use model::{Clock, DeviceId, Identity};

use crate::client::Login;
use crate::server::Server;

const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Topics of peers are padded to this length.
const PEER_TOPIC_BYTES: usize = 64;

/// Makes the devices `bench-00001` to `count` known to `server`, where some may be known already.
///
/// # Errors
/// When the hub refuses one, or a certificate cannot be made.
pub(crate) fn enrol(server: &Server, count: usize) -> anyhow::Result<Vec<Login>> {
    let devices: Vec<DeviceId> = (1..=count).map(|number| device_name(number).parse()).collect::<Result<_, _>>()?;
    if server.is_hub() {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(register(server, &devices))?;
    }
    devices.into_iter().map(|device| login(server, device)).collect()
}

/// The name of the device `number`, the first being 1.
pub(crate) fn device_name(number: usize) -> String {
    format!("bench-{number:05}")
}

async fn register(server: &Server, devices: &[DeviceId]) -> anyhow::Result<()> {
    let options = ConnectOptions { data_directory: Some(server.directory.clone()), ..ConnectOptions::default() };
    let hub = options.connect(Clock::system())?;
    for chunk in devices.chunks(BULK_OPERATIONS_MAX) {
        let result = hub.bulk(&chunk.iter().map(creation).collect::<Vec<_>>()).await?;
        let is_known_already = |error: &BulkError| error.error_code == "DeviceAlreadyExists";
        ensure!(result.errors.iter().all(is_known_already), "the hub refused devices: {:?}", result.errors);
    }
    Ok(())
}

fn creation(device: &DeviceId) -> BulkItem {
    BulkItem {
        id: device.to_string(),
        module_id: None,
        etag: None,
        import_mode: Some("create".into()),
        status: Some(Status::Enabled),
        status_reason: None,
        authentication: Some(Authentication { kind: Some(AuthenticationType::CertificateAuthority), ..Authentication::default() }),
        twin_etag: None,
        tags: None,
        properties: None,
        capabilities: None,
    }
}

fn login(server: &Server, device: DeviceId) -> anyhow::Result<Login> {
    let issued = server.issuer.issue_device(&Identity::device(device.clone()), Clock::system().now(), LIFETIME)?;
    let tls = Arc::new(certs::tls::client_config(&server.server_ca, Some((&issued.chain_pem, &issued.key_pem)))?);
    let (username, topic) = if server.is_hub() {
        (Some(format!("localhost/{device}/?api-version=2021-04-12")), format!("devices/{device}/messages/events/"))
    } else {
        (None, format!("{:-<PEER_TOPIC_BYTES$}", format!("bench/{device}/")))
    };
    Ok(Login { device: device.to_string(), username, topic, tls })
}
