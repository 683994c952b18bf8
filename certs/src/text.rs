//! Text from strangers, made fit for a log line.

use std::fmt;

/// The longest text of a stranger that is shown, in bytes after escaping.
pub(crate) const SHOWN_BYTES_MAX: usize = 128;

/// Text that a stranger chose: control characters and everything outside printable ASCII is
/// escaped, and what is longer than 128 bytes is cut.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// Escapes and cuts `bytes`.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        let mut shown = String::new();
        for byte in bytes.as_ref() {
            let escaped = byte.escape_ascii();
            if shown.len() + escaped.len() > SHOWN_BYTES_MAX - "…".len() {
                shown.push('…');
                break;
            }
            shown.extend(escaped.map(char::from));
        }
        Self(shown)
    }

    /// The escaped text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_strangers_is_escaped_and_cut() {
        assert_eq!(Shown::new("dev-1\n\u{202e}").as_str(), "dev-1\\n\\xe2\\x80\\xae");
        let long = Shown::new("\0".repeat(1000));
        assert!(long.as_str().len() <= SHOWN_BYTES_MAX && long.as_str().ends_with('…'), "{long}");
        assert_eq!(Shown::new("x".repeat(125)).as_str().len(), 125);
    }
}
