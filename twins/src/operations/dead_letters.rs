//! Dead letters: read, sent again, deleted. The service has no way to do any of this; it is our
//! own addition.

use model::api::{CommandState, DeadLetterItem, RedriveResult, RedrivenItem};
use model::limits::{COMMAND_PAGE_BYTES_MAX, PAGE_ITEMS_MAX, REDRIVEN_MAX};
use model::{Identity, Timestamp, property_bag};

use super::command_types::{CommandReadError, DeadLetters, Page, RedriveError};
use super::commands::item;
use super::new_command::checked_expiry;
use crate::error::{StoreError, UnknownIdentity};
use crate::handle::Twins;
use crate::store::command_rows::CommandRow;
use crate::store::dead_letter_rows::{SELECT_DEAD_LETTERS, SELECT_SIZES, read_reason};
use crate::store::identity_rows::module_column;
use crate::store::{ReadRow as _, Stop, Unit, from_unsigned, refuse, to_unsigned};

impl Twins {
    /// An identity's dead letters in the order they were sent: the first
    /// [`Twins::dead_letter_page`].
    ///
    /// # Errors
    /// [`CommandReadError`].
    pub async fn dead_letters(&self, identity: &Identity) -> Result<Vec<DeadLetterItem>, CommandReadError> {
        self.dead_letter_page(identity, None, PAGE_ITEMS_MAX).await.map(|page| page.items)
    }

    /// An identity's dead letters in the order they were sent, those behind the sequence number
    /// `after`: at most `limit`, never more than 1,000, and bodies of 4 MiB. The newest of an
    /// identity are kept, a hundred unless configured.
    ///
    /// # Errors
    /// [`CommandReadError`].
    pub async fn dead_letter_page(
        &self,
        identity: &Identity,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Page<DeadLetterItem>, CommandReadError> {
        if self.identity(identity).is_none() {
            let device = Identity::device(identity.device.clone());
            return Err(UnknownIdentity::of(identity, self.identity(&device).is_some()).into());
        }
        let after = from_unsigned(after.unwrap_or(0));
        let limit = limit.min(PAGE_ITEMS_MAX);
        let sizes = self.dead_letter_sizes(identity, after, limit + 1).await?;
        let (last, next) = cut(&sizes, limit);
        let query = sqlx::query(SELECT_DEAD_LETTERS).bind(identity.device.as_str()).bind(module_column(identity));
        let rows = query.bind(after).bind(last).fetch_all(&self.inner.readers.0).await.map_err(StoreError::from)?;
        Ok(Page { items: rows.iter().map(read).collect::<Result<_, _>>()?, next })
    }

    /// Sequence numbers with the sizes of bodies, which are not read for it.
    async fn dead_letter_sizes(&self, identity: &Identity, after: i64, limit: usize) -> Result<Vec<(i64, u64)>, StoreError> {
        let limit = from_unsigned(limit as u64);
        let query = sqlx::query(SELECT_SIZES).bind(identity.device.as_str()).bind(module_column(identity)).bind(after).bind(limit);
        let rows = query.fetch_all(&self.inner.readers.0).await?;
        let size = |row: &sqlx::sqlite::SqliteRow| Ok((row.column(0)?, row.unsigned(1)?));
        rows.iter().map(size).collect::<Result<_, _>>().map_err(StoreError::Read)
    }

    /// Puts dead letters back at the end of their queue, in order, as commands that were never
    /// handed out: with new sequence numbers, delivery count 0 and a new expiry, `expiry` or the
    /// configured time from now. Message ids, properties and the feedback asked for are as before.
    /// What the queue has no room for stays, and so does all beyond a thousand. The caller tells
    /// who waits for a command.
    ///
    /// # Errors
    /// [`RedriveError`]; then nothing was changed.
    pub async fn redrive_dead_letters(
        &self,
        identity: &Identity,
        which: DeadLetters,
        expiry: Option<Timestamp>,
    ) -> Result<RedriveResult, RedriveError> {
        let identity = identity.clone();
        self.inner.writer.submit(0, move |unit| unit.redrive(&identity, which, expiry)).await
    }

    /// Deletes dead letters; says how many there were.
    ///
    /// # Errors
    /// [`CommandReadError`].
    pub async fn delete_dead_letters(&self, identity: &Identity, which: DeadLetters) -> Result<u64, CommandReadError> {
        let identity = identity.clone();
        let delete = move |unit: &mut Unit<'_>| {
            let Some(id) = unit.identity_id(&identity)? else { return refuse(unit.unknown(&identity)?) };
            Ok(unit.delete_dead_letters(id, which.sequence())? as u64)
        };
        self.inner.writer.submit(0, delete).await
    }
}

impl DeadLetters {
    fn sequence(self) -> Option<u64> {
        match self {
            Self::One(sequence) => Some(sequence),
            Self::All => None,
        }
    }
}

/// The last of a page of at most `limit` out of `sizes`, and behind which the next begins.
fn cut(sizes: &[(i64, u64)], limit: usize) -> (i64, Option<u64>) {
    let mut bytes = 0;
    let fits = |(place, (_, size)): &(usize, &(i64, u64))| {
        bytes += size;
        *place == 0 || bytes <= COMMAND_PAGE_BYTES_MAX as u64
    };
    let taken: Vec<i64> = sizes.iter().enumerate().take(limit).take_while(fits).map(|(_, (sequence, _))| *sequence).collect();
    let last = taken.last().copied().unwrap_or(0);
    (last, (taken.len() < sizes.len()).then_some(to_unsigned(last)))
}

fn read(row: &sqlx::sqlite::SqliteRow) -> Result<DeadLetterItem, StoreError> {
    let column = |index| -> Result<i64, StoreError> { row.column(index).map_err(StoreError::Read) };
    let command = item(CommandRow::read(row).map_err(StoreError::Read)?, CommandState::DeadLettered)?;
    Ok(DeadLetterItem { command, reason: read_reason(column(8)?)?, dead_lettered_time: Timestamp::from_milliseconds(column(9)?) })
}

impl Unit<'_> {
    fn redrive(&mut self, identity: &Identity, which: DeadLetters, expiry: Option<Timestamp>) -> Result<RedriveResult, Stop<RedriveError>> {
        let Some(id) = self.identity_id(identity)? else { return refuse(self.unknown(identity)?) };
        let expiry = checked_expiry(expiry, self.now(), self.settings.expiry_default)
            .map_err(|expiry| Stop::Refused(RedriveError::InvalidExpiry { expiry }))?;
        // First, since a command that expires now can push the oldest dead letter out.
        self.expire_commands_of(id)?;
        if let Some(sequence) = which.sequence()
            && !self.has_dead_letter(id, sequence)?
        {
            return refuse(RedriveError::UnknownDeadLetter { sequence });
        }
        let room = self.settings.queue_depth.saturating_sub(self.command_count(id)?).min(REDRIVEN_MAX);
        let (chosen, asked) = match which {
            DeadLetters::One(sequence) => (vec![sequence], 1),
            DeadLetters::All => (self.dead_letter_sequences(id, room)?, self.dead_letter_count(id)?),
        };
        let redriven = chosen.into_iter().take(room).map(|sequence| self.redrive_one(id, sequence, expiry));
        let redriven = redriven.collect::<Result<Vec<_>, Stop<RedriveError>>>()?;
        Ok(RedriveResult { remaining: asked - redriven.len() as u64, redriven })
    }

    fn redrive_one(&mut self, id: i64, sequence: u64, expiry: Timestamp) -> Result<RedrivenItem, Stop<RedriveError>> {
        let dead: CommandRow = self.take_dead_letter::<RedriveError>(id, sequence)?;
        let mut properties = dead.message_properties()?;
        properties.system.expiry = Some(expiry);
        let row = CommandRow {
            sequence: self.next_sequence(id)?,
            delivery_count: 0,
            enqueued: self.now(),
            expiry,
            properties: property_bag::format(&properties),
            ..dead
        };
        self.insert_command(id, &row)?;
        Ok(RedrivenItem { message_id: row.message_id, dead_letter_sequence_number: sequence, sequence_number: row.sequence })
    }
}
