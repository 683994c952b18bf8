//! Commands (cloud-to-device messages): rows on disk, locks in memory. Every operation goes
//! through the writer, so that a queue's order and locks have one owner. Each begins by
//! dead-lettering what has expired in the queue; [`Twins::sweep_commands`] does it for queues that
//! nobody looks at.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::api::{CommandBody, CommandItem, CommandState, FeedbackStatus};
use model::limits::{COMMAND_LOCK_TIME, COMMAND_PAGE_BYTES_MAX, PAGE_ITEMS_MAX};
use model::{Identity, Message};

use super::command_types::{CommandReadError, EnqueueError, Enqueued, LockedCommand, NewCommand, Page, SettleError};
use super::new_command::new_row;
use crate::command_queue::{CommandQueue, Entry, LockHolder, LockLost, LockOwner, LockToken, Settled, Settlement, check_room};
use crate::error::StoreError;
use crate::handle::Twins;
use crate::store::command_rows::CommandRow;
use crate::store::pieces::{CommandTable, Span};
use crate::store::{Stop, Unit, refuse};

impl Twins {
    /// Stores a command at the end of an identity's queue.
    ///
    /// # Errors
    /// [`EnqueueError`]; then nothing was stored.
    pub async fn enqueue_command(&self, identity: &Identity, command: NewCommand) -> Result<Enqueued, EnqueueError> {
        let row = new_row(identity, command, self.inner.clock.now(), self.inner.settings.expiry_default)?;
        let bytes = row.body.len() + row.properties.len();
        let identity = identity.clone();
        self.inner.writer.submit(bytes, move |unit| unit.enqueue(&identity, row)).await
    }

    /// Hands a connection the next commands in order, at most `limit`, that nobody has and that
    /// have not expired. They stay `owner`'s until settled or released.
    ///
    /// # Errors
    /// [`CommandReadError`].
    pub async fn lock_commands(&self, identity: &Identity, owner: LockOwner, limit: usize) -> Result<Vec<LockedCommand>, CommandReadError> {
        let identity = identity.clone();
        self.inner.writer.submit(0, move |unit| unit.hand_out(&identity, LockHolder::Connection(owner), limit)).await
    }

    /// Hands the next commands, as [`Twins::lock_commands`] does, to a reader that polls. Those it
    /// has not settled after `lock`, 5 to 300 s and by default the configured time, are to be had
    /// again in their places, with their delivery counts as they were. A restart gives them back
    /// at once.
    ///
    /// # Errors
    /// [`CommandReadError`].
    pub async fn receive_commands(
        &self,
        identity: &Identity,
        limit: usize,
        lock: Option<Duration>,
    ) -> Result<Vec<LockedCommand>, CommandReadError> {
        let identity = identity.clone();
        let lock = lock_time(lock, self.inner.settings.lock);
        let receive = move |unit: &mut Unit<'_>| {
            let end = unit.now().saturating_add(lock);
            unit.hand_out(&identity, LockHolder::Until(end), limit)
        };
        self.inner.writer.submit(0, receive).await
    }

    /// Removes a command that was handed out: it is done with. Durable when this returns, and so
    /// is its feedback.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn complete_command(&self, identity: &Identity, lock: LockToken) -> Result<(), SettleError> {
        self.settle(identity, lock, Settlement::Complete).await
    }

    /// Dead-letters a command that was handed out. Durable when this returns, and so is its
    /// feedback.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn reject_command(&self, identity: &Identity, lock: LockToken) -> Result<(), SettleError> {
        self.settle(identity, lock, Settlement::Reject).await
    }

    /// Puts a command that was handed out back in its place and counts that; too many counts
    /// dead-letter it. Durable when this returns. Who waits for a command of this identity is to
    /// be told by the caller.
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

    /// What waits in an identity's queue, in order: the first [`Twins::command_page`], which holds
    /// every queue of the default depth.
    ///
    /// # Errors
    /// [`CommandReadError`].
    pub async fn commands(&self, identity: &Identity) -> Result<Vec<CommandItem>, CommandReadError> {
        self.command_page(identity, None, PAGE_ITEMS_MAX).await.map(|page| page.items)
    }

    /// Commands of an identity's queue in order, handed out or not, those behind the sequence
    /// number `after`: at most `limit`, never more than 1,000, and bodies of 4 MiB. Nothing is
    /// handed out by it. Expired commands are not shown.
    ///
    /// # Errors
    /// [`CommandReadError`].
    pub async fn command_page(&self, identity: &Identity, after: Option<u64>, limit: usize) -> Result<Page<CommandItem>, CommandReadError> {
        let identity = identity.clone();
        self.inner.writer.submit(0, move |unit| unit.command_page(&identity, after.unwrap_or(0), limit.min(PAGE_ITEMS_MAX))).await
    }

    /// Empties an identity's queue, and says how many commands went. What is handed out is gone too;
    /// dead letters stay, and so does what is sent meanwhile. Those who asked for negative feedback
    /// get it. A long queue goes in several transactions, and other writers get between them.
    ///
    /// # Errors
    /// [`CommandReadError`]; some may have gone already when the store failed.
    pub async fn purge_commands(&self, identity: &Identity) -> Result<u64, CommandReadError> {
        let purge = |unit: &mut Unit<'_>, id, span| {
            unit.expire_commands_of(id)?;
            let piece = unit.piece(CommandTable::Commands, id, span)?;
            unit.purge_commands(id, &piece)?;
            Ok(piece)
        };
        self.in_pieces(identity, Span::ALL, purge).await
    }
}

/// How long a lock lasts that a reader asked for, within what locks may be configured to.
pub(super) fn lock_time(asked: Option<Duration>, configured: Duration) -> Duration {
    asked.map_or(configured, |asked| asked.clamp(*COMMAND_LOCK_TIME.start(), *COMMAND_LOCK_TIME.end()))
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

/// A row as listings show it.
pub(super) fn item(row: CommandRow, state: CommandState) -> Result<CommandItem, StoreError> {
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
        locked_until: None,
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
        self.expire_commands_of(id)?;
        check_room(self.command_count(id)?, self.settings.queue_depth).map_err(|full| Stop::Refused(full.into()))?;
        let row = CommandRow { sequence: self.next_sequence(id)?, ..row };
        self.insert_command(id, &row)?;
        Ok(Enqueued { message_id: row.message_id, sequence_number: row.sequence })
    }

    fn hand_out(&mut self, identity: &Identity, holder: LockHolder, limit: usize) -> Result<Vec<LockedCommand>, Stop<CommandReadError>> {
        let Some(id) = self.identity_id(identity)? else { return refuse(self.unknown(identity)?) };
        self.expire_commands_of(id)?;
        // So many entries hold `limit` free ones, if the queue does.
        let entries = self.entries_after(id, 0, limit.saturating_add(self.locks.count(id)))?;
        let handed_out = CommandQueue::new(entries).lock(holder, limit, self.now(), || LockToken(rand::random()));
        let taken = handed_out.iter().filter_map(|entry| Some((entry.sequence, entry.lock?.token)));
        let commands = taken
            .map(|(sequence, token)| Ok(locked(self.command_row(id, sequence)?, token)?))
            .collect::<Result<Vec<_>, Stop<CommandReadError>>>()?;
        handed_out.iter().for_each(|entry| self.locks.set(id, entry));
        Ok(commands)
    }

    fn settle(&mut self, identity: &Identity, lock: LockToken, settlement: Settlement) -> Result<(), Stop<SettleError>> {
        let Some(id) = self.identity_id(identity)? else { return refuse(LockLost) };
        self.expire_commands_of(id)?;
        let Some(sequence) = self.locks.sequence_of(id, lock) else { return refuse(LockLost) };
        let mut queue = CommandQueue::new(self.entry(id, sequence)?.into_iter().collect());
        let settled = queue.settle(lock, settlement, self.now(), self.settings.delivery_count_max);
        match settled.map_err(|lost| Stop::Refused(lost.into()))? {
            Settled::Completed(entry) => self.finish_command(id, entry.sequence, entry.ack, FeedbackStatus::Success)?,
            Settled::DeadLettered { entry, reason } => {
                self.write_delivery_count(id, &entry)?;
                self.dead_letter(id, entry.sequence, reason)?;
            }
            Settled::Requeued(entry) => self.requeue_command(id, &entry)?,
        }
        Ok(())
    }

    fn release(&mut self, identity: &Identity, owner: LockOwner) -> Result<(), Stop<StoreError>> {
        let Some(id) = self.identity_id(identity)? else { return Ok(()) };
        for expiry in self.locks.release(id, owner) {
            self.agenda.note_command(expiry);
        }
        Ok(())
    }

    fn command_page(&mut self, identity: &Identity, after: u64, limit: usize) -> Result<Page<CommandItem>, Stop<CommandReadError>> {
        let Some(id) = self.identity_id(identity)? else { return refuse(self.unknown(identity)?) };
        self.expire_commands_of(id)?;
        let mut entries = self.entries_after(id, after, limit.saturating_add(1))?.into_iter();
        let (mut items, mut bytes) = (Vec::new(), 0);
        for entry in entries.by_ref().take(limit) {
            let row = self.command_row(id, entry.sequence)?;
            bytes += row.body.len();
            if bytes > COMMAND_PAGE_BYTES_MAX && !items.is_empty() {
                return Ok(page(items, true));
            }
            items.push(self.shown(&entry, row)?);
        }
        Ok(page(items, entries.next().is_some()))
    }

    fn shown(&self, entry: &Entry, row: CommandRow) -> Result<CommandItem, StoreError> {
        match entry.held(self.now()) {
            Some(lock) => Ok(CommandItem { locked_until: lock.end(), ..item(row, CommandState::Invisible)? }),
            None => item(row, CommandState::Enqueued),
        }
    }
}

fn page(items: Vec<CommandItem>, has_more: bool) -> Page<CommandItem> {
    let next = items.last().map(|item| item.sequence_number).filter(|_| has_more);
    Page { items, next }
}
