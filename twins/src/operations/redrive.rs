//! Dead letters become commands again, in pieces: whatever ends it in between, each message is
//! either still a dead letter or a command.

use model::api::{RedriveResult, RedrivenItem};
use model::limits::REDRIVEN_MAX;
use model::{Identity, Timestamp, property_bag};

use super::command_types::{DeadLetters, RedriveError};
use super::new_command::checked_expiry;
use crate::handle::Twins;
use crate::store::command_rows::CommandRow;
use crate::store::pieces::{CommandTable, Span};
use crate::store::{Stop, Unit, refuse};

#[cfg(test)]
mod tests;

impl Twins {
    /// Puts dead letters back at the end of their queue, in order, as commands that were never
    /// handed out: with new sequence numbers, delivery count 0 and a new expiry, `expiry` or the
    /// configured time from now. Message ids, properties and the feedback asked for are as before.
    /// What the queue has no room for stays, and so does all beyond a thousand. The caller tells who
    /// waits for a command.
    ///
    /// Many go in several transactions, and other writers get between them: of what dies meanwhile,
    /// commands sent meanwhile stay, those sent before may be redriven as well.
    ///
    /// # Errors
    /// [`RedriveError`]. Nothing was changed, unless the store failed or the identity was deleted
    /// while some had gone already; then the caller tells as well.
    pub async fn redrive_dead_letters(
        &self,
        identity: &Identity,
        which: DeadLetters,
        expiry: Option<Timestamp>,
    ) -> Result<RedriveResult, RedriveError> {
        let expiry = checked_expiry(expiry, self.inner.clock.now(), self.inner.settings.expiry_default)
            .map_err(|expiry| RedriveError::InvalidExpiry { expiry })?;
        let mut result = RedriveResult::default();
        let mut next = Some(which.span());
        while let Some(span) = next {
            let identity = identity.clone();
            let most = REDRIVEN_MAX - result.redriven.len();
            let redrive = move |unit: &mut Unit<'_>| unit.redrive(&identity, which, span, expiry, most);
            let moved = self.inner.writer.submit(0, redrive).await?;
            result.redriven.extend(moved.items);
            result.remaining = moved.remaining;
            next = moved.rest;
        }
        Ok(result)
    }
}

/// What one transaction did.
struct Moved {
    items: Vec<RedrivenItem>,
    /// Of those asked for, at present.
    remaining: u64,
    /// What the next transaction goes on with, if it may.
    rest: Option<Span>,
}

impl Unit<'_> {
    fn redrive(
        &mut self,
        identity: &Identity,
        which: DeadLetters,
        span: Span,
        expiry: Timestamp,
        most: usize,
    ) -> Result<Moved, Stop<RedriveError>> {
        let Some(id) = self.identity_id(identity)? else { return refuse(self.unknown(identity)?) };
        // First, since a command that expires now can push the oldest dead letter out.
        self.expire_commands_of(id)?;
        let piece = self.piece(CommandTable::DeadLetters, id, span)?;
        if let (DeadLetters::One(sequence), true) = (which, piece.sequences.is_empty()) {
            return refuse(RedriveError::UnknownDeadLetter { sequence });
        }
        let room = self.settings.queue_depth.saturating_sub(self.command_count(id)?).min(most);
        // All are read before the first is moved: one that makes no sense stays, and so do those beside it.
        let chosen = piece.sequences.into_iter().take(room).map(|sequence| self.revived(id, sequence, expiry));
        let chosen = chosen.collect::<Result<Vec<_>, Stop<RedriveError>>>()?;
        let items = chosen.into_iter().map(|dead| self.redrive_one(id, dead)).collect::<Result<Vec<_>, _>>()?;
        let after = items.last().map_or(span.after, |item| item.dead_letter_sequence_number);
        let remaining = self.dead_letter_count(id, Span { after, ..span })?;
        Ok(Moved { rest: piece.rest.filter(|_| items.len() < room), remaining, items })
    }

    /// A dead letter as the command that it is to be, under its old number.
    fn revived(&self, id: i64, sequence: u64, expiry: Timestamp) -> Result<CommandRow, Stop<RedriveError>> {
        let dead: CommandRow = self.dead_letter_row::<RedriveError>(id, sequence)?;
        let mut properties = dead.message_properties()?;
        properties.system.expiry = Some(expiry);
        Ok(CommandRow { delivery_count: 0, enqueued: self.now(), expiry, properties: property_bag::format(&properties), ..dead })
    }

    fn redrive_one(&mut self, id: i64, revived: CommandRow) -> Result<RedrivenItem, rusqlite::Error> {
        let dead_letter_sequence_number = revived.sequence;
        self.delete_dead_letters(id, Span::one(dead_letter_sequence_number))?;
        let row = CommandRow { sequence: self.next_sequence(id)?, ..revived };
        self.insert_command(id, &row)?;
        Ok(RedrivenItem { message_id: row.message_id, dead_letter_sequence_number, sequence_number: row.sequence })
    }
}
