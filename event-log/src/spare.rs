//! The next segment, prepared while the present one fills, so that rolling does not stall.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::disk::DiskFile;
use crate::recycle::Workshop;

type Prepared = io::Result<Arc<dyn DiskFile>>;

/// Hands out prepared files.
pub(crate) struct SpareSegments {
    workshop: Arc<Workshop>,
    preparer: Option<Preparer>,
}

struct Preparer {
    orders: SyncSender<u64>,
    deliveries: Receiver<Prepared>,
    ordered: Option<u64>,
    thread: JoinHandle<()>,
}

impl SpareSegments {
    /// Prepares segments when they are needed, on the caller's thread.
    #[cfg(feature = "testkit")]
    pub(crate) fn inline(workshop: Arc<Workshop>) -> Self {
        Self { workshop, preparer: None }
    }

    /// Prepares segments ahead, on a thread that ends with this value.
    pub(crate) fn background(workshop: Arc<Workshop>) -> io::Result<Self> {
        let (orders, incoming) = sync_channel::<u64>(1);
        let (outgoing, deliveries) = sync_channel(1);
        let own = Arc::clone(&workshop);
        let thread = thread::Builder::new().name("log-segments".into()).spawn(move || {
            while let Ok(epoch) = incoming.recv() {
                if outgoing.send(own.prepare(epoch)).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self { workshop, preparer: Some(Preparer { orders, deliveries, ordered: None, thread }) })
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

impl Drop for SpareSegments {
    /// Waits for a file that is being prepared: the next owner of the directory must not meet it
    /// half-way.
    fn drop(&mut self) {
        if let Some(Preparer { orders, deliveries, thread, .. }) = self.preparer.take() {
            drop((orders, deliveries));
            drop(thread.join());
        }
    }
}
