//! Where a file lies on disk. The layout describes itself: names are read back from paths, so
//! there is no index that could disagree with what is there.
//!
//! ```text
//! files/
//!   link.key                       signs links
//!   {container}/{device}/{name}    a whole file, device and name escaped
//!   .uploading/*.part              a body that is being received
//!   .uploading/{upload}/{block}    a whole block of an upload, its id in hexadecimal
//! ```
//!
//! A text is escaped to path components of ASCII letters, digits and `-_.%+`: other bytes, and a
//! dot that would begin a component, are written `%XX`. A text that is longer than a file system
//! takes is cut; all components but its last end in `+`, which stands for nothing else. So no two
//! texts share a path, none is a directory where another is a file, and `.` and `..` cannot occur.

use std::path::{Component, Path, PathBuf};

use model::DeviceId;

use super::name::BlobName;

/// File systems take 255 bytes in a component.
const COMPONENT_BYTES_MAX: usize = 200;
/// Ends a component that the text goes on after.
pub(super) const GOES_ON: char = '+';

/// The path of a file within its container.
pub(super) fn path_of(blob: &BlobName) -> PathBuf {
    let (device, name) = blob.parts();
    let components = escaped(device).into_iter().chain(escaped(name));
    components.collect()
}

/// The directory within its container of what a device has uploaded.
pub(super) fn directory_of(device: &DeviceId) -> PathBuf {
    escaped(device.as_str()).iter().collect()
}

/// The file whose path within its container this is, if it is one that [`path_of`] gives.
pub(super) fn blob_at(path: &Path) -> Option<BlobName> {
    let mut texts = vec![String::new()];
    for component in path.components() {
        let Component::Normal(component) = component else { return None };
        let component = component.to_str()?;
        let last = texts.last_mut()?;
        match component.strip_suffix(GOES_ON) {
            Some(part) => last.push_str(part),
            None => {
                last.push_str(component);
                texts.push(String::new());
            }
        }
    }
    let [device, name, rest] = texts.try_into().ok()?;
    let text = |escaped: &str| percent_encoding::percent_decode_str(escaped).decode_utf8().ok().map(|text| text.into_owned());
    let blob: BlobName = format!("{}/{}", text(&device)?, text(&name)?).parse().ok()?;
    (rest.is_empty() && path_of(&blob) == path).then_some(blob)
}

/// The name of a block's file: its id, of at most 64 bytes, in hexadecimal.
pub(super) fn block_file_name(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn escaped(text: &str) -> Vec<String> {
    let mut components = vec![String::new()];
    for byte in text.bytes() {
        let Some(component) = components.last_mut() else { break };
        let begins = component.is_empty();
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && !begins) {
            component.push(char::from(byte));
        } else {
            component.push_str(&format!("%{byte:02X}"));
        }
        if component.len() >= COMPONENT_BYTES_MAX {
            component.push(GOES_ON);
            components.push(String::new());
        }
    }
    // A text that ends where a component does.
    if components.last().is_some_and(String::is_empty) {
        components.pop();
        if let Some(last) = components.last_mut() {
            last.pop();
        }
    }
    components
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blob(text: &str) -> BlobName {
        text.parse().expect("a name")
    }

    #[test]
    fn names_are_readable_where_they_can_be() {
        for (name, path) in [
            ("dev-1/report.txt", "dev-1/report.txt"),
            ("dev-1/a/b c", "dev-1/a%2Fb%20c"),
            ("dev-1/.hidden", "dev-1/%2Ehidden"),
            ("dev-1/...", "dev-1/%2E.."),
            (".../ü", "%2E../%C3%BC"),
            ("d+%/a%2Fb", "d%2B%25/a%252Fb"),
        ] {
            let Ok(name) = name.parse::<BlobName>() else { continue };
            assert_eq!(path_of(&name), Path::new(path));
        }
        let long = blob(&format!("d/{}", "x".repeat(450)));
        assert_eq!(path_of(&long), Path::new(&format!("d/{0}+/{0}+/{1}", "x".repeat(200), "x".repeat(50))));
        let even = blob(&format!("d/{}", "x".repeat(400)));
        assert_eq!(path_of(&even), Path::new(&format!("d/{0}+/{0}", "x".repeat(200))));
    }

    #[test]
    fn what_lies_there_otherwise_is_nobodys_file() {
        for path in ["", "d", "d/a/b", "d/.a", "d/a%2fb", "d/a%41", "../d/a", "d/a+", "d/%FF", "d/..", "/d/a", "d+/a"] {
            assert_eq!(blob_at(Path::new(path)), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_read_back_from_its_path(device in "[-A-Za-z0-9.%_*?!(),:=@$']{1,128}", name in "[^/\\\\\\p{Cc}]{1,200}(/[a.]{1,90}b){0,2}") {
            let Ok(blob) = format!("{device}/{name}").parse::<BlobName>() else { return Ok(()) };
            let path = path_of(&blob);
            for component in path.components() {
                let Component::Normal(component) = component else { return Err(TestCaseError::fail("not a plain component")) };
                let text = component.to_str().expect("ASCII");
                prop_assert!(text.len() <= 203 && !text.starts_with('.'));
                prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.%+".contains(&b)));
            }
            prop_assert_eq!(blob_at(&path), Some(blob));
        }
    }
}
