//! The condition of a write. Clients quote the etag or not, and the star too.

use axum::extract::FromRequestParts;
use axum::http::header::IF_MATCH;
use axum::http::request::Parts;
use model::api::ErrorCode;
use twins::IfMatch;

use crate::https::Refusal;

/// The header `If-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition(pub(super) IfMatch);

impl<S: Sync> FromRequestParts<S> for Condition {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        match parts.headers.get(IF_MATCH) {
            None => Ok(Self(IfMatch::Absent)),
            Some(value) => match value.to_str() {
                Ok(text) => Ok(Self(parse(text))),
                Err(_) => Err(Refusal::new(ErrorCode::ArgumentInvalid, "If-Match is not readable")),
            },
        }
    }
}

/// `"x"`, `W/"x"` and `x` are the etag x; `"*"` and `*` match whatever is there.
fn parse(text: &str) -> IfMatch {
    let text = text.trim();
    let strong = text.strip_prefix("W/").filter(|rest| rest.starts_with('"')).unwrap_or(text);
    let bare = strong.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(strong);
    match bare {
        "*" => IfMatch::Any,
        etag => IfMatch::Etag(etag.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_make_no_difference() {
        let etag = |text: &str| IfMatch::Etag(text.to_owned());
        let cases = [
            ("\"*\"", IfMatch::Any),
            ("*", IfMatch::Any),
            (" * ", IfMatch::Any),
            ("\"AAAAAAAAAAE=\"", etag("AAAAAAAAAAE=")),
            ("AAAAAAAAAAE=", etag("AAAAAAAAAAE=")),
            ("W/\"x\"", etag("x")),
            ("W/x", etag("W/x")),
            ("\"\"", etag("")),
            ("\"", etag("\"")),
            ("", etag("")),
        ];
        for (text, condition) in cases {
            assert_eq!(parse(text), condition, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_etag_reads_the_same_quoted_and_bare(tag in "[!#-)+-~]{1,40}") {
            prop_assert_eq!(parse(&tag), IfMatch::Etag(tag.clone()));
            prop_assert_eq!(parse(&format!("\"{tag}\"")), IfMatch::Etag(tag));
        }

        #[test]
        fn any_header_can_be_read(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
