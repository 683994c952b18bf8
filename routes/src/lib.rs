//! Which endpoints a message goes to. Pure and synchronous: a [`RouteTable`] is a value, asking
//! it costs no await, no lock and no allocation.
//!
//! What stands here is the rule for a hub on which no route was ever made: device messages go
//! to the built-in endpoint, every other source is off. The routing language and custom
//! endpoints build on [`Source`] and [`Endpoint`].

use model::EventHubName;

/// Where a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Telemetry of devices and modules.
    DeviceMessages,
    /// Changes of twins.
    TwinChangeEvents,
    /// Creation and deletion of identities.
    DeviceLifecycleEvents,
    /// Devices coming and going.
    DeviceConnectionStateEvents,
}

/// Where a route delivers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// An event hub of the internal buffer.
    EventHub(EventHubName),
}

/// The routes in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTable {
    built_in: [Endpoint; 1],
}

impl RouteTable {
    /// The table of a hub without routes, whose built-in endpoint is `events`.
    pub fn without_routes(events: EventHubName) -> Self {
        Self { built_in: [Endpoint::EventHub(events)] }
    }

    /// The endpoints that a message of `source` goes to, each once. Empty: it is dropped.
    pub fn endpoints(&self, source: Source) -> &[Endpoint] {
        match source {
            Source::DeviceMessages => &self.built_in,
            Source::TwinChangeEvents | Source::DeviceLifecycleEvents | Source::DeviceConnectionStateEvents => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_routes_only_device_messages_reach_the_built_in_endpoint() {
        let events: EventHubName = "events".parse().expect("a name");
        let table = RouteTable::without_routes(events.clone());
        assert_eq!(table.endpoints(Source::DeviceMessages), [Endpoint::EventHub(events)]);
        for off in [Source::TwinChangeEvents, Source::DeviceLifecycleEvents, Source::DeviceConnectionStateEvents] {
            assert_eq!(table.endpoints(off), []);
        }
    }
}
