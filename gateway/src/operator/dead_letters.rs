//! Dead letters: commands that will not be delivered, read with their reason, sent again or
//! deleted. Ours: the service has no way to do any of this.

use std::sync::Arc;

use axum::Extension;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use model::Timestamp;
use model::api::{DeadLettersDeleted, ErrorCode};
use twins::DeadLetters;

use super::Parameters;
use super::paging::{SequencePage, paged};
use crate::commands;
use crate::https::{Answer, Refusal, Reply, RequestPath, Target};
use crate::hub::Hub;

/// Which ones a path `…/deadLetters[/{sequence number}]…` names.
pub(super) struct Chosen(DeadLetters);

impl<S: Sync> FromRequestParts<S> for Chosen {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let path = RequestPath::within(parts)?;
        let identity = path.identity().map_err(|invalid| Refusal::new(ErrorCode::ArgumentInvalid, invalid.to_string()))?;
        // By its place: however the fixed segments are written, one must never be taken for all.
        let place = if identity.module.is_some() { 6 } else { 4 };
        let is_redrive_of_all = |segment: &str| segment.eq_ignore_ascii_case("redrive") && path.segment(place + 1).is_none();
        let sequence = path.segment(place).filter(|segment| !is_redrive_of_all(segment));
        match sequence.map(|text| text.parse()) {
            // Who writes a slash here meant to name one behind it, as a script whose variable is empty.
            None if path.ends_in_slash() => Err(no_sequence()),
            None => Ok(Self(DeadLetters::All)),
            Some(Ok(sequence)) => Ok(Self(DeadLetters::One(sequence))),
            Some(Err(_)) => Err(no_sequence()),
        }
    }
}

fn no_sequence() -> Refusal {
    Refusal::new(ErrorCode::ArgumentInvalid, "a dead letter is named by its sequence number, and all of them by no segment at all")
}

/// One page in the order of sequence numbers.
pub(super) async fn list(Extension(hub): Extension<Arc<Hub>>, Target(identity): Target, page: SequencePage) -> Answer {
    paged(&hub.twins.dead_letter_page(&identity, page.after, page.limit).await?)
}

/// Answers once they are commands again, on disk, and the device's readers know.
pub(super) async fn redrive(
    Extension(hub): Extension<Arc<Hub>>,
    Target(identity): Target,
    Chosen(which): Chosen,
    parameters: Parameters,
) -> Answer {
    let expiry = parameters.get("expiryTime").map(Timestamp::parse_rfc3339).transpose();
    let expiry = expiry.map_err(|_| Refusal::new(ErrorCode::ArgumentInvalid, "expiryTime is a time like 2026-01-31T12:00:00Z"))?;
    Reply::OK.json(&commands::redrive(&hub, &identity, which, expiry).await?)
}

/// Those that are not there were deleted before, or are commands again.
pub(super) async fn delete(Extension(hub): Extension<Arc<Hub>>, Target(identity): Target, Chosen(which): Chosen) -> Answer {
    let total_dead_letters_deleted = hub.twins.delete_dead_letters(&identity, which).await?;
    match which {
        DeadLetters::One(sequence) if total_dead_letters_deleted == 0 => {
            Err(Refusal::new(ErrorCode::ResourceNotFound, format!("there is no dead letter with the sequence number {sequence}")))
        }
        DeadLetters::One(_) | DeadLetters::All => Reply::OK.json(&DeadLettersDeleted { total_dead_letters_deleted }),
    }
}
