//! Long queues are changed in pieces, each in a transaction of its own, so that other writers wait
//! for one piece at the most and not for ten thousand commands of 64 KiB.

use rusqlite::params;

use super::row::{from_unsigned, to_unsigned};
use super::unit::Unit;

/// Rows in a piece: a few milliseconds of the writer's time.
const ROWS_MAX: usize = 128;
/// Bodies and properties in a piece, unless its first row alone has more.
pub(super) const BYTES_MAX: u64 = 1 << 20;

/// Part of a queue or of dead letters: sequence numbers behind `after`, up to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) after: u64,
    pub(crate) last: u64,
}

impl Span {
    /// Everything there is when it is first looked at.
    pub(crate) const ALL: Self = Self { after: 0, last: u64::MAX };

    /// One row alone.
    pub(crate) fn one(sequence: u64) -> Self {
        Self { after: sequence.saturating_sub(1), last: sequence }
    }
}

/// What has commands by sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandTable {
    /// Those that wait.
    Commands,
    /// Those that are dead.
    DeadLetters,
}

macro_rules! select_sizes {
    ($table:literal) => {
        concat!(
            "SELECT sequence, length(body) + length(properties) FROM ",
            $table,
            " WHERE identity = ?1 AND sequence > ?2 AND sequence <= ?3 ORDER BY sequence"
        )
    };
}

impl CommandTable {
    fn select_sizes(self) -> &'static str {
        match self {
            Self::Commands => select_sizes!("commands"),
            Self::DeadLetters => select_sizes!("dead_letters"),
        }
    }

    fn select_last(self) -> &'static str {
        match self {
            Self::Commands => "SELECT max(sequence) FROM commands WHERE identity = ?1",
            Self::DeadLetters => "SELECT max(sequence) FROM dead_letters WHERE identity = ?1",
        }
    }
}

/// The first rows of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// In order.
    pub(crate) sequences: Vec<u64>,
    /// From the beginning of the span to the last of them.
    pub(crate) covers: Span,
    /// What is left of the span; nothing that is sent later is in it.
    pub(crate) rest: Option<Span>,
}

impl Unit<'_> {
    /// As many of the first rows in a span as one transaction may change.
    pub(crate) fn piece(&self, table: CommandTable, id: i64, span: Span) -> Result<Piece, rusqlite::Error> {
        let mut statement = self.connection.prepare_cached(table.select_sizes())?;
        let mut rows = statement.query(params![id, from_unsigned(span.after), from_unsigned(span.last)])?;
        let (mut sequences, mut bytes, mut has_more) = (Vec::new(), 0, false);
        while let Some(row) = rows.next()? {
            bytes += to_unsigned(row.get(1)?);
            has_more = sequences.len() == ROWS_MAX || (bytes > BYTES_MAX && !sequences.is_empty());
            if has_more {
                break;
            }
            sequences.push(to_unsigned(row.get(0)?));
        }
        let after = sequences.last().copied().unwrap_or(span.after);
        let rest = if has_more { Some(Span { after, last: self.last(table, id)?.min(span.last) }) } else { None };
        Ok(Piece { sequences, covers: Span { last: after, ..span }, rest })
    }

    /// The last sequence number that a table has of an identity.
    fn last(&self, table: CommandTable, id: i64) -> Result<u64, rusqlite::Error> {
        let last: Option<i64> = self.connection.prepare_cached(table.select_last())?.query_row([id], |row| row.get(0))?;
        Ok(last.map_or(0, to_unsigned))
    }
}
