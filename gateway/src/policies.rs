//! Shared access policies at the start: those that stand in the configuration are as it says.

use std::collections::HashSet;

use model::Policy;
use twins::PolicyChange;

use crate::hub::{Hub, HubOpenError};

/// Makes the stored policies what the configuration says, in one transaction, before anybody is
/// let in: a key that no longer stands there is refused from then on. Those it does not name stay,
/// and the ones that nothing but an earlier configuration can have made are warned of: all but the
/// hub's `own`, which it makes by itself.
///
/// # Errors
/// [`HubOpenError`]; the stored policies are as before, or as configured.
pub(crate) async fn hold(hub: &Hub, configured: Vec<Policy>, own: &[&str]) -> Result<(), HubOpenError> {
    let names: Vec<String> = configured.iter().map(|policy| policy.name.clone()).collect();
    let changes = hub.twins.set_policies(configured).await?;
    for (policy, change) in names.iter().zip(changes) {
        match change {
            PolicyChange::Unchanged => {}
            PolicyChange::Created => tracing::info!(policy, "a policy was created as configured"),
            PolicyChange::Replaced { keys, rights } => {
                tracing::warn!(policy, keys, rights, "a policy had other keys or rights than are configured, which hold from now on");
            }
        }
    }
    for policy in forgotten(hub, &names, own).await? {
        tracing::warn!(
            policy,
            "a policy that is not configured holds as it is stored; to end it, configure it with new keys and rights = []"
        );
    }
    hub.reload_trust().await
}

/// Stored policies that are neither configured nor the hub's own.
async fn forgotten(hub: &Hub, configured: &[String], own: &[&str]) -> Result<Vec<String>, HubOpenError> {
    let known: HashSet<&str> = configured.iter().map(String::as_str).chain(own.iter().copied()).collect();
    let stored = hub.twins.policies().await?;
    Ok(stored.into_iter().map(|policy| policy.name).filter(|name| !known.contains(name.as_str())).collect())
}
