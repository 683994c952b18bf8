//! What a path names below a device or module.

use std::slice;

use axum::http::Method;

use crate::https::{RequestPath, reads};

/// The fixed segments below a device or module at most, with what stands between them:
/// `modules/{m}/messages/devicebound/{lock}/abandon`.
const SEGMENTS_MAX: usize = 6;

/// What a device or module may ask for, below its own path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    /// `messages/events`: where its messages go.
    Events,
    /// `messages/devicebound`: its commands.
    Commands,
    /// `messages/devicebound/{lock}`: a command it holds.
    Command,
    /// `messages/devicebound/{lock}/abandon`: that command on its way back.
    AbandonedCommand,
    /// `methods`: the calls of its methods.
    Methods,
    /// `methods/{rid}`: a call it was handed.
    Call,
    /// `files`: where uploads begin.
    Files,
    /// `files/notifications`: where they end.
    EndedUploads,
    /// `files/notifications/{id}`: where one of them ends, the older form.
    EndedUpload,
}

impl Resource {
    /// The resource at `path`; nothing when it is none of a device or module.
    pub(crate) fn at(path: &RequestPath) -> Option<Self> {
        use Word::{Abandon, Devicebound, Events, Files, Messages, Methods, Modules, Notifications, Other};
        let mut segments = path.segments();
        if !reads(segments.next()?, "devices") {
            return None;
        }
        segments.next()?;
        let mut words = [Other; SEGMENTS_MAX];
        let mut count = 0;
        for segment in segments {
            *words.get_mut(count)? = Word::of(segment);
            count += 1;
        }
        let words = words.get(..count)?;
        let below = if let [Modules, _, below @ ..] = words { below } else { words };
        match below {
            [Messages, Events] => Some(Self::Events),
            [Messages, Devicebound] => Some(Self::Commands),
            [Messages, Devicebound, _] => Some(Self::Command),
            [Messages, Devicebound, _, Abandon] => Some(Self::AbandonedCommand),
            [Methods] => Some(Self::Methods),
            [Methods, _] => Some(Self::Call),
            [Files] => Some(Self::Files),
            [Files, Notifications] => Some(Self::EndedUploads),
            [Files, Notifications, _] => Some(Self::EndedUpload),
            _ => None,
        }
    }

    /// The methods that it takes. `HEAD` is none of them: to look at the commands locks one.
    pub(super) fn methods(self) -> &'static [Method] {
        match self {
            Self::Commands => &[Method::GET, Method::DELETE],
            Self::Command => slice::from_ref(&Method::DELETE),
            Self::Methods => slice::from_ref(&Method::GET),
            Self::Events | Self::AbandonedCommand | Self::Call | Self::Files | Self::EndedUploads | Self::EndedUpload => {
                slice::from_ref(&Method::POST)
            }
        }
    }
}

/// A segment of a path: one of the fixed ones in any case, or whatever else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Messages,
    Events,
    Devicebound,
    Abandon,
    Methods,
    Files,
    Notifications,
    Modules,
    Other,
}

impl Word {
    fn of(segment: &[u8]) -> Self {
        const WORDS: [(&str, Word); 8] = [
            ("messages", Word::Messages),
            ("events", Word::Events),
            ("devicebound", Word::Devicebound),
            ("abandon", Word::Abandon),
            ("methods", Word::Methods),
            ("files", Word::Files),
            ("notifications", Word::Notifications),
            ("modules", Word::Modules),
        ];
        WORDS.iter().find(|(text, _)| reads(segment, text)).map_or(Self::Other, |(_, word)| *word)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;

    use super::*;

    fn check(below: &str, expected: Option<Resource>) {
        for identity in ["/devices/d", "/Devices/modules", "/devices/d/modules/m", "/%64evices/messages/Modules/events"] {
            let uri: Uri = format!("{identity}{below}").parse().expect(below);
            assert_eq!(Resource::at(&RequestPath::of(&uri)), expected, "{uri}");
        }
    }

    #[test]
    fn resources_are_found_below_devices_and_modules_in_any_case() {
        check("/messages/events", Some(Resource::Events));
        check("/Messages/Events/?api-version=2021-04-12", Some(Resource::Events));
        check("/messages/deviceBound", Some(Resource::Commands));
        check("/messages/devicebound/", Some(Resource::Commands));
        check("/messages/devicebound/events", Some(Resource::Command));
        check("/messages/devicebound/%C3%A4/abandon", Some(Resource::AbandonedCommand));
        check("/messages/devicebound//abandon", Some(Resource::AbandonedCommand));
        check("/methods", Some(Resource::Methods));
        check("/m%65thods/methods", Some(Resource::Call));
        check("/files", Some(Resource::Files));
        check("/files/Notifications", Some(Resource::EndedUploads));
        check("/files/notifications/1", Some(Resource::EndedUpload));
    }

    #[test]
    fn other_paths_are_none_of_a_device() {
        for below in
            ["", "/", "/messages", "/messages/event", "/messages/events/x", "/messages/devicebound/x/abandon/y", "/commands", "//methods"]
        {
            check(below, None);
        }
        for path in ["/", "/devices", "/devices/", "/twins/d/methods", "/devices/d/modules/methods", "/devices/d/modules/m/x/y/z/1/2/3/4"] {
            let uri: Uri = path.parse().expect(path);
            assert_eq!(Resource::at(&RequestPath::of(&uri)), None, "{path}");
        }
    }
}
