//! Which part of a file a request wants (RFC 9110 §14). Pure.

/// The part from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ByteRange {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// What of a file of `bytes` a `Range` asks for: all of it where the header is absent or is none
/// that has to be understood.
///
/// # Errors
/// Nothing of the file is in the range.
pub(super) fn wanted(header: Option<&str>, bytes: u64) -> Result<Option<ByteRange>, ()> {
    let Some((first, last)) = header.and_then(|text| text.strip_prefix("bytes=")?.trim().split_once('-')) else { return Ok(None) };
    let end = bytes.checked_sub(1);
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().unwrap_or(u64::MAX));
    let range = match (first, last) {
        ("", "") => return Ok(None),
        ("", suffix) => {
            let Some(suffix) = number(suffix) else { return Ok(None) };
            let end = end.filter(|_| suffix > 0).ok_or(())?;
            ByteRange { first: bytes.saturating_sub(suffix), last: end }
        }
        (first, last) => {
            let (Some(first), Some(last)) = (number(first), if last.is_empty() { Some(u64::MAX) } else { number(last) }) else {
                return Ok(None);
            };
            if last < first {
                return Ok(None);
            }
            let end = end.filter(|end| first <= *end).ok_or(())?;
            ByteRange { first, last: last.min(end) }
        }
    };
    Ok(Some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_file_and_refused_outside_of_it() {
        let range = |header: &str, bytes| wanted(Some(header), bytes).map(|range| range.map(|range| (range.first, range.last)));
        for (header, expected) in [
            ("bytes=0-3", Ok(Some((0, 3)))),
            ("bytes=4-", Ok(Some((4, 9)))),
            ("bytes=4-99999999999999999999999", Ok(Some((4, 9)))),
            ("bytes=-3", Ok(Some((7, 9)))),
            ("bytes=-30", Ok(Some((0, 9)))),
            ("bytes=9-9", Ok(Some((9, 9)))),
            ("bytes=10-", Err(())),
            ("bytes=-0", Err(())),
            ("bytes=5-4", Ok(None)),
            ("bytes=0-1,4-5", Ok(None)),
            ("bytes=a-b", Ok(None)),
            ("bytes=-", Ok(None)),
            ("lines=0-1", Ok(None)),
        ] {
            assert_eq!(range(header, 10), expected, "{header}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Err(()), "of an empty file");
        assert_eq!(wanted(None, 0), Ok(None));
    }
}
