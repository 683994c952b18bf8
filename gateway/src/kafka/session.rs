//! What a connection knows of its peer, and what the peer may do.

use std::net::SocketAddr;
use std::sync::Arc;

use model::EventHubRights;
use twins::EventHub;

use super::reason::TopicRefused;
use crate::event_hubs::EventHubGrant;
use crate::hub::Hub;

/// A connection whose peer was let in. Handlers read it, none changes it.
#[derive(Debug)]
pub(crate) struct Session {
    /// The assembled services.
    pub(crate) hub: Arc<Hub>,
    /// Where the peer connects from.
    pub(crate) peer: SocketAddr,
    /// What it may do. The connection ends when this does; no handler has to ask.
    pub(crate) grant: EventHubGrant,
    /// Where clients are told to connect: the hub is the only broker there is.
    pub(crate) advertised: Advertised,
}

/// The broker's address as this peer can reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advertised {
    /// A host name, or an address without brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: u16,
}

impl Session {
    /// The event hub of this name, if the peer may do `wanted` with it. Who has no right on an
    /// event hub does not learn whether it exists.
    ///
    /// # Errors
    /// [`TopicRefused`], which has a code.
    pub(crate) fn topic(&self, name: &str, wanted: EventHubRights) -> Result<Arc<EventHub>, TopicRefused> {
        if !self.grant.allows(name, wanted) {
            return Err(TopicRefused::Unauthorized { wanted });
        }
        self.hub.event_hubs.get(name).ok_or(TopicRefused::Unknown)
    }

    /// Every event hub the peer has a right on.
    pub(crate) fn topics(&self) -> Vec<Arc<EventHub>> {
        let mut hubs = self.hub.event_hubs.list();
        hubs.retain(|hub| self.has_any_right(hub.name.as_str()));
        hubs
    }

    /// Whether the peer may do anything at all with the event hub of this name.
    pub(crate) fn has_any_right(&self, name: &str) -> bool {
        [EventHubRights::SEND, EventHubRights::LISTEN, EventHubRights::MANAGE].into_iter().any(|right| self.grant.allows(name, right))
    }

    /// Whether the peer may do `wanted` with some event hub, as groups need it, which are not
    /// those of one event hub.
    pub(crate) fn may(&self, wanted: EventHubRights) -> bool {
        self.grant.rights.contains(wanted)
    }
}
