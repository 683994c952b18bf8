//! Whether the hub keeps its promises now.

use certs::server_identity::ServerIdentity;
use event_log::Health;
use model::Timestamp;
use serde::Serialize;

use crate::hub::Hub;

/// What `/healthz` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// The worst of the parts.
    pub(crate) status: Status,
    /// Why it is not [`Status::Ok`].
    pub(crate) reasons: Vec<Reason>,
}

/// How the hub is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Everything works.
    Ok,
    /// Everything is accepted, but something stored has been lost, or clients may not come.
    Degraded,
    /// Something is not accepted.
    Unavailable,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Reason {
    /// The part: `event_log`, `twins`, `server_certificate`, `hub`.
    pub(crate) part: &'static str,
    /// What is the matter with it.
    pub(crate) reason: String,
    #[serde(skip)]
    status: Status,
}

impl Report {
    /// Asks every part of the hub.
    pub(crate) fn of(hub: &Hub, certificate: &ServerIdentity) -> Self {
        let log = log_reason(&hub.log.health());
        let twins = hub.twins.health().err().map(|error| Reason::new("twins", Status::Unavailable, error.to_string()));
        let certificate = certificate_reason(certificate.not_after(), hub.clock.now());
        let draining = hub.drain.is_draining().then(|| Reason::new("hub", Status::Unavailable, "the hub is stopping".to_owned()));
        Self::from_reasons([log, twins, certificate, draining].into_iter().flatten().collect())
    }

    /// Whether a load balancer may send clients here.
    pub(crate) fn is_available(&self) -> bool {
        self.status < Status::Unavailable
    }

    fn from_reasons(reasons: Vec<Reason>) -> Self {
        let status = reasons.iter().map(|reason| reason.status).max().unwrap_or(Status::Ok);
        Self { status, reasons }
    }
}

impl Reason {
    fn new(part: &'static str, status: Status, reason: String) -> Self {
        Self { part, reason, status }
    }
}

fn log_reason(health: &Health) -> Option<Reason> {
    match health {
        Health::Healthy => None,
        Health::Degraded { lost } => {
            let reason = format!("damage on disk took events away, in {} ranges", lost.len());
            Some(Reason::new("event_log", Status::Degraded, reason))
        }
        Health::Full { reason } => {
            let reason = format!("events are refused until there is room on the disk: {reason}");
            Some(Reason::new("event_log", Status::Unavailable, reason))
        }
        Health::Failed { reason } => {
            let reason = format!("nothing is acknowledged since a write failed: {reason}");
            Some(Reason::new("event_log", Status::Unavailable, reason))
        }
    }
}

/// Connections that exist go on, as do clients that know no time.
fn certificate_reason(not_after: Timestamp, now: Timestamp) -> Option<Reason> {
    let reason = || Reason::new("server_certificate", Status::Degraded, format!("clients refuse it since it ended at {not_after}"));
    (now > not_after).then(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_certificate_that_has_ended_degrades_the_hub_and_no_earlier() {
        let end = Timestamp::from_milliseconds(1_000);
        assert_eq!(certificate_reason(end, end), None);
        let reason = certificate_reason(end, Timestamp::from_milliseconds(1_001)).expect("a reason");
        assert!(reason.reason.contains("1970-01-01T00:00:01Z"), "{reason:?}");
        let report = Report::from_reasons(vec![reason]);
        assert_eq!((report.status, report.is_available()), (Status::Degraded, true));
    }

    #[test]
    fn the_worst_part_decides_and_every_reason_is_told() {
        assert!(Report::from_reasons(Vec::new()).is_available());
        let lost = log_reason(&Health::Degraded { lost: Vec::new() });
        let degraded = Report::from_reasons(lost.clone().into_iter().collect());
        assert!(degraded.is_available());
        let failed = log_reason(&Health::Failed { reason: "disk full".into() });
        let report = Report::from_reasons([lost, failed].into_iter().flatten().collect());
        assert!(!report.is_available());
        let json = serde_json::to_value(&report).expect("JSON");
        assert_eq!(json["status"], "unavailable");
        assert_eq!(json["reasons"].as_array().map(Vec::len), Some(2));
        assert!(json["reasons"][1]["reason"].as_str().is_some_and(|reason| reason.contains("disk full")), "{json}");
    }
}
