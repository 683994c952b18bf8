//! Files on disk, in the layout of [`super::layout`]. Everything here blocks; what it says is done
//! is synced, the names of files and directories included.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use model::Timestamp;
use thiserror::Error;

use super::block_list::BlockId;
use super::layout::{block_file_name, path_of};
use super::name::{BlobName, ContainerName};
use super::part::{PART_SUFFIX, PartError, Remains, Whole, written_at};
use super::room::Rooms;

/// Directories of one path; a name of the greatest length takes fewer.
const DEPTH_MAX: usize = 32;

/// What is known of a file without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Its name.
    pub(crate) blob: BlobName,
    /// Its size.
    pub(crate) bytes: u64,
    /// When it was written.
    pub(crate) modified: Timestamp,
    /// Another whenever it was written anew.
    pub(crate) etag: String,
}

/// What must be so for a file to be put in its place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Precondition {
    /// There must be no file of the name.
    pub(crate) absent: bool,
    /// There must be one, with this etag unless it is `*`.
    pub(crate) etag: Option<String>,
}

/// Why a file was not put in its place.
#[derive(Debug, Error)]
pub(crate) enum PutError {
    /// There is a file of the name.
    #[error("there is a file of this name already")]
    Exists,
    /// There is none with the etag.
    #[error("the file is not the one that the condition names")]
    Changed,
    /// A block is not there.
    #[error("a block of the list was not uploaded")]
    NoBlock,
    /// It is too large, or the disk failed.
    #[error(transparent)]
    Part(#[from] PartError),
}

impl From<io::Error> for PutError {
    fn from(error: io::Error) -> Self {
        Self::Part(PartError::Disk(error))
    }
}

/// The directory of files.
#[derive(Debug)]
pub(super) struct Storage {
    root: PathBuf,
    pub(super) rooms: Rooms,
    /// Held while directories are made or removed around a file, and while sizes are compared.
    placing: Mutex<()>,
}

impl Storage {
    /// Opens the directory, making what is not there, and counts what it holds.
    pub(super) fn open(root: &Path, bytes_max: u64) -> io::Result<Self> {
        let storage = Self { root: root.to_owned(), rooms: Rooms::new(bytes_max), placing: Mutex::default() };
        make_directories(&storage.uploading())?;
        remove_parts(&storage.uploading())?;
        walk(&storage.root, &mut |path, metadata| {
            // What lies beside the containers is the hub's own.
            if path.parent() != Some(&storage.root) {
                storage.rooms.count(metadata.len());
            }
        })?;
        Ok(storage)
    }

    /// Bytes that all files take, partial ones included.
    pub(super) fn bytes_used(&self) -> u64 {
        self.rooms.used()
    }

    /// Where bodies are received, and blocks kept until a file is made of them.
    pub(super) fn uploading(&self) -> PathBuf {
        self.root.join(".uploading")
    }

    fn place(&self, container: &ContainerName, blob: &BlobName) -> PathBuf {
        self.container(container).join(path_of(blob))
    }

    fn block(&self, upload: &str, id: &BlockId) -> PathBuf {
        self.uploading().join(upload).join(block_file_name(id.as_bytes()))
    }

    /// Puts a file in its place, in that of an earlier one if there is one.
    pub(super) fn put(
        &self,
        container: &ContainerName,
        blob: &BlobName,
        whole: Whole,
        condition: &Precondition,
    ) -> Result<Stored, PutError> {
        let place = self.place(container, blob);
        self.move_into(whole.rest, &place, Some((blob, condition)))?;
        self.stat(container, blob)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound).into())
    }

    /// Keeps a block of an upload, in the place of an earlier one of the same id.
    pub(super) fn put_block(&self, upload: &str, id: &BlockId, whole: Whole) -> Result<(), PutError> {
        self.move_into(whole.rest, &self.block(upload, id), None)
    }

    fn move_into(&self, file: Remains, place: &Path, checked: Option<(&BlobName, &Precondition)>) -> Result<(), PutError> {
        let directory = place.parent().unwrap_or(&self.root);
        let placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = metadata(place)?;
        if let Some((blob, condition)) = checked {
            check(condition, earlier.as_ref().map(|earlier| stored(blob.clone(), earlier)).as_ref())?;
        }
        make_directories(directory)?;
        fs::rename(file.path(), place)?;
        file.keep();
        if let Some(earlier) = earlier {
            self.rooms.give_back(earlier.len());
        }
        drop(placing);
        Ok(File::open(directory)?.sync_all()?)
    }

    /// Puts a file together from blocks of an upload, in the order of `ids`.
    pub(super) fn join(&self, upload: &str, ids: &[BlockId], bytes_max: u64, now: Timestamp) -> Result<Remains, PutError> {
        let blocks: Vec<PathBuf> = ids.iter().map(|id| self.block(upload, id)).collect();
        let mut bytes = 0_u64;
        for block in &blocks {
            bytes = bytes.saturating_add(metadata(block)?.ok_or(PutError::NoBlock)?.len());
        }
        if bytes > bytes_max {
            return Err(PartError::TooLarge { max: bytes_max }.into());
        }
        let mut room = self.rooms.begin().map_err(PartError::from)?;
        room.grow(bytes).map_err(PartError::from)?;
        let path = self.uploading().join(format!("{:032x}{PART_SUFFIX}", rand::random::<u128>()));
        let mut joined = File::create_new(&path)?;
        let rest = Remains::of(path, room);
        for block in blocks {
            io::copy(&mut BufReader::new(File::open(block)?), &mut joined)?;
        }
        joined.set_modified(written_at(now))?;
        joined.sync_all()?;
        Ok(rest)
    }

    /// Puts a file that [`Self::join`] made in its place.
    pub(super) fn put_joined(
        &self,
        container: &ContainerName,
        blob: &BlobName,
        joined: Remains,
        condition: &Precondition,
    ) -> Result<Stored, PutError> {
        self.move_into(joined, &self.place(container, blob), Some((blob, condition)))?;
        self.stat(container, blob)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound).into())
    }

    /// Removes the blocks of an upload.
    pub(super) fn remove_blocks(&self, upload: &str) -> io::Result<()> {
        let directory = self.uploading().join(upload);
        let _placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::new();
        walk(&directory, &mut |_, metadata| bytes.push(metadata.len()))?;
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        bytes.into_iter().for_each(|bytes| self.rooms.give_back(bytes));
        Ok(())
    }

    /// The uploads that have blocks.
    pub(super) fn uploads_with_blocks(&self) -> io::Result<HashSet<String>> {
        let mut uploads = HashSet::new();
        for entry in fs::read_dir(self.uploading())? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                uploads.insert(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(uploads)
    }

    /// What is known of a file, if it is there.
    pub(super) fn stat(&self, container: &ContainerName, blob: &BlobName) -> io::Result<Option<Stored>> {
        Ok(metadata(&self.place(container, blob))?.map(|metadata| stored(blob.clone(), &metadata)))
    }

    /// A file for reading, if it is there.
    pub(super) fn read(&self, container: &ContainerName, blob: &BlobName) -> io::Result<Option<(Stored, File)>> {
        let file = match File::open(self.place(container, blob)) {
            Err(error) if is_absence(&error) => return Ok(None),
            opened => opened?,
        };
        let metadata = file.metadata()?;
        Ok(metadata.is_file().then(|| (stored(blob.clone(), &metadata), file)))
    }

    /// The directory of a container.
    pub(super) fn container(&self, container: &ContainerName) -> PathBuf {
        self.root.join(container.as_str())
    }

    /// Removes a file and the directories that it leaves empty; says whether it was there.
    pub(super) fn remove(&self, container: &ContainerName, blob: &BlobName) -> io::Result<bool> {
        let place = self.place(container, blob);
        let _placing = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(metadata) = metadata(&place)? else { return Ok(false) };
        fs::remove_file(&place)?;
        self.rooms.give_back(metadata.len());
        let mut directory = place.parent();
        while let Some(left) = directory.filter(|directory| *directory != self.root) {
            File::open(left)?.sync_all()?;
            if fs::remove_dir(left).is_err() {
                break;
            }
            directory = left.parent();
        }
        if let Some(directory) = directory {
            File::open(directory)?.sync_all()?;
        }
        Ok(true)
    }
}

fn check(condition: &Precondition, present: Option<&Stored>) -> Result<(), PutError> {
    if condition.absent && present.is_some() {
        return Err(PutError::Exists);
    }
    match (&condition.etag, present) {
        (None, _) => Ok(()),
        (Some(wanted), Some(present)) if wanted == "*" || *wanted == present.etag => Ok(()),
        (Some(_), _) => Err(PutError::Changed),
    }
}

/// What the metadata of a file says.
pub(super) fn stored(blob: BlobName, metadata: &fs::Metadata) -> Stored {
    let milliseconds = metadata.mtime().saturating_mul(1000).saturating_add(metadata.mtime_nsec() / 1_000_000);
    let etag = format!("0x{milliseconds:X}-{:X}-{:X}", metadata.ino(), metadata.len());
    Stored { blob, bytes: metadata.len(), modified: Timestamp::from_milliseconds(milliseconds), etag }
}

/// What lies at `path` if that is a file.
pub(super) fn metadata(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then_some(metadata)),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an error says that nothing is there.
pub(super) fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Makes a directory and those above it that are not there, each durably.
fn make_directories(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().ok_or(error)?;
            make_directories(parent)?;
            fs::create_dir(path)?;
        }
        made => made?,
    }
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// What an earlier process had not received to its end is nobody's.
fn remove_parts(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Visits every file below `root`, which need not be there. Links are not followed.
fn walk(root: &Path, visit: &mut impl FnMut(&Path, &fs::Metadata)) -> io::Result<()> {
    let mut directories = vec![(root.to_owned(), 0)];
    while let Some((directory, depth)) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Err(error) if is_absence(&error) => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Err(error) if is_absence(&error) => continue,
                metadata => metadata?,
            };
            if metadata.is_dir() && depth < DEPTH_MAX {
                directories.push((entry.path(), depth + 1));
            } else if metadata.is_file() {
                visit(&entry.path(), &metadata);
            }
        }
    }
    Ok(())
}
