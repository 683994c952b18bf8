//! What an item asks for, and on which condition.

use model::api::{BulkItem, ErrorCode};

use super::refused::Refused;
use crate::operations::twins::IfMatch;

/// The names of all modes, as clients write them.
const NAMES: &str = "create, createOrUpdate, createOrUpdateIfMatchETag, update, updateIfMatchETag, delete, deleteIfMatchETag, updateTwin, \
     updateTwinIfMatchETag";

/// What an item asks for, without its condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Create,
    CreateOrUpdate,
    Update,
    Delete,
    UpdateTwin,
}

/// Reads the mode, in any case, with the condition it names. That is a result of its own, as what
/// is not registered yet is created on no condition.
pub(super) fn mode(item: &BulkItem) -> Result<(Mode, Result<IfMatch, Refused>), Refused> {
    let missing = || Refused::new(ErrorCode::ArgumentNull, format!("importMode is missing; it is one of {NAMES}"));
    let written = item.import_mode.as_deref().ok_or_else(missing)?;
    let always = Ok(IfMatch::Any);
    let conditional = |member, etag: &Option<String>| {
        let missing = || Refused::new(ErrorCode::ArgumentNull, format!("{written} needs {member}, which is missing"));
        etag.as_deref().and_then(condition).ok_or_else(missing)
    };
    Ok(match written.to_ascii_lowercase().as_str() {
        "create" => (Mode::Create, always),
        "createorupdate" => (Mode::CreateOrUpdate, always),
        "createorupdateifmatchetag" => (Mode::CreateOrUpdate, conditional("eTag", &item.etag)),
        "update" => (Mode::Update, always),
        "updateifmatchetag" => (Mode::Update, conditional("eTag", &item.etag)),
        "delete" => (Mode::Delete, always),
        "deleteifmatchetag" => (Mode::Delete, conditional("eTag", &item.etag)),
        "updatetwin" => (Mode::UpdateTwin, always),
        "updatetwinifmatchetag" => (Mode::UpdateTwin, conditional("twinETag", &item.twin_etag)),
        _ => return Err(Refused::new(ErrorCode::ArgumentInvalid, format!("{written:?} is not an import mode; it is one of {NAMES}"))),
    })
}

/// The condition on the twin that an item which replaces it names, if it names one.
pub(super) fn twin_condition(item: &BulkItem) -> IfMatch {
    item.twin_etag.as_deref().and_then(condition).unwrap_or(IfMatch::Any)
}

/// An etag as clients write it; none is empty.
fn condition(etag: &str) -> Option<IfMatch> {
    match etag.trim_matches('"') {
        "" => None,
        "*" => Some(IfMatch::Any),
        etag => Some(IfMatch::Etag(etag.to_owned())),
    }
}
