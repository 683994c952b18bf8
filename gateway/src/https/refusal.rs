//! A refused request: what the caller reads, and what the log says.

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use model::Timestamp;
use model::api::{ErrorBody, ErrorCode, ErrorDetail};
use serde_json::json;

use super::reply::JSON;

/// Carries the error's name; the .NET SDK reads it.
const ERROR_CODE: HeaderName = HeaderName::from_static("iothub-errorcode");
/// A refusal's text in the log, which may quote what a stranger sent.
const LOGGED_TEXT_BYTES_MAX: usize = 256;

/// Why a request was not carried out. As a response it is only half written: the exchange adds
/// the tracking id and the time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: ErrorCode,
    text: String,
    cause: Option<String>,
    form: Form,
    logged: bool,
}

/// How a refusal's body is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// `ErrorCode:{name};{text}`.
    Plain,
    /// An [`ErrorDetail`] as JSON in a string, which direct methods answer with.
    Nested {
        /// The connect timeout that was waited, for a device that is not online.
        waited_seconds: Option<u32>,
    },
    /// This JSON instead: the result of a bulk request.
    Instead(Vec<u8>),
}

impl Refusal {
    /// The path takes other methods; an answer that comes from no router names them by
    /// [`Refusal::allowing`].
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(ErrorCode::MethodNotAllowed, "this path does not take that method")
    }

    /// A refusal that the caller may read the reason of.
    pub(crate) fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), cause: None, form: Form::Plain, logged: false }
    }

    /// A refusal whose `cause` is for the log alone.
    pub(crate) fn with_cause(code: ErrorCode, text: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { cause: Some(cause.into()), ..Self::new(code, text) }
    }

    /// A fault of the hub's own.
    pub(crate) fn fault(cause: impl Into<String>) -> Self {
        Self::with_cause(ErrorCode::ServerError, "the hub failed; its log has the reason under the tracking id", cause)
    }

    /// The same, written as direct methods write it.
    pub(crate) fn nested(mut self, waited_seconds: Option<u32>) -> Self {
        self.form = Form::Nested { waited_seconds };
        self
    }

    /// The same with the JSON text `body` as its whole body.
    pub(crate) fn instead(mut self, body: Vec<u8>) -> Self {
        self.form = Form::Instead(body);
        self
    }

    /// The same, of which the log has its line already.
    pub(crate) fn already_logged(mut self) -> Self {
        self.logged = true;
        self
    }

    /// As a response that names the `methods` which the path does take (RFC 9110, 15.5.6).
    pub(crate) fn allowing(self, methods: &[Method]) -> Response {
        let mut response = self.into_response();
        let names = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(",");
        // Names of methods are tokens, which any header can hold.
        if let Ok(names) = HeaderValue::try_from(names) {
            response.headers_mut().insert(ALLOW, names);
        }
        response
    }

    /// The line that every refused request leaves, within the span that has its tracking id.
    pub(super) fn log(&self) {
        if self.logged {
            return;
        }
        let (code, cause) = (self.code.name(), self.cause.as_deref());
        let (text, _) = self.text.split_at(self.text.floor_char_boundary(LOGGED_TEXT_BYTES_MAX));
        if self.code.http_status() >= 500 && self.code != ErrorCode::NotImplemented {
            tracing::error!(code, text, cause, "could not carry out a request");
        } else {
            tracing::info!(code, text, cause, "refused a request");
        }
    }

    /// `response` with the body it lacks.
    pub(super) fn written(self, mut response: Response, tracking_id: &str, now: Timestamp) -> Response {
        *response.status_mut() = StatusCode::from_u16(self.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        // The router has noted the length of the empty body.
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(ERROR_CODE, HeaderValue::from_static(self.code.name()));
        if self.code.http_status() == 401 {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("SharedAccessSignature"));
        }
        *response.body_mut() = Body::from(self.body(tracking_id, now));
        response
    }

    fn body(self, tracking_id: &str, now: Timestamp) -> Vec<u8> {
        let body = match self.form {
            Form::Instead(body) => return body,
            Form::Plain => ErrorBody {
                message: format!("ErrorCode:{};{}", self.code.name(), self.text),
                exception_message: format!("Tracking ID:{tracking_id}-TimeStamp:{now}"),
            },
            Form::Nested { waited_seconds } => {
                let detail = ErrorDetail {
                    error_code: self.code.number(),
                    tracking_id: tracking_id.to_owned(),
                    message: self.text,
                    info: waited_seconds.map(|seconds| json!({ "timeout": hours_minutes_seconds(seconds) })),
                    timestamp_utc: now.to_string(),
                };
                ErrorBody { message: json!(detail).to_string(), exception_message: String::new() }
            }
        };
        json!(body).to_string().into_bytes()
    }
}

fn hours_minutes_seconds(seconds: u32) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_code_where_each_sdk_looks_for_it() {
        let refusal = Refusal::new(ErrorCode::DeviceNotFound, "device d is not registered");
        let body = String::from_utf8(refusal.body("ab12", Timestamp::NEVER)).expect("text");
        assert_eq!(
            body,
            r#"{"Message":"ErrorCode:DeviceNotFound;device d is not registered","ExceptionMessage":"Tracking ID:ab12-TimeStamp:0001-01-01T00:00:00Z"}"#
        );
    }

    #[test]
    fn a_method_is_refused_with_json_in_a_string() {
        let refusal = Refusal::new(ErrorCode::DeviceNotOnline, "not online").nested(Some(61));
        let body: ErrorBody = serde_json::from_slice(&refusal.body("ab12", Timestamp::NEVER)).expect("JSON");
        let detail: ErrorDetail = serde_json::from_str(&body.message).expect("JSON within");
        assert_eq!((detail.error_code, detail.tracking_id.as_str()), (404_103, "ab12"));
        assert_eq!(detail.info, Some(json!({ "timeout": "00:01:01" })));
        assert_eq!(body.exception_message, "");
    }

    #[test]
    fn what_is_meant_for_the_log_does_not_leave() {
        let body = String::from_utf8(Refusal::fault("secret path").body("ab12", Timestamp::NEVER)).expect("text");
        assert!(!body.contains("secret path"), "{body}");
    }
}
