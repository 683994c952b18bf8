//! What is done to many commands is done piece by piece.

use model::Identity;

use super::command_types::CommandReadError;
use crate::handle::Twins;
use crate::store::pieces::{Piece, Span};
use crate::store::{Stop, Unit, refuse};

impl Twins {
    /// Changes one piece of a span after the other, each in a transaction of its own; gives the
    /// number of rows.
    pub(super) async fn in_pieces(
        &self,
        identity: &Identity,
        span: Span,
        change: fn(&mut Unit<'_>, i64, Span) -> Result<Piece, rusqlite::Error>,
    ) -> Result<u64, CommandReadError> {
        let (mut rows, mut next) = (0, Some(span));
        while let Some(span) = next {
            let identity = identity.clone();
            let change = move |unit: &mut Unit<'_>| -> Result<Piece, Stop<CommandReadError>> {
                let Some(id) = unit.identity_id(&identity)? else { return refuse(unit.unknown(&identity)?) };
                Ok(change(unit, id, span)?)
            };
            let piece = self.inner.writer.submit(0, change).await?;
            rows += piece.sequences.len() as u64;
            next = piece.rest;
        }
        Ok(rows)
    }
}
