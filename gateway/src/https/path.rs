//! Paths. Clients spell the fixed segments in any case (`devicebound`, `deviceBound`), while ids
//! count byte by byte. So the router matches a copy in lower case, in which everything that
//! cannot be a fixed segment is a placeholder, and ids are read from the path as it was sent.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use model::api::ErrorCode;
use model::{DeviceId, Identity, InvalidId, ModuleId};
use percent_encoding::percent_decode;

use super::Refusal;

/// Stands for a segment that no fixed one can equal.
const PLACEHOLDER: &str = "_";

/// A request's path as it was sent. A clone shares its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestPath(PathAndQuery);

impl RequestPath {
    /// The path of `uri`.
    pub(crate) fn of(uri: &Uri) -> Self {
        Self(uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")))
    }

    /// The path of a request under way.
    ///
    /// # Errors
    /// A fault of ours: each request has one.
    pub(crate) fn within(parts: &Parts) -> Result<&Self, Refusal> {
        parts.extensions.get::<Self>().ok_or_else(|| Refusal::fault("the request has no path"))
    }

    /// Still percent-encoded, beginning with a slash.
    pub(crate) fn as_str(&self) -> &str {
        self.0.path()
    }

    /// Whether a slash ends it, which no segment tells.
    pub(crate) fn ends_in_slash(&self) -> bool {
        self.as_str().ends_with('/')
    }

    /// A segment, counted from 0, percent-decoded. What is not UTF-8 is replaced; no id holds
    /// the replacement.
    pub(crate) fn segment(&self, index: usize) -> Option<Cow<'_, str>> {
        self.segments().nth(index).map(|segment| percent_decode(segment).decode_utf8_lossy())
    }

    /// The segment behind the last fixed one called `name`, in lower case, decoded.
    pub(crate) fn segment_after(&self, name: &str) -> Option<Cow<'_, str>> {
        // Counted from behind: a device may have any of these names.
        let position = self.segments().collect::<Vec<_>>().iter().rposition(|segment| reads(segment, name))?;
        self.segment(position + 1)
    }

    /// The device, and the module if the path goes on with `/modules/{id}`.
    ///
    /// # Errors
    /// [`InvalidId`] of the first id that is none.
    pub(crate) fn identity(&self) -> Result<Identity, InvalidId> {
        let device: DeviceId = self.segment(1).unwrap_or_default().parse()?;
        match self.module() {
            Some(module) => Ok(Identity::module(device, percent_decode(module).decode_utf8_lossy().parse::<ModuleId>()?)),
            None => Ok(Identity::device(device)),
        }
    }

    /// The part that [`RequestPath::identity`] reads, as it was sent: where two are the same, so
    /// is the identity.
    pub(crate) fn identity_part(&self) -> &str {
        let segments = if self.module().is_some() { 4 } else { 2 };
        let path = self.as_str();
        let mut slashes = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
        slashes.nth(segments).and_then(|end| path.get(..end)).unwrap_or(path)
    }

    /// The segment of the module, if there is one.
    fn module(&self) -> Option<&[u8]> {
        let mut behind_device = self.segments().skip(2);
        let (modules, module) = (behind_device.next()?, behind_device.next()?);
        reads(modules, "modules").then_some(module)
    }

    /// `uri` with the path that the router matches, or nothing when it cannot be written; it
    /// always can.
    pub(super) fn matchable(&self, uri: &Uri) -> Option<Uri> {
        let mut path = String::with_capacity(self.as_str().len() + uri.query().map_or(0, str::len) + 2);
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

    /// The path's parts, still percent-encoded. A slash at the end does not count: some clients
    /// write `/devices/?top=10`.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let path = self.as_str().as_bytes();
        let path = path.strip_prefix(b"/").unwrap_or(path);
        let path = path.strip_suffix(b"/").unwrap_or(path);
        path.split(|byte| *byte == b'/')
    }
}

/// Whether a segment says `word`, which is in lower case: percent-decoded and in whatever case.
pub(crate) fn reads(segment: &[u8], word: &str) -> bool {
    percent_decode(segment).map(|byte| byte.to_ascii_lowercase()).eq(word.bytes())
}

fn push_matchable(path: &mut String, segment: &[u8]) {
    let begin = path.len();
    for byte in percent_decode(segment) {
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

    #[test]
    fn the_part_of_the_identity_ends_with_it() {
        let part = |path: &'static str| RequestPath::of(&Uri::from_static(path)).identity_part().to_owned();
        assert_eq!(part("/devices/d%2D1/messages/events?x=/"), "/devices/d%2D1");
        assert_eq!(part("/devices/d"), "/devices/d");
        assert_eq!(part("/devices/d/"), "/devices/d");
        assert_eq!(part("/devices/d/modules"), "/devices/d");
        assert_eq!(part("/devices/d/Modules/m/methods"), "/devices/d/Modules/m");
        assert_eq!(part("/devices/d/mod%75les/m"), "/devices/d/mod%75les/m");
        assert_eq!(part("/"), "/");
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
                let part: Uri = path.identity_part().parse().expect("a path");
                prop_assert_eq!(RequestPath::of(&part).identity(), path.identity());
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
