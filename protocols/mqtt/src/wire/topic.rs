//! Topic names and topic filters (§4.7), and the grammar of shared subscriptions (MQTT 5 §4.8.2).

use thiserror::Error;

use super::DecodeLimits;
use super::text::has_byte;
use crate::Version;

/// Why a text is not a topic name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidTopic {
    /// No characters (MQTT-4.7.3-1), and no alias instead.
    #[error("a topic name is empty")]
    Empty,
    /// `+` or `#` (MQTT-3.3.2-2).
    #[error("a topic name contains a wildcard")]
    Wildcard,
}

/// Why a text is not a topic filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidFilter {
    /// No characters.
    #[error("a topic filter is empty")]
    Empty,
    /// Longer than the limit.
    #[error("a topic filter has {length} bytes, more than {limit}")]
    TooLong {
        /// Its bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// More levels than the limit.
    #[error("a topic filter has more than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// `#` that is not the whole last level (MQTT-4.7.1-2).
    #[error("# is not the whole last level of a topic filter")]
    MultiLevelWildcard,
    /// `+` that is not a whole level (MQTT-4.7.1-3).
    #[error("+ is not a whole level of a topic filter")]
    SingleLevelWildcard,
    /// `$share` without a share name, without a filter, or with a wildcard in its share name.
    #[error("a shared subscription is not $share/name/filter")]
    Share,
}

/// Checks a topic name; `may_be_empty` where an alias can stand for it.
#[inline]
pub(super) fn check_name(topic: &str, may_be_empty: bool) -> Result<(), InvalidTopic> {
    if topic.is_empty() && !may_be_empty {
        return Err(InvalidTopic::Empty);
    }
    if has_byte(topic.as_bytes(), |byte| (byte == b'+') | (byte == b'#')) {
        return Err(InvalidTopic::Wildcard);
    }
    Ok(())
}

/// Whether a filter asks for a shared subscription in version 5. To 3.1.1, `$share` is a level like
/// any other.
pub fn is_shared(filter: &str) -> bool {
    filter == "$share" || filter.starts_with("$share/")
}

/// Whether a filter contains a wildcard.
pub fn has_wildcard(filter: &str) -> bool {
    has_byte(filter.as_bytes(), |byte| (byte == b'+') | (byte == b'#'))
}

/// Checks a topic filter and, in version 5, a shared subscription.
pub(super) fn check_filter(filter: &str, version: Version, limits: &DecodeLimits) -> Result<(), InvalidFilter> {
    if filter.len() > limits.filter_bytes_max {
        return Err(InvalidFilter::TooLong { length: filter.len(), limit: limits.filter_bytes_max });
    }
    if version == Version::V5 && is_shared(filter) {
        let shared = filter.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
        let Some((name, shared)) = shared else { return Err(InvalidFilter::Share) };
        if name.is_empty() || shared.is_empty() || has_wildcard(name) {
            return Err(InvalidFilter::Share);
        }
        return check_levels(shared, limits);
    }
    check_levels(filter, limits)
}

fn check_levels(filter: &str, limits: &DecodeLimits) -> Result<(), InvalidFilter> {
    if filter.is_empty() {
        return Err(InvalidFilter::Empty);
    }
    let mut levels = filter.split('/').peekable();
    let mut depth = 0;
    while let Some(level) = levels.next() {
        depth += 1;
        if depth > limits.filter_levels_max {
            return Err(InvalidFilter::TooDeep { limit: limits.filter_levels_max });
        }
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(InvalidFilter::MultiLevelWildcard);
        }
        if level.contains('+') && level != "+" {
            return Err(InvalidFilter::SingleLevelWildcard);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_names_have_no_wildcards() {
        let check = |topic, empty, expected| assert_eq!(check_name(topic, empty), expected, "{topic}");
        check("a", false, Ok(()));
        check("/", false, Ok(()));
        check("$iothub/twin/GET/?$rid=1", false, Ok(()));
        check("größe/€", false, Ok(()));
        check("", false, Err(InvalidTopic::Empty));
        check("", true, Ok(()));
        check("a/+/b", false, Err(InvalidTopic::Wildcard));
        check("#", true, Err(InvalidTopic::Wildcard));
    }

    fn check(filter: &str, version: Version, expected: Result<(), InvalidFilter>) {
        assert_eq!(check_filter(filter, version, &DecodeLimits::default()), expected, "{filter}");
    }

    #[test]
    fn filters_follow_the_grammar() {
        for filter in ["#", "+", "/", "//", "a", "a/#", "+/+/#", "/+", "/#", "a//b", "$iothub/methods/POST/#", " "] {
            check(filter, Version::V311, Ok(()));
            check(filter, Version::V5, Ok(()));
        }
        for filter in ["a#", "#/a", "a/#/b", "##", "+#"] {
            check(filter, Version::V5, Err(InvalidFilter::MultiLevelWildcard));
        }
        for filter in ["a+", "+a", "a/b+/c", "++"] {
            check(filter, Version::V311, Err(InvalidFilter::SingleLevelWildcard));
        }
        check("", Version::V311, Err(InvalidFilter::Empty));
    }

    #[test]
    fn shared_subscriptions_name_a_group_and_a_filter() {
        for filter in ["$share/g/a", "$share/g/#", "$share/g//", "$share/g h/+/a"] {
            check(filter, Version::V5, Ok(()));
        }
        for filter in ["$share", "$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/g#/a"] {
            check(filter, Version::V5, Err(InvalidFilter::Share));
        }
        check("$shared/g", Version::V5, Ok(()));
        check("$share/g/a#", Version::V5, Err(InvalidFilter::MultiLevelWildcard));
        check("$share/g", Version::V311, Ok(()));
        check("$share/+/a", Version::V311, Ok(()));
    }

    #[test]
    fn filters_are_bounded_in_bytes_and_levels() {
        check(&"x".repeat(1024), Version::V5, Ok(()));
        check(&"x".repeat(1025), Version::V5, Err(InvalidFilter::TooLong { length: 1025, limit: 1024 }));
        check(&"/".repeat(31), Version::V5, Ok(()));
        check(&"/".repeat(32), Version::V5, Err(InvalidFilter::TooDeep { limit: 32 }));
    }
}
