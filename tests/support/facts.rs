//! What a refusal must leave as it was.

use super::service::Service;

/// The part of the hub's state that a device can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    events: usize,
    twins: Vec<(String, u64)>,
    commands: Vec<Vec<String>>,
}

impl Facts {
    /// As it is now, for these identities.
    pub(crate) async fn of(service: &Service, identities: &[&str]) -> Self {
        let mut facts = Self { events: service.events().await.len(), twins: Vec::new(), commands: Vec::new() };
        for identity in identities {
            let twin = service.twin(identity).await;
            facts.twins.push((twin["etag"].to_string(), twin["version"].as_u64().expect("a version")));
            facts.commands.push(service.commands(identity).await);
        }
        facts
    }
}
