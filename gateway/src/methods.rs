//! Direct methods: asked by an operator, answered by the device that is connected or polls now, or
//! not at all. Nothing is stored, nothing is sent twice.

use std::time::Duration;

use bytes::Bytes;
use model::Identity;
use model::limits::METHOD_PAYLOAD_BYTES_MAX;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::hub::Hub;
use crate::presence::Unreached;

/// A call as the operator makes it.
#[derive(Debug, Clone)]
pub(crate) struct MethodCall {
    /// The method's name, already checked.
    pub name: String,
    /// JSON, or empty.
    pub payload: Bytes,
    /// How long the device may take.
    pub response_timeout: Duration,
    /// How long to wait for the device to connect.
    pub connect_timeout: Duration,
}

/// A device's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MethodAnswer {
    /// The device's own status.
    pub status: i32,
    /// JSON as the device wrote it, or empty.
    pub payload: Bytes,
}

impl MethodAnswer {
    /// Whether the payload is JSON; none at all counts as such.
    pub(crate) fn is_json(&self) -> bool {
        self.payload.is_empty() || serde_json::from_slice::<serde::de::IgnoredAny>(&self.payload).is_ok()
    }
}

/// A call on its way to the task that owns the connection, or to the poll that waits for one.
#[derive(Debug)]
pub(crate) struct DeviceCall {
    /// The method's name.
    pub name: String,
    /// JSON, or empty.
    pub payload: Bytes,
    /// Where the answer goes; closed when the caller has given up. Dropping it tells the caller
    /// that the connection is gone.
    pub answer: oneshot::Sender<Result<MethodAnswer, CallFailed>>,
}

/// Why the owner of a connection did not get an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallFailed {
    /// The device does not take methods any more; it never saw the call.
    NotOnline,
    /// Too many calls wait for its answers; it never saw the call.
    TooManyInFlight,
}

/// Why an invocation has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum InvokeError {
    /// No such device or module.
    #[error("there is no such device or module")]
    UnknownIdentity,
    /// It is not connected, or has not subscribed to methods, and does not poll for them either.
    #[error("the device is not online")]
    NotOnline,
    /// It did not answer in time.
    #[error("timed out waiting for the response from device")]
    TimedOut,
    /// It went away while its answer was awaited; it may have seen the call.
    #[error("the connection of the device closed while its response was awaited")]
    ConnectionClosed,
    /// Too many calls wait for its answers.
    #[error("too many direct methods wait for the device")]
    TooManyInFlight,
    /// Its answer is not JSON.
    #[error("the response of the device is not JSON")]
    InvalidAnswer,
    /// Its answer is over 128 KiB.
    #[error("the response of the device has more than {METHOD_PAYLOAD_BYTES_MAX} bytes")]
    AnswerTooLarge,
}

impl InvokeError {
    /// A short name for metrics.
    fn name(&self) -> &'static str {
        match self {
            Self::UnknownIdentity => "unknown_identity",
            Self::NotOnline => "not_online",
            Self::TimedOut => "timed_out",
            Self::ConnectionClosed => "connection_closed",
            Self::TooManyInFlight => "too_many_in_flight",
            Self::InvalidAnswer => "invalid_answer",
            Self::AnswerTooLarge => "answer_too_large",
        }
    }
}

/// Calls a method and waits for the one outcome there is.
///
/// When the caller drops this future the device's later answer is ignored.
///
/// # Errors
/// [`InvokeError`]; offline, too late and gone-while-waiting are told apart.
pub(crate) async fn invoke(hub: &Hub, identity: &Identity, call: MethodCall) -> Result<MethodAnswer, InvokeError> {
    // Given back as well when the caller hangs up.
    let _under_way = hub.metrics.method_begins();
    let outcome = call_device(hub, identity, call).await;
    hub.metrics.method_invoked(outcome.as_ref().map_or_else(InvokeError::name, |_| "answered"));
    outcome
}

async fn call_device(hub: &Hub, identity: &Identity, call: MethodCall) -> Result<MethodAnswer, InvokeError> {
    hub.twins.identity(identity).ok_or(InvokeError::UnknownIdentity)?;
    let (answer, answered) = oneshot::channel();
    let device_call = DeviceCall { name: call.name, payload: call.payload, answer };
    let passed = hub.presence.call(identity, device_call, call.connect_timeout).await;
    passed.map_err(|unreached| match unreached {
        Unreached::NotOnline => InvokeError::NotOnline,
        Unreached::Full => InvokeError::TooManyInFlight,
    })?;
    let outcome = tokio::time::timeout(call.response_timeout, answered).await.map_err(|_| InvokeError::TimedOut)?;
    let answer = outcome.map_err(|_| InvokeError::ConnectionClosed)?.map_err(|failed| match failed {
        CallFailed::NotOnline => InvokeError::NotOnline,
        CallFailed::TooManyInFlight => InvokeError::TooManyInFlight,
    })?;
    if answer.payload.len() > METHOD_PAYLOAD_BYTES_MAX {
        return Err(InvokeError::AnswerTooLarge);
    }
    if answer.is_json() { Ok(answer) } else { Err(InvokeError::InvalidAnswer) }
}
