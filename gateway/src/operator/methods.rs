//! Direct methods, asked for by an operator.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use bytes::Bytes;
use model::Identity;
use model::api::{ErrorCode, MethodRequest, MethodResponse};
use model::limits::{
    METHOD_CONNECT_TIMEOUT_SECONDS_MAX, METHOD_PAYLOAD_BYTES_MAX, METHOD_RESPONSE_TIMEOUT_SECONDS, METHOD_RESPONSE_TIMEOUT_SECONDS_DEFAULT,
};
use serde_json::value::RawValue;

use super::reason;
use crate::https::{Answer, Json, Refusal, Reply, Target};
use crate::hub::Hub;
use crate::methods::{self, MethodAnswer, MethodCall};

/// The payload, and room for the rest of the request.
const REQUEST_BYTES_MAX: usize = METHOD_PAYLOAD_BYTES_MAX + 8 * 1024;
/// Longest name of a method.
const NAME_BYTES_MAX: usize = 100;
/// What a name may not hold, beside what is not printable ASCII.
const NAME_FORBIDDEN: &[u8] = b"#+%$()<>@,;:\\\"/[]?={} ";
/// What a device is sent, and an operator is shown, where there is no payload: several SDKs
/// parse it as JSON whatever it is.
const NO_PAYLOAD: &str = "null";

/// Answers 200 whatever status the device gave. A caller that hangs up stops the waiting.
pub(super) async fn invoke(
    Extension(hub): Extension<Arc<Hub>>,
    Target(identity): Target,
    Json(request): Json<MethodRequest, REQUEST_BYTES_MAX>,
) -> Answer {
    let waited_seconds = request.connect_timeout_in_seconds.unwrap_or(0);
    let answer = call(&hub, &identity, request).await.map_err(|refusal| match refusal {
        CallRefused::Request(refusal) => refusal.nested(None),
        CallRefused::Invocation(error) => reason::method_refusal(error, waited_seconds),
    })?;
    let payload = if answer.payload.is_empty() { Ok(NO_PAYLOAD.to_owned()) } else { String::from_utf8(answer.payload.into()) };
    let payload = payload.ok().and_then(|text| RawValue::from_string(text).ok());
    let payload = payload.ok_or_else(|| reason::method_refusal(methods::InvokeError::InvalidAnswer, waited_seconds))?;
    Reply::OK.json(&MethodResponse { status: answer.status, payload })
}

enum CallRefused {
    Request(Refusal),
    Invocation(methods::InvokeError),
}

async fn call(hub: &Hub, identity: &Identity, request: MethodRequest) -> Result<MethodAnswer, CallRefused> {
    let call = checked(request).map_err(CallRefused::Request)?;
    methods::invoke(hub, identity, call).await.map_err(CallRefused::Invocation)
}

fn checked(request: MethodRequest) -> Result<MethodCall, Refusal> {
    check_name(&request.method_name)?;
    let response_seconds = request.response_timeout_in_seconds.unwrap_or(METHOD_RESPONSE_TIMEOUT_SECONDS_DEFAULT);
    if !METHOD_RESPONSE_TIMEOUT_SECONDS.contains(&response_seconds) {
        return Err(invalid(format!("responseTimeoutInSeconds must lie between 5 and 300 seconds, not at {response_seconds}")));
    }
    let connect_seconds = request.connect_timeout_in_seconds.unwrap_or(0);
    if connect_seconds > METHOD_CONNECT_TIMEOUT_SECONDS_MAX {
        return Err(invalid(format!("connectTimeoutInSeconds must lie between 0 and 300 seconds, not at {connect_seconds}")));
    }
    let payload = request.payload.as_deref().map_or(NO_PAYLOAD, RawValue::get);
    if payload.len() > METHOD_PAYLOAD_BYTES_MAX {
        let text = format!("a payload may have at most {METHOD_PAYLOAD_BYTES_MAX} bytes, this one has {}", payload.len());
        return Err(Refusal::new(ErrorCode::MessageTooLarge, text));
    }
    Ok(MethodCall {
        name: request.method_name,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        response_timeout: Duration::from_secs(response_seconds.into()),
        connect_timeout: Duration::from_secs(connect_seconds.into()),
    })
}

/// A name travels in a topic, where one SDK reads it without decoding: so nothing that needs it,
/// and no wildcard.
fn check_name(name: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !NAME_FORBIDDEN.contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
        let text =
            format!("a method's name has 1 to {NAME_BYTES_MAX} printable ASCII characters without #+%$()<>@,;:\\\"/[]?={{}} and spaces");
        return Err(invalid(text));
    }
    Ok(())
}

fn invalid(text: String) -> Refusal {
    Refusal::new(ErrorCode::ArgumentInvalid, text)
}
