//! Connections that only read. Each statement sees everything committed before it.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

/// Readers at once; more wait. Each is a thread of sqlx's.
const CONNECTIONS_MAX: u32 = 4;
/// Page cache of each, in KiB: holds the inner pages of the indexes of a large fleet.
const CACHE_KIBIBYTES: i32 = 16 * 1024;
/// Longest wait for a free reader before the read fails.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// The readers' connections.
#[derive(Debug)]
pub(crate) struct Readers(pub(crate) SqlitePool);

impl Readers {
    /// Opens the first connection to the database that the writer has opened before.
    pub(crate) async fn open(path: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new().filename(path).read_only(true).pragma("query_only", "ON");
        let options = options.pragma("cache_size", (-CACHE_KIBIBYTES).to_string());
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).acquire_timeout(ACQUIRE_TIMEOUT);
        Ok(Self(pool.connect_with(options).await?))
    }
}
