//! Whether a connection is used. hyper bounds the time an HTTP/1.1 head may take; telling the
//! two protocols apart, and an HTTP/2 connection that opens no stream, have no bound of their own.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use model::limits::HANDSHAKE_TIMEOUT;
use tokio::sync::watch;

/// How long a connection that has served a request may wait for the next.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, Default)]
struct Requests {
    under_way: usize,
    served: bool,
}

/// Counts the requests under way on one connection.
#[derive(Debug, Default)]
pub(super) struct Activity(watch::Sender<Requests>);

/// One request, from its head to the last byte of its answer.
#[derive(Debug)]
pub(super) struct UnderWay(watch::Sender<Requests>);

impl Activity {
    /// Counts a request.
    pub(super) fn begin(&self) -> UnderWay {
        self.0.send_modify(|requests| requests.under_way += 1);
        UnderWay(self.0.clone())
    }

    /// Waits until the connection has been without a request for too long: ten seconds before
    /// its first, two minutes between two.
    pub(super) async fn lapsed(&self) {
        let mut requests = self.0.subscribe();
        loop {
            let now = *requests.borrow_and_update();
            let patience = if now.served { IDLE_TIMEOUT } else { HANDSHAKE_TIMEOUT };
            if now.under_way > 0 {
                // The sender lives in `self`, so a change is all there can be.
                let _ = requests.changed().await;
            } else if tokio::time::timeout(patience, requests.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl UnderWay {
    /// Keeps the request counted until `body` has been sent or dropped.
    pub(super) fn until_sent(self, body: Body) -> Body {
        Body::new(CountedBody { body, _under_way: self })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|requests| {
            requests.under_way -= 1;
            requests.served = true;
        });
    }
}

struct CountedBody {
    body: Body,
    _under_way: UnderWay,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_lapses_after_ten_seconds() {
        let start = Instant::now();
        Activity::default().lapsed().await;
        assert_eq!(start.elapsed(), HANDSHAKE_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_under_way_keeps_the_connection_however_long_it_takes() {
        let activity = Activity::default();
        let start = Instant::now();
        let long = Duration::from_secs(3600);
        let request = activity.begin();
        let work = async {
            tokio::time::sleep(long).await;
            drop(request.until_sent(Body::from("answer")));
        };
        tokio::join!(activity.lapsed(), work);
        assert_eq!(start.elapsed(), long + IDLE_TIMEOUT);
    }
}
