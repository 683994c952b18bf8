//! Files that devices upload: begun and ended through the store, received on disk by whoever
//! holds a signed link, told of to the service. What is answered as done is on disk.
//!
//! `name` and `layout` say what a file may be called and where it lies, `link` what lets somebody
//! write or read it, `storage` and `part` are the disk. Nothing here knows of HTTP.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::limits::{COMMAND_EXPIRY_DEFAULT, FILE_BYTES_MAX, FILE_UPLOAD_LIFETIME, FILE_UPLOADS_MAX, FILES_BYTES_MAX};
use model::{Clock, Secret};
use thiserror::Error;
use twins::{StoreError, Twins};

use crate::data_dir::{FileError, create_directory, read_if_present, replace_file};

mod block_list;
mod checksum;
mod layout;
mod link;
mod listing;
mod name;
mod operations;
mod part;
mod room;
mod storage;
mod turns;

pub(crate) use block_list::{BLOCK_LIST_BYTES_MAX, BlockId, InvalidBlockId, InvalidBlockList, parse as parse_block_list};
pub(crate) use link::{InvalidLink, Permission};
pub(crate) use name::{BlobName, ContainerName};
pub(crate) use operations::{BeginError, EndError, LinkRefusal};
pub(crate) use part::{Part, PartError, Whole};
pub(crate) use storage::{Precondition, PutError, Stored};

use link::LinkSigner;
use storage::Storage;
use turns::{Turn, Turns};

/// Bytes of the key that signs links.
const KEY_BYTES: usize = 32;
/// How often blocks of uploads that were never ended are looked for.
const SWEEP_PERIOD: Duration = Duration::from_secs(600);

/// Bounds and names of uploads. `Default` is what the service documents, where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileSettings {
    /// Where uploads go.
    pub(crate) container: ContainerName,
    /// How long an upload may take, from its beginning to the word of its end.
    pub(crate) upload_lifetime: Duration,
    /// How long the service may take to read of it.
    pub(crate) notification_lifetime: Duration,
    /// The largest file.
    pub(crate) file_bytes_max: u64,
    /// All files together, partial ones included.
    pub(crate) bytes_max: u64,
    /// Uploads of one device that may be under way.
    pub(crate) uploads_max: usize,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            container: ContainerName::default(),
            upload_lifetime: FILE_UPLOAD_LIFETIME,
            notification_lifetime: COMMAND_EXPIRY_DEFAULT,
            file_bytes_max: FILE_BYTES_MAX,
            bytes_max: FILES_BYTES_MAX,
            uploads_max: FILE_UPLOADS_MAX,
        }
    }
}

/// Why uploads cannot be received at all.
#[derive(Debug, Error)]
pub(crate) enum OpenFilesError {
    /// The key's file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The key's file holds something else.
    #[error("{0} does not hold a key; remove it, and links that were given out cease to hold")]
    Key(String),
    /// The directory of files.
    #[error("the uploaded files in {path} cannot be read: {source}")]
    Storage {
        /// Where.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread of our own panicked.
    #[error("opening the uploaded files panicked")]
    Panicked,
}

/// The uploaded files. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: FileSettings,
    storage: Storage,
    signer: LinkSigner,
    twins: Twins,
    clock: Clock,
    turns: Turns,
}

impl Files {
    /// Opens `directory`, making it and the key in it at the first start, and removes what is
    /// left of uploads that nobody can go on with.
    ///
    /// # Errors
    /// [`OpenFilesError`]
    pub(crate) async fn open(directory: &Path, settings: FileSettings, twins: Twins, clock: Clock) -> Result<Self, OpenFilesError> {
        create_directory(directory)?;
        let signer = LinkSigner::new(&read_or_make_key(&directory.join("link.key"))?);
        let (root, bytes_max) = (directory.to_owned(), settings.bytes_max);
        let opened = tokio::task::spawn_blocking(move || Storage::open(&root, bytes_max)).await.map_err(|_| OpenFilesError::Panicked)?;
        let storage = opened.map_err(|source| OpenFilesError::Storage { path: directory.display().to_string(), source })?;
        let files = Self { inner: Arc::new(Inner { settings, storage, signer, twins, clock, turns: Turns::default() }) };
        files.sweep().await?;
        let swept = Arc::downgrade(&files.inner);
        tokio::spawn(async move {
            let mut period = tokio::time::interval(SWEEP_PERIOD);
            loop {
                period.tick().await;
                let Some(inner) = swept.upgrade() else { return };
                if let Err(error) = (Self { inner }).sweep().await {
                    tracing::warn!(%error, "blocks of uploads that were never ended stay");
                }
            }
        });
        Ok(files)
    }

    /// As configured.
    pub(crate) fn settings(&self) -> &FileSettings {
        &self.inner.settings
    }

    /// Bytes that all files take, partial ones included, on the disk's account.
    pub(crate) fn bytes_used(&self) -> u64 {
        self.inner.storage.bytes_used()
    }

    /// A turn to send a body under an upload, unless as many are under way as may.
    pub(crate) fn turn(&self, upload: &str) -> Option<Turn> {
        self.inner.turns.take(upload)
    }
}

/// The key is made by whoever starts first: a link that is worth anything cannot be older.
fn read_or_make_key(path: &Path) -> Result<Secret, OpenFilesError> {
    let text = match read_if_present(path)? {
        Some(text) => zeroize::Zeroizing::new(text),
        None => {
            let made = Secret::new(rand::random::<[u8; KEY_BYTES]>().to_vec());
            let text = zeroize::Zeroizing::new(made.to_base64());
            replace_file(path, text.as_bytes(), 0o600)?;
            text
        }
    };
    let key = Secret::from_base64(text.trim()).ok().filter(|key| key.expose().len() >= KEY_BYTES);
    key.ok_or_else(|| OpenFilesError::Key(path.display().to_string()))
}
