//! Killed at any system call of a kind while the hub starts, works, recovers, seals and removes.

use super::kill::{Files, Origin, SYNCS, hub_with, kill_at_each};
use super::promises::Promises;
use crate::support::machine::{missing_for_injection, offers};

impl Origin<Promises> {
    /// A hub that has done the job and stopped in order.
    async fn of_stopped() -> Self {
        Self::of_stopped_with("").await
    }

    /// The same with `more` in its configuration.
    async fn of_stopped_with(more: &str) -> Self {
        let mut promises = Promises::none();
        let (scratch, hub) = hub_with(more);
        promises.fulfil(&hub).await;
        Self::stopped((scratch, hub), promises)
    }

    /// A hub that was killed at work.
    async fn of_killed() -> Self {
        let mut promises = Promises::none();
        let (scratch, hub) = hub_with("");
        promises.fulfil(&hub).await;
        Self::killed((scratch, hub), promises)
    }

    /// For runs that are about something else: their number grows with what a job does.
    fn without_settling(mut self) -> Self {
        self.promised.settles = false;
        self
    }
}

/// What `events` keeps at least in the test of retention.
const RETAINED_BYTES: usize = 4 << 20;

#[tokio::test]
async fn at_any_sync_of_a_first_start() {
    if offers(missing_for_injection()) {
        for files in [Files::All, Files::Database, Files::Log] {
            kill_at_each("a first start", &Origin::nothing(Promises::none()), SYNCS, files, 1).await;
        }
    }
}

#[tokio::test]
async fn at_any_sync_of_the_database_at_work() {
    if offers(missing_for_injection()) {
        kill_at_each("at work", &Origin::of_stopped().await, SYNCS, Files::Database, 1).await;
    }
}

#[tokio::test]
async fn at_any_sync_of_the_event_log_at_work() {
    if offers(missing_for_injection()) {
        kill_at_each("at work", &Origin::of_stopped().await.without_settling(), SYNCS, Files::Log, 1).await;
    }
}

/// The job writes more than a segment holds: the next one is made meanwhile.
#[tokio::test]
async fn at_any_call_that_makes_a_segment() {
    if offers(missing_for_injection()) {
        let mut origin = Origin::of_stopped().await.without_settling();
        origin.promised.large = 24;
        kill_at_each("over a segment's end", &origin, SYNCS, Files::All, 1).await;
        kill_at_each("over a segment's end", &origin, "rename,ftruncate,fallocate,unlink", Files::All, 1).await;
    }
}

/// A full segment becomes sealed files, then a spare, then a segment again.
#[tokio::test]
async fn at_any_call_that_seals_a_segment() {
    if offers(missing_for_injection()) {
        let mut origin = Origin::of_stopped().await.without_settling();
        origin.promised.large = 24;
        for calls in [SYNCS, "rename,unlink", "pwrite64"] {
            kill_at_each("sealing", &origin, calls, Files::Sealed, 1).await;
        }
    }
}

/// Four segments are filled while the event hub keeps little more than one.
#[tokio::test]
async fn at_any_call_that_retention_makes() {
    if offers(missing_for_injection()) {
        let kept = format!("[[event_hub]]\nname = \"events\"\nretention_bytes = \"{} MiB\"\n", RETAINED_BYTES >> 20);
        let mut origin = Origin::of_stopped_with(&kept).await.without_settling();
        origin.promised.large = 84;
        origin.promised.retained_bytes = Some(RETAINED_BYTES);
        for calls in [SYNCS, "rename,unlink"] {
            kill_at_each("retention", &origin, calls, Files::Sealed, 1).await;
        }
    }
}

#[tokio::test]
async fn at_any_sync_of_a_recovery() {
    if offers(missing_for_injection()) {
        let origin = Origin::of_killed().await;
        for files in [Files::All, Files::Database, Files::Log] {
            kill_at_each("a recovery", &origin, SYNCS, files, 1).await;
        }
    }
}

#[tokio::test]
async fn at_any_change_of_a_directory_or_a_length() {
    if offers(missing_for_injection()) {
        kill_at_each("a first start", &Origin::nothing(Promises::none()), "rename,unlink,ftruncate,fallocate,mkdir", Files::All, 1).await;
        kill_at_each("a recovery", &Origin::of_killed().await, "rename,unlink,ftruncate,fallocate", Files::All, 1).await;
    }
}

#[tokio::test]
async fn at_any_write() {
    if offers(missing_for_injection()) {
        let origin = Origin::of_killed().await.without_settling();
        kill_at_each("a recovery", &origin, "pwrite64", Files::Log, 1).await;
        kill_at_each("a recovery", &origin, "pwrite64", Files::Database, 1).await;
    }
}
