//! What a connection knows of its peer, and what the peer may do.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use event_log::LostRange;
use model::EventHubRights;
use thiserror::Error;
use twins::EventHub;

use super::reason::TopicRefused;
use crate::args::parse_host_name;
use crate::event_hubs::EventHubGrant;
use crate::hub::Hub;
use crate::listener::Peer;

/// Gaps a connection remembers to have told its peer of.
const TOLD_GAPS_MAX: usize = 1024;

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
    /// What damage took away and the peer knows of.
    told_gaps: Mutex<HashSet<LostRange>>,
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
    pub(super) fn new(hub: Arc<Hub>, peer: SocketAddr, grant: EventHubGrant, advertised: Advertised) -> Self {
        Self { hub, peer, grant, advertised, told_gaps: Mutex::default() }
    }

    /// Whether the peer is to be told of a gap, which it is once a connection.
    pub(super) fn must_tell(&self, gap: LostRange) -> bool {
        let mut told = self.told_gaps.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD_GAPS_MAX {
            told.clear();
        }
        told.insert(gap)
    }

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

/// A text that is no address to tell clients of.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("write HOST:PORT, a name or address by which clients reach the listener")]
pub(crate) struct InvalidAdvertised;

impl Advertised {
    /// As configured; else the name by which the peer came, if it is one of the hub's, and the
    /// port it came to.
    pub(super) fn to(hub: &Hub, peer: &Peer) -> Self {
        if let Some(configured) = &hub.settings.kafka_advertised {
            return configured.clone();
        }
        let asked_for = peer.server_name.as_deref().unwrap_or_default();
        let own = hub.settings.host_names.iter().find(|name| name.eq_ignore_ascii_case(asked_for));
        Self { host: own.map_or(hub.name(), String::as_str).to_owned(), port: peer.local_port }
    }
}

impl FromStr for Advertised {
    type Err = InvalidAdvertised;

    fn from_str(text: &str) -> Result<Self, InvalidAdvertised> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidAdvertised)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(InvalidAdvertised)?;
        parse_host_name(host).map(|host| Self { host, port }).map_err(|_| InvalidAdvertised)
    }
}

impl fmt::Display for Advertised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}
