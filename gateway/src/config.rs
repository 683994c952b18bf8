//! The configuration, as written and as resolved.
