//! Request bodies: bounded before they are read, and read within a bound of time.

use std::time::Duration;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::{FromRequest, Request};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use model::api::ErrorCode;
use serde::de::DeserializeOwned;

use super::Refusal;

/// From a request's head to the end of its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A body of at most `BYTES_MAX` bytes.
#[derive(Debug)]
pub(crate) struct Payload<const BYTES_MAX: usize>(pub(crate) Bytes);

/// A body of JSON, at most `BYTES_MAX` bytes, whatever type it says it has.
#[derive(Debug)]
pub(crate) struct Json<T, const BYTES_MAX: usize>(pub(crate) T);

impl<S: Sync, const BYTES_MAX: usize> FromRequest<S> for Payload<BYTES_MAX> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Refusal> {
        let body = request.into_body();
        if body.size_hint().lower() > BYTES_MAX as u64 {
            return Err(too_large(BYTES_MAX));
        }
        match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BYTES_MAX).collect()).await {
            Ok(Ok(collected)) => Ok(Self(collected.to_bytes())),
            Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large(BYTES_MAX)),
            Ok(Err(error)) => Err(Refusal::with_cause(ErrorCode::IotHubFormatError, "the body broke off", error.to_string())),
            Err(_) => {
                let text = format!("the body did not arrive within {} seconds", BODY_TIMEOUT.as_secs());
                Err(Refusal::new(ErrorCode::RequestTimeout, text))
            }
        }
    }
}

impl<S: Sync, T: DeserializeOwned, const BYTES_MAX: usize> FromRequest<S> for Json<T, BYTES_MAX> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let Payload::<BYTES_MAX>(bytes) = Payload::from_request(request, state).await?;
        Ok(Self(parse(&bytes)?))
    }
}

/// Reads JSON of a known shape.
///
/// # Errors
/// A [`Refusal`] that says where it is not.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes)
        .map_err(|error| Refusal::new(ErrorCode::IotHubFormatError, format!("the body is not what this operation takes: {error}")))
}

fn too_large(bytes_max: usize) -> Refusal {
    Refusal::new(ErrorCode::MessageTooLarge, format!("the body may have at most {bytes_max} bytes"))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures_util::stream;

    use super::*;

    async fn read(body: Body) -> Result<Bytes, Refusal> {
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
        assert_eq!(read(Body::from("12345678")).await, Ok(Bytes::from("12345678")));
        refused(ErrorCode::MessageTooLarge)(read(Body::from("123456789")).await);
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from("1234")));
        refused(ErrorCode::MessageTooLarge)(read(Body::from_stream(endless)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_cut_off() {
        let silent = stream::pending::<Result<Bytes, std::io::Error>>();
        refused(ErrorCode::RequestTimeout)(read(Body::from_stream(silent)).await);
    }
}
