//! `DIR/ports.json`: where every listener is really bound. It is there exactly while all of them
//! are, so that a script can wait for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::data_dir::{FileError, remove_file, replace_file};
use crate::listener::address::ListenerName;

/// The file, from its appearance to its removal.
#[derive(Debug)]
pub(crate) struct PortsFile(PathBuf);

impl PortsFile {
    /// Removes what an earlier process left.
    pub(crate) fn absent(data_dir: &Path) -> Result<Self, FileError> {
        let path = data_dir.join("ports.json");
        remove_file(&path)?;
        Ok(Self(path))
    }

    /// Makes it appear, whole, by rename. A listener without addresses has no key.
    pub(crate) fn appear(&self, bound: &[(ListenerName, Vec<SocketAddr>)]) -> Result<(), FileError> {
        let mut ports = Map::new();
        for (name, addresses) in bound.iter().filter(|(_, addresses)| !addresses.is_empty()) {
            ports.insert(name.to_string(), value(addresses));
        }
        replace_file(&self.0, format!("{:#}\n", Value::Object(ports)).as_bytes(), 0o644)
    }

    /// Removes it again.
    pub(crate) fn vanish(&self) -> Result<(), FileError> {
        remove_file(&self.0)
    }
}

/// A text for one address, a list for several.
fn value(addresses: &[SocketAddr]) -> Value {
    match addresses {
        [one] => Value::String(one.to_string()),
        several => several.iter().map(|address| Value::String(address.to_string())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn one_address_is_a_text_and_several_are_a_list() {
        let directory = tempfile::tempdir().expect("directory");
        let ports = PortsFile::absent(directory.path()).expect("absent");
        let address = |text: &str| -> SocketAddr { text.parse().expect(text) };
        let bound = [
            (ListenerName::Mqtt, vec![address("127.0.0.1:8883")]),
            (ListenerName::Https, vec![address("127.0.0.1:443"), address("[::1]:8443")]),
            (ListenerName::Metrics, vec![]),
        ];
        ports.appear(&bound).expect("write");
        let text = fs::read_to_string(directory.path().join("ports.json")).expect("read");
        let read: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read, serde_json::json!({"mqtt": "127.0.0.1:8883", "https": ["127.0.0.1:443", "[::1]:8443"]}));
    }

    #[test]
    fn the_file_appears_by_rename_and_is_removed_at_start_and_end() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("ports.json");
        fs::write(&path, "left by a process that was killed").expect("left-over");
        let ports = PortsFile::absent(directory.path()).expect("absent");
        assert!(!path.exists(), "removed at start");

        ports.appear(&[]).expect("write");
        let held_open = fs::File::open(&path).expect("open");
        let first = fs::metadata(&path).expect("metadata").ino();
        ports.appear(&[]).expect("write again");
        // A file written in place would keep its inode; a renamed one has another while the old is still open.
        assert_ne!(fs::metadata(&path).expect("metadata").ino(), first);
        drop(held_open);
        ports.vanish().expect("remove");
        assert!(!path.exists());
    }
}
