//! Direct methods: asked by an operator, answered by the device that is connected now, or not
//! at all. Nothing is stored, nothing is sent twice.

use std::time::Duration;

use bytes::Bytes;
use model::Identity;
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

/// A call on its way to the task that owns the connection.
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
    /// It is not connected, or has not subscribed to methods.
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
    let outcome = call_device(hub, identity, call).await;
    hub.metrics.method_invoked(outcome.as_ref().map_or_else(InvokeError::name, |_| "answered"));
    outcome
}

async fn call_device(hub: &Hub, identity: &Identity, call: MethodCall) -> Result<MethodAnswer, InvokeError> {
    hub.twins.identity(identity).ok_or(InvokeError::UnknownIdentity)?;
    if !hub.presence.takes_methods(identity, call.connect_timeout).await {
        return Err(InvokeError::NotOnline);
    }
    let (answer, answered) = oneshot::channel();
    let device_call = DeviceCall { name: call.name, payload: call.payload, answer };
    hub.presence.call(identity, device_call).map_err(|unreached| match unreached {
        Unreached::NotOnline => InvokeError::NotOnline,
        Unreached::Full => InvokeError::TooManyInFlight,
    })?;
    let outcome = tokio::time::timeout(call.response_timeout, answered).await.map_err(|_| InvokeError::TimedOut)?;
    let answer = outcome.map_err(|_| InvokeError::ConnectionClosed)?.map_err(|failed| match failed {
        CallFailed::NotOnline => InvokeError::NotOnline,
        CallFailed::TooManyInFlight => InvokeError::TooManyInFlight,
    })?;
    let is_json = answer.payload.is_empty() || serde_json::from_slice::<serde::de::IgnoredAny>(&answer.payload).is_ok();
    if is_json { Ok(answer) } else { Err(InvokeError::InvalidAnswer) }
}
