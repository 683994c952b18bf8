//! Topics that a device publishes to, and those it is published to.

use model::Identity;
use percent_encoding::percent_decode_str;
use thiserror::Error;

const RESPONSE: &str = "$iothub/methods/res/";
const TWIN_GET: &str = "$iothub/twin/GET/";
const TWIN_REPORTED: &str = "$iothub/twin/PATCH/properties/reported/";

/// What a publish asks for. Texts borrow from the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceRequest<'a> {
    /// A message to the cloud, with its property bag.
    Telemetry {
        /// As [`model::property_bag::parse`] reads it.
        bag: &'a str,
    },
    /// Both halves of the twin.
    TwinGet {
        /// The client's name for the request, echoed byte for byte.
        rid: &'a str,
    },
    /// A change of the reported properties.
    ReportedPatch {
        /// The client's name for the request, echoed byte for byte.
        rid: &'a str,
        /// Only if the reported properties still have this version.
        base_version: Option<u64>,
    },
    /// The answer to a direct method.
    MethodResponse {
        /// The hub's name for the call, percent-decoded.
        rid: &'a str,
        /// The device's own status.
        status: i32,
    },
}

/// Why a topic is no request. The connection ends for either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum TopicRefused {
    /// It belongs to another identity.
    #[error("the topic belongs to another device or module")]
    Foreign,
    /// No request has this form.
    #[error("no request has this topic")]
    Unknown,
}

/// The topics of one identity.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    telemetry: String,
    commands: String,
    inputs: Option<String>,
}

impl Topics {
    /// Makes the prefixes of `identity`.
    pub(crate) fn new(identity: &Identity) -> Self {
        let base = match &identity.module {
            None => format!("devices/{}", identity.device),
            Some(module) => format!("devices/{}/modules/{module}", identity.device),
        };
        Self {
            telemetry: format!("{base}/messages/events"),
            commands: format!("{base}/messages/devicebound/"),
            inputs: identity.module.is_some().then(|| format!("{base}/inputs/")),
        }
    }

    /// Reads the topic of a publish.
    ///
    /// # Errors
    /// [`TopicRefused`]: the connection has no business with that topic.
    pub(crate) fn request<'a>(&self, topic: &'a str) -> Result<DeviceRequest<'a>, TopicRefused> {
        if let Some(rest) = topic.strip_prefix(self.telemetry.as_str()) {
            return match rest.strip_prefix('/') {
                Some(bag) => Ok(DeviceRequest::Telemetry { bag }),
                None if rest.is_empty() => Ok(DeviceRequest::Telemetry { bag: "" }),
                None => Err(TopicRefused::Foreign),
            };
        }
        if topic.starts_with("devices/") {
            return Err(TopicRefused::Foreign);
        }
        hub_request(topic).ok_or(TopicRefused::Unknown)
    }

    /// Whether a will may be published to `topic`, and with which bag.
    pub(crate) fn will_bag<'a>(&self, topic: &'a str) -> Option<&'a str> {
        match self.request(topic) {
            Ok(DeviceRequest::Telemetry { bag }) => Some(bag),
            Ok(DeviceRequest::TwinGet { .. } | DeviceRequest::ReportedPatch { .. } | DeviceRequest::MethodResponse { .. }) | Err(_) => None,
        }
    }

    /// Where a command goes.
    pub(crate) fn command(&self, bag: &str) -> String {
        format!("{}{bag}", self.commands)
    }

    /// Where a module input goes; the slash after the name stands even before an empty bag.
    pub(crate) fn input(&self, input: &str, bag: &str) -> Option<String> {
        self.inputs.as_ref().map(|inputs| format!("{inputs}{input}/{bag}"))
    }
}

/// Where a direct method goes. Names that would need encoding are refused when it is invoked.
pub(crate) fn method(name: &str, rid: u64) -> String {
    format!("$iothub/methods/POST/{name}/?$rid={rid:x}")
}

/// Where the answer to a twin request goes; `$rid` comes first for the sake of the C client.
pub(crate) fn twin_response(status: u16, rid: &str, version: Option<u64>) -> String {
    match version {
        Some(version) => format!("$iothub/twin/res/{status}/?$rid={rid}&$version={version}"),
        None => format!("$iothub/twin/res/{status}/?$rid={rid}"),
    }
}

/// Where a change of desired properties goes.
pub(crate) fn desired_change(version: u64) -> String {
    format!("$iothub/twin/PATCH/properties/desired/?$version={version}")
}

fn hub_request(topic: &str) -> Option<DeviceRequest<'_>> {
    if let Some(query) = topic.strip_prefix(TWIN_GET) {
        return Some(DeviceRequest::TwinGet { rid: parameter(query, "rid")? });
    }
    if let Some(query) = topic.strip_prefix(TWIN_REPORTED) {
        let base_version = match parameter(query, "version") {
            Some(version) => Some(version.parse().ok()?),
            None => None,
        };
        return Some(DeviceRequest::ReportedPatch { rid: parameter(query, "rid")?, base_version });
    }
    let (status, query) = topic.strip_prefix(RESPONSE)?.split_once('/')?;
    Some(DeviceRequest::MethodResponse { rid: parameter(query, "rid")?, status: status.parse().ok()? })
}

/// The value of `$name` in `?$name=value&…`, the dollar bare or percent-encoded.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.strip_prefix('?')?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let key = key.strip_prefix('$').or_else(|| key.strip_prefix("%24"))?;
        (key == name).then_some(value)
    })
}

/// The number that [`method`] wrote as `rid`, if it is one; clients may percent-encode it.
pub(crate) fn method_rid(rid: &str) -> Option<u64> {
    let decoded = percent_decode_str(rid).decode_utf8().ok()?;
    u64::from_str_radix(&decoded, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(identity: &str, topic: &str, expect: Result<DeviceRequest<'_>, TopicRefused>) {
        let topics = Topics::new(&identity.parse().expect("an identity"));
        assert_eq!(topics.request(topic), expect, "{identity} {topic}");
    }

    #[test]
    fn topics_of_every_client_are_read() {
        use DeviceRequest::*;
        check("d", "devices/d/messages/events/", Ok(Telemetry { bag: "" }));
        check("d", "devices/d/messages/events", Ok(Telemetry { bag: "" }));
        check("d", "devices/d/messages/events/%24.mid=1&a=b/", Ok(Telemetry { bag: "%24.mid=1&a=b/" }));
        check("d/m", "devices/d/modules/m/messages/events/$.on=out", Ok(Telemetry { bag: "$.on=out" }));
        check("d", "$iothub/twin/GET/?$rid=a-b", Ok(TwinGet { rid: "a-b" }));
        check("d", "$iothub/twin/GET/?%24rid=1", Ok(TwinGet { rid: "1" }));
        check("d", "$iothub/twin/PATCH/properties/reported/?$rid=1", Ok(ReportedPatch { rid: "1", base_version: None }));
        check("d", "$iothub/twin/PATCH/properties/reported/?$rid=1&$version=7", Ok(ReportedPatch { rid: "1", base_version: Some(7) }));
        check("d", "$iothub/methods/res/200/?$rid=1f", Ok(MethodResponse { rid: "1f", status: 200 }));
        check("d", "$iothub/methods/res/-1/?$rid=1f", Ok(MethodResponse { rid: "1f", status: -1 }));
    }

    #[test]
    fn a_topic_of_another_identity_is_foreign() {
        for topic in [
            "devices/e/messages/events/",
            "devices/d2/messages/events/",
            "devices/d/messages/eventsx",
            "devices/d/modules/m/messages/events/",
        ] {
            check("d", topic, Err(TopicRefused::Foreign));
        }
        check("d/m", "devices/d/messages/events/", Err(TopicRefused::Foreign));
    }

    #[test]
    fn what_is_no_request_is_unknown() {
        for topic in [
            "a",
            "$iothub/twin/GET/",
            "$iothub/twin/GET/?rid=1",
            "$iothub/twin/PATCH/properties/reported/?$version=1",
            "$iothub/twin/PATCH/properties/reported/?$rid=1&$version=x",
            "$iothub/methods/res/ok/?$rid=1",
            "$iothub/methods/res/200?$rid=1",
            "$dps/registrations/PUT/iotdps-register/?$rid=1",
            "ü",
        ] {
            check("d", topic, Err(TopicRefused::Unknown));
        }
    }

    #[test]
    fn a_method_call_and_its_answer_carry_the_same_number() {
        assert_eq!(method("reboot", 0x1f), "$iothub/methods/POST/reboot/?$rid=1f");
        assert_eq!(method_rid("1f"), Some(0x1f));
        assert_eq!(method_rid("%31f"), Some(0x1f));
        assert_eq!(method_rid("x"), None);
    }

    #[test]
    fn an_input_topic_ends_in_a_slash_even_without_properties() {
        let topics = Topics::new(&"d/m".parse().expect("an identity"));
        assert_eq!(topics.input("in1", "").as_deref(), Some("devices/d/modules/m/inputs/in1/"));
        assert_eq!(Topics::new(&"d".parse().expect("an identity")).input("in1", ""), None);
    }
}
