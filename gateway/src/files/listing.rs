//! Files page by page, in the order of their names. A page reads the directories that its files are
//! in and those above them, and looks at its own files alone; nothing is kept from one to the next.
//!
//! A directory's files have names that begin with the directory's own, so the first of all entries
//! known is either the next file or the directory that the next file is in. Only as many entries are
//! held as a page may need; when more were there, the walk begins again behind those it has done.
//! A file that is there all the time is on one page exactly, whatever comes and goes beside it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use model::DeviceId;
use model::limits::BLOB_NAME_BYTES_MAX;
use percent_encoding::percent_decode_str;

use super::layout::{GOES_ON, blob_at, directory_of};
use super::storage::{Stored, is_absence, metadata, stored};

/// Entries held at a time, about 4 MB with the longest names: more than a page has files.
const ENTRIES_MAX: usize = 2048;

/// Some of the files, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FilePage {
    /// These.
    pub(crate) files: Vec<Stored>,
    /// Whether there are more behind them.
    pub(crate) is_continued: bool,
}

/// The first `limit` files of the container in `root`, those behind the name `after`, of one device
/// if it is given.
pub(super) fn page(root: &Path, device: Option<&DeviceId>, after: Option<&str>, limit: usize) -> io::Result<FilePage> {
    let mut walk = Walk::new(root, device, after, ENTRIES_MAX);
    let mut page = FilePage::default();
    while let Some(file) = walk.next()? {
        if page.files.len() == limit {
            page.is_continued = true;
            break;
        }
        page.files.push(file);
    }
    Ok(page)
}

/// Something that lies in a container. In the order of what names in it begin with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// A file's name, or what the names of all files in a directory begin with.
    name: Vec<u8>,
    kind: Kind,
    /// Within the container.
    path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A directory of devices.
    Devices,
    /// A directory of files of one device.
    Files,
    File,
}

struct Walk<'a> {
    root: &'a Path,
    start: Entry,
    /// No name before this is of interest.
    from: Vec<u8>,
    entries: BTreeSet<Entry>,
    entries_max: usize,
    /// The first name that was let go because too many entries were there.
    let_go: Option<Vec<u8>>,
    #[cfg(test)]
    directories_read: usize,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Path, device: Option<&DeviceId>, after: Option<&str>, entries_max: usize) -> Self {
        let start = match device {
            None => Entry { name: Vec::new(), kind: Kind::Devices, path: PathBuf::new() },
            Some(device) => Entry { name: format!("{device}/").into(), kind: Kind::Files, path: directory_of(device) },
        };
        // The first text behind another has a zero more.
        let from = after.map_or_else(Vec::new, |after| [after.as_bytes(), &[0]].concat());
        Self {
            root,
            entries: [start.clone()].into(),
            start,
            from,
            entries_max,
            let_go: None,
            #[cfg(test)]
            directories_read: 0,
        }
    }

    fn next(&mut self) -> io::Result<Option<Stored>> {
        loop {
            let first = self.entries.pop_first();
            match (first.filter(|first| self.let_go.as_ref().is_none_or(|let_go| first.name < *let_go)), self.let_go.take()) {
                (None, None) => return Ok(None),
                (None, Some(let_go)) => {
                    self.from = let_go;
                    self.entries = [self.start.clone()].into();
                }
                (Some(entry), let_go) => {
                    self.let_go = let_go;
                    match entry.kind {
                        Kind::Devices | Kind::Files => self.read(&entry)?,
                        Kind::File => {
                            if let Some(file) = self.file(&entry)? {
                                return Ok(Some(file));
                            }
                        }
                    }
                }
            }
        }
    }

    /// What is known of a file, if it is one of ours and still there.
    fn file(&self, entry: &Entry) -> io::Result<Option<Stored>> {
        let Some(blob) = blob_at(&entry.path) else { return Ok(None) };
        Ok(metadata(&self.root.join(&entry.path))?.map(|metadata| stored(blob, &metadata)))
    }

    fn read(&mut self, directory: &Entry) -> io::Result<()> {
        let entries = match fs::read_dir(self.root.join(&directory.path)) {
            Err(error) if is_absence(&error) => return Ok(()),
            entries => entries?,
        };
        #[cfg(test)]
        {
            self.directories_read += 1;
        }
        for entry in entries {
            let entry = entry?;
            let is_directory = match entry.file_type() {
                Err(error) if is_absence(&error) => continue,
                kind => kind?.is_dir(),
            };
            if let Some(entry) = entry.file_name().to_str().and_then(|name| within(directory, name, is_directory)) {
                self.hold(entry);
            }
        }
        Ok(())
    }

    /// Holds an entry that may have what is looked for, and lets the last go when there are too many.
    fn hold(&mut self, entry: Entry) {
        let is_ahead = entry.name >= self.from || (entry.kind != Kind::File && self.from.starts_with(&entry.name));
        if !is_ahead || self.let_go.as_ref().is_some_and(|let_go| entry.name >= *let_go) {
            return;
        }
        self.entries.insert(entry);
        if self.entries.len() > self.entries_max {
            self.let_go = self.entries.pop_last().map(|last| last.name);
        }
    }
}

/// An entry of a directory, if it can be or have a file of ours.
fn within(directory: &Entry, component: &str, is_directory: bool) -> Option<Entry> {
    let (part, goes_on) = component.strip_suffix(GOES_ON).map_or((component, false), |part| (part, true));
    let mut name = directory.name.clone();
    name.extend(percent_decode_str(part));
    let kind = match (directory.kind, is_directory, goes_on) {
        (Kind::Devices, true, true) => Kind::Devices,
        (Kind::Devices, true, false) => {
            name.push(b'/');
            Kind::Files
        }
        (Kind::Files, true, true) => Kind::Files,
        (Kind::Files, false, false) => Kind::File,
        (Kind::Devices | Kind::Files | Kind::File, _, _) => return None,
    };
    let is_possible = !part.is_empty() && name.len() <= BLOB_NAME_BYTES_MAX;
    is_possible.then(|| Entry { name, kind, path: directory.path.join(component) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::files::layout::path_of;
    use crate::files::name::BlobName;

    fn container(names: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a directory");
        for name in names {
            write(root.path(), &path_of(&name.parse::<BlobName>().expect("a name")));
        }
        root
    }

    fn write(root: &Path, path: &Path) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, "x").expect("written");
    }

    fn names(page: &FilePage) -> Vec<String> {
        page.files.iter().map(|file| file.blob.to_string()).collect()
    }

    /// All pages, each from the last name of the one before.
    fn all(root: &Path, device: Option<&DeviceId>, limit: usize) -> Vec<String> {
        let mut listed = Vec::new();
        loop {
            let page = page(root, device, listed.last().map(String::as_str), limit).expect("read");
            assert!(page.files.len() == limit || !page.is_continued);
            listed.extend(names(&page));
            if !page.is_continued {
                return listed;
            }
        }
    }

    #[test]
    fn pages_are_in_the_order_of_names_whatever_directories_they_are_in() {
        let long = format!("d/{}", "x".repeat(200));
        let (longer, among) = (format!("{long}y"), format!("d/{}", "x".repeat(199)));
        let device = "?".repeat(67);
        let (escaped, further) = (format!("{device}/a"), format!("{device}!/a"));
        let mut names = vec!["a-b/x", "a/x", "a/x/y", "a.b/ü", "a/ü", &long, &longer, &among, &escaped, &further, "z/z"];
        let root = container(&names);
        names.sort_unstable();
        for limit in [1, 2, 3, 100] {
            assert_eq!(all(root.path(), None, limit), names);
        }
        assert_eq!(all(root.path(), Some(&"a".parse().expect("an id")), 2), ["a/x", "a/x/y", "a/ü"]);
        assert_eq!(all(root.path(), Some(&device.parse().expect("an id")), 2), [escaped.as_str()]);
        assert_eq!(all(root.path(), Some(&"b".parse().expect("an id")), 2), [""; 0]);
        assert_eq!(page(&root.path().join("nowhere"), None, None, 1).expect("read"), FilePage::default());
    }

    #[test]
    fn what_is_nobodys_file_is_passed_over() {
        let root = container(&["d/a", "e/b"]);
        for path in ["stray", "d/.a", "d/a%2fb", "d/x/y", "d/+/+/a", "+/d/a", "%FF/a", "d/short+/a"] {
            write(root.path(), Path::new(path));
        }
        fs::create_dir(root.path().join("empty")).expect("made");
        assert_eq!(all(root.path(), None, 1), ["d/a", "e/b"]);
    }

    #[test]
    fn a_page_reads_the_directories_of_its_own_files() {
        let names: Vec<String> = (0..50).flat_map(|device| [0, 1].map(|file| format!("d{device:02}/{file}"))).collect();
        let root = container(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for after in [None, Some("d24/1")] {
            let mut walk = Walk::new(root.path(), None, after, ENTRIES_MAX);
            for _ in 0..4 {
                walk.next().expect("read").expect("a file");
            }
            // The container, the directory of the file behind which it begins, and two of its own.
            assert_eq!(walk.directories_read, 3 + usize::from(after.is_some()));
        }
    }

    #[test]
    fn what_is_there_all_the_time_is_listed_while_others_come_and_go() {
        let root = container(&["b/1", "b/3", "d/1"]);
        let first = page(root.path(), None, None, 1).expect("read");
        for name in ["a/0", "b/0", "b/2", "c/1"] {
            write(root.path(), Path::new(name));
        }
        fs::remove_file(root.path().join("b/1")).expect("removed");
        let second = page(root.path(), None, Some(first.files[0].blob.as_str()), 9).expect("read");
        assert_eq!((names(&first), names(&second)), (vec!["b/1".to_owned()], ["b/2", "b/3", "c/1", "d/1"].map(str::to_owned).to_vec()));
    }

    proptest! {
        #[test]
        fn every_file_is_on_one_page(
            names in prop::collection::btree_set("[ab%!-]{1,3}/(x{199,201}|[a-c.ü]{1,2}){1,3}", 1..40),
            entries_max in 8_usize..20,
            after in prop::option::of("[ab]/[a-c]"),
        ) {
            let names: BTreeSet<String> = names.into_iter().filter(|name| name.parse::<BlobName>().is_ok()).collect();
            let root = container(&names.iter().map(String::as_str).collect::<Vec<_>>());
            let mut walk = Walk::new(root.path(), None, after.as_deref(), entries_max);
            let mut listed = Vec::new();
            while let Some(file) = walk.next().expect("read") {
                listed.push(file.blob.to_string());
            }
            let expect: Vec<String> = names.into_iter().filter(|name| after.as_ref().is_none_or(|after| name > after)).collect();
            prop_assert_eq!(listed, expect);
        }
    }
}
