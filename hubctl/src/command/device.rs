//! `hubctl device …`

use std::io::Write;

use hubctl::HubClient;
use hubctl::client::{IdentityChange, NewIdentity};
use model::api::{Authentication, Device, Status};
use model::{DeviceId, Identity, Thumbprint};

use super::{bulk, identity, moment, name};
use crate::args::{Auth, DeviceVerb, NewStatus};
use crate::exit::Failure;
use crate::output::{Output, Table};

pub(super) async fn run<W: Write>(hub: &HubClient, output: &mut Output<W>, verb: DeviceVerb) -> Result<(), Failure> {
    match verb {
        DeviceVerb::Create { id, proof, disabled } => {
            let status = Some(if disabled { Status::Disabled } else { Status::Enabled });
            let authentication = identity::authentication(proof.auth, &proof.thumbprint)?;
            let new = NewIdentity { authentication, status, status_reason: None };
            let device = hub.put_device(&Identity::device(id), &new, IdentityChange::Create).await?;
            Ok(output.result(&device, |device| details(device, hub.host()))?)
        }
        DeviceVerb::Show { id } => {
            let device = hub.device(&Identity::device(id)).await?;
            Ok(output.result(&device, |device| details(device, hub.host()))?)
        }
        DeviceVerb::List { top } => {
            let devices = hub.devices(usize::try_from(top).unwrap_or(usize::MAX)).await?;
            Ok(output.result(&devices, |devices| overview(devices))?)
        }
        DeviceVerb::Update { id, auth, thumbprint, status, enabled, disabled, reason, etag } => {
            let status = new_status(status, enabled, disabled);
            let change = Change { auth, thumbprints: thumbprint, status, reason, etag };
            let device = update(hub, id, change).await?;
            Ok(output.result(&device, |device| details(device, hub.host()))?)
        }
        DeviceVerb::Delete { id, etag } => {
            let identity = Identity::device(id);
            hub.delete_identity(&identity, etag.as_deref().unwrap_or("*")).await?;
            Ok(output.done(&format!("device {identity} deleted"))?)
        }
        DeviceVerb::Import { file, mode } => bulk::import(hub, output, &file, mode).await,
        DeviceVerb::Export { file } => bulk::export(hub, output, &file).await,
    }
}

/// The status that the one option of the three says.
fn new_status(status: Option<NewStatus>, enabled: bool, disabled: bool) -> Option<Status> {
    match (status, enabled, disabled) {
        (Some(NewStatus::Enabled), _, _) | (None, true, _) => Some(Status::Enabled),
        (Some(NewStatus::Disabled), _, _) | (None, false, true) => Some(Status::Disabled),
        (None, false, false) => None,
    }
}

/// What an update asks for; what it leaves out stays.
struct Change {
    auth: Option<Auth>,
    thumbprints: Vec<Thumbprint>,
    status: Option<Status>,
    reason: Option<String>,
    etag: Option<String>,
}

async fn update(hub: &HubClient, id: DeviceId, change: Change) -> Result<Device, Failure> {
    let auth = change.auth.or((!change.thumbprints.is_empty()).then_some(Auth::Thumbprint));
    if auth.is_none() && change.status.is_none() && change.reason.is_none() {
        return Err(Failure::Usage("nothing to change: give --enabled, --disabled, --status, --auth, --thumbprint or --reason".into()));
    }
    let authentication = auth.map(|auth| identity::authentication(auth, &change.thumbprints)).transpose()?;
    let identity = Identity::device(id);
    let device = hub.device(&identity).await?;
    let etag = change.etag.as_deref().unwrap_or(&device.etag);
    let new = changed(&device, authentication, change.status, change.reason);
    Ok(hub.put_device(&identity, &new, IdentityChange::Replace(etag)).await?)
}

/// A reason belongs to the status it was given for: another status without one has none.
fn changed(device: &Device, authentication: Option<Authentication>, status: Option<Status>, reason: Option<String>) -> NewIdentity {
    let status = status.unwrap_or(device.status);
    let kept = if status == device.status { device.status_reason.clone() } else { None };
    NewIdentity {
        authentication: authentication.unwrap_or_else(|| device.authentication.clone()),
        status: Some(status),
        status_reason: reason.or(kept),
    }
}

fn overview(devices: &[Device]) -> Table {
    let row = |device: &Device| {
        let kind = device.authentication.kind.as_ref().map(name).unwrap_or_default();
        vec![device.device_id.clone(), name(&device.status), kind, name(&device.connection_state), moment(device.last_activity_time)]
    };
    Table::rows(&["device", "status", "authentication", "connection", "last activity"], devices.iter().map(row))
}

fn details(device: &Device, host: &str) -> Table {
    let mut fields = vec![
        ("device", device.device_id.clone()),
        ("status", name(&device.status)),
        ("reason", device.status_reason.clone().unwrap_or_default()),
    ];
    fields.extend(identity::fields(&device.authentication, host, &device.device_id, None));
    fields.extend([
        ("connection", name(&device.connection_state)),
        ("last activity", moment(device.last_activity_time)),
        ("commands waiting", device.cloud_to_device_message_count.to_string()),
        ("etag", device.etag.clone()),
    ]);
    Table::fields(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_keeps_what_it_does_not_name() {
        let text = r#"{"deviceId":"d1","status":"disabled","statusReason":"stolen","authentication":{"type":"certificateAuthority"}}"#;
        let device: Device = serde_json::from_str(text).expect("a device");
        let kept = changed(&device, None, None, None);
        assert_eq!((kept.status, kept.status_reason.as_deref()), (Some(Status::Disabled), Some("stolen")));
        assert_eq!(kept.authentication, device.authentication);
        let enabled = changed(&device, None, Some(Status::Enabled), None);
        assert_eq!((enabled.status, enabled.status_reason), (Some(Status::Enabled), None));
    }
}
