//! Query parameters. Unknown ones (`api-version` above all) are ignored.

use axum::extract::{FromRequestParts, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use model::api::ErrorCode;

use crate::https::Refusal;

/// A request's query parameters in their order, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// The first value of `name`, in whatever case the name is written.
    pub(crate) fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The parameters of `uri`.
    ///
    /// # Errors
    /// The refusal of a query that does not parse.
    pub(crate) fn within(uri: &Uri) -> Result<Self, Refusal> {
        let parsed = Query::try_from_uri(uri);
        let Query(pairs) = parsed.map_err(|rejection| Refusal::new(ErrorCode::ArgumentInvalid, rejection.body_text()))?;
        Ok(Self(pairs))
    }

    /// Every value of `name`.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        Self::within(&parts.uri)
    }
}

#[cfg(test)]
impl Parameters {
    /// The parameters of the query text `query`.
    pub(super) fn of(query: &str) -> Self {
        let uri = format!("/?{query}").parse().expect("a URI");
        Self(Query::try_from_uri(&uri).expect("a query").0)
    }
}
