//! Who may use event hubs: the holder of a policy's key, or of an operator's certificate.

use std::sync::Arc;

use aws_lc_rs::constant_time;
use certs::judge::OperatorGrant;
use model::{Clock, Epoch, EventHubName, EventHubRights};
use tokio::sync::watch;

use super::EventHubs;
use super::view::{Holding, View, rights_on_event_hubs};

/// What somebody may do with event hubs, as long as [`EventHubGrant::is_current`].
///
/// A connection asks [`EventHubGrant::allows`] for each event hub of each request; and beside
/// whatever it waits for it waits for [`EventHubGrant::ended`], so that it closes at once, though
/// it is idle, when the policy it came by changes or is deleted:
///
/// ```text
/// tokio::select! {
///     request = connection.next_request() => …,
///     () = grant.ended() => return close(),
/// }
/// ```
#[derive(Debug, Clone)]
pub(crate) struct EventHubGrant {
    /// The policy's or the certificate's name, for logs.
    pub(crate) name: String,
    /// What may be done.
    pub(crate) rights: EventHubRights,
    /// The only event hub it may be done with; all when absent.
    pub(crate) hub: Option<EventHubName>,
    vouched: Voucher,
    changes: watch::Receiver<u64>,
}

/// What a grant rests on.
#[derive(Debug, Clone)]
enum Voucher {
    Policy(Epoch, u64),
    Operator(OperatorGrant, Clock),
}

impl EventHubGrant {
    /// Whether `wanted` may be done with the event hub `hub`. Does not ask whether the grant is
    /// current.
    pub(crate) fn allows(&self, hub: &str, wanted: EventHubRights) -> bool {
        self.rights.contains(wanted) && self.hub.as_ref().is_none_or(|only| only.as_str() == hub)
    }

    /// Whether the grant still holds: one atomic load as a rule.
    pub(crate) fn is_current(&self) -> bool {
        match &self.vouched {
            Voucher::Policy(epoch, granted) => epoch.current() == *granted,
            Voucher::Operator(grant, clock) => grant.is_current(clock.now()),
        }
    }

    /// Waits until the policy it was granted by has changed or is gone. May be dropped while it
    /// waits. The end of a certificate's life does not wake it: ask [`Self::is_current`] at each
    /// request.
    pub(crate) async fn ended(&self) {
        let mut changes = self.changes.clone();
        while self.is_current() {
            if changes.changed().await.is_err() {
                // The event hubs themselves are gone, and with them whoever could tell.
                return;
            }
        }
    }
}

impl EventHubs {
    /// What the holder of `key`, a key's text as the connection string shows it, may do under the
    /// name `policy`: a policy of the hub itself, or one of an event hub. Where several event hubs
    /// have a policy of that name, the key decides. `None` for an unknown policy, another key and
    /// a policy without rights on event hubs; keys are compared in constant time.
    ///
    /// `entity_path` names the only event hub that the grant is to hold for; a policy of another
    /// event hub does not count then. An event hub that does not exist is for whoever looks it up
    /// to tell.
    pub(crate) fn access(&self, policy: &str, key: &str, entity_path: Option<&str>) -> Option<EventHubGrant> {
        loop {
            let view = self.inner.view.load_full();
            let granted = self.granted(&view, policy, key, entity_path);
            // A change that this did not see would not find the grant either: judge again.
            if Arc::ptr_eq(&view, &self.inner.view.load()) {
                return granted;
            }
        }
    }

    fn granted(&self, view: &View, policy: &str, key: &str, entity_path: Option<&str>) -> Option<EventHubGrant> {
        let entity: Option<EventHubName> = match entity_path {
            Some(path) => Some(path.parse().ok()?),
            None => None,
        };
        let counts = |holding: &&Holding| match (&holding.of, &entity) {
            (Some((_, of)), Some(entity)) => of == entity,
            (None, _) | (_, None) => true,
        };
        let holding = view.holdings(policy).iter().filter(counts).find(|holding| opens(holding, key))?;
        if holding.rights == EventHubRights::NONE {
            return None;
        }
        Some(EventHubGrant {
            name: policy.to_owned(),
            rights: holding.rights,
            hub: holding.of.as_ref().map(|(_, name)| name.clone()).or(entity),
            vouched: Voucher::Policy(holding.epoch.clone(), holding.epoch.current()),
            changes: self.inner.ended.subscribe(),
        })
    }

    /// What an operator who showed a pinned certificate may do. `None` when that is nothing.
    pub(crate) fn operator_access(&self, grant: OperatorGrant, clock: Clock) -> Option<EventHubGrant> {
        let rights = rights_on_event_hubs(grant.rights);
        let name = grant.name.clone();
        let changes = self.inner.ended.subscribe();
        let vouched = Voucher::Operator(grant, clock);
        (rights != EventHubRights::NONE).then_some(EventHubGrant { name, rights, hub: None, vouched, changes })
    }
}

/// Compares with both keys, whichever fits, in a time that depends on lengths alone.
fn opens(holding: &Holding, key: &str) -> bool {
    let fits = |kept: &str| constant_time::verify_slices_are_equal(kept.as_bytes(), key.as_bytes()).is_ok();
    let [primary, secondary] = &holding.keys;
    fits(primary) | fits(secondary)
}
