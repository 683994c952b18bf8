//! QoS 1 messages that have come and wait for their PUBACK.

use std::collections::VecDeque;

use super::identifiers::PacketIds;
use crate::wire::{PacketId, ReasonCode};

/// Stands for a QoS 1 message that waits for its PUBACK, on this connection only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Receipt(u64);

/// Messages in the order of their arrival, which is the order of their PUBACKs.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    queue: VecDeque<Arrival>,
    /// The receipt of the first message in the queue.
    first: u64,
    packet_ids: PacketIds,
}

#[derive(Debug)]
struct Arrival {
    packet_id: PacketId,
    /// Set when the application has acknowledged.
    released: Option<ReasonCode>,
}

impl Arrivals {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn contains(&self, packet_id: PacketId) -> bool {
        self.packet_ids.contains(packet_id)
    }

    /// Adds a message whose identifier is not in use.
    pub(super) fn push(&mut self, packet_id: PacketId) -> Receipt {
        self.packet_ids.insert(packet_id);
        self.queue.push_back(Arrival { packet_id, released: None });
        Receipt(self.first + self.queue.len() as u64 - 1)
    }

    /// Marks a message; the first call counts.
    pub(super) fn acknowledge(&mut self, receipt: Receipt, reason: ReasonCode) {
        let index = receipt.0.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(arrival) = index.and_then(|index| self.queue.get_mut(index)) {
            arrival.released.get_or_insert(reason);
        }
    }

    /// Takes the first message if it is marked.
    pub(super) fn pop_released(&mut self) -> Option<(PacketId, ReasonCode)> {
        let Arrival { packet_id, released } = self.queue.front()?;
        let (packet_id, reason) = (*packet_id, (*released)?);
        self.queue.pop_front();
        self.first += 1;
        self.packet_ids.remove(packet_id);
        Some((packet_id, reason))
    }
}
