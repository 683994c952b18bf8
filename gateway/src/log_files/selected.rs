//! Whether there is what a selection that shows nothing asks for.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::Path;

use event_log::{PartitionReport, Selection};
use model::{EventHubId, PartitionId};

use super::names::HubNames;
use super::{LookError, look};

/// Looks at all of the log in `directory`, which is sound: an event hub is there if it has a name or
/// has left a trace.
///
/// # Errors
/// [`LookError::UnknownNumber`], [`LookError::UnknownPartition`], and as every look.
pub(super) fn check(directory: &Path, selection: Selection, names: &HubNames) -> Result<(), LookError> {
    let traces = look(directory, Selection::default(), &mut |_| ControlFlow::Continue(()))?.partitions;
    let hubs: BTreeSet<_> = traces.iter().map(|trace| trace.hub).chain(names.hubs()).collect();
    if let Some(hub) = selection.hub.filter(|hub| !hubs.contains(hub)) {
        let known = listed(hubs.iter().map(|hub| names.label(*hub)));
        return Err(LookError::UnknownNumber { hub, log: directory.to_owned(), known });
    }
    let Some(partition) = selection.partition else { return Ok(()) };
    let partitions = partitions_of(&traces, selection.hub);
    // They are numbered from 0 on: one below another is there, and may be empty.
    if partitions.last().is_some_and(|last| *last < partition) {
        return Err(LookError::UnknownPartition { partition, log: directory.to_owned(), known: listed(partitions) });
    }
    Ok(())
}

fn partitions_of(traces: &[PartitionReport], hub: Option<EventHubId>) -> BTreeSet<PartitionId> {
    traces.iter().filter(|trace| hub.is_none_or(|hub| hub == trace.hub)).map(|trace| trace.partition).collect()
}

fn listed(known: impl IntoIterator<Item = impl Display>) -> String {
    let known: Vec<String> = known.into_iter().map(|one| one.to_string()).collect();
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}
