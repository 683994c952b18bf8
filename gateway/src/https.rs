//! HTTPS: one connection that carries requests of devices and of the service API, or one that
//! becomes a WebSocket and from then on is MQTT's.
//!
//! [`serve`] drives the connection, `exchange` carries one request from its head to its answer.
//! What an operation means is the business of [`crate::device_https`], which knows its own paths,
//! and [`crate::operator`], whose paths `router` knows.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::Version;
use axum::http::header::{CONNECTION, HeaderValue};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use model::limits::HANDSHAKE_TIMEOUT;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::hub::Hub;
use crate::listener::{Peer, Standing};
use crate::observe::{Metrics, Protocol};

mod activity;
mod authority;
mod body;
mod exchange;
mod handing_out;
mod lock_timeout;
mod path;
mod refusal;
mod reply;
mod router;
mod unread;
mod websocket;

#[cfg(test)]
pub(crate) mod test_hub;
#[cfg(test)]
mod tests;

pub(crate) use authority::CameBy;
pub(crate) use body::{Json, Payload, ReceivedBody, RequestBody, parse, received};
pub(crate) use exchange::{Origin, span};
pub(crate) use handing_out::handing_out;
pub(crate) use lock_timeout::LockTimeout;
pub(crate) use path::{RequestPath, Target, reads};
pub(crate) use refusal::Refusal;
pub(crate) use reply::{Answer, Reply, written};

use activity::Activity;

/// Head of a request, over all its headers.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Requests under way on one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;
/// Streams that a client opened and reset before they were looked at; more end the connection.
const PENDING_RESETS_MAX: usize = 16;
/// Streams reset because the client broke the protocol; more end the connection.
const ERROR_RESETS_MAX: usize = 64;
/// Bytes of answers waiting for a slow reader on one HTTP/2 stream.
const SEND_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// Silence on an HTTP/2 connection after which the peer is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it may take to answer that.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a goodbye to a connection without requests may take.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves one connection until it ends, has been without a request for too long, has been refused
/// too often, or the hub stops; requests under way are then finished.
pub(crate) async fn serve<S>(hub: Arc<Hub>, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let drain = hub.drain.clone();
    let _open = Open::counted(&hub.metrics);
    let activity = Activity::default();
    let origin = Origin { hub, peer: Arc::new(peer), memory: Arc::default() };
    let standing = origin.peer.standing.clone();
    let service = service_fn(|request: Request<Incoming>| {
        let (origin, under_way) = (origin.clone(), activity.begin());
        async move {
            let version = request.version();
            let request = unread::discarding(request, &origin.peer.standing);
            let mut answer = exchange::answer(&origin, request).await;
            // A client that is not told would send its next request into a connection that ends.
            if version != Version::HTTP_2 && origin.peer.standing.is_spent() {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer.map(|body| under_way.until_sent(body)))
        }
    });
    let builder = builder();
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.begun() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = given_up(&activity, &standing) => {
            connection.as_mut().graceful_shutdown();
            // A peer that does not even read the goodbye is not waited for.
            tokio::time::timeout(FAREWELL_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(peer = %origin.peer.address, %error, "a connection over HTTPS broke");
    }
}

/// Waits until a connection is of no use, or does no good.
async fn given_up(activity: &Activity, standing: &Standing) {
    tokio::select! {
        () = activity.lapsed() => {}
        () = standing.spent() => {}
    }
}

/// A connection as long as it is counted.
struct Open(Metrics);

impl Open {
    fn counted(metrics: &Metrics) -> Self {
        metrics.connection_opened(Protocol::Https);
        Self(metrics.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connection_closed(Protocol::Https);
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE_TIMEOUT).max_buf_size(HEADER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEADER_BYTES_MAX as u32)
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}
