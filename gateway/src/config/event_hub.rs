//! `[[event_hub]]`: an event hub that this hub is to have.

use std::collections::HashSet;

use model::event_hub::checked_message_bytes_max;
use model::limits::RETENTION_TIME_DEFAULT;
use model::partition::PartitionCount;
use model::{EventHubName, Retention};

use super::faults::{Faults, Keys};
use super::units::{ByteSize, Span};
use crate::event_hubs::ConfiguredEventHub;

/// The section as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventHubSection {
    wanted: ConfiguredEventHub,
    /// Its place in the file, for what is found later.
    path: String,
}

impl EventHubSection {
    pub(super) fn read(keys: &mut Keys, faults: &mut Faults) -> Option<Self> {
        let at = |keys: &Keys, key| keys.path_of(key);
        let name: Option<EventHubName> = keys.require("name", faults);
        let partitions: Option<u32> = keys.take("partitions", faults);
        let partitions = partitions.and_then(|count| faults.check(&at(keys, "partitions"), PartitionCount::try_from(count)));
        let time: Option<Span> = keys.take("retention", faults);
        let bytes: Option<ByteSize> = keys.take("retention_bytes", faults);
        let message_bytes_max: Option<ByteSize> = keys.take("message_bytes_max", faults);
        let whole = |time, bytes| Retention { time, bytes }.checked();
        let time = time.and_then(|Span(time)| faults.check(&at(keys, "retention"), whole(time, None)));
        let bytes =
            bytes.and_then(|ByteSize(bytes)| faults.check(&at(keys, "retention_bytes"), whole(RETENTION_TIME_DEFAULT, Some(bytes))));
        let message_bytes_max = message_bytes_max.and_then(|ByteSize(bytes)| {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            faults.check(&at(keys, "message_bytes_max"), checked_message_bytes_max(bytes))
        });
        let wanted = ConfiguredEventHub {
            name: name?,
            partitions,
            retention_time: time.map(|retention| retention.time),
            retention_bytes: bytes.and_then(|retention| retention.bytes),
            message_bytes_max,
        };
        Some(Self { wanted, path: keys.path_of("").trim_end_matches('.').to_owned() })
    }
}

/// Looks for what two sections say of one thing.
pub(super) fn resolve(sections: Vec<EventHubSection>, faults: &mut Faults) -> Vec<ConfiguredEventHub> {
    let mut names = HashSet::new();
    for EventHubSection { wanted, path } in &sections {
        if !names.insert(&wanted.name) {
            faults.add(format!("{path}.name"), format_args!("{:?} is the name of another event hub, too", wanted.name.as_str()));
        }
        if wanted.name == EventHubName::events() && wanted.partitions.is_some() {
            faults.add(format!("{path}.partitions"), "is given for `events` as hub.partitions");
        }
    }
    sections.into_iter().map(|section| section.wanted).collect()
}
