//! What a device does with what the hub asks of it: pure decisions.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::units::interval;

/// The desired property that sets the sampling interval, in seconds.
pub(super) const INTERVAL_PROPERTY: &str = "telemetryInterval";

/// A wish of the hub, read from desired properties.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Desired {
    /// The version the properties are at.
    pub(super) version: Option<u64>,
    pub(super) interval: Wish,
}

/// What desired properties say of the sampling interval.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wish {
    /// Nothing.
    Unsaid,
    /// Back to the device's own.
    Default,
    /// This one.
    Interval(Duration),
    /// Something that is no interval.
    Invalid,
}

/// Reads desired properties, whole or as a patch; None when the body is not an object.
pub(super) fn read_desired(body: &[u8]) -> Option<Desired> {
    let desired: Map<String, Value> = serde_json::from_slice(body).ok()?;
    Some(wishes(&desired))
}

/// Reads desired properties from a whole twin.
pub(super) fn read_twin(body: &[u8]) -> Option<Desired> {
    let twin: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let mut desired = wishes(twin.get("desired")?.as_object()?);
    // A whole document that does not name the interval has none.
    if desired.interval == Wish::Unsaid {
        desired.interval = Wish::Default;
    }
    Some(desired)
}

fn wishes(desired: &Map<String, Value>) -> Desired {
    let wish = match desired.get(INTERVAL_PROPERTY) {
        None => Wish::Unsaid,
        Some(Value::Null) => Wish::Default,
        Some(value) => value.as_f64().and_then(interval).map_or(Wish::Invalid, Wish::Interval),
    };
    Desired { version: desired.get("$version").and_then(Value::as_u64), interval: wish }
}

/// The reported properties after `version` of the desired ones was seen.
pub(super) fn report(sensor: &str, interval: Option<Duration>, version: Option<u64>, refused: bool) -> String {
    let error = refused.then_some("must be a number of seconds from 0.0001 to 86400");
    json!({
        "sensor": sensor,
        INTERVAL_PROPERTY: interval.map(|interval| interval.as_secs_f64()),
        "telemetryIntervalError": error,
        "desiredVersion": version,
    })
    .to_string()
}

/// What a direct method makes the device do, beside answering.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    Nothing,
    Reboot,
    SetInterval(Duration),
}

/// What a device says of itself.
#[derive(Debug, Clone)]
pub(super) struct Status {
    pub(super) sensor: &'static str,
    pub(super) interval: Option<Duration>,
    pub(super) made: u64,
    pub(super) acknowledged: u64,
    pub(super) uptime: Duration,
}

/// The status and body that answer the method `name`, and what to do.
pub(super) fn answer(name: &str, payload: &[u8], status: &Status) -> (u16, String, Action) {
    let (code, body, action) = match name {
        "reboot" => (200, json!({"rebooting": true}), Action::Reboot),
        "getStatus" => (200, describe(status), Action::Nothing),
        "setInterval" if status.interval.is_none() => (409, json!({"error": "a recording sets its own pace"}), Action::Nothing),
        "setInterval" => match read_interval(payload) {
            Some(interval) => (200, json!({"seconds": interval.as_secs_f64()}), Action::SetInterval(interval)),
            None => (400, json!({"error": "the payload must be like {\"seconds\": 5}"}), Action::Nothing),
        },
        _ => (404, json!({"error": format!("no method {name}")}), Action::Nothing),
    };
    (code, body.to_string(), action)
}

fn describe(status: &Status) -> Value {
    json!({
        "sensor": status.sensor,
        INTERVAL_PROPERTY: status.interval.map(|interval| interval.as_secs_f64()),
        "sent": status.made,
        "acknowledged": status.acknowledged,
        "uptimeSeconds": status.uptime.as_secs(),
    })
}

fn read_interval(payload: &[u8]) -> Option<Duration> {
    let payload: Value = serde_json::from_slice(payload).ok()?;
    interval(payload.get("seconds").unwrap_or(&payload).as_f64()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Wish {
        Wish::Interval(Duration::from_secs(seconds))
    }

    #[test]
    fn wishes_are_read_from_patches_and_whole_twins() {
        let patch = |body: &str| read_desired(body.as_bytes());
        let twin = |body: &str| read_twin(body.as_bytes());
        let desired = |version, interval| Some(Desired { version, interval });
        assert_eq!(patch(r#"{"telemetryInterval":5,"$version":8}"#), desired(Some(8), seconds(5)));
        assert_eq!(patch(r#"{"telemetryInterval":null,"$version":9}"#), desired(Some(9), Wish::Default));
        assert_eq!(patch(r#"{"other":1,"$version":9}"#), desired(Some(9), Wish::Unsaid));
        for invalid in ["0", "-1", "\"5\"", "{}", "1e9"] {
            assert_eq!(patch(&format!("{{\"telemetryInterval\":{invalid}}}")), desired(None, Wish::Invalid), "{invalid}");
        }
        assert_eq!(twin(r#"{"desired":{"telemetryInterval":5,"$version":8},"reported":{"$version":1}}"#), desired(Some(8), seconds(5)));
        assert_eq!(twin(r#"{"desired":{"$version":1}}"#), desired(Some(1), Wish::Default));
        assert_eq!(twin("[]"), None);
        assert_eq!(patch(""), None);
    }

    #[test]
    fn a_report_names_the_version_seen() {
        let report: Value = serde_json::from_str(&report("door", Some(Duration::from_millis(2500)), Some(7), false)).expect("JSON");
        let expected = json!({"sensor": "door", "telemetryInterval": 2.5, "telemetryIntervalError": null, "desiredVersion": 7});
        assert_eq!(report, expected);
    }

    #[test]
    fn methods_are_answered() {
        let status =
            Status { sensor: "door", interval: Some(Duration::from_secs(1)), made: 3, acknowledged: 2, uptime: Duration::from_secs(9) };
        let check = |name: &str, payload: &str, code: u16, expected: Action| {
            let (status, body, action) = answer(name, payload.as_bytes(), &status);
            assert_eq!((status, action), (code, expected), "{name} {payload}");
            serde_json::from_str::<Value>(&body).expect("an answer is JSON")
        };
        check("reboot", "", 200, Action::Reboot);
        assert_eq!(check("getStatus", "null", 200, Action::Nothing)["acknowledged"], 2);
        check("setInterval", r#"{"seconds":5}"#, 200, Action::SetInterval(Duration::from_secs(5)));
        check("setInterval", "0.5", 200, Action::SetInterval(Duration::from_millis(500)));
        check("setInterval", "\"soon\"", 400, Action::Nothing);
        check("setInterval", "", 400, Action::Nothing);
        check("selfDestruct", "", 404, Action::Nothing);
        let replaying = Status { interval: None, ..status };
        assert_eq!(answer("setInterval", b"5", &replaying).0, 409);
    }
}
