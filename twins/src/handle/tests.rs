use model::limits::BULK_OPERATIONS_MAX;
use rusqlite::Connection;
use serde_json::json;

use super::*;
use crate::store::Unit;

/// More than one batch.
const DEVICES: usize = SEEN_WRITE_BATCH + 3;

fn seen_at(milliseconds: i64) -> Timestamp {
    Timestamp::from_milliseconds(milliseconds)
}

fn identity(number: usize) -> Identity {
    format!("d{number}").parse().expect("an identity")
}

async fn create_devices(twins: &Twins) {
    let numbers: Vec<usize> = (0..DEVICES).collect();
    for numbers in numbers.chunks(BULK_OPERATIONS_MAX) {
        let item = |number: &usize| json!({"id": identity(*number).device.to_string(), "importMode": "create"});
        let items = serde_json::from_value(numbers.iter().map(item).collect()).expect("items");
        let created = twins.bulk(items).await.expect("carried out");
        assert!(created.is_successful, "{created:?}");
    }
}

async fn execute(twins: &Twins, sql: &'static str) {
    let execute = move |unit: &mut Unit<'_>| Ok(unit.connection.execute_batch(sql)?);
    twins.inner.writer.submit::<_, StoreError>(0, execute).await.expect("executed");
}

fn activities(database: &Path) -> Vec<i64> {
    let connection = Connection::open(database).expect("opens");
    let mut select = connection.prepare("SELECT last_activity FROM identities").expect("prepared");
    select.query_map([], |row| row.get(0)).expect("read").collect::<Result<_, _>>().expect("read")
}

#[tokio::test]
async fn facts_of_a_transaction_that_fails_are_written_by_the_next() {
    let directory = tempfile::tempdir().expect("a directory");
    let database = directory.path().join("hub.db");
    let twins = Twins::open(&database, Clock::manual(Timestamp::NEVER), Config::default()).await.expect("opens");
    create_devices(&twins).await;
    execute(&twins, "CREATE TRIGGER failing BEFORE UPDATE OF last_activity ON identities BEGIN SELECT RAISE(ABORT, 'injected'); END").await;
    (0..DEVICES).for_each(|number| twins.note_activity(&identity(number), seen_at(1)));

    let failed = twins.inner.write_seen().await;
    assert!(matches!(failed, Err(StoreError::Transaction(_))), "{failed:?}");
    assert_eq!(twins.health(), Ok(()));

    execute(&twins, "DROP TRIGGER failing").await;
    assert_eq!(twins.inner.write_seen().await, Ok(()));
    let written = activities(&database);
    assert_eq!((written.len(), written.iter().filter(|at| **at == 1).count()), (DEVICES, DEVICES));
}
