//! Telemetry, from a device's message to a place in the event buffer.
//!
//! The journey reads downward: [`TelemetrySender::admit`] checks and stamps a message and adds it
//! to the batch under way, [`TelemetrySender::append`] routes the batch and stages it once there
//! is room, and the [`Ticket`] it returns resolves when the disk has it. Only then may the
//! protocol acknowledge.

use std::sync::Arc;

use bytes::Bytes;
use certs::judge::AuthGrant;
use event_log::{AppendPermit, Batch, BatchBuilder, EventLog, HeaderBlock, Origin, Record, StageError, Ticket};
use model::limits::TELEMETRY_BYTES_MAX;
use model::property_bag::{self, InvalidPropertyBag};
use model::{EventHubId, MessageProperties, PartitionId, Timestamp};
use routes::{Endpoint, RouteTable, Source};
use thiserror::Error;

use crate::event_codec::{EncodedProperties, SenderHeaders, write_receipt};
use crate::event_hubs::EventHubs;

/// Routes messages into the buffer. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Telemetry {
    log: EventLog,
    routes: Arc<RouteTable>,
    event_hubs: EventHubs,
}

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum MessageRefused {
    /// Its property bag does not parse.
    #[error(transparent)]
    Properties(#[from] InvalidPropertyBag),
    /// It is over 256 KiB.
    #[error("a message may have at most {TELEMETRY_BYTES_MAX} bytes, this one has {size}")]
    TooLarge {
        /// Body and properties together.
        size: usize,
    },
}

impl Telemetry {
    /// Puts messages into those of `event_hubs` that `routes` says.
    pub(crate) fn new(log: EventLog, routes: RouteTable, event_hubs: EventHubs) -> Self {
        Self { log, routes: Arc::new(routes), event_hubs }
    }

    /// A sender for one connection.
    pub(crate) fn sender(&self, grant: &AuthGrant, model_id: Option<&str>, origin: Origin) -> TelemetrySender {
        // Modules share their device's partition, so that a device's messages keep their order.
        let key = Bytes::copy_from_slice(grant.identity.device.as_str().as_bytes());
        let endpoints = self.routes.endpoints(Source::DeviceMessages);
        let places = endpoints.iter().filter_map(|Endpoint::EventHub(name)| self.event_hubs.get(name.as_str()));
        let places = places.map(|hub| (hub.id, hub.partitions.partition_of_key(&key))).collect();
        TelemetrySender {
            log: self.log.clone(),
            places,
            key,
            origin,
            headers: SenderHeaders::telemetry(grant, model_id),
            received: Timestamp::NEVER,
            receipt: HeaderBlock::new(),
            last: None,
            batch: BatchBuilder::new(Timestamp::NEVER),
        }
    }
}

/// Turns the messages of one connection into events, one batch for each read of its socket.
#[derive(Debug)]
pub(crate) struct TelemetrySender {
    log: EventLog,
    places: Vec<(EventHubId, PartitionId)>,
    key: Bytes,
    origin: Origin,
    headers: SenderHeaders,
    received: Timestamp,
    receipt: HeaderBlock,
    /// Devices tend to send the same properties again: then they are parsed and encoded once.
    last: Option<(String, EncodedProperties)>,
    batch: BatchBuilder,
}

impl TelemetrySender {
    /// Takes a message whose properties stand in a topic's bag.
    ///
    /// # Errors
    /// [`MessageRefused`]; the batch is as it was.
    pub(crate) fn admit(&mut self, received: Timestamp, bag: &str, body: &[u8]) -> Result<(), MessageRefused> {
        let (bag, properties) = match self.last.take() {
            Some((last, properties)) if last == bag => (last, properties),
            Some(_) | None => (bag.to_owned(), EncodedProperties::new(&property_bag::parse(bag)?)),
        };
        let taken = self.add(received, &properties, body);
        self.last = Some((bag, properties));
        taken
    }

    /// Takes a message whose properties are already known.
    ///
    /// # Errors
    /// [`MessageRefused`]; the batch is as it was.
    pub(crate) fn admit_with(&mut self, received: Timestamp, properties: &MessageProperties, body: &[u8]) -> Result<(), MessageRefused> {
        self.add(received, &EncodedProperties::new(properties), body)
    }

    fn add(&mut self, received: Timestamp, properties: &EncodedProperties, body: &[u8]) -> Result<(), MessageRefused> {
        let size = properties.counted_bytes + body.len();
        if size > TELEMETRY_BYTES_MAX {
            return Err(MessageRefused::TooLarge { size });
        }
        if self.received != received {
            self.received = received;
            self.batch.set_timestamp_base(received);
            write_receipt(&mut self.receipt, received);
        }
        self.batch.push(Record {
            timestamp: received,
            key: Some(&self.key),
            value: Some(body),
            headers: &[&self.headers.sender, &self.receipt, &self.headers.source, &properties.headers],
        });
        Ok(())
    }

    /// Whether messages wait for [`TelemetrySender::append`].
    pub(crate) fn has_batch(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Bytes in the batch under way.
    pub(crate) fn batch_bytes(&self) -> usize {
        self.batch.bytes()
    }

    /// Closes the batch under way.
    pub(crate) fn take_batch(&mut self) -> Batch {
        self.batch.finish()
    }

    /// How much room `batch` needs, over all places it goes to.
    pub(crate) fn staged_bytes(&self, batch: &Batch) -> usize {
        batch.staged_bytes() * self.places.len()
    }

    /// The buffer, to ask for room in.
    pub(crate) fn log(&self) -> &EventLog {
        &self.log
    }

    /// Stages `batch` in every place its route matched. The ticket stands for all of them:
    /// groups become durable in the order they were staged.
    ///
    /// # Errors
    /// [`StageError`]; nothing may be acknowledged.
    pub(crate) fn append(&self, mut permit: AppendPermit, batch: &Batch) -> Result<Option<Ticket>, StageError> {
        let mut last = None;
        for (hub, partition) in &self.places {
            let bytes = batch.staged_bytes();
            let share = permit.split(bytes).ok_or(StageError::PermitTooSmall { bytes, reserved: permit.bytes() })?;
            last = Some(self.log.stage(share, *hub, *partition, batch.clone(), self.origin)?);
        }
        Ok(last)
    }
}
