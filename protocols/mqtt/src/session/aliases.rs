//! Topic aliases that a client has set (MQTT 5 §3.3.2.3.4).

use super::violation::Violation;
use crate::wire::{Publish, Text};

/// The topics behind a client's aliases, 1 upwards.
#[derive(Debug)]
pub(super) struct Aliases {
    topics: Vec<Option<Text>>,
    maximum: u16,
}

impl Aliases {
    pub(super) fn new(maximum: u16) -> Self {
        Self { topics: Vec::new(), maximum }
    }

    /// Sets the alias if the message has a topic, and the message's topic if it has none.
    pub(super) fn resolve(&mut self, publish: &mut Publish) -> Result<(), Violation> {
        let Some(alias) = publish.properties.topic_alias.take() else { return Ok(()) };
        if alias == 0 || alias > self.maximum {
            return Err(Violation::TopicAliasInvalid { alias, limit: self.maximum });
        }
        let index = usize::from(alias) - 1;
        if publish.topic.is_empty() {
            let topic = self.topics.get(index).and_then(Option::as_ref);
            publish.topic = topic.ok_or(Violation::TopicAliasUnknown { alias })?.clone();
            return Ok(());
        }
        if self.topics.len() <= index {
            self.topics.resize(index + 1, None);
        }
        if let Some(topic) = self.topics.get_mut(index) {
            *topic = Some(publish.topic.detached());
        }
        Ok(())
    }
}
