//! What is remembered of consumer groups, in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use kafka_proto::group::GroupId;
use model::{EventHubId, PartitionId, Timestamp};

use super::record::{Change, Committed, OffsetKey, encoded_bytes};

/// What an entry takes beside its texts.
const ENTRY_BYTES: usize = 160;

/// The outcome of all changes up to now.
#[derive(Debug, Default)]
pub(super) struct Table {
    offsets: BTreeMap<OffsetKey, Committed>,
    active: BTreeMap<GroupId, Timestamp>,
    next_producer_id: i64,
    bytes: usize,
}

/// What a change touched, as it was before.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) offsets: Vec<(OffsetKey, Option<Committed>)>,
    active: Option<(GroupId, Option<Timestamp>)>,
}

/// How far a walk through the whole table has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cursor {
    /// Offsets behind this one, or all.
    Offsets(Option<OffsetKey>),
    /// Groups behind this one, or all.
    Groups(Option<GroupId>),
    /// The next producer id.
    ProducerIds,
    /// Everything was seen.
    Done,
}

impl Table {
    /// Bytes held, texts and the maps' own.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first producer id that was certainly not given out.
    pub(super) fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    pub(super) fn offset(&self, key: &OffsetKey) -> Option<&Committed> {
        self.offsets.get(key)
    }

    pub(super) fn has_offsets(&self, group: &GroupId) -> bool {
        self.of_group(group).next().is_some()
    }

    pub(super) fn of_group(&self, group: &GroupId) -> impl Iterator<Item = (&OffsetKey, &Committed)> {
        let first = OffsetKey { group: group.clone(), hub: EventHubId(0), partition: PartitionId(0) };
        let last = OffsetKey { group: group.clone(), hub: EventHubId(u32::MAX), partition: PartitionId(u32::MAX) };
        self.offsets.range(first..=last)
    }

    /// Groups with offsets, in order.
    pub(super) fn groups(&self) -> Vec<GroupId> {
        let mut groups: Vec<_> = self.offsets.keys().map(|key| key.group.clone()).collect();
        groups.dedup();
        groups
    }

    /// Event hubs with offsets.
    pub(super) fn event_hubs(&self) -> Vec<EventHubId> {
        let mut hubs: Vec<_> = self.offsets.keys().map(|key| key.hub).collect();
        hubs.sort_unstable();
        hubs.dedup();
        hubs
    }

    /// When a group with offsets last committed or had members, as far as that is known.
    pub(super) fn last_use(&self, group: &GroupId) -> Option<Timestamp> {
        let committed = self.of_group(group).map(|(_, committed)| committed.time).max()?;
        Some(self.active.get(group).map_or(committed, |active| committed.max(*active)))
    }

    /// By how much the table would grow.
    pub(super) fn growth(&self, changes: &[Change]) -> usize {
        let grows = |change: &Change| match change {
            Change::Offset(key, Some(committed)) => {
                entry_bytes(key, committed).saturating_sub(self.offset(key).map_or(0, |earlier| entry_bytes(key, earlier)))
            }
            Change::Group(group, Some(_)) if !self.active.contains_key(group) => group_bytes(group),
            Change::Offset(_, None) | Change::Group(..) | Change::EventHubDeleted(_) | Change::ProducerIds(_) => 0,
        };
        changes.iter().map(grows).sum()
    }

    /// Makes a change; gives what it touched.
    pub(super) fn apply(&mut self, change: Change) -> Before {
        match change {
            Change::Offset(key, committed) => Before { offsets: vec![self.set_offset(key, committed)], active: None },
            Change::Group(group, Some(time)) => Before { offsets: Vec::new(), active: Some(self.set_active(group, Some(time))) },
            Change::Group(group, None) => {
                let keys: Vec<_> = self.of_group(&group).map(|(key, _)| key.clone()).collect();
                let offsets = keys.into_iter().map(|key| self.set_offset(key, None)).collect();
                Before { offsets, active: Some(self.set_active(group, None)) }
            }
            Change::EventHubDeleted(hub) => {
                let keys: Vec<_> = self.offsets.keys().filter(|key| key.hub == hub).cloned().collect();
                Before { offsets: keys.into_iter().map(|key| self.set_offset(key, None)).collect(), active: None }
            }
            Change::ProducerIds(next) => {
                self.next_producer_id = self.next_producer_id.max(next);
                Before::default()
            }
        }
    }

    /// Takes the last change back. Producer ids are not: those in between are given to nobody.
    pub(super) fn take_back(&mut self, before: Before) {
        for (key, committed) in before.offsets {
            self.set_offset(key, committed);
        }
        if let Some((group, time)) = before.active {
            self.set_active(group, time);
        }
    }

    fn set_active(&mut self, group: GroupId, time: Option<Timestamp>) -> (GroupId, Option<Timestamp>) {
        let before = match time {
            Some(time) => {
                self.bytes += group_bytes(&group);
                self.active.insert(group.clone(), time)
            }
            None => self.active.remove(&group),
        };
        self.bytes -= before.map_or(0, |_| group_bytes(&group));
        (group, before)
    }

    fn set_offset(&mut self, key: OffsetKey, committed: Option<Committed>) -> (OffsetKey, Option<Committed>) {
        let before = match committed {
            Some(committed) => {
                self.bytes += entry_bytes(&key, &committed);
                self.offsets.insert(key.clone(), committed)
            }
            None => self.offsets.remove(&key),
        };
        self.bytes -= before.as_ref().map_or(0, |before| entry_bytes(&key, before));
        (key, before)
    }

    /// The next part of the table as the changes that make it, at least one and about `bytes_max`
    /// bytes, and where to go on.
    pub(super) fn part(&self, from: &Cursor, bytes_max: usize) -> (Vec<Change>, Cursor) {
        let mut part = Part { changes: Vec::new(), bytes: 0, bytes_max };
        match from {
            Cursor::Offsets(seen) => {
                for (key, committed) in self.offsets.range::<OffsetKey, _>(behind(seen.as_ref())) {
                    if !part.take(Change::Offset(key.clone(), Some(committed.clone()))) {
                        return (part.changes, Cursor::Offsets(Some(key.clone())));
                    }
                }
                (part.changes, Cursor::Groups(None))
            }
            Cursor::Groups(seen) => {
                for (group, time) in self.active.range::<GroupId, _>(behind(seen.as_ref())) {
                    if !part.take(Change::Group(group.clone(), Some(*time))) {
                        return (part.changes, Cursor::Groups(Some(group.clone())));
                    }
                }
                (part.changes, Cursor::ProducerIds)
            }
            Cursor::ProducerIds => (vec![Change::ProducerIds(self.next_producer_id)], Cursor::Done),
            Cursor::Done => (Vec::new(), Cursor::Done),
        }
    }
}

struct Part {
    changes: Vec<Change>,
    bytes: usize,
    bytes_max: usize,
}

impl Part {
    /// Takes a change; `false` when no other should follow.
    fn take(&mut self, change: Change) -> bool {
        self.bytes += encoded_bytes(&change);
        self.changes.push(change);
        self.bytes < self.bytes_max
    }
}

fn behind<K>(seen: Option<&K>) -> (Bound<&K>, Bound<&K>) {
    (seen.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

fn entry_bytes(key: &OffsetKey, committed: &Committed) -> usize {
    ENTRY_BYTES + key.group.as_str().len() + committed.metadata.len()
}

fn group_bytes(group: &GroupId) -> usize {
    ENTRY_BYTES + group.as_str().len()
}

#[cfg(test)]
mod tests {
    use model::SequenceNumber;

    use super::*;

    fn group(name: &str) -> GroupId {
        GroupId::new(name).expect("a group id")
    }

    fn offset(name: &str, hub: u32, partition: u32, offset: i64) -> Change {
        let key = OffsetKey { group: group(name), hub: EventHubId(hub), partition: PartitionId(partition) };
        let time = Timestamp::from_milliseconds(offset * 10);
        Change::Offset(key, Some(Committed { offset: SequenceNumber(offset), leader_epoch: 0, metadata: "note".into(), time }))
    }

    fn filled() -> Table {
        let mut table = Table::default();
        for (name, hub, partition) in [("a", 1, 0), ("a", 1, 1), ("a", 2, 0), ("ab", 1, 0), ("b", 2, 7)] {
            table.apply(offset(name, hub, partition, 5));
        }
        table.apply(Change::Group(group("b"), Some(Timestamp::from_milliseconds(900))));
        table.apply(Change::ProducerIds(2000));
        table
    }

    fn copied(table: &Table, bytes_max: usize) -> (Table, usize) {
        let (mut copy, mut cursor, mut parts) = (Table::default(), Cursor::Offsets(None), 0);
        while cursor != Cursor::Done {
            let (changes, next) = table.part(&cursor, bytes_max);
            changes.into_iter().for_each(|change| drop(copy.apply(change)));
            (cursor, parts) = (next, parts + 1);
        }
        (copy, parts)
    }

    #[test]
    fn a_table_made_from_its_parts_is_the_same() {
        let table = filled();
        for bytes_max in [1, 100, 200, 100_000] {
            let (copy, parts) = copied(&table, bytes_max);
            assert_eq!(format!("{copy:?}"), format!("{table:?}"), "in {parts} parts");
        }
        assert!(copied(&table, 1).1 > copied(&table, 100_000).1);
    }

    #[test]
    fn a_deleted_group_or_event_hub_takes_its_offsets_along_and_no_others() {
        let mut table = filled();
        assert_eq!(table.apply(Change::Group(group("a"), None)).offsets.len(), 3);
        assert_eq!(table.groups(), [group("ab"), group("b")]);
        assert_eq!(table.apply(Change::EventHubDeleted(EventHubId(2))).offsets.len(), 1);
        assert_eq!((table.groups(), table.event_hubs()), (vec![group("ab")], vec![EventHubId(1)]));
        table.apply(Change::Group(group("ab"), None));
        table.apply(Change::Group(group("b"), None));
        assert_eq!(table.bytes(), 0);
    }

    #[test]
    fn changes_taken_back_in_reverse_leave_no_trace() {
        let mut table = filled();
        let before = (format!("{table:?}"), table.bytes());
        let new = Change::Group(group("new"), Some(Timestamp::default()));
        let changes = [offset("a", 1, 0, 6), offset("a", 1, 0, 7), Change::EventHubDeleted(EventHubId(1)), new];
        let deleted = ["a", "b"].map(|name| Change::Group(group(name), None));
        let made: Vec<_> = changes.into_iter().chain(deleted).map(|change| table.apply(change)).collect();
        made.into_iter().rev().for_each(|change| table.take_back(change));
        assert_eq!((format!("{table:?}"), table.bytes()), before);
    }

    #[test]
    fn a_group_was_last_used_when_it_committed_or_had_members() {
        let mut table = filled();
        table.apply(offset("a", 1, 1, 70));
        let last = ["a", "ab", "b", "c"].map(|name| table.last_use(&group(name)).map(Timestamp::as_milliseconds));
        assert_eq!(last, [Some(700), Some(50), Some(900), None]);
    }

    #[test]
    fn growth_counts_what_is_new_only() {
        let mut table = filled();
        let changes = [offset("a", 1, 0, 6), offset("new", 1, 0, 6), Change::Group(group("new"), Some(Timestamp::default()))];
        let expected = table.growth(&changes);
        let before = table.bytes();
        changes.into_iter().for_each(|change| drop(table.apply(change)));
        assert_eq!(table.bytes() - before, expected);
    }
}
