//! Telemetry of one connection: batched by reads of the socket, acknowledged once durable, in
//! the order it came.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use event_log::{AppendPermit, Batch, LogFailed, StageError, Ticket};
use model::{MessageProperties, Timestamp};
use mqtt_proto::session::{Connection, Receipt};
use mqtt_proto::wire::{Publish, PublishProperties, ReasonCode};

use crate::telemetry::{MessageRefused, TelemetrySender};

type Room = Pin<Box<dyn Future<Output = Result<AppendPermit, LogFailed>> + Send>>;

/// A batch is staged once it has this many bytes.
const BATCH_BYTES: usize = 512 * 1024;

/// The telemetry side of a connection.
pub(super) struct Uplink {
    sender: TelemetrySender,
    /// Receipts of the batch under way.
    batched: u32,
    /// Receipts not acknowledged yet, oldest first.
    receipts: VecDeque<Receipt>,
    /// Batches on their way to the disk.
    staged: VecDeque<Staged>,
    /// A batch for which the buffer has no room yet. While there is one, nothing is read.
    blocked: Option<(Batch, Room)>,
}

/// A batch on its way to the disk.
struct Staged {
    /// `None` when it went nowhere, so that there is nothing to wait for but its turn.
    ticket: Option<Ticket>,
    /// How many receipts wait for it.
    receipts: u32,
    since: Instant,
}

/// What [`Uplink::acknowledge`] released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Acknowledged {
    /// Messages.
    pub count: u32,
    /// When the first of them was staged.
    pub oldest: Option<Instant>,
}

impl Uplink {
    pub(super) fn new(sender: TelemetrySender) -> Self {
        Self { sender, batched: 0, receipts: VecDeque::new(), staged: VecDeque::new(), blocked: None }
    }

    /// Adds a message to the batch under way.
    ///
    /// # Errors
    /// [`MessageRefused`]; its receipt is the caller's to answer.
    pub(super) fn admit(
        &mut self,
        received: Timestamp,
        bag: &str,
        publish: &Publish,
        receipt: Option<Receipt>,
    ) -> Result<(), MessageRefused> {
        if publish.retain || publish.properties != PublishProperties::default() {
            let mut properties = model::property_bag::parse(bag)?;
            add_packet_properties(&mut properties, &publish.properties, publish.retain);
            self.sender.admit_with(received, &properties, &publish.payload)?;
        } else {
            self.sender.admit(received, bag, &publish.payload)?;
        }
        if let Some(receipt) = receipt {
            self.receipts.push_back(receipt);
            self.batched += 1;
        }
        Ok(())
    }

    /// Stages the batch under way, or begins to wait for room.
    ///
    /// # Errors
    /// [`StageError`]: nothing more can be stored.
    pub(super) fn stage(&mut self) -> Result<(), StageError> {
        if !self.sender.has_batch() {
            return Ok(());
        }
        let batch = self.sender.take_batch();
        let bytes = self.sender.staged_bytes(&batch);
        match self.sender.log().try_reserve(bytes)? {
            Some(permit) => self.append(permit, &batch),
            None => {
                let log = self.sender.log().clone();
                self.blocked = Some((batch, Box::pin(async move { log.reserve(bytes).await })));
                Ok(())
            }
        }
    }

    fn append(&mut self, permit: AppendPermit, batch: &Batch) -> Result<(), StageError> {
        let receipts = std::mem::take(&mut self.batched);
        let ticket = self.sender.append(permit, batch)?;
        if receipts > 0 {
            self.staged.push_back(Staged { ticket, receipts, since: Instant::now() });
        }
        Ok(())
    }

    /// Whether the batch under way is as large as one should be. Small packets can stand for large
    /// messages, by their topic aliases.
    pub(super) fn is_batch_full(&self) -> bool {
        self.sender.batch_bytes() >= BATCH_BYTES
    }

    /// Whether the socket may be read.
    pub(super) fn has_room(&self) -> bool {
        self.blocked.is_none()
    }

    /// Ready when a batch was staged or has become durable; then [`Uplink::acknowledge`].
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StageError>> {
        if let Some((batch, mut room)) = self.blocked.take() {
            match room.as_mut().poll(cx) {
                Poll::Ready(permit) => {
                    self.append(permit?, &batch)?;
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending => self.blocked = Some((batch, room)),
            }
        }
        match self.staged.front_mut() {
            Some(staged) => {
                if let Some(ticket) = &mut staged.ticket {
                    ready!(Pin::new(ticket).poll(cx))?;
                }
                Poll::Ready(Ok(()))
            }
            None => Poll::Pending,
        }
    }

    /// Acknowledges every message that has become durable.
    ///
    /// # Errors
    /// [`StageError`]: the rest never will.
    pub(super) fn acknowledge(&mut self, session: &mut Connection) -> Result<Acknowledged, StageError> {
        let mut acknowledged = Acknowledged::default();
        while let Some(staged) = self.staged.front() {
            match staged.ticket.as_ref().map(Ticket::try_get) {
                Some(None) => break,
                Some(Some(durable)) => durable.map(|_| ())?,
                None => {}
            }
            for receipt in self.receipts.drain(..staged.receipts as usize) {
                session.acknowledge(receipt, ReasonCode::Success);
            }
            acknowledged.count += staged.receipts;
            acknowledged.oldest.get_or_insert(staged.since);
            self.staged.pop_front();
        }
        Ok(acknowledged)
    }

    /// Whether messages are on their way to the disk.
    pub(super) fn is_idle(&self) -> bool {
        self.staged.is_empty() && self.blocked.is_none()
    }
}

/// Adds what an MQTT packet carries beside its topic: on MQTT 5 user properties, content type
/// and correlation data, where the bag does not say otherwise; and the retain flag.
pub(super) fn add_packet_properties(properties: &mut MessageProperties, packet: &PublishProperties, retain: bool) {
    let system = &mut properties.system;
    if system.content_type.is_none() {
        system.content_type = packet.content_type.as_ref().map(|text| text.to_string());
    }
    if system.correlation_id.is_none() {
        let text = packet.correlation_data.as_deref().and_then(|data| std::str::from_utf8(data).ok());
        system.correlation_id = text.map(str::to_owned);
    }
    for (name, value) in &packet.user_properties {
        properties.application.push((name.to_string(), Some(value.to_string())));
    }
    if retain {
        properties.application.push(("mqtt-retain".to_owned(), Some("true".to_owned())));
    }
}
