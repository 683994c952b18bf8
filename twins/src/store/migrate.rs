//! Brings a database to the present schema. The scripts are compiled in.

use std::borrow::Cow;
use std::path::Path;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _};

/// Every script in order. One that was released is never edited: its checksum is stored.
const SCRIPTS: &[(i64, &str, &str)] = &[
    (1, "initial", include_str!("../migrations/0001_initial.sql")),
    (2, "event hub settings", include_str!("../migrations/0002_event_hub_settings.sql")),
    (3, "command feedback", include_str!("../migrations/0003_command_feedback.sql")),
    (4, "file uploads", include_str!("../migrations/0004_file_uploads.sql")),
];

/// Runs the scripts that the database at `path` has not seen, creating it when absent.
pub(crate) async fn migrate(path: &Path) -> Result<(), MigrateError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = options.connect().await?;
    let migrations = SCRIPTS
        .iter()
        .map(|(version, name, sql)| Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, (*sql).into_sql_str(), false));
    let outcome = Migrator::with_migrations(migrations.collect()).run(&mut connection).await;
    connection.close().await?;
    outcome
}
