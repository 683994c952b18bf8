//! Dead letters: read and deleted; [`super::redrive`] sends them again. The service has no way to do
//! any of this; it is our own addition.

use model::api::{CommandState, DeadLetterItem};
use model::limits::{COMMAND_PAGE_BYTES_MAX, PAGE_ITEMS_MAX};
use model::{Identity, Timestamp};

use super::command_types::{CommandReadError, DeadLetters, Page};
use super::commands::item;
use crate::error::{StoreError, UnknownIdentity};
use crate::handle::Twins;
use crate::store::command_rows::CommandRow;
use crate::store::dead_letter_rows::{SELECT_DEAD_LETTERS, SELECT_SIZES, read_reason};
use crate::store::identity_rows::module_column;
use crate::store::pieces::{CommandTable, Span};
use crate::store::{ReadRow as _, Unit, from_unsigned, to_unsigned};

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

    /// Deletes dead letters; says how many there were. Many go in several transactions, and other
    /// writers get between them: of what dies meanwhile, commands sent meanwhile stay, those sent
    /// before may go as well.
    ///
    /// # Errors
    /// [`CommandReadError`]; some may have gone already when the store failed.
    pub async fn delete_dead_letters(&self, identity: &Identity, which: DeadLetters) -> Result<u64, CommandReadError> {
        let delete = |unit: &mut Unit<'_>, id, span| {
            let piece = unit.piece(CommandTable::DeadLetters, id, span)?;
            unit.delete_dead_letters(id, piece.covers)?;
            Ok(piece)
        };
        self.in_pieces(identity, which.span(), delete).await
    }
}

impl DeadLetters {
    pub(super) fn span(self) -> Span {
        match self {
            Self::One(sequence) => Span::one(sequence),
            Self::All => Span::ALL,
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
