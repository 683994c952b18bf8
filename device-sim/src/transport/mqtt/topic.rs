//! What a message from the hub is about, by its topic.

use rumqttc::Publish;

use crate::transport::Happening;

/// Request ids of the two kinds of twin request. At most one of each matters at a time: a later
/// answer carries all that an earlier one did.
pub(super) const READ_TWIN: &str = "1";
pub(super) const REPORT: &str = "2";

/// None for topics that the device did not ask for.
pub(super) fn read(device: &str, publish: Publish) -> Option<Happening<Publish>> {
    let topic = publish.topic.as_str();
    if let Some(call) = topic.strip_prefix("$iothub/methods/POST/") {
        let (name, request_id) = call.split_once("/?$rid=")?;
        return Some(Happening::Method { name: name.to_owned(), request_id: request_id.to_owned(), payload: publish.payload });
    }
    if let Some(answer) = topic.strip_prefix("$iothub/twin/res/") {
        let (status, query) = answer.split_once("/?$rid=")?;
        let request_id = query.split('&').next()?;
        return match status.parse().ok()? {
            200 if request_id == READ_TWIN => Some(Happening::Twin { body: publish.payload }),
            200..=299 => None,
            status => Some(Happening::TwinRefused { status, body: publish.payload }),
        };
    }
    if topic.starts_with("$iothub/twin/PATCH/properties/desired/") {
        return Some(Happening::Desired { body: publish.payload });
    }
    let for_device = topic.strip_prefix("devices/")?.strip_prefix(device)?;
    for_device.starts_with("/messages/devicebound/").then_some(Happening::Command(publish))
}

#[cfg(test)]
mod tests {
    use rumqttc::QoS;

    use super::*;

    fn check(topic: &str, expected: &str) {
        let read = read("d1", Publish::new(topic, QoS::AtMostOnce, "x")).map(|happening| match happening {
            Happening::Method { name, request_id, .. } => format!("method {name} {request_id}"),
            Happening::Twin { .. } => "twin".into(),
            Happening::TwinRefused { status, .. } => format!("refused {status}"),
            Happening::Desired { .. } => "desired".into(),
            Happening::Command(_) => "command".into(),
            Happening::Connected | Happening::Subscribed | Happening::Sent { .. } | Happening::Acknowledged { .. } => "no message".into(),
        });
        assert_eq!(read.as_deref().unwrap_or("nothing"), expected, "{topic}");
    }

    #[test]
    fn topics_of_the_hub_are_told_apart() {
        check("$iothub/methods/POST/reboot/?$rid=a7", "method reboot a7");
        check("$iothub/twin/res/200/?$rid=1", "twin");
        check("$iothub/twin/res/204/?$rid=2&$version=5", "nothing");
        check("$iothub/twin/res/400/?$rid=2", "refused 400");
        check("$iothub/twin/PATCH/properties/desired/?$version=8", "desired");
        check("devices/d1/messages/devicebound/%24.to=x", "command");
        check("devices/d2/messages/devicebound/%24.to=x", "nothing");
        check("$iothub/methods/POST/reboot", "nothing");
        check("anything", "nothing");
    }
}
