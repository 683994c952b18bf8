//! What is known of event hubs and policies at one moment.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use model::{Epoch, EventHubId, EventHubName, EventHubRights, PartitionId, Policy, Rights, Secret};
use twins::{EventHub, EventHubPolicy};
use zeroize::Zeroizing;

/// A moment's event hubs and policies.
#[derive(Debug, Default)]
pub(super) struct View {
    /// In the order of creation.
    hubs: Vec<Place>,
    by_name: HashMap<EventHubName, Arc<EventHub>>,
    /// By name; several event hubs may have a policy of one name.
    policies: HashMap<String, Vec<Holding>>,
}

/// An event hub and whose turn it is.
#[derive(Debug)]
struct Place {
    hub: Arc<EventHub>,
    turn: Arc<AtomicU32>,
}

/// What knowing a policy's key gives.
#[derive(Clone)]
pub(super) struct Holding {
    /// The event hub it is for; all when it is a policy of the hub itself.
    pub(super) of: Option<(EventHubId, EventHubName)>,
    pub(super) rights: EventHubRights,
    /// Keys as the text that clients send.
    pub(super) keys: [Zeroizing<String>; 2],
    /// Rises when the policy changes or goes.
    pub(super) epoch: Epoch,
}

impl std::fmt::Debug for Holding {
    /// Never shows a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Holding").field("of", &self.of).field("rights", &self.rights).finish_non_exhaustive()
    }
}

impl View {
    pub(super) fn hubs(&self) -> impl Iterator<Item = &Arc<EventHub>> {
        self.hubs.iter().map(|place| &place.hub)
    }

    pub(super) fn named(&self, name: &str) -> Option<Arc<EventHub>> {
        self.by_name.get(name).cloned()
    }

    /// Policies of this name.
    pub(super) fn holdings(&self, policy: &str) -> &[Holding] {
        self.policies.get(policy).map_or(&[], Vec::as_slice)
    }

    /// The partition whose turn it is. One event hub's turns do not depend on another's.
    pub(super) fn next_partition(&self, hub: &EventHub) -> PartitionId {
        let turn = self.hubs.iter().find(|place| place.hub.id == hub.id).map_or(0, |place| place.turn.fetch_add(1, Ordering::Relaxed));
        PartitionId(turn % hub.partitions.get())
    }

    /// The view of what is stored now, and the epochs of policies that are not as they were.
    pub(super) fn succeeded_by(&self, hubs: Vec<EventHub>, own: Vec<EventHubPolicy>, hub_wide: Vec<Policy>) -> (Self, Vec<Epoch>) {
        let turn = |id| self.hubs.iter().find(|place| place.hub.id == id).map(|place| Arc::clone(&place.turn)).unwrap_or_default();
        let hubs: Vec<Place> = hubs.into_iter().map(|hub| Place { turn: turn(hub.id), hub: Arc::new(hub) }).collect();
        let by_name = hubs.iter().map(|place| (place.hub.name.clone(), Arc::clone(&place.hub))).collect();
        let mut next = Self { hubs, by_name, policies: HashMap::new() };
        for policy in hub_wide {
            let rights = rights_on_event_hubs(policy.rights);
            next.hold(&policy.name, None, rights, [&policy.primary, &policy.secondary]);
        }
        for policy in own {
            let hub = next.hubs().find(|hub| hub.id == policy.event_hub).map(|hub| (hub.id, hub.name.clone()));
            if hub.is_some() {
                next.hold(policy.name.as_str(), hub, policy.rights, [&policy.primary, &policy.secondary]);
            }
        }
        let ended = next.keep_epochs(self);
        (next, ended)
    }

    fn hold(&mut self, name: &str, of: Option<(EventHubId, EventHubName)>, rights: EventHubRights, keys: [&Secret; 2]) {
        let keys = keys.map(|key| Zeroizing::new(key.to_base64()));
        self.policies.entry(name.to_owned()).or_default().push(Holding { of, rights, keys, epoch: Epoch::default() });
    }

    /// A policy that is as it was goes on under its epoch; gives the epochs of the others.
    fn keep_epochs(&mut self, earlier: &Self) -> Vec<Epoch> {
        let mut ended = Vec::new();
        for (name, holdings) in &earlier.policies {
            let present = self.policies.get_mut(name).map_or(&mut [][..], Vec::as_mut_slice);
            for holding in holdings {
                match present.iter_mut().find(|present| present.gives_the_same_as(holding)) {
                    Some(same) => same.epoch = holding.epoch.clone(),
                    None => ended.push(holding.epoch.clone()),
                }
            }
        }
        ended
    }
}

impl Holding {
    fn gives_the_same_as(&self, other: &Self) -> bool {
        self.of == other.of && self.rights == other.rights && self.keys == other.keys
    }
}

/// What a policy of the hub itself, or an operator's certificate, may do with its event hubs:
/// everything with all rights, read with the right to connect as a service.
pub(super) fn rights_on_event_hubs(rights: Rights) -> EventHubRights {
    if rights.contains(Rights::ALL) {
        EventHubRights::MANAGE
    } else if rights.contains(Rights::SERVICE_CONNECT) {
        EventHubRights::LISTEN
    } else {
        EventHubRights::NONE
    }
}
