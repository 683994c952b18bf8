//! Why a request on a file was not carried out, in the codes of the storage protocol.

use axum::body::Body;
use axum::http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use model::Timestamp;
use rustix::io::Errno;
use twins::StoreError;

use crate::files::{InvalidBlockId, InvalidBlockList, InvalidLink, LinkRefusal, PartError, PutError};
use crate::hub::Hub;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");
const XML: HeaderValue = HeaderValue::from_static("application/xml");

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) enum Reason {
    /// The path is no file's name.
    InvalidUri,
    /// The link does not hold.
    Link(LinkRefusal),
    /// The link is for something else.
    PermissionMismatch,
    /// Only GET, HEAD and PUT are taken.
    UnsupportedVerb,
    /// `comp` asks for something that is not done here.
    UnsupportedOperation,
    /// The header asks for something that is not done here.
    UnsupportedHeader(&'static str),
    /// The header cannot be read.
    InvalidHeader(&'static str),
    /// A header of a checksum that the body does not have.
    ChecksumMismatch {
        /// Whether it is MD5.
        is_md5: bool,
    },
    /// A block's id.
    BlockId(InvalidBlockId),
    /// A list of blocks.
    BlockList(InvalidBlockList),
    /// Over the bound on one file or document.
    TooLarge {
        /// The bound.
        max: u64,
    },
    /// The body ended before what it announced.
    Broken(String),
    /// The body came too slowly.
    TooSlow,
    /// As many bodies are being received as may.
    Busy,
    /// There is no such file.
    NotFound,
    /// The range is outside of the file.
    InvalidRange {
        /// The file's size.
        bytes: u64,
    },
    /// The file was not put in its place.
    Put(PutError),
    /// The disk cannot be read.
    Disk(std::io::Error),
}

impl From<LinkRefusal> for Reason {
    fn from(refusal: LinkRefusal) -> Self {
        Self::Link(refusal)
    }
}

impl From<PartError> for Reason {
    fn from(error: PartError) -> Self {
        Self::Put(error.into())
    }
}

impl From<PutError> for Reason {
    fn from(error: PutError) -> Self {
        Self::Put(error)
    }
}

impl Reason {
    /// Status, code and text.
    fn shown(&self) -> (StatusCode, &'static str, String) {
        let (status, code) = self.code();
        let text = match self {
            // Which check failed is for the log.
            Self::Link(LinkRefusal::Link(_) | LinkRefusal::Ended) => {
                "the link does not hold: it is for another file, has expired, or its upload has ended".to_owned()
            }
            Self::Link(LinkRefusal::Store(_)) | Self::Disk(_) => "the hub failed; its log has the reason".to_owned(),
            Self::Put(PutError::Part(PartError::Disk(_))) => "the hub cannot store the file now".to_owned(),
            Self::InvalidUri => "the path is not the name of a file".to_owned(),
            Self::PermissionMismatch => "the link is not for this operation".to_owned(),
            Self::UnsupportedVerb => "a file is written with PUT and read with GET or HEAD".to_owned(),
            Self::UnsupportedOperation => "of the operations on a file that comp names, only block and blocklist are done".to_owned(),
            Self::UnsupportedHeader(name) | Self::InvalidHeader(name) => format!("the header {name} cannot be done as it says"),
            Self::ChecksumMismatch { .. } => "the body is not the one that its checksum was made of".to_owned(),
            Self::BlockId(error) => error.to_string(),
            Self::BlockList(error) => error.to_string(),
            Self::TooLarge { max } => format!("at most {max} bytes are taken"),
            Self::Broken(_) => "the body broke off".to_owned(),
            Self::TooSlow => "the body came too slowly".to_owned(),
            Self::Busy => "as many uploads are being received as may; try again later".to_owned(),
            Self::NotFound => "there is no such file".to_owned(),
            Self::InvalidRange { bytes } => format!("the file has {bytes} bytes"),
            Self::Put(error) => error.to_string(),
        };
        (status, code, text)
    }

    fn code(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::InvalidUri => (S::BAD_REQUEST, "InvalidUri"),
            Self::Link(LinkRefusal::Link(_) | LinkRefusal::Ended) => (S::FORBIDDEN, "AuthenticationFailed"),
            Self::Link(LinkRefusal::Store(StoreError::Closed)) | Self::Busy => (S::SERVICE_UNAVAILABLE, "ServerBusy"),
            Self::Link(LinkRefusal::Store(_)) | Self::Disk(_) => (S::INTERNAL_SERVER_ERROR, "InternalError"),
            Self::PermissionMismatch => (S::FORBIDDEN, "AuthorizationPermissionMismatch"),
            Self::UnsupportedVerb => (S::METHOD_NOT_ALLOWED, "UnsupportedHttpVerb"),
            Self::UnsupportedOperation => (S::BAD_REQUEST, "InvalidQueryParameterValue"),
            Self::UnsupportedHeader(_) => (S::BAD_REQUEST, "UnsupportedHeader"),
            Self::InvalidHeader(_) => (S::BAD_REQUEST, "InvalidHeaderValue"),
            Self::ChecksumMismatch { is_md5: true } => (S::BAD_REQUEST, "Md5Mismatch"),
            Self::ChecksumMismatch { is_md5: false } => (S::BAD_REQUEST, "Crc64Mismatch"),
            Self::BlockId(_) | Self::BlockList(InvalidBlockList::Id(_)) => (S::BAD_REQUEST, "InvalidBlockId"),
            Self::BlockList(InvalidBlockList::Form) => (S::BAD_REQUEST, "InvalidXmlDocument"),
            Self::BlockList(InvalidBlockList::TooMany) => (S::BAD_REQUEST, "BlockListTooLong"),
            Self::BlockList(InvalidBlockList::Committed) | Self::Put(PutError::NoBlock) => (S::BAD_REQUEST, "InvalidBlockList"),
            Self::TooLarge { .. } | Self::Put(PutError::Part(PartError::TooLarge { .. })) => (S::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge"),
            Self::Broken(_) => (S::BAD_REQUEST, "InvalidInput"),
            Self::TooSlow => (S::REQUEST_TIMEOUT, "OperationTimedOut"),
            Self::NotFound => (S::NOT_FOUND, "BlobNotFound"),
            Self::InvalidRange { .. } => (S::RANGE_NOT_SATISFIABLE, "InvalidRange"),
            Self::Put(PutError::Exists) => (S::CONFLICT, "BlobAlreadyExists"),
            Self::Put(PutError::Changed) => (S::PRECONDITION_FAILED, "ConditionNotMet"),
            Self::Put(PutError::Part(PartError::NoRoom(_))) => (S::INSUFFICIENT_STORAGE, "AccountQuotaExceeded"),
            Self::Put(PutError::Part(PartError::Disk(error))) if is_full(error) => (S::INSUFFICIENT_STORAGE, "AccountQuotaExceeded"),
            Self::Put(PutError::Part(PartError::Disk(_))) => (S::INTERNAL_SERVER_ERROR, "InternalError"),
        }
    }

    /// The line that every refused request leaves, and the count of those not let in.
    pub(super) fn log(&self, hub: &Hub) {
        let (status, code, text) = self.shown();
        let cause = self.cause();
        if let Self::Link(refusal) = self
            && let Some(name) = refusal_name(refusal)
        {
            hub.metrics.auth_refused(name);
        }
        if status.is_server_error() && !matches!(self, Self::Busy) {
            tracing::error!(code, text, cause, "could not carry out a request on a file");
        } else {
            tracing::info!(code, text, cause, "refused a request on a file");
        }
    }

    fn cause(&self) -> Option<String> {
        match self {
            Self::Link(refusal) => Some(refusal.to_string()),
            Self::Disk(error) | Self::Put(PutError::Part(PartError::Disk(error))) => Some(error.to_string()),
            Self::Broken(cause) => Some(cause.clone()),
            Self::InvalidUri
            | Self::PermissionMismatch
            | Self::UnsupportedVerb
            | Self::UnsupportedOperation
            | Self::UnsupportedHeader(_)
            | Self::InvalidHeader(_)
            | Self::ChecksumMismatch { .. }
            | Self::BlockId(_)
            | Self::BlockList(_)
            | Self::TooLarge { .. }
            | Self::TooSlow
            | Self::Busy
            | Self::NotFound
            | Self::InvalidRange { .. }
            | Self::Put(_) => None,
        }
    }

    /// As the clients of the storage service read it: the code in a header and in XML.
    pub(super) fn written(&self, request_id: &str, now: Timestamp) -> Response {
        let (status, code, text) = self.shown();
        // Nothing of what the request said is in the text, so there is nothing to escape.
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{text}\nRequestId:{request_id}\nTime:{now}</Message></Error>"
        );
        let mut response = (status, [(CONTENT_TYPE, XML), (ERROR_CODE, HeaderValue::from_static(code))], Body::from(body)).into_response();
        if let Self::InvalidRange { bytes } = self
            && let Ok(range) = HeaderValue::try_from(format!("bytes */{bytes}"))
        {
            response.headers_mut().insert(CONTENT_RANGE, range);
        }
        response
    }
}

/// What those not let in are counted under; a failure of the store lets nobody in or out.
fn refusal_name(refusal: &LinkRefusal) -> Option<&'static str> {
    match refusal {
        LinkRefusal::Link(InvalidLink::Missing) => Some("file_link_missing"),
        LinkRefusal::Link(InvalidLink::Form) => Some("file_link_form"),
        LinkRefusal::Link(InvalidLink::Signature) => Some("file_link_signature"),
        LinkRefusal::Link(InvalidLink::Expired) => Some("file_link_expired"),
        LinkRefusal::Ended => Some("file_upload_ended"),
        LinkRefusal::Store(_) => None,
    }
}

fn is_full(error: &std::io::Error) -> bool {
    let full = [Errno::NOSPC, Errno::DQUOT, Errno::FBIG];
    Errno::from_io_error(error).is_some_and(|errno| full.contains(&errno))
}

/// An id for one answer, in the form of a GUID.
pub(super) fn request_id() -> String {
    twins::LockToken(rand::random()).to_string()
}
