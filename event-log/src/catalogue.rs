//! What lies on disk, as readers see it: of each hub the sealed files, then the segments that are
//! not sealed yet, all in order of their epochs.

use std::collections::HashMap;
use std::sync::Arc;

use model::{EventHubId, SequenceNumber};

use crate::partition::PartitionKey;
use crate::sealed::SealedFile;
use crate::segment::Segment;
use crate::sync::read;

/// See the module's documentation. Whoever takes a file out of it leaves readers that hold the
/// file undisturbed: it stays open until the last of them is done.
#[derive(Default)]
pub(crate) struct Catalogue {
    sealed: HashMap<EventHubId, Vec<Arc<SealedFile>>>,
    /// Files that do not verify, by hub and epoch; kept until retention passes them.
    damaged: Vec<(EventHubId, u64)>,
    /// The last one is written.
    unsealed: Vec<Arc<Segment>>,
}

/// A file that may hold events of a partition.
pub(crate) enum Source {
    Sealed(Arc<SealedFile>),
    Unsealed(Arc<Segment>),
}

impl Source {
    pub(crate) fn epoch(&self) -> u64 {
        match self {
            Self::Sealed(file) => file.epoch(),
            Self::Unsealed(segment) => segment.identity.epoch,
        }
    }
}

impl Catalogue {
    /// Sealed files and segments in order of their epochs.
    pub(crate) fn new(files: Vec<SealedFile>, damaged: Vec<(EventHubId, u64)>, unsealed: Vec<Arc<Segment>>) -> Self {
        let mut catalogue = Self { sealed: HashMap::new(), damaged, unsealed };
        files.into_iter().for_each(|file| catalogue.add(file));
        catalogue
    }

    fn add(&mut self, file: SealedFile) {
        self.sealed.entry(file.hub()).or_default().push(Arc::new(file));
    }

    /// Segments that wait to be sealed.
    pub(crate) fn full_segments(&self) -> usize {
        self.unsealed.len().saturating_sub(1)
    }

    /// The next segment to seal, and the one after it.
    pub(crate) fn oldest_full(&self) -> Option<(Arc<Segment>, Arc<Segment>)> {
        match self.unsealed.as_slice() {
            [oldest, successor, ..] => Some((Arc::clone(oldest), Arc::clone(successor))),
            _ => None,
        }
    }

    /// Goes on in a new segment.
    pub(crate) fn push(&mut self, segment: Arc<Segment>) {
        self.unsealed.push(segment);
    }

    /// Sealed files take the place of the oldest segment.
    pub(crate) fn swap(&mut self, segment: &Segment, files: Vec<SealedFile>) {
        self.unsealed.retain(|other| other.identity != segment.identity);
        files.into_iter().for_each(|file| self.add(file));
    }

    /// A hub's sealed files, the oldest first.
    pub(crate) fn files(&self, hub: EventHubId) -> &[Arc<SealedFile>] {
        self.sealed.get(&hub).map(Vec::as_slice).unwrap_or_default()
    }

    /// The epochs of a hub's damaged files older than `epoch`.
    pub(crate) fn damaged_before(&self, hub: EventHubId, epoch: u64) -> Vec<u64> {
        self.damaged.iter().filter(|(owner, at)| *owner == hub && *at < epoch).map(|(_, at)| *at).collect()
    }

    /// Takes out a hub's files up to `epoch`, this one included.
    pub(crate) fn forget_up_to(&mut self, hub: EventHubId, epoch: u64) {
        if let Some(files) = self.sealed.get_mut(&hub) {
            files.retain(|file| file.epoch() > epoch);
        }
        self.damaged.retain(|(owner, at)| *owner != hub || *at > epoch);
    }

    /// Takes out all files of a hub.
    pub(crate) fn forget_hub(&mut self, hub: EventHubId) {
        self.sealed.remove(&hub);
        self.damaged.retain(|(owner, _)| *owner != hub);
    }

    /// The first file that a search for `position` must look into.
    pub(crate) fn source_of(&self, key: PartitionKey, position: SequenceNumber) -> Option<Source> {
        let holds = |file: &&Arc<SealedFile>| file.part(key.1).is_some_and(|part| part.end > position);
        if let Some(file) = self.files(key.0).iter().find(holds) {
            return Some(Source::Sealed(Arc::clone(file)));
        }
        let holds = |segment: &Arc<Segment>| read(&segment.index).first(key).is_some_and(|first| first.base <= position);
        let first = self.unsealed.iter().rposition(holds).unwrap_or(0);
        self.unsealed.get(first).cloned().map(Source::Unsealed)
    }

    /// A hub's first file of `epoch` or later.
    pub(crate) fn source_from(&self, hub: EventHubId, epoch: u64) -> Option<Source> {
        let files = self.files(hub);
        let first = files.partition_point(|file| file.epoch() < epoch);
        if let Some(file) = files.get(first) {
            return Some(Source::Sealed(Arc::clone(file)));
        }
        let segment = self.unsealed.iter().find(|segment| segment.identity.epoch >= epoch);
        segment.cloned().map(Source::Unsealed)
    }

    /// The hub's files, the oldest first, then the segments.
    pub(crate) fn sources(&self, hub: EventHubId) -> impl DoubleEndedIterator<Item = Source> + '_ {
        let sealed = self.files(hub).iter().cloned().map(Source::Sealed);
        sealed.chain(self.unsealed.iter().cloned().map(Source::Unsealed))
    }
}
