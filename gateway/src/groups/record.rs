//! What the hub remembers of consumer groups, as records of its internal event hub.
//!
//! Replayed from the first to the last, each change replaces what an earlier one with the same key
//! said. All numbers are big-endian; a text is its length as `u16` and UTF-8.
//!
//! ```text
//! key    0  1  version, 1
//!        1  1  kind
//!        2  …  by kind
//!
//! kind            key goes on with                      value                                       null value
//! 1 offset        group text | hub u32 | partition u32  offset i64 | leader epoch i32 |             deleted
//!                                                       commit time i64 | metadata text
//! 2 group         group text                            last active i64                             deleted, with all its offsets
//! 3 event hub     hub u32                               –                                           deleted, with all its offsets
//! 4 producer ids  –                                     next i64: ids below may be given out        –
//! ```
//!
//! Times are milliseconds since 1970.

use std::sync::Arc;

use bytes::{Buf, BufMut};
use event_log::{Batch, BatchBuilder, Record, StoredEvent};
use kafka_proto::group::GroupId;
use model::{EventHubId, PartitionId, SequenceNumber, Timestamp};
use thiserror::Error;

const VERSION: u8 = 1;
const OFFSET: u8 = 1;
const GROUP: u8 = 2;
const EVENT_HUB: u8 = 3;
const PRODUCER_IDS: u8 = 4;

/// Whose position, and where.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct OffsetKey {
    /// The group.
    pub group: GroupId,
    /// The event hub.
    pub hub: EventHubId,
    /// Its partition.
    pub partition: PartitionId,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The next event the group reads.
    pub offset: SequenceNumber,
    /// As the client said; -1 if it did not.
    pub leader_epoch: i32,
    /// The client's note.
    pub metadata: Arc<str>,
    /// When the hub took it.
    pub time: Timestamp,
}

/// A change of what is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A group has read up to here; absent, it is as if it never had.
    Offset(OffsetKey, Option<Committed>),
    /// When a group last had members; absent, it is deleted and its offsets with it.
    Group(GroupId, Option<Timestamp>),
    /// An event hub is deleted, and all offsets in it.
    EventHubDeleted(EventHubId),
    /// Producer ids below this may have been given out.
    ProducerIds(i64),
}

/// A record that this version does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("event {sequence} of the hub's internal event hub is not one this version reads")]
pub(crate) struct UnreadableRecord {
    /// Its number.
    pub sequence: SequenceNumber,
}

/// One batch of these changes.
pub(super) fn batch_of<'a>(changes: impl IntoIterator<Item = &'a Change>, now: Timestamp) -> Batch {
    let mut builder = BatchBuilder::new(now);
    for change in changes {
        let (key, value) = encode(change);
        builder.push(Record { timestamp: now, key: Some(&key), value: value.as_deref(), headers: &[] });
    }
    builder.finish()
}

/// About how many bytes a change takes in a batch.
pub(super) fn encoded_bytes(change: &Change) -> usize {
    const RECORD_BYTES: usize = 48;
    match change {
        Change::Offset(key, committed) => {
            RECORD_BYTES + key.group.as_str().len() + committed.as_ref().map_or(0, |committed| committed.metadata.len())
        }
        Change::Group(group, _) => RECORD_BYTES + group.as_str().len(),
        Change::EventHubDeleted(_) | Change::ProducerIds(_) => RECORD_BYTES,
    }
}

fn encode(change: &Change) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut key = vec![VERSION];
    let value = match change {
        Change::Offset(place, committed) => {
            key.push(OFFSET);
            put_text(&mut key, place.group.as_str());
            key.put_u32(place.hub.0);
            key.put_u32(place.partition.0);
            committed.as_ref().map(encode_committed)
        }
        Change::Group(group, active) => {
            key.push(GROUP);
            put_text(&mut key, group.as_str());
            active.map(|active| active.as_milliseconds().to_be_bytes().to_vec())
        }
        Change::EventHubDeleted(hub) => {
            key.push(EVENT_HUB);
            key.put_u32(hub.0);
            None
        }
        Change::ProducerIds(next) => {
            key.push(PRODUCER_IDS);
            Some(next.to_be_bytes().to_vec())
        }
    };
    (key, value)
}

fn encode_committed(committed: &Committed) -> Vec<u8> {
    let mut value = Vec::with_capacity(22 + committed.metadata.len());
    value.put_i64(committed.offset.0);
    value.put_i32(committed.leader_epoch);
    value.put_i64(committed.time.as_milliseconds());
    put_text(&mut value, &committed.metadata);
    value
}

/// Group ids and metadata are far shorter than a length can say.
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.put_u16(text.len() as u16);
    out.put_slice(text.as_bytes());
}

/// Reads a stored event.
///
/// # Errors
/// [`UnreadableRecord`]
pub(super) fn decode(event: &StoredEvent) -> Result<Change, UnreadableRecord> {
    let decoded = decode_parts(event.key.as_deref().unwrap_or_default(), event.value.as_deref());
    decoded.ok_or(UnreadableRecord { sequence: event.sequence })
}

fn decode_parts(mut key: &[u8], value: Option<&[u8]>) -> Option<Change> {
    if key.try_get_u8().ok()? != VERSION {
        return None;
    }
    match key.try_get_u8().ok()? {
        OFFSET => {
            let group = GroupId::new(&take_text(&mut key)?).ok()?;
            let hub = EventHubId(key.try_get_u32().ok()?);
            let partition = PartitionId(key.try_get_u32().ok()?);
            let committed = match value {
                Some(value) => Some(decode_committed(value)?),
                None => None,
            };
            Some(Change::Offset(OffsetKey { group, hub, partition }, committed))
        }
        GROUP => {
            let group = GroupId::new(&take_text(&mut key)?).ok()?;
            let active = match value {
                Some(mut value) => Some(Timestamp::from_milliseconds(value.try_get_i64().ok()?)),
                None => None,
            };
            Some(Change::Group(group, active))
        }
        EVENT_HUB => Some(Change::EventHubDeleted(EventHubId(key.try_get_u32().ok()?))),
        PRODUCER_IDS => Some(Change::ProducerIds(value?.try_get_i64().ok()?)),
        _ => None,
    }
}

fn decode_committed(mut value: &[u8]) -> Option<Committed> {
    Some(Committed {
        offset: SequenceNumber(value.try_get_i64().ok()?),
        leader_epoch: value.try_get_i32().ok()?,
        time: Timestamp::from_milliseconds(value.try_get_i64().ok()?),
        metadata: take_text(&mut value)?.into(),
    })
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::from(rest.try_get_u16().ok()?);
    let (text, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn change() -> impl Strategy<Value = Change> {
        let group = || "[a-zä]{1,40}".prop_map(|text| GroupId::new(&text).expect("a group id"));
        let time = || (0_i64..1 << 45).prop_map(Timestamp::from_milliseconds);
        let committed = (any::<i64>(), any::<i32>(), ".{0,40}", time()).prop_map(|(offset, leader_epoch, metadata, time)| Committed {
            offset: SequenceNumber(offset),
            leader_epoch,
            metadata: metadata.into(),
            time,
        });
        let key = (group(), any::<u32>(), any::<u32>()).prop_map(|(group, hub, partition)| OffsetKey {
            group,
            hub: EventHubId(hub),
            partition: PartitionId(partition),
        });
        prop_oneof![
            (key, prop::option::of(committed)).prop_map(|(key, committed)| Change::Offset(key, committed)),
            (group(), prop::option::of(time())).prop_map(|(group, active)| Change::Group(group, active)),
            any::<u32>().prop_map(|hub| Change::EventHubDeleted(EventHubId(hub))),
            any::<i64>().prop_map(Change::ProducerIds),
        ]
    }

    proptest! {
        #[test]
        fn a_change_reads_back_as_it_was_written(change in change()) {
            let (key, value) = encode(&change);
            prop_assert!(key.len() + value.as_ref().map_or(0, Vec::len) <= encoded_bytes(&change));
            prop_assert_eq!(decode_parts(&key, value.as_deref()), Some(change));
        }

        #[test]
        fn foreign_bytes_are_refused_not_fatal(key in prop::collection::vec(any::<u8>(), 0..32), value in prop::collection::vec(any::<u8>(), 0..32)) {
            let _ = decode_parts(&key, Some(&value));
            prop_assert_eq!(decode_parts(&[&[VERSION + 1], &key[..]].concat(), None), None);
        }
    }
}
