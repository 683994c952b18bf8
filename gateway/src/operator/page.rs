//! Pages of listings by sequence number: the parameters `top` and `after`, and the header that
//! says where the next page begins. Ours.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use model::api::ErrorCode;
use model::limits::PAGE_ITEMS_MAX;
use serde::Serialize;
use twins::Page;

use super::Parameters;
use crate::https::{Answer, Refusal, Reply};

/// The `after` of the next page; absent at the end.
const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");

/// Which page is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paging {
    /// Behind which sequence number it begins.
    pub(super) after: Option<u64>,
    /// How many it may have.
    pub(super) limit: usize,
}

impl<S: Sync> FromRequestParts<S> for Paging {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let parameters = Parameters::from_request_parts(parts, state).await?;
        let after = parameters.get("after").map(str::parse).transpose();
        let after = after.map_err(|_| Refusal::new(ErrorCode::ArgumentInvalid, "after is a sequence number"))?;
        // As with devices: what is no number of items means the most.
        let top = parameters.get("top").and_then(|top| top.parse().ok()).filter(|top| (1..=PAGE_ITEMS_MAX).contains(top));
        Ok(Self { after, limit: top.unwrap_or(PAGE_ITEMS_MAX) })
    }
}

/// Answers with a page.
pub(super) fn paged<T: Serialize>(page: &Page<T>) -> Answer {
    let mut answer = Reply::OK.json(&page.items)?;
    if let Some(next) = page.next {
        answer.headers_mut().insert(CONTINUATION, HeaderValue::from(next));
    }
    Ok(answer)
}
