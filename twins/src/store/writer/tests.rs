use model::Timestamp;

use super::*;
use crate::command_queue::{Entry, Lock, LockHolder, LockOwner, LockToken};

fn start(directory: &tempfile::TempDir) -> Writer {
    start_by(directory, Clock::manual(Timestamp::NEVER))
}

fn start_by(directory: &tempfile::TempDir, clock: Clock) -> Writer {
    let connection = Connection::open(directory.path().join("writer.db")).expect("opens");
    connection.execute_batch("CREATE TABLE IF NOT EXISTS kept (number INTEGER)").expect("created");
    let bounds = QueueBounds { entries: 16, bytes: 1024 };
    let table = Arc::new(IdentityTable::new());
    Writer::start(connection, table, clock, bounds, CommandSettings::default(), Agenda::default()).expect("started")
}

fn fault(code: i32) -> SqliteFailure {
    SqliteFailure { code: Some(code), message: "injected".to_owned() }
}

async fn insert(writer: &Writer) -> Result<usize, StoreError> {
    writer.submit(0, |unit| Ok(unit.connection.execute("INSERT INTO kept VALUES (1)", [])?)).await
}

/// Inserts a row, then fails as SQLite would.
async fn insert_and_fail(writer: &Writer, code: i32) -> Result<(), StoreError> {
    let work = move |unit: &mut Unit<'_>| {
        unit.connection.execute("INSERT INTO kept VALUES (2)", [])?;
        Err(Stop::Sqlite(fault(code)))
    };
    writer.submit(0, work).await
}

fn rows(directory: &tempfile::TempDir) -> i64 {
    let connection = Connection::open(directory.path().join("writer.db")).expect("opens");
    connection.query_row("SELECT count(*) FROM kept", [], |row| row.get(0)).expect("reads")
}

#[tokio::test]
async fn after_a_failure_of_io_no_write_is_taken_and_health_says_why() {
    for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_FULL, ffi::SQLITE_CORRUPT] {
        let directory = tempfile::tempdir().expect("a directory");
        let writer = start(&directory);
        assert_eq!(insert(&writer).await, Ok(1));
        assert_eq!(insert_and_fail(&writer, code).await, Err(StoreError::Transaction(fault(code))));
        assert_eq!(writer.health(), Err(StoreError::Poisoned(fault(code))));
        assert_eq!(insert(&writer).await, Err(StoreError::Poisoned(fault(code))));
        assert_eq!(rows(&directory), 1, "reading goes on, and what failed is not there");
    }
}

#[tokio::test]
async fn another_failure_fails_its_group_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let writer = start(&directory);
    assert!(insert_and_fail(&writer, ffi::SQLITE_CONSTRAINT).await.is_err());
    assert_eq!(writer.health(), Ok(()));
    assert_eq!(insert(&writer).await, Ok(1));
    assert_eq!(rows(&directory), 1);
}

fn unreadable() -> StoreError {
    StoreError::Inconsistent { table: "kept", column: "number", reason: "injected".to_owned() }
}

/// Writes `sql`, and then meets a row that makes no sense.
async fn write_and_misread(writer: &Writer, sql: &'static str) -> Result<(), StoreError> {
    let work = move |unit: &mut Unit<'_>| {
        unit.connection.query_row(sql, [], |_| Ok(()))?;
        Err(unreadable().into())
    };
    writer.submit(0, work).await
}

#[tokio::test]
async fn an_operation_that_cannot_read_on_leaves_nothing_half_done() {
    let directory = tempfile::tempdir().expect("a directory");
    let writer = start(&directory);
    assert_eq!(insert(&writer).await, Ok(1));
    for sql in ["INSERT INTO kept VALUES (2), (3) RETURNING number", "DELETE FROM kept RETURNING number"] {
        let failed = write_and_misread(&writer, sql).await;
        assert_eq!(failed, Err(StoreError::Transaction(SqliteFailure { code: None, message: unreadable().to_string() })));
        assert_eq!((rows(&directory), writer.health()), (1, Ok(())), "after {sql}");
    }
    assert_eq!(write_and_misread(&writer, "SELECT number FROM kept").await, Err(unreadable()), "nobody else's operation fails");
}

#[tokio::test]
async fn locks_fall_with_the_transaction_they_were_made_in() {
    let directory = tempfile::tempdir().expect("a directory");
    let writer = start(&directory);
    let entry = |sequence, holder| {
        let lock = Some(Lock { token: LockToken(1), holder });
        Entry { sequence, expiry: Timestamp::MAX, delivery_count: 0, ack: crate::feedback::Ack::None, lock }
    };
    let (kept, fallen) = (entry(1, LockHolder::Until(Timestamp::MAX)), entry(2, LockHolder::Connection(LockOwner(1))));
    let lock = move |unit: &mut Unit<'_>| {
        unit.locks.set(7, &kept);
        Ok(())
    };
    assert_eq!(writer.submit::<_, StoreError>(0, lock).await, Ok(()));
    let lock_and_fail = move |unit: &mut Unit<'_>| {
        unit.locks.clear_queue(7);
        unit.locks.set(7, &fallen);
        unit.agenda.note_command(Timestamp::NEVER);
        Err::<(), _>(Stop::Sqlite(fault(ffi::SQLITE_BUSY)))
    };
    assert!(writer.submit::<(), StoreError>(0, lock_and_fail).await.is_err());
    let held = writer.submit::<_, StoreError>(0, |unit| Ok((unit.locks.of(7, 1), unit.locks.of(7, 2), unit.locks.next_end()))).await;
    assert_eq!(held, Ok((kept.lock, None, Some(Timestamp::MAX))));
    assert_eq!(*writer.deadline().borrow(), Some(Timestamp::MAX), "nor does what it noted for later stand");
}

/// Otherwise a sweep would neither find what expires while it runs nor note it for later.
#[tokio::test]
async fn an_operation_happens_at_one_moment() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Clock::manual(Timestamp::NEVER);
    let writer = start_by(&directory, clock.clone());
    let passing = move |unit: &mut Unit<'_>| {
        let before = unit.now();
        clock.advance(std::time::Duration::from_secs(1));
        Ok((before, unit.now()))
    };
    let (before, after) = writer.submit::<_, StoreError>(0, passing.clone()).await.expect("done");
    assert_eq!(before, after);
    let (next, _) = writer.submit::<_, StoreError>(0, passing).await.expect("done");
    assert_eq!(next, before.saturating_add(std::time::Duration::from_secs(1)), "the next one at the next");
}
