//! Direct methods for devices without MQTT. Ours.
//!
//! A device asks for the next call and says how long it would wait; it is handed one call, answers
//! it under its id, and asks again. It is handed each call once: when its connection breaks before
//! the call is written, the caller is told that the device has gone.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderName, StatusCode};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use model::Identity;
use model::limits::METHOD_PAYLOAD_BYTES_MAX;
use tokio::time::Instant;

use super::admission::Admitted;
use super::{long_poll, reason};
use crate::https::{Answer, Refusal, Reply, RequestBody, RequestPath};
use crate::methods::{CallFailed, DeviceCall, MethodAnswer};
use crate::operator::Parameters;
use crate::presence::{CallId, NextCall, Polls, Wanted};

/// The method's name.
const METHOD_NAME: HeaderName = HeaderName::from_static("iothub-methodname");
/// What the answer is to be sent under.
const CALL_ID: HeaderName = HeaderName::from_static("iothub-rid");
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// The next call, or 204 when none waits or, after a wait, none came.
pub(super) async fn next(admitted: &Admitted, wait: Duration) -> Answer {
    let poll = admitted.hub.presence.polls().enter(admitted.identity(), Wanted::Methods).map_err(reason::poll_refused)?;
    let mut over = Box::pin(long_poll::over(admitted, Instant::now() + wait));
    loop {
        // Before looking, so that a change meanwhile is not missed.
        let told = poll.told();
        admitted.check()?;
        let (call, is_over) = match poll.next_call() {
            NextCall::Here(call) => (Some(call), false),
            NextCall::ToCome(mut to_come) => {
                let (arrived, is_over) = tokio::select! {
                    biased;
                    arrived = &mut to_come => (arrived.ok(), false),
                    () = &mut over => (None, true),
                    () = told => (None, false),
                };
                // One that came at the last moment has left its caller's hands.
                to_come.close();
                (arrived.or_else(|| to_come.try_recv().ok()), is_over)
            }
        };
        match call {
            // The caller has given up: nobody is to see this.
            Some(call) if call.answer.is_closed() => {}
            Some(call) => {
                admitted.check()?;
                return handed_over(admitted, call);
            }
            None if is_over => {
                admitted.check()?;
                return Ok(Reply::no_content());
            }
            None => {}
        }
    }
}

fn handed_over(admitted: &Admitted, call: DeviceCall) -> Answer {
    admitted.note_activity(admitted.hub.clock.now());
    let polls = admitted.hub.presence.polls();
    let id = match polls.expect_answer(admitted.identity(), call.answer) {
        Ok(id) => id,
        Err(answer) => {
            // The caller may have given up; nobody else wants to know.
            let _ = answer.send(Err(CallFailed::TooManyInFlight));
            return Ok(Reply::no_content());
        }
    };
    let handed = HandedCall { polls: polls.clone(), identity: admitted.identity().clone(), id, payload: Some(call.payload) };
    let (Ok(name), Ok(shown)) = (HeaderValue::try_from(call.name), HeaderValue::try_from(id.to_string())) else {
        return Err(Refusal::fault("a method's name that no header can hold"));
    };
    Ok((StatusCode::OK, [(CONTENT_TYPE, JSON), (METHOD_NAME, name), (CALL_ID, shown)], Body::new(handed)).into_response())
}

/// The payload of a call on its way to the device. Dropped before it is written, it takes the call
/// back, and the caller learns that the device has gone.
struct HandedCall {
    polls: Polls,
    identity: Identity,
    id: CallId,
    payload: Option<Bytes>,
}

impl HttpBody for HandedCall {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.payload.take().map(|payload| Ok(Frame::data(payload))))
    }

    fn is_end_stream(&self) -> bool {
        self.payload.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.payload.as_ref().map_or(0, Bytes::len) as u64)
    }
}

impl Drop for HandedCall {
    fn drop(&mut self) {
        if self.payload.is_some() {
            drop(self.polls.awaited(&self.identity, self.id));
        }
    }
}

/// The call that a path names.
fn call(path: &RequestPath) -> Result<CallId, Refusal> {
    path.segment_after("methods").and_then(|text| text.parse().ok()).ok_or_else(reason::nobody_waits)
}

/// The parameter `s`: the device's own status.
fn status(parameters: &Parameters) -> Result<i32, Refusal> {
    let status = parameters.get("s").and_then(|text| text.parse().ok());
    status.ok_or_else(|| reason::parameter_refused("s is the status of the answer, a whole number of 32 bits"))
}

/// Takes the device's answer. What is wrong with it the device is told, and may send it again: the
/// caller goes on waiting.
pub(super) async fn answer(admitted: &Admitted, path: &RequestPath, parameters: &Parameters, body: impl RequestBody) -> Answer {
    let (id, status) = (call(path)?, status(parameters)?);
    let payload = admitted.received(body, METHOD_PAYLOAD_BYTES_MAX).await?.into_bytes();
    let answer = MethodAnswer { status, payload };
    if !answer.is_json() {
        return Err(reason::answer_is_no_json());
    }
    let awaited = admitted.hub.presence.polls().awaited(admitted.identity(), id).ok_or_else(reason::nobody_waits)?;
    awaited.send(Ok(answer)).map_err(|_| reason::nobody_waits())?;
    Ok(Reply::no_content())
}
