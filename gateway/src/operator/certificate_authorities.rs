//! Certificate authorities that may speak for devices. Ours.

use std::sync::Arc;

use axum::Extension;
use certs::ca::{self, AdmittedCa};
use model::Thumbprint;
use model::api::{Ca, CaRequest, CaState, ErrorCode};
use model::limits::SERVICE_BODY_BYTES_MAX;
use twins::{NewCa, StoredCa};

use crate::https::{Answer, Json, Refusal, Reply, RequestPath};
use crate::hub::Hub;

pub(super) async fn list(Extension(hub): Extension<Arc<Hub>>) -> Answer {
    let stored = hub.twins.cas().await?;
    Reply::OK.json(&stored.iter().map(shown).collect::<Result<Vec<_>, _>>()?)
}

pub(super) async fn show(Extension(hub): Extension<Arc<Hub>>, Extension(path): Extension<RequestPath>) -> Answer {
    let thumbprint = thumbprint(&path)?;
    let found = hub.twins.cas().await?.into_iter().find(|ca| ca.thumbprint == thumbprint);
    let stored = found.ok_or_else(|| Refusal::from(twins::CaError::NotFound(thumbprint)))?;
    Reply::OK.json(&shown(&stored)?)
}

/// Enrols a CA. One that nobody vouches for is enrolled, and accepted only once it is enabled.
pub(super) async fn add(Extension(hub): Extension<Arc<Hub>>, Json(request): Json<CaRequest, SERVICE_BODY_BYTES_MAX>) -> Answer {
    let enrolled = hub.twins.cas().await?.iter().map(admitted).collect::<Result<Vec<_>, _>>()?;
    let admitted = ca::admit_into(&enrolled, &request.certificate, request.id_scope, hub.clock.now())?;
    let stored = hub
        .twins
        .add_ca(NewCa {
            thumbprint: Thumbprint::Sha256(admitted.sha256).to_string(),
            certificate_pem: admitted.certificate_pem(),
            state: if request.verified { CaState::Enabled } else { CaState::Unverified },
            id_scope: admitted.id_scope,
        })
        .await?;
    hub.reload_trust().await?;
    Reply::CREATED.json(&shown(&stored)?)
}

pub(super) async fn delete(Extension(hub): Extension<Arc<Hub>>, Extension(path): Extension<RequestPath>) -> Answer {
    hub.twins.delete_ca(&thumbprint(&path)?).await?;
    hub.reload_trust().await?;
    Ok(Reply::no_content())
}

/// Enables or disables. To enable is to vouch for a CA that nobody has vouched for.
pub(super) async fn set_state(
    Extension(hub): Extension<Arc<Hub>>,
    Extension(path): Extension<RequestPath>,
    Json(state): Json<CaState, 64>,
) -> Answer {
    if state == CaState::Unverified {
        return Err(Refusal::new(ErrorCode::ArgumentInvalid, "the state may be set to \"enabled\" or \"disabled\""));
    }
    let stored = hub.twins.set_ca_state(&thumbprint(&path)?, state).await?;
    hub.reload_trust().await?;
    Reply::OK.json(&shown(&stored)?)
}

/// The path's second segment, as the registry writes thumbprints.
fn thumbprint(path: &RequestPath) -> Result<String, Refusal> {
    match path.segment(1).unwrap_or_default().parse() {
        Ok(thumbprint @ Thumbprint::Sha256(_)) => Ok(thumbprint.to_string()),
        Ok(Thumbprint::Sha1(_)) | Err(_) => {
            Err(Refusal::new(ErrorCode::ArgumentInvalid, "a certificate authority is named by the 64 hexadecimal digits of its SHA-256"))
        }
    }
}

fn admitted(stored: &StoredCa) -> Result<AdmittedCa, Refusal> {
    // It was in order when it was enrolled, so this is no fault of the caller's.
    ca::restore(&stored.certificate_pem, stored.id_scope.clone())
        .map_err(|reject| Refusal::fault(format!("the stored CA {} is not admissible: {reject}", stored.thumbprint)))
}

fn shown(stored: &StoredCa) -> Result<Ca, Refusal> {
    let admitted = admitted(stored)?;
    Ok(Ca {
        thumbprint: stored.thumbprint.clone(),
        subject: admitted.subject,
        state: stored.state,
        id_scope: stored.id_scope.clone(),
        not_before: admitted.not_before,
        not_after: admitted.not_after,
        certificate: stored.certificate_pem.clone(),
    })
}
