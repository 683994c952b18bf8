//! Request bodies: bounded before they are read, each and all together, and read within a bound of
//! time.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use http_body_util::BodyExt as _;
use model::api::ErrorCode;
use model::limits::REQUEST_BODIES_BYTES_MAX;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Refusal;

/// From a request's head to the end of its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A body on its way to the hub, from a socket or a test.
pub(crate) trait RequestBody: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static {}

impl<B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static> RequestBody for B {}

/// A body of at most `BYTES_MAX` bytes.
#[derive(Debug)]
pub(crate) struct Payload<const BYTES_MAX: usize>(pub(crate) Bytes);

/// A body of JSON, at most `BYTES_MAX` bytes, whatever type it says it has.
#[derive(Debug)]
pub(crate) struct Json<T, const BYTES_MAX: usize>(pub(crate) T);

impl<S: Sync, const BYTES_MAX: usize> FromRequest<S> for Payload<BYTES_MAX> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        received(request.into_body(), BYTES_MAX).await.map(|body| Self(body.into_bytes()))
    }
}

/// Reads a body of at most `bytes_max` bytes.
///
/// # Errors
/// The refusal of one that is larger, takes longer than 30 s, breaks off, or finds no room.
pub(crate) async fn received(body: impl RequestBody, bytes_max: usize) -> Result<ReceivedBody, Refusal> {
    match tokio::time::timeout(BODY_TIMEOUT, read(body, bytes_max, &BUDGET)).await {
        Ok(read) => read,
        Err(_) => {
            let text = format!("the body did not arrive within {} seconds", BODY_TIMEOUT.as_secs());
            Err(Refusal::new(ErrorCode::RequestTimeout, text))
        }
    }
}

/// What has arrived of all bodies, until the requests they belong to are done with them. Counted
/// as it arrives: who announces much and sends nothing takes no room from others.
static BUDGET: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(REQUEST_BODIES_BYTES_MAX)));

/// A whole body, which gives its room back when it is let go.
#[derive(Debug)]
pub(crate) struct ReceivedBody {
    bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

impl ReceivedBody {
    /// Its bytes to share; the last of them gives the room back.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for ReceivedBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

async fn read(mut body: impl RequestBody, bytes_max: usize, budget: &Arc<Semaphore>) -> Result<ReceivedBody, Refusal> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large(bytes_max));
    }
    let mut held = ReceivedBody { bytes: Vec::new(), room: None };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken_off(&error.into()))?;
        // Trailers are none of ours.
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > bytes_max - held.bytes.len() {
            return Err(too_large(bytes_max));
        }
        let room = Arc::clone(budget).try_acquire_many_owned(data.len() as u32).map_err(|_| no_room())?;
        match &mut held.room {
            Some(all) => all.merge(room),
            None => held.room = Some(room),
        }
        held.bytes.extend_from_slice(&data);
    }
    Ok(held)
}

fn broken_off(error: &BoxError) -> Refusal {
    Refusal::with_cause(ErrorCode::IotHubFormatError, "the body broke off", error.to_string())
}

impl<S: Sync, T: DeserializeOwned, const BYTES_MAX: usize> FromRequest<S> for Json<T, BYTES_MAX> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        parse(received(request.into_body(), BYTES_MAX).await?.as_ref()).map(Self)
    }
}

/// Reads JSON of a known shape.
///
/// # Errors
/// A [`Refusal`] that says where it is not.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes)
        .map_err(|error| Refusal::new(ErrorCode::IotHubFormatError, format!("the body is not what this operation takes: {error}")))
}

fn no_room() -> Refusal {
    Refusal::new(ErrorCode::ServiceUnavailable, "more requests arrive than the hub has memory for; send again later")
}

fn too_large(bytes_max: usize) -> Refusal {
    Refusal::new(ErrorCode::MessageTooLarge, format!("the body may have at most {bytes_max} bytes"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures_util::stream;

    use super::*;

    async fn read_8(body: Body) -> Result<Bytes, Refusal> {
        let request = Request::new(body);
        Payload::<8>::from_request(request, &()).await.map(|payload| payload.0)
    }

    fn refused(code: ErrorCode) -> impl Fn(Result<Bytes, Refusal>) {
        move |read| {
            let refusal = format!("{:?}", read.expect_err("a refusal"));
            assert!(refusal.contains(code.name()), "{refusal}");
        }
    }

    #[tokio::test]
    async fn a_body_over_its_limit_is_refused_with_and_without_a_length() {
        assert_eq!(read_8(Body::from("12345678")).await, Ok(Bytes::from("12345678")));
        refused(ErrorCode::MessageTooLarge)(read_8(Body::from("123456789")).await);
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from("1234")));
        refused(ErrorCode::MessageTooLarge)(read_8(Body::from_stream(endless)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_cut_off() {
        let silent = stream::pending::<Result<Bytes, std::io::Error>>();
        refused(ErrorCode::RequestTimeout)(read_8(Body::from_stream(silent)).await);
    }

    #[tokio::test]
    async fn bodies_share_a_budget_for_as_long_as_they_are_held() {
        let budget = Arc::new(Semaphore::new(8));
        let read = async |text: &'static str| read(Body::from(text), 8, &budget).await.map(ReceivedBody::into_bytes);
        let first = read("12345").await.expect("room");
        let part = first.slice(1..3);
        drop(first);
        refused(ErrorCode::ServiceUnavailable)(read("1234").await);
        assert_eq!(read("123").await.expect("room"), "123");
        drop(part);
        assert_eq!(read("12345678").await.expect("all the room"), "12345678");
        assert_eq!(budget.available_permits(), 8);
    }
}
