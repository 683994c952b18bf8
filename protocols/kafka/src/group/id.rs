//! Names of groups and members.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use super::GroupError;

/// The longest group id in bytes.
pub const GROUP_ID_BYTES_MAX: usize = 256;

/// The name of a consumer group: 1 to 256 bytes, compared byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(Arc<str>);

impl GroupId {
    /// Checks a name.
    ///
    /// # Errors
    /// [`GroupError::InvalidGroupId`].
    pub fn new(text: &str) -> Result<Self, GroupError> {
        if (1..=GROUP_ID_BYTES_MAX).contains(&text.len()) { Ok(Self(text.into())) } else { Err(GroupError::InvalidGroupId) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for GroupId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a member within its group; made by the group, except that a client without one sends the
/// empty text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(Arc<str>);

impl MemberId {
    /// An id as it came over the wire.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// What a client sends that has no id yet.
    pub fn unknown() -> Self {
        Self::new("")
    }

    /// Whether this is [`MemberId::unknown`].
    pub fn is_unknown(&self) -> bool {
        self.0.is_empty()
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for MemberId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
