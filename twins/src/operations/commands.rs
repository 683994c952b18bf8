//! Commands (cloud-to-device messages): rows on disk, locks in memory. Every operation goes
//! through the writer, so that a queue's order and locks have one owner.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::api::{CommandBody, CommandItem, CommandState};
use model::limits::{COMMAND_BYTES_MAX, COMMAND_EXPIRY_DEFAULT, COMMAND_EXPIRY_MAX, MESSAGE_ID_BYTES_MAX};
use model::property_bag::{self, InvalidPropertyBag};
use model::{Identity, Message, MessageProperties, Timestamp};

use super::command_types::{Ack, CommandReadError, DeadLetter, EnqueueError, Enqueued, LockedCommand, NewCommand, SettleError};
use crate::command_queue::{Entry, LockLost, LockOwner, LockToken, Settled, Settlement, guid};
use crate::error::StoreError;
use crate::handle::Twins;
use crate::store::command_rows::{CommandRow, SELECT_DEAD_LETTERS, read_reason};
use crate::store::identity_rows::module_column;
use crate::store::{ReadRow as _, Stop, Unit, refuse};

impl Twins {
    /// Stores a command at the end of an identity's queue.
    ///
    /// # Errors
    /// [`EnqueueError`]; then nothing was stored.
    pub async fn enqueue_command(&self, identity: &Identity, command: NewCommand) -> Result<Enqueued, EnqueueError> {
        let row = new_row(identity, command, self.inner.clock.now())?;
        let bytes = row.body.len() + row.properties.len();
        let identity = identity.clone();
        self.inner.writer.submit(bytes, move |unit| unit.enqueue(&identity, row)).await
    }

    /// Hands out the next commands in order, at most `limit`, that nobody has and that have not
    /// expired. They stay `owner`'s until settled or released.
    ///
    /// # Errors
    /// [`CommandReadError`].
    pub async fn lock_commands(&self, identity: &Identity, owner: LockOwner, limit: usize) -> Result<Vec<LockedCommand>, CommandReadError> {
        let identity = identity.clone();
        self.inner.writer.submit(0, move |unit| unit.lock_commands(&identity, owner, limit)).await
    }

    /// Removes a command that was handed out: it is done with. Durable when this returns.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn complete_command(&self, identity: &Identity, lock: LockToken) -> Result<(), SettleError> {
        self.settle(identity, lock, Settlement::Complete).await
    }

    /// Dead-letters a command that was handed out. Durable when this returns.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn reject_command(&self, identity: &Identity, lock: LockToken) -> Result<(), SettleError> {
        self.settle(identity, lock, Settlement::Reject).await
    }

    /// Puts a command that was handed out back in its place and counts that; too many counts
    /// dead-letter it. Durable when this returns.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn abandon_command(&self, identity: &Identity, lock: LockToken) -> Result<(), SettleError> {
        self.settle(identity, lock, Settlement::Abandon).await
    }

    async fn settle(&self, identity: &Identity, lock: LockToken, settlement: Settlement) -> Result<(), SettleError> {
        let identity = identity.clone();
        self.inner.writer.submit(0, move |unit| unit.settle(&identity, lock, settlement)).await
    }

    /// Takes back everything `owner` was handed: its connection has ended. Delivery counts stay,
    /// and so does each command's place. A later [`Twins::lock_commands`] sees them.
    pub async fn release_locks(&self, identity: &Identity, owner: LockOwner) {
        let identity = identity.clone();
        let released = self.inner.writer.submit(0, move |unit| unit.release(&identity, owner)).await;
        if let Err(error) = released {
            // The locks die with the process; the commands stay.
            tracing::warn!(%error, "locks of an ended connection were not released");
        }
    }

    /// What waits in an identity's queue, in order. Expired commands are not shown.
    ///
    /// # Errors
    /// [`CommandReadError`].
    pub async fn commands(&self, identity: &Identity) -> Result<Vec<CommandItem>, CommandReadError> {
        let identity = identity.clone();
        self.inner.writer.submit(0, move |unit| unit.list_commands(&identity)).await
    }

    /// An identity's dead letters, the newest hundred, in the order they were sent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn dead_letters(&self, identity: &Identity) -> Result<Vec<DeadLetter>, StoreError> {
        let query = sqlx::query(SELECT_DEAD_LETTERS).bind(identity.device.as_str()).bind(module_column(identity));
        let rows = query.fetch_all(&self.inner.readers.0).await?;
        let letter = |row| -> Result<DeadLetter, StoreError> {
            let reason = read_reason(column(row, 8)?)?;
            let item = item(CommandRow::read(row).map_err(StoreError::Read)?, CommandState::DeadLettered)?;
            Ok(DeadLetter { item, reason, time: Timestamp::from_milliseconds(column(row, 9)?) })
        };
        rows.iter().map(letter).collect()
    }

    /// Empties an identity's queue, and says how many commands it held. What is handed out is
    /// gone too; dead letters stay.
    ///
    /// # Errors
    /// [`CommandReadError`].
    pub async fn purge_commands(&self, identity: &Identity) -> Result<u64, CommandReadError> {
        let identity = identity.clone();
        self.inner.writer.submit(0, move |unit| unit.purge(&identity)).await
    }
}

fn column(row: &sqlx::sqlite::SqliteRow, index: usize) -> Result<i64, StoreError> {
    row.column(index).map_err(StoreError::Read)
}

/// Checks a command and makes its row, still without a sequence number.
fn new_row(identity: &Identity, command: NewCommand, now: Timestamp) -> Result<CommandRow, EnqueueError> {
    let NewCommand { mut message, expiry, ack, input } = command;
    let bytes = message.counted_bytes();
    if bytes > COMMAND_BYTES_MAX {
        return Err(EnqueueError::TooLarge { bytes });
    }
    let expiry = match expiry {
        None => now.saturating_add(COMMAND_EXPIRY_DEFAULT),
        Some(expiry) if expiry <= now || expiry > now.saturating_add(COMMAND_EXPIRY_MAX) => {
            return Err(EnqueueError::InvalidExpiry { expiry });
        }
        Some(expiry) => expiry,
    };
    let message_id = message.properties.system.message_id.take().unwrap_or_else(|| guid(rand::random()));
    if message_id.len() > MESSAGE_ID_BYTES_MAX {
        return Err(EnqueueError::MessageIdTooLong { bytes: message_id.len() });
    }
    message.properties.system.message_id = Some(message_id.clone());
    message.properties.system.to = Some(address(identity, input)?);
    message.properties.system.expiry = Some(expiry);
    message.properties.system.ack = (ack != Ack::None).then(|| ack.as_str().to_owned());
    let properties = to_bag(&message.properties)?;
    let ack = ack.as_str().to_owned();
    Ok(CommandRow { sequence: 0, message_id, delivery_count: 0, enqueued: now, expiry, ack, properties, body: message.body.into() })
}

/// The address of a command, which receivers see as `to`.
fn address(identity: &Identity, input: Option<String>) -> Result<String, EnqueueError> {
    let device = &identity.device;
    let is_name = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    match (&identity.module, input) {
        (None, None) => Ok(format!("/devices/{device}/messages/deviceBound")),
        (Some(module), None) => Ok(format!("/devices/{device}/modules/{module}/messages/deviceBound")),
        (Some(module), Some(input)) if is_name(&input) => Ok(format!("/devices/{device}/modules/{module}/inputs/{input}")),
        (Some(_) | None, Some(input)) => Err(EnqueueError::InvalidInput { input, identity: identity.clone() }),
    }
}

/// The properties in the form they are delivered in. What would not come back from it the same
/// is refused here rather than when it is delivered.
fn to_bag(properties: &MessageProperties) -> Result<String, EnqueueError> {
    let is_token = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    for (name, value) in &properties.application {
        if name.is_empty() || !is_token(name) || !value.as_deref().is_none_or(is_token) {
            return Err(EnqueueError::InvalidProperty { name: name.clone() });
        }
    }
    let bag = property_bag::format(properties);
    match property_bag::parse(&bag) {
        Ok(read) if read == *properties => Ok(bag),
        Ok(read) => {
            let differs = |(name, _): &&(String, Option<String>)| !read.application.iter().any(|(other, _)| other == name);
            let name = properties.application.iter().find(differs).map(|(name, _)| name.clone()).unwrap_or_default();
            Err(EnqueueError::InvalidProperty { name })
        }
        Err(InvalidPropertyBag::TooLong { length }) => Err(EnqueueError::PropertiesTooLarge { bytes: length }),
        Err(InvalidPropertyBag::TooMany) => Err(EnqueueError::PropertiesTooLarge { bytes: bag.len() }),
        Err(InvalidPropertyBag::SystemValue { name }) => Err(EnqueueError::InvalidProperty { name: name.to_owned() }),
        Err(InvalidPropertyBag::Encoding { .. } | InvalidPropertyBag::NameMissing { .. }) => {
            Err(EnqueueError::InvalidProperty { name: String::new() })
        }
    }
}

fn locked(row: CommandRow, lock: LockToken) -> Result<LockedCommand, StoreError> {
    let properties = row.message_properties()?;
    Ok(LockedCommand {
        lock,
        sequence_number: row.sequence,
        delivery_count: row.delivery_count,
        enqueued_time: row.enqueued,
        message: Message { properties, body: row.body.into() },
    })
}

fn item(row: CommandRow, state: CommandState) -> Result<CommandItem, StoreError> {
    let application = row.message_properties()?.application;
    let properties: BTreeMap<String, String> = application.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect();
    let body = match String::from_utf8(row.body) {
        Ok(text) => CommandBody::Text(text),
        Err(error) => CommandBody::Base64(STANDARD.encode(error.as_bytes())),
    };
    Ok(CommandItem {
        message_id: row.message_id,
        sequence_number: row.sequence,
        state,
        delivery_count: row.delivery_count,
        enqueued_time: row.enqueued,
        expiry_time: row.expiry,
        ack: row.ack,
        properties,
        body,
    })
}

impl Unit<'_> {
    fn enqueue(&mut self, identity: &Identity, row: CommandRow) -> Result<Enqueued, Stop<EnqueueError>> {
        let Some(id) = self.identity_id(identity)? else { return refuse(self.unknown(identity)?) };
        let mut queue = self.command_queue(id)?;
        // Asked with a number that no command has; the real one is drawn only for what is stored.
        queue.enqueue(u64::MAX, row.expiry).map_err(|full| Stop::Refused(full.into()))?;
        let row = CommandRow { sequence: self.next_sequence(id)?, ..row };
        self.insert_command(id, &row)?;
        Ok(Enqueued { message_id: row.message_id, sequence_number: row.sequence })
    }

    fn lock_commands(&mut self, identity: &Identity, owner: LockOwner, limit: usize) -> Result<Vec<LockedCommand>, Stop<CommandReadError>> {
        let Some(id) = self.identity_id(identity)? else { return refuse(self.unknown(identity)?) };
        let mut queue = self.command_queue(id)?;
        let handed_out = queue.lock(owner, limit, || LockToken(rand::random()));
        let commands = handed_out
            .into_iter()
            .map(|(entry, token)| Ok(locked(self.command_row(id, entry.sequence)?, token)?))
            .collect::<Result<Vec<_>, Stop<CommandReadError>>>()?;
        self.locks.set(id, &queue);
        Ok(commands)
    }

    fn settle(&mut self, identity: &Identity, lock: LockToken, settlement: Settlement) -> Result<(), Stop<SettleError>> {
        let Some(id) = self.identity_id(identity)? else { return refuse(LockLost) };
        let mut queue = self.command_queue(id)?;
        match queue.settle(lock, settlement).map_err(|lost| Stop::Refused(lost.into()))? {
            Settled::Completed { sequence } => self.delete_command(id, sequence)?,
            Settled::DeadLettered { sequence, reason } => self.dead_letter(id, sequence, reason)?,
            Settled::Requeued { sequence, delivery_count } => self.set_delivery_count(id, sequence, delivery_count)?,
        }
        self.locks.set(id, &queue);
        Ok(())
    }

    fn release(&mut self, identity: &Identity, owner: LockOwner) -> Result<(), Stop<StoreError>> {
        let Some(id) = self.identity_id(identity)? else { return Ok(()) };
        let mut queue = self.command_queue(id)?;
        queue.release(owner);
        self.locks.set(id, &queue);
        Ok(())
    }

    fn list_commands(&mut self, identity: &Identity) -> Result<Vec<CommandItem>, Stop<CommandReadError>> {
        let Some(id) = self.identity_id(identity)? else { return refuse(self.unknown(identity)?) };
        let queue = self.command_queue(id)?;
        let shown = |entry: &Entry| -> Result<CommandItem, Stop<CommandReadError>> {
            let state = if entry.lock.is_some() { CommandState::Invisible } else { CommandState::Enqueued };
            Ok(item(self.command_row(id, entry.sequence)?, state)?)
        };
        queue.entries().iter().map(shown).collect()
    }

    fn purge(&mut self, identity: &Identity) -> Result<u64, Stop<CommandReadError>> {
        let Some(id) = self.identity_id(identity)? else { return refuse(self.unknown(identity)?) };
        let mut queue = self.command_queue(id)?;
        let purged = queue.purge() as u64;
        self.delete_commands(id)?;
        self.locks.set(id, &queue);
        Ok(purged)
    }
}
