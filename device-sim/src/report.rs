//! What a run did, for people and for scripts.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::args::Protocol;
use crate::latency::Latencies;

/// What one device did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeviceReport {
    pub(crate) protocol: Protocol,
    /// Messages made and, connection permitting, sent.
    pub(crate) sent: u64,
    pub(crate) acknowledged: u64,
    /// Messages without an acknowledgement at the end.
    pub(crate) unacknowledged: u64,
    /// Messages sent again because a connection ended before their acknowledgement.
    pub(crate) resent: u64,
    /// Connections the hub refused.
    pub(crate) refused: u64,
    pub(crate) reconnects: u64,
    pub(crate) commands_completed: u64,
    pub(crate) commands_rejected: u64,
    pub(crate) commands_abandoned: u64,
    pub(crate) methods_answered: u64,
    pub(crate) twin_versions_seen: u64,
}

impl DeviceReport {
    /// That of a device which speaks `protocol` and has done nothing yet.
    pub(crate) fn of(protocol: Protocol) -> Self {
        Self {
            protocol,
            sent: 0,
            acknowledged: 0,
            unacknowledged: 0,
            resent: 0,
            refused: 0,
            reconnects: 0,
            commands_completed: 0,
            commands_rejected: 0,
            commands_abandoned: 0,
            methods_answered: 0,
            twin_versions_seen: 0,
        }
    }
}

/// What the fleet did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    devices: u64,
    seconds: f64,
    sent: u64,
    acknowledged: u64,
    unacknowledged: u64,
    resent: u64,
    refused: u64,
    reconnects: u64,
    acknowledgement_milliseconds: Quantiles,
    commands_completed: u64,
    commands_rejected: u64,
    commands_abandoned: u64,
    methods_answered: u64,
    twin_versions_seen: u64,
    protocols: Vec<ProtocolReport>,
}

/// What the devices of one protocol did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProtocolReport {
    protocol: Protocol,
    devices: u64,
    sent: u64,
    acknowledged: u64,
    resent: u64,
    reconnects: u64,
}

impl ProtocolReport {
    fn new(protocol: Protocol, devices: &[DeviceReport]) -> Self {
        let of_protocol = || devices.iter().filter(|device| device.protocol == protocol);
        let sum = |field: fn(&DeviceReport) -> u64| of_protocol().map(field).sum();
        Self {
            protocol,
            devices: of_protocol().count() as u64,
            sent: sum(|d| d.sent),
            acknowledged: sum(|d| d.acknowledged),
            resent: sum(|d| d.resent),
            reconnects: sum(|d| d.reconnects),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Quantiles {
    p50: Option<f64>,
    p99: Option<f64>,
}

impl Report {
    /// Sums up `devices`.
    pub(crate) fn new(devices: &[DeviceReport], latencies: &Latencies, lasted: Duration) -> Self {
        let sum = |field: fn(&DeviceReport) -> u64| devices.iter().map(field).sum();
        let milliseconds = |quantile| latencies.quantile(quantile).map(|time| time.as_secs_f64() * 1000.0);
        let mut protocols: Vec<Protocol> = devices.iter().map(|device| device.protocol).collect();
        protocols.sort_unstable();
        protocols.dedup();
        Self {
            devices: devices.len() as u64,
            seconds: (lasted.as_secs_f64() * 1000.0).round() / 1000.0,
            sent: sum(|d| d.sent),
            acknowledged: sum(|d| d.acknowledged),
            unacknowledged: sum(|d| d.unacknowledged),
            resent: sum(|d| d.resent),
            refused: sum(|d| d.refused),
            reconnects: sum(|d| d.reconnects),
            acknowledgement_milliseconds: Quantiles { p50: milliseconds(0.5), p99: milliseconds(0.99) },
            commands_completed: sum(|d| d.commands_completed),
            commands_rejected: sum(|d| d.commands_rejected),
            commands_abandoned: sum(|d| d.commands_abandoned),
            methods_answered: sum(|d| d.methods_answered),
            twin_versions_seen: sum(|d| d.twin_versions_seen),
            protocols: protocols.into_iter().map(|protocol| ProtocolReport::new(protocol, devices)).collect(),
        }
    }

    /// Messages without an acknowledgement.
    pub(crate) fn unacknowledged(&self) -> u64 {
        self.unacknowledged
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = if self.seconds > 0.0 { self.acknowledged as f64 / self.seconds } else { 0.0 };
        let time = |time: Option<f64>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.1} ms"));
        writeln!(f, "devices              {}, for {:.1} s", self.devices, self.seconds)?;
        writeln!(f, "sent                 {}", self.sent)?;
        writeln!(f, "acknowledged         {} ({rate:.1} a second)", self.acknowledged)?;
        writeln!(f, "unacknowledged       {}", self.unacknowledged)?;
        writeln!(f, "sent again           {}", self.resent)?;
        writeln!(f, "refused              {}", self.refused)?;
        writeln!(f, "reconnects           {}", self.reconnects)?;
        let (p50, p99) = (self.acknowledgement_milliseconds.p50, self.acknowledgement_milliseconds.p99);
        writeln!(f, "acknowledgement      p50 {}, p99 {}", time(p50), time(p99))?;
        writeln!(f, "commands completed   {}", self.commands_completed)?;
        for (settled, count) in [("rejected", self.commands_rejected), ("abandoned", self.commands_abandoned)] {
            if count > 0 {
                writeln!(f, "commands {settled:<12}{count}")?;
            }
        }
        writeln!(f, "methods answered     {}", self.methods_answered)?;
        writeln!(f, "twin versions seen   {}", self.twin_versions_seen)?;
        self.protocols.iter().try_for_each(|protocol| write!(f, "{protocol}"))
    }
}

impl fmt::Display for ProtocolReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, devices, sent, acknowledged, .. } = self;
        writeln!(f, "over {:<16}devices {devices}, sent {sent}, acknowledged {acknowledged}", protocol.listener())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_sums_up_its_devices() {
        let device = DeviceReport { sent: 3, acknowledged: 2, unacknowledged: 1, ..DeviceReport::of(Protocol::Mqtt) };
        let other = DeviceReport { protocol: Protocol::Https, ..device };
        let mut latencies = Latencies::default();
        latencies.record(Duration::from_millis(8));
        let report = Report::new(&[other, device], &latencies, Duration::from_secs(2));
        assert_eq!(report.unacknowledged(), 2);
        let json = serde_json::to_value(&report).expect("JSON");
        assert_eq!((&json["sent"], &json["acknowledged"], &json["devices"]), (&6.into(), &4.into(), &2.into()));
        assert!(json["acknowledgementMilliseconds"]["p50"].as_f64().is_some_and(|p50| (8.0..9.1).contains(&p50)));
        assert!(report.to_string().contains("acknowledged         4 (2.0 a second)\n"), "{report}");
        assert_eq!(json["protocols"][1]["protocol"], "https");
        assert!(
            report.to_string().ends_with(
                "over mqtt            devices 1, sent 3, acknowledged 2\nover https           devices 1, sent 3, acknowledged 2\n"
            )
        );
        let idle = Report::new(&[], &Latencies::default(), Duration::ZERO);
        assert!(idle.to_string().contains("p50 -, p99 -"));
    }
}
