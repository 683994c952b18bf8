//! Events as they are read back.

use model::api::{EventBody, EventItem, EventLine};

/// What the event stream gave.
#[derive(Debug, Default)]
pub(crate) struct StoredEvents {
    /// The events, in order within each partition.
    pub(crate) items: Vec<EventItem>,
    /// Ranges reported as lost.
    pub(crate) gaps: usize,
}

impl StoredEvents {
    /// Reads the stream's text.
    pub(crate) fn read(text: &str) -> Self {
        let mut this = Self::default();
        for line in text.lines() {
            match serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")) {
                EventLine::Gap(_) => this.gaps += 1,
                EventLine::Event(item) => this.items.push(*item),
            }
        }
        this
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// The bodies of `device` or `device/module`, in order.
    pub(crate) fn bodies(&self, identity: &str) -> Vec<&str> {
        self.of(identity).map(body).collect()
    }

    /// The events of `device` or `device/module`, in order.
    pub(crate) fn of(&self, identity: &str) -> impl Iterator<Item = &EventItem> {
        let (device, module) = match identity.split_once('/') {
            None => (identity.to_owned(), None),
            Some((device, module)) => (device.to_owned(), Some(module.to_owned())),
        };
        self.items.iter().filter(move |item| item.device_id.as_ref() == Some(&device) && item.module_id == module)
    }
}

/// A body that is text.
pub(crate) fn body(item: &EventItem) -> &str {
    match &item.body {
        EventBody::Text(text) => text,
        EventBody::Base64(bytes) => panic!("the body is not text: {bytes}"),
    }
}
