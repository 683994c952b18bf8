//! The service API's error bodies, in each of the forms it uses.

use std::fmt;

use model::api::{ErrorBody, ErrorDetail};
use reqwest::Response;
use thiserror::Error;

use super::ClientError;

/// An error that the hub answered with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The error's name (`DeviceNotFound`), where the hub gave one.
    pub name: Option<String>,
    /// The hub's own words.
    pub text: String,
    /// The body as it came, for answers that say more than a text.
    pub body: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({}): {}", self.status, self.text),
            None => write!(f, "HTTP status {}: {}", self.status, self.text),
        }
    }
}

/// Lets an answer pass whose status is a success and reads any other as a [`Refusal`].
pub(super) async fn check(response: Response) -> Result<Response, ClientError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let header = response.headers().get("iothub-errorcode").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = response.bytes().await.map_err(|error| super::lost(&error))?;
    Err(read(status.as_u16(), header, &String::from_utf8_lossy(&body)).into())
}

fn read(status: u16, header: Option<String>, body: &str) -> Refusal {
    let (name, text) = explain(body);
    let text = if text.is_empty() { String::from("the hub gave no reason") } else { text };
    Refusal { status, name: header.or(name), text, body: body.to_owned() }
}

/// The name and text in a body: `ErrorCode:{name};{text}`, a detail as JSON within a string, the
/// bare detail, or anything at all.
fn explain(body: &str) -> (Option<String>, String) {
    if let Ok(detail) = serde_json::from_str::<ErrorDetail>(body) {
        return (None, detail.message);
    }
    let Ok(error) = serde_json::from_str::<ErrorBody>(body) else {
        return (None, body.trim().to_owned());
    };
    if let Ok(detail) = serde_json::from_str::<ErrorDetail>(&error.message) {
        return (None, detail.message);
    }
    match error.message.strip_prefix("ErrorCode:").and_then(|rest| rest.split_once(';')) {
        Some((name, text)) => (Some(name.to_owned()), text.trim().to_owned()),
        None => (None, error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: Option<&str>, body: &str, expected: &str) {
        assert_eq!(read(404, header.map(str::to_owned), body).to_string(), expected, "{body}");
    }

    #[test]
    fn every_form_of_error_shows_its_name_and_text() {
        check(None, r#"{"Message":"ErrorCode:DeviceNotFound;no device d1","ExceptionMessage":"t"}"#, "DeviceNotFound (404): no device d1");
        let detail = r#"{"errorCode":404103,"trackingId":"t","message":"d1 is not online","timestampUtc":"2026-01-01T00:00:00Z"}"#;
        check(Some("DeviceNotOnline"), detail, "DeviceNotOnline (404): d1 is not online");
        let nested = serde_json::json!({"Message": detail, "ExceptionMessage": ""}).to_string();
        check(Some("DeviceNotOnline"), &nested, "DeviceNotOnline (404): d1 is not online");
        check(None, "<html>", "HTTP status 404: <html>");
        check(None, "", "HTTP status 404: the hub gave no reason");
    }
}
