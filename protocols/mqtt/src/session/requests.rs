//! SUBSCRIBE and UNSUBSCRIBE packets that wait for their answer.

use crate::wire::PacketId;

/// Unanswered requests beyond which nothing more is read. Clients send one or two at a time.
const REQUESTS_MAX: usize = 16;

/// Stands for a SUBSCRIBE that waits for its SUBACK, on this connection only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscribeReceipt(pub(super) u64);

/// Stands for an UNSUBSCRIBE that waits for its UNSUBACK, on this connection only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnsubscribeReceipt(pub(super) u64);

#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: Vec<Request>,
    next: u64,
}

#[derive(Debug)]
pub(super) struct Request {
    receipt: u64,
    pub(super) packet_id: PacketId,
    pub(super) filters: usize,
}

impl Requests {
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= REQUESTS_MAX
    }

    pub(super) fn contains(&self, packet_id: PacketId) -> bool {
        self.waiting.iter().any(|request| request.packet_id == packet_id)
    }

    pub(super) fn push(&mut self, packet_id: PacketId, filters: usize) -> u64 {
        let receipt = self.next;
        self.next += 1;
        self.waiting.push(Request { receipt, packet_id, filters });
        receipt
    }

    pub(super) fn take(&mut self, receipt: u64) -> Option<Request> {
        let index = self.waiting.iter().position(|request| request.receipt == receipt)?;
        Some(self.waiting.remove(index))
    }
}
