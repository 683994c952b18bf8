//! `hubctl hub policy …`

use std::io::Write;

use hubctl::HubClient;
use model::api::{EventHubPolicyInfo, EventHubPolicyRequest};
use model::connection_string::EventHubConnectionString;
use model::{EventHubName, EventHubRights};
use serde::Serialize;

use crate::args::PolicyVerb;
use crate::exit::Failure;
use crate::output::{Output, Table};

pub(super) async fn run<W: Write>(hub: &HubClient, output: &mut Output<W>, verb: PolicyVerb) -> Result<(), Failure> {
    match verb {
        PolicyVerb::Create { hub: event_hub, name, rights } => {
            let rights = rights.into_iter().fold(EventHubRights::NONE, |all, right| all | right);
            let policy = hub.create_event_hub_policy(&event_hub, &name, &EventHubPolicyRequest { rights }).await?;
            Ok(output.result(&shown(hub, event_hub, policy), details)?)
        }
        PolicyVerb::List { hub: event_hub } => {
            let policies = hub.event_hub_policies(&event_hub).await?;
            let policies: Vec<_> = policies.into_iter().map(|policy| shown(hub, event_hub.clone(), policy)).collect();
            Ok(output.result(&policies, |policies| overview(policies))?)
        }
        PolicyVerb::Show { hub: event_hub, name } => {
            let policy = hub.event_hub_policy(&event_hub, &name).await?;
            Ok(output.result(&shown(hub, event_hub, policy), details)?)
        }
        PolicyVerb::Delete { hub: event_hub, name } => {
            hub.delete_event_hub_policy(&event_hub, &name).await?;
            Ok(output.done(&format!("policy {name} of the event hub {event_hub} deleted"))?)
        }
    }
}

/// A policy with what a client is given.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    policy: EventHubPolicyInfo,
    connection_string: String,
}

fn shown(hub: &HubClient, entity_path: EventHubName, policy: EventHubPolicyInfo) -> Shown {
    let (name, key) = (policy.name.clone(), policy.primary_key.clone());
    let connection_string = EventHubConnectionString { host: hub.host().to_owned(), policy: name, key, entity_path };
    Shown { policy, connection_string: connection_string.to_string() }
}

fn overview(policies: &[Shown]) -> Table {
    let row = |shown: &Shown| vec![shown.policy.name.to_string(), shown.policy.rights.to_string()];
    Table::rows(&["policy", "rights"], policies.iter().map(row))
}

fn details(shown: &Shown) -> Table {
    Table::fields([
        ("policy", shown.policy.name.to_string()),
        ("rights", shown.policy.rights.to_string()),
        ("primary key", shown.policy.primary_key.clone()),
        ("secondary key", shown.policy.secondary_key.clone()),
        ("connection string", shown.connection_string.clone()),
    ])
}
