//! What one operation sees of the transaction it runs in.

use model::Timestamp;
use rusqlite::Connection;

use super::agenda::{Agenda, earliest};
use super::lock_table::LockTable;
use crate::command_settings::CommandSettings;
use crate::error::{SqliteFailure, StoreError};
use crate::identity_table::IdentityChange;

/// .NET ticks (100 ns since year 1) at 1970-01-01.
const TICKS_AT_EPOCH: i64 = 621_355_968_000_000_000;
const TICKS_PER_MILLISECOND: i64 = 10_000;

/// The writer's transaction and what goes with it. Everything done through it holds once the
/// transaction is committed, and only then.
pub(crate) struct Unit<'w> {
    pub(crate) connection: &'w Connection,
    pub(crate) locks: &'w mut LockTable,
    pub(crate) agenda: &'w mut Agenda,
    pub(crate) settings: &'w CommandSettings,
    /// When the operation happens, from its beginning to its end: what falls due while it runs is
    /// neither done by it nor left out of what is noted for later.
    pub(crate) now: Timestamp,
    /// Told to the table in memory after the commit and before any answer.
    pub(crate) changes: &'w mut Vec<IdentityChange>,
    /// The ticks in the generation id given last.
    pub(crate) last_generation: &'w mut i64,
}

/// Why an operation ends early.
#[derive(Debug)]
pub(crate) enum Stop<E> {
    /// It is refused, having written nothing but what was due anyway; the transaction goes on.
    Refused(E),
    /// It met a row that makes no sense. That is no reason to fail everybody else's operations, unless
    /// this one had begun to write: half of it must not be committed.
    Unreadable(StoreError),
    /// SQLite failed; the transaction fails with it.
    Sqlite(SqliteFailure),
}

impl<E> From<rusqlite::Error> for Stop<E> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error.into())
    }
}

impl<E> From<SqliteFailure> for Stop<E> {
    fn from(failure: SqliteFailure) -> Self {
        Self::Sqlite(failure)
    }
}

impl<E> From<StoreError> for Stop<E> {
    fn from(error: StoreError) -> Self {
        Self::Unreadable(error)
    }
}

/// Ends an operation with a refusal.
pub(crate) fn refuse<T, E>(error: impl Into<E>) -> Result<T, Stop<E>> {
    Err(Stop::Refused(error.into()))
}

impl Unit<'_> {
    /// Does what is to be done as a whole or not at all. What it is refused for is the inner error;
    /// after the outer one the transaction must fail.
    pub(crate) fn attempt<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Stop<E>>,
    ) -> Result<Result<T, E>, SqliteFailure> {
        let before = self.connection.total_changes();
        match work(self) {
            Ok(done) => Ok(Ok(done)),
            Err(Stop::Refused(error)) => Ok(Err(error)),
            Err(Stop::Unreadable(error)) if self.connection.total_changes() == before => Ok(Err(error.into())),
            Err(Stop::Unreadable(error)) => Err(SqliteFailure { code: None, message: error.to_string() }),
            Err(Stop::Sqlite(failure)) => Err(failure),
        }
    }

    /// The moment of the operation.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether the moment noted in the agenda has come, or a lock has ended, behind which an expiry
    /// may have passed.
    pub(crate) fn is_due(&self, noted: Option<Timestamp>) -> bool {
        earliest([noted, self.locks.next_end()]).is_some_and(|moment| moment <= self.now())
    }

    /// A generation id never given before by this process, and unlikely by another: 18 digits,
    /// the creation's .NET ticks with random digits below a millisecond.
    pub(crate) fn new_generation(&mut self) -> String {
        let random = rand::random_range(0..TICKS_PER_MILLISECOND);
        let ticks = TICKS_AT_EPOCH + self.now().as_milliseconds() * TICKS_PER_MILLISECOND + random;
        *self.last_generation = ticks.max(*self.last_generation + 1);
        format!("{:018}", *self.last_generation)
    }
}
