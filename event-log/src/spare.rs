//! The next segment, prepared while the present one fills, so that rolling does not stall.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::disk::{Disk, DiskFile};
use crate::segment;

type Prepared = io::Result<Arc<dyn DiskFile>>;

/// Where prepared files come from.
pub(crate) struct SpareSegments {
    workshop: Workshop,
    preparer: Option<Preparer>,
}

struct Workshop {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    segment_bytes: u64,
}

struct Preparer {
    orders: SyncSender<u64>,
    deliveries: Receiver<Prepared>,
    ordered: Option<u64>,
}

impl Workshop {
    fn prepare(&self, epoch: u64) -> Prepared {
        segment::prepare(&*self.disk, &self.directory, epoch, self.segment_bytes)
    }
}

impl SpareSegments {
    /// Prepares segments when they are needed, on the caller's thread.
    #[cfg(feature = "testkit")]
    pub(crate) fn inline(disk: Arc<dyn Disk>, directory: PathBuf, segment_bytes: u64) -> Self {
        Self { workshop: Workshop { disk, directory, segment_bytes }, preparer: None }
    }

    /// Prepares segments ahead, on a thread that ends when this value is dropped.
    pub(crate) fn background(disk: Arc<dyn Disk>, directory: PathBuf, segment_bytes: u64) -> io::Result<Self> {
        let (orders, incoming) = sync_channel::<u64>(1);
        let (outgoing, deliveries) = sync_channel(1);
        let workshop = Workshop { disk: Arc::clone(&disk), directory: directory.clone(), segment_bytes };
        thread::Builder::new().name("log-segments".into()).spawn(move || {
            while let Ok(epoch) = incoming.recv() {
                if outgoing.send(workshop.prepare(epoch)).is_err() {
                    break;
                }
            }
        })?;
        let preparer = Some(Preparer { orders, deliveries, ordered: None });
        Ok(Self { workshop: Workshop { disk, directory, segment_bytes }, preparer })
    }

    /// Has the segment of `epoch` prepared in the background, once.
    pub(crate) fn order(&mut self, epoch: u64) {
        if let Some(preparer) = self.preparer.as_mut().filter(|preparer| preparer.ordered.is_none())
            && preparer.orders.try_send(epoch).is_ok()
        {
            preparer.ordered = Some(epoch);
        }
    }

    /// The prepared file of `epoch`. A failure in the background, a full disk for instance, is
    /// tried once more here, as the reason may be gone by now.
    pub(crate) fn take(&mut self, epoch: u64) -> Prepared {
        if let Some(preparer) = self.preparer.as_mut()
            && preparer.ordered.take() == Some(epoch)
            && let Ok(Ok(file)) = preparer.deliveries.recv()
        {
            return Ok(file);
        }
        self.workshop.prepare(epoch)
    }
}
