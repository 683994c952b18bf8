//! Files of devices: an upload is begun and its end is told here; the file itself goes to
//! [`crate::blob_service`] under the link that the beginning gave.

use model::api::{FileUploadEnded, FileUploadRequest, FileUploadStarted};
use model::{DeviceId, Identity};
use serde::de::DeserializeOwned;

use super::admission::Admitted;
use super::reason;
use crate::https::{Answer, CameBy, Refusal, Reply, RequestBody, RequestPath, parse};

/// The largest body of these requests: a name, all of it escaped.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// Begins an upload: says where the file is to go.
pub(super) async fn begin(admitted: &Admitted, came_by: CameBy, body: impl RequestBody) -> Answer {
    let request: FileUploadRequest = json(admitted, body).await?;
    let device = device(admitted)?;
    let begun = admitted.hub.files.begin(device, &request.blob_name).await;
    let (upload, link) = begun.map_err(reason::upload_refused)?;
    Reply::OK.json(&FileUploadStarted {
        correlation_id: upload.id,
        host_name: came_by.host(),
        container_name: upload.container,
        blob_name: upload.blob,
        sas_token: link,
    })
}

/// The end of an upload that the body names.
pub(super) async fn end(admitted: &Admitted, came_by: CameBy, body: impl RequestBody) -> Answer {
    let ended: FileUploadEnded = json(admitted, body).await?;
    let id = ended.correlation_id.clone().ok_or_else(reason::no_correlation_id)?;
    end_of(admitted, came_by, &id, ended).await
}

/// The end of an upload that the path names, the older form.
pub(super) async fn end_in_path(admitted: &Admitted, came_by: CameBy, path: &RequestPath, body: impl RequestBody) -> Answer {
    let ended: FileUploadEnded = json(admitted, body).await?;
    let id = path.segment_after("notifications").ok_or_else(reason::no_correlation_id)?.into_owned();
    end_of(admitted, came_by, &id, ended).await
}

async fn end_of(admitted: &Admitted, came_by: CameBy, id: &str, ended: FileUploadEnded) -> Answer {
    let device = device(admitted)?.clone();
    let FileUploadEnded { is_success, status_code, status_description, .. } = ended;
    if !is_success {
        let words = status_description.unwrap_or_default();
        tracing::info!(%device, upload = id, status_code, words = shortened(&words), "a device gave up an upload");
    }
    let (files, metrics, id) = (admitted.hub.files.clone(), admitted.hub.metrics.clone(), id.to_owned());
    let ending = async move {
        files.end(&device, &id, is_success, |container, blob| came_by.address_of(container, blob)).await?;
        // Here, as the caller may have hung up meanwhile.
        metrics.file_upload_ended(if is_success { "success" } else { "given_up" });
        Ok(())
    };
    admitted.hub.drain.carry_out(ending).await.map_err(reason::end_refused)?;
    Ok(Reply::no_content())
}

async fn json<T: DeserializeOwned>(admitted: &Admitted, body: impl RequestBody) -> Result<T, Refusal> {
    parse(admitted.received(body, BODY_BYTES_MAX).await?.as_ref())
}

/// Files are a device's; its modules have none.
fn device(admitted: &Admitted) -> Result<&DeviceId, Refusal> {
    match admitted.identity() {
        Identity { device, module: None } => Ok(device),
        Identity { module: Some(_), .. } => Err(reason::no_files_of_modules()),
    }
}

fn shortened(text: &str) -> &str {
    text.split_at(text.floor_char_boundary(128)).0
}
