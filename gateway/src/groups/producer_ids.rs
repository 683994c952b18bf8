//! Ids of idempotent producers, never given twice, not even across restarts.

use tokio::sync::Mutex;

use super::record::Change;
use super::store::{Store, StoreError};

/// How many ids one write to the log allows.
const BLOCK: i64 = 1000;

/// The block that is being given out. A restart leaves the rest of it unused.
#[derive(Debug)]
pub(super) struct ProducerIds(Mutex<Block>);

#[derive(Debug, Clone, Copy)]
struct Block {
    next: i64,
    end: i64,
}

impl ProducerIds {
    /// Goes on behind every id that was allowed.
    pub(super) fn new(store: &Store) -> Self {
        let next = store.next_producer_id();
        Self(Mutex::new(Block { next, end: next }))
    }

    /// An id that nobody has. Waits for the disk once in a thousand calls.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(super) async fn next(&self, store: &Store) -> Result<i64, StoreError> {
        let mut block = self.0.lock().await;
        if block.next == block.end {
            // Asked of the store, as a write that was given up half-way may have gone through.
            let next = store.next_producer_id();
            store.write(vec![Change::ProducerIds(next.saturating_add(BLOCK))]).await?;
            *block = Block { next, end: next.saturating_add(BLOCK) };
        }
        let id = block.next;
        block.next += 1;
        Ok(id)
    }
}
