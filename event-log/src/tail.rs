//! Recent events in memory, shared by all readers: slices of the buffers that were written.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::partition::Partition;
use crate::sync::lock;

/// Memory of one batch's entry in its partition's tail and in this one.
const ENTRY_BYTES: usize = 96;

/// Keeps the memory of all partitions' tails within a bound, oldest groups first.
#[derive(Debug)]
pub(crate) struct Tail {
    groups: VecDeque<TailGroup>,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct TailGroup {
    bytes: usize,
    /// One entry a batch, in order.
    partitions: Vec<Arc<Partition>>,
}

impl Tail {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { groups: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Notes a group whose buffer takes `buffer_bytes` and evicts what exceeds the bound.
    pub(crate) fn push(&mut self, buffer_bytes: usize, partitions: Vec<Arc<Partition>>) {
        let bytes = buffer_bytes + partitions.len() * ENTRY_BYTES;
        self.bytes += bytes;
        self.groups.push_back(TailGroup { bytes, partitions });
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.groups.pop_front() else { break };
            self.bytes -= oldest.bytes;
            for partition in oldest.partitions {
                lock(&partition.durable).tail.pop_front();
            }
        }
    }
}
