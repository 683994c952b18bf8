//! Paths. Clients spell the fixed segments in any case (`devicebound`, `deviceBound`), while ids
//! count byte by byte. So the router matches a copy in lower case, in which everything that
//! cannot be a fixed segment is a placeholder, and ids are read from the path as it was sent.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use model::api::ErrorCode;
use model::{DeviceId, Identity, InvalidId, ModuleId};
use percent_encoding::percent_decode_str;

use super::Refusal;

/// Stands for a segment that no fixed one can equal.
const PLACEHOLDER: &str = "_";

/// A request's path as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestPath {
    raw: String,
}

impl RequestPath {
    /// The path of `uri`.
    pub(crate) fn of(uri: &Uri) -> Self {
        Self { raw: uri.path().to_owned() }
    }

    /// The path of a request under way.
    ///
    /// # Errors
    /// A fault of ours: each request has one.
    pub(crate) fn within(parts: &Parts) -> Result<&Self, Refusal> {
        parts.extensions.get::<Arc<Self>>().map(AsRef::as_ref).ok_or_else(|| Refusal::fault("the request has no path"))
    }

    /// Still percent-encoded, beginning with a slash.
    pub(crate) fn as_str(&self) -> &str {
        &self.raw
    }

    /// Whether a slash ends it, which no segment tells.
    pub(crate) fn ends_in_slash(&self) -> bool {
        self.raw.ends_with('/')
    }

    /// A segment, counted from 0, percent-decoded. What is not UTF-8 is replaced; no id holds
    /// the replacement.
    pub(crate) fn segment(&self, index: usize) -> Option<Cow<'_, str>> {
        self.segments().nth(index).map(|segment| percent_decode_str(segment).decode_utf8_lossy())
    }

    /// The segment behind the last fixed one called `name`, decoded.
    pub(crate) fn segment_after(&self, name: &str) -> Option<Cow<'_, str>> {
        // Counted from behind: a device may have any of these names.
        let position = self.segments().collect::<Vec<_>>().iter().rposition(|segment| segment.eq_ignore_ascii_case(name))?;
        self.segment(position + 1)
    }

    /// The device, and the module if the path goes on with `/modules/{id}`.
    ///
    /// # Errors
    /// [`InvalidId`] of the first id that is none.
    pub(crate) fn identity(&self) -> Result<Identity, InvalidId> {
        let device: DeviceId = self.segment(1).unwrap_or_default().parse()?;
        match (self.segment(2), self.segment(3)) {
            (Some(modules), Some(module)) if modules.eq_ignore_ascii_case("modules") => {
                Ok(Identity::module(device, module.parse::<ModuleId>()?))
            }
            (_, _) => Ok(Identity::device(device)),
        }
    }

    /// `uri` with the path that the router matches, or nothing when it cannot be written; it
    /// always can.
    pub(super) fn matchable(&self, uri: &Uri) -> Option<Uri> {
        let mut path = String::with_capacity(self.raw.len() + uri.query().map_or(0, str::len) + 2);
        for segment in self.segments() {
            path.push('/');
            push_matchable(&mut path, segment);
        }
        if path.is_empty() {
            path.push('/');
        }
        if let Some(query) = uri.query() {
            path.push('?');
            path.push_str(query);
        }
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(path.try_into().ok()?);
        Uri::from_parts(parts).ok()
    }

    /// A slash at the end does not count: some clients write `/devices/?top=10`.
    fn segments(&self) -> impl Iterator<Item = &str> {
        let path = self.raw.strip_prefix('/').unwrap_or(&self.raw);
        let path = path.strip_suffix('/').unwrap_or(path);
        path.split('/')
    }
}

fn push_matchable(path: &mut String, segment: &str) {
    let begin = path.len();
    for byte in percent_decode_str(segment) {
        if !byte.is_ascii_alphanumeric() && byte != b'$' {
            path.truncate(begin);
            path.push_str(PLACEHOLDER);
            return;
        }
        path.push(byte.to_ascii_lowercase().into());
    }
}

/// The device or module that a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target(pub(crate) Identity);

impl<S: Sync> FromRequestParts<S> for Target {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        let path = RequestPath::within(parts)?;
        let identity = path.identity().map_err(|invalid| Refusal::new(ErrorCode::ArgumentInvalid, invalid.to_string()))?;
        Ok(Self(identity))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(path: &str, matched: &str) {
        let uri: Uri = path.parse().expect(path);
        let found = RequestPath::of(&uri).matchable(&uri).expect("a path");
        assert_eq!(found.to_string(), matched, "{path}");
    }

    #[test]
    fn fixed_segments_match_in_any_case_and_ids_never_disturb_them() {
        check("/", "/");
        check("/Devices/?top=5", "/devices?top=5");
        check("/devices/Dev-1/Modules/M%201", "/devices/_/modules/_");
        check("/devices/query", "/devices/query");
        check("/devices/que%72y", "/devices/query");
        check("/%24IotHub/webSocket?iothub-no-client-cert=true", "/$iothub/websocket?iothub-no-client-cert=true");
        check("/twins/a%2Fb/methods", "/twins/_/methods");
        check("/devices//modules", "/devices//modules");
        check("/devices/%FF", "/devices/_");
    }

    #[test]
    fn ids_are_read_as_they_were_sent() {
        let identity = |path: &'static str| RequestPath::of(&Uri::from_static(path)).identity().map(|identity| identity.to_string());
        assert_eq!(identity("/devices/Dev%2D1"), Ok("Dev-1".to_owned()));
        assert_eq!(identity("/twins/a%25b/MODULES/M1/methods"), Ok("a%b/M1".to_owned()));
        assert_eq!(identity("/devices/d/commands"), Ok("d".to_owned()));
        assert_eq!(identity("/devices/d/modules"), Ok("d".to_owned()));
        assert_eq!(identity("/devices/a%2Fb"), Err(InvalidId::Character { character: '/' }));
        assert_eq!(identity("/devices/%FF"), Err(InvalidId::Character { character: '\u{FFFD}' }));
    }

    proptest! {
        #[test]
        fn any_path_can_be_matched(path in "/[!-~]{0,80}", bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
            let encoded: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
            for text in [path.clone(), format!("/devices/{encoded}/modules/{encoded}")] {
                let Ok(uri) = text.parse::<Uri>() else { continue };
                let path = RequestPath::of(&uri);
                let matched = path.matchable(&uri).expect("a path");
                prop_assert_eq!(matched.query(), uri.query());
                let _ = path.identity();
            }
        }

        #[test]
        fn an_id_survives_its_encoding(id in "[-A-Za-z0-9.%_*?!(),:=@$']{1,128}") {
            let encoded = percent_encoding::utf8_percent_encode(&id, percent_encoding::NON_ALPHANUMERIC);
            let uri: Uri = format!("/twins/{encoded}").parse().expect("a URI");
            prop_assert_eq!(RequestPath::of(&uri).identity().expect("an id").to_string(), id);
        }
    }
}
