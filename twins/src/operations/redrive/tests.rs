use model::Clock;

use super::*;
use crate::Config;
use crate::command_queue::LockOwner;
use crate::error::StoreError;
use crate::operations::NewDevice;
use crate::operations::command_types::NewCommand;

/// How many dead letters there are and how many commands.
async fn counted(twins: &Twins) -> (i64, i64) {
    let count = |unit: &mut Unit<'_>| {
        let count = |sql| unit.connection.query_row(sql, [], |row| row.get(0));
        Ok((count("SELECT count(*) FROM dead_letters")?, count("SELECT count(*) FROM commands")?))
    };
    twins.inner.writer.submit::<_, StoreError>(0, count).await.expect("counted")
}

#[tokio::test]
async fn a_dead_letter_that_makes_no_sense_stays_one_and_so_do_those_beside_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Clock::manual(Timestamp::from_milliseconds(1));
    let twins = Twins::open(&directory.path().join("hub.db"), clock, Config::default()).await.expect("opens");
    let identity: Identity = "d".parse().expect("an identity");
    twins.create_device(identity.device.clone(), NewDevice::default()).await.expect("created");
    for _ in 0..3 {
        twins.enqueue_command(&identity, NewCommand::default()).await.expect("stored");
        let held = twins.lock_commands(&identity, LockOwner(1), 1).await.expect("locked").remove(0).lock;
        twins.reject_command(&identity, held).await.expect("held");
    }
    let garble = |unit: &mut Unit<'_>| Ok(unit.connection.execute("UPDATE dead_letters SET properties = '%' WHERE sequence = 2", [])?);
    assert_eq!(twins.inner.writer.submit::<_, StoreError>(0, garble).await, Ok(1));

    for which in [DeadLetters::All, DeadLetters::One(2)] {
        let refused = twins.redrive_dead_letters(&identity, which, None).await;
        assert!(matches!(refused, Err(RedriveError::Store(StoreError::Inconsistent { .. }))), "{refused:?}");
        assert_eq!(counted(&twins).await, (3, 0), "{which:?}");
    }
    for sequence in [1, 3] {
        twins.redrive_dead_letters(&identity, DeadLetters::One(sequence), None).await.expect("redriven");
    }
    assert_eq!(counted(&twins).await, (1, 2));
}
